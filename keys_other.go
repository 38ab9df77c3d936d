//go:build !unix

package main

// keepsModes tells whether file modes protect a key here: Windows keeps a user's folder to that user by its access list.
const keepsModes = false
