package main

import (
	"context"
	"log/slog"
	"time"
)

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
