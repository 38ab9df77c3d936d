package bot_test

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"potluck/bot"
	"potluck/faketime"
)

func TestWait(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		reason := errors.New("the house closes")
		ctx, end := context.WithCancelCause(t.Context())
		begun := time.Now()
		if err := bot.Wait(ctx, time.Minute); err != nil || time.Since(begun) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		for _, d := range []time.Duration{0, -time.Hour} {
			if err := bot.Wait(ctx, d); err != nil || time.Since(begun) != time.Minute {
				t.Errorf("a wait of %v: %v after %v", d, err, time.Since(begun))
			}
		}
		time.AfterFunc(time.Second, func() { end(reason) })
		if err := bot.Wait(ctx, time.Hour); err != reason || time.Since(begun) != time.Minute+time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		for _, d := range []time.Duration{0, time.Hour} {
			if err := bot.Wait(ctx, d); err != reason {
				t.Errorf("when ctx is over a wait of %v gives %v", d, err)
			}
		}
	})
}

func TestToldOnceInAWhile(t *testing.T) {
	faketime.Test(t, func(t *testing.T) {
		var told bot.Told
		if !told.Due("a", time.Hour) || told.Due("a", time.Hour) || !told.Due("b", time.Hour) {
			t.Error("each is due once")
		}
		<-time.After(59 * time.Minute)
		if told.Due("a", time.Hour) {
			t.Error("due before its time")
		}
		// Asking puts nothing off: what is refused all the time is told every hour.
		<-time.After(time.Minute)
		if !told.Due("a", time.Hour) || told.Due("a", time.Hour) {
			t.Error("due again after an hour, once")
		}
		for i := range 25_000 {
			if !told.Due("another "+strconv.Itoa(i), time.Hour) {
				t.Fatalf("the %dth key was not due", i)
			}
		}
		if !told.Due("a", time.Hour) {
			t.Error("it remembers more than it promises")
		}
	})
}
