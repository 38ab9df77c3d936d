package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestOperationsPageNamesEveryMetricAndNoOther(t *testing.T) {
	text := func(path string) string {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	source, page := text("metrics.go"), text("docs/operations.md")
	names := regexp.MustCompile(`potluck_[a-z_]+[a-z]`)
	for _, name := range names.FindAllString(source, -1) {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/operations.md does not name %s", name)
		}
	}
	for _, name := range names.FindAllString(page, -1) {
		if !strings.Contains(source, `"`+name+`"`) {
			t.Errorf("docs/operations.md names %s, which is not exported", name)
		}
	}
}
