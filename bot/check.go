package bot

import (
	"errors"
	"fmt"
	"regexp"
)

// Discord: 100 commands, 25 options, subcommands or choices, a command, a group and a subcommand at most; Telegram: the name's letters.
const (
	maxCommands = 100
	maxOptions  = 25
	maxDepth    = 3
	maxChoice   = 100 // characters of a choice
)

var nameForm = regexp.MustCompile(`^[a-z0-9_]{1,32}$`)

// CheckCommands tells everything that a platform would refuse, or people could not type, in a tree of commands.
func CheckCommands(commands []Command) error {
	var errs []error
	if len(commands) > maxCommands {
		errs = append(errs, fmt.Errorf("%d commands, at most %d are possible", len(commands), maxCommands))
	}
	checkLevel(commands, "", 1, &errs)
	return errors.Join(errs...)
}

func checkLevel(level []Command, above string, depth int, errs *[]error) {
	bad := func(path, format string, args ...any) {
		*errs = append(*errs, fmt.Errorf("command %s: %s", path, fmt.Sprintf(format, args...)))
	}
	if depth > 1 && len(level) > maxOptions {
		bad(above, "%d subcommands, at most %d are possible", len(level), maxOptions)
	}
	seen := make(map[string]bool)
	for _, c := range level {
		path := above + "/" + c.Name
		if !nameForm.MatchString(c.Name) {
			bad(path, "the name must be %s", nameForm)
		}
		if seen[c.Name] {
			bad(path, "the name is used twice")
		}
		seen[c.Name] = true
		if depth > maxDepth {
			bad(path, "deeper than %d levels", maxDepth)
			continue
		}
		if len(c.Subcommands) > 0 {
			if len(c.Options) > 0 || c.Run != nil {
				bad(path, "with subcommands it can have neither options nor Run")
			}
			checkLevel(c.Subcommands, path, depth+1, errs)
			continue
		}
		if c.Run == nil {
			bad(path, "no Run")
		}
		for _, err := range checkOptions(c.Options) {
			bad(path, "%v", err)
		}
	}
}

func checkOptions(options []Option) (errs []error) {
	if len(options) > maxOptions {
		errs = append(errs, fmt.Errorf("%d options, at most %d are possible", len(options), maxOptions))
	}
	seen := make(map[string]bool)
	optional, rests := false, 0
	for _, o := range options {
		bad := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("option %s: %s", o.Name, fmt.Sprintf(format, args...)))
		}
		if !nameForm.MatchString(o.Name) {
			bad("the name must be %s", nameForm)
		}
		if seen[o.Name] {
			bad("the name is used twice")
		}
		seen[o.Name] = true
		if o.Required && optional && !o.Rest {
			bad("required options stand before the others")
		}
		optional = optional || !o.Required && !o.Rest
		switch o.Kind {
		case String, Bool:
		case Integer:
			if o.Min > o.Max {
				bad("from %d to %d", o.Min, o.Max)
			}
		case Choice:
			if len(o.Choices) == 0 || len(o.Choices) > maxOptions {
				bad("%d choices, 1 to %d are possible", len(o.Choices), maxOptions)
			}
			for _, c := range o.Choices {
				if c == "" || len([]rune(c)) > maxChoice {
					bad("a choice has 1 to %d characters", maxChoice)
				}
			}
		default:
			bad("kind %q", o.Kind)
		}
		if o.Kind != Choice && len(o.Choices) > 0 {
			bad("choices, but kind %s", o.Kind)
		}
		if o.Suggest != nil && (o.Kind == Choice || o.Kind == Bool) {
			bad("suggestions are for strings and integers")
		}
		if o.Rest {
			if rests++; rests > 1 || o.Kind != String {
				bad("one option at most is the rest, and it is a string")
			}
		}
	}
	return errs
}
