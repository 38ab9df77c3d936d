package storage_test

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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

// stores is a world with every Store over it.
type stores struct {
	*world
	requests *storage.Requests
	page     *storage.Page
	turns    *storage.Turns
}

func newStores(t testing.TB) *stores {
	w := newWorld(t)
	return &stores{w, &storage.Requests{DB: w.db}, &storage.Page{DB: w.db}, &storage.Turns{DB: w.db}}
}

func same[T any](t testing.TB, what string, want, got T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}

func TestMembers(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	ada, err := w.people.Member(ctx, askerIdentity, "Ada", now)
	same(t, "known", community.Member{ID: w.asker, Name: "Ada"}, ada, err)
	ada, err = w.people.Member(ctx, askerIdentity, "Ada L.", now)
	same(t, "renamed", community.Member{ID: w.asker, Name: "Ada L."}, ada, err)
	ada, err = w.people.Member(ctx, askerIdentity, "", now)
	same(t, "without a name", community.Member{ID: w.asker, Name: "Ada L."}, ada, err)
	found, ok, err := w.people.MemberOf(ctx, askerIdentity)
	if same(t, "found", ada, found, err); !ok {
		t.Error("the owner of an identity was not found")
	}
	if m, ok, err := w.people.MemberOf(ctx, "page:stranger"); ok || err != nil || m != (community.Member{}) {
		t.Errorf("a stranger: %+v %v %v", m, ok, err)
	}
	w.ok(w.people.SetLanguage(ctx, w.asker, "ca"))
	w.ok(w.people.MakeOperator(ctx, w.asker))
	w.ok(w.people.SetBlocked(ctx, w.asker, true))
	want := community.Member{ID: w.asker, Name: "Ada L.", Language: "ca", Operator: true, Blocked: true}
	got, err := w.people.Member(ctx, askerIdentity, "Ada L.", now)
	same(t, "by identity", want, got, err)
	got, err = w.people.MemberByID(ctx, w.asker)
	same(t, "by id", want, got, err)
	ids, err := w.people.Identities(ctx, w.asker)
	same(t, "identities", []community.UserID{askerIdentity}, ids, err)
	if _, err := w.people.MemberByID(ctx, 99); !errors.Is(err, storage.ErrNoMember) {
		t.Errorf("unknown member: %v", err)
	}
	if err := w.people.SetLanguage(ctx, 99, "ca"); !errors.Is(err, storage.ErrNoMember) {
		t.Errorf("language of an unknown member: %v", err)
	}
	agreed, err := w.people.Consent(ctx, w.asker, "public")
	same(t, "consent before", false, agreed, err)
	w.ok(w.people.SetConsent(ctx, w.asker, "public", now))
	w.ok(w.people.SetConsent(ctx, w.asker, "public", now.Add(time.Hour)))
	agreed, err = w.people.Consent(ctx, w.asker, "public")
	same(t, "consent after", true, agreed, err)
	if err := w.people.SetConsent(ctx, 99, "public", now); err == nil {
		t.Error("an unknown member agreed")
	}

	// What the cache holds is what the file holds.
	w.ok(w.db.Close())
	again := &storage.People{DB: storagetest.OpenPath(t, w.db.Path())}
	got, err = again.Member(ctx, askerIdentity, "", now)
	same(t, "after opening again", want, got, err)
}

func TestChats(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	c := community.Chat{ID: "telegram:-5", Community: "telegram:-5", Name: "Family"}
	first, err := w.people.Chat(ctx, c)
	c.Row = first.Row
	same(t, "new", c, first, err)
	c.AgeRestricted, c.Private, c.Name = true, true, "Family!"
	changed, err := w.people.Chat(ctx, community.Chat{ID: c.ID, Community: c.Community, AgeRestricted: true, Private: true, Name: "Family!"})
	same(t, "changed", c, changed, err)
	w.ok(w.people.MoveChat(ctx, c.ID, "telegram:-100"))
	c.ID = "telegram:-100"
	moved, err := w.people.Chat(ctx, community.Chat{ID: c.ID, Community: c.Community, AgeRestricted: true, Private: true, Name: "Family!"})
	same(t, "moved", c, moved, err)
	old, err := w.people.Chat(ctx, community.Chat{ID: "telegram:-5"})
	if err != nil || old.Row == c.Row {
		t.Errorf("the old id still leads to row %d (%v)", old.Row, err)
	}
	w.ok(w.people.MoveChat(ctx, "telegram:-5", "telegram:-100")) // told twice
	if _, err := w.people.Chat(ctx, community.Chat{}); err == nil {
		t.Error("a chat without id is taken")
	}
}

