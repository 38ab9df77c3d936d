package commands

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"potluck/bot"
	"potluck/community"
	"potluck/fault"
	"potluck/ledger"
	"potluck/workers"
	"potluck/workers/protocol"
)

// machineOption is the option that names one of the asker's workers: by number or name, and not at all by who has only one.
var machineOption = bot.Option{Name: "id", Kind: bot.String, Max: 40}

func (h House) ownerCommands() []bot.Command {
	return []bot.Command{
		{
			Name: "rename", Private: true, Run: h.rename,
			Options: []bot.Option{{Name: "name", Kind: bot.String, Rest: true, Required: true, Max: 60}, machineOption},
		},
		{Name: "pause", Private: true, Run: h.pause, Options: []bot.Option{machineOption}},
		{Name: "resume", Private: true, Run: h.resume, Options: []bot.Option{machineOption}},
		{Name: "stats", Private: true, Run: h.stats, Options: []bot.Option{machineOption}},
		{
			Name: "limits", Private: true, Run: h.limits,
			Options: []bot.Option{
				machineOption,
				{Name: "kinds", Kind: bot.String, Max: 60},
				{Name: "jobs", Kind: bot.Integer, Min: 0, Max: 100_000},
				{Name: "hours", Kind: bot.String, Max: 20},
				{Name: "zone", Kind: bot.String, Max: 40, Suggest: func(typed string) []string { return matching(typed, zones) }},
			},
		},
		{
			Name: "test", Private: true, Costly: true, Run: h.test,
			Options: []bot.Option{machineOption, {Name: "kind", Kind: bot.Choice, Choices: kindNames()}},
		},
		{
			Name: "share", Private: true, Run: h.share,
			Options: []bot.Option{
				{Name: "on", Kind: bot.String, Required: true, Max: 40, Suggest: func(typed string) []string { return matching(typed, []string{"on", "off"}) }},
				machineOption,
			},
		},
	}
}

// zones are proposed while a time zone is typed; any other works, too.
var zones = []string{
	"UTC", "Europe/London", "Europe/Madrid", "Europe/Paris", "Europe/Berlin", "Europe/Rome", "Europe/Warsaw", "Europe/Kyiv", "Europe/Istanbul", "Africa/Lagos",
	"Africa/Cairo", "Asia/Kolkata", "Asia/Bangkok", "Asia/Shanghai", "Asia/Seoul", "Asia/Tokyo", "Australia/Sydney", "America/Sao_Paulo", "America/Argentina/Buenos_Aires",
	"America/Bogota", "America/Mexico_City", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
}

func kindNames() []string {
	var names []string
	for _, k := range protocol.Kinds() {
		names = append(names, string(k))
	}
	return names
}

// errNone says that somebody has no worker at all; the answer is not an error but how to link one.
var errNone = errors.New("no worker")

// mine runs do with the worker that was named, or tells how to link one.
func (h House) mine(ctx context.Context, in *bot.Invocation, do func(workers.Worker) error) error {
	w, err := h.pick(ctx, in.Member, in.Options["id"])
	if errors.Is(err, errNone) {
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("worker.none")})
	}
	if err != nil {
		return err
	}
	return do(w)
}

// pick finds the worker that a member means by a number or a name. Operators may mean anybody's by its number.
func (h House) pick(ctx context.Context, m community.Member, typed string) (workers.Worker, error) {
	typed = strings.TrimPrefix(plainForm(typed), "#")
	own, err := h.Pool.Workers(ctx, m.ID)
	if err != nil {
		return workers.Worker{}, fmt.Errorf("look up workers: %w", err)
	}
	if id, err := strconv.ParseInt(typed, 10, 64); err == nil {
		return h.owned(ctx, m, id)
	}
	var fits []workers.Worker
	for _, w := range own {
		if typed == "" || strings.EqualFold(w.Name, typed) {
			fits = append(fits, w)
		}
	}
	switch {
	case len(own) == 0:
		return workers.Worker{}, errNone
	case len(fits) == 1:
		return fits[0], nil
	case len(fits) == 0:
		return workers.Worker{}, fault.New(fault.UnknownWorker, "worker", typed)
	}
	var names []string
	for _, w := range fits {
		names = append(names, fmt.Sprintf("%d (%s)", w.ID, w.Name))
	}
	return workers.Worker{}, fault.New(fault.WhichWorker, "workers", strings.Join(names, ", "))
}

