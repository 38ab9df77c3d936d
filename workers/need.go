package workers

import (
	"slices"
	"strings"

	"potluck/workers/protocol"
)

// need is what a job asks of a worker; jobs with equal needs are interchangeable to the workers.
type need struct {
	kind     protocol.Kind
	model    string // canonical, empty = any
	features string // sorted, separated by blanks
	rank     int    // lowest quality, see rankOf
	class    Class
	context  int // tokens
	pixels   int
	steps    int
	count    int
	sampler  string
	from, to string
	only     int64   // the one worker that may do it, 0 = any
	cost     float64 // the highest offer.cost that its hold is enough for, 0 = any
	retry    int64   // the job's id when some worker may not have it again: it stands alone then
}

// promptRoom is what a model that translates needs for its instructions, in tokens.
const promptRoom = 256

func needOf(j *Job) need {
	n := need{kind: j.Kind, model: j.Model, rank: rankOf(j.Quality), class: j.Class, only: j.Only}
	if len(j.Features) > 0 {
		f := slices.Clone(j.Features)
		slices.Sort(f)
		n.features = strings.Join(slices.Compact(f), " ")
	}
	switch {
	case j.Chat != nil:
		n.context = j.Work.InTokens + max(j.Chat.MaxTokens, 0)
	case j.Image != nil:
		n.pixels, n.steps, n.count, n.sampler = j.Image.Width*j.Image.Height, j.Image.Steps, max(j.Image.Count, 1), strings.ToLower(j.Image.Sampler)
	case j.Translate != nil:
		n.from, n.to = baseLanguage(j.Translate.From), baseLanguage(j.Translate.To)
		// A model that translates needs room for prompt, source and translation.
		n.context = 2*j.Work.InTokens + promptRoom
	}
	return n
}

func baseLanguage(tag string) string {
	base, _, _ := strings.Cut(strings.ToLower(tag), "-")
	return base
}

// rankOf orders qualities; what is not named is taken for the least that a real engine gives.
func rankOf(q protocol.Quality) int {
	switch q {
	case protocol.Demo:
		return 0
	case protocol.Postable:
		return 2
	default:
		return 1
	}
}

func qualityOf(rank int) protocol.Quality {
	return [...]protocol.Quality{protocol.Demo, protocol.Rough, protocol.Postable}[rank]
}

// offer is a worker's offer as the scheduler reads it.
type offer struct {
	protocol.Offer
	canonical string
	rank      int
	cost      float64           // reference seconds of a usual job of its kind: what it is worth, compared with other models
	pairs     map[[2]string]int // quality rank of each direction
}

func newOffer(o protocol.Offer, canonical string) *offer {
	n := &offer{Offer: o, canonical: canonical, rank: rankOf(o.Quality)}
	if o.Kind != protocol.Translate && o.Quality == "" {
		n.rank = 2
	}
	if len(o.Pairs) > 0 {
		n.pairs = make(map[[2]string]int, len(o.Pairs))
		for _, p := range o.Pairs {
			n.pairs[[2]string{baseLanguage(p.From), baseLanguage(p.To)}] = rankOf(p.Quality)
		}
	}
	return n
}

// quality is the rank of what this offer would make of the need; ok is false when it cannot.
func (o *offer) quality(n *need) (rank int, ok bool) {
	if o.Kind != protocol.Translate {
		return o.rank, true
	}
	if r, ok := o.pairs[[2]string{n.from, n.to}]; ok {
		return r, true
	}
	return o.rank, o.AnyPair
}

// A misfit says which limit of an offer is too small for a need.
type misfit struct {
	what string
	max  int
}

func (o *offer) limits(n *need) (misfit, bool) {
	small := func(what string, have, want int) (misfit, bool) { return misfit{what, have}, have > 0 && want > have }
	if o.Kind == protocol.Chat || o.AnyPair {
		if m, bad := small("context", o.Context, n.context); bad {
			return m, false
		}
	}
	if o.Kind == protocol.Image {
		if m, bad := small("pixels", o.MaxPixels, n.pixels); bad {
			return m, false
		}
		if m, bad := small("steps", o.MaxSteps, n.steps); bad {
			return m, false
		}
		if m, bad := small("count", o.MaxCount, n.count); bad {
			return m, false
		}
	}
	return misfit{}, true
}

// suits tells whether the offer can serve the need, whoever's it is.
func (o *offer) suits(n *need) bool {
	if o.Kind != n.kind || n.model != "" && n.model != o.canonical || n.cost > 0 && o.cost > n.cost || !o.can(n) {
		return false
	}
	rank, ok := o.quality(n)
	if !ok || rank < n.rank {
		return false
	}
	_, fits := o.limits(n)
	return fits
}

func (o *offer) can(n *need) bool {
	for f := range strings.FieldsSeq(n.features) {
		if !slices.Contains(o.Features, f) {
			return false
		}
	}
	return n.sampler == "" || len(o.Samplers) == 0 || slices.ContainsFunc(o.Samplers, func(s string) bool { return strings.EqualFold(s, n.sampler) })
}
