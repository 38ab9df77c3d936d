package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"potluck/failpoint"
)

var (
	chaosSeed  = flag.Uint64("chaos.seed", 1, "what TestChaos derives its schedule from")
	chaosKills = flag.Int("chaos.kills", 50, "how many processes TestChaos kills")
)

const (
	chaosMachines = 3
	chaosVisitors = 6
	killsPerRound = 10
)

// doom is what one life of a process has before it: a fail point that ends or stops it, and at the latest the n-th event that the page shows.
type doom struct {
	point  string // as in POTLUCK_FAILPOINTS; empty: only events
	events int
	wake   bool // if it was stopped, the n-th event continues it instead
}

// dooms are the fail points and how often a life may meet each before it ends.
var (
	botDooms = map[string]int{
		"commit.before": 80, "commit.after": 80, "send.before": 6, "send.after": 6, "edit.final.before": 6, "edit.final.after": 6,
		"delivered.before": 6, "delivered.after": 6, "lease.before": 6, "lease.after": 6, "settle.before": 6, "settle.after": 6,
		"link.in.hello": 3, "link.in.accept": 6, "link.in.text": 30, "link.in.progress": 20, "link.in.done": 6, "link.in.beat": 20,
		"link.out.challenge": 3, "link.out.welcome": 3, "link.out.assign": 6, "link.out.ack": 6, "link.out.cancel": 1,
	}
	machineDooms = map[string]int{
		"agent.in.assign": 4, "agent.in.ack": 4, "agent.in.cancel": 1, "agent.out.accept": 4, "agent.out.text": 20, "agent.out.progress": 20,
		"agent.out.done": 4, "agent.out.beat": 10, "agent.put": 2, "agent.done": 4,
	}
)

// doomOf is the schedule: what happens to that life of that process. It depends on nothing but its arguments.
func doomOf(seed uint64, process string, life int) doom {
	r := seeded(seed, process, life)
	points, most := machineDooms, 120
	if process == "bot" {
		points, most = botDooms, 90
	}
	d := doom{events: 5 + r.IntN(most)}
	if r.IntN(3) > 0 {
		names := slices.Sorted(maps.Keys(points))
		name := names[r.IntN(len(names))]
		action := "kill"
		if process != "bot" && r.IntN(4) == 0 {
			action, d.wake = "pause", r.IntN(2) == 0
		}
		d.point = fmt.Sprintf("%s=%d:%s", name, 1+r.IntN(points[name]), action)
	}
	return d
}

// wish is what a visitor types, and how.
type wish struct {
	text  string
	twice bool // posted twice at the same time, as an impatient browser does
	stop  int  // Stop is pressed at the n-th event of its answer; 0: not
}

// wishOf is the schedule of visitors.
func wishOf(seed uint64, visitor string, n int) wish {
	r := seeded(seed, visitor, n)
	texts := []string{
		"/ask what is %s?", "/ask why does %s come after the one before?", "/translate to:es This is message %s of a busy evening.",
		"/imagine lighthouse %s at dusk aspect:1:1",
	}
	w := wish{text: fmt.Sprintf(texts[r.IntN(len(texts))], fmt.Sprintf("%s-%d", visitor, n)), twice: r.IntN(4) == 0}
	if r.IntN(5) == 0 {
		w.stop = 1 + r.IntN(6)
	}
	return w
}

func seeded(seed uint64, who string, n int) *rand.Rand {
	for _, c := range who {
		seed = seed*1099511628211 ^ uint64(c)
	}
	return rand.New(rand.NewPCG(seed, uint64(n)))
}

// The same seed gives the same schedule, another seed another.
func TestChaosScheduleReplaysFromItsSeed(t *testing.T) {
	same := 0
	for life := range 200 {
		for _, p := range []string{"bot", "machine-0"} {
			d, w := doomOf(7, p, life), wishOf(7, p, life)
			if d != doomOf(7, p, life) || w != wishOf(7, p, life) {
				t.Fatalf("life %d of %s differs from itself", life, p)
			}
			if d == doomOf(8, p, life) {
				same++
			}
		}
	}
	if same > 20 {
		t.Errorf("%d of 400 lives are the same for two seeds", same)
	}
	known := failpoint.Names()
	for _, points := range []map[string]int{botDooms, machineDooms} {
		for p := range points {
			if !slices.Contains(known, p) {
				t.Errorf("there is no fail point %s", p)
			}
		}
	}
}

