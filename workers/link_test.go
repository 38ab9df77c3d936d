package workers

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"potluck/community"
	"potluck/faketime"
	"potluck/fault"
	"potluck/workers/protocol"
)

// stranger is a worker with a key that the server has never seen.
func (b *bed) stranger() *hand {
	h := b.enlist(0)
	b.store.mu.Lock()
	defer b.store.mu.Unlock()
	b.store.workers = b.store.workers[:len(b.store.workers)-1]
	return h
}

func (h *hand) join(code string) *hand {
	h.t.Helper()
	return h.connect(func(hello *protocol.Hello) { hello.JoinCode = code })
}

func (h *hand) refused(code string) {
	h.t.Helper()
	if h.bye == nil || h.bye.Code != code {
		h.t.Fatalf("answered %+v, want bye %s", h.bye, code)
	}
}

func TestJoinCodeWorksOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		join, expires, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "GPU\u202e box\n", true)
		if err != nil || time.Until(expires) != protocol.JoinLifetime {
			t.Fatalf("link: %v, expires %v", err, expires)
		}
		if parsed, err := protocol.ParseJoin(join.String()); err != nil || parsed != join {
			t.Fatalf("join string: %v", err)
		}
		if join.Fingerprint != protocol.Fingerprint(b.cfg.ServerKey.Public().(ed25519.PublicKey)) {
			t.Error("foreign fingerprint")
		}
		h := b.stranger().join(strings.ToLower(join.Code[:4] + "-" + join.Code[4:]))
		if h.bye != nil || h.welcome.Name != "GPU box" || h.welcome.Owner != "Rita" {
			t.Fatalf("joined with %+v %+v", h.bye, h.welcome)
		}
		h.close()
		b.stranger().join(join.Code).refused(protocol.ByeBadCode)
		again := h.connect() // by its key alone
		if again.bye != nil || again.welcome.Worker != 1 {
			t.Fatalf("came back as %+v %+v", again.bye, again.welcome)
		}
		again.close()

		late, _, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "late", true)
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(protocol.JoinLifetime)
		b.stranger().join(late.Code).refused(protocol.ByeBadCode)
		if ws, err := b.pool.Workers(t.Context(), 9); err != nil || len(ws) != 1 {
			t.Errorf("workers %v, %v", ws, err)
		}
	})
}

func TestGuessedCodesAreStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		join, _, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "box", true)
		if err != nil {
			t.Fatal(err)
		}
		for range b.cfg.JoinTries {
			b.stranger().join("00000000").refused(protocol.ByeBadCode)
		}
		b.stranger().join(join.Code).refused(protocol.ByeBadCode) // right, but too late: the answer does not tell
		<-time.After(time.Minute)
		h := b.stranger().join(join.Code)
		if h.bye != nil {
			t.Fatalf("after a minute: %+v", h.bye)
		}
		h.close()
	})
}

func TestTooManyWorkers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		for range b.cfg.MaxPerOwner {
			b.enlist(9)
		}
		join, _, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "box", true)
		if err != nil {
			t.Fatal(err)
		}
		h := b.enlist(8)
		b.store.workers = slices.DeleteFunc(b.store.workers, func(w *Worker) bool { return w.Owner == 8 })
		h.join(join.Code).refused(protocol.ByeTooMany)
	})
}

func TestLinkNeedsAReachableAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.pool.cfg.AllowLoopback = false
		if _, _, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "box", true); !fault.Has(err, fault.PublicURL) {
			t.Errorf("got %v", err)
		}
	})
}

// The operator of a Potluck on one machine was told to ask the operator for an address.
func TestOperatorMayLinkAWorkerOnTheSameMachine(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.pool.cfg.AllowLoopback = false
		join, _, err := b.pool.Link(t.Context(), community.Member{ID: 9, Operator: true}, "box", true)
		if err != nil || join.Server != b.pool.cfg.PublicURL {
			t.Errorf("got %+v %v", join, err)
		}
	})
}

func TestWhoIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.stranger().connect().refused(protocol.ByeBadSignature)
		h := b.enlist(9)
		h.connect(func(f *protocol.Hello) { f.Signature[0]++ }).refused(protocol.ByeBadSignature)
		h.connect(func(f *protocol.Hello) { f.Signature = nil }).refused(protocol.ByeBadSignature)
		h.connect(func(f *protocol.Hello) { f.Protocol = 2 }).refused(protocol.ByeProtocol)
		h.connect(func(f *protocol.Hello) { f.Slots = protocol.MaxSlots + 1 }).refused(protocol.ByeProtocol)
		h.connect(func(f *protocol.Hello) { f.Offers = make([]protocol.Offer, protocol.MaxOffers+1) }).refused(protocol.ByeProtocol)
		h.connect(func(f *protocol.Hello) { f.Offers[0].Model = "evil\nname" }).refused(protocol.ByeProtocol)
		for _, q := range []string{"", "?v=1&key=AA&nonce=AA", "?v=9"} {
			resp, err := b.client.Get("http://pool" + protocol.Path + q)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%q: %d", q, resp.StatusCode)
			}
		}
	})
}

func TestSilentStrangerIsCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		key := make([]byte, 32)
		e := base64.RawURLEncoding
		q := url.Values{"v": {"1"}, "key": {e.EncodeToString(key)}, "nonce": {e.EncodeToString(key)}}
		var conns []*websocket.Conn
		for range strangersPerAddress {
			c, _, err := websocket.Dial(t.Context(), "http://pool"+protocol.Path+"?"+q.Encode(), &websocket.DialOptions{HTTPClient: b.client})
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, c)
		}
		_, resp, err := websocket.Dial(t.Context(), "http://pool"+protocol.Path+"?"+q.Encode(), &websocket.DialOptions{HTTPClient: b.client})
		if err == nil || resp == nil || resp.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("one too many: %v", err)
		}
		began := time.Now()
		for _, c := range conns {
			for err = nil; err == nil; {
				_, _, err = c.Read(t.Context())
			}
			c.CloseNow()
		}
		if d := time.Since(began); d != protocol.HelloTimeout {
			t.Errorf("cut off after %v", d)
		}
	})
}

func TestBlobsNeedTheToken(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		thief := b.enlist(8).connect()
		defer thief.close()
		defer h.close()
		j := asked("r1", 9)
		j.Kind, j.Chat, j.Image = protocol.Image, nil, &protocol.ImageJob{Width: 64, Height: 64, Steps: 4, Count: 1}
		b.do(j)
		a := h.take()
		good := h.welcome.Token
		for token, status := range map[string]int{"": 401, "1.": 401, good[:len(good)-1]: 401, "x" + good: 401, thief.welcome.Token: 404, good: 204} {
			h.welcome.Token = token
			if got := h.put(a.Lease, 1, []byte("p")); got != status {
				t.Errorf("token of %d bytes: %d, want %d", len(token), got, status)
			}
		}
	})
}

func TestFloodingWorkerIsCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9).connect()
		defer h.close()
		for range 2*protocol.FramesPerSec + 1 {
			h.send(protocol.Beat{Free: 1})
		}
		if f := want[protocol.Bye](h); f.Code != protocol.ByeProtocol {
			t.Errorf("bye %s", f.Code)
		}
	})
}

func TestWorkerSpeaksOnlyOfItsOwnLeases(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		a := h.take()
		thief := b.enlist(8).connect(func(f *protocol.Hello) { f.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		defer thief.close()
		if len(thief.welcome.Adopted) != 0 {
			t.Error("a foreign lease was adopted")
		}
		thief.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "stolen"})
		thief.done(a.Lease, protocol.Done{Text: "stolen"})
		want[protocol.Ack](thief)
		h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "mine"})
		h.seq--
		h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: " twice"}) // the same seq again
		faketime.Wait()
		if c.lastText() != "mine" {
			t.Errorf("text %q", c.lastText())
		}
		h.done(a.Lease, protocol.Done{Text: "mine"})
		if res := c.ok(); res.Worker != 1 || res.Text != "mine" {
			t.Errorf("result %+v", res)
		}
	})
}

func TestReconnectTakesOverFromAnOpenConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		c := b.do(asked("r1", 1))
		a := h.take()
		h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "one "})
		faketime.Wait()
		old := *h
		h.connect(func(f *protocol.Hello) { f.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		defer h.close()
		if f := want[protocol.Bye](&old); f.Code != protocol.ByeReplaced {
			t.Errorf("bye %s", f.Code)
		}
		h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: "two"})
		faketime.Wait()
		if c.lastText() != "one two" {
			t.Errorf("text %q", c.lastText())
		}
		h.done(a.Lease, protocol.Done{Text: "one two"})
		c.ok()
		if got := b.store.history(); !slices.Equal(got, []Outcome{OutcomeDone}) {
			t.Errorf("attempts ended %v", got)
		}
	})
}

func TestEndlessAnswerIsStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		c := b.do(asked("r1", 1))
		a := h.take()
		for range 3 {
			h.say(a.Lease, protocol.Event{Kind: protocol.EventText, Text: strings.Repeat("x", protocol.MaxText/2)})
		}
		if f := want[protocol.Cancel](h); f.Lease != a.Lease {
			t.Error("wrong lease")
		}
		c.cancel(fault.New(fault.Cancelled))
		c.fails(fault.Cancelled)
		if got := b.store.history(); got[0] != OutcomeRejected {
			t.Errorf("attempts ended %v", got)
		}
	})
}

// "Last seen" was when a machine came, however long it stayed.
func TestLastSeenIsTheLastSignOfLife(t *testing.T) {
	leaves := map[string]func(b *bed, h *hand){
		"with a word":  func(_ *bed, h *hand) { h.send(protocol.Bye{Code: protocol.ByeShutdown}) },
		"silently":     func(_ *bed, h *hand) { h.close() },
		"with the bot": func(b *bed, _ *hand) { b.end(); b.begin() },
	}
	for how, leave := range leaves {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bed) {
				h := b.decided().enlist(9).connect()
				defer h.close()
				var last time.Time
				for range 2 {
					<-time.After(5 * time.Second)
					last = time.Now()
					h.send(protocol.Beat{Free: 1})
				}
				<-time.After(3 * time.Second)
				leave(b, h)
				faketime.Wait()
				if got := b.store.lastSeen(1); !got.Equal(last) {
					t.Errorf("seen %v after its last beat, want 0 s", got.Sub(last))
				}
			})
		})
	}
}

func TestPauseDrainAndOverview(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		defer h.close()
		state := func(want WorkerState) Overview {
			t.Helper()
			faketime.Wait()
			v := b.pool.Overview()
			if len(v.Workers) != 1 || v.Workers[0].State != want {
				t.Fatalf("workers %+v, want one that is %s", v.Workers, want)
			}
			return v
		}
		v := state(Online)
		if len(v.Models) != 3 || len(v.Pairs) != 1 || v.Pairs[0].Quality != protocol.Postable || v.Workers[0].ShownName != "Rita's RTX 3060" {
			t.Errorf("overview %+v", v)
		}
		h.send(protocol.Pause{Reason: "a game"})
		if v := state(Paused); len(v.Models) != 0 || v.Workers[0].Reason != "a game" {
			t.Errorf("overview %+v", v)
		}
		b.do(asked("r1", 1)).fails(fault.NoWorker)
		h.send(protocol.Resume{})
		state(Online)
		c := b.do(asked("r2", 1))
		a := h.take()
		h.send(protocol.Drain{})
		state(Draining)
		if n := b.pool.Stats().Running[protocol.Chat]; n != 1 {
			t.Errorf("%d running", n)
		}
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		want[protocol.Ack](h)
		h.send(protocol.Bye{Code: protocol.ByeShutdown})
		faketime.Wait()
		if v := b.pool.Overview(); len(v.Workers) != 0 {
			t.Errorf("still there: %+v", v.Workers)
		}
		if st := b.pool.Stats(); st.Attempts[OutcomeDone] != 1 || st.Settled != 1 {
			t.Errorf("stats %+v", st)
		}
	})
}

