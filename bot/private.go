package bot

// IsPrivate tells whether a typed text is a command whose answer only its author may see, also when the rest of it is mistyped. A
// platform that shows what people type keeps such a message to its author.
func IsPrivate(commands []Command, text string) bool {
	word, _, ok := commandWord(text)
	if !ok {
		return false
	}
	at := index(commands, fold(word))
	if at < 0 {
		return false
	}
	return anyPrivate(commands[at])
}

func anyPrivate(c Command) bool {
	if c.Private {
		return true
	}
	for _, sub := range c.Subcommands {
		if anyPrivate(sub) {
			return true
		}
	}
	return false
}

// whispers makes an answer that is not up yet one for the asker alone, and tells whether that is possible still.
func (r *Responder) whispers() bool {
	if r.whisper != nil {
		return r.whisper()
	}
	w, ok := r.platform.(Whisperer)
	return ok && w.Whispers()
}
