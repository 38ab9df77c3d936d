package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"potluck/bot/discord/fakediscord"
	"potluck/bot/telegram/fakebotapi"
)

// The groups of these tests and who is in them.
const (
	telegramClub  = int64(-1001000)
	telegramForum = int64(-1002000)
	telegramTopic = int64(45)
	telegramOlga  = int64(301) // operator, and administrator of both
	telegramGail  = int64(302)
)

// group is a kitchen that is also on a Telegram.
type group struct {
	*kitchen
	fake    *fakebotapi.Server
	environ []string
}

// openGroup starts the real bot as a process of its own, on a fake Telegram with privacy mode on, with a machine that shows the demonstration
// engine and is trusted with private text, as the operator's own.
func openGroup(t *testing.T) *group {
	t.Helper()
	fake := fakebotapi.Listen(t)
	fake.Privacy = true
	fake.AddUser(fakebotapi.User{ID: telegramOlga, FirstName: "Olga", Started: true})
	fake.AddUser(fakebotapi.User{ID: telegramGail, FirstName: "Gail", LanguageCode: "de", Started: true})
	fake.AddChat(fakebotapi.Chat{ID: telegramClub, Type: "supergroup", Title: "Kitchen", Admins: []int64{telegramOlga}})
	fake.AddChat(fakebotapi.Chat{ID: telegramForum, Type: "supergroup", Title: "Forum", IsForum: true, Admins: []int64{telegramOlga}})
	g := &group{fake: fake, environ: []string{
		"POTLUCK_TELEGRAM_TOKEN=" + fakebotapi.Token, "POTLUCK_TELEGRAM_API_BASE=" + fake.Base(), "POTLUCK_TELEGRAM_DEMO_ENGINE=true",
		fmt.Sprint("POTLUCK_TELEGRAM_OPERATORS=", telegramOlga), "POTLUCK_LIMITS_PER_MINUTE=600",
	}}
	g.kitchen = openKitchen(t, g.environ...)
	g.lend(g.operator, "tower", demoKitchen)
	g.bot.said(g.bot.errs, "connected to Telegram")
	return g
}

// restart starts the bot again after a kill.
func (g *group) restart(environ ...string) {
	g.t.Helper()
	g.startBot(append(slices.Clone(g.environ), environ...)...)
	g.bot.said(g.bot.errs, "connected to Telegram")
}

// unfinished tells whether a message of the bot is not its final.
func unfinished(m fakebotapi.Message) bool {
	stops := slices.ContainsFunc(m.Buttons(), func(b fakebotapi.Button) bool { return b.Text == "Stop" || b.Text == "Stopp" })
	return stops || m.Text == "One moment…" || strings.HasPrefix(m.Text, "Einen Moment")
}

// finals waits until a chat has n answers of the bot more than before, each of them final.
func (g *group) finals(chat int64, before, n int) []fakebotapi.Message {
	g.t.Helper()
	g.fake.Wait(fmt.Sprint(n, " final answers in ", chat), patience, func() bool {
		all := g.fake.FromBot(chat)
		return len(all) >= before+n && !slices.ContainsFunc(all, unfinished)
	})
	return g.fake.FromBot(chat)[before:]
}

// end stops the bot and checks the ledger.
func (g *group) end() {
	g.t.Helper()
	g.close()
	if errs := g.bot.errs.String(); strings.Contains(errs, "fake-token") || strings.Contains(errs, "why is the sky blue") {
		g.t.Error("the log holds the token or what people wrote")
	}
}

// typedFor is what must stand behind a command.
var typedFor = map[string]string{
	"ask": " why is the sky blue?", "imagine": " a lighthouse at dusk style:anime", "translate": " to:es Good morning, dear friends",
}

