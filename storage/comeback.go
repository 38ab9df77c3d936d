package storage

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"potluck/community"
)

const day = 24 * time.Hour

// keepMarks keeps, under the aliases of a member who is being forgotten, the blocks and what was asked today: whoever comes back has them again.
// Identities of the page never do.
func (p *People) keepMarks(t *tx, m community.MemberID, identities []community.UserID, now time.Time) error {
	today := ms(now.UTC().Truncate(day))
	for _, id := range identities {
		if p.Alias == nil || community.Platform(id) == "page" {
			continue
		}
		alias := p.Alias(id)
		err := t.steps(
			step{`INSERT INTO forgotten_blocks (alias, community) SELECT ?, '' FROM members WHERE id = ? AND blocked = 1 ON CONFLICT DO NOTHING`, []any{alias, m}},
			step{`INSERT INTO forgotten_blocks (alias, community) SELECT ?, community FROM settings WHERE name = ? ON CONFLICT DO NOTHING`,
				[]any{alias, community.BlockSetting(m)}},
			step{`
				INSERT INTO forgotten_asked (alias, community, command, day_ms, n)
				SELECT ?1, c.community, r.command, ?3, count(*) FROM requests r JOIN chats c ON c.row = r.chat
				WHERE r.user = ?2 AND r.created_ms >= ?3 AND c.community IS NOT NULL GROUP BY c.community, r.command
				ON CONFLICT DO UPDATE SET n = n + excluded.n`, []any{alias, id, today}},
		)
		if err != nil {
			return err
		}
	}
	return nil
}

// ForgetAsked forgets what was asked before today by those who were forgotten. For some minutes after the clock was set, it forgets nothing.
func (p *People) ForgetAsked(ctx context.Context, now time.Time) error {
	if !p.DB.ClockSteady() {
		return nil
	}
	return p.DB.write(ctx, "forget counts", func(t *tx) error {
		_, err := t.exec(`DELETE FROM forgotten_asked WHERE day_ms < ?`, ms(now.UTC().Truncate(day)))
		return err
	})
}

// blockAgain gives a new member the blocks that an identity had when it was forgotten, and tells whether one of them is that of the operator.
func (p *People) blockAgain(t *tx, identity community.UserID, m community.MemberID, now time.Time) (everywhere bool, err error) {
	if p.Alias == nil || community.Platform(identity) == "page" {
		return false, nil
	}
	alias := p.Alias(identity)
	if err := t.row(`SELECT EXISTS (SELECT 1 FROM forgotten_blocks WHERE alias = ? AND community = '')`, alias).Scan(&everywhere); err != nil {
		return false, err
	}
	return everywhere, t.steps(
		step{`UPDATE members SET blocked = ? WHERE id = ?`, []any{everywhere, m}},
		step{`INSERT INTO settings (community, name, value, changed_ms) SELECT community, ?, '1', ? FROM forgotten_blocks WHERE alias = ? AND community != ''`,
			[]any{community.BlockSetting(m), ms(now), alias}},
		step{`DELETE FROM forgotten_blocks WHERE alias = ?`, []any{alias}},
	)
}

// askedBefore counts what a member's identities asked in a community before they were forgotten on the same day.
func (p *People) askedBefore(ctx context.Context, m community.MemberID, c community.CommunityID, since time.Time, commands []string) (n int, err error) {
	if p.Alias == nil {
		return 0, nil
	}
	ids, err := p.Identities(ctx, m)
	if err != nil {
		return 0, err
	}
	for i, id := range ids {
		ids[i] = p.Alias(id)
	}
	aliases, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	args := []any{string(aliases), c, ms(since)}
	for _, command := range commands {
		args = append(args, command)
	}
	err = p.DB.reads.QueryRowContext(ctx, `
		SELECT coalesce(sum(n), 0) FROM forgotten_asked
		WHERE alias IN (SELECT value FROM json_each(?)) AND community = ? AND day_ms >= ? AND command IN (?`+strings.Repeat(", ?", len(commands)-1)+`)`, args...).Scan(&n)
	return n, wrap("count requests of before", err)
}
