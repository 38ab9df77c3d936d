package discord

import (
	"context"
	"sync"
	"time"

	"potluck/community"
)

// deputyTime is how long a delegated role is remembered: a change holds after this at the latest.
const deputyTime = 15 * time.Second

// deputies remembers which role counts as admin in a guild.
type deputies struct {
	mu    sync.Mutex
	known map[snowflake]deputy
}

type deputy struct {
	role string
	at   time.Time
}

// promote returns Admin for somebody who has the role that an admin of the guild chose for that.
func (p *Platform) promote(ctx context.Context, guildID snowflake, role community.Role, roles []snowflake) community.Role {
	if role >= community.Admin || guildID == 0 || len(roles) == 0 || p.config.Delegate == nil {
		return role
	}
	now := time.Now()
	p.deputies.mu.Lock()
	d, ok := p.deputies.known[guildID]
	p.deputies.mu.Unlock()
	if !ok || now.Sub(d.at) > deputyTime {
		chosen, err := p.config.Delegate(ctx, communityID(guildID.String()))
		if err != nil {
			p.log.Warn("look up the delegated role", "community", communityID(guildID.String()), "err", err)
			return role
		}
		d = deputy{chosen, now}
		p.deputies.mu.Lock()
		if p.deputies.known == nil || len(p.deputies.known) > 10_000 {
			p.deputies.known = make(map[snowflake]deputy)
		}
		p.deputies.known[guildID] = d
		p.deputies.mu.Unlock()
	}
	for _, r := range roles {
		if d.role == name+":&"+r.String() {
			return community.Admin
		}
	}
	return role
}