// meet lets somebody exist who has a private chat with the bot, a group, and a topic in a forum; both groups are theirs alone to administer.
// The budgets of these chats are nobody else's.
func (g *group) meet(member int64) (places [3]fakebotapi.Say) {
	g.fake.AddUser(fakebotapi.User{ID: member, FirstName: fmt.Sprint("Member ", member), LanguageCode: "de", Started: true})
	group, forum := -1_100_000-member, -1_200_000-member
	g.fake.AddChat(fakebotapi.Chat{ID: group, Type: "supergroup", Title: "Group", Admins: []int64{member}})
	g.fake.AddChat(fakebotapi.Chat{ID: forum, Type: "supergroup", Title: "Forum", IsForum: true, Admins: []int64{member}})
	return [3]fakebotapi.Say{{Chat: member, From: member}, {Chat: group, From: member}, {Chat: forum, From: member, Topic: telegramTopic}}
}

// Every command that Telegram's menus offer ends in exactly one final answer, in private, in a group with privacy mode on, and in a topic, for
// its administrators' commands, too; with the real bot, pool and worker as processes. Answers for one person alone come in private. Each command
// has chats of its own: one chat would have them wait for a minute's twenty messages.
func TestEveryCommandOnTelegram(t *testing.T) {
	t.Parallel()
	g := openGroup(t)
	g.lend(g.operator, "laptop", demoKitchen) // they draw and answer side by side
	g.lend(g.operator, "attic", demoKitchen)
	g.fake.Wait("the menus", patience, func() bool { return len(g.fake.Commands("all_chat_administrators/de")) > 10 })
	everybody := g.fake.Commands("all_private_chats/de")
	member := int64(1000)
	var all sync.WaitGroup
	for _, command := range g.fake.Commands("all_chat_administrators/de") {
		for place := range 3 {
			member++ // somebody new each time, so that a private answer is to this command
			say := g.meet(member)[place]
			say.Text = "/" + command
			if say.Chat < 0 {
				say.Text += "@" + fakebotapi.BotName
			} else if !slices.Contains(everybody, command) {
				continue
			}
			say.Text += typedFor[command]
			all.Go(func() { g.answered(say, command) })
		}
	}
	all.Wait()
	// A join string never stands in the group.
	before := len(g.fake.FromBot(telegramOlga))
	g.fake.Say(fakebotapi.Say{Chat: telegramClub, From: telegramOlga, Text: "/worker_link"})
	if m := g.finals(telegramOlga, before, 1); !regexp.MustCompile(`potluck1\.[\w.-]+`).MatchString(m[0].Text) {
		t.Errorf("%q", m[0].Text)
	}
	for _, m := range g.fake.Messages(telegramClub) {
		if strings.Contains(m.Text, "potluck1.") {
			t.Errorf("in the group: %q", m.Text)
		}
	}
	g.end()
}

// until waits for something in goroutines beside the test, which cannot end it; false: it did not come.
func (g *group) until(ok func() bool) bool {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		changed := g.fake.Changed()
		if ok() {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		}
	}
}

// answered says a command in a chat of its own and checks that one answer stands there, or the way to the one in private.
func (g *group) answered(say fakebotapi.Say, command string) {
	q := g.fake.Say(say)
	one := func(chat int64) (m fakebotapi.Message) {
		if !g.until(func() bool {
			all := g.fake.FromBot(chat)
			return len(all) > 0 && !slices.ContainsFunc(all, unfinished)
		}) {
			g.t.Errorf("%s has no final answer in %d", say.Text, chat)
			return m
		}
		all := g.fake.FromBot(chat)
		if m = all[0]; len(all) != 1 || strings.TrimSpace(m.Shown()) == "" {
			g.t.Errorf("%s: %+v", say.Text, all)
		}
		return m
	}
	m := one(say.Chat)
	if m.Topic != say.Topic || say.Chat < 0 && (m.ReplyTo == nil || m.ReplyTo.ID != q.ID) {
		g.t.Errorf("%s: %+v", say.Text, m)
	}
	led := false // to the private chat
	if b := m.Buttons(); say.Chat < 0 && len(b) == 1 && b[0].URL != "" {
		led, m = true, one(say.From)
	}
	g.t.Logf("%d %s: %.70q", say.Chat, say.Text, m.Shown())
	switch {
	case command == "imagine" && (len(m.Photo) != 1 || m.Spoiler && m.Caption == ""):
		g.t.Errorf("/imagine: %+v", m)
	case command == "ask" && !strings.Contains(m.Text, "why is the sky blue?"):
		g.t.Errorf("/ask: %q", m.Text)
	case say.Chat < 0 && !led && (command == "worker_list" || command == "status"):
		g.t.Errorf("%s is answered in the group: %+v", say.Text, m)
	}
}

