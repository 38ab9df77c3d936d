package workers

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"potluck/workers/protocol"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// The attackers run in a process of their own, as the machines of strangers do: what they use of processors and memory is not the pool's.

// siege is what the process of the attackers is told: who they are, and where to.
type siege struct {
	Addr string
	Keys map[string][]byte // seed of each attack's linked machine; a stranger has none
}

// spoils is what one attacker has to report in the end.
type spoils struct {
	Name                  string
	Frames, Kicked, Taken int64
	Wrongs                []string // what should not have been possible
}

// attacker is a linked machine that means harm, or a stranger.
type attacker struct {
	addr   string
	name   string
	key    ed25519.PrivateKey
	client *http.Client
	dial   func(ctx context.Context) (net.Conn, error)
	mu     sync.Mutex
	wrongs []string
	frames atomic.Int64 // that it sent
	kicked atomic.Int64 // connections that ended
	taken  atomic.Int64 // jobs that it was given
	// stolen holds leases of the honest machine.
	stolen *atomic.Value
}

// attack is one connection of an attacker; it returns when that is over.
type attack func(ctx context.Context, a *attacker, conn *websocket.Conn, welcome protocol.Welcome)

func (a *attacker) wrong(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.wrongs) < 10 {
		a.wrongs = append(a.wrongs, what)
	}
}

func (a *attacker) say(ctx context.Context, conn *websocket.Conn, f protocol.Frame) error {
	b, err := protocol.Encode(f)
	if err != nil {
		return err
	}
	return a.shout(ctx, conn, b)
}

func (a *attacker) shout(ctx context.Context, conn *websocket.Conn, b []byte) error {
	a.frames.Add(1)
	return conn.Write(ctx, websocket.MessageText, b)
}

// next returns the next assignment; ok is false when the connection has ended.
func (a *attacker) next(ctx context.Context, conn *websocket.Conn) (protocol.Assign, bool) {
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return protocol.Assign{}, false
		}
		if f, _ := protocol.Decode(b); f != nil {
			if as, ok := f.(protocol.Assign); ok {
				a.taken.Add(1)
				return as, true
			}
		}
	}
}

// enter does the handshake. change may lie in the hello.
func (a *attacker) enter(ctx context.Context, change func(*protocol.Hello)) (*websocket.Conn, protocol.Welcome, error) {
	nonce := make([]byte, 32)
	public := a.key.Public().(ed25519.PublicKey)
	q := url.Values{"v": {"1"}, "key": {base64.RawURLEncoding.EncodeToString(public)}, "nonce": {base64.RawURLEncoding.EncodeToString(nonce)}}
	conn, _, err := websocket.Dial(ctx, "http://"+a.addr+protocol.Path+"?"+q.Encode(), &websocket.DialOptions{HTTPClient: a.client})
	if err != nil {
		return nil, protocol.Welcome{}, err
	}
	conn.SetReadLimit(protocol.MaxAssign)
	_, b, err := conn.Read(ctx)
	if err != nil {
		conn.CloseNow()
		return nil, protocol.Welcome{}, err
	}
	f, _ := protocol.Decode(b)
	c, _ := f.(protocol.Challenge)
	hello := protocol.Hello{
		Protocol: 1, Slots: 2, Program: "evil", Offers: []protocol.Offer{
			{Kind: protocol.Chat, Engine: "evil", Model: "evil-7b", Context: 1 << 20, Loaded: true},
			{Kind: protocol.Image, Engine: "evil", Model: "evil-xl", MaxPixels: 1 << 24, MaxSteps: 100, MaxCount: 4, Loaded: true},
		},
		Signature: ed25519.Sign(a.key, protocol.Transcript(protocol.RoleWorker, 1, c.Nonce, nonce, c.Key, public)),
	}
	if change != nil {
		change(&hello)
	}
	if err = a.say(ctx, conn, hello); err == nil {
		_, b, err = conn.Read(ctx)
	}
	if err != nil {
		conn.CloseNow()
		return nil, protocol.Welcome{}, err
	}
	f, _ = protocol.Decode(b)
	w, ok := f.(protocol.Welcome)
	if !ok {
		conn.CloseNow()
		return nil, protocol.Welcome{}, fmt.Errorf("%#v", f)
	}
	return conn, w, nil
}

