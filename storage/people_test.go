package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/workers"
	"potluck/workers/protocol"
)

const home = community.CommunityID("page:potluck")

// Whatever is given, by whom, how often and in between kills: no credit appears or is lost, nobody owes anything, and a gift is given once.
func TestAnyGiftsKeepTheLedgerSound(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		path := filepath.Join(t.TempDir(), rapid.StringMatching(`[a-z]{12}`).Draw(r, "file")+".db")
		w := newWorldAt(t, path)
		ids := []community.MemberID{w.asker, w.owner, w.member("page:ken", "Ken")}
		have := map[ledger.Account]ledger.Amount{}
		for _, id := range ids {
			amount := ledger.Amount(rapid.IntRange(1, 5000).Draw(r, "start"))
			w.give(id, amount)
			have[ledger.SpendOf(id)] = amount
		}
		given := map[string]bool{}
		for range rapid.IntRange(1, 15).Draw(r, "gifts") {
			from, key := rapid.SampledFrom(ids).Draw(r, "from"), ledger.GiveKey(fmt.Sprint(rapid.IntRange(1, 15).Draw(r, "request")))
			to := ledger.PoolOf(home)
			if rapid.Bool().Draw(r, "member") {
				to = ledger.SpendOf(rapid.SampledFrom(ids).Draw(r, "to"))
			}
			amount := ledger.Amount(rapid.IntRange(-5, 3000).Draw(r, "amount"))
			applied, err := w.credits.Give(t.Context(), key, from, to, amount, now)
			wrong := amount <= 0 || to == ledger.SpendOf(from)
			switch {
			case wrong && err == nil:
				r.Fatalf("gave %d to %v", amount, to)
			case wrong:
			case given[key]:
				if applied || err != nil {
					r.Fatalf("the same gift twice: %v %v", applied, err)
				}
			case have[ledger.SpendOf(from)] < amount:
				if !fault.Has(err, fault.NotEnough) {
					r.Fatalf("overdrawn: %v", err)
				}
			case !applied || err != nil:
				r.Fatalf("not given: %v %v", applied, err)
			default:
				given[key] = true
				have[ledger.SpendOf(from)] -= amount
				have[to] += amount
			}
			if rapid.IntRange(0, 9).Draw(r, "kill") == 0 {
				w.ok(w.db.Close())
				w.db = storagetest.OpenPath(t, path)
				w.credits, w.people = &storage.Credits{DB: w.db}, &storage.People{DB: w.db}
			}
		}
		for _, id := range ids {
			if b := w.balance(id, ledger.Payer{}, now); b.Spendable != have[ledger.SpendOf(id)] {
				r.Fatalf("member %d has %d, want %d", id, b.Spendable, have[ledger.SpendOf(id)])
			}
		}
		if got, err := w.credits.PoolBalance(t.Context(), home); err != nil || got != have[ledger.PoolOf(home)] {
			r.Fatalf("the pool has %d, want %d: %v", got, have[ledger.PoolOf(home)], err)
		}
		w.sound()
		w.ok(w.db.Close())
	})
}

// Free credits, those that running jobs hold and earnings that wait cannot be given away.
func TestOnlyOwnCreditsAreGiven(t *testing.T) {
	w := newWorld(t)
	w.submit("r1:a", 4*ledger.Credit) // from the allowance, which has 6 left
	for _, to := range []ledger.Account{ledger.SpendOf(w.owner), ledger.PoolOf(home)} {
		if _, err := w.credits.Give(t.Context(), "give:x", w.asker, to, 1, now); !fault.Has(err, fault.NotEnough) {
			t.Errorf("gave free credits to %v: %v", to, err)
		}
	}
	if _, err := w.credits.Give(t.Context(), "give:x", w.asker, ledger.SpendOf(999), 1, now); !fault.Has(err, fault.UnknownMember) {
		t.Errorf("gave to nobody: %v", err)
	}
	w.sound()
}