// Conversation by reply and buttons, stopping, and a button that is pressed after a restart: behaviours 5, 25 and 27.
func TestConversationOnTelegram(t *testing.T) {
	t.Parallel()
	g := openGroup(t)
	say := func(text string, reply int64) {
		g.fake.Say(fakebotapi.Say{Chat: telegramClub, From: telegramGail, Text: text, ReplyTo: reply})
	}
	say("/ask why is the sky blue?", 0)
	first := g.finals(telegramClub, 0, 1)[0]
	say("and at night?", first.ID)
	second := g.finals(telegramClub, 1, 1)[0]
	if !strings.Contains(second.Text, "and at night?") {
		t.Errorf("the reply's answer is %q", second.Text)
	}
	asked, stopped := 2, ""
	for ; !strings.Contains(stopped, "Gestoppt"); asked++ { // on a busy machine the answer may be over before the button is pressed
		if asked == 10 {
			t.Fatalf("stopped: %q", stopped)
		}
		say("/ask tell me a long story", 0)
		var growing fakebotapi.Message
		g.fake.Wait("a growing answer", patience, func() bool {
			all := g.fake.FromBot(telegramClub)
			if len(all) <= asked {
				return false
			}
			growing = all[asked]
			return strings.Contains(growing.Text, "demo")
		})
		for _, b := range growing.Buttons() {
			if b.Text == "Stopp" {
				g.fake.Press(telegramClub, growing.ID, telegramGail, b.Data)
			}
		}
		stopped = g.finals(telegramClub, asked, 1)[0].Text
	}
	if code := g.bot.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	g.restart()
	again := ""
	for _, b := range first.Buttons() {
		if b.Text == "Neu generieren" {
			again = b.Data
		}
	}
	if again == "" {
		t.Fatalf("%+v", first.Buttons())
	}
	g.fake.Press(telegramClub, first.ID, telegramGail, again)
	if m := g.finals(telegramClub, asked, 1)[0]; !strings.Contains(m.Text, "why is the sky blue?") {
		t.Errorf("asked again: %q", m.Text)
	}
	g.end()
}

// A machine that is killed in the middle of its answer is invisible except for the time that it takes: one answer, whole, in the message
// that was there, and paid once (the audit of the ledger tells).
func TestKilledWorkerOnTelegram(t *testing.T) {
	t.Parallel()
	fake := fakebotapi.Listen(t)
	fake.AddUser(fakebotapi.User{ID: telegramGail, FirstName: "Gail", LanguageCode: "en", Started: true})
	fake.AddChat(fakebotapi.Chat{ID: telegramClub, Type: "supergroup", Title: "Kitchen"})
	g := &group{fake: fake, kitchen: openKitchen(t, "POTLUCK_TELEGRAM_TOKEN="+fakebotapi.Token, "POTLUCK_TELEGRAM_API_BASE="+fake.Base(),
		"POTLUCK_TELEGRAM_DEMO_ENGINE=true")}
	tower := g.lend(g.operator, "tower", demoKitchen)
	fake.Say(fakebotapi.Say{Chat: telegramClub, From: telegramGail, Text: question})
	fake.Wait("a growing answer", patience, func() bool {
		all := fake.FromBot(telegramClub)
		return len(all) == 1 && strings.Contains(all[0].Text, "demonstration engine")
	})
	first := fake.FromBot(telegramClub)[0]
	g.lend(g.operator, "laptop", demoKitchen)
	tower.kill()
	final := g.finals(telegramClub, 0, 1)
	if len(final) != 1 || final[0].ID != first.ID || strings.Count(final[0].Text, middle) != 1 || strings.Count(final[0].Text, "You can press Stop at any moment") != 1 {
		t.Errorf("%+v", final)
	}
	g.end()
}

