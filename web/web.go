// Package web is the one HTTP server: health, metrics and what the rest of the house mounts on it.
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Config of a Server.
type Config struct {
	// Mounts maps patterns of http.ServeMux to handlers.
	Mounts map[string]http.Handler
	// Ready says why the program cannot serve now; nil = ready.
	Ready func(context.Context) error
	// Metrics answers what /metrics shows, beside Go's and the process's own.
	Metrics prometheus.Collector
	// StopWithin bounds the second step of a stop: what runs may end. 0 = 10 s.
	StopWithin time.Duration
	Log        *slog.Logger
}

// Server serves one listener.
type Server struct {
	config  Config
	handler http.Handler
}

// New refuses metrics that Prometheus cannot take beside each other; patterns of Mounts that are wrong, or twice there, panic as in http.ServeMux.
func New(c Config) (*Server, error) {
	if c.StopWithin == 0 {
		c.StopWithin = 10 * time.Second
	}
	registry := prometheus.NewRegistry()
	for _, collector := range []prometheus.Collector{
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), c.Metrics,
	} {
		if collector == nil {
			continue
		}
		if err := registry.Register(collector); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := c.Ready(ctx); err != nil {
			// The reason goes to the log only: this address may be public.
			c.Log.Warn("not ready", "err", err)
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, "not ready")
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 5 * time.Second}))
	for pattern, h := range c.Mounts {
		mux.Handle(pattern, h)
	}
	return &Server{config: c, handler: mux}, nil
}

// Run serves l until ctx ends, then stops in two steps: no new request, and long-lived ones (events, worker links) see their context end;
// then what still runs gets StopWithin. When it returns, l is closed.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	srv := &http.Server{
		Handler: s.handler,
		// Bodies and answers have limits of their own: events and worker links live for days.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.config.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve http: %w", err)
	case <-ctx.Done():
	}
	endRequests()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.config.StopWithin)
	defer cancel()
	err := srv.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		s.config.Log.Warn("http: connections were cut at the stop")
		err = srv.Close()
	}
	<-served
	return err
}
