package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"potluck/workers/agent/engine"
	"potluck/workers/protocol"
)

// demoEngine is the name of the engine whose output is a demonstration.
const demoEngine = "demo"

// look asks the engines every few seconds what they can do, and now and then which engines there are.
func (a *Agent) look(ctx context.Context) {
	t := time.NewTicker(offersEvery)
	defer t.Stop()
	var engines []engine.Engine
	// Engines that were ever found, so that one keeps what it has learned and counts its jobs. They are few; Run closes them.
	known := map[string]engine.Engine{}
	var discovered time.Time
	for {
		if discovered.IsZero() || time.Since(discovered) >= discoverEvery {
			engines = engines[:0:0]
			found, _ := a.cfg.Discover(ctx)
			for _, f := range found {
				id := identity(f)
				e := known[id]
				if e == nil {
					e = f.Engine
					known[id] = e
					a.engines = append(a.engines, e)
					a.cfg.Log.Info("engine found", "engine", plain(e.Name(), 40), "where", plain(f.Where, 200), "note", plain(f.Note, 200))
				} else if e != f.Engine {
					CloseEngine(f.Engine)
				}
				engines = append(engines, e)
			}
			discovered = time.Now()
		}
		offers := a.ask(ctx, engines)
		var loads []protocol.GPULoad
		if a.cfg.Load != nil {
			loads = a.cfg.Load(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		a.tell(func() {
			a.loads = loads
			a.routes, a.offers = a.cfg.Settings.share(offers)
			a.slots = a.cfg.Settings.slots(a.routes)
			a.status.Slots = a.slots
			a.sayOffers()
		})
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// identity tells the same program at the same place, whatever its models are now.
func identity(f Found) string {
	program, _, _ := strings.Cut(f.Note, ",")
	return fmt.Sprintf("%s %s %s %d", f.Engine.Name(), f.Where, program, slotsOf(f.Engine))
}

// slotsOf is how many jobs an engine does at once; 0 when it sets no limit.
func slotsOf(e engine.Engine) int {
	if s, ok := e.(interface{ Slots() int }); ok {
		return s.Slots()
	}
	return 0
}

// slots is how many jobs this worker does at once: the owner's limit, or what its engines can do together if that is less.
func (s Settings) slots(routes map[route]offered) int {
	total := 0
	seen := map[engine.Engine]bool{}
	for _, o := range routes {
		if !seen[o.engine] {
			seen[o.engine] = true
			if n := slotsOf(o.engine); n > 0 {
				total += n
			} else {
				total += s.Limits.JobsAtOnce
			}
		}
	}
	if total == 0 {
		return s.Limits.JobsAtOnce
	}
	return min(total, s.Limits.JobsAtOnce)
}

// ask asks all engines at once; one that does not answer offers nothing.
func (a *Agent) ask(ctx context.Context, engines []engine.Engine) []offered {
	ctx, cancel := context.WithTimeout(ctx, offersTimeout)
	defer cancel()
	answers := make([][]protocol.Offer, len(engines))
	var wg sync.WaitGroup
	for i, e := range engines {
		wg.Go(func() {
			offers, err := e.Offers(ctx)
			if err != nil {
				a.cfg.Log.Debug("engine does not answer", "engine", e.Name(), "err", err)
				return
			}
			answers[i] = offers
		})
	}
	wg.Wait()
	var all []offered
	for i, offers := range answers {
		for _, o := range offers {
			all = append(all, offered{engines[i], o})
		}
	}
	return all
}

// share picks what the owner's settings let out: never nil, at most protocol.MaxOffers with protocol.MaxAllPairs, each route once.
func (s Settings) share(all []offered) (map[route]offered, []protocol.Offer) {
	routes, offers := map[route]offered{}, []protocol.Offer{}
	real := map[protocol.Kind]bool{}
	pairs := protocol.MaxAllPairs // that may still be offered
	for _, o := range all {
		if _, ok := s.allowsOffer(o.offer); ok && o.engine.Name() != demoEngine {
			real[o.offer.Kind] = true
		}
	}
	for _, o := range all {
		if o.engine.Name() == demoEngine && (s.Demo == DemoOff || s.Demo == DemoFill && real[o.offer.Kind]) {
			continue
		}
		narrowed, ok := s.allowsOffer(o.offer)
		r := route{o.offer.Kind, o.offer.Engine, o.offer.Model}
		if _, twice := routes[r]; !ok || twice || len(offers) == protocol.MaxOffers {
			continue
		}
		if n := len(narrowed.Pairs); n > pairs {
			narrowed.Pairs = narrowed.Pairs[:pairs]
		}
		if pairs -= len(narrowed.Pairs); len(narrowed.Pairs) == 0 && len(o.offer.Pairs) > 0 && !narrowed.AnyPair {
			continue
		}
		o.offer = narrowed
		routes[r] = o
		offers = append(offers, narrowed)
	}
	return routes, offers
}