// mortal is a process that is killed and started again.
type mortal struct {
	name    string
	program string
	args    []string
	environ []string
	log     string // file with what all its lives said
	life    int
	doom    doom
	born    int // events that the page had shown
	stopped bool
	spared  bool // stopped by us, gently
	safe    bool // nothing ends it
	cmd     *exec.Cmd
	before  func() // called before each life; may be nil
	died    func() // called after each death; may be nil
}

type (
	// ending is the end of a process.
	ending struct {
		who *mortal
		cmd *exec.Cmd
	}
	// remark is what a fail point said.
	remark struct {
		who  *mortal
		cmd  *exec.Cmd
		text string
	}
	// posting is a wish that the page has accepted.
	posting struct {
		wish
		visitor *visitor
		id      string
		final   chan struct{} // closed by the driver
	}
	// home is a visitor who will post no more in this round.
	home struct{}
)

// chaos is the driver: one loop, in the test's goroutine, to which everything that happens comes as a message.
type chaos struct {
	t        *testing.T
	k        *kitchen
	seed     uint64
	enough   int // kills
	dir      string
	ctx      context.Context
	saw      func(any) // hears everything that happens before the driver does; may be nil
	happened chan any

	bot      *mortal
	machines []*mortal
	visitors []*visitor
	wishes   []int // of each visitor, so far
	kills    int
	round    int
	reached  map[string]int // how the lives ended
	endings  map[string]int // what final answers said
	sorry    int            // apologies that the bot's log has not explained

	// Of the round.
	calm     bool
	calmed   chan struct{} // closed when calm becomes true
	atHome   int
	events   int
	last     int64
	messages map[string][]pageEvent // by message id
	answers  map[string][]string    // ids of what replied to a message
	asked    map[string]*posting
}

// Programs are killed at fail points and at any moment while visitors ask, and in the end nobody sees a difference.
func TestChaos(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("processes are stopped and continued by signals that only Unix has")
	}
	begun := time.Now()
	c := openChaos(t, *chaosSeed, *chaosKills)
	c.run()
	t.Logf("seed %d: %d kills in %d rounds, %v", c.seed, c.kills, c.round, time.Since(begun).Round(time.Second))
	t.Logf("how lives ended: %v", c.reached)
	t.Logf("final answers: %v", c.endings)
}

// run lets evenings pass until enough was killed.
func (c *chaos) run() {
	for c.kills < c.enough && !c.t.Failed() {
		c.evening()
	}
	for _, p := range append(slices.Clone(c.machines), c.bot) {
		c.end(p)
	}
}

