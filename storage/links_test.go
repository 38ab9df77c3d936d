package storage_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"potluck/ask"
	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/storage"
	"potluck/workers"
)

const (
	annDiscord  = community.UserID("discord:1")
	annTelegram = community.UserID("telegram:1")
	annPage     = community.UserID("page:ann")
)

// pairing is a world in which people connect accounts.
type pairing struct {
	*world
	links *storage.Links
	n     int
}

func newPairing(t testing.TB) *pairing {
	w := newWorld(t)
	return &pairing{world: w, links: &storage.Links{DB: w.db}}
}

func is(id community.UserID) community.Identity {
	return community.Identity{ID: id, Name: "Name of " + string(id)}
}

func hashed(code string) [32]byte { return sha256.Sum256([]byte(code)) }

// request is a fresh request's id.
func (p *pairing) request() string {
	p.n++
	return fmt.Sprint("req", p.n)
}

// begin gives out a code; its hash is that of the request's id.
func (p *pairing) begin(by community.UserID, at time.Time) string {
	p.t.Helper()
	request := p.request()
	_, err := p.links.Begin(p.t.Context(), request, is(by), hashed(request), at)
	p.ok(err)
	return request
}

// agreed goes as far as the confirmation of the asker.
func (p *pairing) agreed(asker, typer community.UserID, at time.Time) string {
	p.t.Helper()
	request := p.begin(asker, at)
	_, err := p.links.Redeem(p.t.Context(), p.request(), is(typer), hashed(request), at)
	p.ok(err)
	p.ok(p.links.Agree(p.t.Context(), request, typer, at))
	return request
}

func (p *pairing) connect(asker, typer community.UserID, at time.Time) community.MemberID {
	p.t.Helper()
	m, err := p.links.Join(p.t.Context(), p.agreed(asker, typer, at), asker, at)
	p.ok(err)
	return m
}

func (p *pairing) of(id community.UserID) community.Member {
	p.t.Helper()
	m, err := p.people.Member(p.t.Context(), id, "", now)
	p.ok(err)
	return m
}

func (p *pairing) refused(err error, code fault.Code, why string) {
	p.t.Helper()
	if !fault.Has(err, code) || why != "" && fault.Of(err).Args["why"] != why {
		p.t.Errorf("%v (%v), want %s %s", err, fault.Of(err).Args, code, why)
	}
}

