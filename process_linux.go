package main

import "syscall"

// dieWithParent ends the worker when the demo is killed: nobody would be left to stop it.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
