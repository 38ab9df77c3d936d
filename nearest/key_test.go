package nearest_test

import (
	"reflect"
	"testing"

	"potluck/nearest"
)

func TestKey(t *testing.T) {
	type file struct {
		Folder string `yaml:"folder"`
		Limits struct {
			Running int    `yaml:"running"`
			Token   string `yaml:"token,omitempty"`
		} `yaml:"limits"`
		Servers []struct {
			URL   string `yaml:"base_url"`
			Token string `yaml:"token"`
		} `yaml:"servers"`
		Words struct{ Inside string } `yaml:"words"`
	}
	for key, want := range map[string]string{
		"running": "it belongs under limits:", "base_url": "it belongs under servers:", "token": "it belongs under limits: or servers:",
		"folder": "it belongs at the left edge, under no other key", "limit": `did you mean "limits"?`, "runing": `did you mean "running"?`, "flux": "", "Inside": "",
	} {
		if got := nearest.Key(key, reflect.TypeFor[file]()); got != want {
			t.Errorf("Key(%q) = %q, want %q", key, got, want)
		}
	}
}
