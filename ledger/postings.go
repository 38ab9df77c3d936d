package ledger

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// String writes credits with up to three decimals: "12.5", "0", "-0.25".
func (a Amount) String() string {
	sign, n := "", uint64(a)
	if a < 0 {
		sign, n = "-", -uint64(a)
	}
	whole := sign + strconv.FormatUint(n/uint64(Credit), 10)
	if rest := n % uint64(Credit); rest != 0 {
		return whole + "." + strings.TrimRight(fmt.Sprintf("%03d", rest), "0")
	}
	return whole
}

// Purse is an account with what stands in it now.
type Purse struct {
	Account Account
	Balance Amount
}

// Draw takes an amount out of purses in their order, each as far as it goes, and returns the (negative) postings. It returns ok false and what is
// there in all when that is not enough. An amount of 0 or less draws nothing.
func Draw(amount Amount, purses ...Purse) (postings []Posting, have Amount, ok bool) {
	left := amount
	for _, p := range purses {
		if p.Account == (Account{}) || p.Balance <= 0 {
			continue
		}
		have += p.Balance
		if take := min(left, p.Balance); take > 0 {
			postings = append(postings, Posting{p.Account, -take})
			left -= take
		}
	}
	if left > 0 {
		return nil, have, false
	}
	return postings, have, true
}

// HoldPostings moves what Draw took into the hold.
func HoldPostings(drawn []Posting) []Posting {
	var all Amount
	for _, p := range drawn {
		all -= p.Amount
	}
	return merge(append(drawn[:len(drawn):len(drawn)], Posting{HoldAccount, all}))
}

// SettlePostings resolves a hold: paid goes to the earner, the rest back to the payers. What was drawn last comes back first: own credits before the
// free ones. held are the postings of the hold's transaction. It refuses to pay less than 0 or more than was held.
func SettlePostings(held []Posting, earner Account, paid Amount) ([]Posting, error) {
	var all Amount
	for _, p := range held {
		if p.Account == HoldAccount {
			all += p.Amount
		}
	}
	if paid < 0 || paid > all {
		return nil, fmt.Errorf("settle %v of %v held", paid, all)
	}
	if all == 0 {
		return nil, nil
	}
	postings := []Posting{{HoldAccount, -all}, {earner, paid}}
	back := all - paid
	for i := len(held) - 1; i >= 0; i-- {
		if p := held[i]; p.Account != HoldAccount {
			give := min(back, -p.Amount)
			postings = append(postings, Posting{p.Account, give})
			back -= give
		}
	}
	if back != 0 {
		return nil, fmt.Errorf("settle: the hold's postings do not sum to zero")
	}
	return merge(postings), nil
}

// RefundPostings gives the whole hold back to its payers.
func RefundPostings(held []Posting) ([]Posting, error) { return SettlePostings(held, HoldAccount, 0) }

// GrantPostings brings a daily account to daily: what is left of the day before is burned and the new grant minted.
func GrantPostings(to Account, left, daily Amount) []Posting {
	left, daily = max(0, left), max(0, daily)
	return merge([]Posting{{to, daily - left}, {MintAccount, -daily}, {BurnAccount, left}})
}

// ReleaseAt is when earnings leave escrow: at once when the delay is 0 or less.
func ReleaseAt(earned time.Time, delay time.Duration) time.Time { return earned.Add(max(0, delay)) }

// merge joins postings of the same account, in the order of their first, and drops those of 0.
func merge(postings []Posting) []Posting {
	at := map[Account]int{}
	var out []Posting
	for _, p := range postings {
		if i, ok := at[p.Account]; ok {
			out[i].Amount += p.Amount
			continue
		}
		at[p.Account] = len(out)
		out = append(out, p)
	}
	kept := out[:0]
	for _, p := range out {
		if p.Amount != 0 {
			kept = append(kept, p)
		}
	}
	return kept
}