func TestHistoryTellsWhatHappened(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	j := w.submit("r1:a", 4*ledger.Credit)
	w.ok(w.jobs.Finish(ctx, w.settlement(j, w.lease(j, 1), 3*ledger.Credit)))
	refunded := w.submit("r2:a", 2*ledger.Credit)
	w.ok(w.jobs.Abandon(ctx, refunded.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, now))
	w.give(w.asker, 9*ledger.Credit)
	for i, to := range []ledger.Account{ledger.SpendOf(w.owner), ledger.PoolOf(home)} {
		if _, err := w.credits.Give(ctx, fmt.Sprint("give:", i), w.asker, to, ledger.Credit, now); err != nil {
			t.Fatal(err)
		}
	}
	words := func(m community.MemberID, before int64, limit int) (out []string, last int64) {
		list, err := w.credits.History(ctx, m, before, limit)
		w.ok(err)
		for _, e := range list {
			out = append(out, fmt.Sprintf("%s %v job %d with %d %s", e.Kind, e.Amount, e.Job, e.With, e.Pool))
			last = e.ID
		}
		return out, last
	}
	first, last := words(w.asker, 0, 2)
	second, _ := words(w.asker, last, 2)
	same(t, "asker", []string{
		"gave -1 job 0 with 0 page:potluck", fmt.Sprintf("gave -1 job 0 with %d ", w.owner), "adjusted 9 job 0 with 0 ", fmt.Sprintf("spent -3 job %d with 0 ", j.ID),
	}, append(first, second...), nil)
	own, _ := words(w.owner, 0, 10)
	same(t, "owner", []string{fmt.Sprintf("got 1 job 0 with %d ", w.asker), fmt.Sprintf("earned 3 job %d with 0 ", j.ID)}, own, nil)
}

