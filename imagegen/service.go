package imagegen

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
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
	job, d, err := s.job(r)
	if err != nil {
		return Drawing{}, err
	}
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
	d.Result = res
	return d, nil
}

// job checks a request and makes a job of it; d says what will be drawn.
func (s *Service) job(r Request) (workers.Job, Drawing, error) {
	for option, text := range map[string]string{"prompt": r.Prompt, "negative": r.Negative} {
		if n := utf8.RuneCountInString(text); n > maxPrompt {
			return workers.Job{}, Drawing{}, fault.New(fault.TooLong, "option", option, "length", n, "max", maxPrompt)
		}
	}
	whole := r
	r, err := withFlags(r)
	if err != nil {
		return workers.Job{}, Drawing{}, err
	}
	r.Prompt, r.Negative = inert(r.Prompt), inert(r.Negative)
	if r.Prompt == "" {
		return workers.Job{}, Drawing{}, fault.New(fault.MissingOption, "command", "imagine", "option", "prompt", "usage", "/imagine prompt")
	}
	st, ok := styleOf(r.Style)
	if !ok {
		return workers.Job{}, Drawing{}, fault.New(fault.BadOption, "option", "style", "value", r.Style, "want", strings.Join(Styles(), ", "))
	}
	if r.Count == 0 {
		r.Count = 1
	}
	if r.Count < 1 || r.Count > maxCount {
		return workers.Job{}, Drawing{}, badCount(r.Count)
	}
	seed := seedOf(r.Origin.Key)
	if r.Seed != nil {
		if seed = *r.Seed; seed < 0 || seed > maxSeed {
			return workers.Job{}, Drawing{}, badSeed(seed)
		}
	}
	width, height, snapped, err := size(r.Aspect, r.Model)
	if err != nil {
		return workers.Job{}, Drawing{}, err
	}
	if forbidden(whole, r) {
		return workers.Job{}, Drawing{}, fault.New(fault.Blocked)
	}

	prompt := joined(strings.TrimSpace(st.Prefix+" "+r.Prompt), st.Suffix)
	job := workers.Job{
		Origin: r.Origin,
		Kind:   protocol.Image,
		Model:  r.Model,
		Image: &protocol.ImageJob{
			Prompt: prompt, Negative: joined(r.Negative, st.Negative, table().Negative), Width: width, Height: height,
			Steps: st.Steps, CFG: st.CFG, Sampler: st.Sampler, Seed: seed, Count: r.Count,
		},
		Work: ledger.Work{
			Kind: string(protocol.Image), InTokens: ledger.Tokens(prompt), Pixels: int64(width) * int64(height) * int64(r.Count), Steps: st.Steps, Sampler: st.Sampler,
		},
		Wait: s.wait,
	}
	job.Key += ":draw"
	return job, Drawing{Seed: seed, Width: width, Height: height, Steps: st.Steps, Snapped: snapped}, nil
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
		data, err := readBlob(path)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
		p, err := checked(data, g.width, g.height)
		if err != nil {
			return nil, fmt.Errorf("picture %d: %w", i+1, err)
		}
		pictures = append(pictures, p)
	}
	g.key, g.last = key, pictures
	return pictures, nil
}

func readBlob(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, protocol.MaxBlob+1)) // one more, so that a longer file is refused and not cut
}
