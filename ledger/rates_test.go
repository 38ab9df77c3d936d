package ledger

import (
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCanonical(t *testing.T) {
	for local, want := range map[string]string{
		"llama3.1:8b-instruct-q4_K_M":                              "llama-3.1-8b",
		"Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf":                   "llama-3.1-8b",
		"/home/rita/models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf": "llama-3.1-8b",
		`C:\models\Llama-3.2-3B-Instruct-IQ4_XS.gguf`:              "llama-3.2-3b",
		"hf.co/bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q5_K_S":   "llama-3.1-8b",
		"llama3.1:latest":                      "llama-3.1-8b",
		"gemma-3-12b-it-qat-q4_0.gguf":         "gemma-3-12b",
		"gemma3:4b":                            "gemma-3-4b",
		"Qwen2.5-0.5B-Instruct-Q8_0.gguf":      "qwen2.5-0.5b",
		"qwen3:30b-a3b":                        "qwen3-30b-a3b",
		"SmolLM2-135M-Instruct-Q8_0.gguf":      "smollm2-135m",
		"smollm2:135m":                         "smollm2-135m",
		"mistral-7b-instruct-v0.3.Q4_K_M.gguf": "mistral-7b",
		"translategemma:12b":                   "translategemma-12b",
		"sd_xl_base_1.0.safetensors":           "sdxl",
		"v1-5-pruned-emaonly-fp16.safetensors": "sd-1.5",
		"flux1-schnell-fp8.safetensors":        "flux.1-schnell",
		"apertium-spa-cat":                     "apertium",
		"demo-chat":                            "demo-chat",
		"Dolphin-2.9-Llama-3.1-8B.Q4_K_M.gguf": "dolphin-2.9-llama-3.1-8b",
		"<b>evil</b>\x1b[31m":                  "b-31m",
		"":                                     "unnamed",
		"///":                                  "unnamed",
		strings.Repeat("x", 5000):              strings.Repeat("x", 64),
	} {
		if got := DefaultRates().Canonical(local); got != want {
			t.Errorf("Canonical(%.80q) = %q, want %q", local, got, want)
		}
	}
}

func FuzzCanonical(f *testing.F) {
	f.Add("llama3.1:8b-instruct-q4_K_M")
	f.Add("x-q4_0-it.gguf/..-GGUF")
	f.Fuzz(func(t *testing.T, local string) {
		name := DefaultRates().Canonical(local)
		if name == "" || len(name) > maxName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.+-") != "" {
			t.Fatalf("Canonical(%q) = %q", local, name)
		}
		if again := DefaultRates().Canonical(name); again != name {
			t.Fatalf("Canonical(%q) = %q, but of that %q", local, name, again)
		}
	})
}

func TestPriceFollowsTheFormula(t *testing.T) {
	for _, c := range []struct {
		name, model string
		work        Work
		seconds     float64
	}{
		// TG = 0.6 × 360 ÷ 4.9 = 44.08, PP = 1763.3: 0.5 + 100/1763.3 + 1000/44.08.
		{"a thousand tokens of an 8B", "llama-3.1-8b", Work{Kind: "chat", InTokens: 100, OutTokens: 1000}, 23.241866},
		{"the output of a translation earns nothing", "llama-3.1-8b", Work{Kind: "translate", InTokens: 100, OutTokens: 9999}, 0.2 + 100/1763.265306 + 110/44.081633},
		{"apertium", "apertium", Work{Kind: "translate", InTokens: 100}, 0.05 + 0.005 + 0.11},
		{"an uncalibrated picture gets half", "sdxl", Work{Kind: "image", Pixels: 1_000_000, Steps: 20}, (2 + 24) / 2.0},
		{"heun evaluates twice", "sdxl", Work{Kind: "image", Pixels: 1_000_000, Steps: 20, Sampler: "Heun"}, (2 + 48) / 2.0},
		{"a demonstration", "demo-image", Work{Kind: "image", Pixels: 1_000_000, Steps: 20, Sampler: "euler"}, 0.2 + 1},
		{"the demonstration draws", "demo", Work{Kind: "image", Pixels: 1_000_000, Steps: 20}, 0.1 + 1},
		{"the demonstration writes", "demo", Work{Kind: "chat", InTokens: 400, OutTokens: 100}, 0.1 + 0.1 + 0.5},
		{"a language model that is said to draw", "llama-3.3-70b", Work{Kind: "image", Pixels: 1_000_000, Steps: 20}, (2 + 10) / 2.0},
	} {
		p := DefaultRates().Price(c.model, c.work)
		if math.Abs(p.Seconds-c.seconds) > 1e-3 || p.Rates != DefaultRates().Version() {
			t.Errorf("%s: %+v, want %v s", c.name, p, c.seconds)
		}
		checkPrice(t, p)
	}
}

