package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/telegram"
	"potluck/bot/webchat"
	"potluck/commands"
	"potluck/community"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/storage"
	"potluck/translate"
	"potluck/translate/detect"
	"potluck/web"
	"potluck/web/caller"
	"potluck/workers"
	"potluck/workers/protocol"
)

// keepFor is how long pictures, conversations, page history, buttons and requests are kept.
const keepFor = 30 * 24 * time.Hour

// eraseAfter is how long the text of a finished job is kept at most when its answer could not be delivered.
const eraseAfter = 15 * time.Minute

// house is the whole program, built and not yet running.
type house struct {
	config   Config
	log      *slog.Logger
	db       *storage.DB
	people   *storage.People
	credits  *storage.Credits
	pool     *workers.Pool
	caller   *caller.Caller // whose request one is, behind the proxies that the operator trusts
	router   *bot.Router
	knobs    *knobs
	alias    []byte // turns identities into names that the ledger may keep
	server   *web.Server
	listener net.Listener
	chores   []chore
	// operatorURL makes whoever opens it first the operator; empty without the page.
	operatorURL string
}

// build opens the data folder and the address and puts every part in its place. Everything that an operator can mend is one clear sentence.
// With demo, an address that only this machine reaches is good enough for a join string.
func build(ctx context.Context, config Config, log *slog.Logger, demo bool) (_ *house, err error) {
	h := &house{config: config, log: log}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	proxies, err := config.HTTP.proxies()
	if err != nil {
		return nil, err // Validate has refused it already
	}
	h.caller = caller.New(proxies)
	if err := makeFolders(config.DataDir, "blobs", "pictures"); err != nil {
		return nil, err
	}
	if h.listener, err = listen(config.HTTP.Addr); err != nil {
		return nil, err
	}
	secret, seed, err := houseKeys(config.DataDir)
	if err != nil {
		return nil, err
	}
	h.db, err = storage.Open(ctx, storage.Config{Path: filepath.Join(config.DataDir, "potluck.db"), Key: secret, Log: log})
	if err != nil {
		return nil, err
	}
	rates, err := loadRates(config.Credits.RatesFile)
	if err != nil {
		return nil, err
	}
	h.people, h.credits = &storage.People{DB: h.db, Alias: func(id community.UserID) community.UserID { return aliasOf(secret, id) }}, &storage.Credits{DB: h.db}
	h.knobs, h.alias = newKnobs(config), secret
	h.knobs.people = h.people
	if err := h.knobs.load(ctx); err != nil {
		return nil, err
	}
	if err := h.buildPool(ed25519.NewKeyFromSeed(seed), rates, demo); err != nil {
		return nil, err
	}
	if err := h.buildChat(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

func (h *house) buildPool(key ed25519.PrivateKey, rates *ledger.Rates, demo bool) error {
	w := h.config.Workers
	cfg := workers.DefaultConfig()
	cfg.Name, cfg.ServerKey, cfg.BlobDir = h.config.Page.Name, key, filepath.Join(h.config.DataDir, "blobs")
	cfg.PublicURL, cfg.AllowLoopback, cfg.ExpectWorker = h.publicURL(), demo, demo
	cfg.MaxPerOwner, cfg.MaxAttempts = w.MaxPerOwner, w.Attempts
	cfg.Beat, cfg.Silence, cfg.Reconnect, cfg.RestartGrace = w.Heartbeat, w.Silence, w.Lost, w.RestartGrace
	cfg.LeaseMin, cfg.LeaseMax, cfg.EscrowFor = w.LeaseMin, w.LeaseMax, h.config.Credits.Escrow
	cfg.Address = h.caller.Of
	pool, err := workers.New(cfg, &storage.Jobs{DB: h.db}, rates, h.log)
	if err != nil {
		return fmt.Errorf("set up the pool: %w", err)
	}
	h.pool = pool
	return nil
}

// buildChat makes the features, the commands, the platforms and the server in front of them.
func (h *house) buildChat(ctx context.Context) error {
	album, err := imagegen.NewAlbum(filepath.Join(h.config.DataDir, "pictures"))
	if err != nil {
		return err
	}
	texts := commands.Texts()
	requests, turns, jobs := &storage.Requests{DB: h.db}, &storage.Turns{DB: h.db}, &storage.Jobs{DB: h.db}
	wishing := workers.Wishing{Pool: h.pool, Store: jobs, Log: h.log}
	run := &running{
		house: h, began: time.Now(), platforms: make(map[string]bot.Platform), pictures: filepath.Join(h.config.DataDir, "pictures"),
		downloads: &downloads{people: h.people, texts: texts, log: h.log},
	}
	translator := translate.New(translate.Config{Jobs: wishing, Detector: detect.New(), Wait: h.config.Limits.JobWait})
	features := commands.House{
		Ask:       ask.New(ask.Config{Jobs: wishing, Store: turns, Language: translator.Language, MaxTokens: h.config.Ask.MaxTokens, Wait: h.config.Limits.JobWait}),
		Draw:      imagegen.New(imagegen.Config{Jobs: wishing, Wait: h.config.Limits.JobWait}),
		Translate: translator,
		Pool:      h.pool, Credits: creditsOf{h.credits}, Requests: requests, People: h.people, Texts: texts,
		Payer: h.payer, Quality: h.quality, Trusted: h.trustedWorker, Patience: h.config.Limits.JobWait, Now: time.Now,
		Album: album, Log: h.log, Owners: h.pool, Gifts: h.credits, Figures: jobs, Members: h.people, Running: run,
		Links: &storage.Links{DB: h.db}, Setups: h.people, Inspect: run.inspect,
	}
	all := commands.All(features)
	mounts := map[string]http.Handler{protocol.Path: h.pool.Handler(), protocol.BlobPath: h.pool.Handler(), downloadPath: run.downloads}
	var platforms []bot.Platform
	if h.config.Page.Enabled {
		page, err := h.buildPage(album, all, texts)
		if err != nil {
			return err
		}
		platforms = append(platforms, page)
		mounts["/"] = page.Handler()
		if err := h.mountOperator(mounts, page); err != nil {
			return err
		}
	}
	if h.config.Discord.enabled() {
		onDiscord, err := h.buildDiscord(ctx, all, texts)
		if err != nil {
			return err
		}
		platforms = append(platforms, onDiscord)
	}
	if h.config.Telegram.enabled() {
		onTelegram, err := h.buildTelegram(ctx, all, texts)
		if err != nil {
			return err
		}
		platforms = append(platforms, onTelegram)
		if h.config.Telegram.Webhook {
			mounts[telegram.WebhookPath] = onTelegram.Handler()
		}
	}
	for _, p := range platforms {
		run.platforms[p.Name()] = p
	}
	limits := h.knobs.limits()
	limits.Starts, limits.Calm = h.config.Limits.Restarts, h.config.Limits.CalmAfter
	h.router, err = bot.NewRouter(bot.Config{
		Platforms: platforms, Commands: all, Listeners: commands.Listeners(features), Actions: commands.Actions(features), Reactions: commands.Reactions(features),
		Store: requests, People: h.people, Catalogue: texts, Eraser: h.pool, Gate: features.Gate, Cancel: h.pool.CancelRequest, Log: h.log, Keep: keepFor,
		Limits: limits,
	})
	if err != nil {
		return fmt.Errorf("set up commands: %w", err)
	}
	h.knobs.apply = h.router.SetLimits
	h.server, err = web.New(web.Config{Mounts: mounts, Ready: h.db.Ping, Metrics: metrics{pool: h.pool, db: h.db, router: h.router}, Log: h.log})
	if err != nil {
		return err
	}
	h.chores = []chore{
		{"release escrow", max(time.Second, min(time.Minute, h.config.Credits.Escrow/10)), func(ctx context.Context, now time.Time) error {
			_, err := h.credits.Release(ctx, now, 500)
			return err
		}},
		{"count uptime", uptimeEvery, func(ctx context.Context, now time.Time) error { return h.pool.CountUptime(ctx, uptimeEvery, now) }},
		{"erase ended jobs", time.Minute, func(ctx context.Context, now time.Time) error {
			blobs, err := jobs.EraseEnded(ctx, now.Add(-eraseAfter), 500)
			for _, b := range blobs {
				if gone := os.Remove(b); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
					err = errors.Join(err, gone)
				}
			}
			return err
		}},
		{"forget old texts", time.Hour, func(ctx context.Context, now time.Time) error {
			if !h.db.ClockSteady() {
				return nil // pictures know no better than the rest how old they are
			}
			before := now.Add(-keepFor)
			return errors.Join(requests.Forget(ctx, before), turns.ForgetTurns(ctx, before, 0), second(album.Forget(before)))
		}},
	}
	return nil
}

func (h *house) buildPage(album *imagegen.Album, all []bot.Command, texts *commands.Catalogue) (*webchat.Page, error) {
	token, passes := newToken(), newOperatorPasses(h.alias, time.Now())
	h.operatorURL = h.publicURL() + operatorPath + token
	return webchat.New(webchat.Config{
		Store: &storage.Page{DB: h.db}, Pictures: album, Name: communityName, Title: h.config.Page.Name, Chats: h.config.Page.Chats,
		OperatorToken: token,
		OperatorPass:  func(token string) bool { return passes.take(token, time.Now()) },
		Operator: func(ctx context.Context, user community.UserID, name string) error {
			_, err := h.operator(ctx, user, name)
			return err
		},
		PrivateCommand: func(text string) bool { return bot.IsPrivate(all, text) },
		Asked: func(ctx context.Context, chat community.ChatID, m community.MessageID) (bool, error) {
			asked, err := (&storage.Requests{DB: h.db}).Asked(ctx, chat, m)
			return len(asked) > 0, err
		},
		Commands: func(ctx context.Context, user community.UserID, locale string) any {
			return completions(all, h.pageRole(ctx, user), texts.Say(texts.Match(locale)))
		},
		Language: func(ctx context.Context, user community.UserID, name, language string) error {
			m, err := h.people.Member(ctx, user, name, time.Now())
			if err != nil {
				return err
			}
			return h.people.SetLanguage(ctx, m.ID, language)
		},
		Suggest: func(_, command, option, typed string) []string { return suggest(all, command, option, typed) },
		Pool:    func() webchat.Pool { return h.poolGlance(community.Chat{ID: "page:" + communityName}) },
		Purse: func(ctx context.Context, user community.UserID) (webchat.Purse, error) {
			return h.purse(ctx, user, "page:"+communityName)
		},
		Secure:  func(*http.Request) bool { return strings.HasPrefix(h.config.HTTP.PublicURL, "https://") },
		Address: h.caller.Of,
		Origins: []string{h.publicURL()},
		Now:     time.Now, Log: h.log,
	})
}

// communityName is the page's part in its community's id. The name that people read can change; the id cannot.
const communityName = "potluck"

// operator makes sure that an identity belongs to a member who is operator. Where that would make an operator of a connected account that nobody named,
// it is not done: the role never spreads by connecting, in whichever order.
func (h *house) operator(ctx context.Context, user community.UserID, name string) (community.Member, error) {
	m, err := h.people.Member(ctx, user, name, time.Now())
	if err != nil {
		return m, err
	}
	if !m.Operator {
		all, err := h.people.Identities(ctx, m.ID)
		if err != nil {
			return m, err
		}
		all = slices.DeleteFunc(all, func(id community.UserID) bool { return id == user || h.namedOperator(id) })
		if len(all) > 0 {
			h.log.Error("not made operator: accounts that are no operators are connected with this one; /unlink them or name them, too", "user", user, "connected", all)
			return m, nil
		}
	}
	if err := h.people.MakeOperator(ctx, m.ID); err != nil {
		return m, err
	}
	return h.people.MemberByID(ctx, m.ID)
}

// namedOperator tells whether the configuration names an identity, or it is that of the one-time address.
func (h *house) namedOperator(id community.UserID) bool {
	named := map[string][]string{"discord": h.config.Discord.Operators, "telegram": h.config.Telegram.Operators}[community.Platform(id)]
	return id == webchat.OperatorUser || slices.Contains(named, community.Local(id))
}

// uptimeEvery is how exact the uptimes of workers are.
const uptimeEvery = time.Minute

// payer: the page's visitors share one allowance, however many sessions they open; elsewhere each identity has its own, under a name that tells
// nobody whose it is: the ledger cannot forget.
//
// Who has connected several accounts has the free credits of one of them, wherever the wish comes from: also on the page, and also when the wish is older
// than the connection.
func (h *house) payer(r bot.Request) ledger.Payer {
	user, member := r.User, r.Member
	if m, err := h.people.MemberByID(context.Background(), r.Member); err == nil { // from memory, nearly always
		member = m.ID
		if m.Free != "" {
			user = m.Free
		}
	}
	if community.Platform(user) == "page" {
		return ledger.Payer{Allowance: ledger.AllowanceOf(r.Chat.Community), Daily: credits(h.knobs.value(knobDailyPage)), Spend: ledger.SpendOf(member)}
	}
	return ledger.Payer{Allowance: ledger.AllowanceOf(aliasOf(h.alias, user)), Daily: credits(h.knobs.value(knobDailyMember)), Spend: ledger.SpendOf(member)}
}

// quality: what people ask for by a command may be rough; demonstrations are for the page, where the operator wants them.
func (h *house) quality(c community.Chat) protocol.Quality {
	if community.Platform(c.ID) == "page" && h.config.Page.DemoEngine || community.Platform(c.ID) == "discord" && h.config.Discord.DemoEngine ||
		community.Platform(c.ID) == "telegram" && h.config.Telegram.DemoEngine {
		return protocol.Demo
	}
	return protocol.Rough
}

// publicURL is the configured one, or the address that this machine listens on.
func (h *house) publicURL() string {
	if u := strings.TrimRight(h.config.HTTP.PublicURL, "/"); u != "" {
		return u
	}
	return "http://" + reachable(h.listener.Addr())
}

// trustedWorker: pictures of workers that are the operator's, or vouched for in that community, are shown uncovered. Nobody has looked at
// a stranger's.
func (h *house) trustedWorker(worker int64, c community.Chat) bool {
	for _, w := range h.pool.Overview().Workers {
		if w.ID == worker {
			return w.Operator || w.Vouched[c.Community] != ""
		}
	}
	return false
}

// Run serves until ctx ends or a part fails; when it returns, every part has stopped and the database is closed.
func (h *house) Run(ctx context.Context) error {
	defer h.close()
	g, ctx := errgroup.WithContext(ctx)
	// The pool outlives the chat: a command that is told "the pool has stopped" while its chat still runs would show that as a failure,
	// for good, instead of running again after the restart.
	pooled, stopPool := context.WithCancel(context.WithoutCancel(ctx))
	defer stopPool()
	g.Go(func() error { return h.pool.Run(pooled) })
	g.Go(func() error {
		defer stopPool()
		return h.router.Run(ctx)
	})
	g.Go(func() error { return h.server.Run(ctx, h.listener) })
	for _, c := range h.chores {
		g.Go(func() error { return runChore(ctx, c, h.log) })
	}
	err := g.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (h *house) close() {
	if h.listener != nil {
		h.listener.Close() // the server may have done it already
	}
	if h.db != nil {
		if err := h.db.Close(); err != nil {
			h.log.Error("close the database", "err", err)
		}
	}
}

// makeFolders makes the data folder and those in it, or says in one sentence why it cannot.
func makeFolders(dir string, below ...string) error {
	for _, d := range append([]string{""}, below...) {
		path := filepath.Join(dir, d)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return fmt.Errorf("the data folder %s cannot be made (%w): choose another with data_dir or POTLUCK_DATA_DIR", path, reason(err))
		}
	}
	return writable(dir)
}

// writable tries to make a file in dir.
func writable(dir string) error {
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return fmt.Errorf("the data folder %s cannot be written (%w): mend its permissions, or choose another with data_dir or POTLUCK_DATA_DIR", dir, reason(err))
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}

// listen opens the one address, or says in one sentence why it cannot.
func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("the address %s is in use by another program (or another Potluck): stop that one, or choose another with http.addr or POTLUCK_HTTP_ADDR", addr)
	case err != nil:
		return nil, fmt.Errorf("the address %s cannot be used (%w): choose another with http.addr or POTLUCK_HTTP_ADDR", addr, reason(err))
	}
	return l, nil
}

// reason is the system's own word ("permission denied") without the path or address that the sentence names already.
func reason(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		return e.Err
	}
	return err
}

// reachable is the address of a listener as a browser on this machine reaches it.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
	}
	return tcp.String()
}

func loadRates(path string) (*ledger.Rates, error) {
	if path == "" {
		return ledger.DefaultRates(), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the rate table %s cannot be read (%w): mend credits.rates_file", path, reason(err))
	}
	r, err := ledger.LoadRates(b)
	if err != nil {
		return nil, fmt.Errorf("the rate table %s: %w", path, err)
	}
	return r, nil
}