// Nothing that a member wrote or was called is left anywhere in the file, the ledger stays sound, and what is earned later goes to the pool.
func TestForgottenMemberIsGoneButTheLedgerIsSound(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	s.give(s.owner, 7*ledger.Credit)
	s.ok(errOf(s.people.Member(ctx, "page:owner", "Rosalinde", now)))
	s.ok(s.people.SetConsent(ctx, s.owner, "notice.pool", now))
	chat := community.Chat{ID: "page:lobby", Community: home}
	for _, q := range []bot.Request{
		{ID: "AAAAAAAAAAAAAAAA", Event: "page:1", Chat: chat, User: "page:owner", Member: s.owner, Name: "Rosalinde", Command: "ask", Args: []byte(`{"x":"my secret"}`)},
		{ID: "BBBBBBBBBBBBBBBB", Event: "page:2", Chat: community.Chat{ID: "tg:dm-rosalinde", Private: true}, User: "page:owner", Member: s.owner, Name: "Rosalinde", Command: "ask", Args: []byte(`{}`)},
		{ID: "CCCCCCCCCCCCCCCC", Event: "page:3", Chat: chat, User: "page:asker", Member: s.asker, Name: "Ada", Command: "ask", Args: []byte(`{}`)},
	} {
		s.ok(errOf(s.requests.Accept(ctx, q)))
	}
	s.ok(s.requests.SaveActions(ctx, []bot.Action{{ID: "X", Name: "ask_again", Request: "AAAAAAAAAAAAAAAA", Owner: s.owner, Expires: now.Add(time.Hour)}}))
	s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: "AAAAAAAAAAAAAAAA", Chat: "page:lobby", Member: s.owner, Question: "my secret", Answer: "told", At: now}))
	s.ok(s.page.NewSession(ctx, [32]byte{9}, webchat.Session{User: "page:owner", Name: "Rosalinde", Created: now, Seen: now}))
	s.ok(errOf2(s.page.Post(ctx, webchat.Message{ID: "m1", Chat: "lobby", User: "page:owner", Author: "Rosalinde", Text: bot.Plain("my secret"), At: now})))
	s.ok(errOf2(s.page.Post(ctx, webchat.Message{ID: "m2", Chat: "lobby", ReplyTo: "m1", Text: bot.Plain("told"), Images: []webchat.Image{{Name: "p.png"}}, At: now})))
	s.ok(errOf2(s.page.Post(ctx, webchat.Message{ID: "m3", Chat: "lobby", User: "page:asker", Author: "Ada", Text: bot.Plain("hi"), At: now})))
	j := s.submit("CCCCCCCCCCCCCCCC:a", 4*ledger.Credit)
	s.ok(s.jobs.Finish(ctx, s.settlement(j, s.lease(j, 1), 3*ledger.Credit))) // earned, waits for a day

	export, err := s.people.Export(ctx, s.owner, now)
	s.ok(err)
	b, err := json.Marshal(export)
	s.ok(err)
	for _, want := range []string{"Rosalinde", "page:owner", "my secret", "notice.pool", `"own":"7"`, `"waiting":"3"`, "dm-rosalinde", `"number":1`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("the export lacks %s: %s", want, b)
		}
	}
	if strings.Contains(string(b), "Ada") {
		t.Errorf("the export tells of others: %s", b)
	}

	trace, err := s.people.Trace(ctx, s.owner)
	same(t, "trace", storage.Trace{Messages: map[string][]community.MessageID{"lobby": {"m1", "m2"}}, Pictures: []string{"p.png"}}, trace, err)
	f, err := s.people.Forget(ctx, s.owner, s.identities(s.owner), home, now)
	same(t, "given", storage.Forgotten{Given: 7 * ledger.Credit}, f, err)
	s.sound()
	for table, want := range map[string]int{
		`SELECT count(*) FROM identities WHERE member = 2`: 0, `SELECT count(*) FROM requests`: 1, `SELECT count(*) FROM turns`: 0, `SELECT count(*) FROM actions`: 0,
		`SELECT count(*) FROM consents`: 0, `SELECT count(*) FROM page_sessions`: 0, `SELECT count(*) FROM chats WHERE id LIKE '%rosalinde%'`: 0,
		`SELECT count(*) FROM page_messages WHERE user = 'page:owner' OR author = 'Rosalinde'`: 0, `SELECT count(*) FROM workers WHERE share = 1`: 0,
		`SELECT count(*) FROM members WHERE name = 'Rosalinde'`: 0,
	} {
		var got int
		s.ok(rawOpen(t, s.db.Path()).QueryRow(table).Scan(&got))
		if got != want {
			t.Errorf("%s: %d, want %d", table, got, want)
		}
	}
	// What a command that was still at work wants to keep is not kept.
	s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: "LATE", Chat: "page:lobby", Member: s.owner, Question: "my secret", At: now}))
	s.ok(s.requests.SaveActions(ctx, []bot.Action{{ID: "LATE", Name: "ask_again", Request: "LATE", Owner: s.owner, Expires: now.Add(time.Hour)}}))
	if _, ok, err := s.requests.Action(ctx, "LATE"); ok || err != nil {
		t.Errorf("a button of somebody who is gone: %v", err)
	}
	if late, err := s.turns.Turns(ctx, "LATE", 5); len(late) > 0 || err != nil {
		t.Errorf("a turn of somebody who is gone: %+v %v", late, err)
	}
	late := s.job("LATE:a")
	late.Member = s.owner
	if _, err := s.jobs.Submit(ctx, late, ledger.Charge{Payer: s.payer, Amount: 1, Rates: 3}, now); err == nil {
		t.Error("a job of somebody who is gone")
	}
	again, err := s.people.Member(ctx, "page:owner", "Rosalinde", now)
	if err != nil || again.ID == s.owner {
		t.Errorf("whoever comes back is member %d again: %v", again.ID, err)
	}
	// What waited is released into the pool.
	s.ok(errOf(s.credits.Release(ctx, now.Add(25*time.Hour), 10)))
	s.ok(errOf(s.credits.Release(ctx, now.Add(26*time.Hour), 10)))
	if got, err := s.credits.PoolBalance(ctx, home); err != nil || got != 10*ledger.Credit {
		t.Errorf("the pool has %v: %v", got, err)
	}
	if _, err := s.credits.Give(ctx, "give:late", s.asker, ledger.SpendOf(s.owner), 1, now); !fault.Has(err, fault.UnknownMember) {
		t.Errorf("a gift to somebody who is gone: %v", err)
	}
	s.sound()
}

func errOf2[A, B any](_ A, _ B, err error) error { return err }

func TestKnownPeopleOfACommunity(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	s.ok(errOf(s.requests.Accept(ctx, bot.Request{ID: "AAAAAAAAAAAAAAAA", Event: "page:1", Chat: community.Chat{ID: "page:lobby", Community: home}, User: "page:owner",
		Member: s.owner, Name: "Rita", Command: "help", Args: []byte(`{}`)})))
	names := func(c community.CommunityID) (out []string) {
		list, err := s.people.Known(ctx, c)
		s.ok(err)
		for _, k := range list {
			out = append(out, k.Name+" "+k.Platform)
		}
		return out
	}
	same(t, "here", []string{"Rita page"}, names(home), nil)
	same(t, "anywhere", []string{"Rita page", "Ada page"}, names(""), nil)
	same(t, "elsewhere", nil, names("discord:1"), nil)
}