func openChaos(t *testing.T, seed uint64, enough int) *chaos {
	dir, err := os.MkdirTemp("", "potluck-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &chaos{
		t: t, seed: seed, enough: enough, dir: dir, ctx: ctx, happened: make(chan any), reached: map[string]int{}, endings: map[string]int{}, messages: map[string][]pageEvent{},
		answers: map[string][]string{}, asked: map[string]*posting{}, wishes: make([]int, chaosVisitors),
	}
	t.Cleanup(func() {
		cancel()
		for _, p := range append(c.machines, c.bot) {
			if p != nil && p.cmd != nil {
				_ = p.cmd.Process.Kill() // it may have ended
			}
		}
		if t.Failed() {
			t.Logf("seed %d, round %d: everything is kept in %s; the same seed and number of kills run the schedule again", c.seed, c.round, dir)
			return
		}
		os.RemoveAll(dir)
	})
	environ := []string{
		"POTLUCK_WORKERS_HEARTBEAT=500ms", "POTLUCK_WORKERS_SILENCE=2s", "POTLUCK_WORKERS_LOST=300ms", "POTLUCK_WORKERS_RESTART_GRACE=2s",
		"POTLUCK_LIMITS_RUNNING=4", "POTLUCK_LIMITS_QUEUED=50", "POTLUCK_LIMITS_PER_MINUTE=100000", "POTLUCK_CREDITS_DAILY_PAGE=100000000",
		"POTLUCK_CREDITS_ESCROW=100ms",
	}
	k := &kitchen{t: t, data: filepath.Join(dir, "data"), addr: "127.0.0.1:0"}
	c.k = k
	k.startBot(environ...)
	k.operator = k.visit("Olga")
	k.operator.becomeOperator(k.bot.said(k.bot.out, `Be its operator: (\S+)`)[1])
	for n := range chaosVisitors {
		c.visitors = append(c.visitors, k.visit(fmt.Sprintf("visitor-%d", n)))
	}
	for n := range chaosMachines {
		w := &worker{k: k, dir: filepath.Join(dir, fmt.Sprintf("machine-%d", n))}
		write(t, filepath.Join(w.dir, "config.yaml"), demoKitchen)
		w.start(k.joinString(k.operator, fmt.Sprintf("machine-%d", n)).String())
		w.kill()
		c.machines = append(c.machines, &mortal{
			name: fmt.Sprintf("machine-%d", n), program: "potluck-worker", args: []string{"run", "-dir", w.dir}, environ: []string{"POTLUCK_WORKER_HASTE=20"},
			log: filepath.Join(dir, fmt.Sprintf("machine-%d.log", n)),
		})
	}
	if code := k.bot.stop(); code != 0 {
		t.Fatalf("the bot's exit code is %d", code)
	}
	for _, v := range k.visitors {
		v.close()
		for _, e := range v.seen {
			c.last = max(c.last, e.id)
		}
	}
	c.bot = &mortal{name: "bot", program: "potluck", args: []string{"serve"}, log: filepath.Join(dir, "bot.log"), environ: append(environ,
		"POTLUCK_DATA_DIR="+k.data, "POTLUCK_HTTP_ADDR="+k.addr, "POTLUCK_HTTP_PUBLIC_URL=http://10.0.0.1:8080")}
	return c
}

// evening is one round: visitors ask, processes die, then everything calms down and is looked at.
func (c *chaos) evening() {
	c.round++
	c.calm, c.calmed, c.atHome = false, make(chan struct{}), 0
	enough := min(c.kills+killsPerRound, c.enough)
	c.begin(c.bot)
	for _, m := range c.machines {
		if m.cmd == nil {
			c.begin(m)
		}
	}
	ctx, leave := context.WithCancel(c.ctx)
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		c.watch(ctx)
	}()
	for n := range c.visitors {
		go c.ask(n, c.calmed)
	}
	stuck := time.NewTimer(patience)
	defer stuck.Stop()
	for c.atHome < len(c.visitors) {
		if !c.calm && c.kills >= enough {
			c.becalm()
		}
		select {
		case h := <-c.happened:
			if c.take(h) {
				stuck.Reset(patience)
			}
		case <-stuck.C:
			c.fatal(leave, "nothing has happened for %v; without a final answer: %s", patience, c.unanswered())
		}
	}
	c.settle()
	leave()
	for done := false; !done; {
		select {
		case h := <-c.happened:
			c.take(h)
		case <-watching:
			done = true
		}
	}
	c.inspect()
}

func (c *chaos) fatal(leave func(), format string, args ...any) {
	c.t.Helper()
	leave()
	c.t.Fatalf("seed %d, round %d: "+format, append([]any{c.seed, c.round}, args...)...)
}

func (c *chaos) wrong(format string, args ...any) {
	c.t.Helper()
	c.t.Errorf("seed %d, round %d: "+format, append([]any{c.seed, c.round}, args...)...)
}

// take is the loop's only way to change anything; it tells whether something moved.
func (c *chaos) take(h any) bool {
	if c.saw != nil {
		c.saw(h)
	}
	switch h := h.(type) {
	case ending:
		c.ended(h)
	case remark:
		if h.who.cmd == h.cmd && strings.HasSuffix(h.text, ": pause") {
			c.paused(h.who)
		}
	case pageEvent:
		c.seen(h)
	case *posting:
		c.asked[h.id] = h
		c.finish(h)
	case home:
		c.atHome++
	}
	if c.calm {
		// Again and again: a fail point speaks a moment before it stops its process, so that one signal could come too early.
		for _, m := range c.machines {
			c.wake(m)
		}
	}
	return true
}