func TestUnclaimedResultIsNeitherPaidNorKept(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		b.do(asked("r1", 1))
		a := h.take()
		faketime.Wait()
		b.end()
		b.begin()
		h.connect(func(f *protocol.Hello) { f.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		h.done(a.Lease, protocol.Done{Text: "ok"})
		faketime.Wait()
		h.close()
		<-time.After(6 * time.Minute)
		b.do(asked("r1", 1)).fails(fault.Expired)
		b.settledOnce(1)
		if b.store.earned[9] != 0 || b.store.balance[1] != 0 {
			t.Errorf("earned %v, balance %v", b.store.earned[9], b.store.balance[1])
		}
	})
}

func TestResultIsClaimedAfterItsWorkerLeft(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		b.do(asked("r1", 1))
		a := h.take()
		faketime.Wait()
		b.end()
		b.begin()
		h.connect(func(f *protocol.Hello) { f.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		h.done(a.Lease, protocol.Done{Text: "ok"})
		faketime.Wait()
		h.close()
		<-time.After(time.Minute)
		if res := b.do(asked("r1", 1)).ok(); res.Text != "ok" || b.store.earned[9] == 0 {
			t.Errorf("result %+v, earned %v", res, b.store.earned[9])
		}
	})
}

func TestNumbersAreNotReusedAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9).connect()
		b.do(asked("r1", 1))
		a := want[protocol.Assign](h)
		h.send(protocol.Refuse{Lease: a.Lease, Reason: protocol.ReasonBusy}) // ends attempt 1 without counting it
		faketime.Wait()
		b.end()
		h.close()
		b.begin()
		c := b.do(asked("r1", 1))
		h.connect()
		defer h.close()
		a = h.take()
		if a.Attempt != 2 {
			t.Errorf("attempt %d", a.Attempt)
		}
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
	})
}

