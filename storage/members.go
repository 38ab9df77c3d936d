package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"potluck/bot"
	"potluck/community"
)

// People is the bot.People, and what commands and main need of people and places besides.
type People struct {
	DB *DB
	// Alias is a keyed hash of an identity, which stays the same as long as secret.key does: under it blocks and the day's counts outlive a forgetting. nil: they end with it.
	Alias func(community.UserID) community.UserID
}

var _ bot.People = (*People)(nil)

const memberColumns = `m.id, m.name, m.language, m.operator, m.blocked, m.free`

func scanMember(row interface{ Scan(...any) error }) (m community.Member, err error) {
	err = row.Scan(&m.ID, &m.Name, &m.Language, &m.Operator, &m.Blocked, &m.Free)
	return m, err
}

// Member returns the owner of the identity, making both when they are new and updating the shown name; an empty name changes none.
func (p *People) Member(ctx context.Context, identity community.UserID, name string, now time.Time) (community.Member, error) {
	if m, known, ok := p.DB.cache.identity(identity); ok && (name == known || name == "") {
		return m, nil
	}
	var m community.Member
	err := p.DB.write(ctx, "member", func(t *tx) (err error) {
		var known string
		err = t.row(`
			SELECT i.name, `+memberColumns+`
			FROM identities i JOIN members m ON m.id = i.member
			WHERE i.id = ?`, identity).Scan(&known, &m.ID, &m.Name, &m.Language, &m.Operator, &m.Blocked, &m.Free)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			var id int64
			if id, err = t.insert(`INSERT INTO members (name, created_ms) VALUES (?, ?)`, name, ms(now)); err != nil {
				return err
			}
			m = community.Member{ID: community.MemberID(id), Name: name}
			if _, err = t.exec(`INSERT INTO identities (id, member, name, created_ms) VALUES (?, ?, ?, ?)`, identity, m.ID, name, ms(now)); err == nil {
				m.Blocked, err = p.blockAgain(t, identity, m.ID, now)
			}
		case err == nil && name == "":
			name = known
		case err == nil && name != known:
			if _, err = t.exec(`UPDATE identities SET name = ? WHERE id = ?`, name, identity); err != nil {
				return err
			}
			m.Name = name
			_, err = t.exec(`UPDATE members SET name = ? WHERE id = ?`, name, m.ID)
		}
		if err == nil {
			t.afterCommit(func() { p.DB.cache.putIdentity(identity, name, m) })
		}
		return err
	})
	return m, err
}

// ErrNoMember says that no member has that id.
var ErrNoMember = errors.New("no such member")

// MemberOf returns the owner of an identity without making one; ok is false for somebody who has done nothing here yet.
func (p *People) MemberOf(ctx context.Context, identity community.UserID) (m community.Member, ok bool, err error) {
	if m, _, ok := p.DB.cache.identity(identity); ok {
		return m, true, nil
	}
	m, err = scanMember(p.DB.reads.QueryRowContext(ctx, `SELECT `+memberColumns+` FROM identities i JOIN members m ON m.id = i.member WHERE i.id = ?`, identity))
	if errors.Is(err, sql.ErrNoRows) {
		return community.Member{}, false, nil
	}
	return m, err == nil, wrap("member of", err)
}

// MemberByID returns whom the member joined, if that is so.
func (p *People) MemberByID(ctx context.Context, id community.MemberID) (community.Member, error) {
	if m, ok := p.DB.cache.member(id); ok {
		return m, nil
	}
	m, err := scanMember(p.DB.reads.QueryRowContext(ctx, `SELECT `+memberColumns+` FROM members m WHERE m.id = `+personOf("?1"), id))
	if errors.Is(err, sql.ErrNoRows) {
		err = ErrNoMember
	}
	return m, wrap("member by id", err)
}

// current is whom a member joined, or that member: an address or a button may be older than that.
func (p *People) current(ctx context.Context, id community.MemberID) community.MemberID {
	if m, err := p.MemberByID(ctx, id); err == nil {
		return m.ID
	}
	return id
}

// change applies an UPDATE of one member, whose id is the statement's last argument, and refreshes the cache.
func (p *People) change(ctx context.Context, what string, id community.MemberID, query string, args ...any) error {
	return p.DB.write(ctx, what, func(t *tx) error {
		id, err := t.person(id)
		if err != nil {
			return err
		}
		n, err := t.exec(query, append(args[:len(args):len(args)], id)...)
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrNoMember
		}
		m, err := scanMember(t.row(`SELECT `+memberColumns+` FROM members m WHERE m.id = ?`, id))
		if err == nil {
			t.afterCommit(func() { p.DB.cache.putMember(m) })
		}
		return err
	})
}

// SetLanguage keeps the language, a BCP 47 tag, that a member chose; empty: none. ErrNoMember when there is no such member.
func (p *People) SetLanguage(ctx context.Context, id community.MemberID, language string) error {
	return p.change(ctx, "set language", id, `UPDATE members SET language = ? WHERE id = ?`, language)
}

// MakeOperator makes a member an operator of this Potluck for good, as the one-time operator URL and the configuration do. ErrNoMember when there is no such member.
func (p *People) MakeOperator(ctx context.Context, id community.MemberID) error {
	return p.change(ctx, "make operator", id, `UPDATE members SET operator = 1 WHERE id = ?`)
}

// SetBlocked keeps a member from using the bot, or lets it again.
func (p *People) SetBlocked(ctx context.Context, id community.MemberID, blocked bool) error {
	return p.change(ctx, "set blocked", id, `UPDATE members SET blocked = ? WHERE id = ?`, blocked)
}

// Identities lists the member's identities, oldest first.
func (p *People) Identities(ctx context.Context, id community.MemberID) (ids []community.UserID, err error) {
	rows, err := p.DB.reads.QueryContext(ctx, `SELECT id FROM identities WHERE member = `+personOf("?1")+` ORDER BY created_ms, id`, id)
	err = each(rows, err, func(r *sql.Rows) error {
		var u community.UserID
		err := r.Scan(&u)
		ids = append(ids, u)
		return err
	})
	return ids, wrap("identities", err)
}

// Consent tells whether a member has agreed to the named notice, or was shown it.
func (p *People) Consent(ctx context.Context, id community.MemberID, notice string) (bool, error) {
	var ok bool
	err := p.DB.reads.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM consents WHERE member = `+personOf("?1")+` AND notice = ?2)`, id, notice).Scan(&ok)
	return ok, wrap("consent", err)
}

// SetConsent keeps the time of the first one.
func (p *People) SetConsent(ctx context.Context, id community.MemberID, notice string, now time.Time) error {
	return p.DB.write(ctx, "set consent", func(t *tx) error {
		_, err := t.exec(`INSERT INTO consents (member, notice, at_ms) VALUES (`+personOf("?1")+`, ?2, ?3) ON CONFLICT DO NOTHING`, id, notice, ms(now))
		return err
	})
}

// memberExists returns the person (see tx.person), and gives a clear error in place of "FOREIGN KEY constraint failed". For new things a member who was
// forgotten is not there.
func memberExists(t *tx, id community.MemberID) (person community.MemberID, err error) {
	err = t.row(`SELECT coalesce(joined, id) FROM members WHERE id = ? AND forgotten_ms = 0`, id).Scan(&person)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: %d", ErrNoMember, id)
	}
	return person, err
}
