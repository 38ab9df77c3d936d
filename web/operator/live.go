package operator

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"potluck/community"
	"potluck/hygiene"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// What one look shows at most; workers choose names and numbers, so there could be any amount of either.
const (
	maxWorkers = 200
	maxOffers  = 24
	maxGPUs    = 8
	maxFaults  = 30
	maxText    = 80 // bytes of a name
)

// faultWindow is how far back faults and work of a worker are counted.
const faultWindow = 24 * time.Hour

// shown makes a foreign name fit for one line.
func shown(s string) string { return strings.TrimSpace(hygiene.Cut(hygiene.Line(s), maxText)) }

// nowView is everything that changes while one looks.
type nowView struct {
	Queue   []queueView              `json:"queue"`
	States  map[string]int           `json:"states"` // workers by state
	Workers []workerView             `json:"workers"`
	More    int                      `json:"more"` // workers that are not listed
	Pauses  bool                     `json:"pauses"`
	Ledger  map[string]ledger.Amount `json:"ledger"`
	Kinds   []accountsView           `json:"accounts"`
	Faults  []faultView              `json:"faults"`
}

type queueView struct {
	Kind    protocol.Kind `json:"kind"`
	Queued  int           `json:"queued"`
	Running int           `json:"running"`
	Oldest  int64         `json:"oldest"` // ms; 0 = none waits
	Jobs    int           `json:"jobs"`   // that ended in the last hour and had a worker
	P50     float64       `json:"p50"`    // seconds
	P95     float64       `json:"p95"`
}

type workerView struct {
	ID        int64             `json:"id"`
	Name      string            `json:"name"`
	Owner     string            `json:"owner"`
	Operator  bool              `json:"operator"` // the owner is one: every class of job may go there
	Vouched   map[string]string `json:"vouched"`  // community → class
	Share     bool              `json:"share"`
	State     string            `json:"state"`  // of workers.WorkerState, or offline
	Reason    string            `json:"reason"` // what a paused machine said
	Closed    workers.Closed    `json:"closed"`
	Halted    bool              `json:"halted"` // paused in the chat or here
	Since     int64             `json:"since"`  // connected; of an offline one: last seen
	Slots     int               `json:"slots"`
	Free      int               `json:"free"`
	Jobs      []int64           `json:"jobs"`
	OS        string            `json:"os"`
	CPUs      int               `json:"cpus"`
	RAM       int               `json:"ram_mb"`
	GPUs      []gpuView         `json:"gpus"`
	Offers    []offerView       `json:"offers"`
	MoreOffer int               `json:"more_offers"`
	Faults    int               `json:"faults"` // in faultWindow
	Last      string            `json:"last"`   // how the last one ended
	LastAt    int64             `json:"last_at"`
	Done      int               `json:"done"`    // in faultWindow
	Seconds   float64           `json:"seconds"` // reference GPU-seconds in it
	Paid      ledger.Amount     `json:"paid"`    // for it
	Earned    ledger.Amount     `json:"earned"`  // by its owner, ever
}

type gpuView struct {
	Name string            `json:"name"`
	VRAM int               `json:"vram_mb"`
	Load *protocol.GPULoad `json:"load"`
}

type offerView struct {
	Kind    protocol.Kind    `json:"kind"`
	Engine  string           `json:"engine"`
	Model   string           `json:"model"`
	Local   string           `json:"local"` // what the worker calls it
	Quality protocol.Quality `json:"quality"`
	Loaded  bool             `json:"loaded"`
	Rate    float64          `json:"rate"` // measured: reference seconds per second; 0 = never
	Context int              `json:"context"`
	Pixels  int              `json:"pixels"`
	Pairs   int              `json:"pairs"`
	AnyPair bool             `json:"any_pair"`
}

type accountsView struct {
	Kind     ledger.AccountKind `json:"kind"`
	Accounts int                `json:"accounts"`
	Balance  ledger.Amount      `json:"balance"`
}

type faultView struct {
	At      int64         `json:"at"`
	Job     int64         `json:"job"`
	Kind    protocol.Kind `json:"kind"`
	Worker  int64         `json:"worker"`
	Name    string        `json:"name"`
	Model   string        `json:"model"`
	Outcome string        `json:"outcome"`
	Failure string        `json:"failure"`
	Blame   string        `json:"blame"`
}

// blame says whose an ending is: worker, request, nobody, or empty for a good one.
func blame(o workers.Outcome) string {
	switch o {
	case workers.OutcomeLost, workers.OutcomeEngine, workers.OutcomeExpired, workers.OutcomeRejected:
		return "worker"
	case workers.OutcomeRequest:
		return "request"
	case workers.OutcomeRefused, workers.OutcomeOverload, workers.OutcomeRestart, workers.OutcomeCancelled:
		return "nobody"
	default:
		return ""
	}
}

