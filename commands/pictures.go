package commands

import (
	"cmp"
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
	info, edit := mine(bot.NewButton{Action: actionInfo, Label: say("button.info"), Data: all}), mine(bot.NewButton{Action: actionEdit, Label: say("button.edit"), Data: all})
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
	fault.NoWorker: true, fault.NoModel: true, fault.NoPair: true, fault.NoPrivateWorker: true, fault.NoFit: true, fault.NoCredit: true, fault.Expired: true, fault.WorkerFailed: true,
	fault.BadResult: true, fault.Cancelled: true, fault.Erased: true, fault.Storage: true, fault.Internal: true,
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

// info tells whoever asks how a picture was made; what it cost concerns the asker and operators.
func (h House) info(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	say := in.Say
	part := func(key, text string) bot.Text {
		if text == "" {
			return bot.Text{}
		}
		return joined("\n", say(key), bot.Plain(text))
	}
	blocks := []bot.Text{part("info.wish", cmp.Or(p.Typed, p.Prompt))}
	english := p.Options[optionPrompt]
	if p.From != "" {
		blocks = append(blocks, part("info.english", english))
	}
	if p.Sent != p.Prompt && p.Sent != english {
		blocks = append(blocks, part("info.sent", p.Sent))
	}
	blocks = append(blocks, part("info.negative", p.Negative))
	lines := []bot.Text{say("info.settings", "model", p.Model, "seed", p.Seed, "width", p.Width, "height", p.Height, "steps", p.Steps, "sampler", p.Sampler, "cfg", p.CFG)}
	if p.Count > 1 {
		lines = append(lines, say("info.seeds", "n", p.Count, "last", p.Seed+int64(p.Count)-1))
	}
	worker, err := h.creditNow(ctx, say, p.WorkerID)
	if err != nil {
		return err
	}
	lines = append(lines, say("info.machine", "worker", worker, "gpu", p.GPU, "engine", p.Engine))
	if in.Request.Member == p.Asker || in.Request.Role >= community.Operator {
		cost, err := h.cost(ctx, say, p)
		if err != nil {
			return err
		}
		lines = append(lines, cost)
	}
	options := p.settings()
	if p.Without != "" {
		options += " --no " + p.Without
	}
	lines = append(lines, say("info.again", "options", options), say("info.same", "here", h.sameMachine(p)))
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", append(blocks, joined("\n", lines...))...)})
}

// settings are the options that draw the same again.
func (p painting) settings() string {
	options := fmt.Sprintf("seed:%d aspect:%dx%d model:%s", p.Seed, p.Width, p.Height, p.Model)
	if p.Count > 1 {
		options += fmt.Sprintf(" count:%d", p.Count)
	}
	if p.Style != "" {
		options += " style:" + p.Style
	}
	return options
}

// editPrompt hands out the whole command that draws a picture, to be changed and sent: it can be copied on every platform, and the page puts it
// into the box.
func (h House) editPrompt(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	command := "/imagine " + p.settings() + " " + strings.Join(strings.Fields(cmp.Or(p.Typed, p.Prompt)), " ")
	if p.Without != "" {
		command += " --no " + p.Without
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", in.Say("picture.edit"), bot.Plain(command).In(bot.Pre, ""))})
}

// creditNow names a machine as its owner wants it now, whatever was wanted when it worked; empty when it is not to be named or is gone.
func (h House) creditNow(ctx context.Context, say bot.Say, id int64) (string, error) {
	all, err := h.Pool.Workers(ctx, 0)
	if err != nil {
		return "", fmt.Errorf("look up worker %d: %w", id, err)
	}
	i := slices.IndexFunc(all, func(w workers.Worker) bool { return w.ID == id && w.Share })
	switch {
	case i < 0:
		return "", nil
	case all[i].OwnerName == "":
		return all[i].Name, nil
	}
	return say("worker.shown", "owner", all[i].OwnerName, "name", all[i].Name).Plain, nil
}

// cost says what the drawing, and the translation before it, took from the asker.
func (h House) cost(ctx context.Context, say bot.Say, p painting) (bot.Text, error) {
	var lines []bot.Text
	for _, job := range []int64{p.Words, p.Job} {
		if job == 0 {
			continue
		}
		b, ok, err := h.Credits.Bill(ctx, job)
		if err != nil {
			return bot.Text{}, fmt.Errorf("bill of job %d: %w", job, err)
		}
		if ok {
			lines = append(lines, say("info.cost", "kind", b.Kind, "job", job, "own", b.Bill.Own, "amount", b.Bill.Amount))
		}
	}
	return joined("\n", lines...), nil
}

// sameMachine tells whether a machine is online that draws the same from the same seed: the same model, program and GPU.
func (h House) sameMachine(p painting) bool {
	return slices.ContainsFunc(h.Pool.Overview().Workers, func(w workers.WorkerView) bool {
		return w.State == workers.Online && gpuOf(w) == p.GPU && slices.ContainsFunc(w.Offers, func(o workers.OfferView) bool {
			return o.Kind == protocol.Image && o.Canonical == p.Model && o.Engine == p.Engine
		})
	})
}

// removeAsk asks before pictures are gone for good: the row below them becomes the question. Pictures that cannot be shown again go at once.
func (h House) removeAsk(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	sure := joined("\n", p.Caption, in.Say("picture.remove", "n", len(p.Names)))
	err = h.showAnew(ctx, in, a, p, sure, []bot.NewButton{
		{Action: actionDestroy, Label: in.Say("button.delete"), Style: bot.Danger, Data: a.Data, Owner: p.Asker, Only: p.User},
		{Action: actionKeep, Label: in.Say("button.keep"), Data: a.Data, Owner: p.Asker, Only: p.User},
	})
	if errors.Is(err, fault.New(fault.Gone)) {
		return h.remove(ctx, in, a)
	}
	return err
}

// elsewhere is what the buttons below a private question carry: the picture's own action, and where the picture stands.
type elsewhere struct {
	Picture json.RawMessage     `json:"picture"`
	Request string              `json:"request"`
	Chat    community.ChatID    `json:"chat"`
	Message community.MessageID `json:"message"`
}

// removeAskAside asks who pressed alone: the others see the picture meanwhile.
func (h House) removeAskAside(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	data, err := json.Marshal(elsewhere{Picture: a.Data, Request: a.Request, Chat: in.Request.Chat.ID, Message: in.Request.Source})
	if err != nil {
		return fmt.Errorf("carry where a picture stands: %w", err)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("picture.remove", "n", len(p.Names)), Buttons: []bot.NewButton{
		{Action: actionDestroyAside, Label: in.Say("button.delete"), Style: bot.Danger, Data: data, Owner: p.Asker, Only: p.User},
		{Action: actionLeave, Label: in.Say("button.keep"), Data: data, Owner: p.Asker, Only: p.User},
	}})
}

// removeThere takes pictures away that stand elsewhere than the question: out of the album, out of their chat, where all see by whom.
func (h House) removeThere(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	there, p, err := elsewhereOf(a)
	if err != nil {
		return err
	}
	if err := h.removeKept(p); err != nil {
		return err
	}
	removed := small(in.Say("picture.removed", "name", in.Request.Name))
	if err := in.Replace(ctx, there.Request, there.Chat, there.Message, removed); err != nil && !fault.Has(err, fault.Gone) {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: removed})
}