// begin starts the next life of a process.
func (c *chaos) begin(m *mortal) {
	m.life++
	m.doom, m.born, m.stopped, m.spared = doom{}, c.events, false, false
	if m.safe {
		m.doom.events = -1 // never
	} else if !c.calm {
		m.doom = doomOf(c.seed, m.name, m.life)
	}
	if m.before != nil {
		m.before()
	}
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		c.t.Fatal(err)
	}
	defer log.Close()
	fmt.Fprintf(log, "=== life %d: %+v\n", m.life, m.doom)
	cmd := exec.Command(binary(c.t, m.program), m.args...)
	cmd.Env = append(append(cleanEnviron(), m.environ...), failpoint.Variable+"="+m.doom.point)
	cmd.Stdout, cmd.WaitDelay = log, 5*time.Second
	cmd.Stderr = &listener{log: m.log, hear: func(text string) { c.tell(remark{m, cmd, text}) }}
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	m.cmd = cmd
	go func() {
		_ = cmd.Wait() // its state says how
		c.tell(ending{m, cmd})
	}()
}

func (c *chaos) tell(h any) {
	select {
	case c.happened <- h:
	case <-c.ctx.Done():
	}
}

// listener appends what a process says to a file and hands over what its fail points say.
type listener struct {
	log  string
	rest []byte
	hear func(string)
}

func (l *listener) Write(b []byte) (int, error) {
	f, err := os.OpenFile(l.log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			break
		}
		l.rest = rest
		if bytes.HasPrefix(line, []byte("failpoint ")) {
			l.hear(string(line))
		}
	}
	return f.Write(b)
}

func (c *chaos) ended(h ending) {
	m := h.who
	if m.cmd != h.cmd {
		return
	}
	m.cmd = nil
	status, _ := h.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGKILL {
		if !m.spared || status.ExitStatus() != 0 {
			c.wrong("life %d of the %s ended by itself: %v", m.life, m.name, h.cmd.ProcessState)
		}
		return
	}
	c.kills++
	if m.died != nil {
		m.died()
	}
	how, _, _ := strings.Cut(m.doom.point, "=")
	if c.events-m.born >= m.doom.events || how == "" {
		how = "any moment"
	}
	c.reached[m.name[:3]+" "+how]++
	if c.enough > 100 {
		fmt.Fprintf(os.Stderr, "kill %d, round %d: life %d of the %s at %s (%+v)\n", c.kills, c.round, m.life, m.name, how, m.doom)
	}
	c.begin(m)
}

// paused: a stopped process stands still until an event of the page continues or kills it. Two at a time would leave too few.
func (c *chaos) paused(m *mortal) {
	m.stopped = true
	c.reached[m.name[:3]+" stopped"]++
	others := slices.ContainsFunc(c.machines, func(o *mortal) bool { return o != m && o.stopped })
	switch {
	case c.calm:
		c.wake(m)
	case others:
		c.kill(m)
	}
}

func (c *chaos) wake(m *mortal) {
	if m.cmd != nil {
		m.stopped = false
		_ = m.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
	}
}

func (c *chaos) kill(m *mortal) {
	if m.cmd != nil {
		_ = m.cmd.Process.Kill() // it may have ended
	}
}

// seen takes an event of the page: visitors press Stop at some, processes die at some.
func (c *chaos) seen(e pageEvent) {
	c.last = max(c.last, e.id)
	c.events++
	if c.messages[e.ID] == nil && e.Bot && e.ReplyTo != "" {
		c.answers[e.ReplyTo] = append(c.answers[e.ReplyTo], e.ID)
	}
	c.messages[e.ID] = append(c.messages[e.ID], e)
	if p := c.asked[e.ReplyTo]; p != nil && e.Bot {
		c.finish(p)
		if n := len(c.messages[e.ID]); p.stop > 0 && n >= p.stop && !e.Final {
			for _, b := range e.Buttons {
				if b.Label == "Stop" {
					p.stop = 0
					go c.press(p.visitor, e.ID, b.ID)
				}
			}
		}
	}
	if c.calm {
		return
	}
	for _, m := range append([]*mortal{c.bot}, c.machines...) {
		switch {
		case m.cmd == nil || c.events-m.born != m.doom.events:
		case m.stopped && m.doom.wake:
			c.wake(m)
		default:
			c.kill(m)
		}
	}
}

