package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"potluck/workers/protocol"
)

// DiscoverConfig says where to look. The zero value looks at the usual ports of 127.0.0.1 and at Debian's place for Apertium.
type DiscoverConfig struct {
	Servers  []string // base URLs without /v1 to try as language model servers; nil = the usual ports
	APY      string   // base URL of apertium-apy; default port 2737
	LiteLLM  string   // base URL of a LiteLLM proxy, which is never used by itself; default port 4000
	Apertium ApertiumConfig
	Patience time.Duration // for one answer; default 500 ms
}

// Found is an engine that can be used. Its owner closes it if it has a Close method.
type Found struct {
	Engine Engine
	Where  string // address or folder
	Note   string // the program, and what matters about it
}

// Missed is something that was looked for and is not used, and why.
type Missed struct {
	Name string
	Why  string
}

func (cfg DiscoverConfig) withDefaults() DiscoverConfig {
	if cfg.Servers == nil {
		for _, port := range []string{"8080", "11434", "1234", "8000", "5001"} {
			cfg.Servers = append(cfg.Servers, "http://127.0.0.1:"+port)
		}
	}
	cfg.APY = cmp.Or(cfg.APY, "http://127.0.0.1:2737")
	cfg.LiteLLM = cmp.Or(cfg.LiteLLM, "http://127.0.0.1:4000")
	cfg.Patience = cmp.Or(cfg.Patience, 500*time.Millisecond)
	return cfg
}

// probe looks for one thing. Its error is a reason for the owner.
type probe struct {
	name string
	look func(context.Context) (*Found, error)
}

// Discover looks for inference programs on this machine: GET requests to 127.0.0.1 only, 500 ms each, and the shape of the answer counts,
// not its status. By default it takes about 4 s when every port is open and silent. Nothing that is found is started or asked to work.
func Discover(ctx context.Context, cfg DiscoverConfig) (found []Found, missed []Missed) {
	cfg = cfg.withDefaults()
	probes := prober{client: localClient(false), patience: cfg.Patience}.probes(cfg)
	finds, reasons := make([]*Found, len(probes)), make([]error, len(probes))
	var all sync.WaitGroup
	for i, p := range probes {
		all.Go(func() { finds[i], reasons[i] = p.look(ctx) })
	}
	all.Wait()
	for i, p := range probes {
		if err := reasons[i]; err != nil {
			missed = append(missed, Missed{p.name, err.Error()})
		} else {
			found = append(found, *finds[i])
		}
	}
	return found, missed
}

// probes lists what is looked for; answers are told in this order.
func (p prober) probes(cfg DiscoverConfig) (all []probe) {
	for _, base := range cfg.Servers {
		all = append(all, probe{"language model at " + base, func(ctx context.Context) (*Found, error) { return p.server(ctx, strings.TrimRight(base, "/")) }})
	}
	return append(all,
		probe{"apertium", func(context.Context) (*Found, error) { return installedApertium(cfg.Apertium) }},
		probe{"apertium-apy at " + cfg.APY, func(ctx context.Context) (*Found, error) { return p.apyServer(ctx, cfg.APY) }},
		probe{"LiteLLM at " + cfg.LiteLLM, func(ctx context.Context) (*Found, error) { return nil, p.liteLLM(ctx, cfg.LiteLLM) }},
	)
}

func installedApertium(cfg ApertiumConfig) (*Found, error) {
	a, err := NewApertium(cfg)
	if err != nil {
		return nil, errors.New("not installed: no folder of modes with a language pair (Debian: apt install apertium apertium-spa-cat …)")
	}
	return &Found{a, a.cfg.ModesDir, fmt.Sprintf("Apertium, %d translation directions installed", len(a.Directions()))}, nil
}

func (p prober) apyServer(ctx context.Context, base string) (*Found, error) {
	if !loopback(base) {
		return nil, errNotHere
	}
	a, err := NewAPY(APYConfig{BaseURL: base})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	pairs, err := a.list(ctx)
	if err != nil {
		return nil, silence(err)
	}
	return &Found{a, base, fmt.Sprintf("apertium-apy, %d translation directions", len(pairs))}, nil
}

// liteLLM says why the proxy is not used, as it never is by itself.
func (p prober) liteLLM(ctx context.Context, base string) error {
	if !loopback(base) {
		return errNotHere
	}
	var any any
	if err := p.get(ctx, base+"/v1/models", &any); isSilent(err) {
		return silence(err)
	}
	return errors.New("not used: it may spend somebody's money; add it in the configuration if you want")
}

var errNotHere = errors.New("not looked at: only addresses of this machine are")

func loopback(base string) bool {
	u, err := url.Parse(base)
	ip := net.ParseIP("")
	if err == nil {
		ip = net.ParseIP(u.Hostname())
	}
	return ip != nil && ip.IsLoopback()
}

