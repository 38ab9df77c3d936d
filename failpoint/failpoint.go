// Package failpoint ends or stops this very process at a named place, so that tests can kill the real programs where it hurts most.
package failpoint

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// Variable is the environment variable that arms points: "commit.before=3:kill,agent.out.done=1:pause" kills the process at its third
// commit and stops it at its first done. Without it no point does anything.
const Variable = "POTLUCK_FAILPOINTS"

// Points are all places, with what happens there. Those that end in a dot stand for one place per kind of frame.
var Points = map[string]string{
	"commit.before":     "a group of writes is about to be committed",
	"commit.after":      "it is on the disk, nobody was told",
	"send.before":       "a reply's first message is about to be sent",
	"send.after":        "the platform has it, its id is not saved",
	"edit.final.before": "the final answer is about to be shown",
	"edit.final.after":  "it is shown, the request is not marked",
	"delivered.before":  "the request is about to be marked as delivered",
	"delivered.after":   "it is marked, what it left behind is not erased",
	"lease.before":      "a lease is about to be saved",
	"lease.after":       "it is saved, the worker does not know",
	"settle.before":     "a result was checked and is about to be saved with its payment",
	"settle.after":      "it is saved, neither worker nor asker were told",
	"link.in.":          "the bot has read a frame of this kind",
	"link.out.":         "the bot is about to write a frame of this kind",
	"agent.in.":         "the worker has read a frame of this kind",
	"agent.out.":        "the worker is about to queue a frame of this kind",
	"agent.put":         "the worker is about to upload a picture",
	"agent.done":        "the worker has a result and has told nobody",
}

// Frames are the kinds of frames: the type, or of an event its kind.
var Frames = []string{
	"hello", "challenge", "welcome", "offer", "beat", "assign", "accept", "refuse", "text", "progress", "preview", "done", "error", "ack", "cancel",
	"pause", "resume", "drain", "bye",
}

// Names lists every place that can be armed, sorted.
func Names() []string {
	var names []string
	for p := range Points {
		if !strings.HasSuffix(p, ".") {
			names = append(names, p)
			continue
		}
		for _, f := range Frames {
			names = append(names, p+f)
		}
	}
	slices.Sort(names)
	return names
}

// trap is what waits at one place.
type trap struct {
	left atomic.Int64 // hits until it acts
	act  func()
	what string
}

// armed is nil in every program that is not being tested.
var armed atomic.Pointer[map[string]*trap]

// Arm reads the value of Variable; an empty one disarms. What it says when a point acts goes to log. Its errors name what may be written.
func Arm(value string, log io.Writer) error {
	if value == "" {
		armed.Store(nil)
		return nil
	}
	traps, known := map[string]*trap{}, Names()
	for part := range strings.SplitSeq(value, ",") {
		name, rest, _ := strings.Cut(strings.TrimSpace(part), "=")
		count, action, _ := strings.Cut(rest, ":")
		if !slices.Contains(known, name) {
			return fmt.Errorf("%s: there is no point %q; there are %s", Variable, name, strings.Join(known, ", "))
		}
		n, err := strconv.ParseInt(count, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("%s: %q: want %s=N:kill or %s=N:pause, N from 1", Variable, part, name, name)
		}
		act, ok := map[string]func(){"kill": kill, "pause": pause}[action]
		if !ok {
			return fmt.Errorf("%s: %q: the actions are kill and pause", Variable, part)
		}
		t := &trap{act: act, what: action}
		t.left.Store(n)
		traps[name] = t
	}
	said.w = log
	armed.Store(&traps)
	return nil
}

// said is where a point that acts says so; set before armed is.
var said struct{ w io.Writer }

// Hit is the place of that name. Unarmed it costs one load.
func Hit(name string) {
	if traps := armed.Load(); traps != nil {
		hit(*traps, name)
	}
}

// HitFrame is the place of frames of that kind: HitFrame("link.in.", "done").
func HitFrame(place, kind string) {
	if traps := armed.Load(); traps != nil {
		hit(*traps, place+kind)
	}
}

func hit(traps map[string]*trap, name string) {
	if t := traps[name]; t != nil && t.left.Add(-1) == 0 {
		fmt.Fprintf(said.w, "failpoint %s: %s\n", name, t.what)
		t.act()
	}
}

// kill is SIGKILL: nothing is finished, nothing deferred runs. It does not return.
func kill() {
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {} // the signal is on its way
}
