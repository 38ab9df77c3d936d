package main

import (
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"potluck/workers/protocol"
)

// kitchen is a community whose parts are processes of their own, so that each of them can be killed.
type kitchen struct {
	t        testing.TB
	data     string
	addr     string // the same at every start of the bot
	bot      *program
	operator *visitor
	guest    *visitor // asks; owns no worker
	visitors []*visitor
}

func openKitchen(t testing.TB, environ ...string) *kitchen {
	t.Helper()
	k := &kitchen{t: t, data: t.TempDir(), addr: "127.0.0.1:0"}
	k.startBot(environ...)
	k.operator = k.visit("Olga")
	k.operator.becomeOperator(k.bot.said(k.bot.out, `Be its operator: (\S+)`)[1])
	k.guest = k.visit("Gail")
	return k
}

func (k *kitchen) visit(name string) *visitor {
	v := visit(k.t, "http://"+k.addr, name)
	k.visitors = append(k.visitors, v)
	return v
}

// startBot starts it, for the first time or again. Visitors who were there come back.
func (k *kitchen) startBot(environ ...string) {
	k.t.Helper()
	environ = append([]string{
		"POTLUCK_DATA_DIR=" + k.data, "POTLUCK_HTTP_ADDR=" + k.addr,
		// Outside of the demo no join string holds a loopback address.
		"POTLUCK_HTTP_PUBLIC_URL=http://10.0.0.1:8080",
		"POTLUCK_LIMITS_PER_MINUTE=1000", // a visitor who waits for something asks every second
	}, environ...)
	k.bot = start(k.t, "potluck", "", environ, "serve")
	k.addr = k.bot.said(k.bot.errs, `msg=potluck .*addr=(\S+)`)[1]
	for _, v := range k.visitors {
		v.listen()
	}
}

// joinString has a visitor type /worker link and returns what came, made to lead to this machine.
func (k *kitchen) joinString(owner *visitor, name string) protocol.Join {
	k.t.Helper()
	text := owner.ask("/worker link share:yes name:" + name).Text
	join, err := protocol.ParseJoin(regexp.MustCompile(`potluck1\.[\w.-]+`).FindString(text))
	if err != nil {
		k.t.Fatalf("%v in %q", err, text)
	}
	join.Server = "http://" + k.addr
	return join
}

// worker is one member's machine.
type worker struct {
	*program
	k   *kitchen
	dir string
}

// lend links a machine of owner by a join string from the chat and starts it. config is its config.yaml.
func (k *kitchen) lend(owner *visitor, name, config string) *worker {
	k.t.Helper()
	w := &worker{k: k, dir: filepath.Join(k.t.TempDir(), name)}
	write(k.t, filepath.Join(w.dir, "config.yaml"), config)
	w.start(k.joinString(owner, name).String())
	return w
}

func (w *worker) start(join string) {
	w.k.t.Helper()
	args := []string{"run", "-dir", w.dir}
	if join != "" {
		args = append(args, "-join", "-")
	}
	w.program = start(w.k.t, "potluck-worker", join, nil, args...)
	w.said(w.errs, "msg=connected")
}

// until has the guest repeat a command, as often as visitors may, until the answer holds a text: a worker tries Apertium's pairs before it
// offers them, one after the other.
func (k *kitchen) until(command, text string) {
	k.t.Helper()
	again := time.NewTicker(time.Second)
	defer again.Stop()
	for begun := time.Now(); ; <-again.C {
		said := k.guest.ask(command).Text
		if strings.Contains(strings.ToLower(said), text) {
			return
		}
		if time.Since(begun) > patience {
			k.t.Fatalf("%s: %q", command, said)
		}
	}
}

// demoKitchen is the config.yaml of a machine that shows the demonstration engine, whatever else is there.
const demoKitchen = "engines: []\ndemo: true\n"

// The answer to question by the demonstration engine takes about 4 s and has these words in its middle.
const (
	question = "/ask why is the sky blue?"
	middle   = "What arrived here"
)

// settled waits until the bot has noted that every answer was delivered: one that was only shown is worked out again after a kill.
func (k *kitchen) settled() {
	k.t.Helper()
	again := time.NewTicker(30 * time.Millisecond)
	defer again.Stop()
	for begun := time.Now(); ; <-again.C {
		res, err := k.guest.client.Get("http://" + k.addr + "/metrics")
		if err != nil {
			k.t.Fatal(err)
		}
		said, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			k.t.Fatal(err)
		}
		if strings.Contains(string(said), "potluck_requests_unfinished 0\n") {
			return
		}
		if time.Since(begun) > patience {
			k.t.Fatalf("some request is never delivered:\n%s", said)
		}
	}
}

// close stops the bot gently, after which nothing more can come, and has the ledger audited.
func (k *kitchen) close() {
	k.t.Helper()
	if code := k.bot.stop(); code != 0 {
		k.t.Errorf("the bot's exit code is %d", code)
	}
	for _, v := range k.visitors {
		v.untilGone()
	}
	out, errs, code := execute(k.t, "potluck", []string{"POTLUCK_DATA_DIR=" + k.data}, "audit")
	if code != 0 || !strings.Contains(out, "every invariant holds") {
		k.t.Errorf("audit: %d\n%s%s", code, out, errs)
	}
}

