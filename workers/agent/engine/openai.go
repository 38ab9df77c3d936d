package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	openai "github.com/sashabaranov/go-openai"

	"potluck/workers/protocol"
)

// OpenAIConfig describes one server that speaks the OpenAI API.
type OpenAIConfig struct {
	BaseURL     string // with the version: http://127.0.0.1:8080/v1
	APIKey      string
	Slots       int           // jobs at once; default 1
	Context     int           // tokens, where the server does not tell; 0 = unknown
	MaxTokens   int           // of one answer; default 2048
	FirstByte   time.Duration // may hold the loading of a model; default 180 s
	Idle        time.Duration // between two events; default 60 s
	AllowPublic bool          // the owner wants a server outside the own network, which may cost money and sees every prompt
	Ollama      bool          // ask Ollama's own API too: models in its cloud are left out
}

// OpenAI drives a server that speaks the OpenAI API: chat, and translation by prompt.
type OpenAI struct {
	cfg    OpenAIConfig
	client *openai.Client
	http   *http.Client
	busy   chan struct{} // holds one token per running job

	mu       sync.Mutex
	contexts map[string]int  // model → tokens, as last told by the server
	quiet    map[string]bool // model → its server knows how to turn thinking off
}

// NewOpenAI makes an engine. It refuses a server with a public address unless cfg.AllowPublic says otherwise; nothing is dialled yet.
func NewOpenAI(cfg OpenAIConfig) (*OpenAI, error) {
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the base URL must look like http://127.0.0.1:8080/v1")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !cfg.AllowPublic && !private(ip) {
		return nil, fmt.Errorf("%s is a public address: prompts would leave your network", ip)
	}
	cfg.Slots = min(max(cfg.Slots, 1), protocol.MaxSlots)
	if cfg.MaxTokens <= 0 {
		cfg.MaxTokens = 2048
	}
	if cfg.FirstByte <= 0 {
		cfg.FirstByte = 180 * time.Second
	}
	if cfg.Idle <= 0 {
		cfg.Idle = 60 * time.Second
	}
	e := &OpenAI{cfg: cfg, http: localClient(cfg.AllowPublic), busy: make(chan struct{}, cfg.Slots), contexts: map[string]int{}, quiet: map[string]bool{}}
	c := openai.DefaultConfig(cfg.APIKey)
	c.BaseURL = cfg.BaseURL
	c.HTTPClient = e.http
	e.client = openai.NewClientWithConfig(c)
	return e, nil
}

// Name is "openai".
func (*OpenAI) Name() string { return "openai" }

// Slots is how many jobs the server does at once.
func (e *OpenAI) Slots() int { return e.cfg.Slots }

