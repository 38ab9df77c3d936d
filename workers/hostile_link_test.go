package workers

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"potluck/faketime"
	"potluck/workers/protocol"
)

// query is what a worker's first request says.
func (h *hand) query() string {
	e := base64.RawURLEncoding
	return url.Values{"v": {"1"}, "key": {e.EncodeToString(h.key.Public().(ed25519.PublicKey))}, "nonce": {e.EncodeToString(make([]byte, 32))}}.Encode()
}

// upgrade is a worker's first request, byte by byte. from is the address that it pretends to come from, where the pool believes that.
func upgrade(h *hand, from string) []byte {
	return fmt.Appendf(nil, "GET %s?%s HTTP/1.1\r\nHost: pool\r\nX-From: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		protocol.Path, h.query(), from, base64.StdEncoding.EncodeToString(make([]byte, 16)))
}

// raw does the handshake with a hello of the caller's bytes; sign makes a right signature for it.
func (h *hand) raw(hello func(signature []byte) []byte) protocol.Frame {
	h.t.Helper()
	conn, _, err := websocket.Dial(context.Background(), "http://pool"+protocol.Path+"?"+h.query(), &websocket.DialOptions{HTTPClient: h.b.client})
	if err != nil {
		h.t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(protocol.MaxAssign)
	h.conn = conn
	c := h.read().(protocol.Challenge)
	public := h.key.Public().(ed25519.PublicKey)
	signature := ed25519.Sign(h.key, protocol.Transcript(protocol.RoleWorker, 1, c.Nonce, make([]byte, 32), c.Key, public))
	if err = conn.Write(context.Background(), websocket.MessageText, hello(signature)); err != nil {
		h.t.Fatal(err)
	}
	return h.read()
}

// bulk is a hello of at most protocol.MaxFrame bytes with as many entries as fit.
func bulk(entry string, signature []byte) []byte {
	head := fmt.Sprintf(`{"type":"hello","data":{"protocol":1,"signature":%q,"slots":1,"offers":[`, base64.StdEncoding.EncodeToString(signature))
	n := (protocol.MaxFrame-len(head)-3)/(len(entry)+1) - 1
	return []byte(head + strings.Repeat(entry+",", n) + entry + "]}}")
}

// A hello was decoded before its signature was looked at: one of 256 KiB became 18 to 33 MB.
func TestHostileHelloIsNotReadBeforeItIsProved(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		wrong := func([]byte) []byte { return make([]byte, ed25519.SignatureSize) }
		right := func(s []byte) []byte { return s }
		text := `"` + strings.Repeat("m", 200) + `"`
		long := `{"model":"` + strings.Repeat("m", 200) + `"}`
		for name, c := range map[string]struct {
			h     *hand
			entry string
			sign  func([]byte) []byte
			code  string
		}{
			"empty offers, not signed":            {b.enlist(9), "{}", wrong, protocol.ByeProtocol},
			"nulls, not signed":                   {b.enlist(9), "null", wrong, protocol.ByeProtocol},
			"many offers, not signed":             {b.enlist(9), long, wrong, protocol.ByeBadSignature},
			"many offers, by a stranger":          {b.stranger(), long, right, protocol.ByeBadSignature},
			"no offers but texts, not signed":     {b.enlist(9), text, wrong, protocol.ByeBadSignature}, // nobody has read that they are none
			"no offers but texts, by a stranger":  {b.stranger(), text, right, protocol.ByeBadSignature},
			"no offers but texts, by a known key": {b.enlist(9), text, right, protocol.ByeProtocol},
			"empty offers, by a known key":        {b.enlist(9), "{}", right, protocol.ByeProtocol},
			"too many offers by a known key":      {b.enlist(9), long, right, protocol.ByeProtocol},
		} {
			var before, after runtime.MemStats
			var hello []byte
			runtime.ReadMemStats(&before)
			f := c.h.raw(func(s []byte) []byte { hello = bulk(c.entry, c.sign(s)); return hello })
			runtime.ReadMemStats(&after)
			if bye, ok := f.(protocol.Bye); !ok || bye.Code != c.code {
				t.Errorf("%s: %+v, want %s", name, f, c.code)
			}
			// Both ends, with the making of the hello.
			if cost := after.TotalAlloc - before.TotalAlloc; cost > 5<<20 {
				t.Errorf("%s: %d bytes cost %.1f MiB of memory", name, len(hello), mib(cost))
			}
		}
	})
}

