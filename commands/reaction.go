package commands

import (
	"context"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/translate"
)

const (
	reactionTranslate = "reaction_translate"
	actionRetryFlag   = "reaction_retry"
	// featureReactions is how admins switch flags off, see features.
	featureReactions = "reactions"
	// reactionPause is between two flags of one member: whoever goes down a channel with them is not to fill it.
	reactionPause = 5 * time.Second
)

// Reactions returns what people can ask for by putting an emoji on a message.
func Reactions(h House) []bot.ReactionHandler {
	return []bot.ReactionHandler{{Name: reactionTranslate, Every: reactionPause, Wish: flagWish, Allow: h.flagAllowed, Run: h.translateFlagged}}
}

// flagWish is the language of a flag. In private chats nothing is translated for somebody who only shows a flag: its text would leave the circle
// of those who can read there.
func flagWish(e bot.Event) string {
	if e.Chat.Private || e.Chat.Community == "" {
		return ""
	}
	return flagLanguage(e.Text.Plain)
}

func (h House) flagAllowed(ctx context.Context, e bot.Event, m community.Member) (bool, error) {
	for _, feature := range []string{featureReactions, "translate"} {
		switch err := h.objection(ctx, e.Chat, m, e.Role, feature); {
		case err == nil:
		case fault.Of(err).Code == fault.Internal:
			return false, err
		default:
			return false, nil
		}
	}
	return true, nil
}

// translateFlagged answers a flag on a message below that message. It says nothing where there is nothing to translate: the flag was meant for
// people then.
func (h House) translateFlagged(ctx context.Context, in *bot.Invocation) error {
	err := h.translateSource(ctx, in, in.Rest.Plain)
	if fault.Has(err, fault.Gone) || fault.Has(err, fault.Forbidden) || fault.Has(err, fault.SameLanguage) || fault.Has(err, fault.LanguageUnsure) {
		return nil
	}
	return err
}

// retryFlag is pressed where a flag came to nothing: the same flag again would be the same wish, which is done once.
func (h House) retryFlag(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	return h.translateSource(ctx, in, string(a.Data))
}

// translateSource translates the message that the request is about; fault.SameLanguage if nothing in it can be.
func (h House) translateSource(ctx context.Context, in *bot.Invocation, flag string) error {
	source, err := in.Source(ctx)
	if err != nil {
		return err
	}
	to := flagLanguage(flag)
	if source.Text.Plain == "" {
		return fault.New(fault.SameLanguage, "language", translate.Name(to, in.Language))
	}
	notice, seen, err := h.firstUse(ctx, in)
	if err != nil {
		return err
	}
	r := translate.Request{Origin: h.origin(in), Text: source.Text.Plain, Fixed: fixed(source.Text), To: to, Language: in.Language}
	retry := bot.NewButton{Action: actionRetryFlag, Label: in.Say("button.retry"), Data: []byte(flag), Everyone: true}
	t, err := h.translated(ctx, in, r, true, retry)
	if err != nil {
		return err
	}
	if t.Result.Job == 0 {
		return fault.New(fault.SameLanguage, "language", translate.Name(to, in.Language))
	}
	seen()
	text := withKept(t, source.Text)
	if slices.ContainsFunc(source.Text.Spans, func(s bot.Span) bool { return s.Kind == bot.Spoiler }) {
		text = text.In(bot.Spoiler, "") // nobody knows which words hide it now
	}
	who := small(in.Say("reaction.asked", "flag", flag, "name", in.Request.Name, "link", bot.Plain(source.Link).In(bot.Link, source.Link)))
	return in.Reply.Final(ctx, bot.Reply{Text: joined("\n\n", text, joined("\n", who, h.translationNotes(in, t), notice))})
}

// flagLanguage is the language that most people think of at the flag of a country; "" for every other emoji.
func flagLanguage(emoji string) string {
	const regionalA, blackFlag, tagFirst, tagLast = '🇦', '🏴', 0xE0061, 0xE007A
	var region, part strings.Builder
	for _, c := range emoji {
		switch {
		case c >= regionalA && c <= '🇿':
			region.WriteRune('A' + c - regionalA)
		case c >= tagFirst && c <= tagLast:
			part.WriteRune('a' + c - tagFirst)
		case c == blackFlag, c == 0xE007F, c == 0xFE0F: // the flag of a part of a country, its end, and "as a picture"
		default:
			return ""
		}
	}
	if part.Len() > 0 {
		return map[string]string{"gbeng": "en", "gbwls": "cy", "escat": "ca", "esct": "ca", "espv": "eu", "esga": "gl"}[part.String()]
	}
	if name, ok := flags[region.String()]; ok {
		return name
	}
	r, err := language.ParseRegion(region.String())
	if err != nil || region.Len() != 2 || !r.IsCountry() {
		return ""
	}
	tag, _ := translate.Parse("und-" + r.String())
	return tag
}

// flags are countries where another language is meant than the one that the Unicode tables give first.
var flags = map[string]string{"CD": "fr", "GH": "en", "KZ": "kk", "ML": "fr", "NA": "en", "NE": "fr", "PY": "es", "TD": "fr", "UN": "", "ZW": "en"}