// isSilent tells that nobody answered, as opposed to somebody who speaks otherwise.
func isSilent(err error) bool {
	var n net.Error
	return errors.As(err, &n)
}

func silence(err error) error {
	var n net.Error
	switch {
	case errors.As(err, &n) && n.Timeout():
		return errors.New("something listens there but did not answer in time")
	case errors.As(err, &n):
		return errors.New("nothing listens there")
	}
	return errors.New("something else listens there")
}

type prober struct {
	client   *http.Client
	patience time.Duration // for one answer
}

func (p prober) get(ctx context.Context, address string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	return getJSON(ctx, p.client, address, "", into)
}

// server finds out what listens at base. Programs mimic each other, so the ones with a proof of their own come first, and Ollama, which
// several imitate, needs two.
func (p prober) server(ctx context.Context, base string) (*Found, error) {
	if !loopback(base) {
		return nil, errNotHere
	}
	var props struct {
		Build string `json:"build_info"`
		Slots int    `json:"total_slots"`
	}
	if err := p.get(ctx, base+"/props", &props); isSilent(err) {
		return nil, silence(err)
	} else if err == nil && props.Build != "" && props.Slots > 0 {
		return p.use(ctx, OpenAIConfig{BaseURL: base + "/v1", Slots: props.Slots}, fmt.Sprintf("llama-server, %d slots", props.Slots))
	}
	var kobold struct {
		Result string `json:"result"`
	}
	if p.get(ctx, base+"/api/extra/version", &kobold) == nil && kobold.Result == "KoboldCpp" {
		return p.use(ctx, OpenAIConfig{BaseURL: base + "/v1"}, "KoboldCpp")
	}
	var capabilities struct {
		Model  any `json:"model"`
		Limits any `json:"limits"`
	}
	if p.get(ctx, base+"/sdcpp/v1/capabilities", &capabilities) == nil && (capabilities.Model != nil || capabilities.Limits != nil) {
		return nil, errors.New("sd-server draws pictures, which this version does not drive")
	}
	var localAI map[string]any
	if p.get(ctx, base+"/.well-known/localai.json", &localAI) == nil && len(localAI) > 0 {
		return p.use(ctx, OpenAIConfig{BaseURL: base + "/v1"}, "LocalAI")
	}
	var running struct {
		Running *[]any `json:"running"`
	}
	if p.get(ctx, base+"/running", &running) == nil && running.Running != nil {
		return p.use(ctx, OpenAIConfig{BaseURL: base + "/v1"}, "llama-swap")
	}
	var version struct {
		Version string `json:"version"`
	}
	if p.get(ctx, base+"/api/version", &version) == nil && version.Version != "" && p.says(ctx, base+"/", "Ollama is running") {
		return p.use(ctx, OpenAIConfig{BaseURL: base + "/v1", Ollama: true}, "Ollama "+version.Version+", without the models that run in its cloud")
	}
	return p.use(ctx, OpenAIConfig{BaseURL: base + "/v1"}, "a server that speaks the OpenAI API")
}

// use checks the list of models, which every server must have. Another program with JSON pages, such as Potluck itself on 8080, has none.
func (p prober) use(ctx context.Context, cfg OpenAIConfig, note string) (*Found, error) {
	var list struct {
		Object string    `json:"object"`
		Data   *[]listed `json:"data"`
	}
	err := p.get(ctx, cfg.BaseURL+"/models", &list)
	switch {
	case err != nil && strings.Contains(err.Error(), "status 401"):
		return nil, errors.New("it wants a key: add it in the configuration")
	case isSilent(err):
		return nil, silence(err)
	case err != nil || list.Data == nil || list.Object != "list":
		return nil, errors.New("something else listens there")
	}
	for _, m := range *list.Data {
		switch m.OwnedBy {
		case "potluck":
			return nil, errors.New("it is Potluck itself")
		case "vllm":
			note = "vLLM"
			cfg.Slots = 8 // it batches well
		}
		if m.ID == "" {
			return nil, errors.New("something else listens there")
		}
	}
	e, err := NewOpenAI(cfg)
	if err != nil {
		return nil, err
	}
	offers, err := e.Offers(ctx)
	if err != nil {
		return nil, errors.New("its models could not be listed")
	}
	usable := 0
	for _, o := range offers {
		if o.Kind == protocol.Chat {
			usable++
		}
	}
	switch usable {
	case 0:
		note += ", no usable model yet"
	case 1:
		note += ", 1 usable model"
	default:
		note += fmt.Sprintf(", %d usable models", usable)
	}
	return &Found{e, cfg.BaseURL, note}, nil
}

// says tells whether a page of at most 4 KiB has a text in it.
func (p prober) says(ctx context.Context, address, text string) bool {
	ctx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	res, err := p.client.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	return err == nil && strings.Contains(string(b), text)
}