// 1,000 strangers, which are as many as may be, each with a hello as large as may be that never ends.
func TestHostileHellosTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.pool.cfg.Address = func(r *http.Request) string { return r.Header.Get("X-From") }
		h := b.decided().enlist(9)
		hello := frame(0x81, protocol.MaxFrame)
		hello = hello[:len(hello)-1]
		before := heap()
		for i := range strangersInAll - 1 { // a place is left for the honest one
			conn, err := b.net.(*pipes).dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			request := upgrade(h, fmt.Sprint(i/strangersPerAddress))
			go func() {
				_, _ = conn.Write(request)
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				_, _ = conn.Write(hello)
			}()
		}
		faketime.Wait() // whoever may read more has read it
		if grown := int64(heap()) - int64(before); grown > 64<<20 {
			t.Errorf("%d unfinished hellos take %d MiB", strangersInAll-1, grown>>20)
		} else {
			t.Logf("%d unfinished hellos take %.1f MiB, of both ends", strangersInAll-1, float64(grown)/(1<<20))
		}
		if h.connect(); h.bye != nil { // its hello is a small one
			t.Fatalf("beside them an honest worker was told %+v", h.bye)
		}
		defer h.close()
		c := b.do(asked("r1", 1))
		h.done(h.take().Lease, protocol.Done{Text: "ok"})
		c.ok()
		<-time.After(protocol.HelloTimeout)
		faketime.Wait()
		if n := len(b.pool.link.large); n > 0 || b.pool.link.stranger > 0 {
			t.Errorf("%d strangers with %d large hellos are left", b.pool.link.stranger, n)
		}
	})
}

// A large hello of an honest worker is read when one of those before it is done with.
func TestHostileHellosDoNotKeepALargeHonestOneOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		for range largeHellos {
			b.pool.link.large <- struct{}{}
		}
		time.AfterFunc(time.Second, func() { <-b.pool.link.large })
		h := b.enlist(9).connect(func(f *protocol.Hello) {
			for i := range 300 {
				f.Offers = append(f.Offers, protocol.Offer{Kind: protocol.Chat, Engine: "e", Model: fmt.Sprint("model-", i), Context: 4096})
			}
		})
		faketime.Wait()
		if h.bye != nil || len(b.pool.link.large) != largeHellos-1 {
			t.Errorf("%+v, %d places are taken", h.bye, len(b.pool.link.large))
		}
		h.close()
	})
}

func TestHostileAddressKnocksNoFasterThanAllowed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		b.pool.cfg.Address = func(r *http.Request) string { return r.Header.Get("X-From") }
		h := b.enlist(9)
		knock := func(from string) int {
			req, err := http.NewRequest(http.MethodGet, "http://pool"+protocol.Path+"?"+h.query(), nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("X-From", from)
			resp, err := b.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			return resp.StatusCode
		}
		for n := range knocksBurst {
			if got := knock("evil"); got != http.StatusUpgradeRequired {
				t.Fatalf("connection %d: %d", n, got)
			}
		}
		if got := knock("evil"); got != http.StatusTooManyRequests {
			t.Errorf("beyond: %d", got)
		}
		if got := knock("good"); got != http.StatusUpgradeRequired {
			t.Errorf("another address: %d", got)
		}
		<-time.After(time.Second)
		for n := range knocksPerSec + 1 {
			if got := knock("evil"); (got == http.StatusUpgradeRequired) != (n < knocksPerSec) {
				t.Errorf("a second later, connection %d: %d", n, got)
			}
		}
	})
}