// paidOnce checks that the owner has earned for this job and nothing else.
func paidOnce(owner *visitor, m message) {
	owner.t.Helper()
	why := owner.ask("/credits why:" + jobOf(owner.t, m)).Text
	paid := number(owner.t, `paid to the machine's owner: ([\d.,]*\d)`, why)
	if earned := owner.earned(); paid <= 0 || earned != paid {
		owner.t.Errorf("job %s paid %v, and the owner has earned %v ever", jobOf(owner.t, m), paid, earned)
	}
}

// complete checks that an answer of the demonstration engine has every word exactly once.
func complete(t *testing.T, m message) {
	t.Helper()
	for _, part := range []string{"This is Potluck's demonstration engine", middle, "Everything around this text is real", "You can press Stop at any moment"} {
		if strings.Count(m.Text, part) != 1 {
			t.Errorf("%q stands %d times in the final answer %q", part, strings.Count(m.Text, part), m.Text)
		}
	}
}

func TestKilledBotAnswersOnceAfterRestart(t *testing.T) {
	t.Parallel()
	k := openKitchen(t)
	k.lend(k.operator, "tower", demoKitchen)
	q := k.guest.say(question)
	partial := k.guest.growing(q, middle)

	k.bot.kill()
	restarted := time.Now()
	k.startBot()
	final := k.guest.answer(q)
	t.Logf("restart to final answer: %v", time.Since(restarted).Round(time.Millisecond))

	if final.ID != partial.ID {
		t.Errorf("the answer began in message %s and ended in %s", partial.ID, final.ID)
	}
	complete(t, final)
	paidOnce(k.operator, final)
	k.close()
	k.guest.answeredOnce(q)
}

func TestKilledBotAndWorkerAnswerOnceAfterRestart(t *testing.T) {
	t.Parallel()
	k := openKitchen(t)
	w := k.lend(k.operator, "tower", demoKitchen)
	q := k.guest.say(question)
	partial := k.guest.growing(q, middle)

	k.bot.kill()
	w.kill()
	restarted := time.Now()
	k.startBot()
	w.start("")
	final := k.guest.answer(q)
	t.Logf("restart to final answer: %v", time.Since(restarted).Round(time.Millisecond))

	if final.ID != partial.ID {
		t.Errorf("the answer began in message %s and ended in %s", partial.ID, final.ID)
	}
	complete(t, final)
	paidOnce(k.operator, final)
	k.close()
	k.guest.answeredOnce(q)
}

func TestKilledBotThatHadShownNoWordAnswersOnceAfterRestart(t *testing.T) {
	t.Parallel()
	k, model := openKitchen(t), serveModel(t)
	k.lend(k.operator, "tower", model.config())
	q := k.guest.say("/ask is anybody there?")
	placeholder := k.guest.growing(q, "Olga's tower is on it…")
	model.asked(t)

	k.bot.kill()
	restarted := time.Now()
	k.startBot()
	model.say(t, "Yes, ", "I am ", "here.")
	model.end()
	final := k.guest.answer(q)
	t.Logf("restart to final answer: %v", time.Since(restarted).Round(time.Millisecond))

	if final.ID != placeholder.ID || strings.Count(final.Text, "Yes, I am here.") != 1 {
		t.Errorf("message %s became %+v", placeholder.ID, final)
	}
	paidOnce(k.operator, final)
	k.close()
	k.guest.answeredOnce(q)
	if n := model.requests.Load(); n != 1 {
		t.Errorf("the model was asked %d times", n)
	}
}

func TestBotKilledRightAfterTheQuestionAnswersOnceAfterRestart(t *testing.T) {
	t.Parallel()
	k := openKitchen(t)
	k.lend(k.operator, "tower", demoKitchen)
	q := k.guest.say(question)

	k.bot.kill()
	restarted := time.Now()
	k.startBot()
	final := k.guest.answer(q)
	t.Logf("restart to final answer: %v", time.Since(restarted).Round(time.Millisecond))

	complete(t, final)
	paidOnce(k.operator, final)
	k.close()
	k.guest.answeredOnce(q)
}

func TestKilledWorkersJobRunsElsewhere(t *testing.T) {
	for _, c := range []struct{ name, say, begun string }{
		{"answering", question, middle},
		{"drawing", "/imagine a lighthouse at dusk", "% · step"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := openKitchen(t)
			rita, sam := k.visit("Rita"), k.visit("Sam")
			tower, laptop := k.lend(rita, "tower", demoKitchen), k.lend(sam, "laptop", demoKitchen)
			sam.ask("/worker pause") // until the other one is at work: a machine takes longer to start than this answer
			q := k.guest.say(c.say)
			begun := k.guest.growing(q, c.begun)

			tower.kill()
			killed := time.Now()
			sam.ask("/worker resume")
			laptop.said(laptop.errs, `msg="job begins"`)
			t.Logf("kill to the next worker's start: %v", time.Since(killed).Round(time.Millisecond))
			final := k.guest.answer(q)
			t.Logf("kill to final answer: %v", time.Since(killed).Round(time.Millisecond))

			if final.ID != begun.ID || !strings.Contains(final.Text, "on Sam's laptop") {
				t.Errorf("message %s became %+v", begun.ID, final)
			}
			if c.name == "answering" {
				complete(t, final)
			} else if len(final.Images) != 1 {
				t.Errorf("%d pictures", len(final.Images))
			} else {
				k.guest.picture(final.Images[0])
			}
			paidOnce(sam, final)
			if n := rita.earned(); n != 0 {
				t.Errorf("the owner of the killed worker earned %v", n)
			}
			k.close()
			k.guest.answeredOnce(q)
		})
	}
}
