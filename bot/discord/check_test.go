package discord_test

import (
	"fmt"
	"io"
	"math/bits"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"potluck/bot/discord"
	"potluck/bot/discord/fakediscord"
	"potluck/faketime"
)

// Each missing intent or right is named, with what to do.
func TestCheckNamesWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*fakediscord.Server, *discord.Config)
		want   []string
		not    string
	}{
		"all is well": {func(*fakediscord.Server, *discord.Config) {}, []string{"ok Discord knows", "ok the message content intent", "ok Home: the bot may"}, "todo"},
		"wrong token": {func(_ *fakediscord.Server, c *discord.Config) { c.Token = "nonsense" }, []string{"wrong the bot's token is refused", "Reset Token"}, "nonsense"},
		"no intent": {func(s *fakediscord.Server, _ *discord.Config) { s.Intents = ^fakediscord.IntentContent },
			[]string{"todo the message content intent is not", "Message Content Intent"}, "wrong"},
		"no server": {func(s *fakediscord.Server, _ *discord.Config) { s.RemoveGuild(home) }, []string{"todo the bot is in no server yet", "client_id=100", "permissions=274878024704"}, "wrong"},
		"one right in one channel": {func(s *fakediscord.Server, _ *discord.Config) {
			s.ChangeChannel(adult, func(c *fakediscord.Channel) {
				c.Overwrites = []fakediscord.Overwrite{{ID: home, Deny: fakediscord.AttachFiles}}
			})
		}, []string{"todo Home, #adult: allow the bot's role Attach Files (pictures)"}, "#general"},
		"not reachable": {func(_ *fakediscord.Server, c *discord.Config) { c.APIBase = "http://discord.test/api/v9" }, []string{"todo Discord cannot be asked"}, "wrong"},
	} {
		t.Run(name, func(t *testing.T) {
			faketime.Test(t, func(t *testing.T) {
				s := world(t)
				s.AllowBadRequests = true
				config := config(s, io.Discard)
				c.change(s, &config)
				var b strings.Builder
				for _, f := range discord.Check(t.Context(), config) {
					fmt.Fprintln(&b, f.State, f.Text)
				}
				for _, part := range c.want {
					if !strings.Contains(b.String(), part) {
						t.Errorf("%q is not in\n%s", part, b.String())
					}
				}
				if strings.Contains(b.String(), c.not) {
					t.Errorf("%q is in\n%s", c.not, b.String())
				}
				s.Close()
			})
		})
	}
}

// The guide shows the invitation with exactly these rights, and says what each is for, in ten steps.
func TestGuideNamesTheRightsOfTheInvitation(t *testing.T) {
	b, err := os.ReadFile("../../docs/discord.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(b)
	shown := regexp.MustCompile("`(https://discord.com/oauth2/authorize[^`]*)`").FindStringSubmatch(guide)
	if shown == nil {
		t.Fatal("it shows no invitation")
	}
	query := func(address string) string {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return u.Query().Encode() // sorted
	}
	if got, want := query(shown[1]), query(discord.Invitation("ID")); got != want {
		t.Errorf("it shows %s, want %s", got, want)
	}
	named := 0
	for _, row := range regexp.MustCompile(`(?m)^   \| ([A-Z][A-Za-z, ]+) \|`).FindAllStringSubmatch(guide, -1) {
		named += strings.Count(row[1], ",") + 1
	}
	if want := bits.OnesCount64(uint64(discord.Permissions())); named != want {
		t.Errorf("it names %d rights, the invitation asks for %d", named, want)
	}
	if steps := len(regexp.MustCompile(`(?m)^\d+\. `).FindAllString(guide, -1)); steps != 10 {
		t.Errorf("it has %d steps", steps)
	}
}
