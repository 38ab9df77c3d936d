package workers

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

func TestStopDuringTheCheckIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		checking, verdict := make(chan bool), make(chan error)
		j := asked("r1", 1)
		j.Check = func(Result) error {
			close(checking)
			return <-verdict
		}
		c := b.do(j)
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "bad answer"})
		<-checking
		c.cancel(fault.New(fault.Cancelled))
		faketime.Wait()
		verdict <- errors.New("bad")
		c.fails(fault.Cancelled) // and is not tried again
		want[protocol.Ack](h)
		b.settledOnce(1)
		if b.store.balance[1] != 0 {
			t.Errorf("balance %v", b.store.balance[1])
		}

		// A result that is accepted was there before the stop.
		checking, verdict = make(chan bool), make(chan error)
		j.Key = "r2:answer"
		c = b.do(j)
		a = h.take()
		h.done(a.Lease, protocol.Done{Text: "good answer"})
		<-checking
		c.cancel(fault.New(fault.Cancelled))
		faketime.Wait()
		verdict <- nil
		if res := c.ok(); res.Text != "good answer" {
			t.Errorf("got %q", res.Text)
		}
	})
}

// A machine that was on probation, said done and was switched off while its result was being checked never got a job of that model again.
func TestSwitchedOffWhileItsProbationIsSettled(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect(chatsOnly(1)).alive()
		c := b.do(patient("r1"))
		for range 3 {
			h.fail(h.take().Lease, protocol.FaultEngine)
		}
		c.fails(fault.WorkerFailed)
		checking, goOn := make(chan bool), make(chan bool)
		j := patient("r2")
		j.Check = func(Result) error { close(checking); <-goOn; return nil }
		c = b.do(j)
		h.done(h.take().Lease, protocol.Done{Text: "an answer"}) // after its rest
		<-checking
		h.send(protocol.Bye{Code: protocol.ByeShutdown})
		faketime.Wait()
		close(goOn)
		c.ok()
		h.connect(chatsOnly(1)).alive()
		defer h.close()
		h.answers(func(a protocol.Assign) { h.done(a.Lease, protocol.Done{Text: "an answer"}) })
		b.do(patient("r3")).ok()
	})
}

func TestPanicInACheckRejectsTheResult(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		j := asked("r1", 1)
		times := 0
		j.Check = func(Result) error {
			if times++; times == 1 {
				panic("this text breaks the check")
			}
			return nil
		}
		j.Visible = func(r Result) string {
			if r.Text == "this breaks Visible" {
				panic("this text breaks Visible")
			}
			return r.Text
		}
		c := b.do(j)
		for _, text := range []string{"this breaks Check", "this breaks Visible", "good"} {
			a := h.take()
			h.done(a.Lease, protocol.Done{Text: text})
			want[protocol.Ack](h)
		}
		if res := c.ok(); res.Text != "good" {
			t.Errorf("got %q", res.Text)
		}
	})
}

func TestHiddenTextIsNotPaid(t *testing.T) {
	j := asked("r", 1)
	j.Chat.MaxTokens = 10_000
	answer := "Paris is the capital of France, and has been for a long time."
	honest := measure(&j, answer, answer).OutTokens
	for name, text := range map[string]string{
		"zero width":  answer + strings.Repeat("\u200b", 400),
		"blanks":      answer + strings.Repeat(" ", 1000) + ".",
		"line breaks": answer + strings.Repeat("\n \n", 1000),
		"thoughts":    "<think>" + strings.Repeat("la ", 1000) + "</think>" + answer,
	} {
		visible := text
		if name == "thoughts" { // as the feature that knows about them says
			visible = answer
		}
		if got := measure(&j, text, visible).OutTokens; got > honest+1 {
			t.Errorf("%s: %d tokens are paid, what is seen has %d", name, got, honest)
		}
	}
	if got := measure(&j, answer, answer+" https://a-long-address-that-stood-behind-a-link.example").OutTokens; got > honest {
		t.Errorf("%d tokens are paid, %d were written", got, honest)
	}
}

func TestOnlyWhatIsVisibleIsPaid(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		answer := func(key, text string, visible func(Result) string) ledger.Amount {
			j := asked(key, 1)
			j.Chat.MaxTokens, j.Work.OutTokens, j.Visible = 2000, 2000, visible
			c := b.do(j)
			a := h.take()
			h.done(a.Lease, protocol.Done{Text: text})
			want[protocol.Ack](h)
			return c.ok().Bill.Paid
		}
		honest := answer("r1", "A short answer of a few words.", nil)
		padded := answer("r2", strings.Repeat("never shown ", 500), func(Result) string { return "A short answer of a few words." })
		if padded != honest {
			t.Errorf("paid %v, the same visible answer %v", padded, honest)
		}
	})
}

