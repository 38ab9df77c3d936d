package commands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"image/jpeg"
	"strconv"
	"sync"

	"potluck/bot"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/workers"
	"potluck/workers/protocol"
)

const actionDrawAgain = "draw_again"

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
			{Name: "seed", Kind: bot.Integer, Min: 0, Max: maxSeed},
			{Name: "count", Kind: bot.Integer, Min: 1, Max: 4},
			{Name: "model", Kind: bot.String, Max: 100, Suggest: h.suggestModel(protocol.Image)},
		},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			return h.picture(ctx, in, in.Options, bot.Text{})
		},
	}
}

// maxSeed is what every inference program takes.
const maxSeed = 1<<32 - 1

// drawAgain draws the same wish from another seed.
func (h House) drawAgain(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var options map[string]string
	if err := json.Unmarshal(a.Data, &options); err != nil || options == nil {
		return fault.Wrap(err, fault.Gone)
	}
	// Of the request, so that a re-run after a kill draws the same; set, because it must win over a seed inside of the prompt.
	h32 := fnv.New32a()
	h32.Write([]byte(in.Request.ID))
	options["seed"] = strconv.FormatUint(uint64(h32.Sum32()), 10)
	return h.picture(ctx, in, options, pressed(in, a))
}

func (h House) picture(ctx context.Context, in *bot.Invocation, options map[string]string, by bot.Text) error {
	r := imagegen.Request{
		Origin: h.origin(in),
		Prompt: options["prompt"],
		Style:  options["style"],
		Aspect: plainForm(options["aspect"]),
		Model:  plainForm(options["model"]),
	}
	if s, ok := options["seed"]; ok {
		seed, err := strconv.ParseInt(plainForm(s), 10, 64)
		if err != nil {
			return fault.Wrap(err, fault.BadOption, "option", "seed", "value", s, "want", fmt.Sprintf("0–%d", maxSeed))
		}
		r.Seed = &seed
	}
	if s, ok := options["count"]; ok {
		count, err := strconv.Atoi(plainForm(s))
		if err != nil {
			return fault.Wrap(err, fault.BadOption, "option", "count", "value", s, "want", "1–4")
		}
		r.Count = count
	}
	notice, seen, err := h.firstUse(ctx, in)
	if err != nil {
		return err
	}

	title := bot.Plain(shown(cut(r.Prompt, 200))).In(bot.Bold, "")
	var mu sync.Mutex
	view := h.progress(in, protocol.Image)
	var preview []bot.Picture
	var worker int64 // that draws now
	show := func() {
		in.Reply.Show(bot.Reply{Text: joined("\n", title, view.text()), Pictures: preview, Status: true})
	}
	show()
	d, err := h.Draw.Draw(ctx, r, func(e workers.Event) {
		mu.Lock()
		defer mu.Unlock()
		view.see(e)
		switch e.Kind {
		case workers.Preview:
			preview = h.preview(in, e.Preview, worker)
		case workers.Started, workers.Waiting:
			preview, worker = nil, e.Worker // the other was of an attempt that ended
		}
		show()
	})
	if err != nil {
		in.Reply.Below(joined("\n", h.jobLine(ctx, in, view.job), by))
		return fmt.Errorf("draw: %w", err)
	}

	final := bot.Reply{}
	covered := !h.uncovered(in, d.Result.Worker)
	for i, p := range d.Pictures {
		final.Pictures = append(final.Pictures, bot.Picture{
			Name: p.Name, Data: p.PNG, Width: p.Width, Height: p.Height, Spoiler: covered,
			Alt: in.Say("picture.alt", "n", i+1, "prompt", cut(r.Prompt, 300)).Plain,
		})
	}
	var notes []bot.Text
	if d.Snapped != "" {
		notes = append(notes, small(in.Say("picture.snapped", "asked", r.Aspect, "aspect", d.Snapped)))
	}
	notes = append(notes, h.footer(in, "picture.footer", d.Result, "seed", d.Seed, "width", d.Width, "height", d.Height, "steps", d.Steps), by, notice)
	final.Text = joined("\n", append([]bot.Text{title}, notes...)...)
	data, err := json.Marshal(options)
	if err != nil {
		return err
	}
	final.Buttons = []bot.NewButton{{Action: actionDrawAgain, Label: in.Say("button.again"), Data: data}}
	seen()
	return in.Reply.Final(ctx, final)
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
