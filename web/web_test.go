package web_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"potluck/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start serves c on loopback and returns its address and a stop that waits for Run.
func start(t *testing.T, c web.Config) (url string, stop func() error) {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	s, err := web.New(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	return "http://" + l.Addr().String(), func() error { cancel(); return <-done }
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	var broken error
	jobs := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "potluck_jobs_queued", Help: "Jobs in line."}, func() float64 { return 7 })
	url, stop := start(t, web.Config{Ready: func(context.Context) error { return broken }, Metrics: jobs})
	defer stop()
	if code, body := get(t, url+"/healthz"); code != 200 || body != "ok\n" {
		t.Errorf("healthz: %d %q", code, body)
	}
	if code, _ := get(t, url+"/readyz"); code != 200 {
		t.Errorf("readyz: %d", code)
	}
	broken = errors.New("disk at /secret/path is full")
	if code, body := get(t, url+"/readyz"); code != 503 || strings.Contains(body, "secret") {
		t.Errorf("readyz while broken: %d %q", code, body)
	}
	if _, body := get(t, url+"/metrics"); !strings.Contains(body, "potluck_jobs_queued 7") || !strings.Contains(body, "go_goroutines") {
		t.Errorf("metrics: %.300s", body)
	}
}

func TestStopEndsLongLivedRequests(t *testing.T) {
	started := make(chan struct{})
	events := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	url, stop := start(t, web.Config{
		Ready: func(context.Context) error { return nil }, Mounts: map[string]http.Handler{"GET /events": events}, StopWithin: time.Minute,
	})
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		get(t, url+"/events")
	}()
	<-started
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	<-answered
}
