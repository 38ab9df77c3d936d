//go:build unix

package failpoint

import (
	"os"
	"syscall"
	"testing"
)

// A paused process stands still and goes on when it is continued.
func TestPauseStandsStillUntilContinued(t *testing.T) {
	env := append(os.Environ(), "FAILPOINT_TEST_HITS=1", Variable+"=commit.before=1:pause")
	pid, err := syscall.ForkExec(os.Args[0], []string{os.Args[0]}, &syscall.ProcAttr{Env: env})
	if err != nil {
		t.Fatal(err)
	}
	var state syscall.WaitStatus
	if _, err := syscall.Wait4(pid, &state, syscall.WUNTRACED, nil); err != nil || !state.Stopped() {
		t.Fatalf("%+v %v", state, err)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := syscall.Wait4(pid, &state, 0, nil); err != nil || state.ExitStatus() != 7 {
		t.Errorf("%+v %v", state, err)
	}
}
