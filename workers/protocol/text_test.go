package protocol

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCutText(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"abc", 0, ""}, {"abc", -1, ""}, {"", -1, ""},
		{"éé", 4, "éé"}, {"éé", 3, "é"}, {"éé", 1, ""}, {"a日", 3, "a"}, {"👍", 3, ""},
	} {
		if got := CutText(c.s, c.n); got != c.want {
			t.Errorf("CutText(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

func FuzzCutText(f *testing.F) {
	f.Add("日本語", 4)
	f.Add("\xff\x80\x80", 2)
	f.Fuzz(func(t *testing.T, s string, n int) {
		got := CutText(s, n)
		if len(got) > max(n, 0) || !strings.HasPrefix(s, got) || utf8.ValidString(s) && !utf8.ValidString(got) {
			t.Errorf("CutText(%q, %d) = %q", s, n, got)
		}
	})
}
