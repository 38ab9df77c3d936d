package main

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"potluck/bot"
	"potluck/bot/webchat"
	"potluck/community"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// makeOperator makes sure that an identity belongs to a member who is operator. Where that would make an operator of a connected account that nobody named,
// it is not done: the role never spreads by connecting, in whichever order.
func (h *house) makeOperator(ctx context.Context, user community.UserID, name string) (community.Member, error) {
	m, err := h.people.Member(ctx, user, name, time.Now())
	if err != nil {
		return m, err
	}
	if !m.Operator {
		all, err := h.people.Identities(ctx, m.ID)
		if err != nil {
			return m, err
		}
		all = slices.DeleteFunc(all, func(id community.UserID) bool { return id == user || h.namedOperator(id) })
		if len(all) > 0 {
			h.log.Error("not made operator: accounts that are no operators are connected with this one; /unlink them or name them, too", "user", user, "connected", all)
			return m, nil
		}
	}
	if err := h.people.MakeOperator(ctx, m.ID); err != nil {
		return m, err
	}
	return h.people.MemberByID(ctx, m.ID)
}

// namedOperator tells whether the configuration names an identity, or it is that of the one-time address.
func (h *house) namedOperator(id community.UserID) bool {
	named := map[string][]string{"discord": h.config.Discord.Operators, "telegram": h.config.Telegram.Operators}[community.Platform(id)]
	return id == webchat.OperatorUser || slices.Contains(named, community.Local(id))
}

// payer: the page's visitors share one allowance, however many sessions they open, and those of one household have a part of it together; elsewhere each
// identity has its own, under a name that tells nobody whose it is: the ledger cannot forget.
//
// Who has connected several accounts has the free credits of one of them, wherever the wish comes from: also on the page, and also when the wish is older
// than the connection.
func (h *house) payer(r bot.Request) ledger.Payer {
	user, member := r.User, r.Member
	if m, err := h.people.MemberByID(context.Background(), r.Member); err == nil { // from memory, nearly always
		member = m.ID
		if m.Free != "" {
			user = m.Free
		}
	}
	if community.Platform(user) == "page" {
		p := ledger.Payer{Allowance: ledger.AllowanceOf(r.Chat.Community), Daily: credits(h.knobs.value(knobDailyPage)), Spend: ledger.SpendOf(member)}
		if percent := h.knobs.value(knobPageShare); r.Household != "" && percent < 100 {
			p.Share = ledger.Share{Household: r.Household, Most: p.Daily * ledger.Amount(percent) / 100}
		}
		return p
	}
	return ledger.Payer{Allowance: ledger.AllowanceOf(aliasOf(h.alias, user)), Daily: credits(h.knobs.value(knobDailyMember)), Spend: ledger.SpendOf(member)}
}

// household names whose request of the page one is, behind the proxies that are trusted. Where only this machine reaches the page, all visitors have its
// address, and nobody is counted.
func (h *house) household(r *http.Request) string {
	if h.onlyHere() {
		return ""
	}
	return householdOf(h.alias, h.caller.Of(r), time.Now())
}

// onlyHere tells whether nobody but this machine reaches the page: it listens to no other, and no proxy or tunnel brings anybody.
func (h *house) onlyHere() bool {
	at, ok := h.listener.Addr().(*net.TCPAddr)
	public := h.config.HTTP.PublicURL
	return ok && at.IP.IsLoopback() && (public == "" || protocol.Loopback(public)) && len(h.config.HTTP.TrustedProxies) == 0
}

// quality: what people ask for by a command may be rough; demonstrations are for the page, where the operator wants them.
func (h *house) quality(c community.Chat) protocol.Quality {
	if community.Platform(c.ID) == "page" && h.config.Page.DemoEngine || community.Platform(c.ID) == "discord" && h.config.Discord.DemoEngine ||
		community.Platform(c.ID) == "telegram" && h.config.Telegram.DemoEngine {
		return protocol.Demo
	}
	return protocol.Rough
}

// trustedWorker: pictures of workers that are the operator's, or vouched for in that community, are shown uncovered. Nobody has looked at
// a stranger's. One that drew and has left is asked for in the database.
func (h *house) trustedWorker(worker int64, c community.Chat) bool {
	trusted := func(w workers.Worker) bool { return w.Operator || w.Vouched[c.Community] != "" }
	for _, w := range h.pool.Overview().Workers {
		if w.ID == worker {
			return trusted(w.Worker)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), trustWait)
	defer cancel()
	linked, err := h.pool.Workers(ctx, 0)
	if err != nil {
		h.log.Warn("whose machine drew a picture was not read: it is covered", "worker", worker, "err", err)
		return false
	}
	return slices.ContainsFunc(linked, func(w workers.Worker) bool { return w.ID == worker && trusted(w) })
}

// trustWait is how long a picture waits at most until it is known whose machine drew it.
const trustWait = 5 * time.Second
