package commands

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/nearest"
)

// person finds whom somebody means: by a mention that the platform made, by the name that the chat shows ("@Rita"), or by name and number
// ("@Rita#12", "#12") where several have that name. Only people who use the bot in the same community can be named; an operator can name anybody. Whoever
// never used the bot is fault.UnknownMember, and so is the bot itself.
func (h House) person(ctx context.Context, in *bot.Invocation, typed bot.Text) (community.Member, error) {
	s, mentioned := mention(typed)
	if !mentioned {
		return h.byName(ctx, in, typed)
	}
	m, known, err := h.mentioned(ctx, in, typed, s)
	if err == nil && (!known || m.Name == "") { // one without a name was only ever mentioned
		err = fault.New(fault.UnknownMember, "name", strings.TrimPrefix(cut(typed.Plain[s.Start:s.End], shownName), "@"), "nearest", "")
	}
	return m, err
}

// anybody is the same, but a mention may also be of somebody who never used the bot, and then begins as a member under the name that the platform shows.
func (h House) anybody(ctx context.Context, in *bot.Invocation, typed bot.Text) (community.Member, error) {
	s, mentioned := mention(typed)
	if !mentioned {
		return h.byName(ctx, in, typed)
	}
	m, known, err := h.mentioned(ctx, in, typed, s)
	if err != nil || known {
		return m, err
	}
	name := strings.TrimPrefix(typed.Plain[s.Start:s.End], "@")
	if name == community.Local(community.UserID(s.Value)) { // the platform knows no name, either
		name = ""
	}
	return h.People.Member(ctx, community.UserID(s.Value), cut(name, shownName), h.Now())
}

// mention finds the first mention that the platform has made of somebody.
func mention(typed bot.Text) (s bot.Span, ok bool) {
	i := slices.IndexFunc(typed.Spans, func(s bot.Span) bool { return s.Kind == bot.Mention && s.Value != "" })
	if i < 0 {
		return s, false
	}
	return typed.Spans[i], true
}

// mentioned is who was mentioned, if that one is known and not the bot itself.
func (h House) mentioned(ctx context.Context, in *bot.Invocation, typed bot.Text, s bot.Span) (m community.Member, known bool, err error) {
	if in.IsSelf(community.UserID(s.Value)) {
		return m, false, fault.New(fault.UnknownMember, "name", strings.TrimPrefix(typed.Plain[s.Start:s.End], "@"), "nearest", "", "self", true)
	}
	if m, known, err = h.Members.MemberOf(ctx, community.UserID(s.Value)); err != nil {
		return m, false, fmt.Errorf("who was mentioned: %w", err)
	}
	return m, known, nil
}

func (h House) byName(ctx context.Context, in *bot.Invocation, typed bot.Text) (community.Member, error) {
	scope := in.Request.Chat.Community
	if in.Member.Operator {
		scope = ""
	} else if scope == "" {
		return community.Member{}, fault.New(fault.NotHere)
	}
	known, err := h.Members.Known(ctx, scope)
	if err != nil {
		return community.Member{}, fmt.Errorf("known people: %w", err)
	}
	id, err := named(known, typed.Plain)
	if err != nil {
		return community.Member{}, err
	}
	return h.People.MemberByID(ctx, id)
}

// named finds the one who is called like that among those who can be named. A whole name counts as much as a name with a number behind it: where
// the two mean different people, nobody is guessed.
func named(known []community.Known, typed string) (community.MemberID, error) {
	literal := foldName(typed)
	typed = strings.TrimLeft(plainForm(typed), "@")
	whole := foldName(typed) // somebody may be called "Aoi#3"
	name, number, _ := strings.Cut(typed, "#")
	if i := strings.LastIndex(typed, "#"); i >= 0 { // a name may have one, too
		name, number = typed[:i], typed[i+1:]
	}
	want, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil {
		name, want = typed, 0
	}
	name = strings.TrimSpace(name)
	var fits []community.Known
	var names []string
	for _, k := range known {
		called := foldName(k.Name)
		same := called == foldName(name)
		names = append(names, called)
		if exact := called == whole || called == literal; !exact && (!same && (name != "" || want == 0) || want != 0 && int64(k.ID) != want) {
			continue
		}
		if !slices.ContainsFunc(fits, func(f community.Known) bool { return f.ID == k.ID }) {
			fits = append(fits, k)
		}
	}
	switch {
	case len(fits) == 1:
		return fits[0].ID, nil
	case len(fits) == 0:
		near := nearest.Of(foldName(name), names)
		if i := slices.Index(names, near); near != "" && i >= 0 {
			near = known[i].Name
		}
		return 0, fault.New(fault.UnknownMember, "name", cut(typed, 40), "nearest", near)
	}
	var which []string
	for i, k := range fits {
		if i == 10 {
			which = append(which, "…")
			break
		}
		prefix := ""
		if alike := foldName(k.Name) == foldName(fits[0].Name); !alike || foldName(fits[0].Name) != foldName(name) { // "Aoi#3" and number 3 of the name "Aoi"
			prefix = "@" + k.Name
		}
		which = append(which, fmt.Sprintf("%s#%d (%s, %s)", prefix, k.ID, k.Platform, k.Since.UTC().Format("2006-01-02")))
	}
	return 0, fault.New(fault.ManyMembers, "name", name, "members", strings.Join(which, "; "))
}

// foldName makes names alike that people hear as one.
func foldName(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(plainForm(s)), " "))
}

// called is how a member is named to others; somebody who was forgotten has no name.
func (h House) called(ctx context.Context, in *bot.Invocation, id community.MemberID) string {
	if m, err := h.People.MemberByID(ctx, id); err == nil && m.Name != "" {
		return m.Name
	}
	return in.Say("people.nobody").Plain
}
