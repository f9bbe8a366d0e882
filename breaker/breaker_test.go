package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestContextDoneBeforehand(t *testing.T) {
	errWhy := errors.New("shutting down")
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		before := b.Stats()
		ctx, cancel := context.WithCancelCause(bg)
		cancel(errWhy)
		err := b.Do(ctx, func(context.Context) error { t.Error("fn was called"); return nil })
		if !errors.Is(err, context.Canceled) || !errors.Is(err, errWhy) || errors.Is(err, breaker.ErrOpen) {
			t.Errorf("error %v, want one matching ctx.Err() and its cause", err)
		}
		if want := "breaker: dep: context canceled: shutting down"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		if d := cmp.Diff(before, b.Stats()); d != "" {
			t.Errorf("something was counted: %s", d)
		}
	})
}

func TestClockJumps(t *testing.T) {
	cfg := steady()
	cfg.OpenFor, cfg.MaxOpenFor, cfg.ProbeTimeout = 10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond
	cfg.Probes = 1
	cfg.SlowCall = time.Hour
	prepare := map[string]func(b *breaker.Breaker){
		"closed":    func(b *breaker.Breaker) { repeat(3, fail, b) },
		"open":      func(b *breaker.Breaker) { b.Trip(0, nil) },
		"half-open": func(b *breaker.Breaker) { b.Trip(1, nil); time.Sleep(time.Nanosecond); b.Allow(bg) },
		"recovering": func(b *breaker.Breaker) {
			b.Trip(1, nil)
			time.Sleep(time.Millisecond)
			repeat(5, succeed, b) // refused
			time.Sleep(10 * time.Millisecond)
			succeed(b)
		},
		"forced closed": func(b *breaker.Breaker) { b.ForceClosed() },
	}
	// A healthy dependency and time close it again, whatever the clock did.
	heals := func(t *testing.T, b *breaker.Breaker) {
		for range 200 {
			succeed(b)
			if s := b.State(); s == breaker.StateClosed || s == breaker.StateForcedClosed {
				if n := b.Stats().WindowFailures; n != 0 {
					t.Errorf("%d failures in the window after a jump, want a fresh one", n)
				}
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Errorf("wedged: %+v", b.Stats())
	}
	for name, prepare := range prepare {
		t.Run(name+" into a bubble and back", func(t *testing.T) {
			b := breaker.New(cfg)
			prepare(b)
			bubble(t, func() { heals(t, b); prepare(b) })
			heals(t, b)
		})
		t.Run(name+" out of a bubble", func(t *testing.T) {
			var b *breaker.Breaker
			bubble(t, func() { b = breaker.New(cfg); prepare(b) })
			heals(t, b)
			prepare(b)
			bubble(t, func() { heals(t, b) })
		})
	}
}

func TestForced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []string
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) {
			events = append(events, fmt.Sprint(e.Kind, ": ", e.From, " to ", e.To, ", ", e.Reason))
		}
		b := breaker.New(cfg)
		b.ForceOpen()
		time.Sleep(time.Hour)
		if r := checkRefused(t, b); r.RetryAfter() != 0 || r.State != breaker.StateForcedOpen {
			t.Errorf("refused by %v for %v, want forced open for an unknown time", r.State, r.RetryAfter())
		}
		b.Trip(time.Hour, nil) // no effect
		checkState(t, b, breaker.StateForcedOpen)
		b.ForceClosed()
		b.ForceClosed()
		b.Trip(time.Hour, nil) // no effect
		repeat(100, fail, b)
		checkState(t, b, breaker.StateForcedClosed)
		if got := b.Stats().WindowFailures; got != 100 {
			t.Errorf("%d failures counted, want 100", got)
		}
		time.Sleep(10 * time.Second)
		repeat(3, succeed, b)
		repeat(4, fail, b) // a second episode
		c := mustAllow(t, b)
		b.Reset()
		c.Done(errDown)
		checkState(t, b, breaker.StateClosed)
		if s := b.Stats(); s.WindowCalls != 0 || s.Late != 1 {
			t.Errorf("stats %+v after Reset, want an empty window and one late call", s)
		}
		want := []string{
			"transition: closed to forced open, forced",
			"transition: forced open to forced closed, forced",
			"shadow: closed to open, failure ratio",
			"shadow: open to closed, window recovered",
			"shadow: closed to open, failure ratio",
			"shadow: open to closed, reset",
			"transition: forced closed to closed, reset",
		}
		checkEqual(t, events, want)
	})
}

func TestTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		b.Trip(10*time.Second, errDown)
		b.Trip(time.Second, errDown)
		if got := b.Stats().RetryAfter; got != 10*time.Second {
			t.Errorf("open for %v after a shorter Trip, want 10s", got)
		}
		time.Sleep(5 * time.Second)
		b.Trip(10*time.Second, errDown)
		if got := checkRefused(t, b).RetryAfter(); got != 10*time.Second {
			t.Errorf("open for %v after a longer Trip, want 10s", got)
		}
		time.Sleep(10 * time.Second)
		probe := mustAllow(t, b)
		b.Trip(time.Second, errDown)
		probe.Done(nil)
		if s := b.Stats(); s.State != breaker.StateOpen || s.Probes != 0 || s.Late != 1 {
			t.Errorf("stats %+v, want open and the probe discarded", s)
		}
		time.Sleep(time.Second)
		b.Trip(time.Second, errDown) // half-open for observers only, as no call has come
		checkState(t, b, breaker.StateOpen)
	})
}
