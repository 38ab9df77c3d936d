package ledger

import (
	"fmt"
	"strconv"
	"strings"
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

// Granted is what stands in a purse after its grant of the day. An allowance has daily then, whatever was left of an earlier day; a community's pool keeps
// what it has, because gifts are in it, and is filled up to daily. A grant of 0 or less changes nothing.
func Granted(p Purse, daily Amount) Amount {
	if daily <= 0 || p.Account.Kind == PoolFund && p.Balance > daily {
		return p.Balance
	}
	return daily
}

// GrantPostings brings a purse to what Granted says. What was left of an earlier day's allowance is burned and the whole of the new one minted, so that
// both can be counted; a pool gets only what it lacks. There are no postings when nothing changes.
func GrantPostings(p Purse, daily Amount) []Posting {
	after := Granted(p, daily)
	minted, burned := after-p.Balance, Amount(0)
	if p.Account.Kind != PoolFund && daily > 0 {
		minted, burned = daily, p.Balance
	}
	postings := make([]Posting, 0, 3)
	postings = add(postings, MintAccount, -minted)
	postings = add(postings, p.Account, after-p.Balance)
	return add(postings, BurnAccount, burned)
}

// HoldPostings puts an amount aside: from the allowance as far as that goes, then from own credits. Either purse may be the zero Purse. have is what
// both have together; when that is not enough, ok is false and nothing moves. An amount of 0 or less holds nothing.
func HoldPostings(amount Amount, allowance, spend Purse) (postings []Posting, have Amount, ok bool) {
	free, own := max(0, allowance.Balance), max(0, spend.Balance)
	have = free + own
	if have < amount {
		return nil, have, false
	}
	amount = max(0, amount)
	fromFree := min(free, amount)
	postings = make([]Posting, 0, 3)
	postings = add(postings, allowance.Account, -fromFree)
	postings = add(postings, spend.Account, fromFree-amount)
	return add(postings, HoldAccount, amount), have, true
}

// Drawn is what a hold took out of one account, and where it goes back to.
type Drawn struct {
	From    Account // that of the older member, where the payer joined another one since
	Amount  Amount  // above 0
	Expired bool    // an allowance that was granted anew since: what would go back is burned, like everything else that was left of the earlier day
}

// goesBack is the order in which what a job did not cost goes back: own credits first, so that the free ones, which nobody can keep, pay first.
var goesBack = [...]AccountKind{Spend, PoolFund, Allowance}

// SettlePostings resolves a hold: paid goes to the earner and the rest back to where it was drawn from. Paying 0 is a refund. It is an error to pay less
// than 0 or more than was held, and when what was drawn is not what is held.
func SettlePostings(held, paid Amount, earner Account, drawn []Drawn) ([]Posting, error) {
	if paid < 0 || paid > held {
		return nil, fmt.Errorf("settle %v of %v held", paid, held)
	}
	postings := make([]Posting, 0, len(drawn)+3)
	postings = add(postings, HoldAccount, -held)
	postings = add(postings, earner, paid)
	missing, rest := held, held-paid
	for _, kind := range goesBack {
		for _, d := range drawn {
			if d.From.Kind != kind {
				continue
			}
			to, back := d.From, min(rest, d.Amount)
			if d.Expired {
				to = BurnAccount
			}
			postings = add(postings, to, back)
			missing -= d.Amount
			rest -= back
		}
	}
	if missing != 0 {
		return nil, fmt.Errorf("settle: %v are held and %v were drawn", held, held-missing)
	}
	return postings, nil
}

// add appends a posting, or joins it with the one of the same account: a transaction has one posting of an account, and none of 0.
func add(postings []Posting, to Account, amount Amount) []Posting {
	if amount == 0 {
		return postings
	}
	for i := range postings {
		if postings[i].Account == to {
			postings[i].Amount += amount
			return postings
		}
	}
	return append(postings, Posting{to, amount})
}