func TestConnectingMovesWhatOneHas(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	older, younger := p.member(annDiscord, "Ann"), p.member(annTelegram, "ann_t")
	p.give(older, 5*ledger.Credit)
	p.give(younger, 7*ledger.Credit)
	w := p.enrol(younger, bytes.Repeat([]byte{2}, 32))
	p.ok(p.people.SetLanguage(ctx, younger, "de"))
	p.ok(p.people.SetConsent(ctx, younger, "notice.pool", now))

	// The younger one's machine has earned, and a job of the younger one runs when they are connected.
	first := p.submit("r1:a", 4*ledger.Credit)
	a := p.lease(first, 1)
	s := p.settlement(first, a, 4*ledger.Credit)
	s.Earner = younger
	p.ok(p.jobs.Finish(ctx, s))
	running := p.job("r2:a")
	running.Member = younger
	running, err := p.jobs.Submit(ctx, running, ledger.Charge{Payer: ledger.Payer{Spend: ledger.SpendOf(younger)}, Amount: 2 * ledger.Credit}, now)
	p.ok(err)

	if m := p.connect(annTelegram, annDiscord, now); m != older {
		t.Fatalf("member %d, want the older one, %d", m, older)
	}
	p.sound()
	for _, id := range []community.UserID{annDiscord, annTelegram} {
		m := p.of(id)
		if m.ID != older || m.Language != "de" || m.Free != annDiscord {
			t.Errorf("%s is %+v", id, m)
		}
	}
	b := p.balance(older, ledger.Payer{}, now)
	if b.Spendable != 10*ledger.Credit || b.Pending != 4*ledger.Credit || b.Earned != 4*ledger.Credit || b.Held != 2*ledger.Credit || !b.NextRelease.Equal(s.Release) {
		t.Errorf("together %+v", b)
	}
	if m, err := p.people.MemberByID(ctx, younger); err != nil || m.ID != older {
		t.Errorf("the younger number leads to %+v %v", m, err)
	}
	if ok, err := p.people.Consent(ctx, older, "notice.pool"); !ok || err != nil {
		t.Errorf("the notice is to be shown again: %v", err)
	}
	if list, err := p.jobs.Workers(ctx, older); err != nil || len(list) != 1 || list[0].ID != w.ID {
		t.Errorf("machines %+v %v", list, err)
	}
	entries, err := p.credits.History(ctx, older, 0, 50)
	p.ok(err)
	var kinds []string
	for _, e := range entries {
		kinds = append(kinds, string(e.Kind))
	}
	if want := []string{"earned", "adjusted", "adjusted"}; !slices.Equal(kinds, want) {
		t.Errorf("history %v, want %v", kinds, want)
	}

	// What began before goes on: it is paid from where it was held, and what comes back or is earned goes to the person.
	a = p.lease(running, 1)
	s = p.settlement(running, a, ledger.Credit)
	s.Earner = younger // the pool has not heard of it
	p.ok(p.jobs.Finish(ctx, s))
	stale := p.job("r3:a")
	stale.Member = younger
	stale, err = p.jobs.Submit(ctx, stale, ledger.Charge{Payer: ledger.Payer{Spend: ledger.SpendOf(younger)}, Amount: 3 * ledger.Credit}, now)
	p.ok(err)
	p.ok(p.jobs.Abandon(ctx, stale.ID, fault.New(fault.Cancelled), workers.OutcomeCancelled, now))
	if _, err := p.credits.Give(ctx, "gift", p.asker, ledger.SpendOf(younger), ledger.Credit, now); !fault.Has(err, fault.NotEnough) {
		t.Errorf("a gift of nothing: %v", err)
	}
	p.give(p.asker, ledger.Credit)
	if applied, err := p.credits.Give(ctx, "gift", p.asker, ledger.SpendOf(younger), ledger.Credit, now); err != nil || !applied {
		t.Errorf("a gift to the younger number: %v %v", applied, err)
	}
	_, err = p.credits.Give(ctx, "gift2", older, ledger.SpendOf(younger), ledger.Credit, now)
	p.refused(err, fault.Gone, "")
	for range 2 {
		if _, err := p.credits.Release(ctx, now.Add(48*time.Hour), 100); err != nil {
			t.Fatal(err)
		}
	}
	b = p.balance(older, ledger.Payer{}, now)
	if b.Spendable != 17*ledger.Credit || b.Pending != 0 || b.Held != 0 || b.Earned != 5*ledger.Credit {
		t.Errorf("in the end %+v", b) // 5 + 7 − 1 paid + 5 earned + 1 given
	}
	p.sound()

	leaders, err := p.jobs.Leaders(ctx, home, now.Add(-time.Hour), 10)
	if err != nil || len(leaders) != 1 || leaders[0].Name != "Ann" || leaders[0].Jobs != 1 || leaders[0].Earned != 4*ledger.Credit {
		t.Errorf("leaders %+v %v, want Ann with the job that somebody else asked for", leaders, err)
	}
	if bill, _, err := p.credits.Bill(ctx, first.ID); err != nil || bill.Earner != older || bill.Asker != p.asker {
		t.Errorf("the bill of %d names %d and %d: %v", first.ID, bill.Asker, bill.Earner, err)
	}

	// And apart again: what there is stays with the older one.
	fresh, err := p.links.Unlink(ctx, older, annTelegram, now)
	p.ok(err)
	if m := p.of(annTelegram); m.ID != fresh || m.Free != "" || m.Language != "de" || m.Name != "ann_t" {
		t.Errorf("who left is %+v", m)
	}
	if m := p.of(annDiscord); m.ID != older || m.Free != "" {
		t.Errorf("who stayed is %+v", m)
	}
	if b := p.balance(fresh, ledger.Payer{}, now); b != (ledger.Balance{}) {
		t.Errorf("who left has %+v", b)
	}
	if b := p.balance(older, ledger.Payer{}, now); b.Spendable != 17*ledger.Credit {
		t.Errorf("who stayed has %+v", b)
	}
	if list, err := p.jobs.Workers(ctx, fresh); err != nil || len(list) != 0 {
		t.Errorf("machines %+v %v", list, err)
	}
	p.sound()
}