// Pings, pongs and pieces without content passed every limit, for the library keeps them to itself.
func TestHostileWebSocketFramesAreCounted(t *testing.T) {
	const line = 100_000 // as fast as the line is
	type flood struct {
		most int // that are read, and what buffers hold
		do   func(conn *websocket.Conn) int
	}
	pieces := piecesBurst + (protocol.MaxFrame+16<<10)/6
	floods := map[string]flood{
		"pings": {controlBurst + 5, func(conn *websocket.Conn) (n int) {
			for ; n < line && conn.Ping(context.Background()) == nil; n++ {
			}
			return n
		}},
		"pieces without content": {pieces, func(conn *websocket.Conn) (n int) {
			w, err := conn.Writer(context.Background(), websocket.MessageText)
			for ; err == nil && n < line; n++ {
				_, err = w.Write(nil)
			}
			return n
		}},
		"pieces of a byte": {pieces, func(conn *websocket.Conn) (n int) {
			w, err := conn.Writer(context.Background(), websocket.MessageText)
			for ; err == nil && n < line; n++ {
				_, err = w.Write([]byte{' '})
			}
			return n
		}},
	}
	for name, flood := range floods {
		inBubble(t, func(t *testing.T, b *bed) {
			good := b.decided().enlist(9).connect()
			defer good.close()
			evil := b.enlist(8).connect(func(f *protocol.Hello) { f.Offers = nil })
			defer evil.close()
			told := make(chan protocol.Bye, 1)
			go func() {
				for f := evil.read(); f != nil; f = evil.read() {
					if bye, ok := f.(protocol.Bye); ok {
						told <- bye
					}
				}
				evil.conn.CloseNow() // a ping would wait for its pong for ever
				close(told)
			}()
			c := b.do(asked("r1", 1))
			a := good.take()
			if sent := flood.do(evil.conn); sent > flood.most {
				t.Errorf("%s: %d were taken", name, sent)
			}
			if bye := <-told; bye.Code != protocol.ByeProtocol {
				t.Errorf("%s: bye %+v", name, bye)
			}
			if b.pool.link.bars.left(string(evil.key.Public().(ed25519.PublicKey)), time.Now()) <= 0 {
				t.Errorf("%s: it may come back at once", name)
			}
			good.done(a.Lease, protocol.Done{Text: "ok"})
			c.ok()
		})
	}
}

// A worker whose library pings now and then, cuts large messages and whose network brings single bytes is none of those.
func TestHonestPingsAndPiecesAreNoFlood(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		go func() {
			for f := h.read(); f != nil; f = h.read() {
				if bye, ok := f.(protocol.Bye); ok {
					t.Errorf("bye %+v", bye)
				}
			}
			h.close() // or a ping would wait for its pong for ever
		}()
		<-time.After(pingEvery / 2) // both ends' pings at the same moment would block each other on a pipe without a buffer
		beat, err := protocol.Encode(protocol.Beat{Free: 1})
		if err != nil {
			t.Fatal(err)
		}
		for range 60 {
			<-time.After(700 * time.Millisecond)
			if err = h.conn.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
			w, err := h.conn.Writer(t.Context(), websocket.MessageText)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range bytes.Split(beat, nil) {
				if _, err = w.Write(c); err != nil {
					t.Fatal(err)
				}
			}
			if err = w.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// One frame a second with hundreds of new names and pairs was within every limit: each became a row of megabytes, written every second.
func TestHostileOffersAreSavedNowAndThen(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		go func() {
			for h.read() != nil { // or it answers no ping
			}
		}()
		const seconds = 60
		newest := ""
		for n := range seconds {
			f := protocol.OfferFrame{Slots: 1}
			for i := range protocol.MaxAllPairs / protocol.MaxPairs {
				newest = fmt.Sprint("m", n, "-", i)
				o := protocol.Offer{Kind: protocol.Translate, Engine: "e", Model: newest}
				for j := range protocol.MaxPairs {
					o.Pairs = append(o.Pairs, protocol.Pair{From: fmt.Sprint("a", n), To: fmt.Sprint("b", j), Quality: protocol.Rough})
				}
				f.Offers = append(f.Offers, o)
			}
			h.send(f)
			<-time.After(time.Second)
			faketime.Wait()
			if got := b.pool.Overview().Workers[0].Offers; len(got) == 0 || got[len(got)-1].Model != newest {
				t.Fatalf("second %d: the pool does not know of %s", n, newest)
			}
		}
		if b.store.visits > 8 || b.store.visits < 5 {
			t.Errorf("offers were saved %d times in %d seconds", b.store.visits, seconds)
		}
		h.send(protocol.OfferFrame{Slots: 1, Offers: []protocol.Offer{{Kind: protocol.Chat, Engine: "e", Model: "the last word"}}})
		faketime.Wait()
		h.close()
		faketime.Wait()
		if got := b.store.said[1]; len(got) != 1 || got[0].Model != "the last word" {
			t.Errorf("when it left, %d offers were saved", len(got))
		}
	})
}

