package workers

import (
	"cmp"
	"context"
	"time"

	"potluck/fault"
	"potluck/workers/protocol"
)

// arrive takes a worker that has proved its key into the house, or shows it the door.
func (p *Pool) arrive(in arrival, now time.Time) {
	if p.turnedAway(in) {
		return
	}
	w := p.comeIn(in, now)
	adopted, fresh, gone := p.sortLeases(w, in, now)
	welcome := protocol.Welcome{
		Worker: w.ID, Name: w.Name, Owner: w.OwnerName, Token: in.session.token(), BeatMS: int(p.cfg.Beat.Milliseconds()), Adopted: adopted,
	}
	in.session.send(welcome)
	in.reply <- welcome
	for _, l := range fresh {
		p.assign(w, l, now)
	}
	p.sched.breakdown(w.ID, func() {
		for _, l := range gone {
			if l.restored {
				p.attemptOver(l, OutcomeRestart, blameless, false, now)
			} else {
				p.attemptOver(l, OutcomeLost, failed, l.accepted, now)
			}
		}
	})
	paused := in.hello.Paused
	p.sched.change(w.ID, now, func(n *node) { n.paused = paused })
	p.changed(w, now) // at once, unless it was here a moment ago
}

// turnedAway says goodbye to a worker that may not come in: the pool ends, or it was unlinked. When it was linked anew, with a code, that holds against
// what was unlinked before; where the two overlapped, the store knows which came last.
func (p *Pool) turnedAway(in arrival) bool {
	if p.closing {
		in.reply <- protocol.Bye{Code: protocol.ByeShutdown}
		return true
	}
	since, revoked := p.revoked[in.worker.ID]
	switch {
	case !revoked:
		return false
	case !in.joined:
		in.reply <- protocol.Bye{Code: protocol.ByeRevoked}
		return true
	case since.Before(in.read):
		delete(p.revoked, in.worker.ID)
		return false
	}
	p.task(func(ctx context.Context) func(time.Time) {
		row, known, err := p.store.WorkerByKey(ctx, []byte(in.session.key))
		return func(now time.Time) {
			switch {
			case err != nil:
				p.log.Error("worker not looked up", "err", err)
				in.reply <- protocol.Bye{Code: protocol.ByeShutdown}
			case !known || row.Revoked:
				in.reply <- protocol.Bye{Code: protocol.ByeRevoked}
			default:
				if p.revoked[in.worker.ID].Equal(since) {
					delete(p.revoked, in.worker.ID)
				}
				p.arrive(in, now)
			}
		}
	})
	return true
}

// comeIn makes a worker present, with what its hello says. Another session of the same worker ends. It gets nothing new before its leases are sorted.
func (p *Pool) comeIn(in arrival, now time.Time) *presence {
	w := p.present[in.worker.ID]
	if w == nil {
		w = &presence{leases: map[string]*lease{}}
		p.present[in.worker.ID] = w
	} else if w.session != nil {
		w.session.end(protocol.Bye{Code: protocol.ByeReplaced, Reason: "this worker connected again"})
	}
	if r, ok := p.fresh[in.worker.ID]; ok && r.read.After(in.read) { // a Refresh overtook the handshake
		in.worker, in.read = r.Worker, r.read
	}
	w.Worker, w.read, w.session, w.since, w.away = in.worker, in.read, in.session, now, time.Time{}
	w.Seen, w.Hardware = now, in.hello.Hardware
	w.slots, w.free, w.draining, w.load, w.paused = in.hello.Slots, in.hello.Slots, false, nil, ""
	if in.hello.Paused {
		w.paused = "paused"
	}
	w.raw, w.offers, w.shown = in.hello.Offers, in.offers, nil
	p.sched.connect(w.Worker, w.offers, w.slots, true, now)
	return w
}

// sortLeases goes through what a worker should be at: adopted it is at, fresh it has not been told of, gone it knows nothing of any more.
func (p *Pool) sortLeases(w *presence, in arrival, now time.Time) (adopted []string, fresh, gone []*lease) {
	announced := map[string]bool{}
	for _, r := range in.hello.Running {
		announced[r.Lease] = true
	}
	for id, l := range p.restored {
		if l.Worker == w.ID {
			w.leases[id] = l
		}
	}
	for _, l := range inOrder(w.leases) {
		switch {
		case announced[l.Lease]:
			adopted = append(adopted, l.Lease)
			p.adopt(w, l, now)
		case l.job.phase == settling:
		case l.durable && !l.sent:
			fresh = append(fresh, l)
		case l.durable:
			gone = append(gone, l)
		}
	}
	return adopted, fresh, gone
}