func (v *View) now(w http.ResponseWriter, r *http.Request, _ community.Member) {
	n, err := v.look(r.Context())
	if err != nil {
		v.broken(w, r, err)
		return
	}
	v.answer(w, r, n)
}

// look puts together what is there now.
func (v *View) look(ctx context.Context) (n nowView, err error) {
	now := v.config.Now()
	if n.Queue, err = v.queue(ctx, now); err != nil {
		return n, err
	}
	if err = v.machines(ctx, now, &n); err != nil {
		return n, err
	}
	accounts, err := v.readAccounts(ctx)
	if err != nil {
		return n, err
	}
	n.Kinds, n.Ledger = totals(accounts.kinds)
	faults, err := v.faults.get(ctx, 2*time.Second, func(ctx context.Context) ([]Fault, error) { return v.config.Store.Faults(ctx, maxFaults) })
	if err != nil {
		return n, err
	}
	n.Faults = []faultView{}
	for _, f := range faults {
		fv := faultView{
			At: ms(f.At), Job: f.Job, Kind: f.Kind, Worker: f.Worker, Name: shown(f.Name), Model: shown(f.Model), Outcome: string(f.Outcome),
			Failure: string(f.Failure), Blame: blame(f.Outcome),
		}
		n.Faults = append(n.Faults, fv)
	}
	return n, nil
}

func (v *View) readAccounts(ctx context.Context) (accountsRead, error) {
	return v.accounts.get(ctx, 10*time.Second, func(ctx context.Context) (a accountsRead, err error) {
		a.kinds, a.earned, err = v.config.Store.Accounts(ctx)
		return a, err
	})
}

// totals turns accounts into the numbers that people ask for.
func totals(kinds []Accounts) ([]accountsView, map[string]ledger.Amount) {
	list, sums := []accountsView{}, map[string]ledger.Amount{"minted": 0, "burned": 0, "held": 0, "earned": 0}
	for _, k := range kinds {
		list = append(list, accountsView{k.Kind, k.Accounts, k.Balance})
		switch k.Kind {
		case ledger.Mint:
			sums["minted"] = -k.Balance
		case ledger.Burn:
			sums["burned"] = k.Balance
		case ledger.Hold:
			sums["held"] = k.Balance
		case ledger.Escrow:
			sums["earned"], sums["escrow"] = k.Received, k.Balance
		case ledger.Spend:
			sums["spend"] = k.Balance
		}
	}
	return list, sums
}

func (v *View) queue(ctx context.Context, now time.Time) ([]queueView, error) {
	line, err := v.config.Store.Line(ctx)
	if err != nil {
		return nil, err
	}
	waits, err := v.waits.get(ctx, 5*time.Second, func(ctx context.Context) ([]Wait, error) { return v.config.Store.Waits(ctx, now.Add(-time.Hour)) })
	if err != nil {
		return nil, err
	}
	var out []queueView
	for _, k := range kinds() {
		q := queueView{Kind: k}
		for _, l := range line {
			if l.Kind == k {
				q.Queued, q.Running, q.Oldest = l.Queued, l.Running, ms(l.Oldest)
			}
		}
		for _, w := range waits {
			if w.Kind == k {
				q.Jobs, q.P50, q.P95 = w.Jobs, w.P50.Seconds(), w.P95.Seconds()
			}
		}
		out = append(out, q)
	}
	return out, nil
}

// readLinked reads the linked workers, those that were seen last first.
func (v *View) readLinked(ctx context.Context) ([]workers.Worker, error) {
	linked, err := v.config.Pool.Workers(ctx, 0)
	slices.SortStableFunc(linked, func(a, b workers.Worker) int { return b.Seen.Compare(a.Seen) })
	return linked, err
}

// offline is the state of a linked worker that is not connected.
const offline = "offline"

