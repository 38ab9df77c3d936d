package commands

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/nearest"
)

func (h House) help(others []bot.Command) bot.Command {
	var all []bot.Command
	help := bot.Command{
		Name:    "help",
		Private: true,
		Options: []bot.Option{{
			Name: "command", Kind: bot.String, Rest: true, Max: 60,
			Suggest: func(typed string) []string { return matching(strings.TrimLeft(typed, "/"), paths(all)) },
		}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			text, err := h.overview(ctx, in, all)
			if err != nil {
				return err
			}
			if asked := strings.TrimLeft(plainForm(in.Options["command"]), "/"); asked != "" {
				path := strings.Fields(strings.ToLower(asked))
				c, ok := find(all, path)
				if !ok || c.Needs > in.Request.Role {
					return fault.New(fault.UnknownCommand, "name", asked, "nearest", near(path[0], allowed(all, in.Request.Role)))
				}
				text = describe(in, all, path, c)
			}
			return in.Reply.Final(ctx, bot.Reply{Text: text})
		},
	}
	all = append([]bot.Command{help}, others...)
	return help
}

// paths lists what can be typed after the slash, subcommands included.
func paths(all []bot.Command) []string {
	var out []string
	for _, c := range all {
		out = append(out, c.Name)
		for _, sub := range c.Subcommands {
			out = append(out, c.Name+" "+sub.Name)
		}
	}
	return out
}

func find(all []bot.Command, path []string) (bot.Command, bool) {
	i := slices.IndexFunc(all, func(c bot.Command) bool { return c.Name == path[0] })
	switch {
	case i < 0 || len(path) > 1 && len(all[i].Subcommands) == 0:
		return bot.Command{}, false
	case len(path) == 1:
		return all[i], true
	}
	sub, ok := find(all[i].Subcommands, path[1:])
	sub.Needs = max(sub.Needs, all[i].Needs)
	return sub, ok
}

// allowed are the commands that a role may use, in part at least.
func allowed(all []bot.Command, role community.Role) []bot.Command {
	return slices.DeleteFunc(slices.Clone(all), func(c bot.Command) bool { return c.Needs > role })
}

// near returns the command that was probably meant, or nothing.
func near(typed string, all []bot.Command) string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	if near := nearest.Of(typed, names); near != "" {
		return near
	}
	// Two letters are enough of a longer word, and so is its beginning with anything behind it: "imag", "translation".
	for n := len(typed); n > 1; n-- {
		for _, name := range names {
			if strings.HasPrefix(name, typed[:n]) {
				return name
			}
		}
	}
	return ""
}

// helpGroups are the commands that stand together in one line; every other one has a line of its own.
var helpGroups = []struct {
	key      string
	commands []string
}{
	{"help.group_credit", []string{"credits", "give", "quota", "leaderboard"}},
	{"help.group_pool", []string{"worker", "pool", "status"}},
	{"help.group_you", []string{"language", "link", "unlink", "privacy", "mydata", "forgetme"}},
}

func grouped(name string) bool {
	for _, g := range helpGroups {
		if slices.Contains(g.commands, name) {
			return true
		}
	}
	return false
}

// overview lists what this person may use here, and what the pool can do now.
func (h House) overview(ctx context.Context, in *bot.Invocation, all []bot.Command) (bot.Text, error) {
	var own, groups []bot.Text
	for _, c := range all {
		if c.Needs == community.Everyone && !grouped(c.Name) && !c.OnReply && c.Name != "help" {
			own = append(own, in.Say("help.line", "name", c.Name, "what", in.Say("command."+c.Name)))
		}
	}
	for _, g := range helpGroups {
		var names []bot.Text
		for _, name := range g.commands {
			if slices.ContainsFunc(all, func(c bot.Command) bool { return c.Name == name }) {
				names = append(names, bot.Plain("/"+name).In(bot.Code, ""))
			}
		}
		groups = append(groups, joined(" ", append([]bot.Text{in.Say(g.key)}, names...)...))
	}
	mine, err := h.Pool.Workers(ctx, in.Member.ID)
	if err != nil {
		return bot.Text{}, fmt.Errorf("look up workers: %w", err)
	}
	parts := []bot.Text{in.Say("help.intro"), joined("\n", own...), joined("\n", groups...), in.Say("help.owner", "n", len(mine))}
	for _, role := range []community.Role{community.Admin, community.Operator} {
		if lines := roleLines(in, all, role); lines.Plain != "" && in.Request.Role >= role {
			parts = append(parts, joined("\n", in.Say("help.role", "role", role), lines))
		}
	}
	return joined("\n\n", append(parts, h.online(in.Say, in.Request.Chat), in.Say("help.more"))...), nil
}

// roleLines lists what only people of a role (and above) may use.
func roleLines(in *bot.Invocation, all []bot.Command, role community.Role) bot.Text {
	var out []bot.Text
	for _, c := range all {
		if c.Needs == role && len(c.Subcommands) == 0 {
			out = append(out, in.Say("help.line", "name", c.Name, "what", in.Say("command."+c.Name)))
		}
		for _, sub := range c.Subcommands {
			if max(c.Needs, sub.Needs) == role && role > community.Everyone {
				out = append(out, in.Say("help.line", "name", c.Name+" "+sub.Name, "what", in.Say("command."+c.Name+"."+sub.Name)))
			}
		}
	}
	return joined("\n", out...)
}

// describe tells how one command is typed: usage, what each option means, and examples.
func describe(in *bot.Invocation, all []bot.Command, words []string, c bot.Command) bot.Text {
	say := in.Say
	path := strings.Join(words, " ")
	key := "command." + strings.ReplaceAll(path, " ", ".")
	parts := []bot.Text{joined("\n", bot.Plain("/"+path).In(bot.Bold, ""), say(key))}
	if len(c.Subcommands) > 0 {
		var subs []bot.Text
		for _, sub := range c.Subcommands {
			if sub.Needs > in.Request.Role {
				continue
			}
			subs = append(subs, say("help.line", "name", path+" "+sub.Name, "what", say(key+"."+sub.Name)))
		}
		return joined("\n\n", append(parts, joined("\n", subs...))...)
	}
	parts = append(parts, say("help.usage", "usage", bot.Usage(all, words...)))
	var options []bot.Text
	for _, o := range c.Options {
		line := say("help.option", "name", o.Name, "what", say(key+"."+o.Name))
		if len(o.Choices) > 0 {
			line = joined(" ", line, say("help.choices", "choices", o.Choices))
		}
		options = append(options, line)
	}
	return joined("\n\n", append(parts, joined("\n", options...), say("help.examples", "examples", say(strings.Replace(key, "command.", "example.", 1))))...)
}
