// Package discord is Discord as a chat platform: commands, buttons and messages of guilds and DMs.
package discord

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bwmarrin/discordgo"
	"golang.org/x/sync/errgroup"

	"potluck/bot"
	"potluck/community"
)

const name = "discord"

// DefaultAPIBase is Discord's own API.
const DefaultAPIBase = "https://discord.com/api/v10"

// Config is what a Platform needs. Token, Commands and Texts are required.
type Config struct {
	Token   string
	APIBase string // default DefaultAPIBase
	// Shards is how many connections share the guilds; 0: as many as Discord recommends.
	Shards int
	// DevGuild gets the commands at once and alone, for development; empty: they are global.
	DevGuild string
	// Content asks for the message content intent: then the bot also reads messages that do not mention it.
	Content bool

	Commands []bot.Command
	Texts    bot.Catalogue
	// AskCommand answers those who mention the bot, TranslateCommand the menu of a message; empty: none. The first takes the question as its
	// Rest, the second the text as its Rest and the language in the option "to".
	AskCommand, TranslateCommand string

	// Delegate returns the role whose members count as admins in a community ("discord:&123"), "" if there is none; nil: nowhere.
	Delegate func(ctx context.Context, c community.CommunityID) (role string, err error)
	// Webhooks lets the bot speak under other names; nil: it names authors in a line of its own messages.
	Webhooks Webhooks

	// Dial replaces the network in tests; nil: the ordinary one.
	Dial    func(ctx context.Context, network, addr string) (net.Conn, error)
	Version string
	Log     *slog.Logger
}

// Platform is Discord. It implements bot.Platform.
type Platform struct {
	config     Config
	log        *slog.Logger
	api        *api
	places     *places
	turns      slots
	transport  *http.Transport
	dialClient *http.Client
	started    time.Time
	chats      *bot.Queues[snowflake]
	dropped    atomic.Int64 // events that found no room
	requests   *interactions
	edits      *pacer
	seen       *bot.Recent[struct{}]              // ids of events that were taken
	sent       *bot.Recent[[]community.MessageID] // by nonce: what was posted so far of a message
	shown      *bot.Recent[[32]byte]              // by message: what it shows
	removed    *bot.Recent[struct{}]              // messages that the bot itself took away

	told     bot.Told // what the bot lacks, once a day
	speakers speakers
	deputies deputies
	acks     chan struct{} // one token per acknowledgement under way
	suggests chan struct{} // one token per autocomplete under way
	work     sync.WaitGroup

	mu        sync.Mutex
	app       string // application id
	self      string // the bot's user id
	content   bool   // the message content intent is used
	readyAt   map[int]bool
	handler   bot.Handler
	everReady bool
	expected  map[snowflake]bool // guilds that the bot is in
}

// Name is "discord".
func (p *Platform) Name() string { return name }

// Pace is how far apart edits of one growing message are; Discord allows about five in five seconds.
func (p *Platform) Pace() time.Duration { return 1200 * time.Millisecond }

// New makes a Platform; nothing is asked of Discord before Run.
func New(c Config) (*Platform, error) {
	if strings.TrimSpace(c.Token) == "" {
		return nil, errors.New("no Discord token")
	}
	if c.Texts == nil {
		return nil, errors.New("discord: no texts")
	}
	c.Token = strings.TrimPrefix(strings.TrimSpace(c.Token), "Bot ")
	c.APIBase, c.Version, c.Log = cmp.Or(c.APIBase, DefaultAPIBase), cmp.Or(c.Version, "0"), cmp.Or(c.Log, slog.Default())
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if c.Dial != nil {
		transport.DialContext, transport.Proxy = c.Dial, nil
	}
	transport.MaxIdleConnsPerHost = 64
	p := &Platform{
		config: c, log: c.Log.With("platform", name), places: newPlaces(), transport: transport, started: time.Now(), content: c.Content,
		readyAt: make(map[int]bool), requests: newInteractions(), edits: newPacer(), seen: bot.NewRecent[struct{}](8192), sent: bot.NewRecent[[]community.MessageID](2048),
		shown: bot.NewRecent[[32]byte](4096), removed: bot.NewRecent[struct{}](4096),
		acks: make(chan struct{}, maxAcks), suggests: make(chan struct{}, maxSuggests),
	}
	p.chats = bot.NewQueues[snowflake](queueLimits, p.log)
	// The WebSocket has its own client: HTTP/2 knows no upgrade.
	plain := &http.Transport{Proxy: transport.Proxy, DialContext: transport.DialContext, TLSHandshakeTimeout: transport.TLSHandshakeTimeout, Protocols: new(http.Protocols)}
	plain.Protocols.SetHTTP1(true)
	p.dialClient = &http.Client{Transport: plain}
	a, err := newAPI(c, newLimiter(transport, func(scope, route string, wait time.Duration) {
		p.log.Warn("Discord limits the bot", "scope", scope, "route", route, "wait", wait.Round(time.Millisecond))
	}))
	p.api = a
	return p, err
}

