package commands

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"potluck/bot"
	"potluck/fault"
	"potluck/imagegen"
	"potluck/translate"
	"potluck/workers/protocol"
)

// wording is how a wish for a picture was put into English, which is what models read.
type wording struct {
	From     string // the wish's language (BCP 47); empty: it was English, or the model reads it
	Prompt   string // in English
	Negative string
	Job      int64 // 0 = none: translated for an earlier picture
	failed   bool  // nobody could
}

// What a button carries of a wording beside the options that were typed, so that a wish is translated once.
const (
	optionFrom     = "wording.from"
	optionPrompt   = "wording.prompt"
	optionNegative = "wording.negative"
)

// carried adds a wording to a copy of the options that were typed.
func (w wording) carried(options map[string]string) map[string]string {
	out := maps.Clone(options)
	for _, name := range []string{optionFrom, optionPrompt, optionNegative} {
		delete(out, name)
	}
	if w.From != "" && !w.failed {
		out[optionFrom], out[optionPrompt], out[optionNegative] = w.From, w.Prompt, w.Negative
	}
	return out
}

// translationWait is how long a wish waits for its translation; then it is drawn as it was written.
const translationWait = time.Minute

// inEnglish puts a wish into English when the model reads nothing else and somebody can; the request then carries what was written as its
// Original. An error is a Stop, the end of the process, or something that would also keep the picture from being drawn.
func (h House) inEnglish(ctx context.Context, in *bot.Invocation, r *imagegen.Request, options map[string]string, e *easel) (wording, error) {
	if from := options[optionFrom]; from != "" && options[optionPrompt] != "" {
		w := wording{From: from, Prompt: options[optionPrompt], Negative: options[optionNegative]}
		w.into(r)
		return w, nil
	}
	from, ok := h.Translate.Foreign(r.Prompt, in.Language)
	if !ok || h.drawnAsWritten(r, from) {
		return wording{}, nil
	}
	e.say(in.Say("wait.translating", "from", from))
	defer e.say(bot.Text{})
	w := wording{From: from}
	t, err := h.translateWish(ctx, *r, from)
	switch {
	case ctx.Err() != nil:
		return w, context.Cause(ctx)
	case err != nil && fault.Of(err).Code == fault.Internal:
		return w, err
	case err != nil:
		w.failed = true
		return w, nil
	}
	lines := strings.Split(t.Text, "\n")
	if len(lines) != len(strings.Split(wishText(*r), "\n")) || strings.TrimSpace(lines[0]) == "" {
		w.failed = true
		return w, nil
	}
	w.Prompt, w.Job = withoutFlags(lines[0]), t.Result.Job
	if len(lines) > 1 {
		w.Negative = withoutFlags(lines[1])
	}
	w.into(r)
	return w, nil
}

// into makes a request's prompt English; the gate goes on seeing what was written.
func (w wording) into(r *imagegen.Request) {
	r.Original = wishText(*r)
	r.Prompt, r.Negative = w.Prompt, w.Negative
}

// wishText is what is to be translated: a line for the prompt, and one for what is to be left out.
func wishText(r imagegen.Request) string {
	if r.Negative == "" {
		return r.Prompt
	}
	return r.Prompt + "\n" + r.Negative
}

// withoutFlags takes from a worker's text what would be read as "--seed 5".
func withoutFlags(s string) string {
	return strings.NewReplacer("--", "-", "—", "-", "–", "-", "―", "-", "−", "-").Replace(s)
}

func (h House) translateWish(ctx context.Context, r imagegen.Request, from string) (t translate.Translation, err error) {
	origin := r.Origin
	if origin.Quality == protocol.Demo {
		origin.Quality = protocol.Rough // a demonstration says that it is one instead of what was meant
	}
	// Only for a request that runs again a day later: its translation was erased, the picture was not drawn yet.
	for _, again := range []string{"", ":anew"} {
		q := translate.Request{Origin: origin, Text: wishText(r), From: from, To: "en", Wait: translationWait}
		q.Origin.Key += again
		if t, err = h.Translate.Translate(ctx, q, nil); !fault.Has(err, fault.Erased) {
			break
		}
	}
	if err != nil {
		return t, fmt.Errorf("translate a wish: %w", err)
	}
	return t, nil
}

// drawnAsWritten tells whether a translation is of no use: every model that may draw this reads the language, or nobody is there to draw at all.
func (h House) drawnAsWritten(r *imagegen.Request, language string) bool {
	for _, m := range h.Pool.Overview().Models {
		if m.Kind != protocol.Image || m.Quality == protocol.Demo && r.Origin.Quality != protocol.Demo || r.Model != "" && m.Model != r.Model && !r.Else {
			continue
		}
		if !imagegen.Reads(m.Model, language) {
			return false
		}
	}
	return true
}
