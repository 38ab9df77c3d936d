package ledger

import (
	_ "embed"
	"fmt"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

//go:embed rates.yaml
var defaultRates []byte

// Rates is one version of the rate table: what a second of the reference card is worth to each model. It never changes after LoadRates and
// may be used from any goroutine.
type Rates struct {
	table   rateTable
	models  map[string]modelRate
	aliases map[string]string // alias without a wildcard → canonical name
	globs   []glob
}

type rateTable struct {
	Version int `yaml:"version"`
	Card    struct {
		Name      string  `yaml:"name"`
		Bandwidth float64 `yaml:"bandwidth"` // GB/s
	} `yaml:"card"`
	Formula struct {
		BandwidthShare float64 `yaml:"bandwidth_share"`
		PromptFactor   float64 `yaml:"prompt_factor"`
		BitsPerWeight  float64 `yaml:"bits_per_weight"`
	} `yaml:"formula"`
	Overhead map[string]float64 `yaml:"overhead"` // kind → s
	Unknown  struct {
		Share    float64 `yaml:"share"`
		Billions float64 `yaml:"billions"`
		Min      float64 `yaml:"min"`
		Max      float64 `yaml:"max"`
		Drawing  float64 `yaml:"drawing"`
	} `yaml:"unknown"`
	Samplers []struct {
		Name  string  `yaml:"name"`
		Order float64 `yaml:"order"`
	} `yaml:"samplers"`
	Models []modelRate `yaml:"models"`
}

type modelRate struct {
	Name       string   `yaml:"name"`
	Kind       string   `yaml:"kind"` // empty: every kind
	Billions   float64  `yaml:"billions"`
	Gigabytes  float64  `yaml:"gigabytes"`
	Input      float64  `yaml:"input"`    // tokens/s
	Output     float64  `yaml:"output"`   // tokens/s
	Drawing    float64  `yaml:"drawing"`  // s per megapixel step
	Overhead   float64  `yaml:"overhead"` // s; 0 = the kind's
	Calibrated bool     `yaml:"calibrated"`
	Aliases    []string `yaml:"aliases"`
}

type glob struct{ pattern, name string }

// LoadRates reads a rate table (see rates.yaml for its shape). It refuses unknown keys, numbers that are not positive, a kind that does not
// exist and an alias that stands for two models; the error names the place.
func LoadRates(b []byte) (*Rates, error) {
	r := &Rates{models: map[string]modelRate{}, aliases: map[string]string{}}
	if err := yaml.UnmarshalWithOptions(b, &r.table, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("read rate table: %w", err)
	}
	if err := r.index(); err != nil {
		return nil, fmt.Errorf("read rate table: %w", err)
	}
	return r, nil
}

func (r *Rates) index() error {
	t := &r.table
	if t.Version < 1 {
		return fmt.Errorf("version %d: want 1 or more", t.Version)
	}
	for _, n := range []struct {
		key   string
		value float64
	}{
		{"card.bandwidth", t.Card.Bandwidth}, {"formula.bandwidth_share", t.Formula.BandwidthShare}, {"formula.prompt_factor", t.Formula.PromptFactor},
		{"formula.bits_per_weight", t.Formula.BitsPerWeight}, {"unknown.share", t.Unknown.Share}, {"unknown.billions", t.Unknown.Billions},
		{"unknown.min", t.Unknown.Min}, {"unknown.drawing", t.Unknown.Drawing}, {"overhead.chat", t.Overhead["chat"]},
		{"overhead.image", t.Overhead["image"]}, {"overhead.translate", t.Overhead["translate"]},
	} {
		if !usable(n.value) {
			return fmt.Errorf("%s is %v: want a number above 0", n.key, n.value)
		}
	}
	if t.Unknown.Share > 1 || t.Unknown.Max < t.Unknown.Min || !usable(t.Unknown.Max) {
		return fmt.Errorf("unknown: want share ≤ 1 and min ≤ max")
	}
	for _, s := range t.Samplers {
		if _, err := path.Match(s.Name, ""); err != nil || !usable(s.Order) {
			return fmt.Errorf("sampler %q: want a pattern and an order above 0", s.Name)
		}
	}
	for _, m := range t.Models {
		if err := r.add(m); err != nil {
			return fmt.Errorf("model %q: %w", m.Name, err)
		}
	}
	return nil
}

func (r *Rates) add(m modelRate) error {
	if m.Name == "" || normalise(m.Name) != m.Name {
		return fmt.Errorf("not a canonical name: want %q", normalise(m.Name))
	}
	if _, ok := r.models[m.Name]; ok {
		return fmt.Errorf("stands twice")
	}
	if _, ok := r.table.Overhead[m.Kind]; !ok && m.Kind != "" {
		return fmt.Errorf("kind %q does not exist", m.Kind)
	}
	for _, n := range []float64{m.Billions, m.Gigabytes, m.Input, m.Output, m.Drawing, m.Overhead} {
		if n != 0 && !usable(n) {
			return fmt.Errorf("%v: want a number above 0", n)
		}
	}
	draws, writes := m.Kind == "image" || m.Kind == "", m.Kind != "image"
	if draws && m.Drawing == 0 {
		return fmt.Errorf("drawing is missing")
	}
	if writes && m.Billions == 0 && m.Gigabytes == 0 && (m.Input == 0 || m.Output == 0) {
		return fmt.Errorf("billions, gigabytes or both input and output are missing")
	}
	r.models[m.Name] = r.fill(m)
	for _, a := range append([]string{m.Name}, m.Aliases...) {
		if strings.ContainsAny(a, "*?[") {
			if _, err := path.Match(a, ""); err != nil {
				return fmt.Errorf("alias %q: %w", a, err)
			}
			r.globs = append(r.globs, glob{a, m.Name})
			continue
		}
		if other, ok := r.aliases[a]; ok && other != m.Name {
			return fmt.Errorf("alias %q stands for %q too", a, other)
		}
		r.aliases[a] = m.Name
	}
	return nil
}

func usable(n float64) bool { return n > 0 && n < 1e12 }

// DefaultRates is the table that comes with the program.
var DefaultRates = sync.OnceValue(func() *Rates {
	r, err := LoadRates(defaultRates)
	if err != nil {
		panic(err) // the embedded file is wrong; a test loads it
	}
	return r
})

// Version is the number that bills carry.
func (r *Rates) Version() int { return r.table.Version }

// Canonical maps a local model name, as an engine lists it ("llama3.1:8b-instruct-q4_K_M", "/models/Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf"), to
// the name that people use ("llama-3.1-8b"). A name that the table does not know comes back in normal form: lower case letters, digits, '.', '+'
// and '-', without path, file ending and quantisation, 1 to 64 bytes. Canonical of a canonical name is itself.
func (r *Rates) Canonical(local string) string {
	name := normalise(local)
	for _, try := range []string{name, withoutTuning(name)} {
		if c, ok := r.aliases[try]; ok {
			return c
		}
		for _, g := range r.globs {
			if ok, _ := path.Match(g.pattern, try); ok {
				return g.name
			}
		}
	}
	return name
}

// maxName is how many bytes of a model name are kept: it comes from a worker and stands in tables and replies.
const maxName = 64

var (
	fileEnding = regexp.MustCompile(`\.(gguf|ggml|safetensors|ckpt|pth?|bin|onnx|llamafile)$`)
	signs      = regexp.MustCompile(`[^a-z0-9.+]+`)
	// quantisation is one ending that says how weights are packed, not which they are.
	quantisation = regexp.MustCompile(`[-.](i?q\d(-(k|0|1|xxs|xs|s|m|l|nl))*|ud|(b?f|fp|bf)\d{1,2}(-e\dm\d)?|` +
		`fp8-scaled|int\d|w\da\d+|\d-?bits?|awq|gptq|exl\d|mlx|mxfp4|nf4|gguf|ggml|latest|pruned|emaonly)$`)
	tuning = regexp.MustCompile(`-(instruct|it|chat|qat|hf)(-|$)`)
)

// normalise is run until nothing changes, so that it is idempotent also where cutting to maxName uncovers another ending.
func normalise(local string) string {
	name := local
	if len(name) > 1024 {
		name = name[:1024]
	}
	name = strings.ToLower(name)
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	for {
		before := name
		name = fileEnding.ReplaceAllString(name, "")
		name = signs.ReplaceAllString(name, "-")
		name = quantisation.ReplaceAllString(name, "")
		if len(name) > maxName {
			name = name[:maxName]
		}
		name = strings.Trim(name, "-.+")
		if name == before {
			break
		}
	}
	if name == "" {
		return "unnamed"
	}
	return name
}

// withoutTuning drops the words that tell an instruction-tuned model from its base: the pool offers only the tuned ones.
func withoutTuning(name string) string {
	for {
		before := name
		if name = strings.Trim(tuning.ReplaceAllString(name, "$2"), "-"); name == before {
			return name
		}
	}
}

// Most that is priced of each size: far above every limit of a request, and low enough that no sum overflows.
const (
	maxTokens = 1 << 30
	maxPixels = 1 << 40
	maxSteps  = 1 << 16
)

// Price tells what work costs on a model (a canonical or local name; empty = unknown). Seconds on the reference card are
//
//	chat       overhead + in ÷ PP + out ÷ TG
//	translate  overhead + in ÷ PP + 1.1 × in ÷ TG     (from the input only: a longer output earns nothing)
//	image      overhead + megapixels × steps × order(sampler) × c
//
// with TG (output tokens per second) and PP (input tokens per second) from the table, or TG = 0.6 × bandwidth ÷ weight bytes per token and
// PP = 40 × TG. An unknown model's weights are read from its name ("7b", "30b-a3b" is 3), 1 billion when it names none, and count between 0.5 and
// 8 billion only. Models that are not calibrated, unknown ones among them, get half of the sum (term "uncalibrated", negative): a lying name gains
// at most half of an 8B model's price. Sizes below 0 count as 0, and all sizes are capped, so that no input overflows. Amount is at least 1.
func (r *Rates) Price(model string, w Work) Price {
	name := r.Canonical(model)
	m, known := r.models[name]
	if !known || m.Kind != "" && (m.Kind == "image") != (w.Kind == "image") {
		m = r.unknown(name) // also a language model that is said to draw: its rate says nothing about that
	}
	p := Price{Rates: r.table.Version, Model: name, Calibrated: m.Calibrated}
	add := func(name string, quantity float64, unit string, perSecond float64) {
		t := Term{Name: name, Quantity: quantity, Unit: unit, PerSecond: perSecond, Seconds: quantity / perSecond}
		p.Terms = append(p.Terms, t)
		p.Seconds += t.Seconds
	}

	overhead := m.Overhead
	if overhead == 0 {
		overhead = r.table.Overhead[w.Kind]
	}
	if overhead == 0 { // a kind that the table does not know
		overhead = r.table.Overhead["chat"]
	}
	add("overhead", overhead, "s", 1)
	in, out := float64(between(w.InTokens, 0, maxTokens)), float64(between(w.OutTokens, 0, maxTokens))
	switch w.Kind {
	case "image":
		megapixels := float64(between(w.Pixels, 0, maxPixels)) / 1e6
		add("drawing", megapixels*float64(between(w.Steps, 0, maxSteps))*r.order(w.Sampler), "megapixel step", 1/m.Drawing)
	case "translate":
		out = 1.1 * in
		fallthrough
	default:
		add("input", in, "token", m.Input)
		add("output", out, "token", m.Output)
	}
	if !m.Calibrated {
		add("uncalibrated", -p.Seconds, "s", 1/(1-r.table.Unknown.Share))
	}
	p.Amount = fromSeconds(p.Seconds)
	return p
}

// fromSeconds rounds up to milli-credits. Millionths of a second are rounded first, so that 12.5 s does not become 12.501 credits by a float's error.
func fromSeconds(s float64) Amount {
	micro := int64(math.Round(s * 1e6))
	return max(1, Amount((micro+999)/1000))
}

func between[T int | int64 | float64](n, low, high T) T { return max(low, min(n, high)) }

// unknown is the rate of a model that the table does not know.
func (r *Rates) unknown(name string) modelRate {
	u := r.table.Unknown
	billions := u.Billions
	if claimed, ok := claimedBillions(name); ok {
		billions = between(claimed, u.Min, u.Max)
	}
	return r.fill(modelRate{Name: name, Billions: billions, Drawing: u.Drawing})
}

// claimed finds "7b", "1.5b", "a3b" and "8x7b" (which counts as 7) between signs.
var claimed = regexp.MustCompile(`(?:^|[-+.])(a|\d+x)?(\d{1,4}(?:\.\d{1,3})?)b(?:$|[-+.])`)

// claimedBillions is the size in a model's name; of several the smallest, which is the active part of a mixture of experts.
func claimedBillions(name string) (float64, bool) {
	least := math.Inf(1)
	// The match eats the sign behind it, so neighbours ("30b-a3b") need it twice.
	for _, m := range claimed.FindAllStringSubmatch(strings.ReplaceAll(name, "-", "--"), -1) {
		if n, err := strconv.ParseFloat(m[2], 64); err == nil && n > 0 {
			least = min(least, n)
		}
	}
	return least, !math.IsInf(least, 1)
}

// fill computes what a rate lacks by the formula.
func (r *Rates) fill(m modelRate) modelRate {
	f := r.table.Formula
	gigabytes := m.Gigabytes
	if gigabytes == 0 {
		gigabytes = m.Billions * f.BitsPerWeight / 8
	}
	if m.Output == 0 {
		m.Output = f.BandwidthShare * r.table.Card.Bandwidth / gigabytes
	}
	if m.Input == 0 {
		m.Input = f.PromptFactor * m.Output
	}
	return m
}

// order is how often a sampler evaluates the model in one step.
func (r *Rates) order(sampler string) float64 {
	if len(sampler) > 64 {
		return 1
	}
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			return c
		}
		return -1
	}, strings.ReplaceAll(strings.ToLower(sampler), "++", "pp"))
	for _, s := range r.table.Samplers {
		if ok, _ := path.Match(s.Name, name); ok {
			return s.Order
		}
	}
	return 1
}

// Tokens is the house's own count of a text, the same for every model: 4 bytes to a token, 1.5 characters of Chinese, Japanese or Korean; both
// parts rounded up, at least 8, and 0 for the empty text.
func Tokens(text string) int {
	if text == "" {
		return 0
	}
	wide, bytes := 0, 0
	for _, c := range text {
		if c >= 0x1100 && unicode.In(c, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul) {
			wide++
		} else if c == utf8.RuneError {
			bytes++
		} else {
			bytes += utf8.RuneLen(c)
		}
	}
	return max(8, (bytes+3)/4+(2*wide+2)/3)
}
