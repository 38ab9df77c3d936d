// Package commands is everything people can do in a chat: one file per command, and the reply texts per language.
package commands