// machines lists the linked workers, those that are here first.
func (v *View) machines(ctx context.Context, now time.Time, n *nowView) error {
	linked, err := v.linked.get(ctx, 5*time.Second, v.readLinked)
	if err != nil {
		return err
	}
	counts, err := v.counts.get(ctx, 5*time.Second, func(ctx context.Context) (map[int64]FaultCount, error) {
		return v.config.Store.FaultCounts(ctx, now.Add(-faultWindow))
	})
	if err != nil {
		return err
	}
	accounts, err := v.readAccounts(ctx)
	if err != nil {
		return err
	}
	work, err := v.workOfDay(ctx, now)
	if err != nil {
		return err
	}
	n.States, n.Workers, n.Pauses = map[string]int{}, listed(v.config.Pool.Overview().Workers, linked), v.config.Pause != nil
	for i := range n.Workers {
		wv := &n.Workers[i]
		n.States[wv.State]++
		if c, ok := counts[wv.ID]; ok {
			wv.Faults, wv.Last, wv.LastAt = c.Faults, string(c.Outcome), ms(c.Last)
		}
		g := work[wv.ID]
		wv.Done, wv.Seconds, wv.Paid, wv.Earned = g.Jobs, g.Seconds, g.Paid, accounts.earned[community.MemberID(wv.Earned)]
	}
	if more := len(n.Workers) - maxWorkers; more > 0 {
		n.Workers, n.More = n.Workers[:maxWorkers], more
	}
	return nil
}

// workOfDay sums up what each worker did within a day, by its number.
func (v *View) workOfDay(ctx context.Context, now time.Time) (map[int64]Group, error) {
	day, _, err := v.history.read(ctx, spans["day"], now)
	if err != nil {
		return nil, err
	}
	work := map[int64]Group{}
	for _, e := range day {
		for _, g := range e.Groups {
			sum := work[g.Worker]
			sum.Jobs, sum.Seconds, sum.Paid = sum.Jobs+g.Jobs, sum.Seconds+g.Seconds, sum.Paid+g.Paid
			work[g.Worker] = sum
		}
	}
	return work, nil
}

// listed describes the workers that are here, then the linked ones that are not.
func listed(here []workers.WorkerView, linked []workers.Worker) []workerView {
	all, known := []workerView{}, map[int64]bool{}
	for _, live := range here {
		known[live.ID] = true
		all = append(all, describeLive(live))
	}
	for _, gone := range linked {
		if !known[gone.ID] {
			wv := describe(gone)
			wv.State, wv.Since = offline, ms(gone.Seen)
			all = append(all, wv)
		}
	}
	return all
}

// describe tells what is known of a worker, whether it is here or not. Earned holds the owner's number until that is looked up.
func describe(w workers.Worker) workerView {
	wv := workerView{
		ID: w.ID, Name: shown(w.Name), Owner: shown(w.OwnerName), Operator: w.Operator, Share: w.Share, Halted: !w.Paused.IsZero(),
		OS: shown(w.Hardware.OS + "/" + w.Hardware.Arch), CPUs: w.Hardware.CPUs, RAM: w.Hardware.RAMMB, Jobs: []int64{}, GPUs: []gpuView{}, Offers: []offerView{}, Vouched: map[string]string{},
		Earned: ledger.Amount(w.Owner),
	}
	for c, class := range w.Vouched {
		wv.Vouched[string(c)] = string(class)
	}
	for _, g := range w.Hardware.GPUs[:min(len(w.Hardware.GPUs), maxGPUs)] {
		wv.GPUs = append(wv.GPUs, gpuView{Name: shown(g.Name), VRAM: g.VRAMMB})
	}
	return wv
}

func describeLive(w workers.WorkerView) workerView {
	wv := describe(w.Worker)
	wv.State, wv.Reason, wv.Closed, wv.Since, wv.Slots, wv.Free = string(w.State), shown(w.Reason), w.Closed, ms(w.Since), w.Slots, w.Free
	wv.Jobs = append(wv.Jobs, w.Jobs...)
	for i, l := range w.Load {
		if i < len(wv.GPUs) {
			wv.GPUs[i].Load = &l
		}
	}
	for _, o := range w.Offers {
		if len(wv.Offers) == maxOffers {
			wv.MoreOffer = len(w.Offers) - maxOffers
			break
		}
		wv.Offers = append(wv.Offers, offerView{
			Kind: o.Kind, Engine: shown(o.Engine), Model: shown(cmp.Or(o.Canonical, o.Model)), Local: shown(o.Model), Quality: bestQuality(o.Offer),
			Loaded: o.Loaded, Rate: o.Rate, Context: o.Context, Pixels: o.MaxPixels, Pairs: len(o.Pairs), AnyPair: o.AnyPair,
		})
	}
	return wv
}

// bestQuality is that of the best language pair where an offer has no quality of its own.
func bestQuality(o protocol.Offer) protocol.Quality {
	best := o.Quality
	for _, p := range o.Pairs {
		if best == "" || best == protocol.Demo || p.Quality == protocol.Postable {
			best = p.Quality
		}
	}
	return best
}