func TestRegistry(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	hw := protocol.Hardware{OS: "linux", CPUs: 4}
	want := workers.Worker{ID: w.worker.ID, Owner: w.owner, OwnerName: "Rita", Name: "box", Key: bytes.Repeat([]byte{1}, 32), Share: true, Linked: now, Hardware: hw}
	same(t, "enrolled", want, w.worker, nil)
	got, ok, err := w.jobs.WorkerByKey(ctx, want.Key)
	same(t, "by key", want, got, err)
	if _, ok2, err := w.jobs.WorkerByKey(ctx, make([]byte, 32)); !ok || ok2 || err != nil {
		t.Errorf("by key: %v; unknown key: %v, %v", ok, ok2, err)
	}

	var code [32]byte
	enrol := func(limit int, at time.Time) error {
		return errOf(w.jobs.Enrol(ctx, code, bytes.Repeat([]byte{2}, 32), hw, limit, at))
	}
	if err := enrol(5, now); !errors.Is(err, workers.ErrBadCode) {
		t.Errorf("unknown code: %v", err)
	}
	w.ok(w.jobs.SaveJoinCode(ctx, code, w.owner, "two", false, now.Add(time.Minute)))
	if err := enrol(5, now.Add(time.Minute)); !errors.Is(err, workers.ErrBadCode) {
		t.Errorf("expired code: %v", err)
	}
	if err := enrol(1, now); !fault.Has(err, fault.TooManyWorkers) || fault.Of(err).Args["max"] != "1" {
		t.Errorf("one too many: %v", err)
	}
	w.ok(enrol(2, now))
	if err := enrol(5, now); !errors.Is(err, workers.ErrBadCode) {
		t.Errorf("used code: %v", err)
	}
	if err := w.jobs.SaveJoinCode(ctx, code, 99, "x", false, now); !errors.Is(err, storage.ErrNoMember) {
		t.Errorf("code of an unknown member: %v", err)
	}

	w.ok(w.jobs.Vouch(ctx, want.ID, "page:potluck", workers.Community, w.asker, now))
	w.ok(w.jobs.Vouch(ctx, want.ID, "page:potluck", workers.Private, w.asker, now))
	w.ok(w.jobs.Vouch(ctx, want.ID, "page:other", workers.Community, w.asker, now))
	w.ok(w.jobs.Vouch(ctx, want.ID, "page:other", "", w.asker, now))
	if err := w.jobs.Vouch(ctx, 99, "page:potluck", workers.Private, w.asker, now); !errors.Is(err, storage.ErrNoWorker) {
		t.Errorf("vouch for an unknown worker: %v", err)
	}
	if err := w.jobs.Vouch(ctx, want.ID, "page:potluck", "everything", w.asker, now); err == nil {
		t.Error("an unknown class is vouched for")
	}
	w.ok(w.people.MakeOperator(ctx, w.owner))
	offers := []protocol.Offer{{Kind: protocol.Chat, Engine: "ollama", Model: "qwen3:8b", Context: 8192}}
	seen := now.Add(time.Minute)
	hw.CPUs = 8
	w.ok(w.jobs.Seen(ctx, want.ID, hw, offers, seen))
	if err := w.jobs.Seen(ctx, 99, hw, offers, seen); !errors.Is(err, storage.ErrNoWorker) {
		t.Errorf("an unknown worker was seen: %v", err)
	}
	stored, err := w.jobs.Offers(ctx, want.ID)
	same(t, "offers", offers, stored, err)
	want.Seen, want.Hardware, want.Operator, want.Vouched = seen, hw, true, map[community.CommunityID]workers.Class{"page:potluck": workers.Private}
	list, err := w.jobs.Workers(ctx, w.owner)
	if len(list) != 2 {
		t.Fatalf("%d workers, want 2 (%v)", len(list), err)
	}
	same(t, "list", want, list[0], err)
	none, err := w.jobs.Workers(ctx, w.asker)
	same(t, "list of another", nil, none, err)

	// The same key comes back to another owner: same id, and what was vouched for is not theirs.
	again := w.enrol(w.asker, want.Key)
	if again.ID != want.ID || again.Owner != w.asker || again.Vouched != nil {
		t.Errorf("moved worker %+v", again)
	}
	w.ok(w.jobs.Revoke(ctx, want.ID, now))
	w.ok(w.jobs.Revoke(ctx, want.ID, now))
	if err := w.jobs.Revoke(ctx, 99, now); !errors.Is(err, storage.ErrNoWorker) {
		t.Errorf("unknown worker revoked: %v", err)
	}
	got, ok, err = w.jobs.WorkerByKey(ctx, want.Key)
	if err != nil || !ok || !got.Revoked {
		t.Errorf("revoked %+v, %v, %v", got, ok, err)
	}
	all, err := w.jobs.Workers(ctx, 0)
	if err != nil || len(all) != 1 {
		t.Errorf("%d workers not revoked, want 1 (%v)", len(all), err)
	}
	if back := w.enrol(w.owner, want.Key); back.ID != want.ID || back.Revoked {
		t.Errorf("linked again %+v", back)
	}
}

