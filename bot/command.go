package bot

import (
	"context"
	"encoding/json"
	"fmt"

	"potluck/community"
)

// Command is data: what people can type, and one Run. It has Options or Subcommands, never both (Discord cannot run a base command that has
// subcommands). Names are the same on every platform and in every language: lower case, a-z and digits, at most 32. Descriptions and
// option texts come from the catalogue by key: "command.imagine", "command.imagine.prompt".
type Command struct {
	Name        string
	Options     []Option
	Subcommands []Command
	Needs       community.Role
	// Private answers are visible to the asker only.
	Private bool
	// Costly commands count against the limits of running and queued requests of a member.
	Costly bool
	// Always commands are also for members whom the operator has blocked.
	Always bool
	// OnReply commands act upon the message that they reply to. Where a command is no message, and so replies to none, they are not offered.
	OnReply bool
	// OfRoles commands are about the roles of a platform. They are not offered where there are none.
	OfRoles bool
	Run     func(ctx context.Context, in *Invocation) error
}

// OptionKind is the type of an option's value after parsing.
type OptionKind string

const (
	String  OptionKind = "string"
	Integer OptionKind = "integer"
	Bool    OptionKind = "bool"
	Choice  OptionKind = "choice"
)

// Option is one argument. In typed commands it is written name:value (or --name value); the one option that is Rest takes the words
// that belong to no other option, so that "/ask why is the sky blue" and "/translate to:es Good morning" work.
type Option struct {
	Name     string
	Kind     OptionKind
	Required bool
	Rest     bool     // at most one; it may stand anywhere in the list, an adapter sorts required options first where it must
	Min, Max int      // Integer: range (both 0 = none); String: Max is the longest length in characters (0 = 2000)
	Choices  []string // Choice: allowed values
	Person   bool     // it names somebody: in reply to a message, without it, that is whoever wrote the message
	// Check tells, as a fault, what is wrong with a value of a String, from memory; nil: any is right.
	Check func(v string) error
	// Suggest completes what is typed so far, from memory, at most 25 answers.
	Suggest func(typed string) []string
}

// Parsed is a command as it was typed or clicked.
type Parsed struct {
	Path    []string          // ["imagine"], ["worker", "link"]
	Options map[string]string // canonical text of each value: integers in decimal, bools "true"/"false"
	// Rest is the value of the Rest option (of a Listener: the message) with its spans; its Plain stands in Options too.
	Rest Text
	// RepliesTo is who wrote the message that an OnReply command replies to; empty where the platform does not tell.
	RepliesTo community.UserID `json:",omitempty"`
}

// Parsed returns what a request of a command (or Listener) was asked with; empty for that of an Action.
func (r Request) Parsed() (Parsed, error) {
	var p Parsed
	if err := json.Unmarshal(r.Args, &p); err != nil {
		return Parsed{}, fmt.Errorf("arguments of request %s: %w", r.ID, err)
	}
	return p, nil
}

// Invocation is one run of a command (or Listener, or Action).
type Invocation struct {
	Request Request
	Options map[string]string
	Rest    Text   // see Parsed
	Answers string // the earlier request whose answer the asking message replies to; empty: none
	Member  community.Member
	// Say renders a text of the catalogue in the reader's language; Language is that language (BCP 47).
	Say      Say
	Language string
	Reply    *Responder
}

// Say renders the text of a key in one language; args are pairs of name and value, as in fault.New. A value is shown as text, never parsed as Markdown.
type Say func(key string, args ...any) Text

// Listener sees messages that are no command; the first whose Match is true runs like a command, with the message as Invocation.Rest.
// Match is called for every message before anything is saved: it must be quick. A Run that returns nil without having shown anything
// leaves the message unanswered.
type Listener struct {
	Name   string
	Costly bool // see Command
	Match  func(e Event) bool
	Run    func(ctx context.Context, in *Invocation) error
}

// ActionHandler runs when a button with its Name is pressed. Its run is a new Request with its own reply, like a command's; one that returns
// nil without having shown anything answers nothing. Commands, Listeners and ActionHandlers share one space of names.
type ActionHandler struct {
	Name    string
	Private bool // see Command
	Costly  bool // see Command
	Always  bool // see Command
	// Moderators (Admin and up) may press it although they did not ask.
	Moderators bool
	// Needs is the lowest role that may press it, whosever it is.
	Needs community.Role
	// Anew handlers do once more what was asked: their reply answers the first question, as the first answer did, not the message with the button.
	Anew bool
	// InPlace handlers change the message that the button belongs to: what they show takes its place, with all its parts. An error is
	// answered beside it.
	InPlace bool
	// Aside names the handler that runs instead, with the same Action, where all see the message but the answer can be one for who pressed alone
	// (Event.Whisper). Its Request.Source is the message with the button.
	Aside string
	// Command is what to type instead, once the button is too old: "imagine".
	Command string
	Run     func(ctx context.Context, in *Invocation, a Action) error
}

// CommandAt walks down a tree of commands; nil if there is no such path. private is true when the command, or one above it, answers privately.
func CommandAt(commands []Command, path []string) (c *Command, private bool) {
	for _, word := range path {
		level := commands
		if c != nil {
			level = c.Subcommands
		}
		c = nil
		for i := range level {
			if level[i].Name == word {
				c = &level[i]
			}
		}
		if c == nil {
			return nil, private
		}
		private = private || c.Private
	}
	return c, private
}

// RestOption is the option of a command that takes everything else; nil if there is none, or no command.
func RestOption(c *Command) *Option {
	if c == nil {
		return nil
	}
	for i := range c.Options {
		if c.Options[i].Rest {
			return &c.Options[i]
		}
	}
	return nil
}

// RestOf is the RestOption of the command at path.
func RestOf(commands []Command, path ...string) *Option {
	c, _ := CommandAt(commands, path)
	return RestOption(c)
}
