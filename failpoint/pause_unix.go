//go:build unix

package failpoint

import (
	"os"
	"syscall"
)

// pause stops the whole process, connections open, until somebody continues or kills it.
func pause() { _ = syscall.Kill(os.Getpid(), syscall.SIGSTOP) }