func (s *stores) request(id string, at time.Time) bot.Request {
	return bot.Request{
		ID: id, Event: "page:event-" + id, Chat: community.Chat{ID: "page:lobby", Community: "page:potluck", Name: "Lobby"}, User: askerIdentity, Member: s.asker, Name: "Ada", Locale: "ca",
		Role: community.Admin, Command: "imagine", Args: []byte(`{"prompt":"the plain prompt"}`), Source: "7", ReplyTo: "6", Handle: "the plain handle", Private: true,
		State: bot.Accepted, Created: at,
	}
}

// What a message asked for is found by the message, its buttons' requests behind it, whatever became of them; another chat's message of the same
// id is another one.
func TestAskedFindsWhatAMessageAskedFor(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	first, again, elsewhere, other := s.request("first", now), s.request("again", now.Add(time.Minute)), s.request("elsewhere", now), s.request("other", now)
	elsewhere.Chat.ID, other.Source = "page:new", "77"
	for _, r := range []bot.Request{again, other, elsewhere, first} {
		if ok, err := s.requests.Accept(ctx, r); !ok || err != nil {
			t.Fatalf("accept %s: %v %v", r.ID, ok, err)
		}
	}
	s.ok(s.requests.SetState(ctx, "first", bot.Delivered))
	asked := func(chat community.ChatID, m community.MessageID) (ids []string) {
		t.Helper()
		list, err := s.requests.Asked(ctx, chat, m)
		s.ok(err)
		for _, r := range list {
			if r.Source != m || r.Chat.ID != chat || string(r.Args) != `{"prompt":"the plain prompt"}` {
				t.Errorf("asked by %s in %s: %+v", m, chat, r)
			}
			ids = append(ids, r.ID)
		}
		return ids
	}
	for _, c := range []struct {
		chat community.ChatID
		m    community.MessageID
		want []string
	}{{"page:lobby", "7", []string{"first", "again"}}, {"page:new", "7", []string{"elsewhere"}}, {"page:lobby", "77", []string{"other"}}, {"page:lobby", "6", nil}, {"page:none", "7", nil}} {
		same(t, fmt.Sprintf("asked by %s in %s", c.m, c.chat), c.want, asked(c.chat, c.m), nil)
	}
}