func checkPrice(t *testing.T, p Price) {
	t.Helper()
	var sum float64
	for _, term := range p.Terms {
		sum += term.Seconds
		if math.Abs(term.Quantity/term.PerSecond-term.Seconds) > 1e-9*math.Abs(term.Seconds) {
			t.Errorf("term %+v does not add up", term)
		}
	}
	if math.Abs(sum-p.Seconds) > 1e-9*math.Abs(sum) {
		t.Errorf("terms sum to %v s, price says %v s", sum, p.Seconds)
	}
	if p.Amount < 1 || math.Abs(float64(p.Amount)-p.Seconds*1000) > 1+p.Seconds*1e-9 || float64(p.Amount) < p.Seconds*1000-1e-2 && p.Seconds < 1e6 {
		t.Errorf("%v s cost %d", p.Seconds, p.Amount)
	}
}

func TestLyingNameGainsLittle(t *testing.T) {
	work := Work{Kind: "chat", InTokens: 100, OutTokens: 500}
	honest := DefaultRates().Price("llama-3.1-8b", work).Amount
	for _, name := range []string{"giant-900b", "giant-9999b-instruct", "giant-70b", "x-400b.gguf", "moe-64x70b"} {
		if p := DefaultRates().Price(name, work); p.Calibrated || p.Amount > honest*6/10 {
			t.Errorf("%s costs %v (calibrated %v), an 8B %v", name, p.Amount, p.Calibrated, honest)
		}
	}
	active := DefaultRates().Price("newmoe-30b-a3b", work).Amount
	if dense := DefaultRates().Price("new-3b", work).Amount; active != dense {
		t.Errorf("30b-a3b costs %v, 3b %v", active, dense)
	}
}

func TestPriceOfHostileSizes(t *testing.T) {
	for _, n := range []int{math.MinInt, -1, 0, math.MaxInt} {
		for _, kind := range []string{"chat", "image", "translate", "", "nonsense"} {
			for _, model := range []string{"", "flux.1-dev", "llama-3.3-70b", "demo-chat", "x-0.0001b", "x-0b"} {
				checkPrice(t, DefaultRates().Price(model, Work{kind, n, n, int64(n), n, "dpm2"}))
			}
		}
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "hi": 8, strings.Repeat("a", 400): 100, strings.Repeat("a", 401): 101, strings.Repeat("漢", 30): 20,
		strings.Repeat("あ", 31): 21, strings.Repeat("한", 30): 20, strings.Repeat("a", 40) + strings.Repeat("字", 15): 20, "\xff\xff": 8,
		strings.Repeat("\xff", 80): 20,
	} {
		if got := Tokens(text); got != want {
			t.Errorf("Tokens(%.20q, %d runes) = %d, want %d", text, utf8.RuneCountInString(text), got, want)
		}
	}
}

func TestLoadRatesRefuses(t *testing.T) {
	for _, c := range []struct{ old, new, want string }{
		{"version: 1", "version: 0", "version"},
		{"bandwidth: 360", "bandwith: 360", "bandwith"},
		{"chat: 0.5", "chat: 0", "overhead.chat"},
		{"kind: chat, billions: 1.1", "kind: chatt, billions: 1.1", "chatt"},
		{"name: gpt-oss-120b", "name: gpt-oss-20b", "twice"},
		{`"qwen-3-8b"`, `"qwen-3-4b"`, "qwen-3-4b"},
		{"share: 0.5\n  billions", "share: 2\n  billions", "share"},
		{"drawing: 1.2", "drawing: -1", "sdxl"},
		{"name: sdxl", "name: SDXL", "canonical"},
	} {
		table := strings.Replace(string(defaultRates), c.old, c.new, 1)
		if table == string(defaultRates) {
			t.Fatalf("%q is not in the table", c.old)
		}
		if _, err := LoadRates([]byte(table)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want an error with %q", c.new, err, c.want)
		}
	}
}

func TestEveryCanonicalNameIsItself(t *testing.T) {
	for name := range DefaultRates().models {
		if got := DefaultRates().Canonical(name); got != name {
			t.Errorf("Canonical(%q) = %q", name, got)
		}
	}
}
