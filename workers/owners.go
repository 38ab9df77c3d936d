package workers

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"potluck/community"
	"potluck/fault"
	"potluck/workers/protocol"
)

// Link makes a join string for a new worker of owner; it works once, until the returned time. share tells whether the owner agrees to be named
// under results. An address that only this machine reaches is for operators, who have it at hand; others get fault.PublicURL.
func (p *Pool) Link(ctx context.Context, owner community.Member, name string, share bool) (protocol.Join, time.Time, error) {
	if p.cfg.PublicURL == "" || !p.cfg.AllowLoopback && !owner.Operator && protocol.Loopback(p.cfg.PublicURL) {
		return protocol.Join{}, time.Time{}, fault.New(fault.PublicURL, "url", p.cfg.PublicURL)
	}
	code := protocol.NewCode()
	expires := time.Now().Add(protocol.JoinLifetime)
	if err := p.store.SaveJoinCode(ctx, sha256.Sum256([]byte(code)), owner.ID, label(name, 32), share, expires); err != nil {
		return protocol.Join{}, time.Time{}, fmt.Errorf("link worker: %w", err)
	}
	public := p.cfg.ServerKey.Public().(ed25519.PublicKey)
	return protocol.Join{Server: strings.TrimRight(p.cfg.PublicURL, "/"), Fingerprint: protocol.Fingerprint(public), Code: code}, expires, nil
}

// Workers lists an owner's linked workers, live or not; Overview tells which are live. Owner 0 lists all. Each has a name.
func (p *Pool) Workers(ctx context.Context, owner community.MemberID) ([]Worker, error) {
	all, err := p.store.Workers(ctx, owner)
	return named(all), err
}

// Revoke unlinks a worker: its connection is cut and its jobs go elsewhere at once. Only its owner and operators may; to everybody else the
// worker does not exist.
func (p *Pool) Revoke(ctx context.Context, id int64, by community.Member) error {
	w, err := p.find(ctx, id)
	if err != nil {
		return fmt.Errorf("revoke worker: %w", err)
	}
	if w.ID == 0 || w.Owner != by.ID && !by.Operator {
		return fault.New(fault.UnknownWorker, "worker", id)
	}
	if err := p.store.Revoke(ctx, id, time.Now()); err != nil {
		return fmt.Errorf("revoke worker %d: %w", id, err)
	}
	done := time.Now()
	ctx, cancel := afterWrite(ctx)
	defer cancel()
	return p.ask(ctx, func(now time.Time) {
		w := p.present[id]
		if w != nil && w.read.After(done) { // linked again meanwhile
			return
		}
		p.revoked[id] = done
		if w != nil {
			p.gone(w, now)
		}
	})
}

// afterWrite is the context for what must follow a write to the store: whoever asked may be gone by then (who deletes the message with a command ends its request),
// but what stands in the store has to hold for the workers that are here, too.
func afterWrite(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), storePatience)
}

// CancelRequest cancels and refunds every open job of a request (those whose key is request + ":" + anything), whoever waits for it, and tells the workers
// that are at them. It returns when the store says so; a result that was being saved already stays. Calling it again, also after a restart, changes nothing.
func (p *Pool) CancelRequest(ctx context.Context, request string) error {
	var waiters []*waiter
	err := p.ask(ctx, func(now time.Time) {
		var of []*job
		for key, j := range p.keys {
			if strings.HasPrefix(key, request+":") {
				of = append(of, j)
			}
		}
		slices.SortFunc(of, func(a, b *job) int { return strings.Compare(a.Key, b.Key) })
		for _, j := range of {
			w := &waiter{done: make(chan outcome, 1), job: j}
			j.waiters[w] = true
			waiters = append(waiters, w)
			p.stop(j, fault.New(fault.Cancelled), now)
		}
	})
	if err != nil {
		return fmt.Errorf("cancel request: %w", err)
	}
	for i, w := range waiters {
		select {
		case <-w.done:
			continue
		case <-p.stopped:
			return fmt.Errorf("cancel request: %w", errStopped)
		case <-ctx.Done():
		}
		for _, w := range waiters[i:] {
			p.post(detachment{w})
		}
		return fmt.Errorf("cancel request: %w", context.Cause(ctx))
	}
	return nil
}

// Refresh reads a worker's row again, after its name, its vouches or its owner's role changed. It does so although ctx has ended.
func (p *Pool) Refresh(ctx context.Context, id int64) error {
	ctx, cancel := afterWrite(ctx)
	defer cancel()
	read := time.Now()
	row, err := p.find(ctx, id)
	if err != nil {
		return fmt.Errorf("refresh worker: %w", err)
	}
	if row.ID == 0 {
		return fault.New(fault.UnknownWorker, "worker", id)
	}
	return p.ask(ctx, func(now time.Time) {
		if p.fresh[id].read.Before(read) {
			p.fresh[id] = freshRow{row, read}
		}
		w := p.present[id]
		if w == nil || w.read.After(read) {
			return
		}
		row.Seen, row.Hardware = w.Seen, w.Hardware
		w.Worker, w.read = row, read
		p.dirty = true
		p.sched.enlist(row, w.offers, now)
	})
}

func (p *Pool) find(ctx context.Context, id int64) (Worker, error) {
	all, err := p.Workers(ctx, 0)
	if err != nil {
		return Worker{}, err
	}
	for _, w := range all {
		if w.ID == id {
			return w, nil
		}
	}
	return Worker{}, nil
}

// ask has the loop do something and waits until it is done.
func (p *Pool) ask(ctx context.Context, do func(now time.Time)) error {
	done := make(chan struct{})
	select {
	case p.inbox <- func(now time.Time) { do(now); close(done) }:
	case <-p.stopped:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case <-done:
		return nil
	case <-p.stopped:
		return errStopped
	}
}

// label is printable without what could ping, link or mark up in some chat: machines and their owners name themselves, and all members read it.
func label(s string, n int) string {
	s = strings.ReplaceAll(s, "://", " ")
	return printable(strings.Map(func(r rune) rune {
		if strings.ContainsRune("@＠<>[]`*_~|\\", r) {
			return ' '
		}
		return r
	}, s), n)
}

// printable makes foreign text fit to be shown: one line without control or invisible characters, at most n bytes.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, s)
	return strings.TrimSpace(protocol.CutText(strings.Join(strings.Fields(s), " "), n))
}
