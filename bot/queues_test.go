package bot_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"potluck/bot"
	"potluck/faketime"
)

func TestQueuesKeepTheOrderOfAChatAndHoldUpNoOther(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		q := bot.NewQueues[string](bot.QueueLimits{PerChat: 3, Total: 5}, slog.New(slog.NewTextHandler(&log, nil)))
		var mu sync.Mutex
		var done []string
		held := make(chan struct{})
		task := func(name string, before func()) func(context.Context) {
			return func(context.Context) {
				before()
				mu.Lock()
				defer mu.Unlock()
				done = append(done, name)
			}
		}
		nothing := func() {}
		q.Add("a", task("a1", func() { <-held })) // before Run, too
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- q.Run(ctx) }()
		faketime.Wait()
		q.Add("a", task("a2", func() { panic("a text that somebody wrote") }))
		q.Add("a", task("a3", nothing))
		q.Add("b", task("b1", nothing))
		faketime.Wait()
		if !slices.Equal(done, []string{"b1"}) {
			t.Fatalf("done: %v", done)
		}
		if q.Full("a") {
			t.Error("two of three wait, and it is full")
		}
		q.Add("a", task("a4", nothing))
		if !q.Full("a") || q.Full("b") {
			t.Error("three of three wait in a, none in b")
		}
		for i := range 2 {
			q.Add(fmt.Sprint("c", i), task("c", func() { <-held }))
			q.Add(fmt.Sprint("c", i), task("c", nothing))
		}
		faketime.Wait()
		if !q.Full("b") {
			t.Error("five of five wait, and there is room")
		}
		close(held)
		faketime.Wait()
		if mine := slices.DeleteFunc(slices.Clone(done), func(s string) bool { return s[0] != 'a' }); !slices.Equal(mine, []string{"a1", "a3", "a4"}) {
			t.Errorf("done: %v", done)
		}
		if s := log.String(); !strings.Contains(s, "panic") || strings.Contains(s, "somebody wrote") {
			t.Errorf("log: %s", s)
		}

		hold := make(chan struct{})
		q.Add("a", task("a5", func() { <-hold }))
		q.Add("a", task("given up", nothing))
		faketime.Wait()
		cancel()
		faketime.Wait()
		select {
		case <-ended:
			t.Error("Run did not wait for what was at work")
		default:
		}
		close(hold)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		q.Add("a", task("too late", nothing))
		faketime.Wait()
		if last := done[len(done)-1]; last != "a5" {
			t.Errorf("done after the end: %v", last)
		}
	})
}
