//go:build unix

package engine

import (
	"os/exec"
	"syscall"
)

// ownGroup gives a program its own process group, so that an interrupt on the terminal is not theirs and children can be ended with it.
func ownGroup(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// killGroup ends a started program and whatever it has started.
func killGroup(c *exec.Cmd) { _ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
