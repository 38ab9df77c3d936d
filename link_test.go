package main

import (
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"potluck/bot"
	"potluck/bot/discord/fakediscord"
	"potluck/bot/telegram/fakebotapi"
	"potluck/community"
	"potluck/ledger"
	"potluck/storage"
)

// Pia is on both platforms, and on the page.
const (
	piaOnTelegram = int64(303)
	piaOnDiscord  = "303"
)

// crossing is a kitchen on a fake Discord and a fake Telegram.
type crossing struct {
	*kitchen
	discord  *fakediscord.Server
	telegram *fakebotapi.Server
	environ  []string
}

func openCrossing(t *testing.T) *crossing {
	t.Helper()
	c := &crossing{discord: fakediscord.Listen(t), telegram: fakebotapi.Listen(t)}
	c.discord.Restarts = true
	c.discord.AddMember(fakediscord.Member{User: fakediscord.User{ID: piaOnDiscord, Username: "pia"}})
	c.discord.AddGuild(fakediscord.Guild{ID: discordServer, Name: "Kitchen", Channels: []fakediscord.Channel{{ID: discordGeneral, Name: "general"}}})
	c.telegram.AddUser(fakebotapi.User{ID: piaOnTelegram, FirstName: "Pia", LanguageCode: "en", Started: true})
	c.environ = []string{
		"POTLUCK_DISCORD_TOKEN=" + fakediscord.Token, "POTLUCK_DISCORD_API_BASE=" + c.discord.Base(),
		"POTLUCK_TELEGRAM_TOKEN=" + fakebotapi.Token, "POTLUCK_TELEGRAM_API_BASE=" + c.telegram.Base(),
		"POTLUCK_LIMITS_PER_MINUTE=600", "POTLUCK_LIMITS_RESTARTS=50", "POTLUCK_CREDITS_ESCROW=1ms",
	}
	c.kitchen = openKitchen(t, c.environ...)
	c.up()
	return c
}

func (c *crossing) up() {
	c.t.Helper()
	c.bot.said(c.bot.errs, "connected to Telegram")
	c.discord.Wait("the connection to Discord", patience, func() bool { return c.discord.Connected() == 1 })
}

// killed ends the bot as kill -9 does, and starts it again.
func (c *crossing) killed() {
	c.t.Helper()
	c.bot.kill()
	c.startBot(c.environ...)
	c.up()
}

// side is one account of Pia's. sees waits until what the bot shows there last holds one of some texts; press presses a button of that.
type side struct {
	t     *testing.T
	say   func(text string)
	sees  func(texts ...string) string
	press func(label string)
}

// answer is what a command shows in the end.
func (s side) answer(command, want string) string {
	s.t.Helper()
	s.say(command)
	return s.sees(want)
}

func holds(text string, any []string) bool {
	return slices.ContainsFunc(any, func(want string) bool { return strings.Contains(text, want) })
}

func (c *crossing) onTelegram() side {
	before := 0
	last := func() (m fakebotapi.Message) {
		if all := c.telegram.FromBot(piaOnTelegram); len(all) > before {
			m = all[len(all)-1]
		}
		return m
	}
	return side{
		t: c.t.(*testing.T),
		say: func(text string) {
			before = len(c.telegram.FromBot(piaOnTelegram))
			c.telegram.Say(fakebotapi.Say{Chat: piaOnTelegram, From: piaOnTelegram, Text: text})
		},
		sees: func(texts ...string) string {
			c.t.Helper()
			c.telegram.Wait(fmt.Sprintf("%q on Telegram", texts), patience, func() bool { return holds(last().Shown(), texts) })
			return last().Shown()
		},
		press: func(label string) {
			c.t.Helper()
			m := last()
			i := slices.IndexFunc(m.Buttons(), func(b fakebotapi.Button) bool { return b.Text == label })
			if i < 0 {
				c.t.Fatalf("no button %q below %q: %+v", label, m.Shown(), m.Buttons())
			}
			c.telegram.Press(piaOnTelegram, m.ID, piaOnTelegram, m.Buttons()[i].Data)
		},
	}
}

