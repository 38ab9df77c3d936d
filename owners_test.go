package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// An owner's word in the chat holds although bot and machine are killed: a paused machine takes nothing new until its owner says so.
func TestPauseInTheChatHoldsOverKills(t *testing.T) {
	t.Parallel()
	short := "POTLUCK_WORKERS_RESTART_GRACE=1s"
	k := openKitchen(t, short)
	w := k.lend(k.operator, "tower", demoKitchen)
	test := k.operator.ask("/worker test").Text
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for ; strings.HasPrefix(test, "tower is offline"); <-again.C { // what is told of the pool may be older than the machine
		test = k.operator.ask("/worker test").Text
	}
	if !strings.Contains(test, "tower works: done in") || !strings.Contains(test, "This test cost nothing and earned nothing.") {
		t.Errorf("tested: %q", test)
	}
	k.operator.ask("/worker pause")
	refused := func(when string) {
		t.Helper()
		if said := k.guest.ask(question).Text; !strings.HasPrefix(said, "No machine that is online can answer questions") {
			t.Errorf("%s: %q", when, said)
		}
	}
	refused("paused")

	k.settled() // else the question would be asked again after the kill, and answered once the machine may work
	k.bot.kill()
	w.kill()
	k.startBot(short)
	w.start("")
	refused("after the kill of both")
	if list := k.operator.ask("/worker list").Text; !strings.Contains(list, "paused: by its owner, in the chat") {
		t.Errorf("listed: %q", list)
	}
	k.operator.ask("/worker resume")
	final := k.guest.ask(question)
	complete(t, final)
	paidOnce(k.operator, final) // and nothing for the test
	k.close()
}

// A bot that dies between giving and saying so gives once, and says it after the restart.
func TestGiftIsGivenOnceAlthoughTheBotDies(t *testing.T) {
	t.Parallel()
	at := "POTLUCK_CREDITS_ESCROW=0s"
	k := openKitchen(t, at)
	k.lend(k.operator, "tower", demoKitchen)
	k.guest.ask(question)
	k.guest.ask(question)
	has := func(v *visitor) float64 { return number(t, `Your credits: ([\d.,]*\d)`, v.ask("/credits").Text) }
	again := time.NewTicker(time.Second)
	defer again.Stop()
	before := has(k.operator)
	for begun := time.Now(); before < 1; before = has(k.operator) { // the release is a chore of the house
		if <-again.C; time.Since(begun) > patience {
			t.Fatalf("the owner has %v", before)
		}
	}
	asked := k.operator.ask("/give 1 @Gail")
	if code := k.bot.stop(); code != 0 { // killed, it could have the question itself to show again
		t.Errorf("the bot's exit code is %d", code)
	}
	k.startBot(at, "POTLUCK_FAILPOINTS=edit.final.before=1:kill")
	body := fmt.Sprintf(`{"message":%q,"action":%q}`, asked.ID, asked.Buttons[0].ID)
	if res, err := k.operator.client.Post(k.operator.base+"/webchat/actions", "application/json", strings.NewReader(body)); err == nil { // else it died first
		res.Body.Close()
	}
	<-k.bot.ended
	k.startBot(at)
	given := func(m message) bool {
		return m.ID == asked.ID && strings.HasPrefix(m.Text, "You gave 1 credit to Gail.")
	}
	k.operator.await("the gift", given)
	if left := has(k.operator); before-left < 0.999 || before-left > 1.001 {
		t.Errorf("%v credits became %v", before, left)
	}
	if got := has(k.guest); got != 1 {
		t.Errorf("Gail has %v", got)
	}
	k.close()
}
