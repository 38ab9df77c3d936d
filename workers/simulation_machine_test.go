package workers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"potluck/workers/protocol"
)

// machine is a worker of the world. It outlives its connections.
type machine struct {
	w    *world
	i    int
	id   int64
	key  ed25519.PrivateKey
	lies int // per cent of jobs that go wrong in some way

	mu      sync.Mutex
	conn    *websocket.Conn // nil while away
	token   string
	net     *pipes
	running map[string]*task
}

type task struct {
	assign  protocol.Assign
	attempt int
	stop    context.CancelFunc
	final   *protocol.Event
	text    string
	seq     int
	on      *websocket.Conn // where its text was told last: anywhere else it begins with the whole
}

func (w *world) enlist(i int) *machine {
	r := w.dice("machine", i)
	seed := sha256.Sum256(fmt.Appendln(nil, "machine", i))
	m := &machine{w: w, i: i, key: ed25519.NewKeyFromSeed(seed[:]), running: map[string]*task{}, lies: []int{0, 20, 50, 90}[r.IntN(4)]}
	ctx := context.Background()
	code := sha256.Sum256(fmt.Append(nil, "code", i))
	owner, _ := w.kept.Member(i + 2) // some owners ask, too
	if r.IntN(3) == 0 {
		w.kept.MakeOperator(owner)
	}
	if err := w.kept.SaveJoinCode(ctx, code, owner, fmt.Sprint("box ", i), true, time.Now().Add(protocol.JoinLifetime)); err != nil {
		w.t.Fatal(err)
	}
	row, err := w.kept.Enrol(ctx, code, m.key.Public().(ed25519.PublicKey), protocol.Hardware{}, 20, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	m.id = row.ID
	return m
}

// live is a machine's evening: on, off, on again.
func (m *machine) live() {
	r := m.w.dice("life", m.i)
	m.w.pass(between(r, 0, 5*time.Second))
	forget := -1
	if r.IntN(10) == 0 {
		forget = r.IntN(60)
	}
	for life := 0; ; life++ {
		ctx, cancel := context.WithCancel(context.Background())
		end := time.AfterFunc(between(r, time.Second, 4*time.Minute), cancel)
		go func() {
			select {
			case <-m.w.over:
				cancel()
			case <-ctx.Done():
			}
		}()
		if err := m.connect(ctx, r); err != nil {
			m.w.note("machine %d: %v", m.i, err)
			if strings.Contains(err.Error(), protocol.ByeRevoked) {
				end.Stop()
				cancel()
				return
			}
		}
		end.Stop()
		cancel()
		if forget >= 0 && life >= forget%3 { // a process that was killed knows nothing of its jobs
			m.dropAll()
		}
		if !m.w.pass(between(r, 200*time.Millisecond, 12*time.Second)) {
			m.dropAll()
			return
		}
	}
}

func (m *machine) dropAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for lease, t := range m.running {
		t.stop()
		delete(m.running, lease)
	}
}

func (m *machine) offers(r *rand.Rand) []protocol.Offer {
	all := slices.Clone(allOffers)
	if r.IntN(3) == 0 {
		all = slices.Delete(all, 1, 2)
	}
	all = append(all, protocol.Offer{Kind: protocol.Chat, Engine: "openai", Model: "qwen2.5:7b", Context: 4096, Loaded: r.IntN(2) == 0})
	return all
}

// connect is one connection, from dialling to its end.
func (m *machine) connect(ctx context.Context, r *rand.Rand) error {
	m.w.mu.Lock()
	p := m.w.net
	m.w.mu.Unlock()
	if p == nil {
		return errors.New("nobody there")
	}
	dialCtx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, challenge, nonce, err := m.dial(dialCtx, p)
	if err != nil {
		return err
	}
	defer conn.CloseNow()
	hello := m.hello(challenge, nonce, r)
	if !m.w.pass(between(r, time.Millisecond, 300*time.Millisecond)) {
		return nil
	}
	write(ctx, conn, hello)
	_, data, err := conn.Read(dialCtx)
	if err != nil {
		return errors.New("no welcome")
	}
	switch f, _ := protocol.Decode(data); f := f.(type) {
	case protocol.Welcome:
		m.welcome(conn, p, f)
	case protocol.Bye:
		return errors.New("bye " + f.Code)
	default:
		return fmt.Errorf("%T for a welcome", f)
	}
	m.w.note("machine %d is on", m.i)
	half := r.IntN(12) == 0 // half-open: after a while nothing comes through any more, and nobody closes anything
	deaf := time.Now().Add(between(r, time.Second, 30*time.Second))
	alive := func() bool { return !half || time.Now().Before(deaf) }
	go m.beat(ctx, conn, between(r, 4900*time.Millisecond, 5*time.Second), hello.Slots, alive)
	err = m.listen(ctx, conn, r, alive)
	m.mu.Lock()
	if m.conn == conn {
		m.conn = nil
	}
	m.mu.Unlock()
	conn.CloseNow()
	m.w.note("machine %d is off", m.i)
	return err
}

