package commands

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers/protocol"
)

// Links keeps which accounts are one person's. *storage.Links implements it, and says which faults its methods return.
type Links interface {
	// Begin keeps the SHA-256 of a code for the one who asked; Redeem uses it up for the one who typed it; then that one agrees, and the one who asked joins.
	Begin(ctx context.Context, request string, by community.Identity, code [32]byte, now time.Time) (community.Link, error)
	Redeem(ctx context.Context, request string, by community.Identity, code [32]byte, now time.Time) (community.Link, error)
	Agree(ctx context.Context, request string, by community.UserID, now time.Time) error
	Join(ctx context.Context, request string, by community.UserID, now time.Time) (community.MemberID, error)
	// Refuse ends it for either side.
	Refuse(ctx context.Context, request string, by community.UserID, now time.Time) error
	// Leave ends all that wait for a member's identities. fault.Gone: those are others than the ones that were shown.
	Leave(ctx context.Context, m community.MemberID, shown []community.UserID, now time.Time) error
	Link(ctx context.Context, request string, now time.Time) (l community.Link, ok bool, err error)
	// Changed is closed at the next change of any link.
	Changed() <-chan struct{}
	// Connected lists a member's identities, those that stay when others go first.
	Connected(ctx context.Context, m community.MemberID) ([]community.Identity, error)
	Unlink(ctx context.Context, m community.MemberID, identity community.UserID, now time.Time) (community.MemberID, error)
}

const (
	actionLinkAgree  = "link_agree"
	actionLinkJoin   = "link_join"
	actionLinkRefuse = "link_refuse"
	actionUnlinkList = "unlink_list"
	actionUnlinkAsk  = "unlink_ask"
	actionUnlink     = "unlink_confirm"
)

// connect is /link: without a code it gives one, with one it connects. Both answers stay at work until it is decided, so that each side sees what the
// other does, also after a restart.
func (h House) connect() bot.Command {
	return bot.Command{
		Name: "link", Private: true,
		Options: []bot.Option{{Name: "code", Kind: bot.String, Rest: true, Max: 40}},
		Run: func(ctx context.Context, in *bot.Invocation) error {
			if typed := plainForm(in.Options["code"]); typed != "" {
				return h.linkTyped(ctx, in, typed)
			}
			return h.linkAsked(ctx, in)
		},
	}
}

func (h House) linkActions() []bot.ActionHandler {
	return []bot.ActionHandler{
		{Name: actionLinkAgree, Private: true, Command: "link", Run: h.linkAgreed},
		{Name: actionLinkJoin, Private: true, Command: "link", Run: h.linkJoined},
		{Name: actionLinkRefuse, Private: true, Command: "link", Run: h.linkRefused},
		{Name: actionUnlinkList, Private: true, InPlace: true, Command: "unlink", Run: func(ctx context.Context, in *bot.Invocation, _ bot.Action) error {
			return h.connected(ctx, in)
		}},
		{Name: actionUnlinkAsk, Private: true, InPlace: true, Command: "unlink", Run: h.unlinkAsk},
		{Name: actionUnlink, Private: true, InPlace: true, Command: "unlink", Run: h.unlinkConfirmed},
	}
}

// shownName is how long a name of the other side may be: it comes from a stranger, perhaps.
const shownName = 40

func sideOf(in *bot.Invocation) community.Identity {
	return community.Identity{ID: in.Request.User, Name: cut(in.Request.Name, shownName)}
}

// linkAsked gives a code. After a restart it gives another, unless the first was typed meanwhile: only its hash is kept.
func (h House) linkAsked(ctx context.Context, in *bot.Invocation) error {
	code := protocol.NewCode()
	l, err := h.Links.Begin(ctx, in.Request.ID, sideOf(in), sha256.Sum256([]byte(code)), time.Now())
	if err != nil {
		return fmt.Errorf("begin a link: %w", err)
	}
	typed := bot.Plain("/link "+code[:4]+"-"+code[4:]).In(bot.Code, "")
	return h.followLink(ctx, in, l.Request, func(l community.Link) bot.Reply {
		other := []any{"name", l.Typer.Name, "platform", community.Platform(l.Typer.ID)}
		switch l.State {
		case community.LinkOpen:
			return bot.Reply{Text: joined("\n\n", joined("\n", in.Say("link.code"), typed),
				in.Say("link.code_life", "left", time.Until(l.Until()), "until", l.Begun.Add(community.LinkCodeLife)), in.Say("link.code_care")), Buttons: cancelButton(in, l)}
		case community.LinkTyped:
			return bot.Reply{Text: in.Say("link.typed", other...), Buttons: cancelButton(in, l)}
		default:
			return bot.Reply{
				Text:    joined("\n\n", in.Say("link.confirm", other...), in.Say("link.means"), in.Say("link.care")),
				Buttons: linkButtons(in, l, actionLinkJoin, in.Say("button.link_join")),
			}
		}
	})
}

