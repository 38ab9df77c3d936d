package agent

import "potluck/promptgate"

// refusesPicture is the second of two looks: the server asks the same first. It has no switch, because an owner answers for what the machine draws,
// also when a server is broken or hostile.
func refusesPicture(prompt, negative string) bool { return promptgate.Refuses(prompt, negative) }

// holdsWord tells whether a text holds one of the owner's own blocked words.
func holdsWord(text string, words []string) bool { return promptgate.Holds(text, words) }