// Telegram being down when the bot starts stops nothing else: the page and Discord work, and Telegram from when it is back.
func TestTelegramDownAtStartLeavesTheRest(t *testing.T) {
	t.Parallel()
	fake := fakebotapi.Listen(t)
	fake.Before(func(fakebotapi.Request) *fakebotapi.Answer {
		return &fakebotapi.Answer{Status: 502, Body: "<html>bad gateway</html>"}
	})
	fake.AddUser(fakebotapi.User{ID: telegramGail, FirstName: "Gail", LanguageCode: "en", Started: true})
	fake.AddChat(fakebotapi.Chat{ID: telegramClub, Type: "supergroup", Title: "Kitchen"})
	beside := fakediscord.Listen(t)
	beside.AddMember(fakediscord.Member{User: fakediscord.User{ID: discordGail, Username: "gail"}})
	beside.AddGuild(fakediscord.Guild{ID: discordServer, Name: "Kitchen", Channels: []fakediscord.Channel{{ID: discordGeneral, Name: "general"}}})
	g := &group{fake: fake, kitchen: openKitchen(t, "POTLUCK_TELEGRAM_TOKEN="+fakebotapi.Token, "POTLUCK_TELEGRAM_API_BASE="+fake.Base(),
		"POTLUCK_TELEGRAM_DEMO_ENGINE=true", "POTLUCK_DISCORD_TOKEN="+fakediscord.Token, "POTLUCK_DISCORD_API_BASE="+beside.Base(),
		"POTLUCK_DISCORD_DEMO_ENGINE=true")}
	g.bot.said(g.bot.errs, "Telegram does not answer yet")
	g.lend(g.operator, "tower", demoKitchen)
	if m := g.guest.answer(g.guest.say(question)); !strings.Contains(m.Text, middle) {
		t.Errorf("on the page: %q", m.Text)
	}
	onDiscord := &server{kitchen: g.kitchen, fake: beside}
	onDiscord.connected()
	_, asked, _ := strings.Cut(question, " ")
	if m := onDiscord.final(onDiscord.slash(discordGail, "ask", map[string]any{"question": asked})); !strings.Contains(m.Content, middle) {
		t.Errorf("on Discord: %q", m.Content)
	}
	fake.Before(nil)
	g.bot.said(g.bot.errs, "connected to Telegram")
	fake.Say(fakebotapi.Say{Chat: telegramClub, From: telegramGail, Text: question})
	if m := g.finals(telegramClub, 0, 1)[0]; !strings.Contains(m.Text, middle) {
		t.Errorf("on Telegram: %q", m.Text)
	}
	g.end()
}

// What is missing is asked for with the real commands, and a button of a private answer works where it stands.
func TestFormsAndPrivateButtonsOnTelegram(t *testing.T) {
	t.Parallel()
	g := openGroup(t)
	in := func(text string, reply int64) {
		g.fake.Say(fakebotapi.Say{Chat: telegramForum, From: telegramGail, Topic: telegramTopic, Text: text, ReplyTo: reply})
	}
	in("/ask@"+fakebotapi.BotName, 0)
	form := g.finals(telegramForum, 0, 1)[0]
	if !form.Asks || !strings.HasPrefix(form.Text, "/ask\n") {
		t.Fatalf("%+v", form)
	}
	in("why is the sky blue?", form.ID)
	if m := g.finals(telegramForum, 1, 1)[0]; !strings.Contains(m.Text, "why is the sky blue?") || m.Topic != telegramTopic {
		t.Errorf("%+v", m)
	}
	in("/worker", 0)
	form = g.finals(telegramForum, 2, 1)[0]
	list := slices.IndexFunc(form.Buttons(), func(b fakebotapi.Button) bool { return b.Text == "list" })
	if list < 0 {
		t.Fatalf("%+v", form)
	}
	before := len(g.fake.FromBot(telegramGail))
	g.fake.Press(telegramForum, form.ID, telegramGail, form.Buttons()[list].Data)
	g.finals(telegramGail, before, 1)
	in("/credits@"+fakebotapi.BotName, 0)
	m := g.finals(telegramGail, before, 2)[1]
	if len(m.Buttons()) == 0 {
		t.Fatalf("%+v", m)
	}
	g.fake.Press(telegramGail, m.ID, telegramGail, m.Buttons()[0].Data)
	g.fake.Wait("the history in the same message", patience, func() bool {
		all := g.fake.FromBot(telegramGail)
		return len(all) == before+2 && all[before+1].Text != m.Text && !unfinished(all[before+1])
	})
	g.end()
}

