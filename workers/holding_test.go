package workers

import (
	"fmt"
	"testing"
	"time"

	"potluck/faketime"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

func chatting(model string) func(*protocol.Hello) {
	return func(h *protocol.Hello) {
		h.Offers = []protocol.Offer{{Kind: protocol.Chat, Engine: "x", Model: model, Context: 4096}}
	}
}

func TestClaimedModelIsTooDearForNobody(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		liar := b.decided().enlist(8).connect(chatting("llama3.3:70b"))
		defer liar.close()
		honest := b.enlist(9).connect()
		defer honest.close()
		b.store.broke = true
		b.store.balance[1], b.store.balance[2] = 20*ledger.Credit, 1000*ledger.Credit
		long := func(key string, j Job) Job {
			j.Key, j.Chat.MaxTokens, j.Work.OutTokens = key, 512, 512
			return j
		}
		poor := b.do(long("r1", asked("r1", 1)))
		a := honest.take() // although the liar was there first
		honest.done(a.Lease, protocol.Done{Text: "ok"})
		want[protocol.Ack](honest)
		if res := poor.ok(); res.Bill.Held > 20*ledger.Credit || res.Bill.Paid != res.Bill.Price.Amount {
			t.Errorf("bill %+v", res.Bill)
		}

		// While the honest one is at work, the next waits for it and not for what it cannot pay.
		first := b.do(long("r2", asked("r2", 1)))
		a = honest.take()
		faketime.Wait()
		b.store.mu.Lock()
		b.store.balance[1] = 20 * ledger.Credit
		b.store.mu.Unlock()
		second := b.do(long("r3", asked("r3", 1)))
		faketime.Wait()
		rich := b.do(long("r4", asked("r4", 2)))
		c := liar.take()
		if id := b.store.running[4].Lease; id != c.Lease {
			t.Error("the dear one got what is not held for it")
		}
		liar.done(c.Lease, protocol.Done{Text: "ok"})
		rich.ok()
		honest.done(a.Lease, protocol.Done{Text: "ok"})
		first.ok()
		a = honest.take()
		honest.done(a.Lease, protocol.Done{Text: "ok"})
		second.ok()

		b.store.mu.Lock()
		b.store.balance[1] = 1
		b.store.mu.Unlock()
		f := b.do(long("r5", asked("r5", 1))).fails(fault.NoCredit)
		if need := b.rates.Price("llama3.1:8b", long("", asked("", 1)).Work).Amount; f.Args["need"] != fmt.Sprint(need) {
			t.Errorf("need %v, the cheapest costs %v", f.Args["need"], need)
		}
	})
}

func TestHoldingsAreFewAndFall(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bed) {
		h := b.decided().enlist(8).connect(func(h *protocol.Hello) {
			h.Offers = nil
			for n := range 100 {
				h.Offers = append(h.Offers, protocol.Offer{Kind: protocol.Chat, Engine: "x", Model: fmt.Sprintf("thing-%d.%db", n/10, n%10)})
			}
		})
		defer h.close()
		j := asked("r", 1)
		var holds []holding
		_ = b.pool.ask(t.Context(), func(_ time.Time) { holds = b.pool.holdings(&j) })
		if len(holds) < 2 || len(holds) > maxHoldings || holds[0].cost != 0 {
			t.Fatalf("holdings %+v", holds)
		}
		for i, h := range holds[1:] {
			if h.Amount >= holds[i].Amount || h.cost <= 0 {
				t.Errorf("holding %d is %v after %v", i+1, h.Amount, holds[i].Amount)
			}
		}
		if least := b.rates.Price("thing-0.1b", j.Work).Amount; holds[len(holds)-1].Amount != least {
			t.Errorf("the last is %v, the cheapest %v", holds[len(holds)-1].Amount, least)
		}
	})
}
