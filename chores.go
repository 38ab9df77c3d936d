package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"potluck/imagegen"
	"potluck/storage"
)

// keepFor is how long pictures, conversations, page history, buttons and requests are kept.
const keepFor = 30 * 24 * time.Hour

// eraseAfter is how long the text of a finished job is kept at most; one whose answer could not be delivered yet is kept a day longer.
const eraseAfter = 15 * time.Minute

// uptimeEvery is how exact the uptimes of workers are.
const uptimeEvery = time.Minute

// chore is work that the house does for itself now and then.
type chore struct {
	name  string
	every time.Duration
	do    func(ctx context.Context, now time.Time) error
}

// runChore does c at once and then every c.every until ctx ends. A failure is logged and tried again next time.
func runChore(ctx context.Context, c chore, log *slog.Logger) error {
	tick := time.NewTicker(c.every)
	defer tick.Stop()
	for {
		if err := c.do(ctx, time.Now()); err != nil && ctx.Err() == nil {
			log.Error("chore", "chore", c.name, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// houseChores is what the house does for itself, whether anybody asks or not.
func (h *house) houseChores(album *imagegen.Album) []chore {
	requests, turns := &storage.Requests{DB: h.db}, &storage.Turns{DB: h.db}
	return []chore{
		{"release escrow", max(time.Second, min(time.Minute, h.config.Credits.Escrow/10)), func(ctx context.Context, now time.Time) error {
			_, err := h.credits.Release(ctx, now, 500)
			return err
		}},
		{"count uptime", uptimeEvery, func(ctx context.Context, now time.Time) error { return h.pool.CountUptime(ctx, uptimeEvery, now) }},
		{"erase ended jobs", time.Minute, h.eraseEnded},
		{"forget old texts", time.Hour, func(ctx context.Context, now time.Time) error {
			if !h.db.ClockSteady() {
				return nil // pictures know no better than the rest how old they are
			}
			before := now.Add(-keepFor)
			_, gone := album.Forget(before)
			return errors.Join(requests.Forget(ctx, before), turns.Forget(ctx, before), h.credits.ForgetShares(ctx, now), h.people.ForgetAsked(ctx, now), gone)
		}},
	}
}

// eraseEnded erases the texts of jobs that have ended, and the files that workers returned for them.
func (h *house) eraseEnded(ctx context.Context, now time.Time) error {
	blobs, err := (&storage.Jobs{DB: h.db}).EraseEnded(ctx, now.Add(-eraseAfter), 500)
	for _, b := range blobs {
		if gone := os.Remove(b); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
			err = errors.Join(err, gone)
		}
	}
	return err
}