// The limits of one address count the addresses that the configuration tells, not the proxy in front of them.
func TestLimitsCountTheAddressThatTheConfigurationTells(t *testing.T) {
	_, key, _ := ed25519.GenerateKey(nil)
	from := func(r *http.Request) string { return r.Header.Get("X-From") }
	p, err := New(Config{BlobDir: t.TempDir(), ServerKey: key, Address: from}, newMemStore(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.link.open()
	for range strangersPerAddress {
		if ok, _ := p.link.enter("anna"); !ok {
			t.Fatal("refused too early")
		}
	}
	for from, want := range map[string]int{"anna": http.StatusTooManyRequests, "berta": http.StatusBadRequest} { // what comes is no handshake
		r, w := httptest.NewRequest(http.MethodGet, protocol.Path, nil), httptest.NewRecorder()
		r.Header.Set("X-From", from)
		p.link.connect(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", from, w.Code, want)
		}
	}
}

// FuzzTidy: whatever a hello says, what is kept of it is bounded and can be shown. Pairs and features used to go into lists that people see as they came.
func FuzzTidy(f *testing.F) {
	for _, s := range []string{
		`{"name":"Anna\u202e's  box","slots":64,"hardware":{"os":"linux","cpus":-8,"ram_mb":-1,"gpus":[{"name":"RTX\n3060","vram_mb":-5}]},"offers":[{"kind":"chat","model":"m","context":-1}]}`,
		`{"offers":[{"pairs":[{"from":"en","to":"@everyone\u202e"}]}]}`, `{"offers":[{"features":["a\u0000b"],"samplers":["x"]}]}`, `{"slots":65}`, `{"slots":-1}`, `{"offers":[{"model":" m"}]}`,
		`{"offers":[null],"running":[null]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := protocol.Decode(append(append([]byte(`{"type":"hello","data":`), data...), '}'))
		h, ok := frame.(protocol.Hello)
		if err != nil || !ok || !tidy(&h) {
			return
		}
		if h.Slots < 0 || h.Slots > protocol.MaxSlots || h.Hardware.CPUs < 0 || h.Hardware.RAMMB < 0 || len(h.Offers) > protocol.MaxOffers {
			t.Errorf("%s: %+v", data, h)
		}
		words := map[string]int{h.Program: 64, h.Name: 32, h.Hardware.OS: 16, h.Hardware.Arch: 16}
		for _, g := range h.Hardware.GPUs {
			words[g.Name] = 64
			if g.VRAMMB < 0 {
				t.Errorf("%s: %+v", data, g)
			}
		}
		for _, o := range h.Offers {
			words[o.Engine], words[o.Model] = 256, 256
			for _, w := range slices.Concat(o.Features, o.Samplers) {
				words[w] = 256
			}
			for _, p := range o.Pairs {
				words[p.From], words[p.To] = 256, 256
			}
			if o.Context < 0 || o.MaxPixels < 0 || o.MaxSteps < 0 || o.MaxCount < 0 || o.MaxTokens < 0 || len(o.Pairs) > protocol.MaxPairs {
				t.Errorf("%s: %+v", data, o)
			}
		}
		for w, most := range words {
			if len(w) > most || !utf8.ValidString(w) || strings.ContainsFunc(w, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("%s: %q is kept", data, w)
			}
		}
	})
}

func FuzzExamineSegments(f *testing.F) {
	f.Add("hola", 1, 2)
	f.Fuzz(func(t *testing.T, text string, a, b int) {
		source := [][]protocol.Piece{{{Text: "hi"}, {Keep: 1}, {Keep: 2}}}
		result := [][]protocol.Piece{{{Text: text}, {Keep: a}, {Keep: b}}}
		ok := examineSegments(source, result) == nil
		if whole := a == 1 && b == 2 || a == 2 && b == 1; ok && !whole {
			t.Errorf("keeps %d and %d were accepted", a, b)
		}
	})
}

// BenchmarkIdleWorkers reports what an idle connection costs the server. Both ends are in this process, so the bytes are for both.
func BenchmarkIdleWorkers(b *testing.B) {
	const n = 1000
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	d := newBed(b, listener, (&net.Dialer{}).DialContext)
	defer d.end()
	memory := func() float64 {
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapInuse + m.StackInuse)
	}
	for b.Loop() {
		before := memory()
		d.pool.link.knocks = newTurnstile[string](rate.Inf, 1)
		hands := make([]*hand, n)
		for i := range hands {
			hands[i] = d.enlist(community.MemberID(i)).connect()
		}
		b.ReportMetric((memory()-before)/n/1024, "KiB/worker-both-ends")
		for _, h := range hands {
			h.close()
		}
	}
}

// BenchmarkJob is a whole job: Do, lease, assign over a socket, text, done, settlement. The store is in memory.
func BenchmarkJob(b *testing.B) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	d := newBed(b, listener, (&net.Dialer{}).DialContext).decided()
	defer d.end()
	h := d.enlist(9).connect()
	defer h.close()
	if err := d.pool.ask(context.Background(), func(time.Time) {
		s := d.pool.present[1].session
		for _, l := range []*rate.Limiter{s.frames, s.meter.pieces, s.meter.reads} {
			l.SetLimit(rate.Inf)
		}
	}); err != nil {
		b.Fatal(err)
	}
	go func() {
		for {
			_, data, err := h.conn.Read(context.Background())
			if err != nil {
				return
			}
			f, err := protocol.Decode(data)
			if err != nil {
				return
			}
			if a, ok := f.(protocol.Assign); ok {
				data, err := protocol.Encode(protocol.Event{Lease: a.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "ok"}})
				if err == nil {
					err = h.conn.Write(context.Background(), websocket.MessageText, data)
				}
				if err != nil {
					return
				}
			}
		}
	}()
	i := 0
	for b.Loop() {
		i++
		if _, err := d.pool.Do(context.Background(), asked(fmt.Sprint(i), 1), nil); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStrangersDoNotKeepOthersFromLinking(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		join, _, err := b.pool.Link(t.Context(), community.Member{ID: 9}, "box", true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 * b.cfg.JoinTries { // a wrong code from each of 200 addresses
			b.pool.link.failed(fmt.Sprintf("203.0.113.%d", i), time.Now())
		}
		h := b.stranger().join(join.Code)
		defer h.close()
		if h.bye != nil {
			t.Errorf("a right code from an innocent address: %+v", h.bye)
		}
		for range triesInAll {
			b.pool.link.failed("203.0.113.0", time.Now())
		}
		if b.pool.link.mayTry("198.51.100.1", time.Now()) {
			t.Error("guessing by many together is not stopped")
		}
	})
}

func TestPauseFloodIsCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		for range 3 * offersBurst / 4 {
			h.send(protocol.Pause{})
			h.send(protocol.Resume{})
		}
		if f := want[protocol.Bye](h); f.Code != protocol.ByeProtocol {
			t.Errorf("bye %+v", f)
		}
	})
}

func TestReconnectFloodIsCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9)
		for range greetsBurst {
			if h.connect(); h.bye != nil {
				t.Fatalf("bye %+v", h.bye)
			}
			h.close()
		}
		if h.connect(); h.bye == nil || h.bye.Code != protocol.ByeProtocol {
			t.Errorf("handshake %d within a moment: %+v", greetsBurst+1, h.bye)
		}
		<-time.After(protocol.MaxRetry)
		if h.connect(); h.bye != nil {
			t.Errorf("later: %+v", h.bye)
		}
		h.close()
	})
}

// For the race detector: requests for blobs guess the numbers of sessions that are still in their handshake.
func TestBlobRequestsDuringHandshakes(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := newBed(t, l, (&net.Dialer{}).DialContext)
	defer b.end()
	h := b.decided().enlist(9)
	stop, rounds, ended := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			for id := range 20 {
				req, err := http.NewRequest(http.MethodGet, "http://"+l.Addr().String()+protocol.BlobPath+strings.Repeat("0", 32)+"/1", nil)
				if err != nil {
					t.Error(err)
					return
				}
				req.Header.Set("Authorization", fmt.Sprintf("Bearer %d.x", id+1))
				resp, err := b.client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				if resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("status %d", resp.StatusCode)
				}
			}
			select {
			case rounds <- struct{}{}:
			case <-stop:
				return
			}
		}
	}()
	for range 10 {
		h.connect()
		h.close()
		select {
		case <-rounds:
		case <-ended:
		}
	}
	close(stop)
	<-ended
}

// The row that a handshake brings may be older than a withdrawal that came in between.
func TestRefreshOvertakesAHandshake(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.decided()
		h := b.enlist(9, func(w *Worker) { w.Vouched = map[community.CommunityID]Class{"page:p": Private} })
		old := *b.store.workers[0]
		began := time.Now()
		<-time.After(time.Millisecond)
		b.store.workers[0].Vouched = nil
		if err := b.pool.Refresh(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		s := &session{link: b.pool.link, dead: true}
		_ = b.pool.ask(t.Context(), func(now time.Time) {
			b.pool.arrive(arrival{session: s, worker: old, read: began, reply: make(chan protocol.Frame, 1)}, now)
		})
		vouched := func() (n int) {
			_ = b.pool.ask(t.Context(), func(time.Time) { n = len(b.pool.present[1].Vouched) + len(b.pool.sched.nodes[1].vouched) })
			return n
		}
		if vouched() != 0 {
			t.Error("a vouch that was withdrawn came back")
		}
		b.store.workers[0].Vouched = old.Vouched
		<-time.After(time.Millisecond)
		h.connect()
		defer h.close()
		if vouched() == 0 {
			t.Error("a later handshake brings nothing new")
		}
	})
}
