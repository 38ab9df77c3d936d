package agent

import (
	"math"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"potluck/workers/protocol"
)

// Bounds of what a job may carry, whatever the owner allows: they protect the inference programs, which often check nothing.
const (
	maxMessages = 512
	maxSegments = 1024
	maxInputs   = 16
	maxSide     = 8192 // pixels
	minSide     = 16
	maxStops    = 16
)

var language = regexp.MustCompile(`^[a-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$`)

// allowsOffer tells whether the owner shares this kind and model; the returned offer is narrowed to the owner's limits.
func (s Settings) allowsOffer(o protocol.Offer) (protocol.Offer, bool) {
	if !slices.Contains(s.Kinds, string(o.Kind)) || !s.allowsModel(o.Model) {
		return o, false
	}
	if o.Kind == protocol.Chat {
		o.MaxTokens = narrow(o.MaxTokens, s.Limits.MaxTokens)
	}
	if o.Kind == protocol.Image {
		o.MaxPixels = narrow(o.MaxPixels, s.Limits.MaxPixels)
		o.MaxSteps = narrow(o.MaxSteps, s.Limits.MaxSteps)
		o.MaxCount = narrow(o.MaxCount, s.Limits.MaxCount)
	}
	if len(o.Pairs) > protocol.MaxPairs {
		o.Pairs = o.Pairs[:protocol.MaxPairs]
	}
	return o, true
}

// narrow returns the smaller limit; 0 in an offer means that the engine knows none.
func narrow(engine, owner int) int {
	if engine <= 0 {
		return owner
	}
	return min(engine, owner)
}

func (s Settings) allowsModel(model string) bool {
	if len(s.Models) == 0 {
		return true
	}
	return slices.ContainsFunc(s.Models, func(p string) bool {
		ok, err := path.Match(p, model)
		return err == nil && ok
	})
}

// refuses returns the reason why this machine does not do a job, or "". The offer is what it said it can do.
func (s Settings) refuses(a protocol.Assign, o protocol.Offer) string {
	for _, f := range a.Features {
		if !slices.Contains(o.Features, f) {
			return protocol.ReasonFeature
		}
	}
	set := 0
	for _, is := range []bool{a.Chat != nil, a.Image != nil, a.Translate != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return protocol.ReasonLimit
	}
	var reason string
	switch {
	case a.Kind == protocol.Chat && a.Chat != nil:
		reason = s.refusesChat(*a.Chat, o)
	case a.Kind == protocol.Image && a.Image != nil:
		reason = s.refusesImage(*a.Image, o)
	case a.Kind == protocol.Translate && a.Translate != nil:
		reason = s.refusesTranslate(*a.Translate)
	default:
		reason = protocol.ReasonLimit
	}
	if reason == "" && holdsWord(textOf(a), s.BlockedWords) {
		reason = protocol.ReasonPolicy
	}
	return reason
}

func (s Settings) refusesChat(c protocol.ChatJob, o protocol.Offer) string {
	if len(c.Messages) == 0 || len(c.Messages) > maxMessages || len(c.Stop) > maxStops {
		return protocol.ReasonLimit
	}
	if c.Temperature != nil && !(*c.Temperature >= 0 && *c.Temperature <= 5) {
		return protocol.ReasonLimit
	}
	images := 0
	for _, m := range c.Messages {
		if m.Role != "system" && m.Role != "user" && m.Role != "assistant" {
			return protocol.ReasonLimit
		}
		images += len(m.Images)
	}
	if images > maxInputs {
		return protocol.ReasonLimit
	}
	if images > 0 && !slices.Contains(o.Features, protocol.FeatureVision) {
		return protocol.ReasonFeature
	}
	return ""
}

func (s Settings) refusesImage(i protocol.ImageJob, o protocol.Offer) string {
	within := func(n, max int) bool { return n >= 1 && n <= max }
	side := func(n int) bool { return n >= minSide && n <= maxSide }
	if !side(i.Width) || !side(i.Height) || i.Width*i.Height > narrow(o.MaxPixels, s.Limits.MaxPixels) ||
		!within(i.Steps, narrow(o.MaxSteps, s.Limits.MaxSteps)) || !within(i.Count, narrow(o.MaxCount, s.Limits.MaxCount)) ||
		math.IsNaN(i.CFG) || i.CFG < 0 || i.CFG > 50 || math.IsNaN(i.Strength) || i.Strength < 0 || i.Strength > 1 || len(i.LoRAs) > 8 || i.Init < 0 {
		return protocol.ReasonLimit
	}
	if i.Sampler != "" && len(o.Samplers) > 0 && !slices.Contains(o.Samplers, i.Sampler) {
		return protocol.ReasonLimit
	}
	for _, l := range i.LoRAs {
		// A name, never a path.
		if l.Name == "" || len(l.Name) > 128 || strings.ContainsAny(l.Name, `/\:<>`) || strings.HasPrefix(l.Name, ".") || math.Abs(l.Weight) > 2 || math.IsNaN(l.Weight) {
			return protocol.ReasonLimit
		}
	}
	if i.Init > 0 && !slices.Contains(o.Features, protocol.FeatureInit) {
		return protocol.ReasonFeature
	}
	return ""
}

func (s Settings) refusesTranslate(t protocol.TranslateJob) string {
	// Language tags reach command lines and paths of some engines.
	if !language.MatchString(t.To) || t.From != "" && !language.MatchString(t.From) || len(t.Segments) == 0 || len(t.Segments) > maxSegments {
		return protocol.ReasonLimit
	}
	return ""
}

// textOf is what people wrote in a job.
func textOf(a protocol.Assign) string {
	var b strings.Builder
	switch {
	case a.Chat != nil:
		for _, m := range a.Chat.Messages {
			b.WriteString(m.Text)
			b.WriteByte('\n')
		}
	case a.Image != nil:
		b.WriteString(a.Image.Prompt)
	case a.Translate != nil:
		for _, s := range a.Translate.Segments {
			for _, p := range s {
				b.WriteString(p.Text)
				b.WriteByte('\n')
			}
		}
	}
	return b.String()
}

// deadline of a job: the server's, but never longer than the owner allows.
func (s Settings) deadline(a protocol.Assign) time.Duration {
	owner := time.Duration(s.Limits.MaxSeconds) * time.Second
	if a.DeadlineMS <= 0 || a.DeadlineMS > owner.Milliseconds() {
		return owner
	}
	return time.Duration(a.DeadlineMS) * time.Millisecond
}

// inputs lists the numbers of the input pictures that a job names, each once.
func inputs(a protocol.Assign) []int {
	var ns []int
	if a.Chat != nil {
		for _, m := range a.Chat.Messages {
			ns = append(ns, m.Images...)
		}
	}
	if a.Image != nil && a.Image.Init > 0 {
		ns = append(ns, a.Image.Init)
	}
	slices.Sort(ns)
	return slices.Compact(ns)
}