// dial opens a connection and returns the pool's challenge and the machine's own nonce.
func (m *machine) dial(ctx context.Context, p *pipes) (*websocket.Conn, protocol.Challenge, []byte, error) {
	nonce := make([]byte, 32)
	q := url.Values{"v": {"1"}, "key": {base64.RawURLEncoding.EncodeToString(m.public())}, "nonce": {base64.RawURLEncoding.EncodeToString(nonce)}}
	client := &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}
	conn, _, err := websocket.Dial(ctx, "http://pool"+protocol.Path+"?"+q.Encode(), &websocket.DialOptions{HTTPClient: client})
	if err != nil {
		return nil, protocol.Challenge{}, nil, errors.New("not dialled")
	}
	conn.SetReadLimit(protocol.MaxAssign)
	if _, data, err := conn.Read(ctx); err == nil {
		if f, _ := protocol.Decode(data); f != nil {
			if c, ok := f.(protocol.Challenge); ok {
				return conn, c, nonce, nil
			}
		}
	}
	conn.CloseNow()
	return nil, protocol.Challenge{}, nil, errors.New("no challenge")
}

func (m *machine) public() ed25519.PublicKey { return m.key.Public().(ed25519.PublicKey) }

// hello says who the machine is, what it can do this time, and which jobs it still runs.
func (m *machine) hello(c protocol.Challenge, nonce []byte, r *rand.Rand) protocol.Hello {
	hello := protocol.Hello{
		Protocol: 1, Slots: 1 + r.IntN(3), Program: "sim", Paused: r.IntN(15) == 0, Offers: m.offers(r),
		Signature: ed25519.Sign(m.key, protocol.Transcript(protocol.RoleWorker, 1, c.Nonce, nonce, c.Key, m.public())),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for lease, t := range m.running {
		hello.Running = append(hello.Running, protocol.Running{Lease: lease, Attempt: t.attempt})
	}
	return hello
}

// beat sends heartbeats as long as the connection is used and anything comes through.
func (m *machine) beat(ctx context.Context, conn *websocket.Conn, pace time.Duration, slots int, alive func() bool) {
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		if alive() {
			m.mu.Lock()
			free := slots - len(m.running)
			m.mu.Unlock()
			m.send(conn, protocol.Beat{Free: max(free, 0)})
		}
	}
}

// listen does what the pool says until the connection ends; the error says that the machine may not come back.
func (m *machine) listen(ctx context.Context, conn *websocket.Conn, r *rand.Rand, alive func() bool) error {
	for ctx.Err() == nil { // what came before the end and is read after it would be heard or not by chance
		_, data, err := conn.Read(ctx)
		if err != nil {
			return nil
		}
		if !alive() {
			m.w.seen("half-open")
			<-ctx.Done()
			return nil
		}
		f, _ := protocol.Decode(data)
		m.w.note("machine %d is sent a %T", m.i, f)
		<-time.After(between(m.w.dice("wire", m.i, r.Uint64()), 0, 30*time.Millisecond))
		if b, ok := f.(protocol.Bye); ok {
			m.w.note("machine %d: bye %s", m.i, b.Code)
			if b.Code == protocol.ByeRevoked {
				return errors.New(b.Code)
			}
			return nil
		}
		m.hear(conn, f)
	}
	return nil
}

func write(ctx context.Context, conn *websocket.Conn, f protocol.Frame) {
	b, err := protocol.Encode(f)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_ = conn.Write(ctx, websocket.MessageText, b)
}

func (m *machine) send(conn *websocket.Conn, f protocol.Frame) {
	if conn != nil {
		write(context.Background(), conn, f)
	}
}

// tell sends on whatever connection there is.
func (m *machine) tell(f protocol.Frame) {
	m.mu.Lock()
	conn := m.conn
	m.mu.Unlock()
	m.send(conn, f)
}

