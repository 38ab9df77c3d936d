package commands_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/bottest"
	"potluck/commands"
	"potluck/community"
	"potluck/ledger"
	"potluck/storage"
	"potluck/storage/storagetest"
	"potluck/workers/protocol"
)

// withLinks lets people connect accounts.
func withLinks(h *commands.House) { h.Links = &storage.Links{DB: h.Credits.(credits).DB} }

// newest waits until the newest message for somebody says want.
func (s *stand) newest(local, want string) bottest.Message {
	s.t.Helper()
	var m bottest.Message
	_, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool {
		for i := len(all) - 1; i >= 0; i-- {
			if all[i].Only == s.platform.User(local) {
				m = all[i]
				return strings.Contains(m.Text.Plain, want)
			}
		}
		return false
	})
	if err != nil {
		s.t.Fatalf("waiting until %s reads %q: %v: %q", local, want, err, m.Text.Plain)
	}
	return m
}

// types has somebody type without waiting for the answer.
func (s *stand) types(local, locale, text string) {
	s.t.Helper()
	s.emit(bot.Event{Text: bot.Plain(text), User: s.platform.User(local), Name: strings.ToUpper(local[:1]) + local[1:], Locale: locale})
}

func (s *stand) presses(m bottest.Message, label string) {
	s.t.Helper()
	s.pressAs(m, community.Local(m.Only), label, community.Everyone)
}

// answered has somebody type and returns the final answer.
func (s *stand) answered(local, text string) bottest.Message {
	s.t.Helper()
	before := len(s.platform.Messages(""))
	s.types(local, "", text)
	all, err := s.platform.Wait(s.ctx, "", func(all []bottest.Message) bool { return len(all) > before && all[before].Final })
	if err != nil {
		s.t.Fatalf("%s: %v", text, err)
	}
	return all[before]
}

