package breaker_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestHooksMayCallBack(t *testing.T) {
	var b *breaker.Breaker
	var path []string
	cfg := steady()
	cfg.OnEvent = func(ctx context.Context, e breaker.Event) {
		path = append(path, fmt.Sprint(e.From, " to ", e.To))
		b.State()
		b.Stats()
		succeed(b)
		switch len(path) {
		case 1:
			b.Reset()
		case 2:
			b.ForceOpen()
		case 3:
			b.ForceClosed()
		case 4:
			b.Reset()
		}
	}
	b = breaker.New(cfg)
	repeat(4, fail, b)
	want := []string{
		"closed to open", "open to closed", "closed to forced open",
		"forced open to forced closed", "forced closed to closed",
	}
	checkEqual(t, path, want)
}

// TestHookOrder changes the state from many goroutines at once. The oracle is
// the path itself: each event begins where the one before ended, and no two
// hooks overlap.
func TestHookOrder(t *testing.T) {
	var inside atomic.Int64
	var calm atomic.Bool
	var events, broken int
	at := breaker.StateClosed
	cfg := steady()
	cfg.OpenFor = time.Microsecond
	cfg.OnEvent = func(_ context.Context, e breaker.Event) {
		if inside.Add(1) != 1 {
			broken++
		}
		if e.Kind == breaker.KindTransition {
			if e.From != at && e.Dropped == 0 {
				broken++
			}
			at = e.To
		}
		events++
		inside.Add(-1)
		switch {
		case calm.Load():
		case events%7 == 0:
			panic("hook")
		case events%11 == 0:
			runtime.Goexit()
		}
	}
	b := breaker.New(cfg)
	var wg sync.WaitGroup
	for range 400 {
		wg.Go(func() {
			defer func() { recover() }()
			for range 20 {
				randomCommand(b)
			}
		})
	}
	wg.Wait()
	calm.Store(true)
	for range 3 {
		b.Reset() // delivers events that were left behind
	}
	if broken != 0 || events < 100 || at != b.State() && b.State() != breaker.StateHalfOpen {
		t.Errorf("%d of %d events out of order; the last led to %v and the state is %v", broken, events, at, b.State())
	}
}

func TestNobodyWaitsForAHook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.OnEvent = func(context.Context, breaker.Event) { time.Sleep(time.Hour) }
		b := breaker.New(cfg)
		go b.ForceOpen()
		synctest.Wait()
		start := time.Now()
		b.ForceClosed()
		b.Reset()
		succeed(b)
		if d := time.Since(start); d != 0 {
			t.Errorf("waited %v for the hook of another goroutine", d)
		}
		time.Sleep(4 * time.Hour)
	})
}

func TestHookThatPanics(t *testing.T) {
	var got []breaker.State
	cfg := steady()
	var b *breaker.Breaker
	cfg.OnEvent = func(_ context.Context, e breaker.Event) {
		got = append(got, e.To)
		if len(got) == 1 {
			b.Reset() // queues a second event behind this one
			panic("hook")
		}
	}
	b = breaker.New(cfg)
	func() {
		defer func() {
			if v := recover(); v != "hook" {
				t.Errorf("recovered %v, want the hook's panic", v)
			}
		}()
		b.ForceOpen()
	}()
	b.ForceClosed()
	checkEqual(t, got, []breaker.State{breaker.StateForcedOpen, breaker.StateClosed, breaker.StateForcedClosed})
}

// A shadow ends with the first success that makes the window good again, not
// with the tenth.
func TestShadowEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []breaker.State
		cfg := steady()
		cfg.OpenFor = time.Nanosecond
		cfg.OnEvent = func(_ context.Context, e breaker.Event) {
			if e.Kind == breaker.KindShadow {
				events = append(events, e.To)
			}
		}
		b := breaker.New(cfg)
		b.ForceClosed()
		repeat(4, succeed, b)
		repeat(4, fail, b)
		time.Sleep(time.Nanosecond)
		checkEqual(t, events, []breaker.State{breaker.StateOpen})
		succeed(b)
		checkEqual(t, events, []breaker.State{breaker.StateOpen, breaker.StateClosed})
	})
}

func TestLogValues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { got = append(got, e.LogValue().String()) }
		b := breaker.New(cfg)
		b.Trip(time.Second, errDown)
		got = append(got, checkRefused(t, b).LogValue().String())
		want := []string{
			"[kind=transition name=dep from=closed to=open reason=tripped calls=0 failures=0 open_for=1s error=down]",
			"[name=dep state=open retry_after=1s reason=tripped cause=down]",
		}
		checkEqual(t, got, want)
	})
}
