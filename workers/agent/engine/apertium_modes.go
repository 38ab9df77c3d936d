package engine

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// readMode reads the commands of a mode file, with the programs where they are on this machine. Nothing of it goes through a shell.
func (a *Apertium) readMode(mode string) ([][]string, error) {
	b, err := os.ReadFile(filepath.Join(a.cfg.ModesDir, mode+".mode"))
	if err != nil {
		return nil, errors.New("its mode file cannot be read")
	}
	commands, err := parseMode(strings.TrimSpace(string(b)))
	if err != nil {
		return nil, err
	}
	for i, c := range commands {
		program, err := a.program(c[0])
		if err != nil {
			return nil, fmt.Errorf("the program %s is not installed", filepath.Base(c[0]))
		}
		// -z: flush at a NUL, so that one pipe serves many sentences.
		commands[i] = append([]string{program, "-z"}, c[1:]...)
	}
	return commands, nil
}

// parseMode reads programs joined by "|", with arguments in single or double quotes.
func parseMode(text string) (commands [][]string, err error) {
	var words []string
	var word strings.Builder
	var quote rune
	open := false // a word has begun, perhaps an empty quoted one
	endWord := func() {
		switch w := word.String(); {
		case !open:
		case w == "$1":
			words = append(words, "-n") // generate without marks on unknown words
		case w == "$2":
		default:
			words = append(words, w)
		}
		word.Reset()
		open = false
	}
	endCommand := func() {
		endWord()
		if len(words) > 0 {
			commands = append(commands, words)
		}
		words = nil
	}
	for _, r := range text {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == '|':
			endCommand()
		case r == ' ' || r == '\t' || r == '\n':
			endWord()
		case strings.ContainsRune("`;&<>()", r):
			return nil, errors.New("its mode file needs a shell")
		default:
			word.WriteRune(r)
			open = true
		}
	}
	if quote != 0 {
		return nil, errors.New("its mode file has an open quote")
	}
	endCommand()
	if len(commands) == 0 {
		return nil, errors.New("its mode file is empty")
	}
	return commands, nil
}

func (a *Apertium) program(name string) (string, error) {
	if filepath.IsAbs(name) {
		return exec.LookPath(name)
	}
	for _, dir := range filepath.SplitList(a.cfg.Path) {
		if p, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return p, nil
		}
	}
	return "", exec.ErrNotFound
}