// adopt lets a worker that came back go on with a lease.
func (p *Pool) adopt(w *presence, l *lease, now time.Time) {
	l.sent, l.accepted, l.since = true, true, now
	if delete(p.restored, l.Lease); l.restored { // it is at work: it may go on as long as its lease
		l.job.deadline = later(l.job.deadline, l.Deadline)
		if l.from.IsZero() { // how long the bot was down is nobody's time
			l.from = now
		}
	}
	if l.offer == nil {
		l.offer = p.offerOf(w, l)
		l.first, l.gap = p.patience(l)
	}
	if l.job.phase == running {
		p.sched.attach(l.job.ID, w.ID, l.offer)
	}
	w.session.bind(l.binding)
	l.job.feed.start(l.Number, w.Worker)
}

// offersEvery is how often what a worker says of itself is saved while it stays. It may change every second and be large, and only lists of people who look at
// their machines need it.
const offersEvery = 10 * time.Second

// seen saves when a worker gave its last sign of life, and what it said of itself. That is done when it comes and leaves: not at every beat.
func (p *Pool) seen(w *presence) {
	w.unsaved, w.hurry = true, true
	p.note(w, time.Now())
}

// changed has what a worker now says of itself saved: soon, or when it leaves.
func (p *Pool) changed(w *presence, now time.Time) {
	w.unsaved = true
	p.note(w, now)
}

// note saves a worker's visit if it is time. One at a time: a worker that changes faster than the store saves must not fill the memory.
func (p *Pool) note(w *presence, now time.Time) {
	p.dirty, p.moved = true, true
	if !w.unsaved || w.saving || !w.hurry && now.Sub(w.written) < offersEvery {
		return
	}
	w.unsaved, w.hurry, w.saving, w.written = false, false, true, now
	id, hw, raw, at := w.ID, w.Hardware, w.raw, w.Seen
	p.task(func(ctx context.Context) func(time.Time) {
		if err := p.store.Seen(ctx, id, hw, raw, at); err != nil {
			p.log.Error("worker's visit not saved", "worker", id, "err", err)
		}
		return func(now time.Time) {
			w.saving = false
			p.note(w, now)
		}
	})
}

// noteChanges saves what workers said of themselves a while ago.
func (p *Pool) noteChanges(now time.Time) {
	for _, w := range due(p.present, func(w *presence) bool { return w.unsaved && now.Sub(w.written) >= offersEvery }) {
		p.note(w, now)
	}
}

// offers reads what a worker offers. It is the reader's work and not the loop's: there may be hundreds.
func (p *Pool) offers(raw []protocol.Offer) []*offer {
	out := make([]*offer, 0, len(raw))
	for _, o := range raw {
		n := newOffer(o, p.rates.Canonical(o.Model))
		n.cost = p.rates.Price(n.canonical, usualWork[o.Kind]).Seconds
		out = append(out, n)
	}
	return out
}

// offerOf finds what an adopted lease was given for; the worker may have stopped offering it.
func (p *Pool) offerOf(w *presence, l *lease) *offer {
	for _, o := range w.offers {
		if o.Kind == l.job.Kind && o.Engine == l.Engine && o.Model == l.Model {
			return o
		}
	}
	return newOffer(protocol.Offer{Kind: l.job.Kind, Engine: l.Engine, Model: l.Model, Quality: l.job.Quality, AnyPair: true}, p.rates.Canonical(l.Model))
}

func (p *Pool) depart(in departure, now time.Time) {
	w := p.present[in.worker]
	if w == nil || w.session != in.session || p.closing {
		return
	}
	w.session, w.away = nil, now
	if in.final {
		p.gone(w, now)
		return
	}
	p.seen(w)
	p.sched.change(w.ID, now, func(n *node) { n.away = true })
}

// gone ends what a worker that does not come back was doing.
func (p *Pool) gone(w *presence, now time.Time) {
	delete(p.present, w.ID)
	if w.session != nil {
		w.session.end(protocol.Bye{Code: protocol.ByeRevoked, Reason: "this worker was unlinked"})
	}
	p.sched.change(w.ID, now, func(n *node) { n.away = true })
	_, revoked := p.revoked[w.ID]
	p.sched.breakdown(w.ID, func() {
		for _, l := range inOrder(w.leases) {
			if l.job.phase != settling && l.durable {
				p.attemptOver(l, OutcomeLost, failed, l.accepted && !revoked, now)
			}
		}
	})
	p.sched.leave(w.ID, now)
	p.seen(w)
}