func TestSettings(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for _, c := range []community.CommunityID{"", home} {
		w.ok(w.people.SetSetting(ctx, c, "x", "1", w.asker, now))
		w.ok(w.people.SetSetting(ctx, c, "x", "2", w.asker, now))
		if v, ok, err := w.people.Setting(ctx, c, "x"); v != "2" || !ok || err != nil {
			t.Errorf("%q: %q %v %v", c, v, ok, err)
		}
	}
	all, err := w.people.SettingOf(ctx, "x")
	same(t, "of all communities", []string{"2"}, all, err)
	for _, c := range []community.CommunityID{"", home} {
		w.ok(w.people.SetSetting(ctx, c, "x", "", w.asker, now))
		if _, ok, err := w.people.Setting(ctx, c, "x"); ok || err != nil {
			t.Errorf("%q is still set: %v", c, err)
		}
	}
}

func TestRecordWishesWaitsAndLeaders(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for i := range 3 {
		j := w.submit(fmt.Sprintf("r%d:a", i), ledger.Credit)
		a := w.lease(j, 1)
		if i == 2 {
			w.ok(w.jobs.Requeue(ctx, a.Lease, workers.OutcomeEngine, true, now.Add(time.Second)))
			continue
		}
		w.ok(w.jobs.Finish(ctx, w.settlement(j, a, ledger.Credit/2)))
	}
	w.ok(w.jobs.CountUptime(ctx, []int64{w.worker.ID}, time.Minute, now))
	w.ok(w.jobs.CountUptime(ctx, []int64{w.worker.ID}, time.Minute, now))
	got, err := w.jobs.Record(ctx, w.worker.ID, now.Add(-time.Hour), 5)
	same(t, "record", workers.Record{
		Since: now, Jobs: 2, Paid: int64(ledger.Credit), Kinds: map[protocol.Kind]int{protocol.Chat: 2}, Up: 2 * time.Minute, Faults: map[workers.Outcome]int{workers.OutcomeEngine: 1},
		Errors: []workers.Mishap{{At: now.Add(time.Second), Job: 3, Kind: protocol.Chat, Model: "qwen3:8b", Outcome: workers.OutcomeEngine}},
	}, got, err)

	waits, err := w.jobs.Waits(ctx, now.Add(-time.Hour), 10)
	same(t, "waits", workers.Waits{Waited: []time.Duration{0, 0}, Took: []time.Duration{5 * time.Second, 5 * time.Second}}, waits, err)

	leaders, err := w.jobs.Leaders(ctx, home, now.Add(-time.Hour), 10)
	same(t, "leaders", []workers.Leader{{Name: "Rita", Jobs: 2, Earned: ledger.Credit}}, leaders, err)
	w.ok(w.jobs.SetShare(ctx, w.worker.ID, false))
	leaders, err = w.jobs.Leaders(ctx, home, now.Add(-time.Hour), 10)
	same(t, "leaders without a name", []workers.Leader{{Jobs: 2, Earned: ledger.Credit}}, leaders, err)

	for i := range 250 {
		w.ok(w.jobs.CountWish(ctx, workers.Wish{Kind: protocol.Chat, Model: fmt.Sprint("m", i)}, now))
	}
	w.ok(w.jobs.CountWish(ctx, workers.Wish{Kind: protocol.Chat, Model: "m7"}, now))
	wishes, err := w.jobs.Wishes(ctx, now.Add(-24*time.Hour), 1000)
	if err != nil || len(wishes) != 200 || wishes[0].Model != "m7" || wishes[0].Times != 2 {
		t.Errorf("%d wishes, the first %+v: %v", len(wishes), wishes[0], err)
	}
}

