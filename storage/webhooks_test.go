package storage_test

import (
	"bytes"
	"os"
	"testing"

	"potluck/storage"
	"potluck/storage/storagetest"
)

func TestWebhookTokensAreSealed(t *testing.T) {
	db := storagetest.Open(t)
	w := &storage.Webhooks{DB: db}
	ctx := t.Context()
	if _, _, ok, err := w.Webhook(ctx, "discord:1"); ok || err != nil {
		t.Fatalf("%t %v", ok, err)
	}
	for _, token := range []string{"first-token-of-a-webhook", "second-token-of-a-webhook"} {
		if err := w.SaveWebhook(ctx, "discord:1", "77", token); err != nil {
			t.Fatal(err)
		}
		if id, got, ok, err := w.Webhook(ctx, "discord:1"); id != "77" || got != token || !ok || err != nil {
			t.Errorf("%q %q %t %v", id, got, ok, err)
		}
	}
	for _, name := range []string{db.Path(), db.Path() + "-wal"} {
		b, err := os.ReadFile(name)
		if err == nil && bytes.Contains(b, []byte("token-of-a-webhook")) {
			t.Errorf("%s holds a token as it is", name)
		}
	}
	if err := w.DropWebhook(ctx, "discord:1"); err != nil {
		t.Fatal(err)
	}
	if _, _, ok, err := w.Webhook(ctx, "discord:1"); ok || err != nil {
		t.Errorf("%t %v", ok, err)
	}
}
