package storage

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
)

// Links keeps which identities are one person's, and the codes that connect them. Use one for a whole program: Changed knows only what it did.
//
// The younger of two members joins the older for good: identities, workers and what the younger can spend move, everything else stays where it is and is
// read as the older's. Whoever leaves again is a new member, so that nothing that was paid or earned is ever torn apart.
type Links struct {
	DB *DB

	mu      sync.Mutex
	changed chan struct{} // nil while nobody waits
}

// Limits of connecting. Every wrong code of anybody counts, because sessions of the page cost nothing.
const (
	maxLinks        = 1000 // that wait at once
	maxLinkTries    = 5    // wrong codes of one identity in linkTriesFor
	linkTriesFor    = 10 * time.Minute
	maxLinkTriesAll = 300 // wrong codes of everybody in a minute
	maxIdentities   = 8   // of one person
	maxJoinsADay    = 5   // of one identity
	keepLinks       = 48 * time.Hour
)

// linkedReason stands in the transaction that moves what a member can spend to the one it joins.
const linkedReason = "linked"

// persons are member ?1 and everybody who joined it.
const persons = `(SELECT ?1 UNION ALL SELECT p.id FROM members p WHERE p.joined = ?1)`

// personOf is the member whom the one in a column joined, or that one.
func personOf(column string) string {
	return `coalesce((SELECT p.joined FROM members p WHERE p.id = ` + column + `), ` + column + `)`
}

// person is whom a member joined, or that member: a command that began before two members became one still names the younger.
func (t *tx) person(m community.MemberID) (community.MemberID, error) {
	err := t.row(`SELECT joined FROM members WHERE id = ? AND joined IS NOT NULL`, m).Scan(&m)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return m, err
}

// Changed is closed at the next change of any link.
func (l *Links) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

func (l *Links) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

const linkColumns = `request, asker, asker_name, typer, typer_name, state, begun_ms`

func scanLink(row *sql.Row, now time.Time) (v community.Link, ok bool, err error) {
	var begun int64
	err = row.Scan(&v.Request, &v.Asker.ID, &v.Asker.Name, &v.Typer.ID, &v.Typer.Name, &v.State, &begun)
	if errors.Is(err, sql.ErrNoRows) {
		return community.Link{}, false, nil
	}
	v.Begun = at(begun)
	early := v.Begun.After(now.Add(time.Minute)) // begun in the future: the clock was set back
	if !v.State.Final() && (early || !now.Before(v.Until())) {
		v.State = community.LinkExpired
	}
	return v, err == nil, err
}

// Link returns the link that a request of its asker began, as it is now.
func (l *Links) Link(ctx context.Context, request string, now time.Time) (community.Link, bool, error) {
	v, ok, err := scanLink(l.DB.reads.QueryRowContext(ctx, `SELECT `+linkColumns+` FROM links WHERE request = ?`, request), now)
	return v, ok, wrap("link", err)
}

func (t *tx) link(request string, now time.Time) (community.Link, bool, error) {
	return scanLink(t.row(`SELECT `+linkColumns+` FROM links WHERE request = ?`, request), now)
}

// Begin keeps the SHA-256 of a code by which another identity can be connected with by; the codes that by got before are of no use any more. When the
// request has begun a link already, that one is returned, and the new code takes the place of the old one if it was not typed yet.
func (l *Links) Begin(ctx context.Context, request string, by community.Identity, code [32]byte, now time.Time) (v community.Link, err error) {
	err = l.DB.write(ctx, "begin a link", func(t *tx) error {
		var known bool
		if v, known, err = t.link(request, now); err != nil {
			return err
		}
		if known {
			if v.State == community.LinkOpen {
				_, err = t.exec(`UPDATE links SET code = ? WHERE request = ?`, code[:], request)
			}
			return err
		}
		t.afterCommit(l.ring)
		if err := t.clearLinks(by.ID, now); err != nil {
			return err
		}
		var waiting int
		if err := t.row(`SELECT count(*) FROM links WHERE begun_ms > ? AND state IN ('open', 'typed', 'agreed')`, ms(now.Add(-community.LinkLife))).Scan(&waiting); err != nil {
			return err
		}
		if waiting >= maxLinks {
			return fault.New(fault.Busy)
		}
		v = community.Link{Request: request, Asker: by, State: community.LinkOpen, Begun: at(ms(now))}
		_, err = t.exec(`INSERT INTO links (request, code, asker, asker_name, state, begun_ms) VALUES (?, ?, ?, ?, 'open', ?)`, request, code[:], by.ID, by.Name, ms(now))
		return err
	})
	return v, err
}