func TestRequests(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	accept := func(r bot.Request, want bool) {
		t.Helper()
		if ok, err := s.requests.Accept(ctx, r); err != nil || ok != want {
			t.Errorf("accept %s: %v, %v; want %v", r.ID, ok, err, want)
		}
	}
	b, a := s.request("b", now.Add(time.Second)), s.request("a", now)
	accept(b, true)
	accept(a, true)
	accept(a, false)
	twin := s.request("other", now)
	twin.Event = a.Event
	accept(twin, false)
	chat, err := s.people.Chat(ctx, a.Chat)
	s.ok(err)
	a.Chat.Row, b.Chat.Row = chat.Row, chat.Row
	list, err := s.requests.Unfinished(ctx)
	same(t, "unfinished", []bot.Request{a, b}, list, err)
	s.ok(s.requests.SetReply(ctx, "a", []community.MessageID{"8", "9"}))
	s.ok(s.requests.SetState(ctx, "a", bot.Stopped))
	a.Reply, a.State = []community.MessageID{"8", "9"}, bot.Stopped
	got, ok, err := s.requests.Request(ctx, "a")
	same(t, "stopped", a, got, err)
	s.ok(s.requests.SetState(ctx, "a", bot.Withdrawn))
	s.ok(s.requests.SetState(ctx, "a", bot.Stopped)) // a Stop pressed meanwhile said "Stopped." below what was deleted
	list, err = s.requests.Unfinished(ctx)
	a.State = bot.Withdrawn
	same(t, "withdrawn, and to be ended still", []bot.Request{a, b}, list, err)
	s.ok(s.requests.SetState(ctx, "a", bot.Delivered))
	s.ok(s.requests.SetState(ctx, "a", bot.Accepted))
	got, _, err = s.requests.Request(ctx, "a")
	same(t, "delivered stays", bot.Delivered, got.State, err)
	list, err = s.requests.Unfinished(ctx)
	same(t, "unfinished", []bot.Request{b}, list, err)
	if _, ok2, err := s.requests.Request(ctx, "nobody"); !ok || ok2 || err != nil {
		t.Errorf("unknown request: %v %v", ok2, err)
	}
	for what, err := range map[string]error{"reply": s.requests.SetReply(ctx, "nobody", nil), "state": s.requests.SetState(ctx, "nobody", bot.Stopped)} {
		if !errors.Is(err, storage.ErrNoRequest) {
			t.Errorf("%s of an unknown request: %v", what, err)
		}
	}
	for _, by := range []int{1, 1, -1, 1} {
		_, err := s.requests.CountStart(ctx, "b", by)
		s.ok(err)
	}
	starts, err := s.requests.CountStart(ctx, "b", 1)
	same(t, "starts", 3, starts, err)
	if _, err := s.requests.CountStart(ctx, "nobody", 1); !errors.Is(err, storage.ErrNoRequest) {
		t.Errorf("start of an unknown request: %v", err)
	}
	if err := s.requests.SetState(ctx, "b", "lost"); err == nil {
		t.Error("an unknown state is taken")
	}

	stop := bot.Action{ID: "act1", Name: "stop", Request: "a", Data: []byte("the plain action"), Owner: s.asker, Expires: now.Add(time.Hour)}
	more := bot.Action{ID: "act2", Name: "more", Request: "a", Expires: now.Add(time.Hour)}
	s.ok(s.requests.SaveActions(ctx, []bot.Action{stop, more}))
	s.ok(s.requests.SaveActions(ctx, nil))
	action, _, err := s.requests.Action(ctx, "act1")
	same(t, "action", stop, action, err)
	s.ok(s.requests.DropActions(ctx, "a", "stop"))
	if _, ok, err := s.requests.Action(ctx, "act1"); ok || err != nil {
		t.Errorf("dropped action: %v %v", ok, err)
	}
	action, _, err = s.requests.Action(ctx, "act2")
	same(t, "the other action", more, action, err)
	s.ok(s.requests.DropActions(ctx, "a"))
	if _, ok, err := s.requests.Action(ctx, "act2"); ok || err != nil {
		t.Errorf("dropped actions: %v %v", ok, err)
	}

	s.ok(s.requests.SaveActions(ctx, []bot.Action{stop}))
	s.ok(s.requests.Sent(ctx, "page:lobby", []community.MessageID{"8", "9"}, "a", now))
	s.ok(s.requests.Sent(ctx, "page:new", []community.MessageID{"8"}, "b", now))
	for _, c := range []struct {
		chat community.ChatID
		m    community.MessageID
		want string
	}{{"page:lobby", "9", "a"}, {"page:new", "8", "b"}, {"page:new", "9", ""}, {"page:none", "8", ""}} {
		got, ok, err := s.requests.RequestOf(ctx, c.chat, c.m)
		if got != c.want || ok != (c.want != "") || err != nil {
			t.Errorf("request of %s/%s: %q %v %v", c.chat, c.m, got, ok, err)
		}
	}
	s.ok(s.requests.Forget(ctx, now))
	if _, ok, _ := s.requests.Request(ctx, "a"); !ok {
		t.Error("forgotten too early")
	}
	s.ok(s.requests.Forget(ctx, now.Add(2*time.Hour)))
	_, okA, _ := s.requests.Request(ctx, "a")
	_, okB, _ := s.requests.Request(ctx, "b")
	_, okAction, _ := s.requests.Action(ctx, "act1")
	_, okSent, _ := s.requests.RequestOf(ctx, "page:lobby", "9")
	if okA || !okB || okAction || okSent {
		t.Errorf("after Forget: delivered %v, unfinished %v, action %v, sent %v", okA, okB, okAction, okSent)
	}
}