// Kill -9 while Telegram carries a call out: the answer arrives all the same. Only a kill between a send and its answer may leave one message
// more, since nobody can ask Telegram what it has.
func TestKilledWhileTelegramAnswers(t *testing.T) {
	t.Parallel()
	for name, at := range map[string]func(fakebotapi.Request) bool{
		"at the updates":               func(q fakebotapi.Request) bool { return q.Method == "getUpdates" },
		"at the placeholder":           func(q fakebotapi.Request) bool { return q.Method == "sendMessage" && q.Chat == telegramClub },
		"at the placeholder, not done": func(q fakebotapi.Request) bool { return q.Method == "sendMessage" && q.Chat == telegramClub },
		"at an edit":                   func(q fakebotapi.Request) bool { return q.Method == "editMessageText" },
		"in private, at a draft":       func(q fakebotapi.Request) bool { return q.Method == "sendMessageDraft" },
		"in private, at the final": func(q fakebotapi.Request) bool {
			return q.Method == "sendMessage" && strings.Contains(fmt.Sprint(q.Params["text"]), "why is the sky blue?")
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := openGroup(t)
			var armed, killed atomic.Bool
			g.fake.Before(func(q fakebotapi.Request) *fakebotapi.Answer {
				if !armed.Load() || !at(q) || !killed.CompareAndSwap(false, true) {
					return nil
				}
				g.bot.kill()
				return &fakebotapi.Answer{Done: !strings.Contains(name, "not done"), Drop: true}
			})
			armed.Store(true)
			chat := telegramClub
			if strings.Contains(name, "in private") {
				chat = telegramGail
			}
			g.fake.Say(fakebotapi.Say{Chat: chat, From: telegramGail, Text: "/ask why is the sky blue?"})
			g.fake.Wait("the kill", patience, killed.Load)
			<-g.bot.ended
			g.restart()
			whole := func(m fakebotapi.Message) bool {
				return !unfinished(m) && strings.Contains(m.Text, "why is the sky blue?")
			}
			g.fake.Wait("the answer", patience, func() bool { return slices.ContainsFunc(g.fake.FromBot(chat), whole) })
			if code := g.bot.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			all := g.fake.FromBot(chat)
			answers := len(slices.DeleteFunc(slices.Clone(all), func(m fakebotapi.Message) bool { return !whole(m) }))
			most := 1
			if name == "at the placeholder" || name == "in private, at the final" {
				most = 2 // what was sent when the process died stands there besides
			}
			if answers < 1 || answers > most || len(all) > most {
				t.Errorf("%d answers in %d messages: %+v", answers, len(all), all)
			}
		})
	}
}

// What is wrong is said in a sentence, by check and by serve, and never with the token.
func TestTelegramIsChecked(t *testing.T) {
	t.Parallel()
	fake := fakebotapi.Listen(t)
	fake.Privacy = true
	environ := []string{"POTLUCK_DATA_DIR=" + t.TempDir(), "POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_TELEGRAM_API_BASE=" + fake.Base()}
	checked := func(more ...string) (int, string) {
		out, errs := &transcript{}, &transcript{}
		code := run(t.Context(), []string{"check"}, append(slices.Clone(environ), more...), out, errs)
		return code, out.String() + errs.String()
	}
	for _, c := range []struct {
		set, say string
		code     int
	}{
		{"TOKEN=" + fakebotapi.Token, "Group Privacy", 0},
		{"TOKEN=100:revoked-token", "@BotFather", 1},
		{"TOKEN=fake-token", "telegram.token", 1},
		{"TOKEN_FILE=/nowhere/token", "/nowhere/token cannot be read", 1},
		{"OPERATORS=@olga", "telegram.operators", 1},
	} {
		code, said := checked("POTLUCK_TELEGRAM_" + c.set)
		if code != c.code && (c.code == 0 || code == 0) || !strings.Contains(said, c.say) || strings.Contains(said, "-token ") {
			t.Errorf("%s: exit code %d\n%s", c.set, code, said)
		}
	}
	code, said := checked("POTLUCK_TELEGRAM_TOKEN="+fakebotapi.Token, "POTLUCK_TELEGRAM_WEBHOOK=true")
	if code == 0 || !strings.Contains(said, "http.public_url") {
		t.Errorf("a webhook without an address: exit code %d\n%s", code, said)
	}
	out, errs := &transcript{}, &transcript{}
	if code := run(t.Context(), []string{"serve"}, append(slices.Clone(environ), "POTLUCK_TELEGRAM_TOKEN=100:revoked-token"), out, errs); code == 0 || !strings.Contains(errs.String(), "@BotFather") ||
		strings.Contains(errs.String(), "revoked-token") {
		t.Errorf("serve with a wrong token: exit code %d\n%s", code, errs)
	}
}

