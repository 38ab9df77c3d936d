package ledger

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAmountString(t *testing.T) {
	for a, want := range map[Amount]string{
		0: "0", 1: "0.001", 12500: "12.5", -250: "-0.25", 1000: "1", -1000: "-1", 1234567: "1234.567", 10: "0.01",
		math.MaxInt64: "9223372036854775.807", math.MinInt64: "-9223372036854775.808",
	} {
		if got := a.String(); got != want {
			t.Errorf("%d milli-credits: %q, want %q", int64(a), got, want)
		}
	}
}

func TestRefundGivesOwnCreditsBackFirst(t *testing.T) {
	free, own, earner := Account{Allowance, "page:1"}, SpendOf(1), EscrowOf(2)
	drawn, have, ok := Draw(100, Purse{free, 60}, Purse{own, 500})
	if !ok || have != 560 {
		t.Fatalf("drew %v of %v, %v", drawn, have, ok)
	}
	settled, err := SettlePostings(HoldPostings(drawn), earner, 70)
	if err != nil {
		t.Fatal(err)
	}
	got := map[Account]Amount{}
	for _, p := range settled {
		got[p.Account] = p.Amount
	}
	if got[HoldAccount] != -100 || got[earner] != 70 || got[own] != 30 || got[free] != 0 {
		t.Errorf("settled %v", settled)
	}
}

func TestDrawSaysWhatIsThere(t *testing.T) {
	if p, have, ok := Draw(100, Purse{Account{Allowance, "a"}, 60}, Purse{}, Purse{SpendOf(1), -5}); ok || have != 60 || p != nil {
		t.Errorf("drew %v of %v, %v", p, have, ok)
	}
}

func TestSettleRefusesMoreThanHeld(t *testing.T) {
	drawn, _, _ := Draw(100, Purse{SpendOf(1), 100})
	for _, paid := range []Amount{101, -1} {
		if p, err := SettlePostings(HoldPostings(drawn), EscrowOf(2), paid); err == nil {
			t.Errorf("paid %v: %v", paid, p)
		}
	}
}

func TestReleaseAt(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if got := ReleaseAt(now, 24*time.Hour); !got.Equal(now.AddDate(0, 0, 1)) {
		t.Error(got)
	}
	if got := ReleaseAt(now, -time.Hour); !got.Equal(now) {
		t.Error(got)
	}
}

// TestBooksBalance runs random grants, holds, settlements and refunds: each transaction may be applied, no account of a person or of the hold
// falls below zero, and everything sums to zero. -rapid.checks 60000 makes more than a million operations.
func TestBooksBalance(t *testing.T) {
	operations := 0
	rapid.Check(t, func(t *rapid.T) {
		books := map[Account]Amount{}
		free, own, earner := Account{Allowance, "page:1"}, SpendOf(1), EscrowOf(2)
		books[own], books[MintAccount] = 500, -500
		var held [][]Posting
		apply := func(postings []Posting) {
			operations++
			if len(postings) == 0 {
				return
			}
			if err := (Transaction{Key: "k", Postings: postings}).Check(); err != nil {
				t.Fatal(err)
			}
			var sum Amount
			for _, p := range postings {
				books[p.Account] += p.Amount
			}
			for a, b := range books {
				sum += b
				if b < 0 && a.Kind != Mint {
					t.Fatalf("%v has %v after %v", a, b, postings)
				}
			}
			if sum != 0 {
				t.Fatalf("books sum to %v", sum)
			}
		}
		resolve := func(t *rapid.T, paid func([]Posting) Amount) {
			if len(held) == 0 {
				t.Skip("nothing held")
			}
			i := rapid.IntRange(0, len(held)-1).Draw(t, "hold")
			p, err := SettlePostings(held[i], earner, paid(held[i]))
			if err != nil {
				t.Fatal(err)
			}
			apply(p)
			held = append(held[:i], held[i+1:]...)
		}
		t.Repeat(map[string]func(*rapid.T){
			"grant": func(t *rapid.T) {
				apply(GrantPostings(free, books[free], Amount(rapid.Int64Range(-5, 1000).Draw(t, "daily"))))
			},
			"hold": func(t *rapid.T) {
				amount := Amount(rapid.Int64Range(-5, 700).Draw(t, "amount"))
				drawn, have, ok := Draw(amount, Purse{free, books[free]}, Purse{own, books[own]})
				if ok != (amount <= have) || have != books[free]+books[own] {
					t.Fatalf("drew %v of %v: %v, %v", amount, have, drawn, ok)
				}
				if ok {
					p := HoldPostings(drawn)
					apply(p)
					held = append(held, p)
				}
			},
			"settle": func(t *rapid.T) {
				resolve(t, func(h []Posting) Amount {
					var all Amount
					for _, p := range h {
						all += max(0, p.Amount)
					}
					return Amount(rapid.Int64Range(0, int64(all)).Draw(t, "paid"))
				})
			},
			"refund": func(t *rapid.T) { resolve(t, func([]Posting) Amount { return 0 }) },
		})
		for _, h := range held {
			p, err := RefundPostings(h)
			if err != nil {
				t.Fatal(err)
			}
			apply(p)
		}
		if books[HoldAccount] != 0 {
			t.Fatalf("%v stays held", books[HoldAccount])
		}
	})
	t.Logf("%d operations", operations)
}

func BenchmarkPrice(b *testing.B) {
	r := DefaultRates()
	for b.Loop() {
		r.Price("llama3.1:8b-instruct-q4_K_M", Work{Kind: "chat", InTokens: 100, OutTokens: 500})
	}
}
