package storage

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"potluck/community"
	"potluck/ledger"
)

// Trace is what of a member stands in messages of the page: the own ones and the bot's answers to them, by chat, and the pictures in them.
type Trace struct {
	Messages map[string][]community.MessageID
	Pictures []string
}

// Forgotten says what was done for a member who wanted to be forgotten.
type Forgotten struct {
	Given ledger.Amount // to the heir's pool
	Blobs []string      // files that may be deleted
}

// OpenRequests lists the requests of a member that have jobs which are not final.
func (p *People) OpenRequests(ctx context.Context, m community.MemberID) (list []string, err error) {
	rows, err := p.DB.reads.QueryContext(ctx, `
		SELECT DISTINCT substr(key, 1, instr(key, ':') - 1) FROM jobs WHERE member IN `+persons+` AND state IN ('queued', 'leased')`, m)
	err = each(rows, err, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		list = append(list, id)
		return err
	})
	return list, wrap("open requests", err)
}

// forgottenMember tells whether a member was forgotten: what a command that was still at work wants to keep is not kept then.
func forgottenMember(t *tx, m community.MemberID) (gone bool, err error) {
	if m == 0 {
		return false, nil
	}
	err = t.row(`SELECT EXISTS (SELECT 1 FROM members WHERE id = ? AND forgotten_ms != 0)`, m).Scan(&gone)
	return gone, err
}

// Undelivered counts a member's requests that have no final answer yet.
func (p *People) Undelivered(ctx context.Context, m community.MemberID) (n int, err error) {
	err = p.DB.reads.QueryRowContext(ctx, `SELECT count(*) FROM requests WHERE member IN `+persons+` AND state != 'delivered'`, m).Scan(&n)
	return n, wrap("undelivered requests", err)
}

// Trace finds a member's messages on the page.
func (p *People) Trace(ctx context.Context, m community.MemberID) (t Trace, err error) {
	page := Page{DB: p.DB}
	rows, err := p.DB.reads.QueryContext(ctx, `
		WITH mine (id) AS (SELECT id FROM identities WHERE member = ?)
		SELECT `+pageColumns+` FROM page_messages m
		WHERE NOT m.deleted AND (m.user IN mine OR m.only_user IN mine OR
			m.user = '' AND m.reply_to != '' AND EXISTS (SELECT 1 FROM page_messages q WHERE q.chat = m.chat AND q.id = m.reply_to AND q.user IN mine))
		ORDER BY m.row`, m)
	t.Messages = make(map[string][]community.MessageID)
	err = each(rows, err, func(r *sql.Rows) error {
		v, _, err := page.scanMessage(r)
		if err != nil {
			return err
		}
		t.Messages[v.Chat] = append(t.Messages[v.Chat], v.ID)
		for _, image := range v.Images {
			t.Pictures = append(t.Pictures, image.Name)
		}
		return nil
	})
	return t, wrap("trace of a member", err)
}

// Forget erases a member: texts, turns, requests, buttons, identities, name. The ledger's postings stay and point to a member without a name, whose
// credits (also those that are released later) go to the pool of heir. Blocks stay, see People.Alias. Machines that are still linked stay linked, without
// a name to show. The member's jobs must have ended before; one that has not loses its text when it does. Nobody is member afterwards: whoever comes
// back is new.
//
// fault.Gone, and nobody is erased, when the member's identities are others than those that were shown: they may be somebody else's, too, by now.
func (p *People) Forget(ctx context.Context, m community.MemberID, shown []community.UserID, heir community.CommunityID, now time.Time) (f Forgotten, err error) {
	if heir == "" {
		return f, errors.New("forget a member: no heir")
	}
	m = p.current(ctx, m)
	if err := p.DB.write(ctx, "whom to forget", func(t *tx) error { return t.onlyThese(m, shown) }); err != nil { // before texts of jobs go
		return f, err
	}
	jobs := Jobs{DB: p.DB}
	if f.Blobs, err = jobs.erase(ctx, `SELECT id, key, result_sealed FROM jobs WHERE member IN `+persons+` AND ended_ms IS NOT NULL AND NOT erased`, m); err != nil {
		return f, err
	}
	err = p.DB.write(ctx, "forget a member", func(t *tx) error {
		if err := t.onlyThese(m, shown); err != nil {
			return err
		}
		before, err := t.balance(ledger.SpendOf(m))
		if err != nil {
			return err
		}
		if err := saveCommunity(t, heir); err != nil {
			return err
		}
		if err := p.keepMarks(t, m, shown, now); err != nil {
			return err
		}
		for _, q := range forgetting {
			args := []any{m}
			if strings.Contains(q, "?3") {
				args = append(args, ms(now), heir)
			}
			if _, err := t.exec(q, args...); err != nil {
				return err
			}
		}
		if err := t.inherit(now); err != nil {
			return err
		}
		f.Given = before
		t.afterCommit(func() { p.DB.cache.forget(m) })
		return nil
	})
	return f, err
}

