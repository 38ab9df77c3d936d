package workers

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"potluck/community"
	"potluck/workers/protocol"
)

// nameless is what a machine without a known GPU is called.
const nameless = "computer"

// named gives those without a name a default: their GPU's, made unique among their owner's. The list holds all workers of each owner in it, in the
// order of their ids, so that a worker is called the same wherever it is shown.
func named(list []Worker) []Worker {
	taken := map[community.MemberID]map[string]bool{}
	for _, w := range list {
		if taken[w.Owner] == nil {
			taken[w.Owner] = map[string]bool{}
		}
		taken[w.Owner][strings.ToLower(w.Name)] = true
	}
	for i := range list {
		w := &list[i]
		if w.Name != "" {
			continue
		}
		base := defaultName(w.Hardware)
		w.Name = base
		for n := 2; taken[w.Owner][strings.ToLower(w.Name)]; n++ {
			w.Name = base + " " + strconv.Itoa(n)
		}
		taken[w.Owner][strings.ToLower(w.Name)] = true
	}
	return list
}

// vendorWords say who made a GPU or that it is one, and not which.
var vendorWords = []string{"nvidia", "geforce", "amd", "ati", "radeon", "intel", "corporation", "gpu", "graphics"}

// defaultName is "RTX 3060" for an "NVIDIA GeForce RTX 3060", and all of a name that does not say which GPU it is ("AMD Radeon Graphics").
func defaultName(hw protocol.Hardware) string {
	if len(hw.GPUs) == 0 {
		return nameless
	}
	whole := strings.NewReplacer("(R)", "", "(TM)", "", "(C)", "", "®", "", "™", "").Replace(hw.GPUs[0].Name)
	short := slices.DeleteFunc(strings.Fields(whole), func(s string) bool { return slices.Contains(vendorWords, strings.ToLower(s)) })
	name := strings.Join(short, " ")
	if !strings.ContainsFunc(name, unicode.IsDigit) {
		name = whole
	}
	if name = label(name, 28); name == "" { // 28 bytes: with a number it has at most the 32 of a chosen name
		return nameless
	}
	return name
}

// calledByDefault fills in the name of a worker that has none.
func (p *Pool) calledByDefault(ctx context.Context, w Worker) Worker {
	if w.Name != "" {
		return w
	}
	all, err := p.store.Workers(ctx, w.Owner)
	if err != nil {
		p.log.Error("names of an owner's workers not read", "worker", w.ID, "err", err)
	}
	if i := slices.IndexFunc(named(all), func(o Worker) bool { return o.ID == w.ID }); i >= 0 {
		w.Name = all[i].Name
	} else {
		w.Name = defaultName(w.Hardware)
	}
	return w
}

// keepName saves how a worker is called that was linked a moment ago with a code that named nothing: as it wishes, else by default.
// When the store refuses, the name is only good for this connection.
func (p *Pool) keepName(ctx context.Context, w Worker, wish string) Worker {
	if w.Name != "" {
		return w
	}
	if wish != "" {
		w.Name = wish
	} else {
		w = p.calledByDefault(ctx, w)
	}
	if err := p.store.Name(ctx, w.ID, w.Name); err != nil {
		p.log.Error("name of a worker not saved", "worker", w.ID, "err", err)
	}
	return w
}
