package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"potluck/ask"
	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/workers/protocol"
)

const (
	listenerReply      = "reply"
	listenerHint       = "reply_hint"
	actionAskAgain     = "ask_again"
	actionAskContinue  = "ask_continue"
	actionAskReasoning = "ask_reasoning"
)

func (h House) ask() bot.Command {
	return bot.Command{
		Name:   "ask",
		Costly: true,
		Options: []bot.Option{
			{Name: "question", Kind: bot.String, Required: true, Rest: true, Max: 4000},
			{Name: "model", Kind: bot.String, Max: 100, Suggest: h.suggestModel(protocol.Chat)},
		},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			parent, err := h.parent(ctx, in.Request.Chat.ID, in.Request.ReplyTo)
			if err != nil {
				return err
			}
			return h.answer(ctx, in, wish{Question: in.Options["question"], Parent: parent, Model: plainForm(in.Options["model"])}, bot.Text{})
		},
	}
}

// wish is what is asked; a "Regenerate" button carries it.
type wish struct {
	Question string `json:"question"`
	Parent   string `json:"parent,omitempty"`
	Model    string `json:"model,omitempty"`
	GoOn     bool   `json:"go_on,omitempty"` // see ask.Question
	Else     bool   `json:"else,omitempty"`  // see ask.Question; what is pressed always lets another model answer
}

// parent returns the request whose answer a message replies to, or "" when that message answers no question.
func (h House) parent(ctx context.Context, chat community.ChatID, m community.MessageID) (string, error) {
	if m == "" {
		return "", nil
	}
	id, ok, err := h.Requests.RequestOf(ctx, chat, m)
	if err != nil || !ok {
		return "", err
	}
	r, ok, err := h.Requests.Request(ctx, id)
	if err != nil || !ok {
		return "", err
	}
	switch r.Command {
	case "ask", listenerReply, actionAskAgain, actionAskContinue:
		return id, nil
	}
	return "", nil
}

// maxBack is how far back a conversation is searched for the model that it began with.
const maxBack = 10

// modelOf returns the model that was asked for in a conversation, "" = any: who chose one goes on with it.
func (h House) modelOf(ctx context.Context, request string) (string, error) {
	for range maxBack {
		r, ok, err := h.Requests.Request(ctx, request)
		if err != nil || !ok {
			return "", err
		}
		switch r.Command {
		case "ask":
			p, err := r.Parsed()
			return plainForm(p.Options["model"]), err
		case actionAskAgain, actionAskContinue:
			var a bot.Action
			if err := json.Unmarshal(r.Args, &a); err != nil {
				return "", fmt.Errorf("what a button carried: %w", err)
			}
			return modelCarried(a)
		case listenerReply:
			if request, ok, err = h.Requests.RequestOf(ctx, r.Chat.ID, r.ReplyTo); err != nil || !ok {
				return "", err
			}
		default:
			return "", nil
		}
	}
	return "", nil
}

// modelCarried is the model within what a button of an answer carries.
func modelCarried(a bot.Action) (model string, err error) {
	if a.Name == actionAskContinue {
		err = json.Unmarshal(a.Data, &model)
		return model, err
	}
	var w wish
	err = json.Unmarshal(a.Data, &w)
	return w.Model, err
}

// continues is true for a reply to one of the bot's answers; people who reply to each other are left alone.
func (h House) continues(e bot.Event) bool {
	if e.ReplyTo == "" || e.Text.Plain == "" || e.FromBot {
		return false
	}
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	parent, err := h.parent(ctx, e.Chat.ID, e.ReplyTo)
	return err == nil && parent != ""
}

func (h House) reply(ctx context.Context, in *bot.Invocation) error {
	parent, err := h.parent(ctx, in.Request.Chat.ID, in.Request.ReplyTo)
	if err != nil {
		return err
	}
	w := wish{Question: in.Rest.Plain, Parent: parent, Else: true}
	if w.Model, err = h.modelOf(ctx, parent); err != nil {
		return err
	}
	return h.answer(ctx, in, w, bot.Text{})
}

// cannotContinue is true for a reply to something of the bot that is no answer: a picture, a translation, a refusal. It is asked after continues.
func (h House) cannotContinue(e bot.Event) bool {
	if e.Answers == "" || e.Text.Plain == "" || e.FromBot {
		return false
	}
	ctx, done := context.WithTimeout(context.Background(), time.Second)
	defer done()
	r, ok, err := h.Requests.Request(ctx, e.Answers)
	return err == nil && ok && r.Command != listenerHint // once is enough
}

func (h House) hint(ctx context.Context, in *bot.Invocation) error {
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("answer.no_talk")})
}

func (h House) askAgain(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var w wish
	if err := json.Unmarshal(a.Data, &w); err != nil {
		return fault.Wrap(err, fault.Gone)
	}
	w.Else = true
	return h.answer(ctx, in, w, pressed(in, a))
}

func (h House) askContinue(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	model, err := modelCarried(a)
	if err != nil {
		return fault.Wrap(err, fault.Gone)
	}
	w := wish{Question: in.Say("answer.go_on").Plain, Parent: a.Request, Model: model, GoOn: true, Else: true}
	return h.answer(ctx, in, w, bot.Text{})
}

