package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Each start printed an address that made whoever reads the journal the operator. Now there is one as long as nobody is operator, and another
// when the operator asks for one on the machine itself.
func TestOperatorAddressIsPrintedWhenItIsNeeded(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	p, base := serveHere(t, "POTLUCK_DATA_DIR="+data)
	anna := visit(t, base, "Anna")
	anna.becomeOperator(p.said(p.out, `Be its operator: (\S+)`)[1])
	p.stop()

	p, base = serveHere(t, "POTLUCK_DATA_DIR="+data)
	if !strings.Contains(p.errs.String(), "potluck operator prints a one-time address") || strings.Contains(p.out.String()+p.errs.String(), "token=") {
		t.Errorf("with an operator, a start prints %s and logs %s", p.out, p.errs)
	}
	environ := []string{"POTLUCK_DATA_DIR=" + data, "POTLUCK_HTTP_ADDR=" + strings.TrimPrefix(base, "http://")}
	address := func() string {
		t.Helper()
		out, errs, code := execute(t, "potluck", environ, "operator")
		if code != 0 {
			t.Fatalf("potluck operator: %d %s", code, errs)
		}
		return strings.Fields(strings.TrimPrefix(out, "Be its operator: "))[0]
	}
	first := address()
	berta, carl := visit(t, base, "Berta"), visit(t, base, "Carl")
	berta.becomeOperator(first)
	if code, _ := carl.status("GET", strings.TrimPrefix(first, base), nil); code != 403 {
		t.Errorf("the address a second time: %d", code)
	}
	if code, _ := berta.status("GET", "/operator", nil); code != 200 {
		t.Errorf("the operator's view: %d", code)
	}
	left := address()
	p.stop()
	refuses(t, 1, environ, []string{"operator"}, "no Potluck answers at "+base, "start it first")
	serveHere(t, environ...)
	if code, _ := carl.status("GET", strings.TrimPrefix(left, base), nil); code != 403 {
		t.Errorf("an address from before the restart: %d", code)
	}
}

func TestOperatorPassWorksOnceAndNotForLong(t *testing.T) {
	key, other, began := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32), time.Now()
	passes := newOperatorPasses(key, began)
	pass := newPass(key, began.Add(time.Second))
	forged := []byte(pass)
	forged[15] ^= 1 // another time
	for name, token := range map[string]string{
		"none": "", "short": pass[:40], "cut off": pass[:len(pass)-1], "longer": pass + "0", "of another key": newPass(other, began.Add(time.Second)), "forged": string(forged),
		"from before the start": newPass(key, began.Add(-time.Second)), "in large letters": strings.ToUpper(pass),
	} {
		if passes.take(token, began.Add(2*time.Second)) {
			t.Errorf("%s: it was taken", name)
		}
	}
	if passes.take(pass, began.Add(passFor+2*time.Second)) {
		t.Error("an old one was taken")
	}
	if !passes.take(pass, began.Add(2*time.Second)) {
		t.Error("a good one was refused")
	}
	for _, later := range []time.Duration{2 * time.Second, passFor} {
		if passes.take(pass, began.Add(later)) {
			t.Errorf("it was taken twice, %v later", later)
		}
	}
}

// With log.format: json every line of the journal is JSON; the operator's address stood between them.
func TestJSONLogHasNoOtherLines(t *testing.T) {
	t.Parallel()
	p := startHere(t, []string{"POTLUCK_HTTP_ADDR=127.0.0.1:0", "POTLUCK_DATA_DIR=" + t.TempDir(), "POTLUCK_LOG_FORMAT=json"}, "serve")
	p.said(p.errs, `"msg":"potluck"`)
	p.stop()
	for line := range strings.Lines(p.out.String() + p.errs.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}

// The recipe for one machine in docs/worker.md: no public address, the operator links a worker beside the server. Others get no join string, because
// it could not work for them.
func TestOneMachineWithoutAPublicAddress(t *testing.T) {
	t.Parallel()
	p, base := serveHere(t, "POTLUCK_DATA_DIR="+t.TempDir(), "POTLUCK_HTTP_PUBLIC_URL=")
	k := &kitchen{t: t, addr: strings.TrimPrefix(base, "http://")}
	olga, gail := k.visit("Olga"), k.visit("Gail")
	olga.becomeOperator(p.said(p.out, `Be its operator: (\S+)`)[1])
	if said := gail.ask("/worker link").Text; !strings.Contains(said, "Ask the operator") {
		t.Errorf("a member is told %q", said)
	}
	said := olga.ask("/worker link name:box").Text
	if !strings.Contains(said, "potluck-worker join potluck1.") || !strings.Contains(said, fmt.Sprintf("%s can only be reached from the machine that this Potluck runs on", base)) {
		t.Errorf("the operator is told %q", said)
	}
	join := k.joinString(olga, "box")
	stdout, stderr, code := execute(t, "potluck-worker", nil, "join", "-dir", filepath.Join(t.TempDir(), "worker"), join.String())
	if code != 0 || !strings.Contains(stdout, "Linked to "+base+" as box") {
		t.Errorf("join: %d %s%s", code, stdout, stderr)
	}
}