// machineNumber reads "3" or "#3".
func machineNumber(typed string) (int64, error) {
	return strconv.ParseInt(strings.TrimPrefix(typed, "#"), 10, 64)
}

// maxMachineName is how many characters the name of a machine may have.
const maxMachineName = 32

func (h House) rename(ctx context.Context, in *bot.Invocation) error {
	name := plainForm(in.Options["name"])
	if id, err := machineNumber(name); err == nil && in.Options["id"] == "" {
		if _, err := h.owned(ctx, in.Member, id); err == nil { // "/worker rename 3": the name was forgotten
			return fault.New(fault.MissingOption, "command", "/worker rename", "option", "name", "what", "option.worker.rename.name",
				"usage", fmt.Sprintf("/worker rename %d Attic PC", id))
		}
	}
	// "/worker rename 3 Attic PC" means the third; who has only one may well call it "3 Attic PC".
	if first, rest, ok := strings.Cut(name, " "); ok && in.Options["id"] == "" {
		if id, err := machineNumber(first); err == nil {
			if _, err := h.owned(ctx, in.Member, id); err == nil {
				in.Options["id"], name = strconv.FormatInt(id, 10), strings.TrimSpace(rest)
			}
		}
	}
	return h.mine(ctx, in, func(w workers.Worker) error {
		if n := utf8.RuneCountInString(name); n > maxMachineName {
			return fault.New(fault.TooLong, "option", "name", "length", n, "max", maxMachineName)
		}
		if err := h.Owners.Rename(ctx, w.ID, name, in.Member); err != nil {
			return err
		}
		now, err := h.owned(ctx, in.Member, w.ID) // what was typed is tidied before it is kept
		if err != nil {
			return err
		}
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("worker.renamed", "old", w.Name, "name", now.Name)})
	})
}

func (h House) pause(ctx context.Context, in *bot.Invocation) error {
	return h.mine(ctx, in, func(w workers.Worker) error {
		if err := h.Owners.Pause(ctx, w.ID, in.Member); err != nil {
			return err
		}
		v := h.live(w.ID)
		return in.Reply.Final(ctx, bot.Reply{Text: in.Say("worker.paused", "name", w.Name, "id", w.ID, "n", len(v.Jobs))})
	})
}

func (h House) resume(ctx context.Context, in *bot.Invocation) error {
	return h.mine(ctx, in, func(w workers.Worker) error {
		if err := h.Owners.Resume(ctx, w.ID, in.Member); err != nil {
			return err
		}
		text := in.Say("worker.resumed", "name", w.Name)
		v := h.live(w.ID)
		switch {
		case v.State == "" || v.State == workers.Away:
			text = joined("\n", text, in.Say("worker.resumed_away"))
		case v.Reason != "":
			text = joined("\n", text, in.Say("worker.resumed_local", "reason", v.Reason))
		case !w.Limits.Within(h.Now()):
			text = joined("\n", text, in.Say("worker.resumed_hours", "from", clock(w.Limits.From), "until", clock(w.Limits.Until), "zone", zoneOf(w.Limits)))
		}
		return in.Reply.Final(ctx, bot.Reply{Text: text})
	})
}

// live is how the pool sees a worker; its State is empty when it is not there.
func (h House) live(id int64) workers.WorkerView {
	for _, v := range h.Pool.Overview().Workers {
		if v.ID == id {
			return v
		}
	}
	return workers.WorkerView{}
}

// switchWords turn something on or off. Numbers are not among them: "1" is the number of a machine.
var switchWords = map[string]bool{"on": true, "yes": true, "y": true, "true": true, "off": false, "no": false, "n": false, "false": false}

