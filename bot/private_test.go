package bot

import "testing"

func TestIsPrivate(t *testing.T) {
	commands := []Command{{Name: "ask"}, {Name: "credits", Private: true}, {Name: "worker", Subcommands: []Command{{Name: "list"}, {Name: "link", Private: true}}}}
	for text, want := range map[string]bool{
		"/credits": true, "/CREDITS why:1": true, "／credits": true, " /credits nonsense:1": true, "/worker link": true, "/worker oops": true,
		"/ask /credits": false, "credits": false, "/credit": false, "": false, "/": false, "//credits": false,
	} {
		if got := IsPrivate(commands, text); got != want {
			t.Errorf("IsPrivate(%q) = %v", text, got)
		}
	}
}