// rage connects and attacks until ctx ends, as often as it is let in. It calls begun when the first attack begins.
func (a *attacker) rage(ctx context.Context, change func(*protocol.Hello), do attack, begun func()) {
	var first sync.Once
	for ctx.Err() == nil {
		if conn, w, err := a.enter(ctx, change); err == nil {
			first.Do(begun)
			do(ctx, a, conn, w)
			conn.CloseNow()
			a.kicked.Add(1)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (a *attacker) put(ctx context.Context, token, lease string, n int, body io.Reader) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+a.addr+protocol.BlobPath+lease+"/"+strconv.Itoa(n), body)
	if err != nil {
		return 0
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := a.client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// bomb is a PNG head that claims 50,000 × 50,000 pixels.
var bomb = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\xc3\x50\x00\x00\xc3\x50\x08\x06\x00\x00\x00\x88\x1c\x3e\x0b")

func event(lease string, seq int, kind protocol.EventKind, text string) protocol.Event {
	return protocol.Event{Lease: lease, Seq: seq, Kind: kind, Text: text}
}

// attacks are the scripts. Every one of them is played at the same time by a machine of its own.
var attacks = map[string]struct {
	hello func(*protocol.Hello)
	do    attack
}{
	"flood of frames": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for a.say(ctx, conn, protocol.Beat{Free: 1}) == nil {
		}
	}},
	"flood of bytes": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for long := strings.Repeat("x", protocol.MaxFrame-200); a.say(ctx, conn, event("0", 1, protocol.EventText, long)) == nil; {
		}
	}},
	"flood of offers": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for n := 0; ; n++ {
			f := protocol.OfferFrame{Slots: protocol.MaxSlots}
			for i := range protocol.MaxOffers {
				f.Offers = append(f.Offers, protocol.Offer{Kind: protocol.Chat, Engine: "e", Model: fmt.Sprint("m", n, "-", i), Context: n*1000 + i, Loaded: true})
			}
			if a.say(ctx, conn, f) != nil {
				return
			}
		}
	}},
	"polite flood of offers": { // as many as may be, with new names, as often as may be
		hello: idle,
		do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
			for n := 0; a.say(ctx, conn, fresh(n)) == nil; n++ {
				select {
				case <-ctx.Done():
					return
				case <-time.After(time.Second / offersPerSec):
				}
			}
		},
	},
	"more pairs than there are": {hello: idle, do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		f := fresh(0)
		for len(f.Offers) < 10 {
			f.Offers = append(f.Offers, f.Offers[0])
		}
		if a.say(ctx, conn, f) == nil && a.isHeard(ctx, conn) {
			a.wrong("5,120 pairs were taken")
		}
	}},
	"bulky frames": {hello: idle, do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		if a.shout(ctx, conn, []byte(`{"type":"offer","data":{"offers":[`+strings.Repeat("{},", 80_000)+`{}]}}`)) == nil && a.isHeard(ctx, conn) {
			a.wrong("80,001 offers were taken")
		}
	}},
	"flood of pings": {hello: idle, do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		go a.listen(ctx, conn)
		for n := range 1001 {
			pong, cancel := context.WithTimeout(ctx, time.Second)
			err := conn.Ping(pong)
			cancel()
			if a.frames.Add(1); err != nil {
				return
			}
			if n == 1000 {
				a.wrong("1,000 pings were answered at once")
			}
		}
	}},
	"pieces without content": {hello: idle, do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		go a.listen(ctx, conn)
		w, err := conn.Writer(ctx, websocket.MessageText)
		for err == nil {
			_, err = w.Write(nil)
			a.frames.Add(1)
		}
	}},
	"flood of finals": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for a.say(ctx, conn, protocol.Event{Lease: fmt.Sprintf("%032x", rand.Uint64()), Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "paid?"}}) == nil {
		}
	}},
	"wrong sequence": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
			_ = a.say(ctx, conn, protocol.Accept{Lease: as.Lease})
			for _, seq := range []int{5, 4, 5, -1, 1 << 62, 1, 0} {
				_ = a.say(ctx, conn, event(as.Lease, seq, protocol.EventText, "again"))
			}
			_ = a.say(ctx, conn, event(as.Lease, 1, protocol.EventDone, ""))
		}
	}},
	"leases of others": {
		hello: func(h *protocol.Hello) {
			for range 4 * protocol.MaxSlots {
				h.Running = append(h.Running, protocol.Running{Lease: fmt.Sprintf("%032x", rand.Uint64()), Attempt: 1})
			}
		},
		do: func(ctx context.Context, a *attacker, conn *websocket.Conn, w protocol.Welcome) {
			for {
				lease, _ := a.stolen.Load().(string)
				if a.say(ctx, conn, event(lease, 1<<30, protocol.EventText, "stolen")) != nil ||
					a.say(ctx, conn, protocol.Event{Lease: lease, Seq: 1 << 31, Kind: protocol.EventDone, Done: &protocol.Done{Text: "stolen"}}) != nil ||
					a.say(ctx, conn, protocol.Refuse{Lease: lease, Reason: protocol.ReasonPolicy}) != nil ||
					a.say(ctx, conn, protocol.Event{Lease: lease, Kind: protocol.EventError, Error: &protocol.Error{Fault: protocol.FaultRequest}}) != nil {
					return
				}
				if status := a.put(ctx, w.Token, lease, 1, strings.NewReader("stolen")); status == http.StatusNoContent {
					a.wrong("a picture was put under a foreign lease")
				}
				<-time.After(20 * time.Millisecond)
			}
		},
	},
	"replays of nothing": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
			for n := range 20 {
				_ = a.say(ctx, conn, protocol.Event{Lease: as.Lease, Seq: n, Kind: protocol.EventDone, Done: &protocol.Done{Text: " \n", Blobs: 4}})
			}
		}
	}},
	"late results": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		as, ok := a.next(ctx, conn)
		if !ok {
			return
		}
		_ = a.say(ctx, conn, protocol.Accept{Lease: as.Lease})
		conn.CloseNow()
		<-time.After(1500 * time.Millisecond) // it may have been given to somebody else by now; after a hello that does not name it, it has been taken away
		forgetful, _, err := a.enter(ctx, nil)
		if err != nil {
			return
		}
		forgetful.CloseNow()
		if again, w, err := a.enter(ctx, func(h *protocol.Hello) { h.Running = []protocol.Running{{Lease: as.Lease, Attempt: as.Attempt}} }); err == nil {
			if len(w.Adopted) > 0 {
				a.wrong("a lease was adopted that had been taken away")
			}
			_ = a.say(ctx, again, protocol.Event{Lease: as.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "late"}})
			<-time.After(100 * time.Millisecond)
			again.CloseNow()
		}
	}},
	"huge frames": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for huge := bytes.Repeat([]byte(" "), 8<<20); a.shout(ctx, conn, huge) == nil; {
		}
	}},
	"huge and broken pictures": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, w protocol.Welcome) {
		for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
			_ = a.say(ctx, conn, protocol.Accept{Lease: as.Lease})
			a.put(ctx, w.Token, as.Lease, 1, io.LimitReader(zeros{}, 64<<20))
			for n := range 50 {
				a.put(ctx, w.Token, as.Lease, firstPreview+n, io.LimitReader(zeros{}, protocol.MaxPreview))
				_ = a.say(ctx, conn, protocol.Event{Lease: as.Lease, Seq: n + 1, Kind: protocol.EventPreview, Preview: firstPreview + n})
			}
			if as.Image != nil {
				for n := range max(as.Image.Count, 1) {
					a.put(ctx, w.Token, as.Lease, n+1, bytes.NewReader(bomb))
				}
				_ = a.say(ctx, conn, protocol.Event{Lease: as.Lease, Seq: 100, Kind: protocol.EventDone, Done: &protocol.Done{Blobs: max(as.Image.Count, 1)}})
			}
		}
	}},
	"endless streams": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
			_ = a.say(ctx, conn, protocol.Accept{Lease: as.Lease})
			for seq := 1; seq < 300; seq++ {
				if a.say(ctx, conn, event(as.Lease, seq, protocol.EventText, strings.Repeat("la ", 400))) != nil {
					return
				}
				<-time.After(10 * time.Millisecond)
			}
		}
	}},
	"silent acceptance": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		stop := context.AfterFunc(ctx, func() { conn.CloseNow() })
		defer stop()
		go func() {
			for a.say(ctx, conn, protocol.Beat{Free: 64}) == nil {
				<-time.After(200 * time.Millisecond)
			}
		}()
		for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
			_ = a.say(ctx, conn, protocol.Accept{Lease: as.Lease})
		}
	}},
	"lies about itself": {
		hello: func(h *protocol.Hello) {
			h.Slots = protocol.MaxSlots
			h.Hardware = protocol.Hardware{CPUs: 1 << 30, RAMMB: 1 << 40, GPUs: []protocol.GPU{{Name: "RTX 9090\u202e<b>", VRAMMB: 1 << 30}}}
			h.Offers = nil
			for i := range protocol.MaxOffers {
				h.Offers = append(h.Offers, protocol.Offer{Kind: protocol.Kinds()[i%3], Engine: "e", Model: fmt.Sprint("gpt-", i), Loaded: true, AnyPair: true, Quality: protocol.Postable, Context: 1 << 40})
			}
		},
		do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
			for as, ok := a.next(ctx, conn); ok; as, ok = a.next(ctx, conn) {
				_ = a.say(ctx, conn, protocol.Event{Lease: as.Lease, Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{TookMS: -1 << 62, Blobs: 1 << 30, Segments: [][]protocol.Piece{{{Keep: -5}}}}})
			}
		},
	},
	"garbage after the handshake": {do: func(ctx context.Context, a *attacker, conn *websocket.Conn, _ protocol.Welcome) {
		for _, s := range []string{`{"type":"future","data":{}}`, `{"type":"beat","data":{"free":-99999999}}`, `{"type":"welcome","data":{}}`,
			`{"type":"event","data":` + strings.Repeat(`{"done":`, 20000) + strings.Repeat("}", 20000) + `}`, strings.Repeat("[", 100000), "\xff\xfe", "", "null"} {
			if a.shout(ctx, conn, []byte(s)) != nil {
				return
			}
		}
		_ = conn.Write(ctx, websocket.MessageBinary, []byte("binary"))
		a.next(ctx, conn)
	}},
}