// share takes "on", "off 3" and "3 off".
func (h House) share(ctx context.Context, in *bot.Invocation) error {
	typed, machine := in.Options["on"], in.Options["id"]
	on, ok := switchWords[strings.ToLower(plainForm(typed))]
	if !ok {
		if on, ok = switchWords[strings.ToLower(plainForm(machine))]; ok {
			in.Options["id"] = typed
		}
	}
	if _, err := machineNumber(plainForm(typed)); !ok && err == nil && machine == "" {
		return fault.New(fault.MissingOption, "command", "/worker share", "option", "on", "what", "option.worker.share.on",
			"usage", fmt.Sprintf("/worker share on|off %s", strings.TrimPrefix(plainForm(typed), "#")))
	}
	if !ok {
		return fault.New(fault.BadOption, "option", "on", "value", cut(typed, 40), "want", "on, off")
	}
	return h.mine(ctx, in, func(w workers.Worker) error {
		if err := h.Owners.Share(ctx, w.ID, on, in.Member); err != nil {
			return err
		}
		key := "worker.share_off"
		if on {
			key = "worker.share_on"
		}
		return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", in.Say(key, "name", w.Name), small(trustLine(in.Say, w)))})
	})
}

// trustLine says whose text a worker gets to see.
func trustLine(say bot.Say, w workers.Worker) bot.Text {
	if w.Operator {
		return say("worker.trust_operator")
	}
	var lines []string
	for c, class := range w.Vouched {
		lines = append(lines, say("worker.trust_place", "place", community.Local(c), "class", class).Plain)
	}
	slices.Sort(lines)
	return say("worker.trust", "n", len(lines), "places", lines)
}

// recordFor is how far back /worker stats looks; recordErrors how many failures it lists.
const (
	recordFor    = 30 * 24 * time.Hour
	recordErrors = 5
)

func (h House) stats(ctx context.Context, in *bot.Invocation) error {
	return h.mine(ctx, in, func(w workers.Worker) error {
		now := h.Now()
		r, err := h.Owners.Record(ctx, w.ID, now.Add(-recordFor), recordErrors)
		if err != nil {
			return fmt.Errorf("record of worker %d: %w", w.ID, err)
		}
		v := h.live(w.ID)
		if v.State == "" {
			v = workers.WorkerView{Worker: w, State: workers.Away}
		}
		share := 0.0
		if whole := now.Sub(r.Since); whole > 0 {
			share = float64(r.Up) / float64(whole)
		}
		lines := []bot.Text{
			h.workerText(in.Say, v),
			in.Say("worker.stats_jobs", "since", r.Since, "n", r.Jobs, "amount", ledger.Amount(r.Paid), "share", share),
		}
		for _, o := range v.Offers {
			if o.Rate > 0 {
				lines = append(lines, in.Say("worker.stats_speed", "kind", in.Say("help.kind", "kind", o.Kind), "model", o.Canonical, "rate", o.Rate))
			}
		}
		lines = append(lines, limitsText(in.Say, w, now), trustLine(in.Say, w), mishaps(in.Say, r))
		return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", lines...)})
	})
}

// mishaps lists what went wrong lately, newest first.
func mishaps(say bot.Say, r workers.Record) bot.Text {
	n := 0
	for _, k := range r.Faults {
		n += k
	}
	lines := []bot.Text{say("worker.stats_faults", "n", n)}
	for _, m := range r.Errors {
		lines = append(lines, say("worker.stats_fault", "at", m.At, "job", m.Job, "model", m.Model, "outcome", m.Outcome))
	}
	return joined("\n", lines...)
}

func (h House) limits(ctx context.Context, in *bot.Invocation) error {
	return h.mine(ctx, in, func(w workers.Worker) error {
		l, changed, err := limitsTyped(w.Limits, in.Options)
		if err != nil {
			return err
		}
		key := "worker.limits"
		if changed {
			if err := h.Owners.Limit(ctx, w.ID, l, in.Member); err != nil {
				return err
			}
			if w, err = h.owned(ctx, in.Member, w.ID); err != nil { // anew: what it did today is counted only where that is limited
				return err
			}
			key = "worker.limits_set"
		}
		lines := []bot.Text{in.Say(key, "name", w.Name), limitsText(in.Say, w, h.Now()), small(in.Say("worker.limits_more", "id", w.ID))}
		return in.Reply.Final(ctx, bot.Reply{Text: joined("\n", lines...)})
	})
}

