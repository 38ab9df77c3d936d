package workers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

// books is memStore with a real ledger: every hold and resolution is a transaction with postings, checked when it is applied.
type books struct {
	*memStore
	mu       sync.Mutex
	balances map[ledger.Account]ledger.Amount
	applied  map[string]ledger.Transaction
	// operators are set before anything runs.
	operators map[community.MemberID]bool
}

func (b *books) Enrol(ctx context.Context, hash [32]byte, key []byte, hw protocol.Hardware, limit int, now time.Time) (Worker, error) {
	w, err := b.memStore.Enrol(ctx, hash, key, hw, limit, now)
	if err == nil {
		b.memStore.mu.Lock()
		defer b.memStore.mu.Unlock()
		b.memStore.workers[w.ID-1].Operator = b.operators[w.Owner]
	}
	return w, err
}

func newBooks() *books {
	return &books{memStore: newMemStore(), balances: map[ledger.Account]ledger.Amount{}, applied: map[string]ledger.Transaction{}, operators: map[community.MemberID]bool{}}
}

func (b *books) apply(x ledger.Transaction) {
	if len(x.Postings) == 0 {
		return
	}
	if err := x.Check(); err != nil {
		panic(err)
	}
	if _, twice := b.applied[x.Key]; twice {
		panic("applied twice: " + x.Key)
	}
	b.applied[x.Key] = x
	for _, p := range x.Postings {
		b.balances[p.Account] += p.Amount
		if b.balances[p.Account] < 0 && !p.Account.System() {
			panic(p.Account.String() + " owes")
		}
	}
}

func (b *books) purse(a ledger.Account) ledger.Purse {
	return ledger.Purse{Account: a, Balance: b.balances[a]}
}

func (b *books) Submit(ctx context.Context, j Job, c ledger.Charge, now time.Time) (Job, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := len(b.memStore.jobs)
	out, err := b.memStore.Submit(ctx, j, c, now)
	if err != nil || len(b.memStore.jobs) == before {
		return out, err
	}
	if b.applied[ledger.GrantKey(c.Payer.Allowance, now)].Key == "" {
		b.apply(ledger.Transaction{Kind: ledger.KindGrant, Key: ledger.GrantKey(c.Payer.Allowance, now), At: now,
			Postings: ledger.GrantPostings(b.purse(c.Payer.Allowance), c.Payer.Daily)})
	}
	postings, _, ok := ledger.HoldPostings(c.Amount, b.purse(c.Payer.Allowance), b.purse(c.Payer.Spend))
	if !ok {
		panic("the allowance of a world is too small")
	}
	b.apply(ledger.Transaction{Kind: ledger.KindHold, Key: ledger.HoldKey(out.ID), Job: out.ID, At: now, Postings: postings})
	return out, nil
}

func (b *books) Finish(ctx context.Context, s Settlement) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.memStore.Finish(ctx, s); err != nil {
		return err
	}
	b.resolve(ledger.Transaction{Kind: ledger.KindSettle, Job: s.Attempt.Job, At: s.At}, s.Bill.Paid, ledger.EscrowOf(s.Earner))
	return nil
}

func (b *books) Abandon(ctx context.Context, id int64, why *fault.Error, o Outcome, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.memStore.Abandon(ctx, id, why, o, now); err != nil {
		return err
	}
	b.resolve(ledger.Transaction{Kind: ledger.KindRefund, Job: id, At: now}, 0, ledger.Account{})
	return nil
}

// resolve empties the hold of x's job. Free credits go back after midnight, too: what counts here is that nothing is lost, doubled or owed.
func (b *books) resolve(x ledger.Transaction, paid ledger.Amount, earner ledger.Account) {
	var held ledger.Amount
	var drawn []ledger.Drawn
	for _, p := range b.applied[ledger.HoldKey(x.Job)].Postings {
		if p.Account == ledger.HoldAccount {
			held = p.Amount
		} else {
			drawn = append(drawn, ledger.Drawn{From: p.Account, Amount: -p.Amount})
		}
	}
	postings, err := ledger.SettlePostings(held, paid, earner, drawn)
	if err != nil {
		panic(err)
	}
	x.Key, x.Postings = ledger.ResolutionKey(x.Job), postings
	b.apply(x)
}

func (b *books) Sound(final bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memStore.mu.Lock()
	defer b.memStore.mu.Unlock()
	var sum, open ledger.Amount
	for _, v := range b.balances {
		sum += v
	}
	paid := map[ledger.Account]ledger.Amount{}
	for _, j := range b.memStore.jobs {
		x, resolved := b.applied[ledger.ResolutionKey(j.ID)]
		if !j.State.Final() {
			open += j.Held
		}
		if final && !j.State.Final() || j.State.Final() != resolved && j.Held > 0 || resolved && (x.Kind == ledger.KindSettle) != (j.State == Done) || j.State.Final() && b.memStore.resolved[j.ID] != 1 {
			return fmt.Errorf("job %d is %s, its resolution is a %q, ended %d times", j.ID, j.State, x.Kind, b.memStore.resolved[j.ID])
		}
		if j.State == Done {
			for _, p := range x.Postings {
				if p.Account.Kind == ledger.Escrow && p.Amount > 0 {
					paid[p.Account] += p.Amount
				}
			}
		}
	}
	if sum != 0 || b.balances[ledger.HoldAccount] != open {
		return fmt.Errorf("all balances sum to %v, the hold is %v, open jobs hold %v", sum, b.balances[ledger.HoldAccount], open)
	}
	for a, v := range paid {
		if b.balances[a] != v {
			return fmt.Errorf("%s has %v for jobs of %v", a, b.balances[a], v)
		}
	}
	return nil
}

func (b *books) Member(i int) (community.MemberID, ledger.Payer) {
	m := community.MemberID(i + 1)
	return m, ledger.Payer{Allowance: ledger.AllowanceOf(community.UserID(fmt.Sprint("sim:", i))), Daily: 1e9, Spend: ledger.SpendOf(m)}
}

func (b *books) MakeOperator(m community.MemberID) { b.operators[m] = true }

func (b *books) Earned(m community.MemberID) ledger.Amount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balances[ledger.EscrowOf(m)]
}