// clearLinks forgets links and tries that are long over, and ends what an identity began and did not finish.
func (t *tx) clearLinks(asker community.UserID, now time.Time) error {
	if _, err := t.exec(`DELETE FROM links WHERE begun_ms < ?`, ms(now.Add(-keepLinks))); err != nil {
		return err
	}
	if _, err := t.exec(`DELETE FROM link_tries WHERE at_ms < ?`, ms(now.Add(-linkTriesFor))); err != nil {
		return err
	}
	_, err := t.exec(`UPDATE links SET state = 'refused', code = NULL, ended_ms = ? WHERE asker = ? AND state IN ('open', 'typed', 'agreed')`, ms(now), asker)
	return err
}

// Redeem uses a code up for an identity that typed it. fault.BadLinkCode, fault.OwnLinkCode, fault.LinkTries, fault.LinkRefused. The same request again
// returns the same link.
func (l *Links) Redeem(ctx context.Context, request string, by community.Identity, code [32]byte, now time.Time) (v community.Link, err error) {
	var refused error // with what is kept of it
	err = l.DB.write(ctx, "redeem a link code", func(t *tx) error {
		refused = nil
		var known bool
		if v, known, err = scanLink(t.row(`SELECT `+linkColumns+` FROM links WHERE typer = ? AND typer_request = ?`, by.ID, request), now); err != nil || known {
			return err
		}
		if err := t.mayTry(by.ID, now); err != nil {
			return err
		}
		v, known, err = scanLink(t.row(`SELECT `+linkColumns+` FROM links WHERE code = ?`, code[:]), now)
		if err != nil {
			return err
		}
		if !known || v.State != community.LinkOpen {
			refused = fault.New(fault.BadLinkCode)
			_, err := t.exec(`INSERT INTO link_tries (identity, at_ms) VALUES (?, ?)`, by.ID, ms(now))
			return err
		}
		if v.Asker.ID == by.ID {
			return fault.New(fault.OwnLinkCode)
		}
		if _, _, err := t.mayJoin(v.Asker.ID, by.ID, now); err != nil {
			return err
		}
		t.afterCommit(l.ring)
		v.Typer, v.State = by, community.LinkTyped
		_, err = t.exec(`UPDATE links SET state = 'typed', code = NULL, typer = ?, typer_name = ?, typer_request = ? WHERE request = ?`, by.ID, by.Name, request, v.Request)
		return err
	})
	if err == nil {
		err = refused
	}
	return v, err
}

// mayTry refuses who typed too many wrong codes, and everybody while too many are typed in all.
func (t *tx) mayTry(by community.UserID, now time.Time) error {
	var own, all int
	err := t.row(`SELECT count(*) FILTER (WHERE identity = ?), count(*) FILTER (WHERE at_ms > ?) FROM link_tries WHERE at_ms > ? AND at_ms <= ?`,
		by, ms(now.Add(-time.Minute)), ms(now.Add(-linkTriesFor)), ms(now)).Scan(&own, &all)
	switch {
	case err != nil:
		return err
	case own >= maxLinkTries:
		return fault.New(fault.LinkTries, "wait", linkTriesFor)
	case all >= maxLinkTriesAll:
		return fault.New(fault.LinkTries, "wait", time.Minute)
	}
	return nil
}