var linkCode = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`)

// code has somebody ask for a code.
func (s *stand) code(local string) (m bottest.Message, code string) {
	s.t.Helper()
	s.types(local, "", "/link")
	m = s.newest(local, "works once")
	return m, linkCode.FindString(m.Text.Plain)
}

// unhurried is a message without what differs from run to run.
func unhurried(m bottest.Message) string {
	text := linkCode.ReplaceAllString(shown(m), "K7QM-2XPD")
	text = regexp.MustCompile(`\d+ min( \d+ s)?`).ReplaceAllString(text, "10 min")
	return regexp.MustCompile(`<timestamp \d+>\d\d:\d\d UTC`).ReplaceAllString(text, "<timestamp>12:10 UTC")
}

// Both sides see who the other is and what follows, both confirm, both are told; then each has what both had, and going apart changes nothing of that.
func TestTwoAccountsBecomeOneAndTwoAgain(t *testing.T) {
	y := openYard(t, withLinks)
	y.mints("ann", 5*ledger.Credit)
	y.mints("bob", 7*ledger.Credit)
	y.links("bob", "Attic PC", true)
	var b strings.Builder
	note := func(who string, m bottest.Message) { fmt.Fprintf(&b, "--- %s\n%s", who, unhurried(m)) }

	asked, code := y.code("ann")
	note("ann: /link", asked)
	y.types("bob", "", "/link code:"+strings.ToLower(code))
	typed := y.newest("bob", "Is that you")
	note("bob: /link code:", typed)
	note("ann, meanwhile", y.newest("ann", "has typed the code"))
	y.presses(typed, "Yes, that is me")
	note("bob agreed", y.newest("bob", "go back"))
	confirm := y.newest("ann", "wants to be connected")
	note("ann, asked", confirm)
	y.presses(confirm, "Yes, connect")
	note("ann, at the end", y.stand.changed(asked, "Connected."))
	note("bob, at the end", y.stand.changed(typed, "Connected."))
	for _, who := range []string{"ann", "bob"} {
		if m := y.member(who); m.ID != y.member("ann").ID {
			t.Errorf("%s is member %d", who, m.ID)
		}
	}
	y.sound()

	list := y.answered("bob", "/unlink")
	note("bob: /unlink", list)
	ask := y.changed(list, list.Buttons[0].Label, "It begins anew")
	note("bob, asked", ask)
	back := y.changed(ask, "Keep it", "one person to me")
	done := y.changed(y.changed(back, back.Buttons[0].Label, "It begins anew"), "Disconnect", "somebody of their own")
	note("bob, disconnected", done)
	note("bob: /unlink", y.answered("bob", "/unlink"))
	for _, c := range []struct{ who, text, want string }{
		{"bob", "/credits", "credits: 0"}, {"ann", "/credits", "credits: 12"}, {"ann", "/worker list", "Attic PC"}, {"bob", "/worker list", "/worker link"},
	} {
		if m := y.answered(c.who, c.text); !strings.Contains(m.Text.Plain, c.want) {
			t.Errorf("%s %s: %q", c.who, c.text, m.Text.Plain)
		}
	}
	y.sound()
	golden(t, "link", b.String())
}

// Every text of the two commands in every language.
func TestLinkInEveryLanguage(t *testing.T) {
	var b strings.Builder
	for _, lang := range commands.Languages() {
		y := openYard(t, withLinks)
		note := func(m bottest.Message) { fmt.Fprintf(&b, "--- %s\n%s", lang, unhurried(m)) }
		show := func(local string, n int) bottest.Message { // once that person's newest message has n buttons
			t.Helper()
			var m bottest.Message
			_, err := y.platform.Wait(y.ctx, "", func(all []bottest.Message) bool {
				for _, one := range all {
					if one.Only == y.platform.User(local) {
						m = one
					}
				}
				return m.ID != "" && len(m.Buttons) == n
			})
			if err != nil {
				t.Fatal(err)
			}
			note(m)
			return m
		}
		y.types("ann", lang, "/link")
		asked := show("ann", 1)
		y.types("bob", lang, "/link "+linkCode.FindString(asked.Text.Plain))
		typed := show("bob", 2)
		y.presses(typed, typed.Buttons[0].Label)
		confirm := show("ann", 2)
		show("bob", 1)
		y.presses(confirm, confirm.Buttons[0].Label)
		show("ann", 0)
		y.types("ann", lang, "/unlink")
		list := show("ann", 1)
		y.presses(list, list.Buttons[0].Label)
		sure := show("ann", 2)
		y.presses(sure, sure.Buttons[0].Label)
		show("ann", 0)
		y.sound()
	}
	golden(t, "link.languages", b.String())
}

// Whoever says no, cancels, or asks anew ends it on both sides, and nothing is joined.
func TestNothingIsConnectedWithoutBoth(t *testing.T) {
	for name, end := range map[string]func(y *yard, asked, typed bottest.Message){
		"the typer says no":    func(y *yard, _, typed bottest.Message) { y.presses(typed, "No") },
		"the asker cancels":    func(y *yard, asked, _ bottest.Message) { y.presses(y.newest("ann", "has typed the code"), "Cancel") },
		"the asker asks again": func(y *yard, _, _ bottest.Message) { y.types("ann", "", "/link") },
		"the asker says no": func(y *yard, asked, typed bottest.Message) {
			y.presses(typed, "Yes, that is me")
			y.presses(y.newest("ann", "wants to be connected"), "No")
		},
		"the typer changes their mind": func(y *yard, _, typed bottest.Message) {
			y.presses(typed, "Yes, that is me")
			y.presses(y.newest("bob", "go back"), "Cancel")
		},
	} {
		t.Run(name, func(t *testing.T) {
			y := openYard(t, withLinks)
			asked, code := y.code("ann")
			y.types("bob", "", "/link "+code)
			typed := y.newest("bob", "Is that you")
			y.newest("ann", "has typed the code")
			end(y, asked, typed)
			y.stand.changed(asked, "Nothing was connected")
			y.stand.changed(typed, "Nothing was connected")
			if y.member("ann").ID == y.member("bob").ID {
				t.Error("they are one")
			}
		})
	}
}

// Somebody else's press connects nothing, whatever button it is: the buttons are for one identity.
func TestStrangersPressNothing(t *testing.T) {
	y := openYard(t, withLinks)
	_, code := y.code("ann")
	y.types("bob", "", "/link "+code)
	typed := y.newest("bob", "Is that you")
	y.pressAs(typed, "eve", "Yes, that is me", community.Admin)
	y.newest("eve", "belongs to somebody else")
	y.presses(typed, "Yes, that is me")
	confirm := y.newest("ann", "wants to be connected")
	for _, who := range []string{"eve", "bob"} {
		y.pressAs(confirm, who, "Yes, connect", community.Admin)
		y.newest(who, "belongs to somebody else")
	}
	if y.member("ann").ID == y.member("bob").ID {
		t.Fatal("they are one")
	}
}

func TestWrongCodesSayWhatToDo(t *testing.T) {
	y := openYard(t, withLinks)
	_, code := y.code("ann")
	for _, c := range []struct{ who, typed, want string }{
		{"ann", code, "Type it on the other side"},
		{"bob", "hello", "Type `/link` on the other side"},
		{"bob", "ZZZZ-ZZZZ", "Type `/link` on the other side"},
	} {
		if m := y.answered(c.who, "/link "+c.typed); !strings.Contains(m.Text.Plain, strings.ReplaceAll(c.want, "`", "")) {
			t.Errorf("%s %s: %q", c.who, c.typed, m.Text.Plain)
		}
	}
	y.types("bob", "", "/link "+code)
	y.newest("bob", "Is that you")
	if m := y.answered("eve", "/link "+code); !strings.Contains(m.Text.Plain, "used already") {
		t.Errorf("a code twice: %q", m.Text.Plain)
	}
	for range 5 {
		y.answered("mallory", "/link "+protocol.NewCode())
	}
	if m := y.answered("mallory", "/link "+protocol.NewCode()); !strings.Contains(m.Text.Plain, "Too many wrong codes") {
		t.Errorf("guessing: %q", m.Text.Plain)
	}
}

