// Package commands is everything people can do in a chat: one file per command, and the reply texts per language.
package commands

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"

	"potluck/ask"
	"potluck/bot"
	"potluck/community"
	"potluck/imagegen"
	"potluck/ledger"
	"potluck/translate"
	"potluck/workers"
	"potluck/workers/protocol"
)

// House is what the commands work with. Every field is set by main and not changed afterwards.
type House struct {
	Ask       Asker
	Draw      Drawer
	Translate Translator
	Pool      Pool
	Credits   Credits
	Requests  Requests
	People    People
	Texts     *Catalogue
	// Album is where pictures are kept; nil: they cannot be taken away or shown again.
	Album Album

	Owners  Owners
	Gifts   Gifts
	Figures Figures
	Members Members
	Running Running
	// Links connects accounts; nil: none are connected.
	Links Links
	// Setups is how admins set their places up; nil = nobody can.
	Setups Setups
	// Inspect lists what the bot lacks in a place; known is false where its platform cannot tell; nil = nowhere.
	Inspect func(ctx context.Context, c community.CommunityID) (lacks []bot.Lack, known bool, err error)
	// Log is for what operators do; nil = nowhere.
	Log *slog.Logger

	// Payer says who pays for a request, Quality the lowest quality that may be shown in a chat.
	Payer   func(bot.Request) ledger.Payer
	Quality func(community.Chat) protocol.Quality
	// Trusted tells whether a worker's pictures may be shown uncovered in a chat (worker 0: it is not known yet whose); nil = no worker's:
	// every picture comes as a spoiler.
	Trusted func(worker int64, chat community.Chat) bool
	// Patience is how long a job waits for its result, from its request on; 0 = that is not told to people.
	Patience time.Duration
	// Now is the clock for what is said about times, not for anything that is decided.
	Now func() time.Time
}

// Asker answers questions. *ask.Service implements it.
type Asker interface {
	Answer(ctx context.Context, q ask.Question, show func(ask.Draft)) (ask.Answer, error)
	// Keep remembers an answer that was stopped, so that the conversation can go on from it.
	Keep(ctx context.Context, q ask.Question, partial string) error
}

// Drawer draws pictures. *imagegen.Service implements it.
type Drawer interface {
	Draw(ctx context.Context, r imagegen.Request, progress func(workers.Event)) (imagegen.Drawing, error)
}

// Translator translates a text. *translate.Service implements it.
type Translator interface {
	Translate(ctx context.Context, r translate.Request, progress func(workers.Event)) (translate.Translation, error)
	// Foreign tells in which language a few words are, when that is surely not English.
	Foreign(text, reader string) (from string, ok bool)
}

// Pool knows the workers. *workers.Pool implements it.
type Pool interface {
	Overview() workers.Overview
	Link(ctx context.Context, owner community.Member, name string, share bool) (protocol.Join, time.Time, error)
	// Workers lists an owner's linked workers, live or not; owner 0 lists all.
	Workers(ctx context.Context, owner community.MemberID) ([]workers.Worker, error)
	Revoke(ctx context.Context, id int64, by community.Member) error
}

// Credits reads the ledger.
type Credits interface {
	Balance(ctx context.Context, member community.MemberID, payer ledger.Payer, now time.Time) (ledger.Balance, error)
	// Bill looks a job's price up; ok is false for an unknown job.
	Bill(ctx context.Context, job int64) (b Bill, ok bool, err error)
}

// Bill is what is known of a job's price, also after its text was erased. A storage.BillInfo converts to it.
type Bill struct {
	Job    int64
	Kind   protocol.Kind
	State  workers.State
	Asker  community.MemberID // 0 = nobody: an automatic translation
	Earner community.MemberID // 0 = nobody earned
	Bill   ledger.Bill        // of a job that is not done, only Held and Rates
	At     time.Time          // when the job ended, or began while it is not final
}

// People is what commands ask and keep about a person. *storage.People implements it.
type People interface {
	// Member returns the owner of the identity, making both when they are new and updating the shown name.
	Member(ctx context.Context, identity community.UserID, name string, now time.Time) (community.Member, error)
	MemberByID(ctx context.Context, id community.MemberID) (community.Member, error)
	SetLanguage(ctx context.Context, id community.MemberID, language string) error
	// Consent tells whether the member has agreed to (or was shown) the named notice; SetConsent remembers it with the time.
	Consent(ctx context.Context, id community.MemberID, notice string) (bool, error)
	SetConsent(ctx context.Context, id community.MemberID, notice string, now time.Time) error
}

// Requests finds the request that a message of the bot answers. A bot.Store is one.
type Requests interface {
	RequestOf(ctx context.Context, chat community.ChatID, m community.MessageID) (request string, ok bool, err error)
	Request(ctx context.Context, id string) (r bot.Request, ok bool, err error)
	// DropActions forgets the buttons of a request (all, when names is empty).
	DropActions(ctx context.Context, request string, names ...string) error
}

// All returns every command, in the order in which /help lists them.
func All(h House) []bot.Command {
	all := []bot.Command{
		h.ask(), h.imagine(), h.translate(), h.credits(), h.give(), h.quota(), h.leaderboard(), h.worker(), h.pool(), h.status(),
		h.language(), h.connect(), h.disconnect(), h.privacy(), h.mydata(), h.forgetme(), h.delete(), h.setup(), h.admin(),
	}
	help := h.help(all)
	return append([]bot.Command{help}, all...)
}

