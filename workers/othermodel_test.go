package workers

import (
	"errors"
	"testing"

	"potluck/faketime"
	"potluck/fault"
	"potluck/workers/protocol"
)

// "Let another model answer" found only the first model's failure, when the bot had just started.
func TestOtherModelWithinTheGrace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.enlist(9)
		b.end()
		b.begin()
		h.connect(chatsOnly(1))
		defer h.close()
		j := asked("r1", 1)
		j.Model = "mistral-7b"
		first := b.do(j)
		faketime.Wait()
		b.decided()
		first.fails(fault.NoModel)
		j.Model = ""
		second := b.do(j)
		a := h.take()
		// The bot restarts: the wish begins anew, with the model that it was for, and finds what is under way.
		b.end()
		b.begin()
		if o := <-second.out; !errors.Is(o.err, errStopped) {
			t.Fatalf("ended with %v", o.err)
		}
		h.connect(chatsOnly(1), func(f *protocol.Hello) { f.Running = []protocol.Running{{Lease: a.Lease, Attempt: a.Attempt}} })
		j.Model = "mistral-7b"
		third := b.do(j)
		faketime.Wait()
		h.done(a.Lease, protocol.Done{Text: "an answer"})
		if res := third.ok(); res.Model != b.rates.Canonical("llama3.1:8b") {
			t.Errorf("answered by %s", res.Model)
		}
		// And once more, from what is stored.
		b.do(j).fails(fault.NoModel)
		j.Model = ""
		if res := b.do(j).ok(); res.Text != "an answer" {
			t.Errorf("%+v", res)
		}
		b.settledOnce(1)
		b.settledOnce(2)
	})
}
