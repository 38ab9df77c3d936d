package operator

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"testing"

	"potluck/fault"
	"potluck/ledger"
	"potluck/web/reader"
	"potluck/workers"
	"potluck/workers/protocol"
)

var places = regexp.MustCompile(`\{\w+\}`)

// Every language says the same things with the same places, and everything that the page can come to ask for is there.
func TestTextsAreCompleteInEveryLanguage(t *testing.T) {
	all, err := readTexts()
	if err != nil {
		t.Fatal(err)
	}
	first := all["en"].T
	for _, l := range reader.Languages() {
		said := all[l].T
		for key, text := range first {
			if said[key] == "" {
				t.Errorf("%s: %s is missing", l, key)
			}
			want, got := places.FindAllString(text, -1), places.FindAllString(said[key], -1)
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: %s has the places %v, English has %v", l, key, got, want)
			}
		}
		for key := range said {
			if first[key] == "" {
				t.Errorf("%s: %s is no text of the page", l, key)
			}
		}
	}
	for _, key := range wantedTexts(t) {
		if first[key] == "" {
			t.Errorf("the page asks for %q, which nobody wrote", key)
		}
	}
}

// wantedTexts lists the keys in the sources, and those that are put together from what the pool says.
func wantedTexts(t *testing.T) []string {
	t.Helper()
	keys := map[string]bool{}
	for _, name := range []string{"index.html", "plain.html", "view.js", "charts.js"} {
		b, err := os.ReadFile("assets/" + name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?:words\.|\.T\.|\bsay\(")(\w+)`).FindAllStringSubmatch(string(b), -1) {
			keys[m[1]] = true
		}
	}
	for _, o := range severity {
		if o != workers.ObstacleClass {
			keys["why_"+string(o)] = true
		}
		if o != workers.ObstacleKind {
			keys["keeps_"+string(o)] = true
		}
	}
	for _, k := range protocol.Kinds() {
		keys["kind_"+string(k)], keys["one_"+string(k)] = true, true
	}
	for _, s := range []workers.State{workers.Queued, workers.Leased, workers.Done, workers.Failed, workers.Cancelled} {
		keys["job_state_"+string(s)] = true
	}
	for _, s := range []string{string(workers.Online), string(workers.Paused), string(workers.Draining), string(workers.Away), offline} {
		keys["state_"+s] = true
	}
	for _, c := range []workers.Class{workers.Public, workers.Community, workers.Private} {
		keys["class_"+string(c)], keys["why_class_"+string(c)] = true, true
	}
	for _, c := range []workers.Closed{workers.ClosedByOwner, workers.ClosedHours, workers.ClosedDay} {
		keys["closed_"+string(c)] = true
	}
	for _, o := range outcomes {
		keys["outcome_"+string(o)] = true
	}
	for _, k := range []ledger.AccountKind{ledger.Spend, ledger.Escrow, ledger.Allowance, ledger.PoolFund, ledger.Mint, ledger.Burn, ledger.Hold} {
		keys["account_"+string(k)] = true
	}
	for _, c := range []fault.Code{
		fault.NoWorker, fault.NoModel, fault.NoPair, fault.NoPrivateWorker, fault.NoFit, fault.Expired, fault.WorkerFailed, fault.EngineRefused,
		fault.BadResult, fault.Blocked, fault.Cancelled, fault.NoCredit, fault.Internal, fault.Erased,
	} {
		keys["failure_"+string(c)] = true
	}
	for _, b := range []string{"worker", "request", "nobody"} {
		keys["blame_"+b] = true
	}
	for _, act := range []string{"revoke", "pause"} {
		keys[act+"_title"], keys[act+"_text"], keys["act_done_"+act] = true, true, true
	}
	delete(keys, "T")
	return slices.Sorted(maps.Keys(keys))
}

var severity = []workers.Obstacle{
	workers.ObstacleNone, workers.ObstacleNew, workers.ObstacleBusy, workers.ObstacleDemo, workers.ObstacleAway, workers.ObstacleResting, workers.ObstacleTried,
	workers.ObstacleHours, workers.ObstacleDay, workers.ObstaclePaused, workers.ObstacleDraining, workers.ObstacleClass, workers.ObstacleCredit,
	workers.ObstacleFit, workers.ObstaclePair, workers.ObstacleModel, workers.ObstacleKind,
}

var outcomes = []workers.Outcome{
	workers.OutcomeDone, workers.OutcomeRefused, workers.OutcomeOverload, workers.OutcomeLost, workers.OutcomeEngine, workers.OutcomeExpired,
	workers.OutcomeRejected, workers.OutcomeRequest, workers.OutcomeCancelled, workers.OutcomeRestart,
}