// mayJoin returns the members of two identities, the older first, if they may become one.
//
// The operator's rights never spread by this: both must be operators, or neither. So nobody who is talked into typing a code gives more away than what is
// their own.
func (t *tx) mayJoin(a, b community.UserID, now time.Time) (older, younger community.MemberID, err error) {
	var operators, blocked, identities int
	err = t.row(`
		WITH both (id) AS (SELECT member FROM identities WHERE id IN (?1, ?2))
		SELECT coalesce(min(m.id), 0), coalesce(max(m.id), 0), coalesce(sum(m.operator), 0), coalesce(sum(m.blocked), 0),
			(SELECT count(*) FROM identities WHERE member IN (SELECT id FROM both))
		FROM members m WHERE m.id IN (SELECT id FROM both)`, a, b).Scan(&older, &younger, &operators, &blocked, &identities)
	if err != nil {
		return 0, 0, err
	}
	var there, today int
	if err := t.row(`SELECT count(*) FROM identities WHERE id IN (?1, ?2)`, a, b).Scan(&there); err != nil {
		return 0, 0, err
	}
	if there < 2 { // one was forgotten meanwhile
		return 0, 0, fault.New(fault.Gone, "command", "link")
	}
	err = t.row(`SELECT max((SELECT count(*) FROM links WHERE state = 'joined' AND ended_ms > ?3 AND (asker = ?1 OR typer = ?1)),
		(SELECT count(*) FROM links WHERE state = 'joined' AND ended_ms > ?3 AND (asker = ?2 OR typer = ?2)))`, a, b, ms(now.Add(-24*time.Hour))).Scan(&today)
	if err != nil {
		return 0, 0, err
	}
	why := ""
	switch {
	case older == younger:
		why = "already"
	case blocked > 0:
		why = "blocked"
	case operators == 1:
		why = "operator"
	case identities > maxIdentities:
		why = "many"
	case today >= maxJoinsADay:
		why = "often"
	}
	if why != "" {
		return 0, 0, fault.New(fault.LinkRefused, "why", why, "max", maxIdentities)
	}
	return older, younger, nil
}

// Agree keeps that the one who typed the code wants to be connected. Again changes nothing; what is over is fault.Gone.
func (l *Links) Agree(ctx context.Context, request string, by community.UserID, now time.Time) error {
	return l.DB.write(ctx, "agree to a link", func(t *tx) error {
		v, ok, err := t.link(request, now)
		switch {
		case err != nil:
			return err
		case !ok || v.Typer.ID != by:
			return fault.New(fault.Gone, "command", "link")
		case v.State == community.LinkAgreed || v.State == community.LinkJoined:
			return nil
		case v.State != community.LinkTyped:
			return fault.New(fault.Gone, "command", "link")
		}
		if _, _, err := t.mayJoin(v.Asker.ID, v.Typer.ID, now); err != nil {
			return err
		}
		t.afterCommit(l.ring)
		_, err = t.exec(`UPDATE links SET state = 'agreed' WHERE request = ?`, request)
		return err
	})
}

// Refuse ends a link for one of its sides. What is over stays as it is.
func (l *Links) Refuse(ctx context.Context, request string, by community.UserID, now time.Time) error {
	return l.DB.write(ctx, "refuse a link", func(t *tx) error {
		t.afterCommit(l.ring)
		_, err := t.exec(`UPDATE links SET state = 'refused', code = NULL, ended_ms = ?
			WHERE request = ? AND (asker = ? OR typer = ?) AND state IN ('open', 'typed', 'agreed')`, ms(now), request, by, by)
		return err
	})
}

// Leave ends every link that waits for an identity of a member. fault.Gone, and nothing ends, when the member's identities are others than those that were
// shown.
func (l *Links) Leave(ctx context.Context, m community.MemberID, shown []community.UserID, now time.Time) error {
	return l.DB.write(ctx, "leave all links", func(t *tx) error {
		m, err := t.person(m)
		if err != nil {
			return err
		}
		if err := t.onlyThese(m, shown); err != nil {
			return err
		}
		t.afterCommit(l.ring)
		const mine = `(SELECT id FROM identities WHERE member = ?2)`
		_, err = t.exec(`UPDATE links SET state = 'refused', code = NULL, ended_ms = ?1
			WHERE (asker IN `+mine+` OR typer IN `+mine+`) AND state IN ('open', 'typed', 'agreed')`, ms(now), m)
		return err
	})
}

