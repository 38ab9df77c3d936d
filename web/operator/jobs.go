package operator

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"potluck/community"
	"potluck/ledger"
	"potluck/web/guard"
	"potluck/workers"
	"potluck/workers/protocol"
)

type jobsView struct {
	Jobs []jobView `json:"jobs"`
	Next string    `json:"next"` // where the next page begins; empty after the last
}

type jobView struct {
	ID         int64         `json:"id"`
	Kind       protocol.Kind `json:"kind"`
	State      workers.State `json:"state"`
	Class      workers.Class `json:"class"`
	Model      string        `json:"model"`
	Community  string        `json:"community"`
	Asker      string        `json:"asker"`
	Created    int64         `json:"created"`
	Started    int64         `json:"started"`
	Ended      int64         `json:"ended"`
	Attempts   int           `json:"attempts"`
	Held       ledger.Amount `json:"held"`
	Paid       ledger.Amount `json:"paid"`
	Seconds    float64       `json:"seconds"`
	Failure    string        `json:"failure"`
	Worker     int64         `json:"worker"`
	WorkerName string        `json:"worker_name"`
	Why        *whyView      `json:"why"` // of a job that is not final
}

type whyView struct {
	Obstacle workers.Obstacle `json:"obstacle"`
	Position int              `json:"position"`
	ETA      float64          `json:"eta"`   // seconds; 0 = unknown
	Until    int64            `json:"until"` // ms
	Kind     protocol.Kind    `json:"kind"`
	Model    string           `json:"model"`
	From     string           `json:"from"`
	To       string           `json:"to"`
	Class    workers.Class    `json:"class"`
	Workers  []hinderedView   `json:"workers"`
	More     int              `json:"more"`
}

type hinderedView struct {
	Worker   int64            `json:"worker"`
	Name     string           `json:"name"`
	Obstacle workers.Obstacle `json:"obstacle"`
	Until    int64            `json:"until"`
	Reason   string           `json:"reason"`
}

type attemptView struct {
	Number  int    `json:"number"`
	Worker  int64  `json:"worker"`
	Name    string `json:"name"`
	Engine  string `json:"engine"`
	Model   string `json:"model"`
	Started int64  `json:"started"`
	Ended   int64  `json:"ended"`
	Outcome string `json:"outcome"` // empty while it runs
	Blame   string `json:"blame"`
	Counts  bool   `json:"counts"`
}

func (v *View) jobs(w http.ResponseWriter, r *http.Request, _ community.Member) {
	q := r.URL.Query()
	f := Filter{State: workers.State(q.Get("state")), Kind: protocol.Kind(q.Get("kind")), From: q.Get("from")}
	states := []workers.State{"", workers.Queued, workers.Leased, workers.Done, workers.Failed, workers.Cancelled}
	if !slices.Contains(states, f.State) || f.Kind != "" && !slices.Contains(kinds(), f.Kind) || !pageStart.MatchString(f.From) {
		guard.Refuse(w, http.StatusNotFound, "unknown_filter", "There are no such jobs.")
		return
	}
	list, next, err := v.config.Store.Jobs(r.Context(), f)
	if err != nil {
		v.broken(w, r, err)
		return
	}
	out, err := v.explain(r, list)
	if err != nil {
		v.broken(w, r, err)
		return
	}
	v.answer(w, r, jobsView{out, next})
}

// pageStart is where a page can begin: nowhere, or "123.456".
var pageStart = regexp.MustCompile(`^(\d{1,18}\.\d{1,18})?$`)

// explain shows jobs, and why those are not done that are not.
func (v *View) explain(r *http.Request, list []Job) ([]jobView, error) {
	var open []int64
	for _, j := range list {
		if !j.State.Final() {
			open = append(open, j.ID)
		}
	}
	whys, err := v.config.Pool.Why(r.Context(), open...)
	if err != nil {
		return nil, err
	}
	linked, err := v.linked.get(r.Context(), 5*time.Second, v.readLinked)
	if err != nil {
		return nil, err
	}
	names := map[int64]string{}
	for _, w := range linked {
		names[w.ID] = shown(w.Name)
	}
	out := []jobView{}
	for _, j := range list {
		jv := jobView{
			ID: j.ID, Kind: j.Kind, State: j.State, Class: j.Class, Model: shown(j.Model), Community: shown(string(j.Community)), Asker: shown(j.Asker),
			Created: ms(j.Created), Started: ms(j.Started), Ended: ms(j.Ended), Attempts: j.Attempts, Held: j.Held, Paid: j.Paid, Seconds: j.Seconds,
			Failure: string(j.Failure), Worker: j.Worker, WorkerName: names[j.Worker],
		}
		if y, ok := whys[j.ID]; ok {
			jv.Why = showWhy(y)
		}
		out = append(out, jv)
	}
	return out, nil
}

func showWhy(y workers.Why) *whyView {
	out := &whyView{
		Obstacle: y.Obstacle, Position: y.Position, ETA: y.ETA.Round(time.Second).Seconds(), Until: ms(y.Until), Kind: y.Kind, Model: shown(y.Model),
		From: y.From, To: y.To, Class: y.Class, Workers: []hinderedView{}, More: y.More,
	}
	for _, h := range y.Workers {
		out.Workers = append(out.Workers, hinderedView{h.Worker, shown(h.Name), h.Obstacle, ms(h.Until), shown(h.Reason)})
	}
	return out
}

func (v *View) job(w http.ResponseWriter, r *http.Request, _ community.Member) {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	var j Job
	var attempts []Attempt
	var ok bool
	if err == nil {
		j, attempts, ok, err = v.config.Store.Job(r.Context(), id)
		if err != nil {
			v.broken(w, r, err)
			return
		}
	}
	if !ok {
		guard.Refuse(w, http.StatusNotFound, "unknown_job", "There is no such job.")
		return
	}
	list, err := v.explain(r, []Job{j})
	if err != nil {
		v.broken(w, r, err)
		return
	}
	tries := []attemptView{}
	for _, a := range attempts {
		tries = append(tries, attemptView{
			a.Number, a.Worker, shown(a.Name), shown(a.Engine), shown(a.Model), ms(a.Started), ms(a.Ended), string(a.Outcome), blame(a.Outcome), a.Counts,
		})
	}
	v.answer(w, r, map[string]any{"job": list[0], "attempts": tries})
}
