package engine

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/workers/protocol"
)

// pages answers GET requests for the given paths, and 404 for the rest.
func pages(t *testing.T, byPath map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := byPath[r.URL.Path]
		if !ok || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func TestDiscover(t *testing.T) {
	const list = `{"object":"list","data":[{"id":"llama3.2:3b","object":"model","owned_by":"library"},{"id":"big:cloud","object":"model"},{"id":"away","object":"model"}]}`
	llama := pages(t, map[string]string{"/props": `{"build_info":"b1","total_slots":3,"model_path":"/x"}`, "/v1/models": llamaModels})
	ollama := pages(t, map[string]string{"/": "Ollama is running", "/api/version": `{"version":"0.9"}`, "/v1/models": list,
		"/api/tags": `{"models":[{"name":"llama3.2:3b","digest":"abc","capabilities":["completion"]},{"name":"big:cloud"},{"name":"away","remote_host":"https://ollama.com"}]}`,
		"/api/ps":   `{"models":[{"name":"llama3.2:3b","context_length":8192}]}`})
	potluck := pages(t, map[string]string{"/": "<html>Potluck</html>", "/healthz": "{}", "/v1/models": `{"models":[]}`})
	kobold := pages(t, map[string]string{"/api/extra/version": `{"result":"KoboldCpp","version":"1.9"}`, "/api/version": `{"version":"0.7"}`, "/v1/models": `{"object":"list","data":[{"id":"k"}]}`})
	closed := httptest.NewServer(nil)
	closed.Close()
	found, missed := Discover(t.Context(), DiscoverConfig{
		Patience: time.Minute, // whoever answers does so at once, unless the machine is busy
		Servers:  []string{llama, ollama, potluck, kobold, closed.URL, "http://192.0.2.1:8080"},
		APY:      pages(t, map[string]string{"/listPairs": `{"responseData":[{"sourceLanguage":"spa","targetLanguage":"cat"}]}`}),
		LiteLLM:  pages(t, map[string]string{"/v1/models": list}), Apertium: ApertiumConfig{ModesDir: filepath.Join(t.TempDir(), "none")},
	})
	want := map[string]string{llama + "/v1": "llama-server, 3 slots, 1 usable model", ollama + "/v1": "Ollama 0.9, without the models that run in its cloud, 1 usable model", kobold + "/v1": "KoboldCpp, 1 usable model"}
	for _, f := range found {
		if w, ok := want[f.Where]; ok && w != f.Note {
			t.Errorf("%s: %q, want %q", f.Where, f.Note, w)
		}
		delete(want, f.Where)
		if strings.HasPrefix(f.Note, "Ollama") {
			offers, err := f.Engine.Offers(t.Context())
			if err != nil || len(offers) != 2 || offers[0].Context != 8192 || !offers[0].Loaded || offers[0].Kind != protocol.Chat {
				t.Errorf("Ollama offers %+v, %v", offers, err)
			}
		}
	}
	if len(want) > 0 || len(found) != 4 {
		t.Errorf("not found: %v; found %+v", want, found)
	}
	reasons := map[string]string{potluck: "something else", closed.URL: "nothing listens", "192.0.2.1": "only addresses of this machine", "apertium": "not installed", "LiteLLM": "spend somebody's money"}
	for _, m := range missed {
		for name, why := range reasons {
			if strings.Contains(m.Name, name) && strings.Contains(m.Why, why) {
				delete(reasons, name)
			}
		}
	}
	if len(reasons) > 0 {
		t.Errorf("missing reasons %v in %+v", reasons, missed)
	}
}

func TestHardwareOfThisMachine(t *testing.T) {
	h := Hardware(t.Context())
	if h.OS == "" || h.Arch == "" || h.CPUs < 1 || h.OS == "linux" && h.RAMMB < 64 {
		t.Fatalf("got %+v", h)
	}
	GPULoads(t.Context()) // must come back on any machine
}

func TestReadingGPUTables(t *testing.T) {
	gpus := nvidiaGPUs("NVIDIA GeForce RTX 3060, 12288\nNVIDIA GB10, [N/A]\n", 1000)
	if len(gpus) != 2 || gpus[0] != (protocol.GPU{Name: "NVIDIA GeForce RTX 3060", VRAMMB: 12288}) || gpus[1].VRAMMB != 1000 {
		t.Errorf("NVIDIA: %+v", gpus)
	}
	root := t.TempDir()
	card := filepath.Join(root, "card0", "device")
	if err := os.MkdirAll(card, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"vendor": "0x1002\n", "mem_info_vram_total": "536870912\n", "mem_info_gtt_total": "16106127360\n"} {
		if err := os.WriteFile(filepath.Join(card, name), []byte(value), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if gpus := amdGPUs(root); len(gpus) != 1 || gpus[0].VRAMMB != 15360 {
		t.Errorf("AMD: %+v", gpus)
	}
	if got := meminfoMB("MemFree: 1 kB\nMemTotal:       8048576 kB\n"); got != 7859 {
		t.Errorf("memory: %d", got)
	}
}
