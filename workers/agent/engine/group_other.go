//go:build !unix

package engine

import "os/exec"

func ownGroup(*exec.Cmd) {}

// killGroup ends a started program. Its children, which Apertium's programs do not have, see the end of their input.
func killGroup(c *exec.Cmd) { _ = c.Process.Kill() }