// idle is a hello that offers nothing, so no job distracts from the attack.
func idle(h *protocol.Hello) { h.Offers = nil }

// listen reads until the connection ends, so that pongs are seen.
func (a *attacker) listen(ctx context.Context, conn *websocket.Conn) {
	a.next(ctx, conn)
	conn.CloseNow() // a ping that is under way would wait for ever
}

// isHeard tells whether the pool goes on with a worker after what that one has just said: only then it answers a final event, of no lease, with an Ack.
// That the connection has not ended yet would prove nothing, for the goodbye may be on its way. The end of the attacks is no answer either, so ctx does not
// end the waiting: the pool ends the connection when it does not answer.
func (a *attacker) isHeard(ctx context.Context, conn *websocket.Conn) bool {
	ctx = context.WithoutCancel(ctx)
	last := protocol.Event{Lease: fmt.Sprintf("%032x", rand.Uint64()), Seq: 1, Kind: protocol.EventDone, Done: &protocol.Done{Text: "heard?"}}
	if a.say(ctx, conn, last) != nil {
		return false
	}
	for {
		_, b, err := conn.Read(ctx)
		if err != nil {
			return false
		}
		if f, _ := protocol.Decode(b); f != nil {
			if ack, ok := f.(protocol.Ack); ok && ack.Lease == last.Lease {
				return true
			}
		}
	}
}

