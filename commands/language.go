package commands

import (
	"context"
	"fmt"

	"potluck/bot"
)

// automatic is the choice that forgets a chosen language: then what the platform tells counts.
const automatic = "auto"

func (h House) language() bot.Command {
	return bot.Command{
		Name:    "language",
		Private: true,
		Options: []bot.Option{{Name: "language", Kind: bot.Choice, Choices: append(Languages(), automatic)}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			chosen := in.Options["language"]
			say, key := in.Say, "language.set"
			switch chosen {
			case "":
				key, chosen = "language.shown", in.Language
				if in.Member.Language == "" {
					key = "language.shown_auto"
				}
			case automatic:
				if err := h.People.SetLanguage(ctx, in.Member.ID, ""); err != nil {
					return fmt.Errorf("forget language: %w", err)
				}
				key = "language.auto"
			default:
				if err := h.People.SetLanguage(ctx, in.Member.ID, chosen); err != nil {
					return fmt.Errorf("keep language: %w", err)
				}
				say = h.Texts.Say(chosen) // the confirmation speaks the new language already
			}
			text := say(key, "language", chosen)
			if in.Options["language"] == "" {
				text = joined("\n", text, h.otherLanguages(in))
			}
			return in.Reply.Final(ctx, bot.Reply{Text: text})
		},
	}
}

// otherLanguages lists what to type for another language, each in its own: somebody may be here who cannot read this one.
func (h House) otherLanguages(in *bot.Invocation) bot.Text {
	lines := []bot.Text{in.Say("language.others")}
	for _, code := range Languages() {
		if code != in.Language {
			lines = append(lines, h.Texts.Say(code)("language.other", "language", code))
		}
	}
	return joined("\n", lines...)
}
