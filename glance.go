package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
	"potluck/ledger"
	"potluck/web/reader"
	"potluck/workers"
	"potluck/workers/protocol"
)

// completion is a command that the page completes while somebody types it.
type completion struct {
	Name        string             `json:"name"`  // "worker link"
	Usage       string             `json:"usage"` // "/worker link [name:] [share:]"
	Description string             `json:"description"`
	Options     []completionOption `json:"options"`
}

// completionOption is what the page says of an option, and how it completes its value.
type completionOption struct {
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Kind        bot.OptionKind `json:"kind"`
	Required    bool           `json:"required,omitempty"`
	Rest        bool           `json:"rest,omitempty"`
	Min         int            `json:"min,omitempty"` // of an integer; both 0: any
	Max         int            `json:"max,omitempty"`
	Choices     []string       `json:"choices,omitempty"`
	Suggests    bool           `json:"suggests,omitempty"` // the server completes the value
}

// completions lists what somebody with that role can type, with its description in a reader's language.
func completions(all []bot.Command, role community.Role, say bot.Say) []completion {
	var out []completion
	for _, c := range all {
		if c.Needs > role {
			continue
		}
		if len(c.Subcommands) == 0 {
			out = append(out, completed(all, c, say, c.Name))
		}
		for _, sub := range c.Subcommands {
			if sub.Needs <= role && !sub.OfRoles { // the page has none
				out = append(out, completed(all, sub, say, c.Name, sub.Name))
			}
		}
	}
	return out
}

// pageRole is what a visitor of the page may do; empty: somebody without a seat.
func (h *house) pageRole(ctx context.Context, user community.UserID) community.Role {
	if user == "" {
		return community.Everyone
	}
	m, _, err := h.people.MemberOf(ctx, user)
	switch {
	case err != nil:
		h.log.Warn("a visitor's role was not read: the page completes what everybody may run", "user", user, "err", err)
		return community.Everyone
	case m.Operator:
		return community.Operator
	case user == webchat.OperatorUser:
		return community.Admin // as in the page's events
	}
	return community.Everyone
}

func completed(all []bot.Command, c bot.Command, say bot.Say, path ...string) completion {
	key := "command." + strings.Join(path, ".")
	out := completion{Name: strings.Join(path, " "), Usage: bot.Usage(all, path...), Description: say(key).Plain, Options: []completionOption{}}
	for _, o := range c.Options {
		shown := completionOption{
			Name: o.Name, Description: say(key + "." + o.Name).Plain, Kind: o.Kind, Required: o.Required, Rest: o.Rest,
			Choices: o.Choices, Suggests: o.Suggest != nil,
		}
		if o.Kind == bot.Integer {
			shown.Min, shown.Max = o.Min, o.Max
		}
		out.Options = append(out.Options, shown)
	}
	return out
}

// suggest completes the value of an option of a command ("worker link").
func suggest(all []bot.Command, command, option, typed string) []string {
	var found *bot.Command
	for _, word := range strings.Fields(command) {
		at := slices.IndexFunc(all, func(c bot.Command) bool { return c.Name == word })
		if at < 0 {
			return nil
		}
		found, all = &all[at], all[at].Subcommands
	}
	if found == nil {
		return nil
	}
	at := slices.IndexFunc(found.Options, func(o bot.Option) bool { return o.Name == option })
	if at < 0 || found.Options[at].Suggest == nil {
		return nil
	}
	return found.Options[at].Suggest(typed)
}

// maxGlanceModels bounds what goes to every open page: /pool lists them all.
const maxGlanceModels = 12

// poolGlance is what the page shows of the pool: how many machines are there, and what they can do in a chat of the page.
func (h *house) poolGlance(chat community.Chat) webchat.Pool {
	o := h.pool.Overview()
	out := webchat.Pool{Abilities: []webchat.Ability{}}
	for _, w := range o.Workers {
		if w.State == workers.Online {
			out.Machines++
		}
	}
	least := h.quality(chat)
	for _, kind := range protocol.Kinds() {
		a := webchat.Ability{Kind: string(kind)}
		for _, m := range o.Models {
			if m.Kind == kind && (m.Quality != protocol.Demo || least == protocol.Demo) {
				a.Models = append(a.Models, m.Model)
			}
		}
		if len(a.Models) > 0 {
			if kind == protocol.Translate {
				a.Into = directions(o.Pairs, least)
			}
			slices.Sort(a.Models)
			a.Models = slices.Compact(a.Models)
			a.Models = a.Models[:min(len(a.Models), maxGlanceModels)]
			out.Abilities = append(out.Abilities, a)
		}
	}
	return out
}

// directions lists which of the page's languages can be translated into which others of them, at least that well.
func directions(pairs []workers.PairView, least protocol.Quality) map[string][]string {
	fits := func(tag, own string) bool {
		if tag == "*" {
			return true
		}
		t, err := language.Parse(tag) // "deu" is "de", too
		if err != nil {
			return false
		}
		base, _ := t.Base()
		return base.String() == own
	}
	into := map[string][]string{}
	for _, from := range reader.Languages() {
		for _, to := range reader.Languages() {
			if from != to && slices.ContainsFunc(pairs, func(p workers.PairView) bool {
				return (p.Quality != protocol.Demo || least == protocol.Demo) && fits(p.From, from) && fits(p.To, to)
			}) {
				into[from] = append(into[from], to)
			}
		}
	}
	return into
}

// purse is what a visitor of the page from a household may spend now.
func (h *house) purse(ctx context.Context, user community.UserID, of community.CommunityID, household string) (webchat.Purse, error) {
	now := time.Now()
	m, _, err := h.people.MemberOf(ctx, user) // who only looks on owns nothing
	if err != nil {
		return webchat.Purse{}, err
	}
	payer := h.payer(bot.Request{User: user, Member: m.ID, Chat: community.Chat{Community: of}, Household: household})
	b, err := h.credits.Balance(ctx, m.ID, payer, now)
	if err != nil {
		return webchat.Purse{}, err
	}
	return webchat.Purse{
		Own: float64(b.Spendable) / float64(ledger.Credit), Free: float64(b.Free) / float64(ledger.Credit), Daily: float64(b.Daily) / float64(ledger.Credit),
		Reset: ledger.NextDay(now),
	}, nil
}
