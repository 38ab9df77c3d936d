package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"potluck/bot"
	"potluck/fault"
)

// removeAsk asks before pictures are gone for good: the row below them becomes the question. Pictures that cannot be shown again go at once.
func (h House) removeAsk(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	sure := joined("\n", p.Caption, in.Say("picture.remove", "n", len(p.Names)))
	err = h.showAnew(ctx, in, a, p, sure, []bot.NewButton{
		{Action: actionDestroy, Label: in.Say("button.delete"), Style: bot.Danger, Data: a.Data, Owner: p.Asker, Only: p.User},
		{Action: actionKeep, Label: in.Say("button.keep"), Data: a.Data, Owner: p.Asker, Only: p.User},
	})
	if errors.Is(err, fault.New(fault.Gone)) {
		return h.remove(ctx, in, a)
	}
	return err
}

// elsewhere is what the buttons below a private question carry: the picture's own action, and where the picture stands.
type elsewhere struct {
	Picture json.RawMessage `json:"picture"`
	bot.Standing
}

// removeAskAside asks who pressed alone: the others see the picture meanwhile.
func (h House) removeAskAside(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	q := in.Request
	data, err := json.Marshal(elsewhere{a.Data, bot.Standing{Request: a.Request, Chat: q.Chat.ID, Message: q.Source, Handle: q.Handle}})
	if err != nil {
		return fmt.Errorf("carry where a picture stands: %w", err)
	}
	return in.Reply.Final(ctx, bot.Reply{Text: in.Say("picture.remove", "n", len(p.Names)), Buttons: []bot.NewButton{
		{Action: actionDestroyAside, Label: in.Say("button.delete"), Style: bot.Danger, Data: data, Owner: p.Asker, Only: p.User},
		{Action: actionLeave, Label: in.Say("button.keep"), Data: data, Owner: p.Asker, Only: p.User},
	}})
}

// removeThere takes pictures away that stand elsewhere than the question: out of their chat, where all see by whom, and then out of the album. What nobody
// could take out of the chat stays in the album, too, and who asked hears that.
func (h House) removeThere(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	there, p, err := elsewhereOf(a)
	if err != nil {
		return err
	}
	removed := small(in.Say("picture.removed", "name", in.Request.Name))
	err = in.Replace(ctx, there.Standing, removed)
	if fault.Has(err, fault.Forbidden) {
		if untold := in.Reply.Final(ctx, bot.Reply{Text: in.Say("picture.stuck", "n", len(p.Names))}); untold != nil {
			return untold
		}
		return err // for the log: the bot lacks a right
	}
	if err != nil {
		return err
	}
	if err := h.removeKept(p); err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: removed})
}

// leave ends the question without anything being deleted.
func (h House) leave(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	_, p, err := elsewhereOf(a)
	if err != nil {
		return err
	}
	return in.Reply.Final(ctx, bot.Reply{Text: small(in.Say("picture.left", "n", len(p.Names)))})
}

func elsewhereOf(a bot.Action) (there elsewhere, p painting, err error) {
	if err := json.Unmarshal(a.Data, &there); err != nil {
		return there, p, fmt.Errorf("read where a picture stands: %w", err)
	}
	p, err = paintingOf(bot.Action{Data: there.Picture})
	return there, p, err
}

// keep brings the row back that Delete asked over.
func (h House) keep(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	return h.showAnew(ctx, in, a, p, p.Caption, pictureButtons(in.Say, p, p.Reviewed))
}

// remove takes pictures away: out of the chat and out of the album.
func (h House) remove(ctx context.Context, in *bot.Invocation, a bot.Action) error {
	p, err := paintingOf(a)
	if err != nil {
		return err
	}
	if err := h.removeKept(p); err != nil {
		return err
	}
	if err := in.Reply.Final(ctx, bot.Reply{Text: small(in.Say("picture.removed", "name", in.Request.Name))}); err != nil {
		return err
	}
	return h.dropButtons(ctx, a)
}

// removeKept takes pictures out of the album.
func (h House) removeKept(p painting) error {
	if h.Album == nil {
		return nil
	}
	for _, name := range p.Names {
		if err := h.Album.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// dropButtons forgets the row of a message that shows something else now.
func (h House) dropButtons(ctx context.Context, a bot.Action) error {
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer done()
	if err := h.Requests.DropActions(ctx, a.Request); err != nil {
		return fmt.Errorf("forget the buttons of a picture: %w", err)
	}
	return nil
}