// linkTyped uses a code up, says whose it is and what follows, and asks.
func (h House) linkTyped(ctx context.Context, in *bot.Invocation, typed string) error {
	code, err := protocol.CleanCode(typed)
	if err != nil {
		return fault.Wrap(err, fault.BadLinkCode)
	}
	l, err := h.Links.Redeem(ctx, in.Request.ID, sideOf(in), sha256.Sum256([]byte(code)), time.Now())
	if err != nil {
		return fmt.Errorf("redeem a link code: %w", err)
	}
	b, machines, err := h.possessions(ctx, in, in.Member.ID)
	if err != nil {
		return err
	}
	return h.followLink(ctx, in, l.Request, func(l community.Link) bot.Reply {
		other := []any{"name", l.Asker.Name, "platform", community.Platform(l.Asker.ID)}
		if l.State == community.LinkAgreed {
			return bot.Reply{Text: in.Say("link.wait", other...), Buttons: cancelButton(in, l)}
		}
		return bot.Reply{
			Text:    joined("\n\n", in.Say("link.ask", other...), in.Say("link.means"), in.Say("link.bring", "amount", b.Spendable+b.Pending, "n", machines), in.Say("link.care")),
			Buttons: linkButtons(in, l, actionLinkAgree, in.Say("button.link_agree")),
		}
	})
}

// linkButtons are what takes a link one step on, and what ends it.
func linkButtons(in *bot.Invocation, l community.Link, on string, label bot.Text) []bot.NewButton {
	data := []byte(l.Request)
	return []bot.NewButton{
		{Action: on, Label: label, Style: bot.Primary, Data: data},
		{Action: actionLinkRefuse, Label: in.Say("button.link_refuse"), Style: bot.Danger, Data: data},
	}
}

// cancelButton ends a link on the side that waits for the other.
func cancelButton(in *bot.Invocation, l community.Link) []bot.NewButton {
	return []bot.NewButton{{Action: actionLinkRefuse, Label: in.Say("button.link_cancel"), Data: []byte(l.Request)}}
}

// followLink shows one side how far a link is until it is over.
func (h House) followLink(ctx context.Context, in *bot.Invocation, request string, show func(community.Link) bot.Reply) error {
	for {
		changed := h.Links.Changed() // before it is read, so that nothing is missed
		l, ok, err := h.Links.Link(ctx, request, time.Now())
		if err != nil {
			return fmt.Errorf("follow a link: %w", err)
		}
		if !ok { // somebody was forgotten
			l.State = community.LinkExpired
		}
		if l.State.Final() {
			text, err := h.linkOver(ctx, in, l)
			if err != nil {
				return err
			}
			return in.Reply.Final(ctx, bot.Reply{Text: text})
		}
		reply := show(l)
		reply.Status, reply.Asks, reply.Working = true, true, true // Working: a final comes only when a link is over, so none can be out
		in.Reply.Show(reply)
		expired := time.NewTimer(time.Until(l.Until()))
		select {
		case <-changed:
		case <-expired.C:
		case <-ctx.Done():
		}
		expired.Stop()
		if cause := context.Cause(ctx); cause != nil {
			if fault.Has(cause, fault.Cancelled) { // the message that asked was deleted
				_ = h.Links.Refuse(context.WithoutCancel(ctx), request, in.Request.User, time.Now()) // else it expires
			}
			return cause
		}
	}
}

// linkOver says what became of a link.
func (h House) linkOver(ctx context.Context, in *bot.Invocation, l community.Link) (bot.Text, error) {
	if l.State != community.LinkJoined {
		return in.Say("link.over", "state", l.State), nil
	}
	other := l.Typer
	if other.ID == in.Request.User {
		other = l.Asker
	}
	m, err := h.People.MemberByID(ctx, in.Member.ID) // may be another than when this began
	if err != nil {
		return bot.Text{}, fmt.Errorf("who is connected: %w", err)
	}
	b, machines, err := h.possessions(ctx, in, m.ID)
	if err != nil {
		return bot.Text{}, err
	}
	return joined("\n\n",
		in.Say("link.joined", "name", other.Name, "platform", community.Platform(other.ID)),
		in.Say("link.have", "amount", b.Spendable, "free", b.Free, "n", machines),
		small(in.Say("link.joined_more"))), nil
}