// fresh are offers with as many pairs as a worker may have, under names that nobody has seen.
func fresh(n int) protocol.OfferFrame {
	f := protocol.OfferFrame{Slots: protocol.MaxSlots}
	for i := range protocol.MaxAllPairs / protocol.MaxPairs {
		o := protocol.Offer{Kind: protocol.Translate, Engine: "e", Model: fmt.Sprint("fresh", n, "-", i)}
		for j := range protocol.MaxPairs {
			o.Pairs = append(o.Pairs, protocol.Pair{From: fmt.Sprint("f", n), To: fmt.Sprint("t", j), Quality: protocol.Rough})
		}
		f.Offers = append(f.Offers, o)
	}
	return f
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// strangers attack without being linked.
var strangers = map[string]func(ctx context.Context, a *attacker){
	"1,000 half-open connections": func(ctx context.Context, a *attacker) {
		var conns []net.Conn
		for i := 0; i < 1000 && ctx.Err() == nil; i++ {
			c, err := a.dial(ctx)
			if err != nil {
				continue
			}
			conns = append(conns, c)
			switch i % 3 {
			case 0: // nothing at all
			case 1:
				fmt.Fprintf(c, "GET %s?v=1 HTTP/1.1\r\nHost: x\r\nUpgr", protocol.Path)
			default: // a whole upgrade, and then silence
				e := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
				fmt.Fprintf(c, "GET %s?v=1&key=%s&nonce=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", protocol.Path, e, e)
			}
		}
		a.frames.Store(int64(len(conns)))
		<-ctx.Done()
		for _, c := range conns {
			c.Close()
		}
	},
	"large hellos": func(ctx context.Context, a *attacker) {
		for ctx.Err() == nil {
			var crowd sync.WaitGroup
			for range strangersPerAddress {
				crowd.Go(func() {
					short, cancel := context.WithTimeout(ctx, protocol.HelloTimeout)
					defer cancel()
					_, _, err := a.enter(short, func(h *protocol.Hello) {
						h.Offers = make([]protocol.Offer, 3000) // some 150 KB
					})
					if a.frames.Add(1); err == nil {
						a.wrong("a stranger was let in")
					}
				})
			}
			crowd.Wait()
			<-time.After(20 * time.Millisecond)
		}
	},
	"garbage before the handshake": func(ctx context.Context, a *attacker) {
		junk := make([]byte, 64<<10)
		for i := range junk {
			junk[i] = byte(rand.Uint32())
		}
		for ctx.Err() == nil {
			if c, err := a.dial(ctx); err == nil {
				_ = c.SetDeadline(time.Now().Add(time.Second))
				_, _ = c.Write(junk)
				c.Close()
				a.frames.Add(1)
			}
			conn, _, err := websocket.Dial(ctx, "http://"+a.addr+protocol.Path+"?v=1&key=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA&nonce=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &websocket.DialOptions{HTTPClient: a.client})
			if err == nil {
				_ = conn.Write(ctx, websocket.MessageText, junk[:1000])
				conn.CloseNow()
			}
			<-time.After(20 * time.Millisecond)
		}
	},
	"stolen tokens": func(ctx context.Context, a *attacker) {
		for ctx.Err() == nil {
			lease, _ := a.stolen.Load().(string)
			for _, token := range []string{"", "1", "1.", fmt.Sprint(rand.IntN(50), ".", rand.Uint64()), strings.Repeat("1", 10000)} {
				if status := a.put(ctx, token, lease, 1, strings.NewReader("x")); status == http.StatusNoContent {
					a.wrong("a guessed token was accepted")
				}
				a.frames.Add(1)
			}
			<-time.After(20 * time.Millisecond)
		}
	},
	"guessed join codes": func(ctx context.Context, a *attacker) {
		for ctx.Err() == nil {
			_, _, err := a.enter(ctx, func(h *protocol.Hello) { h.JoinCode = protocol.NewCode() })
			if err == nil {
				a.wrong("a guessed code was accepted")
			}
			<-time.After(20 * time.Millisecond)
		}
	},
}

// besiege plays every attack at once until stolen, which brings leases of the honest machine line by line, ends and every attack has begun: on a busy
// machine this process hardly gets any time.
func besiege(s siege, stolen io.Reader, report io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	var lease atomic.Value
	var crowd, begun sync.WaitGroup
	var all []*attacker
	join := func(name string) *attacker {
		a := &attacker{addr: s.Addr, name: name, stolen: &lease}
		if seed, linked := s.Keys[name]; linked {
			a.key = ed25519.NewKeyFromSeed(seed)
		} else {
			_, a.key, _ = ed25519.GenerateKey(nil)
		}
		dialer := &net.Dialer{Timeout: 5 * time.Second}
		if runtime.GOOS == "linux" { // each from an address of its own
			dialer.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(len(all)+1))}
		}
		a.dial = func(ctx context.Context) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", s.Addr) }
		a.client = &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
		all = append(all, a)
		return a
	}
	for _, name := range sortedKeys(attacks) {
		a := join(name)
		begun.Add(1)
		crowd.Go(func() { a.rage(ctx, attacks[name].hello, attacks[name].do, begun.Done) })
	}
	for _, name := range sortedKeys(strangers) {
		a := join(name)
		crowd.Go(func() { strangers[name](ctx, a) })
	}
	for lines := bufio.NewScanner(stolen); lines.Scan(); {
		lease.Store(lines.Text())
	}
	begun.Wait()
	cancel()
	crowd.Wait()
	out := json.NewEncoder(report)
	for _, a := range all {
		if err := out.Encode(spoils{a.name, a.frames.Load(), a.kicked.Load(), a.taken.Load(), a.wrongs}); err != nil {
			return err
		}
	}
	return nil
}