// A code works once, for ten minutes, for somebody else, however many try at the same moment.
func TestLinkCodes(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	for _, id := range []community.UserID{annDiscord, annTelegram, annPage, "telegram:9"} {
		p.member(id, "x")
	}
	redeem := func(by community.UserID, code string, at time.Time) error {
		_, err := p.links.Redeem(ctx, p.request(), is(by), hashed(code), at)
		return err
	}
	request := p.begin(annDiscord, now)
	p.refused(redeem(annDiscord, request, now), fault.OwnLinkCode, "")
	p.refused(redeem(annTelegram, request, now.Add(community.LinkCodeLife)), fault.BadLinkCode, "")
	p.refused(redeem(annTelegram, request, now.Add(-time.Hour)), fault.BadLinkCode, "") // the clock was set back
	newer := p.begin(annDiscord, now)
	p.refused(redeem(annTelegram, request, now), fault.BadLinkCode, "")

	var wins, losses sync.Map
	var all sync.WaitGroup
	for i, by := range []community.UserID{annTelegram, annPage, "telegram:9", annTelegram, annPage} {
		all.Go(func() {
			if _, err := p.links.Redeem(ctx, fmt.Sprint("race", i), is(by), hashed(newer), now); err == nil {
				wins.Store(i, by)
			} else {
				losses.Store(i, err)
			}
		})
	}
	all.Wait()
	n := 0
	wins.Range(func(any, any) bool { n++; return true })
	losses.Range(func(_, err any) bool { p.refused(err.(error), fault.BadLinkCode, ""); return true })
	if n != 1 {
		t.Errorf("%d redeemed one code", n)
	}

	// The same request again, after a restart, finds what it did.
	third := p.begin(annDiscord, now)
	for range 2 {
		if l, err := p.links.Redeem(ctx, "again", is("telegram:9"), hashed(third), now); err != nil || l.State != community.LinkTyped || l.Typer.ID != "telegram:9" || l.Asker.ID != annDiscord {
			t.Errorf("%+v %v", l, err)
		}
	}
	// And so does the one that asked, which gives out another code only while the first was not typed.
	if l, err := p.links.Begin(ctx, third, is(annDiscord), hashed("other"), now); err != nil || l.State != community.LinkTyped {
		t.Errorf("%+v %v", l, err)
	}
	p.refused(redeem(annPage, "other", now), fault.BadLinkCode, "")
	fourth := p.begin(annDiscord, now)
	if l, err := p.links.Begin(ctx, fourth, is(annDiscord), hashed("anew"), now); err != nil || l.State != community.LinkOpen {
		t.Errorf("%+v %v", l, err)
	}
	p.refused(redeem(annPage, fourth, now), fault.BadLinkCode, "")
	p.ok(redeem(annPage, "anew", now))
	if _, known, err := p.links.Link(ctx, "nothing", now); known || err != nil {
		t.Errorf("a link that nobody began: %v", err)
	}
}

// Nobody is connected by one side alone, by a side that it is not about, or too late.
func TestBothSidesConfirm(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	p.member(annDiscord, "Ann")
	p.member(annTelegram, "ann_t")
	p.member("telegram:666", "Eve")
	join := func(request string, by community.UserID, at time.Time) error {
		_, err := p.links.Join(ctx, request, by, at)
		return err
	}
	request := p.begin(annDiscord, now)
	p.refused(p.links.Agree(ctx, request, annTelegram, now), fault.Gone, "")
	p.refused(join(request, annDiscord, now), fault.Gone, "")
	_, err := p.links.Redeem(ctx, p.request(), is(annTelegram), hashed(request), now)
	p.ok(err)
	p.refused(join(request, annDiscord, now), fault.Gone, "")
	p.refused(p.links.Agree(ctx, request, annDiscord, now), fault.Gone, "")
	p.refused(p.links.Agree(ctx, request, "telegram:666", now), fault.Gone, "")
	p.ok(p.links.Refuse(ctx, request, "telegram:666", now))
	p.ok(p.links.Agree(ctx, request, annTelegram, now))
	p.ok(p.links.Agree(ctx, request, annTelegram, now))
	p.refused(join(request, annTelegram, now), fault.Gone, "")
	p.refused(join(request, "telegram:666", now), fault.Gone, "")
	p.refused(join(request, annDiscord, now.Add(community.LinkLife)), fault.Gone, "")
	p.ok(join(request, annDiscord, now.Add(community.LinkLife-time.Second)))
	p.ok(join(request, annDiscord, now))
	p.ok(p.links.Refuse(ctx, request, annTelegram, now))
	if l, _, err := p.links.Link(ctx, request, now); err != nil || l.State != community.LinkJoined {
		t.Errorf("%+v %v", l, err)
	}
	no := p.agreed(annDiscord, "telegram:666", now)
	p.ok(p.links.Refuse(ctx, no, annDiscord, now))
	p.refused(join(no, annDiscord, now), fault.Gone, "")
	gone := p.agreed(annDiscord, "telegram:666", now)
	if _, err := p.people.Forget(ctx, p.of("telegram:666").ID, []community.UserID{"telegram:666"}, home, now); err != nil {
		t.Fatal(err)
	}
	p.refused(join(gone, annDiscord, now), fault.Gone, "")
	p.sound()
}

