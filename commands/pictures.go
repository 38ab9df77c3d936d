package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/workers"
	"potluck/workers/protocol"
)

const (
	actionDrawAgain    = "draw_again"
	actionRedraw       = "draw_retry"
	actionVary         = "draw_vary"
	actionInfo         = "picture_info"
	actionEdit         = "picture_edit"
	actionDelete       = "picture_delete"
	actionDestroy      = "picture_destroy"
	actionKeep         = "picture_keep"
	actionDeleteAside  = "picture_delete_aside"
	actionDestroyAside = "picture_destroy_aside"
	actionLeave        = "picture_leave"
	actionReport       = "picture_report"
	actionShowAgain    = "picture_show"
)

const (
	maxKept      = protocol.MaxBlob // bytes of a kept picture
	varyStrength = 0.45             // how far a variation goes from the picture that it starts from
	maxVaried    = 4                // pictures that have a button of their own
)

// Album is where pictures are kept. *imagegen.Album implements it.
type Album interface {
	// Open is fs.ErrNotExist for a picture that is not there (any more).
	Open(name string) (io.ReadSeekCloser, error)
	// Remove deletes one; an unknown name is no error.
	Remove(name string) error
}

// resultActions are what the buttons of answers and pictures do.
func (h House) resultActions() []bot.ActionHandler {
	return []bot.ActionHandler{
		{Name: actionAskAgain, Costly: true, Moderators: true, Anew: true, Command: "ask", Run: h.askAgain},
		{Name: actionAskContinue, Costly: true, Moderators: true, Command: "ask", Run: h.askContinue},
		{Name: actionAskReasoning, Private: true, Moderators: true, Command: "ask", Run: h.askReasoning},
		{Name: actionDrawAgain, Costly: true, Moderators: true, Anew: true, Command: "imagine", Run: h.drawAgain},
		{Name: actionRedraw, Costly: true, Moderators: true, Anew: true, Command: "imagine", Run: h.retry},
		{Name: actionVary, Costly: true, Moderators: true, Anew: true, Command: "imagine", Run: h.vary},
		{Name: actionInfo, Private: true, Moderators: true, Command: "imagine", Run: h.info},
		{Name: actionEdit, Private: true, Moderators: true, Command: "imagine", Run: h.editPrompt},
		{Name: actionDelete, Moderators: true, InPlace: true, Aside: actionDeleteAside, Run: h.removeAsk},
		{Name: actionDeleteAside, Private: true, Moderators: true, Run: h.removeAskAside},
		{Name: actionDestroyAside, Private: true, Moderators: true, InPlace: true, Run: h.removeThere},
		{Name: actionLeave, Private: true, Moderators: true, InPlace: true, Run: h.leave},
		{Name: actionDestroy, Moderators: true, InPlace: true, Run: h.remove},
		{Name: actionKeep, Moderators: true, InPlace: true, Run: h.keep},
		{Name: actionReport, InPlace: true, Run: h.report},
		{Name: actionShowAgain, Moderators: true, Needs: community.Admin, InPlace: true, Run: h.showAgain},
	}
}

// painting is what is known of finished pictures: their buttons carry it.
type painting struct {
	Options  map[string]string  `json:"options"`         // see wording.carried
	Prompt   string             `json:"prompt"`          // as it was written, without flags
	Typed    string             `json:"typed,omitempty"` // as it was typed, where Prompt is without the commands in it
	Sent     string             `json:"sent"`            // as it was drawn, in English and with the style's words
	Negative string             `json:"negative,omitempty"`
	Style    string             `json:"style,omitempty"`
	Without  string             `json:"without,omitempty"` // what the person wanted left out
	From     string             `json:"from,omitempty"`    // the language that Sent was translated from
	Model    string             `json:"model"`
	Engine   string             `json:"engine,omitempty"`
	GPU      string             `json:"gpu,omitempty"`
	WorkerID int64              `json:"worker_id,omitempty"`
	Seed     int64              `json:"seed"` // of the first picture; the next ones count on
	Width    int                `json:"width"`
	Height   int                `json:"height"`
	Steps    int                `json:"steps"`
	Sampler  string             `json:"sampler,omitempty"`
	CFG      float64            `json:"cfg,omitempty"`
	Count    int                `json:"count"`
	Job      int64              `json:"job"`
	Words    int64              `json:"words,omitempty"` // the job of the translation
	Names    []string           `json:"names"`           // in the album
	Covered  bool               `json:"covered,omitempty"`
	Caption  bot.Text           `json:"caption"`
	Reviewed bool               `json:"reviewed,omitempty"` // an admin has looked at it
	Asker    community.MemberID `json:"asker"`
	User     community.UserID   `json:"user"`
}

