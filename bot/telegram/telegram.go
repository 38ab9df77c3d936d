// Package telegram is Telegram as a chat platform: commands, buttons and messages of private chats, groups, topics and channels.
package telegram

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	tg "github.com/go-telegram/bot"
	"golang.org/x/sync/errgroup"

	"potluck/bot"
	"potluck/community"
)

const name = "telegram"

// DefaultAPIBase is Telegram's own Bot API.
const DefaultAPIBase = "https://api.telegram.org"

// WebhookPath is where Handler is to be mounted.
const WebhookPath = "/telegram/webhook"

// Config is what a Platform needs. Token, Commands and Texts are required.
type Config struct {
	Token   string
	APIBase string // default DefaultAPIBase
	// WebhookURL is the address under which Telegram reaches Handler; empty: the bot asks for updates by itself.
	WebhookURL string

	Commands []bot.Command
	Texts    bot.Catalogue
	// AskCommand answers those who mention the bot or write to it in private, TranslateCommand is offered inline; empty: none. The first takes
	// the question as its Rest, the second the text as its Rest and the language in the option "to".
	AskCommand, TranslateCommand string

	// Dial replaces the network in tests; nil: the ordinary one.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Log  *slog.Logger
}

// Platform is Telegram. It implements bot.Platform.
type Platform struct {
	config    Config
	log       *slog.Logger
	api       *api
	transport *http.Transport
	intake    *intake
	chats     *bot.Queues[int64]
	secret    string // of the webhook, new at each start

	sent    *bot.Recent[[]community.MessageID] // by nonce: what was posted so far of a message
	shown   *bot.Recent[[32]byte]              // by message: what it shows
	drafts  *bot.Recent[int64]                 // by placeholder: the draft that grows below it
	locales *bot.Recent[string]                // by user: the language that Telegram tells
	// usernames are of people who wrote lately: a mention names nothing else, and nobody can ask Telegram whose it is.
	usernames *bot.Recent[community.UserID]
	albums    *albums
	pending   *unopened      // private answers for people whom the bot may not write to yet
	told      bot.Told       // what the operator was told lately
	work      sync.WaitGroup // Add only while Run runs

	mu      sync.Mutex
	me      self
	base    context.Context // of what is begun beside the queues
	handler bot.Handler
	admins  map[int64]adminList
	presses map[string]*press // callback queries that still want an answer
	typing  map[string]func() // by chat and message: ends the chat action
	movedTo map[int64]int64   // groups that became supergroups
	noDraft map[int64]bool    // private chats that take no drafts
	// doubtful counts sends whose outcome was never heard of: each may have put one message twice into a chat.
	doubtful int
}

// self is what Telegram knows of the bot.
type self struct {
	ID       int64  `json:"id"`
	Name     string `json:"first_name"`
	Username string `json:"username"`
	ReadsAll bool   `json:"can_read_all_group_messages"`
	Inline   bool   `json:"supports_inline_queries"`
	Groups   bool   `json:"can_join_groups"`
}

// Name is "telegram".
func (p *Platform) Name() string { return name }

// Pace is how far apart edits of one growing message are at least; in groups the budget stretches it to groupEdits.
func (p *Platform) Pace() time.Duration { return progressPatience }

// New makes a Platform; nothing is asked of Telegram before Run.
func New(c Config) (*Platform, error) {
	if c.Token = strings.TrimSpace(c.Token); c.Token == "" {
		return nil, errors.New("no Telegram token")
	}
	if c.Texts == nil {
		return nil, errors.New("telegram: no texts")
	}
	c.APIBase, c.Log = cmp.Or(c.APIBase, DefaultAPIBase), cmp.Or(c.Log, slog.Default())
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.Dial != nil {
		transport.DialContext, transport.Proxy = c.Dial, nil
	}
	transport.MaxIdleConnsPerHost = 64
	p := &Platform{
		config: c, log: c.Log.With("platform", name), transport: transport, secret: randomSecret(),
		sent: bot.NewRecent[[]community.MessageID](2048), shown: bot.NewRecent[[32]byte](4096), drafts: bot.NewRecent[int64](1024),
		locales: bot.NewRecent[string](10_000), usernames: bot.NewRecent[community.UserID](10_000),
		pending: newUnopened(), albums: &albums{open: make(map[string]*album)},
		admins: make(map[int64]adminList), presses: make(map[string]*press), typing: make(map[string]func()),
		noDraft: make(map[int64]bool), movedTo: make(map[int64]int64), base: context.Background(),
	}
	p.chats, p.intake = bot.NewQueues[int64](queueLimits, p.log), newIntake()
	a, err := newAPI(c, transport, newBudget(func(chat int64, wait time.Duration) {
		p.log.Warn("Telegram limits the bot", "chat", chat, "wait", wait)
	}))
	p.api = a
	return p, err
}

