package main

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"potluck/ask"
	"potluck/bot"
	"potluck/bot/telegram"
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
	h.db, err = storage.Open(ctx, databaseOf(config.DataDir, secret, seed, log))
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
	cfg.AcceptWithin, cfg.FirstToken, cfg.TextGap = w.AcceptWithin, w.FirstToken, w.TextGap
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
	pictures := filepath.Join(h.config.DataDir, "pictures")
	album, err := imagegen.NewAlbum(pictures)
	if err != nil {
		return err
	}
	run := &running{
		house: h, began: time.Now(), platforms: make(map[string]bot.Platform), pictures: pictures,
		downloads: &downloads{people: h.people, texts: commands.Texts(), log: h.log},
	}
	features := h.features(run, album)
	all := commands.All(features)
	mounts := map[string]http.Handler{protocol.Path: h.pool.Handler(), protocol.BlobPath: h.pool.Handler(), downloadPath: run.downloads}
	platforms, err := h.buildPlatforms(ctx, all, album, mounts)
	if err != nil {
		return err
	}
	for _, p := range platforms {
		run.platforms[p.Name()] = p
	}
	if err := h.buildRouter(features, all, platforms); err != nil {
		return err
	}
	h.chores = h.houseChores(album)
	h.server, err = web.New(web.Config{Mounts: mounts, Ready: h.db.Ping, Metrics: metrics{pool: h.pool, db: h.db, router: h.router}, Log: h.log})
	return err
}

// features is everything that commands work with.
func (h *house) features(run *running, album *imagegen.Album) commands.House {
	jobs, wait := &storage.Jobs{DB: h.db}, h.config.Limits.JobWait
	wishing := workers.Wishing{Pool: h.pool, Store: jobs, Log: h.log}
	translator := translate.New(translate.Config{Jobs: wishing, Detector: detect.New(), Wait: wait})
	return commands.House{
		Ask: ask.New(ask.Config{
			Jobs: wishing, Store: &storage.Turns{DB: h.db}, Language: translator.Language, MaxTokens: h.config.Ask.MaxTokens, Wait: wait,
		}),
		Draw:      imagegen.New(imagegen.Config{Jobs: wishing, Wait: wait}),
		Translate: translator,
		Pool:      h.pool, Credits: creditsOf{h.credits}, Requests: &storage.Requests{DB: h.db}, People: h.people, Texts: commands.Texts(),
		Payer: h.payer, Quality: h.quality, Trusted: h.trustedWorker, Patience: wait, Now: time.Now,
		Album: album, Log: h.log, Owners: h.pool, Gifts: h.credits, Figures: jobs, Members: h.people, Running: run,
		Links: &storage.Links{DB: h.db}, Setups: h.people, Inspect: run.inspect,
	}
}

// buildPlatforms makes the platforms that are configured, and adds what they serve to mounts.
func (h *house) buildPlatforms(ctx context.Context, all []bot.Command, album *imagegen.Album, mounts map[string]http.Handler) (platforms []bot.Platform, err error) {
	texts := commands.Texts()
	if h.config.Page.Enabled {
		page, err := h.buildPage(album, all, texts)
		if err != nil {
			return nil, err
		}
		platforms = append(platforms, page)
		mounts["/"] = page.Handler()
		if err := h.mountOperator(mounts, page); err != nil {
			return nil, err
		}
	}
	if h.config.Discord.enabled() {
		onDiscord, err := h.buildDiscord(ctx, all, texts)
		if err != nil {
			return nil, err
		}
		platforms = append(platforms, onDiscord)
	}
	if h.config.Telegram.enabled() {
		onTelegram, err := h.buildTelegram(ctx, all, texts)
		if err != nil {
			return nil, err
		}
		platforms = append(platforms, onTelegram)
		if h.config.Telegram.Webhook {
			mounts[telegram.WebhookPath] = onTelegram.Handler()
		}
	}
	return platforms, nil
}

func (h *house) buildRouter(features commands.House, all []bot.Command, platforms []bot.Platform) (err error) {
	limits := h.knobs.limits()
	limits.Starts, limits.Calm = h.config.Limits.Restarts, h.config.Limits.CalmAfter
	h.router, err = bot.NewRouter(bot.Config{
		Platforms: platforms, Commands: all, Listeners: commands.Listeners(features), Actions: commands.Actions(features), Reactions: commands.Reactions(features),
		Store: &storage.Requests{DB: h.db}, People: h.people, Catalogue: commands.Texts(), Eraser: h.pool, Gate: features.Gate, Cancel: h.pool.CancelRequest, Log: h.log, Keep: keepFor,
		Limits: limits,
	})
	if err != nil {
		return fmt.Errorf("set up commands: %w", err)
	}
	h.knobs.apply = h.router.SetLimits
	return nil
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

// publicURL is the configured one, or the address that this machine listens on.
func (h *house) publicURL() string {
	if u := strings.TrimRight(h.config.HTTP.PublicURL, "/"); u != "" {
		return u
	}
	return "http://" + reachable(h.listener.Addr())
}