func (h House) painting(in *bot.Invocation, s sketch, asked imagegen.Request, d imagegen.Drawing, w wording, count int) painting {
	p := painting{
		Options: w.carried(s.options), Prompt: asked.Prompt, Sent: d.Prompt, Negative: d.Negative, Style: asked.Style, Without: asked.Negative,
		Model: d.Result.Model, Engine: d.Result.Engine, WorkerID: d.Result.Worker,
		Seed: d.Seed, Width: d.Width, Height: d.Height, Steps: d.Steps, Sampler: d.Sampler, CFG: d.CFG, Count: count,
		Job: d.Result.Job, Words: w.Job, Covered: !h.uncovered(in, d.Result.Worker), Asker: in.Request.Member, User: in.Request.User,
	}
	if asked.Typed != asked.Prompt {
		p.Typed = asked.Typed
	}
	if !w.failed {
		p.From = w.From
	}
	for _, pic := range d.Pictures {
		p.Names = append(p.Names, pic.Name)
	}
	for _, v := range h.Pool.Overview().Workers {
		if v.ID == d.Result.Worker {
			p.GPU = gpuOf(v)
		}
	}
	return p
}

// gpuOf is what decides how a machine rounds: its first GPU.
func gpuOf(w workers.WorkerView) string {
	if len(w.Hardware.GPUs) == 0 {
		return ""
	}
	return w.Hardware.GPUs[0].Name
}

// shown is picture i as a platform gets it.
func (p painting) shown(say bot.Say, i int, png []byte) bot.Picture {
	return bot.Picture{
		Name: p.Names[i], Data: png, Width: p.Width, Height: p.Height, Spoiler: p.Covered,
		Alt: say("picture.alt", "n", i+1, "prompt", cut(p.Prompt, 300)).Plain,
	}
}

// pictureButtons is the row below pictures. What an admin has looked at cannot be reported again, and all of its buttons are the asker's: they go
// when the asker is forgotten, although the admin's press made them.
func pictureButtons(say bot.Say, p painting, reviewed bool) []bot.NewButton {
	p.Reviewed = reviewed
	all, _ := json.Marshal(p) // plain values always encode
	again, _ := json.Marshal(p.Options)
	mine := func(b bot.NewButton) bot.NewButton {
		b.Owner, b.Only = p.Asker, p.User
		return b
	}
	row := []bot.NewButton{mine(bot.NewButton{Action: actionDrawAgain, Label: say("button.reroll"), Data: again})}
	for i := range min(len(p.Names), maxVaried) {
		var n any = ""
		if len(p.Names) > 1 {
			n = i + 1
		}
		data, _ := json.Marshal(variation{Options: p.Options, Name: p.Names[i], Model: p.Model, Seed: p.Seed + int64(i), Width: p.Width, Height: p.Height})
		row = append(row, mine(bot.NewButton{Action: actionVary, Label: say("button.vary", "n", n), Data: data}))
	}
	info := mine(bot.NewButton{Action: actionInfo, Label: say("button.info"), Data: all})
	edit := mine(bot.NewButton{Action: actionEdit, Label: say("button.edit"), Data: all})
	info.Everyone, edit.Everyone = !reviewed, !reviewed
	row = append(row, info, edit, mine(bot.NewButton{Action: actionDelete, Label: say("button.delete"), Style: bot.Danger, Data: all}))
	if p.Covered && !reviewed {
		row = append(row, bot.NewButton{Action: actionReport, Label: say("button.report"), Data: all, Everyone: true})
	}
	return row
}

// drawAgain draws the same wish from another seed.
func (h House) drawAgain(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var options map[string]string
	if err := json.Unmarshal(a.Data, &options); err != nil || options == nil {
		return fault.Wrap(err, fault.Gone)
	}
	options["seed"] = seedOf(in.Request.ID) // set, because it must win over a seed inside of the prompt
	return h.picture(ctx, in, sketch{options: options, pressed: true}, pressed(in, a))
}

// attempt is what the button below a picture that came to nothing carries.
type attempt struct {
	Options map[string]string `json:"options"`
	Nudge   string            `json:"nudge,omitempty"`
}

// redraw is the button that tries the same once more.
func (h House) redraw(in *bot.Invocation, s sketch, w wording) bot.NewButton {
	data, _ := json.Marshal(attempt{w.carried(s.options), s.nudge}) // strings always encode
	return bot.NewButton{Action: actionRedraw, Label: in.Say("button.retry"), Data: data}
}

// retry draws what came to nothing, exactly as it was asked for.
func (h House) retry(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var was attempt
	if err := json.Unmarshal(a.Data, &was); err != nil || was.Options == nil {
		return fault.Wrap(err, fault.Gone)
	}
	return h.picture(ctx, in, sketch{options: was.Options, nudge: was.Nudge, pressed: true}, pressed(in, a))
}

// passing are the failures that another try may not meet.
var passing = map[fault.Code]bool{
	fault.NoWorker: true, fault.NoModel: true, fault.NoPair: true, fault.NoPrivateWorker: true, fault.NoFit: true, fault.NoCredit: true,
	fault.Expired: true, fault.WorkerFailed: true, fault.BadResult: true, fault.Cancelled: true, fault.Erased: true, fault.Storage: true, fault.Internal: true,
}

