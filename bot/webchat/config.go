package webchat

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"potluck/community"
	"potluck/web/caller"
)

// Pictures keeps the files that messages show. *imagegen.Album implements it.
type Pictures interface {
	// Keep saves a file; saving the same name again is no error.
	Keep(name string, data []byte) error
	Open(name string) (io.ReadSeekCloser, error)
}

// OperatorUser is the identity of everyone who opened the one-time operator URL.
const OperatorUser community.UserID = "page:operator"

// Config is what a Page needs. Store and Pictures are required, everything else has a default.
type Config struct {
	Store    Store
	Pictures Pictures

	Name  string   // of the community: its id is "page:" + Name; default "potluck"
	Title string   // what people read on the page, and the bot's name there; default "Potluck"
	Chats []string // default DefaultChats(); the first is opened first

	// OperatorToken opens /webchat/operator once; empty: never. Operator is told before the session becomes the operator's.
	OperatorToken string
	// OperatorPass tells whether any other token opens it too, and says so once per token; nil: none does.
	OperatorPass func(token string) bool
	Operator     func(ctx context.Context, user community.UserID, name string) error

	// PrivateCommand tells whether a typed message is a command whose answer is private: then only its author sees it.
	PrivateCommand func(text string) bool
	// Asked tells whether the bot took a message up as a question: its text does not change any more. nil: none is.
	Asked func(ctx context.Context, chat community.ChatID, m community.MessageID) (bool, error)
	// Commands returns what the page completes after "/" for that visitor (empty: without a session), who reads that locale (BCP 47, may be
	// empty): a list of {"name", "description"} objects, or any other JSON.
	Commands func(ctx context.Context, user community.UserID, locale string) any
	// Language keeps in which language (one of reader.Languages) a visitor wants the bot's answers: who chooses one for the page wants both. nil: nobody does.
	Language func(ctx context.Context, user community.UserID, name, language string) error
	// Suggest completes what is typed so far as the value of an option ("worker link", "name"), at most 25 answers; nil: nothing.
	Suggest func(locale, command, option, typed string) []string
	// Pool says from memory what the machines can do now, Purse what a visitor of a household may spend. Nil: the page does not show it.
	Pool  func() Pool
	Purse func(ctx context.Context, user community.UserID, household string) (Purse, error)

	// Secure tells whether a request came in over TLS (also through a proxy that is trusted): cookies are then sent over TLS only.
	Secure func(*http.Request) bool
	// Address returns whose request it is, for the limits per address; default: the connection's own, as behind no proxy.
	Address func(*http.Request) string
	// Household returns the bot.Event.Household of a request; nil: nobody is counted.
	Household func(*http.Request) string
	// Origins lists further origins ("https://chat.example.org") whose pages may post, beside the host that the request names.
	Origins []string

	Now    func() time.Time
	Log    *slog.Logger
	Limits Limits
}

// DefaultChats are the chats of a page for whom nobody chose any: one for everybody, and one for each other language of the page.
func DefaultChats() []string { return []string{"lobby", "español", "deutsch", "日本語"} }

