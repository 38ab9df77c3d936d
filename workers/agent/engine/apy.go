package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/workers/protocol"
)

// APYConfig describes an apertium-apy server.
type APYConfig struct {
	BaseURL     string // default http://127.0.0.1:2737
	AllowPublic bool   // the owner wants a server outside the own network
}

// APY translates through an apertium-apy server.
type APY struct {
	base string
	http *http.Client

	mu    sync.Mutex
	pairs []apyPair
}

// apyPair is a pair with the codes that the server itself uses.
type apyPair struct {
	protocol.Pair
	code string // "spa|cat"
}

// NewAPY makes an engine; nothing is dialled yet.
func NewAPY(cfg APYConfig) (*APY, error) {
	if cfg.BaseURL == "" {
		cfg.BaseURL = "http://127.0.0.1:2737"
	}
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return nil, errors.New("the base URL must look like http://127.0.0.1:2737")
	}
	return &APY{base: strings.TrimRight(cfg.BaseURL, "/"), http: localClient(cfg.AllowPublic)}, nil
}

// Name is "apertium-apy".
func (*APY) Name() string { return "apertium-apy" }

// Offers lists the server's pairs; variants of a language are left out.
func (a *APY) Offers(ctx context.Context) ([]protocol.Offer, error) {
	pairs, err := a.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("list pairs: %w", err)
	}
	offer := protocol.Offer{Kind: protocol.Translate, Engine: a.Name(), Model: "apertium", Loaded: true}
	for _, p := range pairs[:min(len(pairs), protocol.MaxPairs)] {
		offer.Pairs = append(offer.Pairs, p.Pair)
	}
	if len(offer.Pairs) == 0 {
		return nil, nil
	}
	return []protocol.Offer{offer}, nil
}

func (a *APY) list(ctx context.Context) ([]apyPair, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	var list struct {
		Data []struct {
			Source string `json:"sourceLanguage"`
			Target string `json:"targetLanguage"`
		} `json:"responseData"`
	}
	if err := getJSON(ctx, a.http, a.base+"/listPairs", "", &list); err != nil {
		return nil, err
	}
	if list.Data == nil {
		return nil, errors.New("no list of pairs")
	}
	var pairs []apyPair
	for _, d := range list.Data {
		from, to := baseLanguage(d.Source), baseLanguage(d.Target)
		known := slices.ContainsFunc(pairs, func(p apyPair) bool { return p.From == from && p.To == to })
		if from == "" || to == "" || from == to || known || strings.ContainsAny(d.Source+d.Target, "_-|") {
			continue
		}
		pairs = append(pairs, apyPair{protocol.Pair{From: from, To: to, Quality: apertiumQuality(from, to)}, d.Source + "|" + d.Target})
	}
	a.mu.Lock()
	a.pairs = pairs
	a.mu.Unlock()
	return pairs, nil
}

// Run translates line by line, one request each.
func (a *APY) Run(ctx context.Context, job protocol.Assign, out Output) (Result, error) {
	if job.Kind != protocol.Translate || job.Translate == nil {
		return Result{}, &JobError{Fault: protocol.FaultRequest, Detail: "Apertium only translates"}
	}
	begun := time.Now()
	from, to := baseLanguage(job.Translate.From), baseLanguage(job.Translate.To)
	a.mu.Lock()
	pairs := a.pairs
	a.mu.Unlock()
	i := slices.IndexFunc(pairs, func(p apyPair) bool { return p.From == from && p.To == to })
	if i < 0 {
		return Result{}, &JobError{Fault: protocol.FaultEngine, Detail: "language pair not installed"}
	}
	var res Result
	for n, segment := range job.Translate.Segments {
		if plainLength(segment) > maxSegment {
			return Result{}, &JobError{Fault: protocol.FaultTooLong, Detail: "segment too long"}
		}
		translated, err := eachLine(segment, func(line []protocol.Piece) ([]protocol.Piece, error) { return a.line(ctx, pairs[i].code, line) })
		if ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		if err != nil {
			return Result{}, err
		}
		res.Done.Segments = append(res.Done.Segments, translated)
		out.Progress(float64(n+1)/float64(len(job.Translate.Segments)), n+1, len(job.Translate.Segments))
	}
	res.Done.Finish = "stop"
	res.Done.TookMS = time.Since(begun).Milliseconds()
	return res, nil
}

func (a *APY) line(ctx context.Context, code string, pieces []protocol.Piece) ([]protocol.Piece, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	text, legend := htmled(pieces)
	form := url.Values{"langpair": {code}, "q": {text}, "format": {"html"}, "markUnknown": {"no"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/translate", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := a.http.Do(req)
	if err != nil {
		return nil, &JobError{Fault: protocol.FaultEngine, Detail: "the server cannot be reached"}
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, &JobError{Fault: protocol.FaultEngine, Detail: fmt.Sprintf("status %d", res.StatusCode)}
	}
	var answer struct {
		Data struct {
			Text string `json:"translatedText"`
		} `json:"responseData"`
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&answer); err != nil || answer.Data.Text == "" {
		return nil, &JobError{Fault: protocol.FaultEngine, Detail: "the answer cannot be read"}
	}
	return unhtml(answer.Data.Text, legend), nil
}
