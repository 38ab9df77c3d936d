package commands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"image/jpeg"
	"strconv"
	"sync"

	"potluck/bot"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/workers"
	"potluck/workers/protocol"
)

func (h House) imagine() bot.Command {
	return bot.Command{
		Name:   "imagine",
		Costly: true,
		Options: []bot.Option{
			{Name: "prompt", Kind: bot.String, Required: true, Rest: true, Max: 6000},
			{Name: "style", Kind: bot.Choice, Choices: imagegen.Styles()},
			{Name: "aspect", Kind: bot.String, Max: 20, Suggest: func(typed string) []string {
				return matching(typed, []string{"1:1", "3:2", "2:3", "4:3", "3:4", "16:9", "9:16"})
			}},
			{Name: "seed", Kind: bot.Integer},
			{Name: "count", Kind: bot.Integer, Min: 1, Max: 4},
			{Name: "model", Kind: bot.String, Max: 100, Suggest: h.suggestModel(protocol.Image)},
		},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			return h.picture(ctx, in, sketch{options: in.Options}, bot.Text{})
		},
	}
}

// maxSeed is what every inference program takes.
const maxSeed = 1<<32 - 1

// sketch is a wish for a picture before it is read.
type sketch struct {
	options map[string]string // as typed; the keys of a wording may stand beside
	pressed bool              // by a button: any other model may draw where the one of that day is gone
	nudge   string            // see imagegen.Request
	start   []byte            // see imagegen.Request
}

// request reads a sketch. Faults: those of imagegen.Read.
func (h House) request(in *bot.Invocation, s sketch) (imagegen.Request, error) {
	r := imagegen.Request{
		Origin: h.origin(in),
		Prompt: s.options["prompt"],
		Style:  s.options["style"],
		Aspect: plainForm(s.options["aspect"]),
		Model:  plainForm(s.options["model"]),
		Else:   s.pressed,
		Nudge:  s.nudge,
		Start:  s.start,
	}
	if len(s.start) > 0 {
		r.Strength = varyStrength
	}
	if s, ok := s.options["seed"]; ok {
		seed, err := strconv.ParseInt(plainForm(s), 10, 64)
		if err != nil || seed < 0 || seed > maxSeed {
			return r, fault.New(fault.BadOption, "option", "seed", "value", cut(s, 40), "want", "number")
		}
		r.Seed = &seed
	}
	if s, ok := s.options["count"]; ok {
		count, err := strconv.Atoi(plainForm(s))
		if err != nil {
			return r, fault.Wrap(err, fault.BadOption, "option", "count", "value", s, "want", "1–4")
		}
		r.Count = count
	}
	return imagegen.Read(r)
}

// easel shows how a picture comes along; every method may be called from any goroutine.
type easel struct {
	h     House
	in    *bot.Invocation
	title bot.Text

	mu      sync.Mutex
	view    progress
	status  bot.Text // instead of the view, while it is not empty
	preview []bot.Picture
	worker  int64 // that draws now
}

func (e *easel) show() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.put()
}

// put needs mu.
func (e *easel) put() {
	status := e.status
	if status.Plain == "" {
		status = e.view.text()
	}
	e.in.Reply.Show(bot.Reply{Text: joined("\n", e.title, status), Pictures: e.preview, Status: true, Working: e.view.working()})
}

func (e *easel) say(status bot.Text) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.status = status
	e.put()
}

func (e *easel) see(ev workers.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.view.see(ev)
	switch ev.Kind {
	case workers.Preview:
		e.preview = e.h.preview(e.in, ev.Preview, e.worker)
	case workers.Started, workers.Waiting:
		e.preview, e.worker = nil, ev.Worker // the other was of an attempt that ended
	}
	e.put()
}

func (e *easel) job() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.view.job
}

// picture runs a wish to its final; by is the line that names who pressed a button for it, if that is to be told.
func (h House) picture(ctx context.Context, in *bot.Invocation, s sketch, by bot.Text) error {
	r, err := h.request(in, s)
	if err != nil {
		return err
	}
	notice, seen, err := h.firstUse(ctx, in)
	if err != nil {
		return err
	}
	asked := r
	e := &easel{h: h, in: in, title: bot.Plain(shown(cut(r.Prompt, 200))).In(bot.Bold, ""), view: h.progress(in, protocol.Image, r.Model)}
	e.show()
	stop := ticking(ctx, e.show)
	defer stop()
	words, err := h.inEnglish(ctx, in, &r, s.options, e)
	if err != nil {
		in.Reply.Below(by, tryAgain(ctx, in, h.redraw(in, s, words), err)...)
		return fmt.Errorf("put a wish into English: %w", err)
	}
	d, err := h.Draw.Draw(ctx, r, e.see)
	stop()
	if err != nil {
		in.Reply.Below(joined("\n", h.possible(in, err), h.jobLine(ctx, in, e.job()), by), tryAgain(ctx, in, h.redraw(in, s, words), err)...)
		return fmt.Errorf("draw: %w", err)
	}

	notes := append(h.pictureNotes(in, asked, d, words, s), by, notice)
	p := h.painting(in, s, asked, d, words, r.Count)
	p.Caption = joined("\n", append([]bot.Text{e.title}, notes...)...)
	final := bot.Reply{Text: p.Caption, Buttons: pictureButtons(in.Say, p, false)}
	for i, drawn := range d.Pictures {
		final.Pictures = append(final.Pictures, p.shown(in.Say, i, drawn.PNG))
	}
	seen()
	return in.Reply.Final(ctx, final)
}

// pictureNotes are the lines below a picture: what is not as was asked for, then how it was made.
func (h House) pictureNotes(in *bot.Invocation, asked imagegen.Request, d imagegen.Drawing, w wording, s sketch) (notes []bot.Text) {
	add := func(key string, args ...any) { notes = append(notes, small(in.Say(key, args...))) }
	if d.Snapped != "" {
		add("picture.snapped", "asked", asked.Aspect, "aspect", d.Snapped)
	}
	if d.Missed != "" {
		add("picture.missed", "model", d.Missed, "other", d.Result.Model)
	}
	switch {
	case w.failed:
		add("picture.untranslated", "from", w.From)
	case w.From != "":
		add("picture.translated", "from", w.From)
	}
	switch {
	case len(s.start) > 0:
		add("picture.varied", "nudge", "")
	case s.nudge != "":
		add("picture.varied", "nudge", s.nudge)
	}
	if c := in.Request.Chat; h.Trusted != nil && !h.Trusted(d.Result.Worker, c) {
		add("picture.covered", "id", d.Result.Worker, "place", c.Community != "")
	}
	return append(notes, h.footer(in, "picture.footer", d.Result, "seed", d.Seed, "width", d.Width, "height", d.Height, "steps", d.Steps))
}

func (h House) uncovered(in *bot.Invocation, worker int64) bool {
	return h.Trusted != nil && h.Trusted(worker, in.Request.Chat)
}

// preview shows the unfinished picture, which imagegen made safe.
func (h House) preview(in *bot.Invocation, data []byte, worker int64) []bot.Picture {
	size, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	sum := sha256.Sum256(data)
	return []bot.Picture{{
		Name: hex.EncodeToString(sum[:]) + ".jpg", Data: data, Width: size.Width, Height: size.Height, Alt: in.Say("picture.preview").Plain, Spoiler: !h.uncovered(in, worker),
	}}
}
