package webchat

import "testing"

// A visitor called "#5", "Aoi#3" or "pool" was meant by gifts for somebody else.
func TestNamesThatCommandsReadAsSomethingElse(t *testing.T) {
	for _, name := range []string{"#5", "#Aoi", "Aoi#3", "Aoi # 12", "Ａｏｉ＃３", "pool", "Pool", "POOL!", "fondo", "Topf", "プール", "bot", "everyone"} {
		if !speaksFor(name, "Kitchen") {
			t.Errorf("%q is taken", name)
		}
	}
	for _, name := range []string{"Aoi", "Aoi 3", "C# fan", "Robot", "poolside", "ボット"} {
		if speaksFor(name, "Kitchen") {
			t.Errorf("%q is refused", name)
		}
	}
}
