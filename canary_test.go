package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever people write stands in no log line, and in no byte of the database once its answer is out.
func TestPrivateWordsAreNeitherLoggedNorKeptReadable(t *testing.T) {
	t.Parallel()
	k, model := openKitchen(t, "POTLUCK_LOG_LEVEL=debug"), serveModel(t)
	nora := k.visit("Canary-name-4711")
	join := k.joinString(k.operator, "tower")
	w := &worker{k: k, dir: filepath.Join(k.t.TempDir(), "tower")}
	write(t, filepath.Join(w.dir, "config.yaml"), model.config())
	w.start(join.String())

	q := nora.say("/ask canary-prompt-4711 is the question")
	model.asked(t)
	model.say(t, "The canary-answer", "-4711", " is this.")
	model.end()
	if m := nora.answer(q); !strings.Contains(m.Text, "canary-answer-4711") {
		t.Fatalf("the answer is %q", m.Text)
	}
	// And what goes wrong.
	for _, say := range []string{
		"/imagine canary-picture-4711", "/translate to:es canary-translation-4711", "/canary-command-4711", "/imagine style:canary-option-4711 a cat",
		"/translate to:canary-language-4711 hello", "canary-chatter-4711",
		"/ask canary-failure-4711", // the model says nothing any more
	} {
		if id := nora.say(say); strings.HasPrefix(say, "/") {
			nora.answer(id)
		}
	}
	base, err := url.Parse(nora.base)
	if err != nil {
		t.Fatal(err)
	}
	secrets := map[string]string{"join code": join.Code}
	for _, c := range nora.client.Jar.Cookies(base) {
		secrets["cookie "+c.Name] = c.Value
	}
	operator := k.bot.said(k.bot.out, `token=(\w+)`)[1]
	secrets["operator token"] = operator
	for _, name := range []string{"server.key", "secret.key"} {
		b, err := os.ReadFile(filepath.Join(k.data, name))
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = string(b)
	}
	if len(secrets) < 5 {
		t.Fatalf("a visitor has no cookie: %v", nora.client.Jar.Cookies(base))
	}
	k.bot.kill() // so that the WAL stays as it is

	files := map[string]string{"the bot's log": k.bot.errs.String(), "the worker's log": w.errs.String()}
	for _, pattern := range []string{"potluck.db", "potluck.db-wal", "blobs/*"} {
		found, err := filepath.Glob(filepath.Join(k.data, pattern))
		if err != nil || len(found) == 0 && pattern == "potluck.db" {
			t.Fatal(found, err)
		}
		for _, path := range found {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(path)] = string(b)
		}
	}
	for name, content := range files {
		for what, secret := range secrets {
			if secret == "" || strings.Contains(content, secret) {
				t.Errorf("%s holds the %s", name, what)
			}
		}
		lower := strings.ToLower(content)
		for word := range strings.SplitSeq("prompt answer picture translation command option language chatter failure", " ") {
			if strings.Contains(lower, "canary-"+word) {
				t.Errorf("%s holds the canary in the %s", name, word)
			}
		}
		// People's names stand in the database, where lists of workers and askers need them, and nowhere else.
		if strings.Contains(lower, "canary-name") && !strings.HasPrefix(name, "potluck.db") {
			t.Errorf("%s holds a name", name)
		}
	}
}