// onlyThese is fault.Gone when a member has other identities than these.
func (t *tx) onlyThese(m community.MemberID, shown []community.UserID) error {
	rows, err := t.rows(`SELECT id FROM identities WHERE member = ? ORDER BY id`, m)
	var have []community.UserID
	err = each(rows, err, func(r *sql.Rows) error {
		var id community.UserID
		err := r.Scan(&id)
		have = append(have, id)
		return err
	})
	if err == nil && !slices.Equal(have, slices.Sorted(slices.Values(shown))) {
		err = fault.New(fault.Gone, "command", "forgetme")
	}
	return err
}

// Join makes one member of the two whose identities are linked, by the word of the asker after that of the typer, and returns that member. Again changes
// nothing; what is over, or not agreed to, is fault.Gone.
func (l *Links) Join(ctx context.Context, request string, by community.UserID, now time.Time) (m community.MemberID, err error) {
	err = l.DB.write(ctx, "join members", func(t *tx) error {
		v, ok, err := t.link(request, now)
		switch {
		case err != nil:
			return err
		case !ok || v.Asker.ID != by || v.State != community.LinkAgreed && v.State != community.LinkJoined:
			return fault.New(fault.Gone, "command", "link")
		case v.State == community.LinkJoined:
			return t.row(`SELECT member FROM identities WHERE id = ?`, by).Scan(&m)
		}
		older, younger, err := t.mayJoin(v.Asker.ID, v.Typer.ID, now)
		if err != nil {
			return err
		}
		if err := t.join(older, younger, request, now); err != nil {
			return err
		}
		m = older
		t.afterCommit(func() {
			l.DB.cache.dropMember(older)
			l.DB.cache.dropMember(younger)
			l.ring()
		})
		_, err = t.exec(`UPDATE links SET state = 'joined', ended_ms = ? WHERE request = ?`, ms(now), request)
		return err
	})
	return m, err
}

// join lets the younger join the older. Jobs, requests, conversations, earnings that wait and what was paid before stay in the name of the younger.
func (t *tx) join(older, younger community.MemberID, request string, now time.Time) error {
	have, err := t.balance(ledger.SpendOf(younger))
	if err != nil {
		return err
	}
	if have > 0 {
		_, _, err := t.post(ledger.Transaction{Kind: ledger.KindGive, Key: ledger.JoinKey(request), At: now, Reason: linkedReason, Postings: []ledger.Posting{
			{Account: ledger.SpendOf(younger), Amount: -have}, {Account: ledger.SpendOf(older), Amount: have},
		}})
		if err != nil {
			return err
		}
	}
	err = t.steps(
		step{`UPDATE identities SET member = ?, joined_ms = CASE joined_ms WHEN 0 THEN ? ELSE joined_ms END WHERE member = ?`, []any{older, ms(now), younger}},
		step{`UPDATE workers SET owner = ? WHERE owner = ?`, []any{older, younger}},
		step{`UPDATE join_codes SET owner = ? WHERE owner = ?`, []any{older, younger}},
		step{`INSERT INTO consents (member, notice, at_ms) SELECT ?, notice, at_ms FROM consents WHERE member = ? ON CONFLICT DO NOTHING`, []any{older, younger}},
		step{`DELETE FROM consents WHERE member = ?`, []any{younger}},
		step{`UPDATE members SET language = (SELECT y.language FROM members y WHERE y.id = ?) WHERE id = ? AND language = ''`, []any{younger, older}},
		blockedToo(older, younger),
		step{`UPDATE members SET joined = ?1 WHERE id = ?2 OR joined = ?2`, []any{older, younger}},
		step{`UPDATE members SET language = '', operator = 0, free = '' WHERE id = ?`, []any{younger}},
	)
	if err != nil {
		return err
	}
	return t.shareAllowance(older)
}

type step struct {
	query string
	args  []any
}

