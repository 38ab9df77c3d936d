package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"potluck/workers/protocol"
)

// ApertiumConfig says where Apertium is installed. The zero value is Debian's place.
type ApertiumConfig struct {
	ModesDir string        // folder of *.mode files; default /usr/share/apertium/modes
	Path     string        // folders of the programs, separated as in PATH; default PATH
	Alive    int           // warm pipes at most, 30–300 MB each; default 4
	Idle     time.Duration // a pipe unused for so long is closed; default 10 minutes
	Timeout  time.Duration // for one line; default 5 s, and 20 s for a pipe's first (it loads its dictionaries)
	Settle   time.Duration // how long Offers waits for the self-tests; default 3 s
}

// Direction is one installed translation direction and whether it works.
type Direction struct {
	protocol.Pair
	Mode  string // name of the mode file without ".mode"
	Ready bool   // the self-test gave a text
	Why   string // why it is not ready, for the owner
}

// Apertium translates with the pipelines of an installed Apertium. It keeps one warm pipe per direction.
type Apertium struct {
	cfg ApertiumConfig

	life  context.Context // ends with Close
	end   context.CancelFunc
	parts sync.WaitGroup // self-tests, and programs that are ending

	mu         sync.Mutex
	directions []Direction
	commands   map[string][][]string // mode → programs with arguments
	pipes      map[string]*pipe
	changed    chan struct{} // closed when a pipe became free or a self-test ended
	testing    bool          // self-tests were started
	tested     chan struct{} // closed when all self-tests have ended
	sweeping   *time.Timer
}

var modeName = regexp.MustCompile(`^([a-z]{2,3})-([a-z]{2,3})\.mode$`)

// NewApertium reads the modes folder. It fails when there is none, or none of its modes is a plain pair; nothing is started yet.
func NewApertium(cfg ApertiumConfig) (*Apertium, error) {
	if cfg.ModesDir == "" {
		cfg.ModesDir = "/usr/share/apertium/modes"
	}
	if cfg.Path == "" {
		cfg.Path = os.Getenv("PATH")
	}
	if cfg.Alive <= 0 {
		cfg.Alive = 4
	}
	if cfg.Idle <= 0 {
		cfg.Idle = 10 * time.Minute
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = 5 * time.Second
	}
	if cfg.Settle <= 0 {
		cfg.Settle = 3 * time.Second
	}
	files, err := os.ReadDir(cfg.ModesDir)
	if err != nil {
		return nil, fmt.Errorf("read the modes folder of Apertium: %w", err)
	}
	a := &Apertium{cfg: cfg, commands: map[string][][]string{}, pipes: map[string]*pipe{}, changed: make(chan struct{}), tested: make(chan struct{})}
	seen := map[[2]string]bool{}
	for _, f := range files {
		m := modeName.FindStringSubmatch(f.Name())
		if m == nil {
			continue // a variant such as spa-cat_valencia
		}
		from, to := baseLanguage(m[1]), baseLanguage(m[2])
		if from == to || seen[[2]string{from, to}] {
			continue
		}
		seen[[2]string{from, to}] = true
		mode := strings.TrimSuffix(f.Name(), ".mode")
		d := Direction{Pair: protocol.Pair{From: from, To: to, Quality: apertiumQuality(from, to)}, Mode: mode, Why: "not tested yet"}
		commands, err := a.readMode(mode)
		if err != nil {
			d.Why = err.Error()
		} else {
			a.commands[mode] = commands
		}
		a.directions = append(a.directions, d)
	}
	if len(a.directions) == 0 {
		return nil, errors.New("no language pair of Apertium is installed")
	}
	a.life, a.end = context.WithCancel(context.Background())
	return a, nil
}

// Name is "apertium".
func (*Apertium) Name() string { return "apertium" }

// Close stops every program that was started and waits for them. Runs that go on end with an error.
func (a *Apertium) Close() error {
	a.end()
	a.mu.Lock()
	var all []*pipe
	for _, p := range a.pipes {
		p.kill()
		all = append(all, p)
	}
	clear(a.pipes)
	if a.sweeping != nil {
		a.sweeping.Stop()
	}
	a.announce()
	a.mu.Unlock()
	a.parts.Wait()
	for _, p := range all {
		p.wait()
	}
	return nil
}

// Directions tells the state of every installed direction, for the list of engines.
func (a *Apertium) Directions() []Direction {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.directions)
}