func TestTurns(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	var all []ask.Turn
	for i := range 5 {
		v := ask.Turn{Request: fmt.Sprint("r", i), Chat: "page:lobby", Member: s.asker, Question: fmt.Sprint("question ", i), Answer: fmt.Sprint("answer ", i), Model: "m", At: now.Add(time.Duration(i) * time.Second)}
		if i > 0 {
			v.Parent = fmt.Sprint("r", i-1)
		}
		s.ok(s.turns.SaveTurn(ctx, v))
		all = append(all, v)
	}
	all[4].Answer = ""
	s.ok(s.turns.SaveTurn(ctx, all[4])) // again, stopped
	got, err := s.turns.Turns(ctx, "r4", 10)
	same(t, "whole conversation", all, got, err)
	got, err = s.turns.Turns(ctx, "r4", 2)
	same(t, "its end", all[3:], got, err)
	got, err = s.turns.Turns(ctx, "r2", 10)
	same(t, "from the middle", all[:3], got, err)
	got, err = s.turns.Turns(ctx, "none", 10)
	same(t, "unknown", nil, got, err)
	got, err = s.turns.Turns(ctx, "r4", 0)
	same(t, "none wanted", nil, got, err)
	s.ok(s.turns.Forget(ctx, now.Add(2*time.Second)))
	got, err = s.turns.Turns(ctx, "r4", 10)
	same(t, "beginning forgotten", all[2:], got, err)
	s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: "other", Chat: "page:lobby", Member: s.owner, At: now}))
	s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: "x", Parent: "y", Chat: "page:lobby", Member: s.owner, At: now}))
	s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: "y", Parent: "x", Chat: "page:lobby", Member: s.owner, At: now}))
	if got, err = s.turns.Turns(ctx, "x", 100); err != nil || len(got) != 2 {
		t.Errorf("a circle of parents gives %d turns (%v)", len(got), err)
	}
}

