package ledger

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"potluck/community"
)

func TestAmountString(t *testing.T) {
	for a, want := range map[Amount]string{
		0: "0", 1: "0.001", 120: "0.12", 12345: "12.345", 12500: "12.5", -250: "-0.25", 1000: "1", -1000: "-1", 1234567: "1234.567", 10: "0.01",
		math.MaxInt64: "9223372036854775.807", math.MinInt64: "-9223372036854775.808",
	} {
		if got := a.String(); got != want {
			t.Errorf("%d milli-credits: %q, want %q", int64(a), got, want)
		}
	}
}

func TestADayEndsAtMidnightUTC(t *testing.T) {
	newYear := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, now := range []time.Time{newYear.Add(-time.Nanosecond), newYear.Add(-24 * time.Hour), time.Date(2027, 1, 1, 0, 59, 0, 0, time.FixedZone("", 3600))} {
		if got := NextDay(now); !got.Equal(newYear) {
			t.Errorf("the day after %s begins at %s", now, got)
		}
		a := SpendOf(1)
		if last := newYear.Add(-time.Nanosecond); GrantKey(a, now) != GrantKey(a, last) || GrantKey(a, now) == GrantKey(a, newYear) {
			t.Errorf("the day of %s is not that of %s", now, last)
		}
	}
}

func TestWhatACostlessPartOfAHoldGoesBackTo(t *testing.T) {
	free, own, pool, earner := AllowanceOf(community.UserID("page:1")), SpendOf(1), PoolOf("page:potluck"), EscrowOf(2)
	for name, c := range map[string]struct {
		paid  Amount
		drawn []Drawn
		want  []Posting
	}{
		"nothing was paid": {0, []Drawn{{From: free, Amount: 60}, {From: own, Amount: 40}}, []Posting{{HoldAccount, -100}, {own, 40}, {free, 60}}},
		"all was paid":     {100, []Drawn{{From: free, Amount: 60}, {From: own, Amount: 40}}, []Posting{{HoldAccount, -100}, {earner, 100}}},
		"own credits come back before the free ones": {70, []Drawn{{From: free, Amount: 60}, {From: own, Amount: 40}}, []Posting{{HoldAccount, -100}, {earner, 70}, {own, 30}}},
		"gifts come back before the free ones":       {30, []Drawn{{From: free, Amount: 60}, {From: pool, Amount: 40}}, []Posting{{HoldAccount, -100}, {earner, 30}, {pool, 40}, {free, 30}}},
		"an earlier day's allowance is burned":       {30, []Drawn{{From: free, Amount: 60, Expired: true}, {From: own, Amount: 40}}, []Posting{{HoldAccount, -100}, {earner, 30}, {own, 40}, {BurnAccount, 30}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := SettlePostings(100, c.paid, earner, c.drawn)
			if err != nil || !slices.Equal(got, c.want) {
				t.Errorf("settled %v, %v; want %v", got, err, c.want)
			}
		})
	}
}

func TestHoldSaysWhatIsThere(t *testing.T) {
	free, own := Purse{AllowanceOf(community.UserID("page:1")), 60}, Purse{SpendOf(1), 50}
	if p, have, ok := HoldPostings(111, free, own); ok || have != 110 || p != nil {
		t.Errorf("held %v of %v, %v", p, have, ok)
	}
	if p, have, ok := HoldPostings(100, free, own); !ok || have != 110 || !slices.Equal(p, []Posting{{free.Account, -60}, {own.Account, -40}, {HoldAccount, 100}}) {
		t.Errorf("held %v of %v, %v", p, have, ok)
	}
	if p, have, ok := HoldPostings(1, Purse{}, Purse{}); ok || have != 0 || p != nil {
		t.Errorf("nobody: held %v of %v, %v", p, have, ok)
	}
}

func TestSettleRefuses(t *testing.T) {
	drawn := []Drawn{{From: SpendOf(1), Amount: 100}}
	for name, c := range map[string]struct{ held, paid Amount }{"more than was held": {100, 101}, "less than nothing": {100, -1}, "more held than drawn": {101, 0}, "less held than drawn": {99, 0}} {
		if p, err := SettlePostings(c.held, c.paid, EscrowOf(2), drawn); err == nil {
			t.Errorf("%s: %v", name, p)
		}
	}
	if p, err := SettlePostings(100, 0, EscrowOf(2), []Drawn{{From: EscrowOf(1), Amount: 100}}); err == nil {
		t.Errorf("from an account that pays for no job: %v", p)
	}
}