// leave ends the question without anything being deleted.
func (h House) leave(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	_, p, err := elsewhereOf(a)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: small(in.Say("picture.left", "n", len(p.Names)))})
}

func elsewhereOf(a bot.Action) (there elsewhere, p painting, err error) {
	if err := json.Unmarshal(a.Data, &there); err != nil {
		return there, p, fmt.Errorf("read where a picture stands: %w", err)
	}
	p, err = paintingOf(bot.Action{Data: there.Picture})
	return there, p, err
}

// keep brings the row back that Delete asked over.
func (h House) keep(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	return h.showAnew(ctx, in, a, p, p.Caption, pictureButtons(in.Say, p, p.Reviewed))
}

// remove takes pictures away: out of the chat and out of the album.
func (h House) remove(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	if err := h.removeKept(p); err != nil {
		return err
	}
	if err := in.Reply.Final(ctx, bot.Reply{Text: small(in.Say("picture.removed", "name", in.Request.Name))}); err != nil {
		return err
	}
	return h.dropButtons(ctx, a)
}

// removeKept takes pictures out of the album.
func (h House) removeKept(p painting) error {
	if h.Album == nil {
		return nil
	}
	for _, name := range p.Names {
		if err := h.Album.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// dropButtons forgets the row of a message that shows something else now.
func (h House) dropButtons(ctx context.Context, a bot.Action) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer done()
	if err := h.Requests.DropActions(ctx, a.Request); err != nil {
		return fmt.Errorf("forget the buttons of a picture: %w", err)
	}
	return nil
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
