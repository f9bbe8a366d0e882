package ratelimit_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestDo(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerHour(4))
	calls, boom := 0, errors.New("boom")
	double := ratelimit.Wrap(ratelimit.Reject(lim), func(context.Context) (int, error) { calls++; return 2 * calls, boom })
	if got, err := double(t.Context()); got != 2 || err != boom {
		t.Errorf("got %d, %v, want the results of the function, 2 and boom", got, err)
	}
	if err := lim.Do(t.Context(), func(context.Context) error { calls++; return boom }); err != boom {
		t.Errorf("Limiter.Do = %v, want boom", err)
	}
	done, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := double(done); !errors.Is(err, context.Canceled) {
		t.Errorf("with a done context: %v, want context.Canceled", err)
	}
	if err := lim.Do(done, func(context.Context) error { calls++; return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("with a done context: %v, want context.Canceled", err)
	}
	if calls != 2 || lim.Peek().Remaining != 2 {
		t.Errorf("%d calls, %d remaining, want 2 and 2", calls, lim.Peek().Remaining)
	}
	lim.AllowN(2)
	got, err := double(t.Context())
	var limited *ratelimit.LimitedError
	if !errors.As(err, &limited) || got != 0 || limited.RetryAfter() <= 0 || calls != 2 {
		t.Errorf("got %d, %v after %d calls, want 0, a LimitedError and 2", got, err, calls)
	}
}

func TestDoPassesPanicAndGoexitOn(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerHour(3))
	func() {
		defer func() {
			if got := recover(); got != "boom" {
				t.Errorf("recovered %v, want boom", got)
			}
		}()
		_ = lim.Do(t.Context(), func(context.Context) error { panic("boom") })
	}()
	var wg sync.WaitGroup
	wg.Go(func() {
		_, _ = ratelimit.Do(t.Context(), lim, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil })
	})
	wg.Wait()
	if !lim.Allow() || lim.Allow() {
		t.Error("want exactly one event left after a panic and a Goexit")
	}
}