// reoffer takes a worker's new offers.
func (p *Pool) reoffer(in offering, now time.Time) {
	w := p.present[in.worker]
	if w == nil || w.session != in.session {
		return
	}
	f, offers := in.session.takeOffers()
	w.raw, w.offers, w.slots, w.shown, w.Seen = f.Offers, offers, f.Slots, nil, now
	p.sched.change(w.ID, now, func(n *node) { n.offers, n.slots = w.offers, w.slots })
	p.changed(w, now)
}

func (p *Pool) hear(in word, now time.Time) {
	w := p.present[in.worker]
	if w == nil || w.session != in.session {
		return
	}
	w.Seen = now
	switch f := in.frame.(type) {
	case protocol.Beat:
		w.free, w.load = f.Free, f.GPUs
		p.sched.beat(w.ID, f.Free, now)
	case protocol.Pause:
		w.paused = cmp.Or(f.Reason, "paused")
		p.dirty = true
		p.sched.change(w.ID, now, func(n *node) { n.paused = true })
	case protocol.Resume:
		w.paused = ""
		p.dirty = true
		p.sched.change(w.ID, now, func(n *node) { n.paused = false })
	case protocol.Drain:
		w.draining = true
		p.dirty = true
		p.sched.change(w.ID, now, func(n *node) { n.draining = true })
	case protocol.Accept:
		if l := w.leases[f.Lease]; l != nil && !l.accepted {
			l.accepted, l.since = true, now
			l.job.feed.start(l.Number, w.Worker)
		}
	case protocol.Refuse:
		if l := w.leases[f.Lease]; l != nil && l.job.phase == running {
			v := declined
			switch f.Reason {
			case protocol.ReasonBusy, protocol.ReasonPaused:
				v = crowded
			case protocol.ReasonPolicy:
				l.job.refused = fault.New(fault.EngineRefused, "kind", l.job.Kind)
			default: // a model, a feature or a size that it does not do after all
				l.job.refused = fault.New(fault.NoFit, "what", "", "max", 0)
			}
			p.attemptOver(l, OutcomeRefused, v, false, now)
		}
	case protocol.Event:
		p.hearEnd(w, f, now)
	}
}

// hearEnd takes the event that ends an attempt, done or error.
func (p *Pool) hearEnd(w *presence, f protocol.Event, now time.Time) {
	l := w.leases[f.Lease]
	if l == nil {
		w.session.send(protocol.Ack{Lease: f.Lease}) // too late, or twice: nobody waits for it and nothing is paid
		return
	}
	if l.job.phase != running {
		return // being settled; the acknowledgement follows
	}
	l.accepted, l.heard = true, true
	switch {
	case f.Kind == protocol.EventDone && f.Done != nil:
		p.sched.free(l.job.ID, now)
		done := *f.Done
		l.done, l.took = &done, now.Sub(l.Started)
		l.job.phase = settling
		if l.job.attached {
			p.settle(l.job, now)
		} else {
			l.job.parked = true
		}
	case f.Error != nil:
		p.hearError(l, *f.Error, now)
	default:
		p.attemptOver(l, OutcomeRejected, failed, true, now)
	}
}

func (p *Pool) hearError(l *lease, e protocol.Error, now time.Time) {
	j := l.job
	// Neither the detail nor a fault that we do not know is logged: a worker may write the text of the job there.
	p.log.Debug("attempt failed", "job", j.ID, "worker", l.Worker, "model", l.Model, "fault", knownFault(e.Fault))
	switch e.Fault {
	case protocol.FaultOverload:
		p.attemptOver(l, OutcomeOverload, crowded, false, now)
	case protocol.FaultRequest:
		p.object(l, fault.New(fault.EngineRefused, "kind", j.Kind), now)
	case protocol.FaultBlocked:
		p.object(l, fault.New(fault.Blocked), now)
	case protocol.FaultTooLong:
		size := 0
		if l.offer != nil {
			size = l.offer.Context
		}
		p.object(l, fault.New(fault.NoFit, "what", "context", "max", size), now)
	default:
		p.attemptOver(l, OutcomeEngine, failed, true, now)
	}
}

// knownFault is a fault as it may stand in the log.
func knownFault(fault string) string {
	switch fault {
	case protocol.FaultEngine, protocol.FaultRequest, protocol.FaultTooLong, protocol.FaultOverload, protocol.FaultBlocked:
		return fault
	}
	return "unknown"
}