func TestOwnersWordsAreKept(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id := w.worker.ID
	limits := workers.Limits{Kinds: []protocol.Kind{protocol.Chat}, PerDay: 5, From: 60, Until: 120, Zone: "Europe/Berlin"}
	w.ok(w.jobs.Rename(ctx, id, "Attic"))
	w.ok(w.jobs.SetPaused(ctx, id, now))
	w.ok(w.jobs.SetLimits(ctx, id, limits))
	got, ok, err := w.jobs.WorkerByKey(ctx, bytes.Repeat([]byte{1}, 32))
	if err != nil || !ok || got.Name != "Attic" || !got.Paused.Equal(now) || got.Limits.Zone != limits.Zone || got.Limits.PerDay != 5 || len(got.Limits.Kinds) != 1 {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	if again := w.enrol(w.owner, bytes.Repeat([]byte{1}, 32)); !again.Paused.IsZero() || again.Limits.PerDay != 5 {
		t.Errorf("linked again by its owner: %+v", again)
	}
	if other := w.enrol(w.asker, bytes.Repeat([]byte{1}, 32)); other.Limits.PerDay != 0 {
		t.Errorf("linked by somebody else: %+v", other)
	}
	w.ok(w.jobs.Revoke(ctx, id, now))
	if err := w.jobs.Rename(ctx, id, "x"); err == nil {
		t.Error("a machine that is unlinked was renamed")
	}
}

// Who was blocked, or had asked enough for a day, was free of that after /forgetme.
func TestBlocksAndCountsOutliveAForgetting(t *testing.T) {
	s := newStores(t)
	s.people.Alias = func(id community.UserID) community.UserID {
		return community.UserID(fmt.Sprintf("%s:%x", community.Platform(id), sha256.Sum256([]byte("key"+id))))
	}
	ctx := t.Context()
	const eve, room = community.UserID("discord:666"), community.CommunityID("discord:1")
	chat := community.Chat{ID: "discord:10", Community: room}
	asks := func(n int) {
		t.Helper()
		m, err := s.people.Member(ctx, eve, "Eve", now)
		s.ok(err)
		q := bot.Request{Chat: chat, User: eve, Member: m.ID, Name: "Eve", Command: "ask", Args: []byte(`{}`), Created: now}
		q.ID, q.Event = fmt.Sprintf("%016d", n), fmt.Sprint("discord:e", n)
		s.ok(errOf(s.requests.Accept(ctx, q)))
	}
	forgotten := func() community.Member {
		t.Helper()
		old, err := s.people.Member(ctx, eve, "", now)
		s.ok(err)
		s.ok(errOf(s.people.Forget(ctx, old.ID, s.identities(old.ID), home, now)))
		var clear int
		s.ok(rawOpen(t, s.db.Path()).QueryRow(`SELECT (SELECT count(*) FROM forgotten_blocks WHERE alias LIKE '%666') + (SELECT count(*) FROM forgotten_asked WHERE alias LIKE '%666')`).Scan(&clear))
		if clear != 0 {
			t.Errorf("%d rows tell whose they are", clear)
		}
		m, err := s.people.Member(ctx, eve, "Eve", now)
		s.ok(err)
		if m.ID == old.ID {
			t.Fatal("not forgotten")
		}
		return m
	}
	asked := func(since time.Time, want int) {
		t.Helper()
		m, err := s.people.Member(ctx, eve, "", now)
		s.ok(err)
		if n, err := s.people.Asked(ctx, m.ID, room, since, "ask", "imagine"); n != want || err != nil {
			t.Errorf("asked %d, want %d: %v", n, want, err)
		}
	}
	today := now.Truncate(24 * time.Hour)
	asks(1)
	asks(2)
	m, err := s.people.Member(ctx, eve, "", now)
	s.ok(err)
	s.ok(s.people.SetSetting(ctx, room, community.BlockSetting(m.ID), "1", s.owner, now))
	s.ok(s.people.SetBlocked(ctx, m.ID, true))
	m = forgotten()
	e, err := s.people.Export(ctx, m.ID, now) // "everything that I keep about you" had neither
	if want := []storage.ExportedCount{{Community: room, Command: "ask", Times: 2}}; err != nil || !slices.Equal(e.Counts, want) || !e.Member.Blocked ||
		len(e.Blocks) != 1 || e.Blocks[0].Community != room {
		t.Errorf("the export has counts %v, blocked %v in %v: %v", e.Counts, e.Member.Blocked, e.Blocks, err)
	}
	asked(today, 2)
	asks(3)
	asked(today, 3)
	m = forgotten()
	asked(today, 3)
	asked(today.Add(24*time.Hour), 0)
	here, _, err := s.people.Setting(ctx, room, community.BlockSetting(m.ID))
	if err != nil || here != "1" || !m.Blocked {
		t.Errorf("back as %+v, blocked %q in the place: %v", m, here, err)
	}
	s.ok(s.people.SetBlocked(ctx, m.ID, false))
	s.ok(s.people.SetSetting(ctx, room, community.BlockSetting(m.ID), "", s.owner, now))
	m = forgotten()
	if here, _, err := s.people.Setting(ctx, room, community.BlockSetting(m.ID)); err != nil || here != "" || m.Blocked {
		t.Errorf("pardoned, and back as %+v, blocked %q in the place: %v", m, here, err)
	}
	s.sound()
}