// possessions are what a member has.
func (h House) possessions(ctx context.Context, in *bot.Invocation, m community.MemberID) (b ledger.Balance, machines int, err error) {
	q := in.Request
	q.Member = m
	if b, err = h.Credits.Balance(ctx, m, h.Payer(q), h.Now()); err != nil {
		return b, 0, fmt.Errorf("balance: %w", err)
	}
	mine, err := h.Pool.Workers(ctx, m)
	if err != nil {
		return b, 0, fmt.Errorf("look up workers: %w", err)
	}
	return b, len(mine), nil
}

// What follows a press is shown by the two answers that follow the link.

func (h House) linkAgreed(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	if err := h.Links.Agree(ctx, string(a.Data), in.Request.User, time.Now()); err != nil {
		return fmt.Errorf("agree to a link: %w", err)
	}
	return nil
}

func (h House) linkJoined(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	m, err := h.Links.Join(ctx, string(a.Data), in.Request.User, time.Now())
	if err != nil {
		return fmt.Errorf("connect accounts: %w", err)
	}
	mine, err := h.Pool.Workers(ctx, m)
	if err != nil {
		return fmt.Errorf("look up workers: %w", err)
	}
	for _, w := range mine {
		if err := h.Owners.Refresh(ctx, w.ID); err != nil { // the pool learns it when the machine connects again
			h.note("a connected member's machine keeps its owner until it connects again", "worker", w.ID, "err", err)
		}
	}
	return nil
}

func (h House) linkRefused(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	if err := h.Links.Refuse(ctx, string(a.Data), in.Request.User, time.Now()); err != nil {
		return fmt.Errorf("refuse a link: %w", err)
	}
	return nil
}

func (h House) note(what string, args ...any) {
	if h.Log != nil {
		h.Log.Warn(what, args...)
	}
}

func (h House) disconnect() bot.Command {
	return bot.Command{Name: "unlink", Private: true, Run: h.connected}
}

// connected lists the accounts that are one person's, with a button for each that can leave.
func (h House) connected(ctx context.Context, in *bot.Invocation) error {
	all, err := h.Links.Connected(ctx, in.Member.ID)
	if err != nil {
		return fmt.Errorf("connected accounts: %w", err)
	}
	if len(all) < 2 {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("unlink.none")})
	}
	lines, reply := []bot.Text{in.Say("unlink.list", "n", len(all))}, bot.Reply{}
	for _, i := range all {
		name := cut(i.Name, shownName)
		lines = append(lines, in.Say("unlink.line", "name", name, "platform", community.Platform(i.ID), "first", i.Joined.IsZero(), "this", i.ID == in.Request.User))
		if !i.Joined.IsZero() {
			data, err := json.Marshal(i)
			if err != nil {
				return err
			}
			reply.Buttons = append(reply.Buttons, bot.NewButton{
				Action: actionUnlinkAsk, Label: in.Say("button.unlink", "name", cut(i.Name, 24), "platform", community.Platform(i.ID)), Data: data,
			})
		}
	}
	reply.Text = joined("\n\n", joined("\n", lines...), in.Say("unlink.more"))
	return in.Reply.Final(ctx, reply)
}

// leaving is the identity that a button is about.
func leaving(a bot.Action) (i community.Identity, err error) {
	if err := json.Unmarshal(a.Data, &i); err != nil {
		return i, fault.Wrap(err, fault.Gone, "command", "unlink")
	}
	return i, nil
}

func (h House) unlinkAsk(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	i, err := leaving(a)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{
		Text: in.Say("unlink.ask", "name", cut(i.Name, shownName), "platform", community.Platform(i.ID), "operator", in.Member.Operator),
		Buttons: []bot.NewButton{
			{Action: actionUnlink, Label: in.Say("button.unlink_confirm"), Style: bot.Danger, Data: a.Data},
			{Action: actionUnlinkList, Label: in.Say("button.unlink_keep")},
		},
	})
}

func (h House) unlinkConfirmed(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	i, err := leaving(a)
	if err != nil {
		return err
	}
	if _, err := h.Links.Unlink(ctx, in.Member.ID, i.ID, time.Now()); err != nil {
		return fmt.Errorf("disconnect an account: %w", err)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("unlink.done", "name", cut(i.Name, shownName), "platform", community.Platform(i.ID))})
}