func TestGrantOfNothingChangesNothing(t *testing.T) {
	for _, daily := range []Amount{0, -5} {
		if p := GrantPostings(Purse{SpendOf(1), 7}, daily); len(p) > 0 {
			t.Errorf("a grant of %v: %v", daily, p)
		}
	}
	if p := GrantPostings(Purse{PoolOf("c"), 70}, 60); len(p) > 0 {
		t.Errorf("a grant to a pool that has more: %v", p)
	}
}

// house is a book of two members, one of whom may join the other, with an allowance each and a pool. It knows nothing of postings' arithmetic.
type house struct {
	t       *rapid.T
	books   map[Account]Amount
	day     int
	granted map[Account]int // the day of its last grant
	joined  bool            // the younger member has joined the older
	open    []taken
	applied int
}

// taken is a hold that is not resolved.
type taken struct {
	amount   Amount
	postings []Posting
	day      int
}

const houseDaily Amount = 300

var (
	older, younger         = SpendOf(1), SpendOf(2)
	olderFree, youngerFree = AllowanceOf(community.UserID("page:1")), AllowanceOf(community.UserID("page:2"))
	pool, earner           = PoolOf("page:potluck"), EscrowOf(3)
)

func (h *house) purse(a Account) Purse { return Purse{a, h.books[a]} }

// apply checks what must be true of any transaction and of the books after it.
func (h *house) apply(postings []Posting) {
	h.applied++
	if len(postings) == 0 {
		return
	}
	if err := (Transaction{Key: "k", Postings: postings}).Check(); err != nil {
		h.t.Fatal(err)
	}
	seen := map[Account]bool{}
	for _, p := range postings {
		if seen[p.Account] {
			h.t.Fatalf("two postings of %v in %v", p.Account, postings)
		}
		seen[p.Account] = true
		h.books[p.Account] += p.Amount
	}
	var sum Amount
	for a, b := range h.books {
		sum += b
		if b < 0 && a != MintAccount || a.Kind == Allowance && b > houseDaily || h.joined && a == younger && b != 0 {
			h.t.Fatalf("%v has %v after %v", a, b, postings)
		}
	}
	if sum != 0 {
		h.t.Fatalf("books sum to %v", sum)
	}
}

func (h *house) grant(a Account) {
	if last, ok := h.granted[a]; ok && last == h.day {
		return
	}
	before, want := h.books[a], Granted(h.purse(a), houseDaily)
	if a.Kind == Allowance && want != houseDaily || a.Kind == PoolFund && want != max(before, houseDaily) {
		h.t.Fatalf("%v with %v is granted %v and has %v", a, before, houseDaily, want)
	}
	h.apply(GrantPostings(h.purse(a), houseDaily))
	if h.books[a] != want {
		h.t.Fatalf("%v has %v, want %v", a, h.books[a], want)
	}
	h.granted[a] = h.day
}

func (h *house) hold(amount Amount, free, own Account) {
	before := [2]Amount{h.books[free], h.books[own]}
	postings, have, ok := HoldPostings(amount, h.purse(free), h.purse(own))
	if have != before[0]+before[1] || ok != (amount <= have) {
		h.t.Fatalf("held %v of %v in %v: %v", amount, before, have, ok)
	}
	if !ok {
		return
	}
	h.apply(postings)
	if h.books[own] != before[1] && h.books[free] != 0 {
		h.t.Fatalf("own credits went while %v were free", h.books[free])
	}
	h.open = append(h.open, taken{max(0, amount), postings, h.day})
}

