package commands

import (
	"context"
	"fmt"
	"slices"

	"potluck/ask"
	"potluck/bot"
	"potluck/imagegen"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

// test has a small real job done on one worker, at nobody's cost.
func (h House) test(ctx context.Context, in *bot.Invocation) error {
	return h.mine(ctx, in, func(w workers.Worker) error {
		v := h.live(w.ID)
		offer, why := testable(v, protocol.Kind(in.Options["kind"]))
		if why != "" {
			return in.Reply.Final(ctx, bot.Reply{Text: in.Say(why, "name", w.Name, "reason", v.Reason, "id", w.ID)})
		}
		in.Reply.Show(bot.Reply{Text: in.Say("worker.test_runs", "name", w.Name), Status: true})
		o := h.origin(in)
		o.Class, o.Quality, o.Only, o.Free = workers.Public, protocol.Demo, w.ID, true
		trial := trial{h, in, o, offer}
		var reply bot.Reply
		var r workers.Result
		var err error
		switch offer.Kind {
		case protocol.Chat:
			reply, r, err = trial.question(ctx)
		case protocol.Image:
			reply, r, err = trial.picture(ctx)
		default:
			reply, r, err = trial.translation(ctx)
		}
		if err != nil {
			return fmt.Errorf("test worker %d: %w", w.ID, err)
		}
		reply.Text = joined("\n\n", in.Say("worker.test_done", "name", w.Name, "took", r.Took, "model", offer.Canonical), reply.Text,
			small(in.Say("worker.test_price", "amount", r.Bill.Amount, "job", r.Job)))
		return in.Reply.Final(ctx, reply)
	})
}

// testable chooses what a worker is tested with: what was asked for, or the quickest kind that it offers. why is the key of what keeps it from
// any test.
func testable(v workers.WorkerView, kind protocol.Kind) (offer workers.OfferView, why string) {
	switch {
	case v.State == "" || v.State == workers.Away:
		return offer, "worker.test_away"
	case v.Closed == workers.ClosedByOwner:
		return offer, "worker.test_halted"
	case v.Closed != "":
		return offer, "worker.test_closed"
	case v.State == workers.Paused:
		return offer, "worker.test_paused"
	case v.State == workers.Draining:
		return offer, "worker.test_draining"
	}
	for _, k := range []protocol.Kind{protocol.Chat, protocol.Translate, protocol.Image} {
		if kind != "" && k != kind || len(v.Limits.Kinds) > 0 && !slices.Contains(v.Limits.Kinds, k) {
			continue
		}
		if i := slices.IndexFunc(v.Offers, func(o workers.OfferView) bool { return o.Kind == k }); i >= 0 {
			return v.Offers[i], ""
		}
	}
	return offer, "worker.test_nothing"
}

// trial is one test of one offer.
type trial struct {
	h      House
	in     *bot.Invocation
	origin workers.Origin
	offer  workers.OfferView
}

func (t trial) question(ctx context.Context) (bot.Reply, workers.Result, error) {
	a, err := t.h.Ask.Answer(ctx, ask.Question{
		Origin: t.origin, Request: t.in.Request.ID, Chat: t.in.Request.Chat.ID, Text: t.in.Say("worker.test_question").Plain, Language: t.in.Language, Model: t.offer.Canonical,
	}, func(ask.Draft) {})
	return bot.Reply{Text: bot.ParseMarkdown(cut(a.Markdown, 600)).In(bot.Quote, "")}, a.Result, err
}

func (t trial) picture(ctx context.Context) (bot.Reply, workers.Result, error) {
	prompt := "a bowl of soup on a wooden table"
	d, err := t.h.Draw.Draw(ctx, imagegen.Request{Origin: t.origin, Prompt: prompt, Model: t.offer.Canonical}, func(workers.Event) {})
	var reply bot.Reply
	for i, p := range d.Pictures {
		reply.Pictures = append(reply.Pictures, bot.Picture{
			Name: p.Name, Data: p.PNG, Width: p.Width, Height: p.Height, Spoiler: !t.h.uncovered(t.in, d.Result.Worker),
			Alt: t.in.Say("picture.alt", "n", i+1, "prompt", prompt).Plain,
		})
	}
	return reply, d.Result, err
}

func (t trial) translation(ctx context.Context) (bot.Reply, workers.Result, error) {
	from, to := "en", "es"
	if len(t.offer.Pairs) > 0 && !t.offer.AnyPair {
		from, to = t.offer.Pairs[0].From, t.offer.Pairs[0].To
	}
	text := greetings[from]
	if text == "" {
		text = greetings["en"]
	}
	tr, err := t.h.Translate.Translate(ctx, translate.Request{Origin: t.origin, Text: text, From: from, To: to, Language: t.in.Language}, func(workers.Event) {})
	return bot.Reply{Text: bot.Plain(text+" → "+cut(tr.Text, 300)).In(bot.Quote, "")}, tr.Result, err
}

// greetings are short real texts in languages that small translation engines often begin with.
var greetings = map[string]string{
	"en": "Good morning, the soup is ready.", "es": "Buenos días, la sopa está lista.", "de": "Guten Morgen, die Suppe ist fertig.",
	"fr": "Bonjour, la soupe est prête.", "ca": "Bon dia, la sopa està llesta.", "pt": "Bom dia, a sopa está pronta.", "it": "Buongiorno, la zuppa è pronta.",
	"ja": "おはようございます。スープができました。",
}