func TestPage(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	session := webchat.Session{User: "page:v", Name: "Visitor", Created: now, Seen: now}
	s.ok(s.page.NewSession(ctx, [32]byte{1}, session))
	if err := s.page.NewSession(ctx, [32]byte{1}, session); err == nil {
		t.Error("one cookie for two sessions")
	}
	found, ok, err := s.page.Session(ctx, [32]byte{1})
	same(t, "session", session, found, err)
	if _, ok2, err := s.page.Session(ctx, [32]byte{2}); !ok || ok2 || err != nil {
		t.Errorf("sessions: %v, unknown %v, %v", ok, ok2, err)
	}

	hello := webchat.Message{ID: "1", Chat: "lobby", User: "page:v", Author: "Visitor", Text: bot.Plain("the plain hello"), Final: true, Nonce: "n1", At: now}
	private := webchat.Message{ID: "2", Chat: "lobby", Only: "page:v", Text: bot.Text{Plain: "for you", Spans: []bot.Span{{Start: 0, End: 3, Kind: bot.Bold}}}, At: now.Add(time.Second), ReplyTo: "1",
		Images: []webchat.Image{{Name: "h.png", Width: 8, Height: 8}}, Buttons: []bot.Button{{ID: "b", Label: "Stop"}}}
	e1, ok, err := s.page.Post(ctx, hello)
	same(t, "post", webchat.PageEvent{ID: e1.ID, Kind: webchat.MessageEvent, Message: hello, Final: hello.Final}, e1, err)
	again := hello
	again.ID = "99"
	e, ok2, err := s.page.Post(ctx, again)
	if !ok || ok2 || err != nil || e.Message.ID != "1" || e.ID != 0 {
		t.Errorf("the same nonce: %+v %v %v", e, ok2, err)
	}
	again.Chat, again.ID = "quiet", "1"
	if _, ok, err := s.page.Post(ctx, again); !ok || err != nil {
		t.Errorf("the same nonce in another chat: %v %v", ok, err)
	}
	again.Nonce = ""
	if _, _, err := s.page.Post(ctx, again); err == nil {
		t.Error("one id for two messages")
	}
	e2, _, err := s.page.Post(ctx, private)
	s.ok(err)
	if _, ok, err := s.page.Change(ctx, hello); ok || err != nil {
		t.Errorf("an edit that changes nothing: %v %v", ok, err)
	}
	hello.Text, hello.Edited, hello.Asks = bot.Plain("edited"), true, true
	e3, ok, err := s.page.Change(ctx, hello)
	same(t, "edit", webchat.PageEvent{ID: e3.ID, Kind: webchat.EditEvent, Message: hello, Final: hello.Final}, e3, err)
	if !ok || e3.ID <= e2.ID || e2.ID <= e1.ID {
		t.Errorf("events %d %d %d do not rise", e1.ID, e2.ID, e3.ID)
	}
	got, _, err := s.page.Message(ctx, "lobby", "2")
	same(t, "message", private, got, err)
	if _, ok, err := s.page.Message(ctx, "lobby", "none"); ok || err != nil {
		t.Errorf("unknown message: %v %v", ok, err)
	}
	if _, _, err := s.page.Change(ctx, webchat.Message{ID: "none", Chat: "lobby"}); !fault.Has(err, fault.Gone) {
		t.Errorf("change of an unknown message: %v", err)
	}
	first := webchat.PageEvent{ID: e1.ID, Kind: webchat.MessageEvent, Message: hello, Final: e1.Final} // the newest text
	events, err := s.page.Events(ctx, "lobby", "page:v", 0, 10)
	same(t, "events for the one", []webchat.PageEvent{first, e2, e3}, events, err)
	// An answer that grows in many edits is not repeated for each of them.
	for _, text := range []string{"edited once", "edited twice", "edited"} {
		hello.Text = bot.Plain(text)
		older := e3.ID
		e3, _, err = s.page.Change(ctx, hello)
		if s.ok(err); e3.ID <= older {
			t.Errorf("event %d after %d", e3.ID, older)
		}
	}
	events, err = s.page.Events(ctx, "lobby", "page:v", 0, 10)
	same(t, "events after more edits", []webchat.PageEvent{first, e2, e3}, events, err)
	events, err = s.page.Events(ctx, "lobby", "page:else", 0, 10)
	same(t, "events for others", []webchat.PageEvent{first, e3}, events, err)
	events, err = s.page.Events(ctx, "lobby", "page:v", e1.ID, 1)
	same(t, "the next one", []webchat.PageEvent{e2}, events, err)

	private.Deleted = true
	e4, ok, err := s.page.Change(ctx, private)
	gone := webchat.Message{ID: "2", Chat: "lobby", Only: "page:v", Deleted: true}
	same(t, "delete", webchat.PageEvent{ID: e4.ID, Kind: webchat.DeleteEvent, Message: gone}, e4, err)
	if _, ok2, err := s.page.Change(ctx, private); !ok || ok2 || err != nil {
		t.Errorf("deleted twice: %v %v", ok2, err)
	}
	private.Deleted = false
	if _, ok, err := s.page.Change(ctx, private); ok || err != nil {
		t.Errorf("a deleted message was edited: %v %v", ok, err)
	}
	events, err = s.page.Events(ctx, "lobby", "page:v", e1.ID, 10)
	same(t, "after the delete", []webchat.PageEvent{{ID: e2.ID, Kind: webchat.MessageEvent, Message: gone}, e3, e4}, events, err)
	s.ok(s.page.Forget(ctx, now.Add(time.Second)))
	events, err = s.page.Events(ctx, "lobby", "page:v", 0, 10)
	same(t, "after Forget", []webchat.PageEvent{{ID: e2.ID, Kind: webchat.MessageEvent, Message: gone}, e4}, events, err)
}

