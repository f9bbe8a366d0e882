package breaker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
)

var (
	errDown = errors.New("down")
	bg      = context.Background()
)

// steady is a configuration without chance: four calls decide, and openings
// last exactly 1 s, 2 s, 4 s, 8 s.
func steady() breaker.Config {
	return breaker.Config{
		Name: "dep", Window: 10 * time.Second, MinCalls: 4, Consecutive: -1,
		OpenFor: time.Second, MaxOpenFor: 8 * time.Second, Jitter: -1, Probes: 2, ProbeTimeout: 3 * time.Second,
	}
}

func succeed(b *breaker.Breaker) error {
	return b.Do(bg, func(context.Context) error { return nil })
}

func fail(b *breaker.Breaker) error {
	return b.Do(bg, func(context.Context) error { return errDown })
}

func repeat(n int, f func(*breaker.Breaker) error, b *breaker.Breaker) {
	for range n {
		f(b)
	}
}

// checkEqual compares values by cmp.Diff.
func checkEqual[T any](t *testing.T, got, want T) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got differs from want (-want +got):\n%s", d)
	}
}

func checkState(t *testing.T, b *breaker.Breaker, want breaker.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state %v, want %v", got, want)
	}
}

func checkRefused(t *testing.T, b *breaker.Breaker) *breaker.OpenError {
	t.Helper()
	ran := false
	err := b.Do(bg, func(context.Context) error { ran = true; return nil })
	var refusal *breaker.OpenError
	if ran || !errors.As(err, &refusal) || !errors.Is(err, breaker.ErrOpen) || !refusal.Rejected() {
		t.Fatalf("ran %v, error %v; want a refusal", ran, err)
	}
	return refusal
}

// mustAllow is for calls whose end is not their beginning.
func mustAllow(t *testing.T, b *breaker.Breaker) *breaker.Call {
	t.Helper()
	c, err := b.Allow(bg)
	if err != nil {
		t.Fatalf("Allow: %v", err)
	}
	return c
}

// halfOpen returns a breaker that is open and whose next call is a probe.
func halfOpen(t *testing.T, cfg breaker.Config) *breaker.Breaker {
	t.Helper()
	b := breaker.New(cfg)
	b.Trip(time.Second, errDown)
	time.Sleep(time.Second)
	checkState(t, b, breaker.StateHalfOpen)
	return b
}

func randomCommand(b *breaker.Breaker) {
	switch rand.IntN(6) {
	case 0:
		b.Reset()
	case 1:
		b.Trip(time.Microsecond, errDown)
	case 2:
		b.ForceOpen()
	case 3:
		b.ForceClosed()
	case 4:
		succeed(b)
	case 5:
		fail(b)
	}
}

// bubble runs f in a synctest bubble, whose clock is decades away from the real
// one. Nothing a breaker keeps may tie it to the bubble.
func bubble(t *testing.T, f func()) { synctest.Test(t, func(*testing.T) { f() }) }
