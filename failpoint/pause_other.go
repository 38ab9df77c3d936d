//go:build !unix

package failpoint

// pause holds what came here for ever; the rest of the process goes on, since nothing here can stop it.
func pause() { select {} }