// Offers lists the directions that have passed their self-test. The first call starts the tests and waits a moment for them.
func (a *Apertium) Offers(ctx context.Context) ([]protocol.Offer, error) {
	a.mu.Lock()
	if !a.testing && a.life.Err() == nil {
		a.testing = true
		a.parts.Go(a.selfTest)
	}
	a.mu.Unlock()
	settle := time.NewTimer(a.cfg.Settle)
	defer settle.Stop()
	select {
	case <-a.tested:
	case <-settle.C:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	var pairs []protocol.Pair
	for _, d := range a.Directions() {
		if d.Ready {
			pairs = append(pairs, d.Pair)
		}
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	return []protocol.Offer{{Kind: protocol.Translate, Engine: a.Name(), Model: "apertium", Loaded: true, Pairs: pairs}}, nil
}

// selfTest translates one sentence in each direction: broken pairs exist that answer nothing and exit with 0.
func (a *Apertium) selfTest() {
	defer close(a.tested)
	for i, d := range a.Directions() {
		if a.commands[d.Mode] == nil {
			continue
		}
		sentence := testSentence[d.From]
		if sentence == "" {
			sentence = "2026 OK."
		}
		got, err := a.line(a.life, d.Mode, []protocol.Piece{{Text: sentence}})
		if a.life.Err() != nil {
			return
		}
		a.mu.Lock()
		a.directions[i].Ready = err == nil && plainLength(got) > 0
		switch {
		case err != nil:
			a.directions[i].Why = "the self-test ended with an error: " + err.Error()
		case !a.directions[i].Ready:
			a.directions[i].Why = "the self-test gave no text: this pair is broken in this version"
		default:
			a.directions[i].Why = ""
		}
		a.announce()
		a.mu.Unlock()
	}
}

// Run translates segment by segment, line by line.
func (a *Apertium) Run(ctx context.Context, job protocol.Assign, out Output) (Result, error) {
	if job.Kind != protocol.Translate || job.Translate == nil {
		return Result{}, &JobError{Fault: protocol.FaultRequest, Detail: "Apertium only translates"}
	}
	begun := time.Now()
	from, to := baseLanguage(job.Translate.From), baseLanguage(job.Translate.To)
	i := slices.IndexFunc(a.directions, func(d Direction) bool { return d.From == from && d.To == to }) // From and To never change
	if i < 0 || a.commands[a.directions[i].Mode] == nil {
		return Result{}, &JobError{Fault: protocol.FaultEngine, Detail: "language pair not installed"}
	}
	mode := a.directions[i].Mode
	var res Result
	for n, segment := range job.Translate.Segments {
		if plainLength(segment) > maxSegment {
			return Result{}, &JobError{Fault: protocol.FaultTooLong, Detail: "segment too long"}
		}
		translated, err := eachLine(segment, func(line []protocol.Piece) ([]protocol.Piece, error) { return a.line(ctx, mode, line) })
		if err != nil {
			if ctx.Err() != nil {
				return Result{}, ctx.Err()
			}
			return Result{}, &JobError{Fault: protocol.FaultEngine, Detail: "Apertium pipeline", Cause: err}
		}
		res.Done.Segments = append(res.Done.Segments, translated)
		out.Progress(float64(n+1)/float64(len(job.Translate.Segments)), n+1, len(job.Translate.Segments))
	}
	res.Done.Finish = "stop"
	res.Done.TookMS = time.Since(begun).Milliseconds()
	return res, nil
}

// line translates one line. A pipe that died since its last use is replaced once; one that fails on the line itself is not.
func (a *Apertium) line(ctx context.Context, mode string, pieces []protocol.Piece) ([]protocol.Piece, error) {
	for {
		p, err := a.take(ctx, mode)
		if err != nil {
			return nil, err
		}
		fresh := p.fresh
		timeout := a.cfg.Timeout
		if fresh {
			timeout *= 4
		}
		limit, cancel := context.WithTimeout(ctx, timeout)
		answer, err := p.ask(limit, streamed(pieces)+streamEnd)
		expired := limit.Err() != nil
		cancel()
		a.give(p, err == nil)
		switch {
		case err == nil:
			got, err := unstream(answer)
			if err != nil {
				return nil, err
			}
			return tidy(pieces, got), nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case expired:
			return nil, fmt.Errorf("no answer in %v", timeout)
		case fresh || a.life.Err() != nil:
			return nil, err
		}
	}
}

// tidy takes out double blanks that transfer rules leave behind, unless the author wrote some.
func tidy(source, got []protocol.Piece) []protocol.Piece {
	double := func(p protocol.Piece) bool { return strings.Contains(p.Text, "  ") }
	if slices.ContainsFunc(source, double) {
		return got
	}
	for i := range got {
		for double(got[i]) {
			got[i].Text = strings.ReplaceAll(got[i].Text, "  ", " ")
		}
	}
	return got
}
