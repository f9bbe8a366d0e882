package breaker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// ready starts Ready and returns a function that reports whether it has
// returned.
func ready(ctx context.Context, b *breaker.Breaker) func() bool {
	done := make(chan struct{})
	go func() {
		b.Ready(ctx)
		close(done)
	}()
	return func() bool {
		synctest.Wait()
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
}

func TestReady(t *testing.T) {
	tests := map[string]struct {
		begin func(t *testing.T, b *breaker.Breaker)
		end   func(b *breaker.Breaker) // nil if the breaker is ready from the start
	}{
		"closed":        {begin: func(*testing.T, *breaker.Breaker) {}},
		"forced closed": {begin: func(_ *testing.T, b *breaker.Breaker) { b.ForceClosed() }},
		"half-open":     {begin: func(_ *testing.T, b *breaker.Breaker) { b.Trip(time.Second, nil); time.Sleep(time.Second) }},
		"open": {
			begin: func(_ *testing.T, b *breaker.Breaker) { b.Trip(time.Hour, nil) },
			end:   func(*breaker.Breaker) { time.Sleep(time.Hour) },
		},
		"open, then reset": {
			begin: func(_ *testing.T, b *breaker.Breaker) { b.Trip(time.Hour, nil) },
			end:   func(b *breaker.Breaker) { b.Reset() },
		},
		"open for longer": {
			begin: func(_ *testing.T, b *breaker.Breaker) { b.Trip(time.Minute, nil); b.Trip(time.Hour, nil) },
			end:   func(*breaker.Breaker) { time.Sleep(time.Hour) },
		},
		"forced open": {
			begin: func(_ *testing.T, b *breaker.Breaker) { b.ForceOpen() },
			end:   func(b *breaker.Breaker) { b.ForceClosed() },
		},
		"probes taken, one lost": {
			begin: func(t *testing.T, b *breaker.Breaker) {
				b.Trip(time.Second, nil)
				time.Sleep(time.Second)
				mustAllow(t, b)
				mustAllow(t, b)
			},
			end: func(*breaker.Breaker) { time.Sleep(3*time.Second + time.Millisecond) },
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(steady())
				tt.begin(t, b)
				before := b.Stats()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				done := ready(ctx, b)
				if got, want := done(), tt.end == nil; got != want {
					t.Fatalf("ready at first: %v, want %v", got, want)
				}
				if s := b.Stats(); s.Rejected != before.Rejected || s.Probes != before.Probes {
					t.Errorf("stats %+v, before %+v; want no call", s, before)
				}
				if tt.end == nil {
					return
				}
				time.Sleep(time.Second)
				if done() {
					t.Fatal("ready too early")
				}
				tt.end(b)
				if !done() {
					t.Fatalf("not ready: %+v", b.Stats())
				}
				mustAllow(t, b)
			})
		})
	}
}

// TestReadyAfterAProbe shows that the end of a probe wakes those that wait.
func TestReadyAfterAProbe(t *testing.T) {
	for _, end := range []func(*breaker.Call){
		func(c *breaker.Call) { c.Report(breaker.OutcomeIgnored) },
		func(c *breaker.Call) { c.Done(nil) },
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := steady()
			cfg.Probes = 1
			b := halfOpen(t, cfg)
			c := mustAllow(t, b)
			done := ready(t.Context(), b)
			if done() {
				t.Fatal("ready beside the only probe")
			}
			end(c)
			if !done() {
				t.Fatal("not ready after the probe")
			}
		})
	}
}

func TestReadyEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		b.ForceOpen()
		why := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() { done <- b.Ready(ctx) }()
		synctest.Wait()
		cancel(why)
		if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, why) || err.Error() != "breaker: dep: context canceled: shutting down" {
			t.Errorf("error %v, want the error and the cause of the context", err)
		}
		var none *breaker.Breaker
		if err := none.Ready(t.Context()); err != nil {
			t.Errorf("nil breaker: %v", err)
		}
		if err := none.Ready(ctx); !errors.Is(err, why) {
			t.Errorf("nil breaker: %v, want the cause", err)
		}
	})
}