// The Forget button of one account erased the other, too, when the two were connected while it worked.
func TestForgettingErasesOnlyWhomItShowed(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	for _, id := range []community.UserID{annDiscord, annTelegram, annPage} {
		p.member(id, "x")
	}
	older, younger := p.of(annDiscord).ID, p.of(annTelegram).ID
	shown := p.identities(younger)
	waits := []string{p.agreed(annDiscord, annTelegram, now), p.begin(annTelegram, now)}
	other := p.agreed(annDiscord, annPage, now)
	waits = append(waits, p.agreed(annPage, annTelegram, now))
	p.refused(p.links.Leave(ctx, older, shown, now), fault.Gone, "")
	p.ok(p.links.Leave(ctx, younger, shown, now))
	for _, request := range waits {
		if l, _, err := p.links.Link(ctx, request, now); err != nil || l.State != community.LinkRefused {
			t.Errorf("left %+v %v", l, err)
		}
	}
	if l, _, err := p.links.Link(ctx, other, now); err != nil || l.State != community.LinkAgreed {
		t.Errorf("that of others is %+v %v", l, err)
	}

	p.connect(annDiscord, annTelegram, now)
	p.give(older, 3*ledger.Credit)
	p.refused(p.links.Leave(ctx, younger, shown, now), fault.Gone, "")
	_, err := p.people.Forget(ctx, younger, shown, home, now) // as it was asked before the two became one
	p.refused(err, fault.Gone, "")
	if b := p.balance(older, ledger.Payer{}, now); p.of(annDiscord).ID != older || b.Spendable != 3*ledger.Credit {
		t.Errorf("member %d has %+v", p.of(annDiscord).ID, b)
	}
	p.sound()
}

func TestWhoMayNotBeConnected(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	code := func(asker community.UserID) string { return p.begin(asker, now) }
	redeem := func(by community.UserID, code string) error {
		_, err := p.links.Redeem(ctx, p.request(), is(by), hashed(code), now)
		return err
	}
	olga, ken := p.member("discord:10", "Olga"), p.member("telegram:10", "Ken")
	p.ok(p.people.MakeOperator(ctx, olga))
	p.refused(redeem("telegram:10", code("discord:10")), fault.LinkRefused, "operator")
	p.refused(redeem("discord:10", code("telegram:10")), fault.LinkRefused, "operator")
	// Also when the role came in between.
	nina := p.member("discord:11", "Nina")
	agreed := p.agreed("discord:11", "telegram:10", now)
	p.ok(p.people.MakeOperator(ctx, nina))
	_, err := p.links.Join(ctx, agreed, "discord:11", now)
	p.refused(err, fault.LinkRefused, "operator")
	p.ok(p.people.SetBlocked(ctx, ken, true))
	p.member("discord:12", "Max")
	p.refused(redeem("discord:12", code("telegram:10")), fault.LinkRefused, "blocked")

	// Two operators may, and who leaves is none.
	p.connect("discord:10", "discord:11", now)
	if !p.of("discord:11").Operator {
		t.Error("an operator lost the role by connecting")
	}
	_, err = p.links.Unlink(ctx, olga, "discord:11", now)
	p.ok(err)
	if p.of("discord:11").Operator || !p.of("discord:10").Operator {
		t.Error("the operator's role left")
	}

	// One person has a few accounts, not any number.
	for i := range 7 {
		id := community.UserID(fmt.Sprint("page:", i))
		p.member(id, "tab")
		p.connect("discord:12", id, now.Add(time.Duration(i)*24*time.Hour))
	}
	p.refused(redeem("page:3", code("discord:12")), fault.LinkRefused, "already")
	p.member("page:8", "tab")
	_, err = p.links.Redeem(ctx, p.request(), is("page:8"), hashed(p.begin("discord:12", now.Add(240*time.Hour))), now.Add(240*time.Hour))
	p.refused(err, fault.LinkRefused, "many")
	p.sound()
}

