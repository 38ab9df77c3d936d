package bot

import (
	"testing"

	"potluck/fault"
)

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

// A lone slash was taken for talk, and whoever typed it to see the commands heard nothing.
func TestWhatIsMeantAsACommand(t *testing.T) {
	for text, want := range map[string]bool{
		"/": true, "／": true, " / \n": true, "/help": true, "/nonsense": true,
		"": false, "//": false, "/ or what": false, "/etc/passwd": false, "and/or": false,
	} {
		if got := isCommand(text); got != want {
			t.Errorf("isCommand(%q) = %v", text, got)
		}
	}
	if _, err := ParseCommand(nil, Plain("/")); !fault.Has(err, fault.UnknownCommand) {
		t.Errorf("a lone slash: %v", err)
	}
}
