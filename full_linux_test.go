package main

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"potluck/storage/storagetest"
)

// status asks and returns the answer's status and body.
func (v *visitor) status(method, path string, body any) (int, string) {
	v.t.Helper()
	res := v.request(method, path, body)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestFullDiskIsToldAndWhatRanEndsOnceThereIsRoom(t *testing.T) {
	t.Parallel()
	k := &kitchen{t: t, data: storagetest.SmallDisk(t, 48<<20), addr: "127.0.0.1:0"}
	k.startBot()
	k.operator = k.visit("Olga")
	k.operator.becomeOperator(k.bot.said(k.bot.out, `Be its operator: (\S+)`)[1])
	k.guest = k.visit("Gail")
	w := k.lend(k.operator, "tower", demoKitchen)
	if code, body := k.guest.status(http.MethodGet, "/readyz", nil); code != http.StatusOK {
		t.Fatalf("readyz: %d %s", code, body)
	}
	q := k.guest.say(question)
	k.guest.growing(q, middle)

	free := storagetest.Fill(t, k.data, 0)
	// What the database's files have room for is still taken.
	code, body := 0, ""
	refused := false
	for i := 0; i < 15 && !refused; i++ {
		code, body = k.guest.status(http.MethodPost, "/webchat/messages", map[string]string{"chat": "lobby", "text": strings.Repeat("x", 3000)})
		refused = code != http.StatusAccepted
	}
	if code != http.StatusServiceUnavailable || !strings.Contains(body, `"storage"`) || !strings.Contains(body, "disk of this Potluck is full") {
		t.Errorf("a message on a full disk: %d %s", code, body)
	}
	if code, _ := k.guest.status(http.MethodGet, "/readyz", nil); code != http.StatusServiceUnavailable {
		t.Errorf("readyz on a full disk: %d", code)
	}
	w.said(w.errs, `msg="job done"`) // its result cannot be kept now

	free()
	freed := time.Now()
	final := k.guest.answer(q)
	t.Logf("room to final answer: %v", time.Since(freed).Round(time.Millisecond))
	if code, body := k.guest.status(http.MethodGet, "/readyz", nil); code != http.StatusOK {
		t.Errorf("readyz after there is room again: %d %s", code, body)
	}
	complete(t, final)
	paidOnce(k.operator, final)
	k.close()
	k.guest.answeredOnce(q)
	if n := strings.Count(k.bot.errs.String(), "disk is full"); n == 0 {
		t.Error("the log does not tell the operator that the disk is full")
	}
}

// check wrote nothing worth the name, so it called a full disk fine.
func TestCheckFindsAFullDisk(t *testing.T) {
	t.Parallel()
	data := storagetest.SmallDisk(t, 4<<20)
	checked := func() (int, string) {
		out := &transcript{}
		code := run(t.Context(), []string{"check"}, []string{"POTLUCK_DATA_DIR=" + data, "POTLUCK_HTTP_ADDR=127.0.0.1:0"}, out, &transcript{})
		return code, out.String()
	}
	if code, said := checked(); code != 0 {
		t.Errorf("with room: %d %s", code, said)
	}
	ballast := filepath.Join(data, "ballast")
	write(t, ballast, strings.Repeat("x", 4<<20-600<<10))
	if code, said := checked(); code != 1 || !strings.Contains(said, "does not take even 1.0 MB more (no space left on device): make room") {
		t.Errorf("without room: %d %s", code, said)
	}
	if left, _ := filepath.Glob(filepath.Join(data, ".probe-*")); len(left) > 0 {
		t.Errorf("check left %v", left)
	}
}

// check says before the first start that a data folder cannot be made, as serve would.
func TestCheckNamesAFolderThatCannotBeMade(t *testing.T) {
	out, errs := &transcript{}, &transcript{}
	code := run(t.Context(), []string{"check"}, []string{"POTLUCK_DATA_DIR=/proc/potluck"}, out, errs)
	if code != 1 || !strings.Contains(out.String(), "WRONG the data folder /proc/potluck cannot be made") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