// Actions returns what the buttons of these commands do.
func Actions(h House) []bot.ActionHandler {
	return append(append(h.resultActions(), h.linkActions()...), []bot.ActionHandler{
		{Name: actionRevoke, Private: true, Run: h.revokeConfirmed},
		{Name: actionGive, Private: true, InPlace: true, Command: "give", Run: h.giveConfirmed},
		{Name: actionHistory, Private: true, InPlace: true, Command: "credits", Run: h.history},
		{Name: actionBalance, Private: true, InPlace: true, Command: "credits", Run: h.balanceAgain},
		{Name: actionForget, Private: true, Always: true, InPlace: true, Command: "forgetme", Run: h.forgetConfirmed},
		{Name: actionRetryFlag, Costly: true, Moderators: true, Anew: true, Command: "translate", Run: h.retryFlag},
		{Name: actionAnnounce, Private: true, InPlace: true, Command: "admin announce", Run: h.announceConfirmed},
	}...)
}

// Listeners returns what reacts to messages that are no command.
func Listeners(h House) []bot.Listener {
	return []bot.Listener{
		{Name: listenerReply, Costly: true, Match: h.continues, Run: h.reply},
		{Name: listenerHint, Match: h.cannotContinue, Run: h.hint},
	}
}

// origin says for whom a job of this invocation is done. What people ask for in a chat that is not private may be done by any worker.
func (h House) origin(in *bot.Invocation) workers.Origin {
	class := workers.Public
	if in.Request.Chat.Private {
		class = workers.Private
	}
	return workers.Origin{
		Key:       in.Request.ID, // the feature appends its step
		Class:     class,
		Community: in.Request.Chat.Community,
		Member:    in.Request.Member,
		Payer:     h.Payer(in.Request),
		Quality:   h.Quality(in.Request.Chat),
	}
}

// noticePool is the consent under which it is kept that a member saw who does the work.
const noticePool = "notice.pool"

// firstUse returns the line that tells a member once that other members' machines do the work, and what remembers that it was shown. The
// line is empty for those who know, and in private chats, whose jobs go only to workers vouched for that.
func (h House) firstUse(ctx context.Context, in *bot.Invocation) (notice bot.Text, seen func(), err error) {
	if in.Request.Chat.Private {
		return bot.Text{}, func() {}, nil
	}
	known, err := h.People.Consent(ctx, in.Member.ID, noticePool)
	if err != nil {
		return bot.Text{}, nil, fmt.Errorf("look up first-use notice: %w", err)
	}
	if known {
		return bot.Text{}, func() {}, nil
	}
	return small(in.Say("notice.pool")), func() {
		// Shown once too often is better than an answer lost because this could not be kept.
		_ = h.People.SetConsent(context.WithoutCancel(ctx), in.Member.ID, noticePool, h.Now())
	}, nil
}

// footer is the small print below a result: how long it took, where it was done, and the number for /credits why:.
func (h House) footer(in *bot.Invocation, key string, r workers.Result, args ...any) bot.Text {
	if r.Job == 0 {
		return bot.Text{}
	}
	args = append(args, "took", r.Took, "worker", creditTo(in.Say, r.WorkerName, r.WorkerOwner), "model", r.Model, "job", r.Job)
	return small(in.Say(key, args...))
}

// creditTo names a machine and its owner as the reader's language does: "Rita's RTX 3060", "RTX 3060 von Rita".
func creditTo(say bot.Say, name, owner string) string {
	machine, ok := strings.CutPrefix(name, owner+"'s ")
	if !ok || owner == "" {
		return name
	}
	return say("worker.shown", "owner", owner, "name", machine).Plain
}

// pressed returns the line that names who pressed a button on somebody else's answer.
func pressed(in *bot.Invocation, a bot.Action) bot.Text {
	if a.Owner == 0 || a.Owner == in.Request.Member {
		return bot.Text{}
	}
	return small(in.Say("answer.pressed", "name", in.Request.Name))
}

// jobLine is what stands below a job that came to nothing: its number, and that it cost nothing where the ledger says so.
func (h House) jobLine(ctx context.Context, in *bot.Invocation, job int64) bot.Text {
	if job == 0 {
		return bot.Text{}
	}
	ctx, done := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer done()
	b, ok, err := h.Credits.Bill(ctx, job)
	free := err == nil && ok && (b.State == workers.Failed || b.State == workers.Cancelled)
	return small(in.Say("answer.ended", "job", job, "free", free))
}

// cut shortens s to at most n characters as people count them.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	count, g := 0, uniseg.NewGraphemes(s)
	for g.Next() {
		if count++; count == n {
			from, _ := g.Positions()
			if !g.Next() {
				return s
			}
			return strings.TrimSpace(s[:from]) + "…"
		}
	}
	return s
}

// plainForm brings what was typed on a full-width keyboard into the form that names and numbers have: "１６：９" → "16:9".
func plainForm(s string) string { return strings.TrimSpace(norm.NFKC.String(s)) }

// matching returns at most 25 of the names that hold what was typed, those that begin with it first.
func matching(typed string, names []string) []string {
	typed = strings.ToLower(plainForm(typed))
	var begin, hold []string
	for _, n := range names {
		switch i := strings.Index(strings.ToLower(n), typed); {
		case i == 0:
			begin = append(begin, n)
		case i > 0:
			hold = append(hold, n)
		}
	}
	all := append(begin, hold...)
	return all[:min(len(all), maxSuggestions)]
}

const maxSuggestions = 25