// Run connects and hands events to h until ctx ends. Before the first connection stands, what cannot work (a wrong token) is an error; later
// Discord can stop nothing: Run says what is wrong and tries again.
func (p *Platform) Run(ctx context.Context, h bot.Handler) error {
	p.mu.Lock()
	p.handler = h
	p.mu.Unlock()
	defer func() {
		p.work.Wait()
		p.transport.CloseIdleConnections()
		p.dialClient.CloseIdleConnections()
	}()
	if err := p.introduce(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.syncCommands(ctx) })
	g.Go(func() error { return p.sweep(ctx) })
	g.Go(func() error { return p.chats.Run(ctx) })
	g.Go(func() error { return p.supervise(ctx) })
	return g.Wait()
}

// introduce asks who the bot is, as often as it takes.
func (p *Platform) introduce(ctx context.Context) error {
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		var app struct {
			ID    string `json:"id"`
			Flags int    `json:"flags"`
			Bot   struct {
				ID string `json:"id"`
			} `json:"bot"`
		}
		err := p.api.do(ctx, request{method: "GET", path: "/applications/@me"}, &app)
		if statusOf(err) == http.StatusUnauthorized {
			return fmt.Errorf("%w (%w)", ErrToken, err)
		}
		if err == nil && app.ID != "" {
			p.mu.Lock()
			p.app, p.self = app.ID, cmp.Or(app.Bot.ID, app.ID)
			p.mu.Unlock()
			if p.config.Content && app.Flags&contentFlags == 0 {
				p.dropContent()
				p.log.Warn("the message content intent is not switched on: mentions, replies to the bot and commands work without it. " + fixContent)
			}
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		p.log.Warn("Discord does not answer yet", "err", err, "again_in", wait)
		if bot.Wait(ctx, wait) != nil {
			return nil
		}
	}
}

// contentFlags of an application: the message content intent, and its form for bots in few guilds.
const contentFlags = 1<<18 | 1<<19

const fixContent = "To let the bot read other messages: discord.com/developers/applications → your application → Bot → Message Content Intent, then restart"

// ErrToken says that Discord does not know the token.
var ErrToken = errors.New("the bot's token is refused: copy it again (discord.com/developers/applications → your application → Bot → Reset Token) " +
	"into discord.token or discord.token_file")

// closeReasons tells the operator what a close code means and what to do.
var closeReasons = map[int]string{
	4004: ErrToken.Error(),
	4010: "Discord refuses the shard number",
	4011: "the bot is in too many guilds for so few shards: set discord.shards to 0, so that Potluck takes what Discord recommends",
	4012: "Discord no longer speaks this version of the gateway: update Potluck",
	4013: "Discord does not know an intent that the bot asked for: update Potluck",
	4014: "Discord refuses an intent that the bot asked for: switch it on (discord.com/developers/applications → your application → Bot)",
}

// lostPause is how long the bot waits after a refusal for good, once it had been connected: it may be an error of Discord's.
const lostPause = 10 * time.Minute