// finish lets a visitor go on whose question has its final answer.
func (c *chaos) finish(p *posting) {
	if p.final == nil {
		return
	}
	for _, id := range c.answers[p.id] {
		if slices.ContainsFunc(c.messages[id], func(e pageEvent) bool { return e.Final }) {
			close(p.final)
			p.final = nil
			return
		}
	}
}

// becalm ends the killing: what is stopped goes on, what is armed may still die once.
func (c *chaos) becalm() {
	c.calm = true
	close(c.calmed)
}

func (c *chaos) unanswered() string {
	var b strings.Builder
	for id, p := range c.asked {
		if p.final != nil {
			fmt.Fprintf(&b, "\n  %s %q, shown %d messages", id, p.text, len(c.answers[id]))
			for _, a := range c.answers[id] {
				newest := c.messages[a][len(c.messages[a])-1]
				fmt.Fprintf(&b, ", %s %q", newest.kind, newest.Text)
			}
		}
	}
	return b.String()
}

// watch reads the page's events, over all lives of the bot, as a browser does.
func (c *chaos) watch(ctx context.Context) {
	v, last := c.visitors[0], c.last
	for ctx.Err() == nil {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.k.addr+"/webchat/events?chat=lobby&after="+strconv.FormatInt(last, 10), nil)
		if err != nil {
			return
		}
		res, err := v.client.Do(req)
		if err == nil && res.StatusCode == http.StatusOK {
			err = readEvents(res.Body, func(e pageEvent) {
				last = e.id
				c.tell(e)
			})
			if err != nil {
				c.t.Error(err)
			}
		}
		if err == nil {
			res.Body.Close()
		}
		pause(ctx)
	}
}