func (m *machine) welcome(conn *websocket.Conn, p *pipes, f protocol.Welcome) {
	m.mu.Lock()
	m.conn, m.net, m.token = conn, p, f.Token
	var again []protocol.Event
	var names []string
	for lease, t := range m.running {
		switch {
		case !slices.Contains(f.Adopted, lease):
			t.stop()
			delete(m.running, lease)
		case t.final != nil:
			again = append(again, *t.final)
			names = append(names, t.tag())
		default:
			m.w.seen("adopted")
			if t.text != "" {
				t.seq++
				again = append(again, protocol.Event{Lease: lease, Seq: t.seq, Kind: protocol.EventText, Text: t.text, Reset: true})
				names = append(names, t.tag())
			}
		}
	}
	m.mu.Unlock()
	// In an order that the seed decides, not the map.
	at := make([]int, len(again))
	for i := range at {
		at[i] = i
	}
	slices.SortFunc(at, func(a, b int) int { return strings.Compare(names[a], names[b]) })
	for _, i := range at {
		<-time.After(between(m.w.dice("again", m.i, names[i]), 0, time.Millisecond))
		m.send(conn, again[i])
	}
}

func (t *task) tag() string {
	switch a := t.assign; {
	case a.Chat != nil:
		return a.Chat.Messages[0].Text
	case a.Image != nil:
		return a.Image.Prompt
	default:
		return a.Translate.Segments[0][0].Text
	}
}

func (m *machine) hear(conn *websocket.Conn, f protocol.Frame) {
	switch f := f.(type) {
	case protocol.Assign:
		t := &task{assign: f, attempt: f.Attempt}
		var ctx context.Context
		ctx, t.stop = context.WithCancel(context.Background())
		m.mu.Lock()
		m.running[f.Lease] = t
		m.mu.Unlock()
		m.w.mu.Lock()
		m.w.leases = append(m.w.leases, f.Lease+fmt.Sprintf("%s/%d", t.tag(), f.Attempt))
		at, gone := m.w.revoked[m.i]
		m.w.mu.Unlock()
		if gone && time.Since(at) > 5*time.Second {
			m.w.wrong("machine %d got %s after it was revoked", m.i, t.tag())
		}
		m.w.note("machine %d: assigned %s attempt %d", m.i, t.tag(), f.Attempt)
		m.w.tasks.Go(func() { m.work(ctx, t) })
	case protocol.Cancel:
		m.drop(f.Lease)
	case protocol.Ack:
		m.drop(f.Lease)
	}
}

func (m *machine) drop(lease string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if t := m.running[lease]; t != nil {
		t.stop()
		delete(m.running, lease)
	}
}

// tricks are what may go wrong with a job, some more often than others.
var tricks = []string{
	"refuse", "refuse", "engine", "engine", "overload", "request", "blocked", "too long", "silent", "mute", "nonsense", "nonsense", "empty", "twice", "late", "thief",
	"cut", "cut", "cut", "pause", "reorder", "missing",
}

// faults are the tricks that end in an error after all the work.
var faults = map[string]string{
	"engine": protocol.FaultEngine, "request": protocol.FaultRequest, "blocked": protocol.FaultBlocked, "too long": protocol.FaultTooLong,
}

// A stint is a machine at one job.
type stint struct {
	*machine
	t     *task
	ctx   context.Context // ends when the job is taken away
	r     *rand.Rand
	trick string // "" for honest work
}

// work does a job, or what this machine makes of it.
func (m *machine) work(ctx context.Context, t *task) {
	s := stint{machine: m, t: t, ctx: ctx, r: m.w.dice("work", m.i, t.tag(), t.attempt)}
	if s.r.IntN(100) < m.lies {
		s.trick = tricks[s.r.IntN(len(tricks))]
	}
	m.w.seen("trick " + s.trick)
	if s.wait(0, 200*time.Millisecond) && s.accepts() && s.streams() && s.wait(10*time.Millisecond, 6*time.Second) {
		s.ends()
	}
}

// wait passes some time; false when the job was taken away first.
func (s stint) wait(low, high time.Duration) bool {
	select {
	case <-time.After(between(s.r, low, high)):
		return true
	case <-s.ctx.Done():
		return false
	}
}

func (s stint) fails(whose string) {
	s.finish(s.t, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: whose}})
}

// accepts tells whether the machine goes on with the job after it was heard of.
func (s stint) accepts() bool {
	lease := s.t.assign.Lease
	switch s.trick {
	case "refuse":
		s.tell(protocol.Refuse{Lease: lease, Reason: []string{protocol.ReasonBusy, protocol.ReasonModel, protocol.ReasonPolicy, protocol.ReasonPaused}[s.r.IntN(4)]})
		s.drop(lease)
		return false
	case "mute":
		return false
	case "overload":
		s.fails(protocol.FaultOverload)
		return false
	}
	s.tell(protocol.Accept{Lease: lease})
	return s.trick != "silent"
}

