package commands_test

import (
	"context"
	"strings"
	"testing"

	"potluck/bot"
	"potluck/commands"
	"potluck/community"
)

// What admins set up holds, for the members of their place, and can be taken back.
func TestAdminsSetTheirPlaceUp(t *testing.T) {
	const goesOn = "Something went wrong" // in this test nothing draws
	lacks := []bot.Lack{{Rights: []string{"Message Content Intent"}}, {Chat: "general", Rights: []string{"Attach Files", "Embed Links"}}}
	y := openYard(t, func(h *commands.House) {
		h.Setups = h.Members.(commands.Setups)
		h.Inspect = func(context.Context, community.CommunityID) ([]bot.Lack, bool, error) { return lacks, true, nil }
	})
	y.as("ken", community.Everyone, "/language") // somebody whom the bot knows
	if err := y.people.MakeOperator(y.ctx, y.member("olga").ID); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		who  string
		role community.Role
		text string
		want string
	}{
		{"rita", community.Everyone, "/setup show", "Only an admin"},
		{"rita", community.Admin, "/setup show", "/imagine is on."},
		{"rita", community.Admin, "/setup check", "• Everywhere: Message Content Intent\n• #general: Attach Files"},
		{"rita", community.Admin, "/setup features imagine off", "/imagine is off in this chat now."},
		{"ken", community.Everyone, "/imagine a cat", "switched /imagine off in this chat"},
		{"olga", community.Everyone, "/imagine a cat", goesOn},
		{"rita", community.Admin, "/setup features imagine on", "/imagine is on in this chat now."},
		{"ken", community.Everyone, "/imagine a cat", goesOn},
		{"rita", community.Admin, "/setup features feature:imagine on:no everywhere:yes", "off in this whole place now."},
		{"rita", community.Admin, "/setup show", "/imagine is off in this whole place."},
		{"ken", community.Everyone, "/imagine a cat", "switched /imagine off here."},
		{"rita", community.Admin, "/setup features feature:imagine on:yes everywhere:yes", "/imagine is on"},
		{"rita", community.Admin, "/setup limits 2", "may ask 2 times"},
		{"ken", community.Everyone, "/imagine a dog", goesOn},
		{"ken", community.Everyone, "/imagine a hen", "asked 2 times here today"},
		{"rita", community.Admin, "/imagine a hen", goesOn},
		{"rita", community.Admin, "/setup limits 0", "no daily limit"},
		{"ken", community.Everyone, "/imagine a hen", goesOn},
		{"rita", community.Admin, "/setup block @Olga", "cannot be blocked"},
		{"rita", community.Admin, "/setup block @Rita", "cannot be blocked"},
		{"rita", community.Admin, "/setup block @Ken", "can no longer use me here"},
		{"ken", community.Everyone, "/imagine a fox", "does not want you to use me here"},
		{"ken", community.Everyone, "/help", "/imagine"},
		{"rita", community.Admin, "/setup delegate helpers", "Please name a role"},
		{"rita", community.Admin, "/setup delegate none", "Only admins may set me up"},
		{"rita", community.Admin, "/setup unblock @Ken", "may use me here again"},
		{"ken", community.Everyone, "/imagine a fox", goesOn},
	} {
		if got := y.as(c.who, c.role, c.text).Text.Plain; !strings.Contains(got, c.want) {
			t.Errorf("%s (%s) %s: %q does not say %q", c.who, c.role, c.text, got, c.want)
		}
	}
	lacks = nil
	if got := y.as("rita", community.Admin, "/setup check").Text.Plain; !strings.Contains(got, "every right that I need") {
		t.Errorf("%q", got)
	}
}