// askReasoning shows what the model thought, to the one who pressed only.
func (h House) askReasoning(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", in.Say("answer.reasoning"), bot.ParseMarkdown(string(a.Data)))})
}

// draft is what of an answer is known so far; the callback writes it while the answer grows.
type draft struct {
	mu       sync.Mutex
	progress progress
	markdown string
}

func (d *draft) show(reply *bot.Responder) {
	text := d.progress.text()
	if d.markdown != "" {
		text = bot.ParseMarkdown(d.markdown)
	}
	reply.Show(bot.Reply{Text: text, Status: d.markdown == "", Working: d.progress.working()})
}

// answer runs a question to its final; by is the line that names who pressed a button for it, if that is to be told.
func (h House) answer(ctx context.Context, in *bot.Invocation, w wish, by bot.Text) error {
	notice, seen, err := h.firstUse(ctx, in)
	if err != nil {
		return err
	}
	d := draft{progress: h.progress(in, protocol.Chat, w.Model)}
	d.show(in.Reply)
	stop := ticking(ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.markdown == "" {
			d.show(in.Reply)
		}
	})
	q := ask.Question{
		Origin: h.origin(in), Request: in.Request.ID, Parent: w.Parent, Chat: in.Request.Chat.ID,
		Text: w.Question, Language: in.Language, Model: w.Model, Else: w.Else, GoOn: w.GoOn,
	}
	a, err := h.Ask.Answer(ctx, q, func(news ask.Draft) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.progress.see(news.Event)
		d.markdown = news.Markdown
		d.show(in.Reply)
	})
	stop()
	if err != nil {
		d.mu.Lock()
		partial, job := d.markdown, d.progress.job
		d.mu.Unlock()
		below := joined("\n", h.possible(in, err), h.jobLine(ctx, in, job), by)
		in.Reply.Below(below, tryAgain(ctx, in, regenerate(in, w), err)...)
		return h.broken(ctx, in, q, w, partial, below, err)
	}
	buttons := []bot.NewButton{regenerate(in, w)}
	if a.Cut {
		buttons = append(buttons, goOn(in, w))
	}
	if a.Reasoning != "" {
		buttons = append(buttons, bot.NewButton{Action: actionAskReasoning, Label: in.Say("button.reasoning"), Data: []byte(a.Reasoning)})
	}
	notes := append(answerNotes(in.Say, a), h.footer(in, "answer.footer", a.Result), by, notice)
	seen()
	err = in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", bot.ParseMarkdown(a.Markdown), joined("\n", notes...)), Buttons: buttons})
	return errors.Join(err, a.NotKept)
}

// answerNotes are the lines that say what is not as was asked for.
func answerNotes(say bot.Say, a ask.Answer) (notes []bot.Text) {
	add := func(key string, args ...any) { notes = append(notes, small(say(key, args...))) }
	if a.Lost {
		add("answer.lost")
	}
	if a.Forgot > 0 {
		add("answer.forgot", "turns", a.Forgot)
	}
	if a.Missed != "" {
		add("answer.missed", "model", a.Missed, "other", a.Result.Model)
	}
	if a.Strayed != "" {
		add("answer.strayed", "asked", a.Asked, "language", a.Strayed)
	}
	if a.Cut {
		add("answer.cut")
	}
	return notes
}

func regenerate(in *bot.Invocation, w wish) bot.NewButton {
	data, _ := json.Marshal(w) // strings and bools always encode
	return bot.NewButton{Action: actionAskAgain, Label: in.Say("button.regenerate"), Data: data}
}

func goOn(in *bot.Invocation, w wish) bot.NewButton {
	model, _ := json.Marshal(w.Model) // a string always encodes
	return bot.NewButton{Action: actionAskContinue, Label: in.Say("button.continue"), Data: model}
}

// broken ends an answer that came only in part: what is there stays visible, with the reason and a way on. An answer that had not begun is
// left to the Router, and so is a shutdown, after which the request runs again.
func (h House) broken(ctx context.Context, in *bot.Invocation, q ask.Question, w wish, partial string, below bot.Text, err error) error {
	cause := err
	if ctx.Err() != nil {
		cause = context.Cause(ctx) // that Stop was pressed, or that the process ends
	}
	f := fault.Of(cause)
	stopped := f.Code == fault.Cancelled
	if partial == "" || ctx.Err() != nil && !stopped {
		return fmt.Errorf("answer: %w", cause)
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer done()
	buttons := []bot.NewButton{regenerate(in, w)}
	if stopped {
		if err := h.Ask.Keep(ctx, q, partial); err != nil { // for the log: what was shown stays
			cause = fmt.Errorf("keep a stopped answer: %w", err)
		} else {
			buttons = append(buttons, goOn(in, w))
		}
	}
	var args []any
	for name, value := range f.Args {
		args = append(args, name, value)
	}
	reason := joined("\n", small(in.Say("fault."+string(f.Code), args...)), below)
	text := joined("\n\n", bot.ParseMarkdown(partial), reason)
	if err := in.Reply.Final(ctx, bot.Reply{Text: text, Buttons: buttons}); err != nil {
		return err
	}
	return fmt.Errorf("answer: %w", cause) // for the log: the final is out
}

// keepTime bounds what is still done for a request after its own context ended.
const keepTime = 30 * time.Second