// Run connects and hands events to h until ctx ends. Before the first answer of Telegram, a token that it refuses is an error; later Telegram
// can stop nothing: Run says what is wrong and tries again.
func (p *Platform) Run(ctx context.Context, h bot.Handler) error {
	working, stop := context.WithCancel(ctx)
	p.api.budget.begin(time.Now())
	p.mu.Lock()
	p.handler, p.base = h, working
	p.mu.Unlock()
	defer func() {
		p.mu.Lock() // beside adds no work any more
		stop()
		p.mu.Unlock()
		p.work.Wait()
		p.api.budget.close()
		p.transport.CloseIdleConnections()
	}()
	if err := p.introduce(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.syncCommands(ctx) })
	g.Go(func() error { return p.chats.Run(ctx) })
	if p.config.WebhookURL != "" {
		g.Go(func() error { return p.hook(ctx) })
	} else {
		g.Go(func() error { return p.poll(ctx) })
	}
	return g.Wait()
}

const (
	firstRetry = time.Second
	lastRetry  = time.Minute
	// lostPause is how long the bot waits after its token was refused while it worked: it may be an error of Telegram's.
	lostPause = 10 * time.Minute
)

// ErrToken says that Telegram does not know the token.
var ErrToken = errors.New("the bot's token is refused: copy it again (@BotFather → /mybots → your bot → API Token) into telegram.token or telegram.token_file")

// refusedToken: a token that was revoked is unauthorized, one that is no token at all is not found.
func refusedToken(err error) bool {
	return errors.Is(err, tg.ErrorUnauthorized) || errors.Is(err, tg.ErrorNotFound)
}

// privacyHint explains privacy mode to the operator.
const privacyHint = "in groups the bot hears commands, mentions behind a command and replies to itself only. To let it read everything (automatic translation " +
	"and plain @mentions need that): @BotFather → /mybots → your bot → Bot Settings → Group Privacy → Turn off, then remove the bot from the group and add it again; " +
	"or make it an administrator of the group"

// introduce asks who the bot is, as often as it takes.
func (p *Platform) introduce(ctx context.Context) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		var me self
		err := p.api.raw(ctx, "getMe", struct{}{}, &me, callTime)
		if refusedToken(err) {
			return fmt.Errorf("%w (%w)", ErrToken, err)
		}
		if err == nil && me.ID != 0 {
			p.mu.Lock()
			p.me = me
			p.mu.Unlock()
			p.log.Info("connected to Telegram", "bot", "@"+me.Username)
			if !me.ReadsAll {
				p.log.Info("privacy mode is on: " + privacyHint)
			}
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		p.log.Warn("Telegram does not answer yet", "err", err, "again_in", wait)
		if bot.Wait(ctx, wait) != nil {
			return nil
		}
	}
}

// Self is the bot's own account.
func (p *Platform) Self() community.UserID {
	if me := p.self(); me.ID != 0 {
		return userID(me.ID)
	}
	return ""
}

func (p *Platform) self() self {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.me
}

// beside runs f outside of the queues; Run waits for it, and its context ends with Run's.
func (p *Platform) beside(f func(ctx context.Context)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.base.Err() != nil {
		return
	}
	ctx := p.base
	p.work.Go(func() { p.guarded(func() { f(ctx) }) })
}

// hand gives an event to the Router.
func (p *Platform) hand(ctx context.Context, e bot.Event) error {
	p.mu.Lock()
	h := p.handler
	p.mu.Unlock()
	e.Text = p.named(e.Text)
	if e.Command != nil {
		e.Command.Rest = p.named(e.Command.Rest)
	}
	err := h(ctx, e)
	if !errors.Is(err, bot.ErrIgnored) {
		return err
	}
	if id, ok := strings.CutPrefix(e.Handle, handlePress); ok {
		p.answerPress(ctx, id, "", false)
	}
	return nil
}

// named gives mentions by name the ids of those who have it. A name that was not seen lately is nobody's: the core makes a member of every id.
func (p *Platform) named(t bot.Text) bot.Text {
	t.Spans = slices.Clone(t.Spans)
	for i, s := range t.Spans {
		if username, ok := strings.CutPrefix(s.Value, name+":@"); ok && s.Kind == bot.Mention {
			id, _ := p.usernames.Get(username)
			t.Spans[i].Value = string(id)
		}
	}
	return t
}

// place is where messages stand: a chat and, in a forum, a topic.
type place struct {
	chat  int64
	topic int
}

func (l place) id() community.ChatID {
	id := name + ":" + strconv.FormatInt(l.chat, 10)
	if l.topic != 0 {
		id += ":" + strconv.Itoa(l.topic)
	}
	return community.ChatID(id)
}

func placeOf(c community.ChatID) (place, error) {
	chat, topic, inTopic := strings.Cut(community.Local(c), ":")
	id, err := strconv.ParseInt(chat, 10, 64)
	l := place{chat: id}
	if err == nil && inTopic {
		l.topic, err = strconv.Atoi(topic)
	}
	if err != nil || community.Platform(c) != name {
		return place{}, fmt.Errorf("no chat of Telegram: %q", c)
	}
	return l, nil
}

func userID(id int64) community.UserID {
	return community.UserID(name + ":" + strconv.FormatInt(id, 10))
}

func communityID(chat int64) community.CommunityID {
	return community.CommunityID(name + ":" + strconv.FormatInt(chat, 10))
}

func messageID(id int) community.MessageID { return community.MessageID(strconv.Itoa(id)) }
