package commands

import (
	"context"
	"time"

	"potluck/bot"
	"potluck/community"
	"potluck/ledger"
	"potluck/workers"
)

// Owners is what owners say about their machines, and admins about those of others. *workers.Pool implements it.
type Owners interface {
	Rename(ctx context.Context, worker int64, name string, by community.Member) error
	Share(ctx context.Context, worker int64, share bool, by community.Member) error
	Pause(ctx context.Context, worker int64, by community.Member) error
	Resume(ctx context.Context, worker int64, by community.Member) error
	Limit(ctx context.Context, worker int64, l workers.Limits, by community.Member) error
	Vouch(ctx context.Context, worker int64, c community.CommunityID, class workers.Class, by community.Member) error
	// Refresh makes the pool read a worker's row anew.
	Refresh(ctx context.Context, worker int64) error
	Record(ctx context.Context, worker int64, since time.Time, errors int) (workers.Record, error)
}

// Gifts is what else people do with credits. *storage.Credits implements it.
type Gifts interface {
	// Give moves own credits once per key: fault.NotEnough, fault.UnknownMember.
	Give(ctx context.Context, key string, from community.MemberID, to ledger.Account, amount ledger.Amount, now time.Time) (applied bool, err error)
	// History lists the newest entries before the one called before; 0 = from now on back.
	History(ctx context.Context, m community.MemberID, before int64, limit int) ([]ledger.Entry, error)
	OpenJobs(ctx context.Context, m community.MemberID) (waiting, running int, err error)
	PoolBalance(ctx context.Context, c community.CommunityID) (ledger.Amount, error)
}

// Figures are what the house remembers about its work. *storage.Jobs implements it.
type Figures interface {
	Waits(ctx context.Context, since time.Time, limit int) (workers.Waits, error)
	Wishes(ctx context.Context, since time.Time, limit int) ([]workers.Wish, error)
	// Leaders is in falling order.
	Leaders(ctx context.Context, c community.CommunityID, since time.Time, limit int) ([]workers.Leader, error)
}

// Members is what operators and admins say about people and places. *storage.People implements it.
type Members interface {
	// Known lists who can be named in a community; an empty one is everywhere.
	Known(ctx context.Context, c community.CommunityID) ([]community.Known, error)
	// MemberOf makes no member: ok is false for somebody who is none.
	MemberOf(ctx context.Context, identity community.UserID) (m community.Member, ok bool, err error)
	// Identities are all that a member has.
	Identities(ctx context.Context, id community.MemberID) ([]community.UserID, error)
	SetBlocked(ctx context.Context, id community.MemberID, blocked bool) error
	SetSetting(ctx context.Context, c community.CommunityID, name, value string, by community.MemberID, now time.Time) error
}

// Running is the program around the commands. main implements it.
type Running interface {
	// Limits are those of each member.
	Limits() bot.Limits
	// Settings lists what the operator may change while it runs; Set changes one and keeps it, and an empty value takes the configured one
	// again. fault.UnknownOption, fault.BadOption.
	Settings() []Setting
	Set(ctx context.Context, name, value string, by community.Member) error
	Health(ctx context.Context) (Health, error)
	// Download makes an address, good until the returned time, where the member finds everything that is kept about the member.
	Download(ctx context.Context, member community.MemberID, language string) (url string, until time.Time, err error)
	// Erase forgets a member and returns what went to the heir's pool. The message parts of keep stay. fault.Gone: the member has other identities than
	// those that were shown.
	Erase(ctx context.Context, member community.MemberID, shown []community.UserID, heir community.CommunityID, keep []community.MessageID) (ledger.Amount, error)
	// Places are the chats that take announcements; Announce posts in one of them, once per nonce (at most 25 characters).
	Places(ctx context.Context) ([]community.ChatID, error)
	Announce(ctx context.Context, chat community.ChatID, text bot.Text, nonce string) error
}

// Setting is one thing that the operator may change while the program runs.
type Setting struct {
	Name       string // "limits.running", as in the configuration
	Value      int
	Configured int
	Min, Max   int
}

// Health is how the program itself is.
type Health struct {
	Version  string
	Started  time.Time
	Database time.Duration // how long it took to answer just now
	Loop     time.Duration // how long the pool took to answer just now
	// For operators.
	Memory     int64 // bytes in use
	Goroutines int
	Size       int64 // bytes of the database
}

// DownloadText and DownloadButton are the texts of the page where members fetch their data.
const (
	DownloadText   = "mydata.what"
	DownloadButton = "button.download"
)

// NewsSetting is the setting of a community that names the chat for the operator's announcements.
const NewsSetting = "news"