func TestPageForgetsSessionsThatNobodyUses(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	for i, user := range []community.UserID{"page:unused", "page:used", "page:owner"} { // the owner has a machine
		s.ok(s.page.NewSession(ctx, [32]byte{byte(i)}, webchat.Session{User: user, Name: "Visitor", Created: now, Seen: now}))
	}
	s.ok(s.page.SeeSession(ctx, [32]byte{1}, now.Add(time.Hour)))
	s.ok(s.page.SeeSession(ctx, [32]byte{1}, now)) // a clock that goes back takes nothing away
	s.ok(s.page.Forget(ctx, now.Add(time.Minute)))
	for i, stays := range []bool{false, true, true} {
		if v, ok, err := s.page.Session(ctx, [32]byte{byte(i)}); ok != stays || err != nil {
			t.Errorf("session %d: %+v %v %v", i, v, ok, err)
		}
	}
}

// One damaged row used to keep the whole house from starting.
func TestDamagedRowsStopNothing(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	for _, id := range []string{"bad", "good"} {
		if ok, err := s.requests.Accept(ctx, s.request(id, now)); !ok || err != nil {
			t.Fatal(ok, err)
		}
		s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: id, Parent: map[string]string{"good": "bad"}[id], Chat: "page:lobby", Question: "q", Answer: "a", At: now}))
		if _, _, err := s.page.Post(ctx, webchat.Message{ID: community.MessageID(id), Chat: "lobby", Text: bot.Plain("hello"), At: now}); err != nil {
			t.Fatal(err)
		}
		s.submit(id+":ask", 2*ledger.Credit)
	}
	leased := s.submit("bad:leased", 2*ledger.Credit)
	s.lease(leased, 1)
	raw, err := sql.Open("sqlite3", s.db.Path())
	s.ok(err)
	defer raw.Close()
	_, err = raw.Exec(`
		UPDATE requests SET args_sealed = x'01' WHERE id = 'bad';
		UPDATE turns SET answer_sealed = x'01' WHERE request = 'bad';
		UPDATE page_messages SET body_sealed = x'01' WHERE id = 'bad';
		UPDATE jobs SET payload_sealed = x'01' WHERE key LIKE 'bad:%'`)
	s.ok(err)

	list, err := s.requests.Unfinished(ctx)
	if err != nil || len(list) != 2 || list[0].ID != "bad" || list[0].Args != nil || list[1].Args == nil {
		t.Errorf("unfinished: %+v %v", list, err)
	}
	jobs, attempts, err := s.jobs.Open(ctx)
	if err != nil || len(jobs) != 1 || jobs[0].Key != "good:ask" || len(attempts) != 0 {
		t.Errorf("open: %d jobs, %d attempts, %v", len(jobs), len(attempts), err)
	}
	if b := s.balance(s.asker, s.payer, now); b.Held != 2*ledger.Credit {
		t.Errorf("what cannot be done is refunded: %+v", b)
	}
	s.sound()
	turns, err := s.turns.Turns(ctx, "good", 10)
	if err != nil || len(turns) != 1 || turns[0].Request != "good" {
		t.Errorf("turns: %+v %v", turns, err)
	}
	events, err := s.page.Events(ctx, "lobby", "", 0, 10)
	if err != nil || len(events) != 2 || !events[0].Message.Deleted || events[1].Message.Text.Plain != "hello" {
		t.Errorf("events: %+v %v", events, err)
	}
	again := webchat.Message{ID: "bad", Chat: "lobby", Text: bot.Plain("as new"), At: now}
	if _, ok, err := s.page.Change(ctx, again); !ok || err != nil {
		t.Errorf("an edit mends it: %v %v", ok, err)
	}
	if m, _, err := s.page.Message(ctx, "lobby", "bad"); err != nil || m.Text.Plain != "as new" {
		t.Errorf("message: %+v %v", m, err)
	}
}

