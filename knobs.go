package main

import (
	"context"
	"strconv"
	"sync"
	"time"

	"potluck/bot"
	"potluck/commands"
	"potluck/community"
	"potluck/fault"
)

// knobs are the settings that the operator may change while the program runs. What is set wins over the configuration, also after a restart.
type knobs struct {
	people interface {
		Setting(ctx context.Context, c community.CommunityID, name string) (value string, ok bool, err error)
		SetSetting(ctx context.Context, c community.CommunityID, name, value string, by community.MemberID, now time.Time) error
	}
	// apply hands the limits to the Router; nil until there is one.
	apply func(bot.Limits)

	mu  sync.Mutex
	all []commands.Setting
}

const (
	knobRunning     = "limits.running"
	knobQueued      = "limits.queued"
	knobPerMinute   = "limits.per_minute"
	knobDailyMember = "credits.daily_member"
	knobDailyPage   = "credits.daily_page"
	knobPageShare   = "credits.page_share"
)

func newKnobs(c Config) *knobs {
	k := &knobs{}
	for _, s := range []commands.Setting{
		{Name: knobRunning, Configured: c.Limits.Running, Min: 1, Max: 100},
		{Name: knobQueued, Configured: c.Limits.Queued, Min: 1, Max: 1000},
		{Name: knobPerMinute, Configured: c.Limits.PerMinute, Min: 1, Max: 1000},
		{Name: knobDailyMember, Configured: c.Credits.DailyMember, Min: 0, Max: 1_000_000},
		{Name: knobDailyPage, Configured: c.Credits.DailyPage, Min: 0, Max: 10_000_000},
		{Name: knobPageShare, Configured: c.Credits.PageShare, Min: 1, Max: 100},
	} {
		s.Value = s.Configured
		k.all = append(k.all, s)
	}
	return k
}

// load reads what was set before. A value that no longer fits is passed over.
func (k *knobs) load(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.all {
		s := &k.all[i]
		v, ok, err := k.people.Setting(ctx, "", s.Name)
		if err != nil {
			return err
		}
		if n, err := strconv.Atoi(v); ok && err == nil && n >= s.Min && n <= s.Max {
			s.Value = n
		}
	}
	return nil
}

func (k *knobs) value(name string) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.all {
		if s.Name == name {
			return s.Value
		}
	}
	return 0
}

func (k *knobs) settings() []commands.Setting {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]commands.Setting(nil), k.all...)
}

func (k *knobs) limits() bot.Limits {
	return bot.Limits{Running: k.value(knobRunning), Queued: k.value(knobQueued), PerMinute: k.value(knobPerMinute)}
}

// set keeps a value and then lives by it; an empty one is the configured.
func (k *knobs) set(ctx context.Context, name, value string, by community.MemberID) error {
	for i, s := range k.settings() {
		if s.Name != name {
			continue
		}
		n := s.Configured
		if value != "" {
			var err error
			if n, err = strconv.Atoi(value); err != nil || n < s.Min || n > s.Max {
				return fault.New(fault.BadOption, "option", name, "value", value, "want", strconv.Itoa(s.Min)+"–"+strconv.Itoa(s.Max))
			}
		}
		if err := k.people.SetSetting(ctx, "", name, value, by, time.Now()); err != nil {
			return err
		}
		k.mu.Lock()
		k.all[i].Value = n
		k.mu.Unlock()
		if k.apply != nil {
			k.apply(k.limits())
		}
		return nil
	}
	return fault.New(fault.UnknownOption, "command", "/admin set", "option", name, "nearest", "")
}