// limitsTyped is l with what was typed; "all" (or 0 jobs) lifts a limit.
func limitsTyped(l workers.Limits, typed map[string]string) (_ workers.Limits, changed bool, err error) {
	bad := func(option, want string) error {
		return fault.New(fault.BadOption, "option", option, "value", cut(typed[option], 60), "want", want)
	}
	if s := strings.ToLower(plainForm(typed["kinds"])); s != "" {
		changed, l.Kinds = true, nil
		for _, name := range strings.FieldsFunc(s, func(c rune) bool { return c == ',' || c == ' ' || c == '+' || c == '、' }) {
			switch kind := protocol.Kind(name); {
			case name == "all":
				l.Kinds = protocol.Kinds()
			case !slices.Contains(protocol.Kinds(), kind):
				return l, false, bad("kinds", "all, "+strings.Join(kindNames(), ", "))
			case !slices.Contains(l.Kinds, kind):
				l.Kinds = append(l.Kinds, kind)
			}
		}
		if len(l.Kinds) == len(protocol.Kinds()) {
			l.Kinds = nil
		}
	}
	if s := typed["jobs"]; s != "" {
		changed = true
		if l.PerDay, err = strconv.Atoi(s); err != nil {
			return l, false, bad("jobs", "number")
		}
	}
	if s := strings.ToLower(plainForm(typed["hours"])); s != "" {
		changed = true
		var ok bool
		if l.From, l.Until, ok = hours(s); !ok {
			return l, false, bad("hours", "hours")
		}
	}
	if s := plainForm(typed["zone"]); s != "" {
		changed, l.Zone = true, s
		if _, err := workers.Zone(s); err != nil {
			return l, false, bad("zone", "zone")
		}
	}
	return l, changed, l.Check()
}

// hours reads "22:00-07:00", "22-7" or "all", in minutes after midnight.
func hours(s string) (from, until int, ok bool) {
	if s == "all" {
		return 0, 0, true
	}
	a, b, ok := strings.Cut(strings.NewReplacer("–", "-", "—", "-", "〜", "-", "~", "-").Replace(s), "-")
	if !ok {
		return 0, 0, false
	}
	from, ok1 := minutes(a)
	until, ok2 := minutes(b)
	return from, until, ok1 && ok2 && from != until
}

func minutes(s string) (int, bool) {
	hour, minute, colon := strings.Cut(strings.TrimSpace(s), ":")
	h, err := strconv.ParseUint(hour, 10, 8)
	if err != nil || h > 24 {
		return 0, false
	}
	var m uint64
	if colon {
		if m, err = strconv.ParseUint(minute, 10, 8); err != nil || m > 59 || h == 24 && m > 0 {
			return 0, false
		}
	}
	return int(h*60 + m), true
}

func clock(minutes int) string { return fmt.Sprintf("%02d:%02d", minutes/60, minutes%60) }

func zoneOf(l workers.Limits) string {
	if l.Zone == "" {
		return "UTC"
	}
	return l.Zone
}

// limitsText says what a worker may do by its owner's word.
func limitsText(say bot.Say, w workers.Worker, now time.Time) bot.Text {
	l := w.Limits
	if l.None() {
		return say("worker.unlimited")
	}
	var kinds []string
	for _, k := range l.Kinds {
		kinds = append(kinds, say("help.kind", "kind", k).Plain)
	}
	lines := []bot.Text{say("worker.limit_kinds", "n", len(kinds), "kinds", kinds), say("worker.limit_jobs", "n", l.PerDay, "today", w.Today, "zone", zoneOf(l))}
	if l.From != l.Until {
		lines = append(lines, say("worker.limit_hours", "from", clock(l.From), "until", clock(l.Until), "zone", zoneOf(l),
			"open", l.Within(now), "now", l.In(now).Format("15:04")))
	}
	return joined("\n", lines...)
}
