package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"log/slog"
	"testing"
	"time"

	"potluck/community"
	"potluck/storage"
	"potluck/workers/protocol"
)

// A picture of the operator's own machine came covered once that machine had left, or the bot had started anew, and was said to be of one that is not trusted.
func TestMachineThatLeftIsStillTrusted(t *testing.T) {
	c := defaultConfig()
	c.DataDir, c.HTTP.Addr = t.TempDir(), "127.0.0.1:0"
	h, err := build(t.Context(), c, slog.New(slog.DiscardHandler), false)
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	owner, err := h.makeOperator(t.Context(), "page:operator", "Operator")
	if err != nil {
		t.Fatal(err)
	}
	key, _, _ := ed25519.GenerateKey(nil)
	jobs, code := &storage.Jobs{DB: h.db}, sha256.Sum256([]byte(protocol.NewCode()))
	if err := jobs.SaveJoinCode(t.Context(), code, owner.ID, "attic", true, time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := jobs.Enrol(t.Context(), code, key, protocol.Hardware{}, 3, time.Now()); err != nil {
		t.Fatal(err)
	}
	all, err := h.pool.Workers(t.Context(), 0)
	if err != nil || len(all) != 1 || !all[0].Operator {
		t.Fatalf("%+v %v", all, err)
	}
	chat := community.Chat{ID: "page:lobby", Community: "page:potluck"}
	if !h.trustedWorker(all[0].ID, chat) {
		t.Error("the operator's machine, away, is not trusted")
	}
	if h.trustedWorker(all[0].ID+1, chat) {
		t.Error("a machine that is not linked is trusted")
	}
}