func TestDowntimeOfTheBotIsNoWork(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		c := b.do(asked("r1", 1))
		a := h.take()
		b.end()
		h.close()
		<-c.out
		<-time.After(10 * time.Minute)
		b.begin()
		h.connect(func(hello *protocol.Hello) { hello.Running = []protocol.Running{{Lease: a.Lease, Attempt: 1}} })
		defer h.close()
		if len(h.welcome.Adopted) != 1 {
			t.Fatal("not adopted")
		}
		c = b.do(asked("r1", 1))
		h.done(a.Lease, protocol.Done{Text: "one two three"})
		c.ok()
		if len(b.store.speeds) != 0 {
			t.Errorf("measured over a restart: %v", b.store.speeds)
		}
		c = b.do(asked("r2", 1))
		a = h.take()
		h.done(a.Lease, protocol.Done{Text: "one two three"})
		c.ok()
		if len(b.store.speeds) != 1 {
			t.Errorf("measured %v", b.store.speeds)
		}
	})
}

func picture(key string) Job {
	j := asked(key, 1)
	j.Kind, j.Chat, j.Image = protocol.Image, nil, &protocol.ImageJob{Width: 64, Height: 64, Steps: 4, Count: 1}
	j.Work = ledger.Work{Kind: "image", Pixels: 64 * 64, Steps: 4}
	return j
}

func TestPictureDoesNotChangeAfterItsCheck(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		checking, goOn := make(chan bool), make(chan bool)
		j := picture("r1")
		j.Check = func(Result) error {
			close(checking)
			<-goOn
			return nil
		}
		c := b.do(j)
		a := h.take()
		h.put(a.Lease, 1, []byte("a picture"))
		h.done(a.Lease, protocol.Done{Blobs: 1})
		<-checking
		if status := h.put(a.Lease, 1, []byte("another one")); status != http.StatusConflict {
			t.Errorf("a PUT during the check: %d", status)
		}
		close(goOn)
		res := c.ok()
		if got, err := os.ReadFile(res.Blobs[0]); string(got) != "a picture" {
			t.Errorf("the picture is %q, %v", got, err)
		}
	})
}

func TestUploadsOfOneLeaseAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		c := b.do(picture("r1"))
		a := h.take()
		var l *binding
		var s *session
		_ = b.pool.ask(t.Context(), func(time.Time) { l, s = b.pool.leases[a.Lease].binding, b.pool.present[1].session })
		for range uploadsAtOnce {
			if !l.enter(s) {
				t.Fatal("an upload was kept out")
			}
		}
		if status := h.put(a.Lease, 1, []byte("one more")); status != http.StatusTooManyRequests {
			t.Errorf("one upload too many: %d", status)
		}
		for range uploadsAtOnce {
			l.leave(s)
		}
		if status := h.put(a.Lease, 1, []byte("a picture")); status != http.StatusNoContent {
			t.Errorf("after the others: %d", status)
		}
		l.mu.Lock()
		l.sent = 2*sendsOfEach*protocol.MaxBlob - 3
		l.mu.Unlock()
		for _, n := range []int{1, firstPreview} {
			if status := h.put(a.Lease, n, []byte("more")); status != http.StatusRequestEntityTooLarge {
				t.Errorf("PUT %d beyond all that a job of one picture may send: %d", n, status)
			}
		}
		c.cancel(fault.New(fault.Cancelled))
		c.fails(fault.Cancelled)
	})
}

// A lease that was saved although the store reported an error leaves a job that the store calls leased and nobody carries.
func TestJobOfAnUnknownLeaseIsCarriedOn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(9).connect()
		defer h.close()
		times := 0
		b.store.refuse = func(call string) error { // the store's lock is held
			if call != "lease" || times > 0 {
				return nil
			}
			times++
			b.store.jobs[0].State, b.store.running[1] = Leased, Attempt{Lease: strings.Repeat("0", 32), Job: 1, Number: 1, Worker: 1}
			b.store.numbers[[2]int64{1, 1}] = true
			return errors.New("the answer of the disk was lost")
		}
		c := b.do(asked("r1", 1))
		a := h.take()
		h.done(a.Lease, protocol.Done{Text: "ok"})
		c.ok()
		b.settledOnce(1)
	})
}
