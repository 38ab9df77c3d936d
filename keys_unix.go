//go:build unix

package main

// keepsModes tells whether file modes protect a key here.
const keepsModes = true
