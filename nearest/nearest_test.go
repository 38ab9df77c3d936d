package nearest_test

import (
	"strings"
	"testing"

	"potluck/nearest"
)

func TestOf(t *testing.T) {
	known := []string{"help", "ask", "imagine", "translate", "worker", "credits", "language", "privacy"}
	for typed, want := range map[string]string{
		"imagin": "imagine", "imgaine": "imagine", "tranlsate": "translate", "credit": "credits", "aks": "ask",
		"help": "help", "zzzzzz": "", "": "", "x": "", strings.Repeat("imagine", 1000): "",
	} {
		if got := nearest.Of(typed, known); got != want {
			t.Errorf("Of(%.20q) = %q, want %q", typed, got, want)
		}
	}
	if got := nearest.Of("ask", nil); got != "" {
		t.Errorf("Of without known words = %q", got)
	}
}