func TestHostileNumberOfPairsIsBounded(t *testing.T) {
	pairs := func(n int) (all []protocol.Pair) {
		for range n {
			all = append(all, protocol.Pair{From: "en", To: "ca"})
		}
		return all
	}
	offers := func(each, n int) (all []protocol.Offer) {
		for range n {
			all = append(all, protocol.Offer{Kind: protocol.Translate, Engine: "e", Model: "m", Pairs: pairs(each)})
		}
		return all
	}
	slots := 1
	for _, c := range []struct {
		offers []protocol.Offer
		ok     bool
	}{{offers(protocol.MaxPairs, 4), true}, {offers(protocol.MaxPairs, 5), false}, {offers(protocol.MaxPairs+1, 1), false}, {offers(4, protocol.MaxOffers), true}, {offers(5, protocol.MaxOffers), false}} {
		if ok := tidyOffers(&slots, c.offers); ok != c.ok {
			t.Errorf("%d offers with %d pairs each: %v", len(c.offers), len(c.offers[0].Pairs), ok)
		}
	}
	odd := []protocol.Offer{{Pairs: []protocol.Pair{{}, {From: "en"}, {To: "ca"}, {From: "en", To: "ca"}}}}
	if !tidyOffers(&slots, odd) || len(odd[0].Pairs) != 1 {
		t.Errorf("kept %+v", odd[0].Pairs)
	}
}

// A model called "gpt-5 [free](https://…)" stood below answers as a link.
func TestHostileModelNameIsNoLink(t *testing.T) {
	for name, ok := range map[string]bool{
		"hf.co/unsloth/Qwen3-8B-GGUF:Q4_K_M": true, "sd_xl_base [fp16].safetensors": true, "gpt-5 [free](https://evil.example)": false, "https://evil.example": false, "x](y": false,
	} {
		slots := 1
		if got := tidyOffers(&slots, []protocol.Offer{{Kind: protocol.Chat, Engine: "openai", Model: name}}); got != ok {
			t.Errorf("%q: %v", name, got)
		}
	}
}

// A beat's list was cut to 16 cards, and the thousands behind them stayed in memory for as long as the worker.
func TestHostileBeatKeepsOnlyWhatIsShown(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		h.send(protocol.Beat{Free: 1, GPUs: make([]protocol.GPULoad, protocol.MaxList)})
		faketime.Wait()
		kept := 0
		if err := b.pool.ask(t.Context(), func(time.Time) { kept = cap(b.pool.present[1].load) }); err != nil || kept > 16 {
			t.Errorf("%d are kept, %v", kept, err)
		}
	})
}

// The value of a panic and what a worker says of an error may hold text of the job, and stood in the log.
func TestHostileErrorsLeaveNoTextInTheLog(t *testing.T) {
	const secret = "my neighbour's diagnosis"
	inBubble(t, func(t *testing.T, b *bed) {
		var mu sync.Mutex
		var log bytes.Buffer
		writes := func(p []byte) (int, error) {
			mu.Lock()
			defer mu.Unlock()
			return log.Write(p)
		}
		b.decided()
		if err := b.pool.ask(t.Context(), func(time.Time) {
			b.pool.log = slog.New(slog.NewTextHandler(writer(writes), &slog.HandlerOptions{Level: slog.LevelDebug}))
		}); err != nil {
			t.Fatal(err)
		}
		h := b.enlist(9).connect()
		defer h.close()
		j := asked("r1", 1)
		j.Check = func(Result) error { panic(secret) }
		c := b.do(j)
		h.done(h.take().Lease, protocol.Done{Text: secret})
		a := h.take()
		h.say(a.Lease, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: secret, Detail: secret}})
		a = h.take()
		h.say(a.Lease, protocol.Event{Kind: protocol.EventError, Error: &protocol.Error{Fault: protocol.FaultEngine, Detail: secret}})
		<-c.out
		mu.Lock()
		defer mu.Unlock()
		for _, want := range []string{"panicked", "attempt failed", "fault=unknown", "fault=engine"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in the log", want)
			}
		}
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log says:\n%s", log.String())
		}
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }
