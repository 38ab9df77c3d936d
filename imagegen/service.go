package imagegen

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// Config is what a Service needs. Jobs is required.
type Config struct {
	Jobs Jobs
	// Wait is how long a picture may take from submission to result; 0 = 30 min: queues on home machines are long, and people come back.
	Wait time.Duration
}

// Service has pictures drawn. It may be used from any goroutine.
type Service struct {
	jobs Jobs
	wait time.Duration
}

// New makes a Service.
func New(c Config) *Service {
	if c.Wait <= 0 {
		c.Wait = 30 * time.Minute
	}
	return &Service{jobs: c.Jobs, wait: c.Wait}
}

const (
	maxPrompt = 6000 // characters
	maxCount  = 4
)

// Draw has a request drawn. Flags inside of the prompt ("--ar 16:9") are understood. Faults: MissingOption (nothing to draw), TooLong, BadOption,
// Blocked, and what the pool says. progress gets the job's events, previews made safe, and may be nil.
func (s *Service) Draw(ctx context.Context, r Request, progress func(workers.Event)) (Drawing, error) {
	asked := r.Model
	d, err := s.try(ctx, r, r.Model, progress)
	if r.Else && r.Model != "" && fault.Has(err, fault.NoModel) {
		// Under the same key and, if that fits, in the same size: run again after a kill, the request finds this job whatever model is there by then.
		if d, err = s.try(ctx, r, "", progress); fault.Has(err, fault.NoFit) {
			r.Model = ""
			d, err = s.try(ctx, r, "", progress)
		}
	}
	if err == nil && asked != "" && d.Result.Model != asked {
		d.Missed = asked
	}
	return d, err
}

// try has a request drawn by a model (empty: any); the size is that of the request's own model.
func (s *Service) try(ctx context.Context, r Request, model string, progress func(workers.Event)) (Drawing, error) {
	job, d, err := s.job(r)
	if err != nil {
		return Drawing{}, err
	}
	job.Model = model
	g := gate{width: d.Width, height: d.Height, count: job.Image.Count}
	job.Check = func(res workers.Result) error {
		_, err := g.pictures(res)
		return err
	}
	res, err := s.jobs.Do(ctx, job, safe(progress))
	if err != nil {
		return Drawing{}, fmt.Errorf("draw %dx%d: %w", d.Width, d.Height, err)
	}
	if d.Pictures, err = g.pictures(res); err != nil { // the result of an earlier run comes without Check
		return Drawing{}, fmt.Errorf("draw %dx%d: %w", d.Width, d.Height, fault.Wrap(err, fault.BadResult, "kind", protocol.Image))
	}
	d.Pictures = signed(d.Pictures, res.Job)
	d.Result = res
	return d, nil
}

// Read checks a request as Draw does and moves the flags inside of its prompt ("--ar 16:9") into its fields, so that the prompt is only what the
// picture shows. Draw takes either form.
func Read(r Request) (Request, error) {
	read, _, err := checkedRequest(r)
	return read, err
}

// checkedRequest is a request without flags and with a seed and a count; d says what will be drawn.
func checkedRequest(r Request) (_ Request, d Drawing, err error) {
	for option, text := range map[string]string{"prompt": r.Prompt, "negative": r.Negative} {
		if n := utf8.RuneCountInString(text); n > maxPrompt {
			return r, d, fault.New(fault.TooLong, "option", option, "length", n, "max", maxPrompt)
		}
	}
	whole := r
	if r, err = withFlags(r); err != nil {
		return r, d, err
	}
	r.Typed = cmp.Or(r.Typed, readable(r.Prompt))
	r.Prompt, r.Negative, r.Nudge = inert(r.Prompt), inert(r.Negative), inert(r.Nudge)
	if r.Prompt == "" {
		return r, d, fault.New(fault.MissingOption, "command", "imagine", "option", "prompt", "usage", "/imagine prompt")
	}
	st, ok := styleOf(r.Style)
	if !ok {
		return r, d, fault.New(fault.BadOption, "option", "style", "value", r.Style, "want", strings.Join(Styles(), ", "))
	}
	r.Count = cmp.Or(r.Count, 1)
	if r.Count < 1 || r.Count > maxCount {
		return r, d, badCount(r.Count)
	}
	d.Seed = seedOf(r.Origin.Key)
	if r.Seed != nil {
		if d.Seed = *r.Seed; d.Seed < 0 || d.Seed > maxSeed {
			return r, d, badSeed(d.Seed)
		}
	}
	if d.Width, d.Height, d.Snapped, err = size(r.Aspect, r.Model); err != nil {
		return r, d, err
	}
	if forbidden(whole, r) {
		return r, d, fault.New(fault.Blocked)
	}
	d.Prompt = joined(strings.TrimSpace(st.Prefix+" "+r.Prompt), r.Nudge, st.Suffix)
	d.Negative = joined(r.Negative, st.Negative, table().Negative)
	d.Steps, d.CFG, d.Sampler = st.Steps, st.CFG, st.Sampler
	return r, d, nil
}

// job checks a request and makes a job of it; d says what will be drawn.
func (s *Service) job(r Request) (workers.Job, Drawing, error) {
	r, d, err := checkedRequest(r)
	if err != nil {
		return workers.Job{}, Drawing{}, err
	}
	job := workers.Job{
		Origin: r.Origin,
		Kind:   protocol.Image,
		Model:  r.Model,
		Image: &protocol.ImageJob{
			Prompt: d.Prompt, Negative: d.Negative, Width: d.Width, Height: d.Height, Steps: d.Steps, CFG: d.CFG, Sampler: d.Sampler, Seed: d.Seed, Count: r.Count,
		},
		Work: ledger.Work{
			Kind: string(protocol.Image), InTokens: ledger.Tokens(d.Prompt), Pixels: int64(d.Width) * int64(d.Height) * int64(r.Count), Steps: d.Steps, Sampler: d.Sampler,
		},
		Wait: s.wait,
	}
	if len(r.Start) > 0 {
		job.Input, job.Features = [][]byte{r.Start}, []string{protocol.FeatureInit}
		job.Image.Init, job.Image.Strength = 1, r.Strength
	}
	job.Key += ":draw"
	return job, d, nil
}

// seedOf draws a seed from a request's key, so that a request that is run again after a kill gives the same picture.
func seedOf(key string) int64 {
	sum := sha256.Sum256([]byte("seed:" + key))
	return int64(binary.BigEndian.Uint32(sum[:]))
}

// safe hands events on with previews that may be shown; a preview that may not is left out.
func safe(progress func(workers.Event)) func(workers.Event) {
	if progress == nil {
		return nil
	}
	return func(e workers.Event) {
		if e.Kind == workers.Preview {
			p, err := SafePreview(e.Preview)
			if err != nil {
				return
			}
			e.Preview = p
		}
		progress(e)
	}
}

// gate checks a result's pictures. It remembers the last good ones, because the pool asks first and Draw takes them after.
type gate struct {
	width, height, count int

	mu   sync.Mutex
	key  string // the blobs that last are the pictures of
	last []Picture
}

func (g *gate) pictures(r workers.Result) ([]Picture, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := strings.Join(r.Blobs, "\x00")
	if g.last != nil && g.key == key {
		return g.last, nil
	}
	if len(r.Blobs) != g.count {
		return nil, fmt.Errorf("%d pictures instead of %d", len(r.Blobs), g.count)
	}
	var pictures []Picture
	for i, path := range r.Blobs {
		p, err := checkedFile(path, g.width, g.height)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
		pictures = append(pictures, p)
	}
	g.key, g.last = key, pictures
	return pictures, nil
}