// pause is how long a browser waits before it tries again.
func pause(ctx context.Context) {
	t := time.NewTimer(30 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// post sends JSON until the page takes or refuses it, over all lives of the bot.
func (c *chaos) post(v *visitor, path string, body any) (id string, err error) {
	b, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	for c.ctx.Err() == nil {
		req, err := http.NewRequestWithContext(c.ctx, http.MethodPost, "http://"+c.k.addr+path, bytes.NewReader(b))
		if err != nil {
			return "", err
		}
		req.Header.Set("Content-Type", "application/json")
		res, err := v.client.Do(req)
		if err == nil {
			said, unread := io.ReadAll(res.Body)
			res.Body.Close()
			var answer struct{ ID string }
			switch {
			case unread != nil:
			case res.StatusCode/100 == 2 && json.Unmarshal(said, &answer) == nil:
				return answer.ID, nil
			case res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests:
				return "", fmt.Errorf("POST %s: %s %s", path, res.Status, said)
			}
		}
		pause(c.ctx)
	}
	return "", c.ctx.Err()
}

// ask is one visitor's evening: a wish after the other, until it is calm.
func (c *chaos) ask(n int, calmed <-chan struct{}) {
	defer c.tell(home{})
	v := c.visitors[n]
	for {
		select {
		case <-calmed:
			return
		default:
		}
		c.wishes[n]++
		w := wishOf(c.seed, fmt.Sprintf("visitor-%d", n), c.wishes[n])
		body := map[string]string{"chat": "lobby", "text": w.text, "nonce": fmt.Sprintf("%d-%d", c.seed, c.wishes[n])}
		again := make(chan string, 1)
		if w.twice {
			go func() {
				id, _ := c.post(v, "/webchat/messages", body)
				again <- id
			}()
		}
		id, err := c.post(v, "/webchat/messages", body)
		if err != nil {
			if c.ctx.Err() == nil {
				c.t.Errorf("seed %d: %v", c.seed, err)
			}
			return
		}
		if w.twice {
			if second := <-again; second != id && c.ctx.Err() == nil {
				c.t.Errorf("seed %d: the same message was posted as %s and as %s", c.seed, id, second)
			}
		}
		final := make(chan struct{})
		c.tell(&posting{wish: w, visitor: v, id: id, final: final})
		select {
		case <-final:
		case <-c.ctx.Done():
			return
		}
	}
}

func (c *chaos) press(v *visitor, message, action string) {
	_, _ = c.post(v, "/webchat/actions", map[string]string{"message": message, "action": action, "chat": "lobby"}) // the button may be gone
}

// settle waits until every machine is back and nothing is at work, and stops the bot gently.
func (c *chaos) settle() {
	c.t.Helper()
	stuck := time.NewTimer(patience)
	defer stuck.Stop()
	for quiet := false; !quiet; {
		asked := make(chan string, 1)
		go func() { asked <- c.metrics() }()
		said := ""
		for waiting := true; waiting; {
			select {
			case h := <-c.happened:
				c.take(h)
			case said = <-asked:
				waiting = false
				for _, m := range c.machines {
					c.wake(m)
				}
			case <-stuck.C:
				c.t.Fatalf("seed %d, round %d: it does not become quiet:\n%s", c.seed, c.round, c.metrics())
			}
		}
		quiet = strings.Contains(said, fmt.Sprintf("potluck_workers{state=\"online\"} %d\n", chaosMachines)) &&
			strings.Contains(said, "potluck_requests_unfinished 0\n") && !busy.MatchString(said)
	}
	for stopped := false; !stopped; {
		if c.bot.cmd != nil && !c.bot.spared {
			c.bot.spared = true
			_ = c.bot.cmd.Process.Signal(syscall.SIGTERM)
		}
		select {
		case h := <-c.happened:
			c.take(h)
			stopped = c.bot.cmd == nil
		case <-stuck.C:
			c.t.Fatalf("seed %d, round %d: the bot does not stop", c.seed, c.round)
		}
	}
}

// busy finds jobs that are in line or at work in what /metrics says.
var busy = regexp.MustCompile(`(?m)^potluck_jobs_(queued|running)\{.*\} [1-9]`)

func (c *chaos) metrics() string {
	pause(c.ctx)
	res, err := c.visitors[0].client.Get("http://" + c.k.addr + "/metrics")
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// end stops a process for good.
func (c *chaos) end(m *mortal) {
	if m.cmd == nil {
		return
	}
	m.spared = true
	_ = m.cmd.Process.Signal(syscall.SIGTERM)
	late := time.NewTimer(patience)
	defer late.Stop()
	for m.cmd != nil {
		select {
		case h := <-c.happened:
			c.take(h)
		case <-late.C:
			c.t.Fatalf("the %s does not stop", m.name)
		}
	}
}

// inspect looks at everything that a round has left.
func (c *chaos) inspect() {
	c.t.Helper()
	out, errs, code := execute(c.t, "potluck", []string{"POTLUCK_DATA_DIR=" + c.k.data}, "audit")
	if code != 0 || !strings.Contains(out, "every invariant holds") {
		c.wrong("audit: %d\n%s%s", code, out, errs)
	}
	for id, p := range c.asked {
		c.answeredOnce(id, p.text)
	}
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(c.k.data, "potluck.db")+"?mode=ro")
	if err != nil {
		c.t.Fatal(err)
	}
	defer db.Close()
	for what, query := range map[string]string{ // joins, for the history grows and a subquery would read all of it for each row
		"jobs are open":              `SELECT id FROM jobs WHERE state IN ('queued', 'leased')`,
		"attempts are open":          `SELECT job FROM attempts WHERE ended_ms IS NULL`,
		"requests are not delivered": `SELECT id FROM requests WHERE state != 'delivered'`,
		"done jobs were not paid once": `
			SELECT j.id FROM jobs j LEFT JOIN transactions x ON x.job = j.id AND x.kind = 'settle' WHERE j.state = 'done' GROUP BY j.id HAVING count(x.id) != 1`,
		"jobs have more than one end":         `SELECT job FROM transactions WHERE kind IN ('settle', 'refund') GROUP BY job HAVING count(*) != 1`,
		"jobs have more than one done try":    `SELECT job FROM attempts WHERE outcome = 'done' GROUP BY job HAVING count(*) != 1`,
		"requests have more than one job":     `SELECT substr(key, 1, instr(key, ':')) AS request FROM jobs GROUP BY request HAVING count(*) != 1`,
		"messages have more than one request": `SELECT source FROM requests GROUP BY chat, source HAVING count(*) != 1`,
		"questions have not one final answer": `
			SELECT q.id FROM page_messages q JOIN requests r ON r.source = q.id AND q.user != '' -- not a press on one of the bot's own
			LEFT JOIN page_messages a ON a.reply_to = q.id AND a.user != q.user AND NOT a.deleted GROUP BY q.id HAVING count(a.id) != 1 OR sum(a.final) != 1`,
		"messages of visitors have no request": `
			SELECT m.id FROM page_messages m LEFT JOIN requests r ON r.source = m.id WHERE m.reply_to = '' AND m.user != '' AND m.nonce LIKE 'v:%' AND r.id IS NULL`,
	} {
		if found := column(c.t, db, query); len(found) > 0 {
			c.wrong("%s: %v", what, found)
		}
	}
	c.blobs(db)
	for _, m := range append([]*mortal{c.bot}, c.machines...) {
		c.readLog(m)
	}
	if c.sorry > 0 {
		c.wrong("%d answers are apologies for no reason in the log", c.sorry)
	}
	c.sorry = 0
	for id := range c.asked {
		c.endings[said(c.messages[c.answers[id][0]])]++
	}
	c.messages, c.answers, c.asked = map[string][]pageEvent{}, map[string][]string{}, map[string]*posting{}
}

// said is the gist of a final answer.
func said(events []pageEvent) string {
	text := events[len(events)-1].Text
	for gist, sign := range map[string]string{"answer": "demonstration engine, not a language model", "picture": "lighthouse", "translation": "not a translation"} {
		if strings.Contains(text, sign) {
			if strings.Contains(text, "Stopped") {
				return gist + ", stopped"
			}
			return gist
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	return text[:min(len(text), 60)]
}

// answeredOnce checks what a visitor has seen of the answer to one message.
func (c *chaos) answeredOnce(id, text string) {
	c.t.Helper()
	if n := len(c.answers[id]); n != 1 {
		c.wrong("%d messages answer %s %q", n, id, text)
	}
	for _, a := range c.answers[id] {
		finals := 0
		for _, e := range c.messages[a] {
			switch {
			case e.kind == "delete":
				c.wrong("the answer to %q was deleted", text)
			case e.Final:
				finals++
			case finals > 0:
				c.wrong("the answer to %q changed after its final: %q", text, e.Text)
			}
			if e.Final && strings.Contains(e.Text, "Something went wrong on my side") {
				c.sorry++
			}
		}
		if finals == 0 {
			c.wrong("the answer to %q never became final", text)
		}
		final := c.messages[a][len(c.messages[a])-1].Text
		if n := strings.Count(final, "This is Potluck's demonstration engine"); n > 1 {
			c.wrong("the answer to %q holds its text %d times", text, n)
		}
	}
	if posted := len(c.messages[id]); posted != 1 {
		c.wrong("%q was shown %d times", text, posted)
	}
}

// column returns the first texts of a query's only column.
func column(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	return everything(t, db, query+" LIMIT 20")
}

func everything(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatalf("%v in %s", err, query)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// blobs checks that no picture of a worker is left but those of ended jobs whose erasing a kill has put off: they go within 15 minutes.
func (c *chaos) blobs(db *sql.DB) {
	c.t.Helper()
	files, err := os.ReadDir(filepath.Join(c.k.data, "blobs"))
	if err != nil {
		c.t.Fatal(err)
	}
	for _, f := range files {
		lease, _, _ := strings.Cut(f.Name(), "-")
		var outcome sql.NullString
		var state string
		var erased int
		err := db.QueryRow(`SELECT a.outcome, j.state, j.erased FROM attempts a JOIN jobs j ON j.id = a.job WHERE a.lease = ?`, lease).Scan(&outcome, &state, &erased)
		if errors.Is(err, sql.ErrNoRows) || err == nil && (outcome.String != "done" || erased == 1) {
			c.wrong("a picture is left: %s, outcome %q, job %s, erased %d, %v", f.Name(), outcome.String, state, erased, err)
		} else if err != nil {
			c.t.Fatal(err)
		}
	}
}

// readLog looks for what no program may say, and forgets what was read.
func (c *chaos) readLog(m *mortal) {
	c.t.Helper()
	b, err := os.ReadFile(m.log)
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, `err="the process died `) { // a request under which the bot dies again and again is given up, with an apology
			c.sorry--
		} else if strings.Contains(line, "panic") || strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "fatal error") {
			c.wrong("the %s said: %s", m.name, line)
		}
	}
	if !c.t.Failed() {
		if err := os.Truncate(m.log, 0); err != nil {
			c.t.Fatal(err)
		}
	}
}