// TestReadyPredicts compares Ready with Allow in random states. The oracle is
// Allow: it admits exactly when Ready returns at once.
func TestReadyPredicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		rnd := rand.New(rand.NewPCG(seed, 0))
		cfg := steady()
		cfg.Consecutive = 3
		b := breaker.New(cfg)
		var running []*breaker.Call
		counts := map[breaker.State][2]int{}
		for i := range 20000 {
			s := b.State()
			is := 0
			ctx, cancel := context.WithCancel(t.Context())
			done := ready(ctx, b)
			if done() {
				is = 1
			}
			cancel()
			c, err := b.Allow(t.Context())
			if (err == nil) != (is == 1) {
				t.Fatalf("seed %d, step %d, state %v: Ready %d, Allow %v: %+v", seed, i, s, is, err, b.Stats())
			}
			n := counts[s]
			n[is]++
			counts[s] = n
			if err == nil {
				running = append(running, c)
			}
			for len(running) > 0 && rnd.IntN(2) == 0 {
				k := rnd.IntN(len(running))
				running[k].Report([]breaker.Outcome{breaker.OutcomeSuccess, breaker.OutcomeSuccess, breaker.OutcomeSuccess, breaker.OutcomeFailure, breaker.OutcomeIgnored}[rnd.IntN(5)])
				running = append(running[:k], running[k+1:]...)
			}
			time.Sleep(time.Duration(rnd.IntN(400)) * time.Millisecond)
		}
		for _, s := range []breaker.State{breaker.StateHalfOpen, breaker.StateRecovering} {
			if n := counts[s]; n[0] < 10 || n[1] < 10 {
				t.Errorf("state %v was ready %d times and not %d times, want both", s, n[1], n[0])
			}
		}
	})
}

// TestReadyWaitsAsLongAsAllow shows that Ready returns as soon as Allow would
// admit a call: it polls beside it and may be ahead by a millisecond at most.
func TestReadyWaitsAsLongAsAllow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.MinCalls = 20
		one, other := breaker.New(cfg), breaker.New(cfg)
		for _, b := range []*breaker.Breaker{one, other} {
			b.Trip(time.Second, nil)
			for range 50 {
				checkRefused(t, b)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		for _, b := range []*breaker.Breaker{one, other} {
			first, second := mustAllow(t, b), mustAllow(t, b)
			first.Done(nil)
			second.Done(nil)
			checkState(t, b, breaker.StateRecovering)
			for {
				if _, err := b.Allow(t.Context()); err != nil {
					break
				}
			}
		}
		start := time.Now()
		one.Ready(t.Context())
		got := time.Since(start)
		want := got
		for n := 0; ; n++ {
			if _, err := other.Allow(t.Context()); err == nil {
				want = time.Since(start)
				break
			}
			time.Sleep(10 * time.Millisecond)
			if n > 100000 {
				t.Fatal("never admitted")
			}
		}
		if got > want+20*time.Millisecond {
			t.Errorf("Ready took %v, Allow admits after %v", got, want)
		}
	})
}

// TestManyWaiters shows that waiting costs little and leaves nothing behind.
func TestManyWaiters(t *testing.T) {
	const n = 10000
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		b.Trip(time.Hour, nil)
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() {
				if err := b.Ready(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		for range 1000 {
			checkRefused(t, b) // wakes nothing
		}
		before := runtime.NumGoroutine()
		if before < n {
			t.Errorf("%d goroutines, want one for each that waits", before)
		}
		b.Reset()
		wg.Wait()
	})
}

// Ready notices a configuration that makes it wait for less.
func TestReadyAfterSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.ProbeTimeout = time.Hour
		b := halfOpen(t, cfg)
		repeat(2, func(b *breaker.Breaker) error { mustAllow(t, b); return nil }, b)
		returned := ready(bg, b)
		b.Set(steady())
		time.Sleep(3 * time.Second)
		if !returned() {
			t.Error("Ready waits for the old ProbeTimeout")
		}
		b.Reset()
	})
}
