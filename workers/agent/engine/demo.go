package engine

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"strings"
	"time"

	"potluck/workers/protocol"
)

// DemoConfig sets how fast the demonstration pretends to work. The zero value does not wait at all.
type DemoConfig struct {
	WordPace time.Duration // between two words of an answer
	StepPace time.Duration // between two steps of a picture
}

// DemoPace lets people watch: an answer takes a few seconds, so that they see it grow and can press Stop.
func DemoPace() DemoConfig {
	return DemoConfig{WordPace: 45 * time.Millisecond, StepPace: 150 * time.Millisecond}
}

// Demo shows what Potluck does on a machine without any inference program. All its output says that no model made it, and the same job
// always gives the same output.
type Demo struct{ cfg DemoConfig }

// NewDemo makes the demonstration engine.
func NewDemo(cfg DemoConfig) *Demo { return &Demo{cfg} }

// Name is "demo".
func (*Demo) Name() string { return "demo" }

const (
	demoModel    = "demo"
	demoPixels   = 2048 * 2048
	demoSteps    = 100
	demoPictures = 4
)

// Offers lists all three kinds, each of quality demo.
func (d *Demo) Offers(context.Context) ([]protocol.Offer, error) {
	offer := protocol.Offer{Engine: d.Name(), Model: demoModel, Quality: protocol.Demo, Loaded: true}
	chat, image, translate := offer, offer, offer
	chat.Kind, chat.Context = protocol.Chat, 8192
	image.Kind, image.MaxPixels, image.MaxSteps, image.MaxCount = protocol.Image, demoPixels, demoSteps, demoPictures
	translate.Kind, translate.AnyPair = protocol.Translate, true
	return []protocol.Offer{chat, image, translate}, nil
}

// Run does any kind of job.
func (d *Demo) Run(ctx context.Context, job protocol.Assign, out Output) (Result, error) {
	begun := time.Now()
	var res Result
	var err error
	switch {
	case job.Kind == protocol.Chat && job.Chat != nil:
		res, err = d.chat(ctx, job.Chat, out)
	case job.Kind == protocol.Image && job.Image != nil:
		res, err = d.draw(ctx, job.Image, out)
	case job.Kind == protocol.Translate && job.Translate != nil:
		for n, s := range job.Translate.Segments {
			mark := protocol.Piece{Text: "[demo, not a translation: " + job.Translate.To + "] "}
			res.Done.Segments = append(res.Done.Segments, join(append([]protocol.Piece{mark}, s...)))
			out.Progress(float64(n+1)/float64(len(job.Translate.Segments)), n+1, len(job.Translate.Segments))
		}
		res.Done.Finish = "stop"
	default:
		err = &JobError{Fault: protocol.FaultRequest, Detail: "unknown kind of job"}
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return Result{}, err
	}
	res.Done.TookMS = time.Since(begun).Milliseconds()
	return res, nil
}

// wait lets the time of one word or step pass.
func wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *Demo) chat(ctx context.Context, job *protocol.ChatJob, out Output) (Result, error) {
	var res Result
	res.Done.Finish = "stop"
	var said strings.Builder
	for i, word := range demoWords(demoAnswer(job.Messages)) {
		if job.MaxTokens > 0 && i >= job.MaxTokens {
			res.Done.Finish = "length"
			break
		}
		if err := wait(ctx, d.cfg.WordPace); err != nil {
			return Result{}, err
		}
		said.WriteString(word)
		out.Text(word)
	}
	res.Done.Text = said.String()
	return res, nil
}

func (d *Demo) draw(ctx context.Context, job *protocol.ImageJob, out Output) (Result, error) {
	steps, count := max(job.Steps, 1), max(job.Count, 1)
	switch {
	case job.Width < 64 || job.Height < 64 || job.Width > 4096 || job.Height > 4096 || job.Width*job.Height > demoPixels:
		return Result{}, &JobError{Fault: protocol.FaultRequest, Detail: "size of the picture"}
	case steps > demoSteps || count > demoPictures:
		return Result{}, &JobError{Fault: protocol.FaultRequest, Detail: "number of steps or pictures"}
	}
	var res Result
	res.Done.Seed, res.Done.Finish = job.Seed, "stop"
	for k := range count {
		p := newPainting(job.Prompt, job.Seed+int64(k), job.Width, job.Height)
		for step := 1; step <= steps; step++ {
			if err := wait(ctx, d.cfg.StepPace); err != nil {
				return Result{}, err
			}
			part := float64(step) / float64(steps)
			out.Progress((float64(k)+part)/float64(count), k*steps+step, count*steps)
			if step%max(4, steps/5) == 0 && step < steps {
				small, err := p.preview(ctx, part)
				if err != nil {
					return Result{}, err
				}
				out.Preview(small)
			}
		}
		m, err := p.render(ctx, job.Width, job.Height)
		if err != nil {
			return Result{}, err
		}
		label(m)
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			return Result{}, fmt.Errorf("encode the picture: %w", err)
		}
		if b.Len() > protocol.MaxBlob { // smooth noise of 4 megapixels hardly shrinks
			b.Reset()
			if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 92}); err != nil {
				return Result{}, fmt.Errorf("encode the picture: %w", err)
			}
		}
		res.Pictures = append(res.Pictures, b.Bytes())
	}
	return res, nil
}

// preview is the picture at most 192 pixels wide, still partly under noise, as a diffusion model would show it.
func (p *painting) preview(ctx context.Context, part float64) ([]byte, error) {
	scale := max(1, float64(max(p.w, p.h))/192)
	m, err := p.render(ctx, max(1, int(float64(p.w)/scale)), max(1, int(float64(p.h)/scale)))
	if err != nil {
		return nil, err
	}
	r := rand.New(rand.NewPCG(p.seed, uint64(part*1000)))
	for i := 0; i < len(m.Pix); i += 4 {
		for c := range 3 {
			noise := float64(r.IntN(256))
			m.Pix[i+c] = uint8(float64(m.Pix[i+c])*part + noise*(1-part))
		}
	}
	label(m)
	var b bytes.Buffer
	err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 70})
	return b.Bytes(), err
}