func (c *crossing) onDiscord() side {
	var token string
	last := func() (m fakediscord.Message) {
		if in := c.discord.Seen(token); in.Original != nil {
			m = *in.Original
		}
		return m
	}
	return side{
		t: c.t.(*testing.T),
		say: func(text string) {
			command, code, typed := strings.Cut(strings.TrimPrefix(text, "/"), " code:")
			u := fakediscord.Use{Channel: discordGeneral, User: piaOnDiscord, Command: command}
			if typed {
				u.Options = map[string]any{"code": code}
			}
			token = c.discord.Use(u)
		},
		sees: func(texts ...string) string {
			c.t.Helper()
			c.discord.Wait(fmt.Sprintf("%q on Discord", texts), patience, func() bool { return holds(last().Content, texts) })
			m := last()
			if m.Only != piaOnDiscord {
				c.t.Errorf("others read %q", m.Content)
			}
			return m.Content
		},
		press: func(label string) {
			c.t.Helper()
			m := last()
			i := slices.IndexFunc(m.Buttons(), func(b fakediscord.Button) bool { return b.Label == label })
			if i < 0 {
				c.t.Fatalf("no button %q below %q: %+v", label, m.Content, m.Buttons())
			}
			c.discord.Use(fakediscord.Use{Channel: discordGeneral, User: piaOnDiscord, Message: m.ID, Button: m.Buttons()[i].CustomID})
		},
	}
}

func (c *crossing) onPage(v *visitor) side {
	var question string
	var shown message
	return side{
		t:   c.t.(*testing.T),
		say: func(text string) { question = v.say(text) },
		sees: func(texts ...string) string {
			c.t.Helper()
			shown = v.await(fmt.Sprintf("%q on the page", texts), func(m message) bool { return m.Bot && m.ReplyTo == question && holds(m.Text, texts) })
			return shown.Text
		},
		press: func(label string) { c.t.Helper(); v.press(shown, label) },
	}
}