// told says something in the club and returns the answer: the one in private, where the group is only told so.
func (g *group) told(say fakebotapi.Say) string {
	g.t.Helper()
	before, private := len(g.fake.FromBot(say.Chat)), len(g.fake.FromBot(say.From))
	g.fake.Say(say)
	m := g.finals(say.Chat, before, 1)[0]
	if b := m.Buttons(); say.Chat < 0 && len(b) == 1 && b[0].URL != "" {
		m = g.finals(say.From, private, 1)[0]
	}
	return m.Shown()
}

// An administrator of a group sets the bot up there, from its hello on: what it lacks is named, with what mends it; that privacy mode
// keeps mentions from it is told; and what is switched off, limited or blocked holds for members of that group. /privacy tells what Telegram's
// terms demand. Two groups, since one takes only twenty messages a minute.
func TestSetupOnTelegram(t *testing.T) {
	t.Parallel()
	g := openGroup(t)
	const rita, ken, yard, shed = int64(311), int64(312), int64(-1003000), int64(-1004000)
	g.fake.AddUser(fakebotapi.User{ID: rita, FirstName: "Rita", LanguageCode: "en", Started: true})
	g.fake.AddUser(fakebotapi.User{ID: ken, FirstName: "Ken", Username: "ken_in_the_yard", LanguageCode: "en", Started: true})
	g.fake.AddChat(fakebotapi.Chat{ID: yard, Type: "supergroup", Title: "Yard", Admins: []int64{rita}, Status: "left"})
	g.fake.AddChat(fakebotapi.Chat{ID: shed, Type: "supergroup", Title: "Shed", Admins: []int64{rita}})
	g.fake.SetStatus(yard, "member", rita)
	if m := g.finals(yard, 0, 1)[0]; !strings.Contains(m.Text, "/privacy") || !strings.Contains(m.Text, "make me an administrator") {
		t.Errorf("hello: %q", m.Text)
	}
	quiet := g.fake.Say(fakebotapi.Say{Chat: shed, From: ken, Text: "so quiet here"}).ID
	for _, c := range []struct {
		chat, who  int64
		text       string
		want, then string
	}{
		{yard, ken, "/setup_show@potluck_bot", "Only an admin", ""},
		{yard, rita, "/setup_show@potluck_bot", "/imagine is on", "as often as their credits allow"},
		{yard, rita, "/setup check", "Administrator (or @\u2060BotFather: Group Privacy off)", "settings → Administrators"},
		{yard, rita, "/setup_features@potluck_bot imagine off", "/imagine is off in this chat", ""},
		{yard, ken, "/imagine a cat", "switched /imagine off in this chat", ""},
		{shed, ken, "/imagine a cat", "a cat", "Drawn in"},
		{yard, rita, "/setup features imagine on", "/imagine is on in this chat", ""},
		{shed, rita, "/setup limits 2", "may ask 2 times", ""},
		{shed, ken, "/translate to:es Good morning, dear friends", "dear friends", ""},
		{shed, ken, "/translate to:es Good morning, dear friends", "an admin allows no more", ""},
		{shed, rita, "/setup limits 0", "no daily limit", ""},
		{shed, rita, "/setup_block@potluck_bot", "Ken", "can no longer use me here"},
		{shed, ken, "/ask why is the sky blue?", "does not want you to use me here", ""},
		{shed, rita, "/setup unblock @ken_in_the_yard", "Ken", "may use me here again"},
		{shed, ken, "/translate to:es Good morning, dear friends", "dear friends", ""},
		{ken, ken, "/privacy", "On Telegram", "/forgetme"},
	} {
		say := fakebotapi.Say{Chat: c.chat, From: c.who, Text: c.text}
		if strings.HasPrefix(c.text, "/setup_block") {
			say.ReplyTo = quiet // it means who wrote that
		}
		if got := g.told(say); !strings.Contains(got, c.want) || !strings.Contains(got, c.then) {
			t.Errorf("%s: %q, want %q %q", c.text, got, c.want, c.then)
		}
	}
	g.fake.SetStatus(yard, "administrator", rita)
	if got := g.told(fakebotapi.Say{Chat: yard, From: rita, Text: "/setup check"}); !strings.Contains(got, "every right") {
		t.Errorf("as an administrator: %q", got)
	}
	g.end()
}