// supervise keeps all shards running.
func (p *Platform) supervise(ctx context.Context) error {
	for {
		err := p.shards(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c, isClosed := errors.AsType[closed](err)
		if isClosed && (c.code == 4010 || c.code == 4011) && p.config.Shards == 0 {
			p.log.Warn("the number of shards changes", "err", err)
			continue
		}
		if reason, ok := closeReasons[c.code]; isClosed && ok {
			err = fmt.Errorf("%s (close code %d)", reason, c.code)
		}
		p.mu.Lock()
		ever := p.everReady
		p.mu.Unlock()
		if !ever {
			return err
		}
		p.log.Error("Discord refuses the bot for good; everything else goes on", "err", err, "again_in", lostPause)
		if bot.Wait(ctx, lostPause) != nil {
			return nil
		}
	}
}

// shards runs as many connections as are needed until ctx ends or one is refused for good.
func (p *Platform) shards(ctx context.Context) error {
	var gateway struct {
		URL    string       `json:"url"`
		Shards int          `json:"shards"`
		Limit  sessionLimit `json:"session_start_limit"`
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := p.api.do(ctx, request{method: "GET", path: "/gateway/bot"}, &gateway)
		if err == nil && gateway.URL != "" {
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		if statusOf(err) == http.StatusUnauthorized {
			return closed{4004}
		}
		p.log.Warn("ask for the gateway's address", "err", err, "again_in", wait)
		if bot.Wait(ctx, wait) != nil {
			return nil
		}
	}
	n := cmp.Or(p.config.Shards, max(1, gateway.Shards))
	p.turns.renew(gateway.Limit, time.Now())
	g, ctx := errgroup.WithContext(ctx)
	for i := range n {
		s := &shard{platform: p, index: i, count: n, url: gateway.URL, identifySlots: &p.turns}
		g.Go(func() error { return s.run(ctx) })
	}
	return g.Wait()
}

// ready is called by each shard that has a new session.
func (p *Platform) ready(index, count int) {
	p.mu.Lock()
	p.everReady = true
	p.readyAt[index] = true
	n := len(p.readyAt)
	p.mu.Unlock()
	p.log.Info("connected to Discord", "shard", index, "shards", count, "ready", n)
}

// dropContent goes on without the message content intent; false: it was not used.
func (p *Platform) dropContent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	had := p.content
	p.content = false
	return had
}

func (p *Platform) intents() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := discordgo.IntentGuilds | discordgo.IntentGuildMessages | discordgo.IntentGuildMessageReactions | discordgo.IntentDirectMessages
	if p.content {
		i |= discordgo.IntentMessageContent
	}
	return int(i)
}

// Self is the bot's own account.
func (p *Platform) Self() community.UserID {
	_, self := p.ids()
	if self == "" {
		return ""
	}
	return community.UserID(name + ":" + self)
}

func (p *Platform) ids() (app, self string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.app, p.self
}

// hand gives an event to the Router. What could not be kept is tried twice more: Discord delivers nothing again.
func (p *Platform) hand(ctx context.Context, e bot.Event) error {
	p.mu.Lock()
	h := p.handler
	p.mu.Unlock()
	var err error
	for _, wait := range []time.Duration{0, time.Second, 3 * time.Second} {
		if wait > 0 && bot.Wait(ctx, wait) != nil {
			return err
		}
		if err = h(ctx, e); err == nil || ctx.Err() != nil || errors.Is(err, bot.ErrIgnored) {
			return err
		}
	}
	p.log.Error("an event could not be taken", "kind", e.Kind, "chat", e.Chat.ID, "user", e.User, "err", err)
	return err
}

// snowflakeTime is when an id was made; zero for what is none.
func snowflakeTime(id string) time.Time {
	n, err := strconv.ParseUint(id, 10, 64)
	if err != nil || n == 0 {
		return time.Time{}
	}
	const discordEpoch = 1420070400000
	return time.UnixMilli(int64(n>>22) + discordEpoch)
}

func localChannel(c community.ChatID) (string, error) {
	if community.Platform(c) != name || !isDigits(community.Local(c)) {
		return "", fmt.Errorf("no chat of Discord: %q", c)
	}
	return community.Local(c), nil
}
