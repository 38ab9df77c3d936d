//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// stopSignal asks the worker to finish what it does and stop.
var stopSignal os.Signal = syscall.SIGTERM

// ownGroup keeps the terminal's Ctrl-C from the worker: the demo itself tells it to stop, after the chat has.
func ownGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr)
}