// A code has 40 bits, and who guesses is slowed down, alone and with others.
func TestGuessingCodesIsSlow(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	guess := func(by community.UserID, at time.Time) error {
		_, err := p.links.Redeem(ctx, p.request(), is(by), hashed(p.request()), at)
		return err
	}
	for range 5 {
		p.refused(guess(annTelegram, now), fault.BadLinkCode, "")
	}
	p.refused(guess(annTelegram, now), fault.LinkTries, "")
	p.member(annDiscord, "Ann")
	p.member(annTelegram, "ann_t")
	request := p.begin(annDiscord, now)
	_, err := p.links.Redeem(ctx, p.request(), is(annTelegram), hashed(request), now)
	p.refused(err, fault.LinkTries, "")
	_, err = p.links.Redeem(ctx, p.request(), is(annTelegram), hashed(request), now.Add(10*time.Minute-time.Second))
	p.refused(err, fault.LinkTries, "")
	p.refused(guess(annTelegram, now.Add(10*time.Minute)), fault.BadLinkCode, "")
	for i := range 295 {
		p.refused(guess(community.UserID(fmt.Sprint("page:bot", i)), now), fault.BadLinkCode, "")
	}
	p.refused(guess(annPage, now), fault.LinkTries, "")
	p.refused(guess(annPage, now.Add(time.Minute)), fault.BadLinkCode, "")
}

// Connecting and disconnecting all day gives nobody more free credits than the accounts have by themselves, and takes none away for good.
func TestConnectingMakesNoFreeCredits(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	p.member(annDiscord, "Ann")
	p.member(annTelegram, "ann_t")
	const daily = 10 * ledger.Credit
	payer := func(id community.UserID) ledger.Payer {
		m := p.of(id)
		if m.Free != "" {
			id = m.Free
		}
		return ledger.Payer{Allowance: ledger.AllowanceOf(id), Daily: daily, Spend: ledger.SpendOf(m.ID)}
	}
	spent := ledger.Amount(0)
	spend := func(id community.UserID) (all ledger.Amount) {
		for p.of(id).ID != 0 {
			j := p.job(p.request() + ":a")
			j.Member = p.of(id).ID
			j, err := p.jobs.Submit(ctx, j, ledger.Charge{Payer: payer(id), Amount: ledger.Credit}, now)
			if fault.Has(err, fault.NoCredit) {
				break
			}
			p.ok(err)
			p.ok(p.jobs.Finish(ctx, p.settlement(j, p.lease(j, 1), ledger.Credit)))
			all += ledger.Credit
		}
		spent += all
		return all
	}
	cycles := 0
	for ; ; cycles++ {
		request := p.begin(annDiscord, now)
		_, err := p.links.Redeem(ctx, p.request(), is(annTelegram), hashed(request), now)
		if err != nil {
			p.refused(err, fault.LinkRefused, "often")
			break
		}
		p.ok(p.links.Agree(ctx, request, annTelegram, now))
		m, err := p.links.Join(ctx, request, annDiscord, now)
		p.ok(err)
		spend(annDiscord)
		spend(annTelegram)
		_, err = p.links.Unlink(ctx, m, annTelegram, now)
		p.ok(err)
		if cycles > 0 {
			spend(annTelegram)
		}
	}
	if cycles != 5 || spent != 2*daily {
		t.Errorf("%d in %d rounds, want that of two accounts, %d", spent, cycles, 2*daily)
	}
	tomorrow := now.Add(24 * time.Hour)
	m := p.connect(annTelegram, annDiscord, tomorrow)
	if b := p.balance(m, payer(annTelegram), tomorrow); b.Free != daily || b.Daily != daily || p.of(annTelegram).Free != annDiscord {
		t.Errorf("the next day %+v", b)
	}
	// Sessions of the page have none of their own to share.
	p.member(annPage, "Ann")
	if _, err := p.links.Unlink(ctx, m, annTelegram, tomorrow); err != nil {
		t.Fatal(err)
	}
	p.member("page:ann2", "Ann")
	p.connect(annPage, "page:ann2", tomorrow)
	if free := p.of(annPage).Free; free != "" {
		t.Errorf("two sessions of the page share %q", free)
	}
	p.sound()
}