func (t *tx) steps(all ...step) error {
	for _, s := range all {
		if _, err := t.exec(s.query, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// blockedToo keeps to out of every place from which admins keep who.
func blockedToo(to, who community.MemberID) step {
	return step{`
		INSERT INTO settings (community, name, value, changed_ms)
		SELECT community, ?, value, changed_ms FROM settings WHERE name = ? ON CONFLICT DO NOTHING`, []any{community.BlockSetting(to), community.BlockSetting(who)}}
}

// shareAllowance notes whose daily free credits a member has: those of the oldest identity that has its own. The grants of the others stay theirs, so that
// connecting and disconnecting neither doubles nor takes away what a day gives.
func (t *tx) shareAllowance(m community.MemberID) error {
	_, err := t.exec(`
		UPDATE members SET free = CASE WHEN (SELECT count(*) FROM identities WHERE member = ?1) < 2 THEN '' ELSE
			coalesce((SELECT id FROM identities WHERE member = ?1 AND id NOT LIKE 'page:%' ORDER BY created_ms, id LIMIT 1), '') END
		WHERE id = ?1`, m)
	return err
}

// Connected lists a member's identities: those that the member began with, then those that came, oldest first.
func (l *Links) Connected(ctx context.Context, m community.MemberID) (list []community.Identity, err error) {
	rows, err := l.DB.reads.QueryContext(ctx, `SELECT id, name, joined_ms FROM identities WHERE member = `+personOf("?1")+` ORDER BY joined_ms, created_ms, id`, m)
	err = each(rows, err, func(r *sql.Rows) error {
		var v community.Identity
		var joined int64
		err := r.Scan(&v.ID, &v.Name, &joined)
		v.Joined = at(joined)
		list = append(list, v)
		return err
	})
	return list, wrap("connected identities", err)
}

// Unlink takes an identity away from a member to whom it came: it begins anew as a member of its own, with what was asked and answered under it, and blocked
// if it was. Credits, earnings, machines and the operator's rights stay. An identity that the member began with, or that is somebody else's, is fault.Gone.
func (l *Links) Unlink(ctx context.Context, m community.MemberID, identity community.UserID, now time.Time) (fresh community.MemberID, err error) {
	err = l.DB.write(ctx, "unlink identity", func(t *tx) error {
		var joined int64
		if m, err = t.person(m); err != nil {
			return err
		}
		err := t.row(`SELECT joined_ms FROM identities WHERE id = ? AND member = ?`, identity, m).Scan(&joined)
		if errors.Is(err, sql.ErrNoRows) || err == nil && joined == 0 {
			return fault.New(fault.Gone, "command", "unlink")
		}
		if err != nil {
			return err
		}
		id, err := t.insert(`
			INSERT INTO members (name, language, blocked, created_ms)
			SELECT i.name, m.language, m.blocked, ? FROM identities i JOIN members m ON m.id = i.member WHERE i.id = ?`, ms(now), identity)
		if err != nil {
			return err
		}
		fresh = community.MemberID(id)
		const asked = ` IN (SELECT id FROM requests WHERE member IN ` + persons + ` AND user = ?3)`
		err = t.steps(
			step{`UPDATE identities SET member = ?, joined_ms = 0 WHERE id = ?`, []any{fresh, identity}},
			step{`INSERT INTO consents (member, notice, at_ms) SELECT ?, notice, at_ms FROM consents WHERE member = ?`, []any{fresh, m}},
			blockedToo(fresh, m),
			step{`UPDATE actions SET owner = ?2 WHERE owner IN ` + persons + ` AND request` + asked, []any{m, fresh, identity}},
			step{`UPDATE turns SET member = ?2 WHERE member IN ` + persons + ` AND request` + asked, []any{m, fresh, identity}},
			step{`UPDATE requests SET member = ?2 WHERE member IN ` + persons + ` AND user = ?3`, []any{m, fresh, identity}},
		)
		if err != nil {
			return err
		}
		t.afterCommit(func() {
			l.DB.cache.dropMember(m)
			l.ring()
		})
		return t.shareAllowance(m)
	})
	return fresh, err
}