// resolve pays for an open hold and gives the rest back, which for somebody who joined is the older's.
func (h *house) resolve(i int, paid Amount) {
	k := h.open[i]
	h.open = append(h.open[:i], h.open[i+1:]...)
	var drawn []Drawn
	var kept Amount // may go back to where people can keep it
	for _, p := range k.postings {
		if p.Amount > 0 {
			continue
		}
		d := Drawn{From: p.Account, Amount: -p.Amount, Expired: p.Account.Kind == Allowance && h.granted[p.Account] > k.day}
		if d.From == younger && h.joined {
			d.From = older
		}
		if d.From.Kind != Allowance {
			kept += d.Amount
		}
		drawn = append(drawn, d)
	}
	postings, err := SettlePostings(k.amount, paid, earner, drawn)
	if err != nil {
		h.t.Fatal(err)
	}
	before := maps.Clone(h.books)
	h.apply(postings)
	got := func(a Account) Amount { return h.books[a] - before[a] }
	rest := k.amount - paid
	if got(HoldAccount) != -k.amount || got(earner) != paid || got(MintAccount) != 0 {
		h.t.Fatalf("of %v held %v were paid: %v", k.amount, paid, postings)
	}
	if back := got(older) + got(younger) + got(pool); back != min(rest, kept) {
		h.t.Fatalf("%v of %v came back to where they are kept, of %v drawn there: %v", back, rest, kept, postings)
	}
	for _, d := range drawn {
		if d.Expired && got(d.From) != 0 || !d.Expired && got(BurnAccount) != 0 && d.From.Kind == Allowance {
			h.t.Fatalf("%+v: %v", d, postings)
		}
	}
}

// TestBooksBalance runs random days, grants, holds, settlements, refunds, gifts and a member joining another one: each transaction may be applied, no
// account of a person or of the hold falls below zero, no allowance has more than a day's, everything sums to zero, and in the end nothing stays held.
// -rapid.checks 60000 makes more than a million operations.
func TestBooksBalance(t *testing.T) {
	operations := 0
	rapid.Check(t, func(t *rapid.T) {
		h := &house{t: t, books: map[Account]Amount{}, granted: map[Account]int{}}
		h.apply([]Posting{{MintAccount, -1000}, {older, 600}, {younger, 400}})
		resolve := func(t *rapid.T, most func(taken) Amount) {
			if len(h.open) == 0 {
				t.Skip("nothing held")
			}
			i := rapid.IntRange(0, len(h.open)-1).Draw(t, "hold")
			h.resolve(i, Amount(rapid.Int64Range(0, int64(most(h.open[i]))).Draw(t, "paid")))
		}
		t.Repeat(map[string]func(*rapid.T){
			"a day passes": func(*rapid.T) { h.day++ },
			"grant a pool": func(*rapid.T) { h.grant(pool) },
			"give to the pool": func(t *rapid.T) {
				if have := h.books[older]; have > 0 {
					n := Amount(rapid.Int64Range(1, int64(have)).Draw(t, "amount"))
					h.apply([]Posting{{older, -n}, {pool, n}})
				}
			},
			"hold": func(t *rapid.T) {
				payer := rapid.SampledFrom([][2]Account{{olderFree, older}, {youngerFree, younger}, {{}, pool}, {{}, older}, {olderFree, {}}, {pool, older}}).Draw(t, "payer")
				if h.joined && payer[1] == younger {
					payer[1] = older
				}
				if payer[0] != (Account{}) {
					h.grant(payer[0])
				}
				h.hold(Amount(rapid.Int64Range(-5, 700).Draw(t, "amount")), payer[0], payer[1])
			},
			"settle": func(t *rapid.T) { resolve(t, func(k taken) Amount { return k.amount }) },
			"refund": func(t *rapid.T) { resolve(t, func(taken) Amount { return 0 }) },
			"join": func(t *rapid.T) {
				if h.joined {
					t.Skip("joined already")
				}
				h.joined = true
				if have := h.books[younger]; have > 0 {
					h.apply([]Posting{{younger, -have}, {older, have}})
				}
			},
		})
		for len(h.open) > 0 {
			h.resolve(0, 0)
		}
		if h.books[HoldAccount] != 0 {
			t.Fatalf("%v stays held", h.books[HoldAccount])
		}
		operations += h.applied
	})
	t.Logf("%d operations", operations)
}

// BenchmarkSettlePostings is what settling one job with two payers computes; storage does it between two statements of SQL.
func BenchmarkSettlePostings(b *testing.B) {
	drawn := []Drawn{{From: olderFree, Amount: 600}, {From: older, Amount: 400}}
	for b.Loop() {
		if _, err := SettlePostings(1000, 300, earner, drawn); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrice(b *testing.B) {
	r := DefaultRates()
	for b.Loop() {
		r.Price("llama3.1:8b-instruct-q4_K_M", Work{Kind: "chat", InTokens: 100, OutTokens: 500})
	}
}
