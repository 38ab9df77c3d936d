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
	listenerReply     = "reply"
	listenerHint      = "reply_hint"
	actionAskAgain    = "ask_again"
	actionAskContinue = "ask_continue"
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

// wish is what is asked; an "Again" button carries it.
type wish struct {
	Question string `json:"question"`
	Parent   string `json:"parent,omitempty"`
	Model    string `json:"model,omitempty"`
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
	return h.answer(ctx, in, wish{Question: in.Rest.Plain, Parent: parent}, bot.Text{})
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
	return h.answer(ctx, in, w, pressed(in, a))
}

func (h House) askContinue(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	w := wish{Parent: a.Request}
	if err := json.Unmarshal(a.Data, &w.Model); err != nil {
		return fault.Wrap(err, fault.Gone)
	}
	w.Question = in.Say("answer.go_on").Plain
	return h.answer(ctx, in, w, bot.Text{})
}

// draft is what of an answer is known so far; the callback writes it while the answer grows.
type draft struct {
	mu       sync.Mutex
	progress progress
	markdown string
}

// answer runs a question to its final; by is the line that names who pressed a button for it, if that is to be told.
func (h House) answer(ctx context.Context, in *bot.Invocation, w wish, by bot.Text) error {
	notice, seen, err := h.firstUse(ctx, in)
	if err != nil {
		return err
	}
	d := draft{progress: h.progress(in, protocol.Chat)}
	in.Reply.Show(bot.Reply{Text: d.progress.text(), Status: true})

	q := ask.Question{
		Origin: h.origin(in), Request: in.Request.ID, Parent: w.Parent, Chat: in.Request.Chat.ID,
		Text: w.Question, Language: in.Language, Model: w.Model,
	}
	a, err := h.Ask.Answer(ctx, q, func(news ask.Draft) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.progress.see(news.Event)
		d.markdown = news.Markdown
		text := d.progress.text()
		if d.markdown != "" {
			text = bot.ParseMarkdown(d.markdown)
		}
		in.Reply.Show(bot.Reply{Text: text, Status: d.markdown == ""})
	})
	if err != nil {
		d.mu.Lock()
		partial, job := d.markdown, d.progress.job
		d.mu.Unlock()
		below := joined("\n", h.jobLine(ctx, in, job), by)
		in.Reply.Below(below)
		return h.broken(ctx, in, q, w, partial, below, err)
	}

	var notes []bot.Text
	if a.Forgot > 0 {
		notes = append(notes, small(in.Say("answer.forgot", "turns", a.Forgot)))
	}
	buttons := []bot.NewButton{againButton(in, w)}
	if a.Cut {
		notes = append(notes, small(in.Say("answer.cut")))
		model, _ := json.Marshal(w.Model) // a string always encodes
		buttons = append(buttons, bot.NewButton{Action: actionAskContinue, Label: in.Say("button.continue"), Data: model})
	}
	notes = append(notes, h.footer(in, "answer.footer", a.Result), by, notice)
	seen()
	err = in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", bot.ParseMarkdown(a.Markdown), joined("\n", notes...)), Buttons: buttons})
	return errors.Join(err, a.NotKept)
}

func againButton(in *bot.Invocation, w wish) bot.NewButton {
	data, _ := json.Marshal(w) // three strings always encode
	return bot.NewButton{Action: actionAskAgain, Label: in.Say("button.again"), Data: data}
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
	if stopped {
		if err := h.Ask.Keep(ctx, q, partial); err != nil { // for the log: what was shown stays
			cause = fmt.Errorf("keep a stopped answer: %w", err)
		}
	}
	var args []any
	for name, value := range f.Args {
		args = append(args, name, value)
	}
	reason := joined("\n", small(in.Say("fault."+string(f.Code), args...)), below)
	text := joined("\n\n", bot.ParseMarkdown(partial), reason)
	if err := in.Reply.Final(ctx, bot.Reply{Text: text, Buttons: []bot.NewButton{againButton(in, w)}}); err != nil {
		return err
	}
	return fmt.Errorf("answer: %w", cause) // for the log: the final is out
}

// keepTime bounds what is still done for a request after its own context ended.
const keepTime = 30 * time.Second
