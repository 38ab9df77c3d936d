package storage

import (
	"context"
	"strings"
	"time"

	"potluck/community"
)

// Asked counts the requests of a member in a community since a time whose command is one of these, those of the same day before a forgetting, too.
func (p *People) Asked(ctx context.Context, m community.MemberID, c community.CommunityID, since time.Time, commands ...string) (n int, err error) {
	if len(commands) == 0 {
		return 0, nil
	}
	args := []any{m, c, ms(since)}
	for _, command := range commands {
		args = append(args, command)
	}
	err = p.DB.reads.QueryRowContext(ctx, `
		SELECT count(*) FROM requests r JOIN chats c ON c.row = r.chat
		WHERE r.member IN `+persons+` AND c.community = ? AND r.created_ms >= ? AND r.command IN (?`+strings.Repeat(", ?", len(commands)-1)+`)`, args...).Scan(&n)
	if err != nil {
		return 0, wrap("count requests", err)
	}
	before, err := p.askedBefore(ctx, m, c, since, commands)
	return n + before, err
}
