package commands

import (
	"slices"

	"potluck/bot"
	"potluck/community"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

// suggestModel completes the names of models of a kind that somebody can run now.
func (h House) suggestModel(kind protocol.Kind) func(string) []string {
	return func(typed string) []string {
		var names []string
		for _, m := range h.Pool.Overview().Models {
			if m.Kind == kind {
				names = append(names, m.Model)
			}
		}
		return matching(typed, names)
	}
}

// common stands in for the languages of a model that reads everything.
var common = []string{"en", "es", "de", "ja", "fr", "it", "pt", "zh", "ko", "ru", "uk", "ar", "hi", "pl", "nl", "sv", "tr", "vi", "id", "ca", "cs", "el"}

// suggestTarget and suggestSource complete languages that can be translated now, by their English names.
func (h House) suggestTarget(typed string) []string {
	return h.suggestLanguage(typed, func(p workers.PairView) string { return p.To })
}

func (h House) suggestSource(typed string) []string {
	return h.suggestLanguage(typed, func(p workers.PairView) string { return p.From })
}

func (h House) suggestLanguage(typed string, side func(workers.PairView) string) []string {
	var tags []string
	for _, p := range h.Pool.Overview().Pairs {
		if tag := side(p); tag == "*" {
			tags = append(tags, common...)
		} else {
			tags = append(tags, tag)
		}
	}
	if tag, ok := translate.Parse(plainForm(typed)); ok && slices.Contains(tags, tag) {
		return []string{translate.Name(tag, "en")} // "es" and "español" are Spanish, which neither is part of
	}
	var names []string
	for _, tag := range tags {
		if name := translate.Name(tag, "en"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return matching(typed, names)
}

// online says how many machines are there and what they can do in this chat.
func (h House) online(say bot.Say, chat community.Chat) bot.Text {
	o := h.Pool.Overview()
	n := 0
	for _, w := range o.Workers {
		if w.State == workers.Online {
			n++
		}
	}
	least := h.Quality(chat)
	var kinds []string
	for _, kind := range protocol.Kinds() {
		if slices.ContainsFunc(o.Models, func(m workers.ModelView) bool {
			return m.Kind == kind && (m.Quality != protocol.Demo || least == protocol.Demo)
		}) {
			kinds = append(kinds, say("help.kind", "kind", kind).Plain)
		}
	}
	if len(kinds) == 0 {
		n = 0
	}
	return say("help.online", "n", n, "kinds", kinds)
}