// localClient has no total timeout (an answer may take minutes), follows no redirect, uses no proxy and dials private addresses only, also
// when a name resolves to a public one.
func localClient(public bool) *http.Client {
	dialer := net.Dialer{Timeout: 2 * time.Second}
	if !public {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if a, err := netip.ParseAddrPort(address); err != nil || !private(a.Addr()) {
				return errors.New("address outside the own network")
			}
			return nil
		}
	}
	return &http.Client{
		Transport: mending{&http.Transport{
			DialContext: dialer.DialContext, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, TLSHandshakeTimeout: 5 * time.Second,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// overlay is what overlay networks such as Tailscale give to machines.
var overlay = netip.MustParsePrefix("100.64.0.0/10")

func private(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast() || overlay.Contains(ip)
}

// listed is one entry of /v1/models with what llama-server and vLLM add.
type listed struct {
	ID          string `json:"id"`
	OwnedBy     string `json:"owned_by"`
	MaxModelLen int    `json:"max_model_len"`
	Meta        *struct {
		NCtx int `json:"n_ctx"`
	} `json:"meta"`
}

// Offers lists the server's models for chat, and for translation between any two languages, which is rough: no model says how well it does.
func (e *OpenAI) Offers(ctx context.Context) ([]protocol.Offer, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var list struct {
		Data []listed `json:"data"`
	}
	if err := e.get(ctx, e.cfg.BaseURL+"/models", &list); err != nil {
		return nil, fmt.Errorf("list models: %w", err)
	}
	var tags ollamaTags
	if e.cfg.Ollama {
		var err error
		if tags, err = e.ollama(ctx); err != nil {
			return nil, fmt.Errorf("list models of Ollama: %w", err)
		}
	}
	var offers []protocol.Offer
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range list.Data {
		tag := tags[m.ID]
		if m.ID == "" || len(m.ID) > 200 || embeds(m.ID) || remote(m.ID) || e.cfg.Ollama && !tag.local || len(offers)+2 > protocol.MaxOffers {
			continue
		}
		tokens := max(m.MaxModelLen, tag.context)
		if m.Meta != nil {
			tokens = max(tokens, m.Meta.NCtx)
		}
		if tokens <= 0 {
			tokens = e.cfg.Context
		}
		e.contexts[m.ID] = tokens
		e.quiet[m.ID] = m.OwnedBy == "llamacpp" || m.OwnedBy == "vllm"
		offer := protocol.Offer{Engine: e.Name(), Model: m.ID, Loaded: tag.loaded || len(list.Data) == 1 && !e.cfg.Ollama, Context: tokens}
		chat, translate := offer, offer
		chat.Kind, chat.Quality = protocol.Chat, protocol.Postable
		translate.Kind, translate.Quality, translate.AnyPair = protocol.Translate, protocol.Rough, true
		offers = append(offers, chat, translate)
	}
	return offers, nil
}

// embeds tells models that answer with numbers or sounds instead of words, by the names that they are given everywhere.
func embeds(model string) bool {
	return holdsAny(strings.ToLower(model), "embed", "bge-", "minilm", "rerank", "gte-", "e5-", "whisper", "sd-cpp-local", "tts-")
}

func holdsAny(s string, parts ...string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// remote tells models that only look local and run on somebody's paid account.
func remote(model string) bool {
	return strings.HasSuffix(model, "-cloud") || strings.HasSuffix(model, ":cloud")
}

type ollamaTags map[string]struct {
	local, loaded bool
	context       int
}

func (e *OpenAI) ollama(ctx context.Context) (ollamaTags, error) {
	root := strings.TrimSuffix(e.cfg.BaseURL, "/v1")
	var tags struct {
		Models []struct {
			Name         string   `json:"name"`
			RemoteHost   string   `json:"remote_host"`
			RemoteModel  string   `json:"remote_model"`
			Capabilities []string `json:"capabilities"`
		} `json:"models"`
	}
	if err := e.get(ctx, root+"/api/tags", &tags); err != nil {
		return nil, err
	}
	var loaded struct {
		Models []struct {
			Name          string `json:"name"`
			ContextLength int    `json:"context_length"`
		} `json:"models"`
	}
	if err := e.get(ctx, root+"/api/ps", &loaded); err != nil {
		return nil, err
	}
	all := ollamaTags{}
	for _, m := range tags.Models {
		t := all[m.Name]
		t.local = m.RemoteHost == "" && m.RemoteModel == "" && (len(m.Capabilities) == 0 || slices.Contains(m.Capabilities, "completion"))
		// Ollama's smallest default: it cuts longer prompts silently, so what is not known must not be promised.
		t.context = max(e.cfg.Context, 4096)
		all[m.Name] = t
	}
	for _, m := range loaded.Models {
		if t, ok := all[m.Name]; ok {
			t.loaded = true
			if m.ContextLength > 0 {
				t.context = m.ContextLength
			}
			all[m.Name] = t
		}
	}
	return all, nil
}

func (e *OpenAI) get(ctx context.Context, address string, into any) error {
	return getJSON(ctx, e.http, address, e.cfg.APIKey, into)
}

// getJSON reads at most 4 MiB of JSON.
func getJSON(ctx context.Context, client *http.Client, address, key string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", res.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 4<<20)).Decode(into)
}