// /delete by reply, with the real commands: who asked takes the answer away, nobody else; the question goes once the bot may delete in the group.
func TestDeleteOnTelegram(t *testing.T) {
	t.Parallel()
	g := openGroup(t)
	question := g.fake.Say(fakebotapi.Say{Chat: telegramClub, From: telegramGail, Text: "/translate to:es Good morning, dear friends"})
	answer := g.finals(telegramClub, 0, 1)[0]
	remove := func(from int64, m fakebotapi.Message, want string, gone bool) {
		t.Helper()
		q := g.fake.Say(fakebotapi.Say{Chat: telegramClub, From: from, Text: "/delete", ReplyTo: m.ID})
		var said fakebotapi.Message
		g.fake.Wait("what became of it", patience, func() bool {
			all := g.fake.FromBot(telegramClub)
			at := slices.IndexFunc(all, func(o fakebotapi.Message) bool { return o.ReplyTo != nil && o.ReplyTo.ID == q.ID && !unfinished(o) })
			if at >= 0 {
				said = all[at]
			}
			return at >= 0
		})
		there := slices.ContainsFunc(g.fake.Messages(telegramClub), func(o fakebotapi.Message) bool { return o.ID == m.ID })
		if !strings.Contains(said.Text, want) || there == gone {
			t.Errorf("%d deletes %q: %q, still there: %v", from, m.Text, said.Text, there)
		}
	}
	const stranger = int64(313)
	g.fake.AddUser(fakebotapi.User{ID: stranger, FirstName: "Sam", LanguageCode: "en"})
	remove(stranger, answer, "belongs to somebody else", false)
	remove(telegramGail, answer, "Ist weg", true)
	remove(telegramGail, question, "Nachrichten löschen", false)
	g.fake.SetStatus(telegramClub, "administrator", telegramOlga)
	remove(stranger, question, "belongs to somebody else", false)
	remove(telegramGail, question, "Ist weg", true)
	g.end()
}

// Inline mode with the real programs: what is chosen is done as a request of whoever chose it, and the message becomes the answer. Nobody knows in
// which chat it stands, so only machines that are trusted with private text get it.
func TestInlineOnTelegram(t *testing.T) {
	t.Parallel()
	g := openGroup(t)
	q := g.fake.Inline(telegramGail, "Good morning, dear friends")
	g.fake.Wait("the offers", patience, func() bool { list, ok := g.fake.Results(q); return ok && len(list) == 3 })
	for _, c := range []struct{ choice, want string }{{"to:es", "dear friends"}, {"ask", "demonstration engine"}} {
		id := g.fake.Choose(telegramGail, "Good morning, dear friends", c.choice, "Einen Moment…")
		g.fake.Wait("the answer in its message", patience, func() bool {
			m := g.fake.InlineMessage(id)
			return strings.Contains(m.Text, c.want) && !unfinished(m)
		})
	}
	g.end()
}