var (
	shownCode  = regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}`)
	ownCredits = regexp.MustCompile(`credits: \D*([\d.,]+)`)
)

// owns is what /credits says of own credits.
func (s side) owns() float64 {
	s.t.Helper()
	text := s.answer("/credits", "Your credits")
	n, err := strconv.ParseFloat(ownCredits.FindStringSubmatch(text)[1], 64)
	if err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return n
}

// connect brings two sides together; between calls of step the bot may be killed.
func connect(asker, typer side, step func()) {
	code := shownCode.FindString(asker.answer("/link", "works once"))
	step()
	if newer := shownCode.FindString(asker.sees("works once")); newer != "" {
		code = newer
	}
	typer.answer("/link code:"+code, "Is that you, too?")
	step()
	typer.press("Yes, that is me")
	typer.sees("go back")
	asker.sees("wants to be connected")
	step()
	asker.press("Yes, connect")
	asker.sees("Connected.")
	typer.sees("Connected.")
}

// One person on Discord, on Telegram and on the page has one balance and one set of machines there; who is disconnected has nothing of it, and no credit
// is made or lost.
func TestOnePersonOnThreePlatforms(t *testing.T) {
	t.Parallel()
	c := openCrossing(t)
	telegram, discord, page := c.onTelegram(), c.onDiscord(), c.onPage(c.guest)
	c.lend(c.guest, "tower", demoKitchen) // Gail on the page is Pia, too, and has been here longest
	c.operator.ask(question)
	earned := page.owns()
	again := time.NewTicker(time.Second) // as often as visitors may
	defer again.Stop()
	for ; earned == 0; <-again.C { // what it earned is released by and by
		earned = page.owns()
	}
	if telegram.owns() != 0 || discord.owns() != 0 {
		t.Fatal("strangers have credits")
	}

	connect(telegram, discord, func() {})
	if a, b := telegram.owns(), discord.owns(); a != 0 || b != 0 {
		t.Errorf("two who have nothing have %v and %v", a, b)
	}
	connect(discord, page, func() {})
	for where, s := range map[string]side{"Telegram": telegram, "Discord": discord, "the page": page} {
		if have := s.owns(); have != earned {
			t.Errorf("on %s it is %v, want %v", where, have, earned)
		}
		if list := s.answer("/worker list", "number"); !strings.Contains(list, "tower") {
			t.Errorf("machines on %s: %q", where, list)
		}
		if all := s.answer("/unlink", "one person to me"); !strings.Contains(all, "3 accounts") {
			t.Errorf("on %s: %q", where, all)
		}
	}

	before := telegram.owns()
	telegram.answer("/unlink", "one person to me")
	telegram.press("Disconnect pia (Discord)")
	telegram.sees("It begins anew")
	telegram.press("Disconnect")
	telegram.sees("somebody of their own again")
	if have := discord.owns(); have != 0 {
		t.Errorf("who left has %v", have)
	}
	discord.answer("/unlink", "No other account")
	discord.answer("/worker list", "/worker link")
	if a, b := telegram.owns(), page.owns(); a != before || b != before {
		t.Errorf("who stayed has %v and %v, want %v", a, b, before)
	}
	c.close()
}

// kill -9 between any two steps: what one side sees goes on after the start, and in the end both are one or both are two.
func TestKilledWhileConnecting(t *testing.T) {
	t.Parallel()
	c := openCrossing(t)
	telegram, discord, page := c.onTelegram(), c.onDiscord(), c.onPage(c.guest)
	connect(telegram, discord, c.killed)
	telegram.answer("/unlink", "2 accounts")
	discord.answer("/unlink", "2 accounts")

	// At the very moment when it is confirmed, one never knows which it will be.
	code := shownCode.FindString(page.answer("/link", "works once"))
	telegram.answer("/link code:"+code, "Is that you, too?")
	telegram.press("Yes, that is me")
	page.sees("wants to be connected")
	page.press("Yes, connect")
	c.killed()
	telegram.say("/unlink")
	list := telegram.sees("2 accounts", "3 accounts")
	if strings.Contains(list, "2 accounts") && strings.Contains(page.answer("/unlink", "account"), "3 accounts") {
		t.Errorf("one side is connected, the other is not: %q", list)
	}
	c.close()
}

// Whoever is named as operator becomes it only with accounts that are all named: the role never spreads by connecting, in whichever order.
func TestOperatorsAreNotMadeByConnecting(t *testing.T) {
	t.Parallel()
	config := defaultConfig()
	config.DataDir, config.HTTP.Addr = t.TempDir(), "127.0.0.1:0"
	config.Discord.Operators = []string{"1"}
	h, err := build(t.Context(), config, slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	links, now := &storage.Links{DB: h.db}, time.Now()
	for _, id := range []community.UserID{"discord:1", "telegram:666"} {
		if _, err := h.people.Member(t.Context(), id, "x", now); err != nil {
			t.Fatal(err)
		}
	}
	begun, err := links.Begin(t.Context(), "r1", community.Identity{ID: "telegram:666"}, [32]byte{1}, now)
	if err == nil {
		_, err = links.Redeem(t.Context(), "r2", community.Identity{ID: "discord:1"}, [32]byte{1}, now)
	}
	if err == nil {
		err = links.Agree(t.Context(), begun.Request, "discord:1", now)
	}
	if err == nil {
		_, err = links.Join(t.Context(), begun.Request, "telegram:666", now)
	}
	if err != nil {
		t.Fatal(err)
	}
	if m, err := h.makeOperator(t.Context(), "discord:1", ""); err != nil || m.Operator {
		t.Errorf("operator with a connected account that nobody named: %+v %v", m, err)
	}
	h.config.Telegram.Operators = []string{"666"}
	if m, err := h.makeOperator(t.Context(), "discord:1", ""); err != nil || !m.Operator {
		t.Errorf("no operator although both are named: %+v %v", m, err)
	}

	// Both have the free credits of one of them, the page's too.
	payer := h.payer(bot.Request{User: "telegram:666", Member: 2, Chat: community.Chat{Community: "telegram:-1"}})
	same := h.payer(bot.Request{User: "discord:1", Member: 1, Chat: community.Chat{Community: "discord:1000"}})
	if payer != same || payer.Spend != ledger.SpendOf(1) {
		t.Errorf("%+v and %+v", payer, same)
	}
}
