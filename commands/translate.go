package commands

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"potluck/bot"
	"potluck/fault"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

func (h House) translate() bot.Command {
	return bot.Command{
		Name:   "translate",
		Costly: true,
		Options: []bot.Option{
			{Name: "to", Kind: bot.String, Required: true, Max: 50, Check: knownLanguage, Suggest: h.suggestTarget},
			{Name: "from", Kind: bot.String, Max: 50, Check: knownLanguage, Suggest: h.suggestSource},
			{Name: "text", Kind: bot.String, Required: true, Rest: true, Max: 4000},
		},
		Run: h.translateText,
	}
}

// knownLanguage is fault.UnknownLang for what names no language.
func knownLanguage(typed string) error {
	typed = plainForm(typed)
	if _, ok := translate.Parse(typed); !ok && typed != "" {
		return fault.New(fault.UnknownLang, "value", typed)
	}
	return nil
}

func (h House) translateText(ctx context.Context, in *bot.Invocation) error {
	r := translate.Request{Origin: h.origin(in), Text: in.Rest.Plain, Fixed: fixed(in.Rest), Language: in.Language}
	for name, tag := range map[string]*string{"to": &r.To, "from": &r.From} {
		if err := knownLanguage(in.Options[name]); err != nil { // of a version that knew it
			return err
		}
		*tag, _ = translate.Parse(plainForm(in.Options[name]))
	}
	notice, seen, err := h.firstUse(ctx, in)
	if err != nil {
		return err
	}
	t, err := h.translated(ctx, in, r, false)
	if err != nil {
		return err
	}
	if t.Result.Job == 0 {
		notice = bot.Text{}
	} else {
		seen()
	}
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", withKept(t, in.Rest), joined("\n", h.translationNotes(in, t), notice))})
}

// translated has a text translated and shows meanwhile how that goes; quietly: only once there is a job.
func (h House) translated(ctx context.Context, in *bot.Invocation, r translate.Request, quietly bool, again ...bot.NewButton) (translate.Translation, error) {
	var mu sync.Mutex
	view := h.progress(in, protocol.Translate, "")
	show := func() {
		if !quietly || view.working() {
			in.Reply.Show(bot.Reply{Text: view.text(), Status: true, Working: view.working()})
		}
	}
	show()
	stop := ticking(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		show()
	})
	t, err := h.Translate.Translate(ctx, r, func(e workers.Event) {
		mu.Lock()
		defer mu.Unlock()
		view.see(e)
		show()
	})
	stop()
	if err != nil {
		var buttons []bot.NewButton
		for _, b := range again {
			buttons = append(buttons, tryAgain(ctx, in, b, err)...)
		}
		in.Reply.Below(joined("\n", h.possible(in, err), h.jobLine(ctx, in, view.job)), buttons...)
		return t, fmt.Errorf("translate: %w", err)
	}
	return t, nil
}

// translationNotes are the lines below a translation.
func (h House) translationNotes(in *bot.Invocation, t translate.Translation) bot.Text {
	var notes []bot.Text
	if t.Rough {
		notes = append(notes, small(in.Say("translation.rough")))
	}
	if t.Result.Job == 0 {
		return joined("\n", append(notes, small(in.Say("translation.nothing")))...)
	}
	return joined("\n", append(notes, h.footer(in, "translation.footer", t.Result, "from", t.From, "to", t.To))...)
}

// fixedKinds are the spans whose text must come back as it is.
var fixedKinds = map[bot.SpanKind]bool{
	bot.Code: true, bot.Pre: true, bot.Mention: true, bot.Emoji: true, bot.Timestamp: true,
}

func fixed(source bot.Text) (ranges [][2]int) {
	for _, s := range source.Spans {
		if fixedKinds[s.Kind] {
			ranges = append(ranges, [2]int{s.Start, s.End})
		}
	}
	return ranges
}

// withKept gives what came back unchanged the span that it had in the source; another language may have moved it.
func withKept(t translate.Translation, source bot.Text) bot.Text {
	left := slices.DeleteFunc(slices.Clone(source.Spans), func(s bot.Span) bool { return !fixedKinds[s.Kind] })
	var b bot.Builder
	at := 0
	for _, k := range t.Kept {
		if k[0] < at || k[1] < k[0] || k[1] > len(t.Text) {
			continue
		}
		kept := t.Text[k[0]:k[1]]
		i := slices.IndexFunc(left, func(s bot.Span) bool { return source.Plain[s.Start:s.End] == kept })
		if i < 0 {
			continue
		}
		b.Add(t.Text[at:k[0]]).Mark(left[i].Kind, left[i].Value, kept)
		at = k[1]
		left = slices.Delete(left, i, i+1)
	}
	return b.Add(t.Text[at:]).Text()
}