// Whatever step a kill falls between, the next start goes on from there, and both sides are told.
func TestLinkGoesOnAfterRestarts(t *testing.T) {
	db, platform := storagetest.Open(t), bottest.New("test")
	s := openOn(t, db, platform, &services{bills: make(map[int64]commands.Bill)}, withLinks)
	restart := func() {
		s.stop()
		<-s.ended
		s = openOn(t, db, platform, &services{bills: make(map[int64]commands.Bill)}, withLinks)
	}
	asked, first := s.code("ann")
	restart()
	var code string
	if _, err := platform.Wait(s.ctx, "", func(all []bottest.Message) bool { // only the hash was kept, so it is another
		code = linkCode.FindString(all[0].Text.Plain)
		return code != "" && code != first
	}); err != nil {
		t.Fatal(err)
	}
	if m := s.answered("bob", "/link "+first); !strings.Contains(m.Text.Plain, "not one of mine") {
		t.Errorf("the code of before: %q", m.Text.Plain)
	}
	s.types("bob", "", "/link "+code)
	typed := s.newest("bob", "Is that you")
	restart()
	s.presses(s.newest("bob", "Is that you"), "Yes, that is me")
	s.newest("bob", "go back")
	restart()
	s.presses(s.newest("ann", "wants to be connected"), "Yes, connect")
	s.changed(asked, "Connected.")
	s.changed(typed, "Connected.")
	if s.member("ann").ID != s.member("bob").ID {
		t.Error("they are two")
	}
}

// Who wants to be forgotten is told that this means every connected account.
func TestForgetMeNamesConnectedAccounts(t *testing.T) {
	y := openYard(t, withLinks)
	asked, code := y.code("ann")
	y.types("bob", "", "/link "+code)
	y.presses(y.newest("bob", "Is that you"), "Yes, that is me")
	y.presses(y.newest("ann", "wants to be connected"), "Yes, connect")
	y.stand.changed(asked, "Connected.")
	m := y.answered("bob", "/forgetme")
	if !strings.Contains(m.Text.Plain, "2 connected accounts") {
		t.Errorf("%q", m.Text.Plain)
	}
	y.changed(m, "Forget me", "I have forgotten you")
	for _, who := range []string{"ann", "bob"} {
		if _, known, err := y.people.MemberOf(y.ctx, y.platform.User(who)); known || err != nil {
			t.Errorf("%s is known still: %v", who, err)
		}
	}
	y.sound()
}

// A code is of no use any more after its time, and both sides learn it.
func TestLinkExpires(t *testing.T) {
	s := open(t, func(h *commands.House) { h.Links = &hasty{Links: &storage.Links{DB: h.Credits.(credits).DB}} })
	s.types("ann", "", "/link")
	s.newest("ann", "the time was over")
}

// hasty begins links that are nearly over.
type hasty struct{ *storage.Links }

func (h *hasty) Begin(ctx context.Context, request string, by community.Identity, code [32]byte, now time.Time) (community.Link, error) {
	return h.Links.Begin(ctx, request, by, code, now.Add(-community.LinkCodeLife+50*time.Millisecond))
}

// The account that agreed to a link wanted to be forgotten, and the other side's "Yes, connect" let the forgetting take that one, too.
func TestForgettingEndsWhatIsBeingConnected(t *testing.T) {
	y := openYard(t, withLinks)
	y.mints("ann", 5*ledger.Credit)
	ann := y.member("ann").ID
	asked, code := y.code("ann")
	y.types("bob", "", "/link code:"+code)
	typed := y.newest("bob", "Is that you")
	y.presses(typed, "Yes, that is me")
	confirm := y.newest("ann", "wants to be connected")

	y.types("bob", "", "/forgetme")
	y.presses(y.newest("bob", "Do you want me to forget you"), "Forget me")
	y.newest("bob", "I have forgotten you")
	for _, m := range []bottest.Message{asked, typed} {
		if over := y.stand.changed(m, "Nothing was connected"); len(over.Buttons) != 0 {
			t.Errorf("%s", shown(over))
		}
	}
	y.presses(confirm, "Yes, connect")
	y.newest("ann", "Type ")
	if now := y.member("ann").ID; now != ann {
		t.Errorf("ann was member %d and is %d", ann, now)
	}
	y.sound()
}

// What is asked about one account is not done to two.
func TestForgettingAsksAnewWhenAccountsHaveChanged(t *testing.T) {
	y := openYard(t, withLinks)
	y.mints("ann", 5*ledger.Credit)
	y.types("bob", "", "/forgetme")
	ask := y.newest("bob", "Do you want me to forget you")
	asked, code := y.code("ann")
	y.types("bob", "", "/link code:"+code)
	y.presses(y.newest("bob", "Is that you"), "Yes, that is me")
	y.presses(y.newest("ann", "wants to be connected"), "Yes, connect")
	y.stand.changed(asked, "Connected.")
	y.presses(ask, "Forget me")
	if m := y.stand.changed(ask, "Type /forgetme again"); len(m.Buttons) != 0 || y.member("ann").ID != y.member("bob").ID {
		t.Errorf("%s", shown(m))
	}
	y.sound()
}