// Whoever is blocked, everywhere or by the admins of one place, is it still after connecting and after disconnecting.
func TestBlocksSurviveConnecting(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	older, younger := p.member(annDiscord, "Ann"), p.member(annTelegram, "ann_t")
	blockedAt := func(m community.MemberID) bool {
		_, ok, err := p.people.Setting(ctx, "telegram:-100", community.BlockSetting(m))
		p.ok(err)
		return ok
	}
	p.ok(p.people.SetSetting(ctx, "telegram:-100", community.BlockSetting(younger), "yes", older, now))
	p.connect(annDiscord, annTelegram, now)
	if !blockedAt(older) {
		t.Error("connecting escaped the admins of a place")
	}
	p.ok(p.people.SetBlocked(ctx, younger, true)) // by a number that was typed before
	if !p.of(annDiscord).Blocked || !p.of(annTelegram).Blocked {
		t.Error("the person is not blocked")
	}
	fresh, err := p.links.Unlink(ctx, older, annTelegram, now)
	p.ok(err)
	if m := p.of(annTelegram); !m.Blocked || !blockedAt(fresh) {
		t.Errorf("disconnecting escaped: %+v", m)
	}
}

// What was asked and answered under an account goes with it when it leaves; both see all of it while they are one, and one forgetting is for both.
func TestDataOfConnectedAccounts(t *testing.T) {
	p := newPairing(t)
	ctx := t.Context()
	requests, turns := &storage.Requests{DB: p.db}, &storage.Turns{DB: p.db}
	p.member(annDiscord, "Ann")
	p.member(annTelegram, "ann_t")
	asks := func(id community.UserID, word string) {
		q := bot.Request{
			ID: p.request(), Event: "event of " + word, Chat: community.Chat{ID: community.ChatID(community.Platform(id) + ":dm" + word), Private: true}, User: id, Member: p.of(id).ID,
			Name: "Ann", Locale: "en", Command: "ask", Args: []byte(`"` + word + `"`), State: bot.Delivered, Created: now,
		}
		if ok, err := requests.Accept(ctx, q); !ok || err != nil {
			t.Fatal(ok, err)
		}
		p.ok(turns.SaveTurn(ctx, ask.Turn{Request: q.ID, Chat: q.Chat.ID, Member: q.Member, Question: word, Answer: "it is " + word, At: now}))
		p.ok(requests.SaveActions(ctx, []bot.Action{{ID: "button " + word, Name: "again", Request: q.ID, Owner: q.Member, Expires: now.Add(time.Hour)}}))
	}
	knows := func(m community.MemberID) (words []string) {
		e, err := p.people.Export(ctx, m, now)
		p.ok(err)
		all, err := json.Marshal(e)
		p.ok(err)
		for _, word := range []string{"soup", "bread", "salad"} {
			if strings.Contains(string(all), "it is "+word) && strings.Contains(string(all), `"typed":"`+word) {
				words = append(words, word)
			}
		}
		if e.Buttons != len(words) {
			t.Errorf("%d buttons, %d conversations", e.Buttons, len(words))
		}
		return words
	}
	asks(annDiscord, "soup")
	asks(annTelegram, "bread")
	m := p.connect(annDiscord, annTelegram, now)
	asks(annTelegram, "salad")
	for _, m := range []community.MemberID{m, 4} { // an address that was made before leads to the same
		if got := knows(m); len(got) != 3 {
			t.Errorf("together they have %v as member %d", got, m)
		}
	}
	if a, ok, err := requests.Action(ctx, "button bread"); !ok || err != nil || a.Owner != m {
		t.Errorf("a button from before is that of %+v: %v", a, err)
	}
	fresh, err := p.links.Unlink(ctx, m, annTelegram, now)
	p.ok(err)
	if got := knows(fresh); !slices.Equal(got, []string{"bread", "salad"}) {
		t.Errorf("who left has %v", got)
	}
	if got := knows(m); !slices.Equal(got, []string{"soup"}) {
		t.Errorf("who stayed has %v", got)
	}
	m = p.connect(annDiscord, annTelegram, now)
	p.give(m, 3*ledger.Credit)
	if _, err := p.people.Forget(ctx, m, p.identities(m), home, now); err != nil {
		t.Fatal(err)
	}
	for _, id := range []community.UserID{annDiscord, annTelegram} {
		if _, known, err := p.people.MemberOf(ctx, id); known || err != nil {
			t.Errorf("%s is known still: %v", id, err)
		}
	}
	for _, word := range []string{"soup", "bread", "salad"} {
		if _, ok, err := requests.Action(ctx, "button "+word); ok || err != nil {
			t.Errorf("the button of %s is there still: %v", word, err)
		}
	}
	p.sound()
}