func (c Config) withDefaults() Config {
	c.Name, c.Title = cmp.Or(c.Name, "potluck"), cmp.Or(c.Title, "Potluck")
	if len(c.Chats) == 0 {
		c.Chats = DefaultChats()
	}
	if c.Operator == nil {
		c.Operator = func(context.Context, community.UserID, string) error { return nil }
	}
	if c.Asked == nil {
		c.Asked = func(context.Context, community.ChatID, community.MessageID) (bool, error) { return false, nil }
	}
	if c.PrivateCommand == nil {
		c.PrivateCommand = func(string) bool { return false }
	}
	if c.Commands == nil {
		c.Commands = func(context.Context, community.UserID, string) any { return nil }
	}
	if c.Language == nil {
		c.Language = func(context.Context, community.UserID, string, string) error { return nil }
	}
	if c.Suggest == nil {
		c.Suggest = func(string, string, string, string) []string { return nil }
	}
	if c.Secure == nil {
		c.Secure = func(r *http.Request) bool { return r.TLS != nil }
	}
	if c.Address == nil {
		c.Address = caller.New(nil).Of
	}
	if c.Household == nil {
		c.Household = func(*http.Request) string { return "" }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Limits = c.Limits.withDefaults()
	return c
}

// CheckChats says which of the names cannot be that of a chat of the page, and why; nil when all can.
func CheckChats(names []string) error {
	for i, name := range names {
		if _, err := cleanName(name); err != nil || strings.ContainsAny(name, ":/ ") {
			return fmt.Errorf("chat name %q: use 1 to 32 characters without spaces, colons or slashes", name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("chat name %q is listed twice", name)
		}
	}
	return nil
}

// Limits bound what visitors can take. A zero field means its default. The history has no size of its own: what one address can write into
// it follows from its rate, TextLength and Keep; SessionsPerSecond bounds how fast one address makes sessions, which are as old as Keep at
// most when nobody uses them.
type Limits struct {
	TextLength         int           // characters of one message; 16,000
	Streams            int           // event streams in all; 2,000
	StreamsPerUser     int           // 6
	StreamsPerAddress  int           // a quarter of Streams: behind a proxy that is not trusted all visitors have one address
	Waiting            int           // events that a slow stream may be behind before it is dropped; 256
	Heartbeat          time.Duration // 15 s
	WriteTimeout       time.Duration // for one write to a stream; 10 s
	ReadTimeout        time.Duration // for the body of a request; 10 s
	MessagesPerSecond  float64       // of one visitor, also button presses; 1
	MessagesBurst      int           // 60
	AddressPerSecond   float64       // messages and presses from one address; 20
	AddressBurst       int           // 300
	SessionsPerSecond  float64       // new sessions and renames from one address; 5
	SessionsBurst      int           // 200
	StreamsPerSecond   float64       // event streams that one visitor opens; 1
	StreamsBurst       int           // 60
	RememberedVisitors int           // visitors and addresses whose rate or name is remembered; 10,000
	Keep               time.Duration // history, and sessions that nobody uses, are forgotten after it; 30 days

	SuggestionsPerSecond float64 // of one visitor who types; 10
	SuggestionsBurst     int     // 60
}

func (l Limits) withDefaults() Limits {
	l.TextLength = cmp.Or(l.TextLength, 16_000)
	l.Streams = cmp.Or(l.Streams, 2_000)
	l.StreamsPerUser = cmp.Or(l.StreamsPerUser, 6)
	l.StreamsPerAddress = cmp.Or(l.StreamsPerAddress, max(l.StreamsPerUser, l.Streams/4))
	l.Waiting = cmp.Or(l.Waiting, 256)
	l.Heartbeat = cmp.Or(l.Heartbeat, 15*time.Second)
	l.WriteTimeout = cmp.Or(l.WriteTimeout, 10*time.Second)
	l.ReadTimeout = cmp.Or(l.ReadTimeout, 10*time.Second)
	l.MessagesPerSecond = cmp.Or(l.MessagesPerSecond, 1)
	l.MessagesBurst = cmp.Or(l.MessagesBurst, 60)
	l.AddressPerSecond = cmp.Or(l.AddressPerSecond, 20)
	l.AddressBurst = cmp.Or(l.AddressBurst, 300)
	l.SessionsPerSecond = cmp.Or(l.SessionsPerSecond, 5)
	l.SessionsBurst = cmp.Or(l.SessionsBurst, 200)
	l.StreamsPerSecond = cmp.Or(l.StreamsPerSecond, 1)
	l.StreamsBurst = cmp.Or(l.StreamsBurst, 60)
	l.RememberedVisitors = cmp.Or(l.RememberedVisitors, 10_000)
	l.Keep = cmp.Or(l.Keep, 30*24*time.Hour)
	l.SuggestionsPerSecond = cmp.Or(l.SuggestionsPerSecond, 10)
	l.SuggestionsBurst = cmp.Or(l.SuggestionsBurst, 60)
	return l
}