// forgetting are the statements that erase a member, whose id is ?1, and who joined that one, as of ?2 and for the heir ?3. A private chat's id names
// the person it is with: it goes, too.
var forgetting = []string{
	`UPDATE page_messages SET deleted = 1, body_sealed = NULL WHERE user IN (SELECT id FROM identities WHERE member = ?1) AND NOT deleted`,
	`UPDATE page_messages SET user = 'page:forgotten', author = '' WHERE user IN (SELECT id FROM identities WHERE member = ?1)`,
	`DELETE FROM page_sessions WHERE user IN (SELECT id FROM identities WHERE member = ?1)`,
	`UPDATE chats SET id = 'forgotten:' || row, name = '' WHERE private = 1 AND community IS NULL AND id NOT LIKE 'forgotten:%'
		AND row IN (SELECT chat FROM requests WHERE member IN ` + persons + `) AND row NOT IN (SELECT chat FROM requests WHERE member NOT IN ` + persons + `)`,
	`DELETE FROM sent WHERE request IN (SELECT id FROM requests WHERE member IN ` + persons + `)`,
	`DELETE FROM actions WHERE owner IN ` + persons + ` OR request IN (SELECT id FROM requests WHERE member IN ` + persons + `)`,
	`DELETE FROM turns WHERE member IN ` + persons,
	`DELETE FROM requests WHERE member IN ` + persons,
	`DELETE FROM join_codes WHERE owner IN ` + persons,
	`DELETE FROM consents WHERE member IN ` + persons,
	`DELETE FROM links WHERE asker IN (SELECT id FROM identities WHERE member = ?1) OR typer IN (SELECT id FROM identities WHERE member = ?1)`,
	`DELETE FROM link_tries WHERE identity IN (SELECT id FROM identities WHERE member = ?1)`,
	`DELETE FROM identities WHERE member = ?1`,
	`UPDATE workers SET share = 0 WHERE owner = ?1`,
	`UPDATE workers SET name = '', hardware = '{}', offers = '[]' WHERE owner = ?1 AND revoked_ms != 0`,
	`UPDATE members SET name = '', language = '', free = '', operator = 0, blocked = 0, created_ms = 0, forgotten_ms = ?2, heir = ?3 WHERE id IN ` + persons,
}

// Export is everything that is kept about a member, for the member. Its JSON is what /mydata hands out.
type Export struct {
	Made       time.Time          `json:"made"`
	Member     ExportedMember     `json:"member"`
	Identities []ExportedIdentity `json:"identities"`
	Notices    []ExportedNotice   `json:"notices_shown"`
	Blocks     []ExportedBlock    `json:"blocked_in"`
	Counts     []ExportedCount    `json:"asked_today_before_you_were_forgotten"`
	Credits    ExportedCredits    `json:"credits"`
	Workers    []ExportedWorker   `json:"workers"`
	Jobs       []ExportedJob      `json:"jobs"`
	Postings   []ExportedPosting  `json:"postings"`
	Requests   []ExportedRequest  `json:"requests"`
	Turns      []ExportedTurn     `json:"conversations"`
	Messages   []ExportedMessage  `json:"messages_on_the_page"`
	Buttons    int                `json:"buttons_kept"`
	// Shortened tells that a list was longer than what is handed out; the newest entries are there.
	Shortened bool `json:"shortened,omitempty"`
}