// writeSecrets writes a text into every sealed column and returns the texts.
func (s *stores) writeSecrets() []string {
	ctx := s.t.Context()
	j := s.submit("req:ask", 0)
	s.ok(s.jobs.Finish(ctx, s.settlement(j, s.lease(j, 1), 0)))
	failed := s.submit("req:fails", 0)
	s.ok(s.jobs.Abandon(ctx, failed.ID, fault.New(fault.BadOption, "value", "the plain failure"), workers.OutcomeRequest, now))
	s.ok(errOf(s.requests.Accept(ctx, s.request("r", now))))
	s.ok(s.requests.SaveActions(ctx, []bot.Action{{ID: "act", Name: "stop", Request: "r", Data: []byte("the plain action"), Expires: now}}))
	s.ok(s.turns.SaveTurn(ctx, ask.Turn{Request: "r", Chat: "page:lobby", Question: "the plain turn question", Answer: "the plain turn answer", At: now}))
	if _, _, err := s.page.Post(ctx, webchat.Message{ID: "1", Chat: "lobby", Text: bot.Plain("the plain hello"), At: now}); err != nil {
		s.t.Fatal(err)
	}
	if _, _, err := s.page.Change(ctx, webchat.Message{ID: "1", Chat: "lobby", Text: bot.Plain("the plain edit"), At: now}); err != nil {
		s.t.Fatal(err)
	}
	return []string{"the plain", "picture bytes", "cGljdHVyZSBieXRlcw"}
}

func TestNameIsGivenOnce(t *testing.T) {
	s := newStores(t)
	ctx := t.Context()
	code := [32]byte{7}
	owner, err := s.people.Member(ctx, "page:rita", "Rita", now)
	s.ok(err)
	s.ok(s.jobs.SaveJoinCode(ctx, code, owner.ID, "", false, now.Add(time.Minute)))
	w, err := s.jobs.Enrol(ctx, code, bytes.Repeat([]byte{7}, 32), protocol.Hardware{}, 3, now)
	s.ok(err)
	s.ok(s.jobs.Name(ctx, w.ID, "RTX 3060"))
	s.ok(s.jobs.Revoke(ctx, w.ID, now))
	s.ok(s.jobs.Name(ctx, w.ID, "another"))
	if got, _, err := s.jobs.WorkerByKey(ctx, w.Key); err != nil || got.Name != "RTX 3060" || !got.Revoked {
		t.Errorf("%q, revoked %v, %v", got.Name, got.Revoked, err)
	}
}