// tryAgain is the way on from a failure: the button again, unless the same would fail the same way.
func tryAgain(ctx context.Context, in *bot.Invocation, again bot.NewButton, err error) []bot.NewButton {
	if ctx.Err() != nil {
		err = context.Cause(ctx) // that Stop was pressed
	}
	if !passing[fault.Of(err).Code] {
		return nil
	}
	again.Label = in.Say("button.retry")
	return []bot.NewButton{again}
}

// seedOf comes from the request, so that a re-run after a kill draws the same.
func seedOf(request string) string { return strconv.FormatUint(uint64(hashOf(request)), 10) }

func hashOf(request string) uint32 {
	h32 := fnv.New32a()
	h32.Write([]byte(request))
	return h32.Sum32()
}

// variation is what a "Vary" button carries: the picture that it belongs to.
type variation struct {
	Options map[string]string `json:"options"`
	Name    string            `json:"name"` // in the album
	Model   string            `json:"model"`
	Seed    int64             `json:"seed"`
	Width   int               `json:"width"`
	Height  int               `json:"height"`
}

// nudges are small changes of a wish. From the same seed they leave most of a picture where it was.
var nudges = []string{
	"seen from slightly closer", "seen from slightly further away", "seen from a slightly lower angle", "seen from slightly above", "in warmer light",
	"in cooler light", "in softer light", "a moment later", "with more detail in the background", "with a calmer background", "in richer colours", "in paler colours",
}

// vary draws a sister of one picture: from the picture itself where a machine can, else from the same seed with a small change of the wish.
func (h House) vary(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var v variation
	if err := json.Unmarshal(a.Data, &v); err != nil || v.Options == nil {
		return fault.Wrap(err, fault.Gone)
	}
	s := sketch{options: maps.Clone(v.Options), pressed: true}
	s.options["count"], s.options["aspect"] = "1", fmt.Sprintf("%dx%d", v.Width, v.Height)
	s.options["model"] = v.Model // another one would draw something else from the same seed
	s.options["seed"] = seedOf(in.Request.ID)
	var err error
	if h.startsFrom(v.Model) {
		if s.start, err = h.kept(v.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("read the picture to vary: %w", err)
		}
	}
	if len(s.start) == 0 {
		s.options["seed"], s.nudge = strconv.FormatInt(v.Seed, 10), nudges[int(hashOf(in.Request.ID))%len(nudges)]
	}
	return h.picture(ctx, in, s, pressed(in, a))
}

// startsFrom tells whether a machine that has the model can start from a picture.
func (h House) startsFrom(model string) bool {
	return h.Album != nil && slices.ContainsFunc(h.Pool.Overview().Models, func(m workers.ModelView) bool {
		return m.Kind == protocol.Image && m.Model == model && slices.Contains(m.Features, protocol.FeatureInit)
	})
}

// kept reads a picture from the album; an error that is fs.ErrNotExist says that it is not there.
func (h House) kept(name string) ([]byte, error) {
	if h.Album == nil {
		return nil, fs.ErrNotExist
	}
	f, err := h.Album.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKept))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

func paintingOf(a bot.Action) (p painting, err error) {
	if err = json.Unmarshal(a.Data, &p); err != nil {
		return p, fault.Wrap(err, fault.Gone)
	}
	return p, nil
}

// report takes a covered picture out of sight until an admin has looked. Who reported it is not told in the chat.
func (h House) report(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	h.log().Warn("a picture was reported", "chat", in.Request.Chat.ID, "job", p.Job, "worker", p.WorkerID, "pictures", strings.Join(p.Names, " "))
	buttons := []bot.NewButton{
		{Action: actionShowAgain, Label: in.Say("button.show"), Data: a.Data, Owner: p.Asker, Only: p.User},
		{Action: actionDestroy, Label: in.Say("button.delete"), Style: bot.Danger, Data: a.Data, Owner: p.Asker, Only: p.User},
	}
	if err := in.Reply.Final(ctx, bot.Reply{Text: small(in.Say("picture.reported")), Buttons: buttons}); err != nil {
		return err
	}
	return h.dropButtons(ctx, a)
}

func (h House) log() *slog.Logger {
	if h.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return h.Log
}

// showAgain puts a reported picture back as it was, which an admin decides.
func (h House) showAgain(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	return h.showAnew(ctx, in, a, p, p.Caption, pictureButtons(in.Say, p, true))
}

// showAnew puts pictures into their message with another text and row; fault.Gone when the album has them no more.
func (h House) showAnew(ctx context.Context, in *bot.Invocation, a bot.Action, p painting, text bot.Text, row []bot.NewButton) error {
	final := bot.Reply{Text: text, Buttons: row}
	for i, name := range p.Names {
		data, err := h.kept(name)
		if errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Gone)
		}
		if err != nil {
			return fmt.Errorf("read a picture to show again: %w", err)
		}
		final.Pictures = append(final.Pictures, p.shown(in.Say, i, data))
	}
	if err := in.Reply.Final(ctx, final); err != nil {
		return err
	}
	return h.dropButtons(ctx, a)
}
