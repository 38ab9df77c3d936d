package storage

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"potluck/community"
)

// maxKnown bounds how many people are looked through for a name.
const maxKnown = 20_000

// Known lists who used the bot in a community lately, or (empty) anywhere ever: the people who can be named there, the newest last. Who is on two
// platforms is known in each place by the name that was used there.
func (p *People) Known(ctx context.Context, c community.CommunityID) (list []community.Known, err error) {
	rows, err := p.DB.reads.QueryContext(ctx, `
		SELECT m.id, i.name, i.id, m.created_ms
		FROM members m JOIN identities i ON i.member = m.id
		WHERE m.forgotten_ms = 0 AND i.name != '' AND (?1 = '' OR i.id IN (SELECT r.user FROM requests r JOIN chats c ON c.row = r.chat WHERE c.community = ?1))
		ORDER BY m.id DESC LIMIT ?2`, c, maxKnown)
	err = each(rows, err, func(r *sql.Rows) error {
		var k community.Known
		var identity community.UserID
		var since int64
		err := r.Scan(&k.ID, &k.Name, &identity, &since)
		k.Platform, k.Since = community.Platform(identity), at(since)
		list = append(list, k)
		return err
	})
	return list, wrap("known people", err)
}

// Setting returns what a community's admins (or, without a community, the operator) set; ok is false when nobody did.
func (p *People) Setting(ctx context.Context, c community.CommunityID, name string) (value string, ok bool, err error) {
	if c == "" {
		err = p.DB.reads.QueryRowContext(ctx, `SELECT value FROM house_settings WHERE name = ?`, name).Scan(&value)
	} else {
		err = p.DB.reads.QueryRowContext(ctx, `SELECT value FROM settings WHERE community = ? AND name = ?`, c, name).Scan(&value)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, wrap("setting", err)
}

// SetSetting keeps a setting; an empty value takes it back.
func (p *People) SetSetting(ctx context.Context, c community.CommunityID, name, value string, by community.MemberID, now time.Time) error {
	return p.DB.write(ctx, "set setting", func(t *tx) (err error) {
		switch {
		case c == "" && value == "":
			_, err = t.exec(`DELETE FROM house_settings WHERE name = ?`, name)
		case c == "":
			_, err = t.exec(`
				INSERT INTO house_settings (name, value, by_member, changed_ms) VALUES (?, ?, ?, ?)
				ON CONFLICT (name) DO UPDATE SET value = excluded.value, by_member = excluded.by_member, changed_ms = excluded.changed_ms`, name, value, by, ms(now))
		case value == "":
			_, err = t.exec(`DELETE FROM settings WHERE community = ? AND name = ?`, c, name)
		default:
			if err = saveCommunity(t, c); err == nil {
				_, err = t.exec(`
					INSERT INTO settings (community, name, value, changed_ms) VALUES (?, ?, ?, ?)
					ON CONFLICT (community, name) DO UPDATE SET value = excluded.value, changed_ms = excluded.changed_ms`, c, name, value, ms(now))
			}
		}
		return err
	})
}

// SettingOf lists the values that communities gave a setting.
func (p *People) SettingOf(ctx context.Context, name string) (values []string, err error) {
	rows, err := p.DB.reads.QueryContext(ctx, `SELECT value FROM settings WHERE name = ? ORDER BY community`, name)
	err = each(rows, err, func(r *sql.Rows) error {
		var v string
		err := r.Scan(&v)
		values = append(values, v)
		return err
	})
	return values, wrap("settings", err)
}