// streams sends what comes before a result; false when the job was taken away meanwhile.
func (s stint) streams() bool {
	pieces := s.r.IntN(6)
	for k := range pieces {
		if !s.wait(10*time.Millisecond, 4*time.Second) {
			return false
		}
		if s.t.assign.Chat == nil {
			s.event(s.t, protocol.Event{Kind: protocol.EventProgress, Fraction: float64(k) / 6})
			continue
		}
		s.word(k == 0)
		if s.trick == "cut" && k == pieces/2 {
			s.cut()
		}
		if s.trick == "reorder" {
			s.mu.Lock()
			s.t.seq -= 2
			s.mu.Unlock()
		}
	}
	return true
}

func (s stint) word(first bool) {
	word := "word "
	switch {
	case s.trick == "nonsense":
		word = "nonsense "
	case first:
		word = s.t.tag() + " "
	}
	s.mu.Lock()
	s.t.text += word
	s.mu.Unlock()
	s.event(s.t, protocol.Event{Kind: protocol.EventText, Text: word})
}

func (s stint) cut() {
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if conn != nil {
		s.w.note("machine %d is cut", s.i)
		conn.CloseNow()
	}
}

// ends brings the job to its end, or what the machine takes for one.
func (s stint) ends() {
	if whose := faults[s.trick]; whose != "" {
		s.fails(whose)
		return
	}
	switch s.trick {
	case "pause":
		s.pauses()
	case "late": // a cancelled machine that goes on all the same
		s.w.pass(time.Duration(s.t.assign.DeadlineMS)*time.Millisecond + between(s.r, 0, 5*time.Second))
	case "thief":
		s.steals()
	}
	d, ok := s.result()
	if !ok {
		return
	}
	s.finish(s.t, protocol.Event{Kind: protocol.EventDone, Done: &d})
	if s.trick == "twice" || s.trick == "late" {
		<-time.After(between(s.r, 0, 3*time.Second))
		s.finish(s.t, protocol.Event{Kind: protocol.EventDone, Done: &d})
	}
}

func (s stint) pauses() {
	s.tell(protocol.Pause{Reason: "a game"})
	s.w.tasks.Go(func() {
		if s.w.pass(between(s.w.dice("pause", s.i, s.t.tag()), time.Second, 20*time.Second)) {
			s.tell(protocol.Resume{})
		}
	})
}

// steals sends results for what others have leased.
func (s stint) steals() {
	s.w.mu.Lock()
	others := slices.Clone(s.w.leases)
	s.w.mu.Unlock()
	for _, other := range others[max(0, len(others)-5):] {
		if other = other[:32]; other != s.t.assign.Lease {
			s.tell(protocol.Event{Lease: other, Seq: 1000, Kind: protocol.EventDone, Done: &protocol.Done{Text: "stolen"}})
		}
	}
}

// result is what the machine answers, its pictures sent; false when the job was taken away meanwhile.
func (s stint) result() (d protocol.Done, ok bool) {
	d.Finish = "stop"
	answer := s.t.tag() + " from machine " + strconv.Itoa(s.i)
	switch s.trick {
	case "nonsense":
		answer = "nonsense"
	case "empty":
		answer = ""
	}
	switch a := s.t.assign; {
	case a.Chat != nil:
		d.Text = answer
	case a.Translate != nil:
		d.Segments = [][]protocol.Piece{{{Keep: 1}, {Text: answer}}, {{Text: "segundo"}}}
		if s.trick == "missing" {
			d.Segments[0] = d.Segments[0][1:]
		}
	case a.Image != nil:
		d.Blobs = max(a.Image.Count, 1)
		for n := range d.Blobs {
			if s.trick == "missing" && n == 0 {
				continue
			}
			s.put(a.Lease, n+1, answer)
			if !s.wait(time.Millisecond, 20*time.Millisecond) {
				return d, false
			}
		}
	}
	return d, true
}

func (m *machine) event(t *task, e protocol.Event) {
	m.mu.Lock()
	t.seq++
	e.Lease, e.Seq = t.assign.Lease, t.seq
	conn := m.conn
	if e.Kind == protocol.EventText && t.on != conn {
		e.Text, e.Reset, t.on = t.text, true, conn
	}
	m.mu.Unlock()
	m.send(conn, e)
}

// finish keeps the final event until it is acknowledged.
func (m *machine) finish(t *task, e protocol.Event) {
	m.mu.Lock()
	t.seq++
	e.Lease, e.Seq = t.assign.Lease, t.seq
	t.final = &e
	m.mu.Unlock()
	m.tell(e)
}

func (m *machine) put(lease string, n int, body string) {
	m.mu.Lock()
	p, token := m.net, m.token
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://pool"+protocol.BlobPath+lease+"/"+strconv.Itoa(n), bytes.NewReader([]byte(body)))
	if err != nil {
		panic(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	client := &http.Client{Transport: &http.Transport{DialContext: p.dial, DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}
