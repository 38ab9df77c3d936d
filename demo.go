package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"potluck/bot/webchat"
	"potluck/web/operator"
	"potluck/workers"
	"potluck/workers/agent"
	"potluck/workers/protocol"
)

// demo is Potluck on embedded defaults: the page, a database, and one worker as a separate process that is linked with a real join string.
func demo(ctx context.Context, c call) error {
	// People want to see the credit grow now, not tomorrow.
	c.config.Credits.Escrow = 0
	c.out = &syncWriter{w: c.out}
	program, err := workerProgram()
	if err != nil {
		return err
	}
	h, err := build(ctx, c.config, c.log, true)
	if err != nil {
		return err
	}
	join, err := h.demoJoin(ctx)
	if err != nil {
		h.close()
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.Run(ctx) })
	g.Go(func() error { return keepWorker(ctx, program, h.workerFolder(), join, c.out) })
	g.Go(func() error {
		h.welcome(ctx, program, c.out)
		return nil
	})
	err = g.Wait()
	fmt.Fprintln(c.out, "\nPotluck has stopped. Your data is in", c.config.DataDir)
	return err
}

// demoJoin makes the join string of the demo's worker, which belongs to the operator.
func (h *house) demoJoin(ctx context.Context) (protocol.Join, error) {
	owner, err := h.makeOperator(ctx, webchat.OperatorUser, "Operator")
	if err != nil {
		return protocol.Join{}, err
	}
	join, _, err := h.pool.Link(ctx, owner, "demo computer", true)
	if err != nil {
		return protocol.Join{}, err
	}
	// The worker runs on this machine: a public address may not be reachable from inside.
	join.Server = "http://" + reachable(h.listener.Addr())
	return join, nil
}

// workerProgram finds potluck-worker beside this program, or on the PATH.
func workerProgram() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	name := "potluck-worker" + filepath.Ext(self)
	if strings.HasSuffix(self, ".test") {
		name = "potluck-worker"
	}
	beside := filepath.Join(filepath.Dir(self), name)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	found, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("%s is neither beside this program nor on the PATH: run make build", name)
	}
	return found, nil
}

// keepWorker has the worker run until ctx ends. One that dies is started again, after a pause that grows: the chat goes on meanwhile, and
// other people's workers with it.
func keepWorker(ctx context.Context, program, dir string, join protocol.Join, out io.Writer) error {
	const first, longest = time.Second, 30 * time.Second
	for pause := first; ; pause = min(2*pause, longest) {
		begun := time.Now()
		err := runWorker(ctx, program, dir, join, out)
		if ctx.Err() != nil {
			return nil
		}
		if time.Since(begun) > longest {
			pause = first
		}
		why := "it stopped by itself"
		if err != nil {
			why = err.Error()
		}
		fmt.Fprintf(out, "\n  The demo's worker has gone (%s). Another one starts in %v.\n", why, pause)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}

// runWorker runs the worker as a child process until it ends or ctx does.
func runWorker(ctx context.Context, program, dir string, join protocol.Join, out io.Writer) error {
	cmd := exec.CommandContext(ctx, program, "run", "-dir", dir, "-demo", "fill", "-join", "-")
	// The join string goes by standard input: arguments can be read by every user of the machine.
	cmd.Stdin = strings.NewReader(join.String() + "\n")
	cmd.Cancel = func() error { return cmd.Process.Signal(stopSignal) }
	cmd.WaitDelay = 3 * time.Second // there is nobody any more to whom a job could be returned
	ownGroup(cmd)
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the worker: %w", err)
	}
	lines := bufio.NewScanner(said)
	for lines.Scan() {
		if ctx.Err() == nil { // that it loses a server which has stopped is no news
			fmt.Fprintln(out, "worker |", lines.Text())
		}
	}
	return cmd.Wait()
}

// welcome says where Potluck is and what its worker can do, once the worker is there.
func (h *house) welcome(ctx context.Context, program string, out io.Writer) {
	fmt.Fprintf(out, "\n  Potluck is at      %s\n  Be its operator    %s   (works once)\n  Operator's view    %s%s\n\n", h.publicURL(), h.operatorURL, h.publicURL(), operator.Path)
	w, ok := awaitOffers(ctx, h.demoWorker)
	if !ok {
		if ctx.Err() == nil {
			fmt.Fprintln(out, "  The worker has not come yet; look for lines that begin with \"worker |\".")
		}
		return
	}
	fmt.Fprintf(out, "  Its worker is linked and offers:\n")
	for _, line := range describeOffers(w) {
		fmt.Fprintln(out, "    ·", line)
	}
	engines := exec.CommandContext(ctx, program, "engines", "-demo", "fill", "-dir", h.workerFolder())
	if said, err := engines.Output(); err == nil {
		fmt.Fprintf(out, "\n  What the worker looked for on this machine:\n    %s\n", strings.ReplaceAll(strings.TrimSpace(string(said)), "\n", "\n    "))
	}
	fmt.Fprint(out, "\n  Try:  /translate to:es The children are reading a book in the garden.\n        /imagine a lighthouse at dusk\n        /ask why is the sky blue?\n\n  Ctrl-C stops everything; the next start keeps the data.\n\n")
}

// demoWorker is the worker of the demo itself: what its folder is linked as. Other workers of the same operator may be here, too.
func (h *house) demoWorker() (workers.WorkerView, bool) {
	link, err := agent.Folder(h.workerFolder()).Link()
	if err != nil {
		return workers.WorkerView{}, false // it has not linked yet
	}
	return withID(h.pool.Overview().Workers, link.Worker)
}

func (h *house) workerFolder() string { return filepath.Join(h.config.DataDir, "worker") }

func withID(all []workers.WorkerView, id int64) (workers.WorkerView, bool) {
	i := slices.IndexFunc(all, func(w workers.WorkerView) bool { return w.ID == id })
	if i < 0 {
		return workers.WorkerView{}, false
	}
	return all[i], true
}

// awaitOffers waits, at most a minute, until the worker that look finds is online and its offers have settled: engines are tried one after
// another, and a list that is told too early looks as if something were missing.
func awaitOffers(ctx context.Context, look func() (workers.WorkerView, bool)) (last workers.WorkerView, ok bool) {
	const settled = 3 * time.Second
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	var since time.Time
	for {
		if w, here := look(); here && len(w.Offers) > 0 {
			if !ok || !slices.Equal(describeOffers(w), describeOffers(last)) {
				since = time.Now()
			}
			last, ok = w, true
		}
		if ok && time.Since(since) >= settled {
			return last, true
		}
		select {
		case <-ctx.Done():
			return last, ok
		case <-tick.C:
		}
	}
}

// describeOffers says in one line per offer what a worker can do.
func describeOffers(w workers.WorkerView) []string {
	var out []string
	for _, o := range w.Offers {
		what := map[protocol.Kind]string{protocol.Chat: "/ask", protocol.Image: "/imagine", protocol.Translate: "/translate"}[o.Kind]
		line := fmt.Sprintf("%-10s %s with %s", what, o.Engine, o.Model)
		switch {
		case o.AnyPair:
			line += ", any language"
		case len(o.Pairs) > 0:
			var pairs []string
			for _, p := range o.Pairs {
				pairs = append(pairs, p.From+"→"+p.To)
			}
			slices.Sort(pairs)
			line += ": " + strings.Join(slices.Compact(pairs), " ")
		}
		if o.Quality == protocol.Demo {
			line += " (a demonstration, no AI model)"
		}
		out = append(out, line)
	}
	return out
}

// syncWriter lets the parts of the demo print at the same time.
type syncWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *syncWriter) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(b)
}