type (
	ExportedMember struct {
		Number   community.MemberID `json:"number"`
		Name     string             `json:"name"`
		Language string             `json:"language"`
		Operator bool               `json:"operator"`
		Since    time.Time          `json:"since"`
		Blocked  bool               `json:"blocked"` // by the operator, everywhere
	}
	ExportedBlock struct {
		Community community.CommunityID `json:"community"`
		Since     time.Time             `json:"since"`
	}
	// ExportedCount is what was asked today before somebody was forgotten, and came back.
	ExportedCount struct {
		Community community.CommunityID `json:"community"`
		Command   string                `json:"command"`
		Times     int                   `json:"times"`
	}
	ExportedIdentity struct {
		ID    community.UserID `json:"id"`
		Name  string           `json:"name"`
		Since time.Time        `json:"since"`
	}
	ExportedNotice struct {
		Name string    `json:"name"`
		At   time.Time `json:"at"`
	}
	ExportedCredits struct {
		Own     string `json:"own"`
		Waiting string `json:"waiting"`
		Earned  string `json:"earned_ever"`
	}
	ExportedWorker struct {
		Number   int64     `json:"number"`
		Name     string    `json:"name"`
		Named    bool      `json:"named_below_results"`
		Linked   time.Time `json:"linked"`
		Seen     time.Time `json:"seen"`
		Unlinked bool      `json:"unlinked"`
		Hardware rawJSON   `json:"hardware"`
		Offers   rawJSON   `json:"offers"`
		Limits   rawJSON   `json:"limits"`
	}
	ExportedJob struct {
		Number int64     `json:"number"`
		Kind   string    `json:"kind"`
		Model  string    `json:"model"`
		State  string    `json:"state"`
		At     time.Time `json:"at"`
		Cost   string    `json:"cost"`
	}
	ExportedPosting struct {
		At      time.Time `json:"at"`
		Kind    string    `json:"kind"`
		Account string    `json:"account"`
		Amount  string    `json:"amount"`
		Job     int64     `json:"job,omitempty"`
	}
	ExportedRequest struct {
		At      time.Time `json:"at"`
		Chat    string    `json:"chat"`
		Command string    `json:"command"`
		Typed   rawJSON   `json:"typed,omitempty"`
	}
	ExportedTurn struct {
		At       time.Time `json:"at"`
		Chat     string    `json:"chat"`
		Question string    `json:"question"`
		Answer   string    `json:"answer"`
		Model    string    `json:"model"`
	}
	ExportedMessage struct {
		At   time.Time `json:"at"`
		Chat string    `json:"chat"`
		Text string    `json:"text"`
	}
)

// rawJSON is a column that holds JSON already; one that holds nothing is null.
type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) {
	if r == "" {
		return []byte("null"), nil
	}
	return []byte(r), nil
}

// maxExported bounds each list of an Export.
const maxExported = 20_000

// Export collects what is kept about a member, or about whom that one joined.
func (p *People) Export(ctx context.Context, m community.MemberID, now time.Time) (e Export, err error) {
	m = p.current(ctx, m) // before the snapshot takes one of few connections
	snapshot, err := p.DB.reads.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return e, wrap("export", err)
	}
	defer snapshot.Rollback()
	x := exporter{ctx: ctx, db: p.DB, q: snapshot, member: m, e: &e, alias: p.Alias}
	e.Made = now.UTC()
	for _, part := range []func() error{x.person, x.marks, x.credits, x.workers, x.jobs, x.postings, x.requests, x.turns, x.messages} {
		if err := part(); err != nil {
			return e, wrap("export", err)
		}
	}
	return e, nil
}
