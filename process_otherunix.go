//go:build unix && !linux

package main

import "syscall"

// dieWithParent has nothing to do here: only Linux can tie a child to its parent. A worker that is left alone waits for the next demo.
func dieWithParent(*syscall.SysProcAttr) {}
