package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
)

const actionGive = "give_confirm"

// maxGift is the largest gift at once, in credits.
const maxGift = 1_000_000

func (h House) give() bot.Command {
	return bot.Command{
		Name: "give", Private: true, Run: h.giveAsk,
		Options: []bot.Option{
			{Name: "to", Kind: bot.String, Rest: true, Person: true, Required: true, Max: 100},
			{Name: "amount", Kind: bot.Integer, Min: 1, Max: maxGift},
		},
	}
}

// gift is what a Give button does. Member 0 is the pool.
type gift struct {
	To     community.MemberID    `json:"to,omitempty"`
	Pool   community.CommunityID `json:"pool,omitempty"`
	Amount int64                 `json:"amount"` // credits
}

// receiver chooses the words for who gets it.
func (g gift) receiver() string {
	if g.To != 0 {
		return "member"
	}
	return "pool"
}

func (g gift) account() ledger.Account {
	if g.To != 0 {
		return ledger.SpendOf(g.To)
	}
	return ledger.PoolOf(g.Pool)
}

// poolWords name the community's pool in the languages of the catalogue; "@pool" is somebody of that name.
var poolWords = map[string]bool{"pool": true, "fondo": true, "topf": true, "プール": true}

func (h House) giveAsk(ctx context.Context, in *bot.Invocation) error {
	amount, to, err := giftTyped(in.Options["amount"], in.Rest)
	if err != nil {
		return err
	}
	g, name := gift{Amount: amount}, ""
	if poolWords[foldName(to.Plain)] {
		if g.Pool = in.Request.Chat.Community; g.Pool == "" {
			return fault.New(fault.NotHere)
		}
	} else {
		m, err := h.person(ctx, in, to)
		if err != nil {
			return err
		}
		if m.ID == in.Member.ID {
			return in.Reply.Final(ctx, bot.Reply{Text: in.Say("give.self")})
		}
		g.To, name = m.ID, m.Name
	}
	b, err := h.Credits.Balance(ctx, in.Member.ID, h.Payer(in.Request), h.Now())
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	if want := ledger.Amount(amount) * ledger.Credit; b.Spendable < want {
		return fault.New(fault.NotEnough, "need", want, "have", b.Spendable)
	}
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{
		Text:    in.Say("give.ask", "to", g.receiver(), "amount", ledger.Amount(amount)*ledger.Credit, "name", name, "left", b.Spendable-ledger.Amount(amount)*ledger.Credit),
		Buttons: []bot.NewButton{{Action: actionGive, Label: in.Say("button.give"), Style: bot.Primary, Data: data}},
	})
}

// giftTyped takes the number out of "5 @Rita", "@Rita 5" or "amount:5 @Rita".
func giftTyped(option string, rest bot.Text) (amount int64, to bot.Text, err error) {
	if option != "" {
		amount, err = strconv.ParseInt(option, 10, 64)
		return amount, rest, err
	}
	plain := rest.Plain
	fields := strings.Fields(plain)
	ends := []int{0, len(fields) - 1}
	if len(fields) < 2 {
		ends = nil
	}
	for _, i := range ends {
		n, err := strconv.ParseInt(plainForm(fields[i]), 10, 64)
		if err != nil {
			continue
		}
		if n < 1 || n > maxGift {
			return 0, rest, fault.New(fault.BadOption, "option", "amount", "value", cut(fields[i], 40), "want", "credits")
		}
		if i == 0 {
			at := strings.Index(plain, fields[0]) + len(fields[0])
			return n, rest.Slice(at, len(plain)), nil
		}
		return n, rest.Slice(0, strings.LastIndex(plain, fields[i])), nil
	}
	for _, i := range ends {
		if _, err := strconv.ParseFloat(strings.ReplaceAll(plainForm(fields[i]), ",", ""), 64); err == nil || errors.Is(err, strconv.ErrRange) {
			return 0, rest, fault.New(fault.BadOption, "option", "amount", "value", cut(fields[i], 40), "want", "credits")
		}
	}
	if _, err := strconv.ParseInt(plainForm(plain), 10, 64); err == nil { // the number is there
		return 0, rest, fault.New(fault.MissingOption, "command", "/give", "option", "to", "what", "option.give.to", "usage", "/give amount:5 @Rita")
	}
	return 0, rest, fault.New(fault.MissingOption, "command", "/give", "option", "amount", "what", "option.give.amount", "usage", "/give amount:5 @Rita")
}

// giveConfirmed gives once, however often the button is pressed and whatever is killed: the key is the request that asked.
func (h House) giveConfirmed(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	var g gift
	if err := json.Unmarshal(a.Data, &g); err != nil {
		return fault.Wrap(err, fault.Gone, "command", "give")
	}
	amount := ledger.Amount(g.Amount) * ledger.Credit
	if _, err := h.Gifts.Give(ctx, ledger.GiveKey(a.Request), in.Member.ID, g.account(), amount, h.Now()); err != nil {
		return fmt.Errorf("give: %w", err)
	}
	b, err := h.Credits.Balance(ctx, in.Member.ID, h.Payer(in.Request), h.Now())
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	name := ""
	if g.To != 0 {
		name = h.called(ctx, in, g.To)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("give.done", "to", g.receiver(), "amount", amount, "name", name, "left", b.Spendable)})
}
