package breaker_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestHangLongerThanWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				b.Do(bg, func(context.Context) error { time.Sleep(30 * time.Second); return errDown })
			})
		}
		wg.Wait()
		checkState(t, b, breaker.StateOpen)
	})
}

func TestRatioOfEndedCalls(t *testing.T) {
	b := breaker.New(breaker.Config{MinCalls: 20, Consecutive: -1})
	var calls []*breaker.Call
	for range 1000 {
		calls = append(calls, mustAllow(t, b))
	}
	for i, c := range calls {
		if want := breaker.StateClosed; i < 20 && b.State() != want {
			t.Fatalf("state %v after %d failures, want %v", b.State(), i, want)
		}
		c.Done(errDown)
		if i == 19 {
			checkState(t, b, breaker.StateOpen)
		}
	}
}

func TestJudgedOnEveryCompletion(t *testing.T) {
	cfg := steady()
	cfg.FailureRatio = 0.75
	b := breaker.New(cfg)
	repeat(3, fail, b)
	checkState(t, b, breaker.StateClosed)
	succeed(b) // F F F S
	checkState(t, b, breaker.StateOpen)
}

// The expiry of successes raises the ratio too; the next call, whatever its
// outcome, is judged by it.
func TestJudgedAfterExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		repeat(6, succeed, b)
		time.Sleep(time.Second)
		repeat(4, fail, b)
		checkState(t, b, breaker.StateClosed) // 4 of 10
		time.Sleep(9 * time.Second)
		succeed(b) // 4 of 5
		checkState(t, b, breaker.StateOpen)
	})
}

// A success that completes MinCalls without a lock, at the moment a failure is
// judged, is judged by one of the two.
func TestConcurrentSuccessIsJudged(t *testing.T) {
	cfg := steady()
	cfg.MinCalls, cfg.FailureRatio = 3, 0.3
	for round := range 20000 {
		b := breaker.New(cfg)
		succeed(b)
		var ready, done sync.WaitGroup
		ready.Add(2)
		for _, f := range []func(*breaker.Breaker) error{succeed, fail} {
			done.Go(func() {
				b.Do(bg, func(context.Context) error {
					ready.Done()
					ready.Wait()
					return f(nil) // through no breaker, for its error only
				})
			})
		}
		done.Wait()
		if b.State() != breaker.StateOpen {
			t.Fatalf("round %d: %v after one failure of three calls, want open", round, b.State())
		}
	}
}

func TestNoRounding(t *testing.T) {
	tests := []struct {
		ratio           float64
		minCalls        int
		successes, then int // so many successes, then so many failures
		want            breaker.State
	}{
		{0.5, 1000, 504, 496, breaker.StateClosed},
		{0.5, 1000, 500, 500, breaker.StateOpen},
		{0.1, 30, 27, 3, breaker.StateOpen},
		{0.7, 10, 3, 7, breaker.StateOpen},
		{0.7, 1000, 301, 699, breaker.StateClosed},
		{1, 3, 1, 2, breaker.StateClosed},
		{1, 1, 0, 1, breaker.StateOpen},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.ratio, tt.then), func(t *testing.T) {
			cfg := steady()
			cfg.FailureRatio, cfg.MinCalls = tt.ratio, tt.minCalls
			b := breaker.New(cfg)
			repeat(tt.successes, succeed, b)
			repeat(tt.then, fail, b)
			checkState(t, b, tt.want)
		})
	}
}

func TestWindowExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		succeed(b)
		time.Sleep(10*time.Second - 1)
		if got := b.Stats().WindowCalls; got != 1 {
			t.Errorf("%d calls in the window just before the end, want 1", got)
		}
		time.Sleep(time.Nanosecond)
		if got := b.Stats().WindowCalls; got != 0 {
			t.Errorf("%d calls in the window at its end, want 0", got)
		}
	})
	for _, gap := range []int{1, 9, 10, 11, 1e9} {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(steady())
			for range 3 {
				repeat(3, succeed, b)
				time.Sleep(time.Second)
			}
			time.Sleep(time.Duration(gap-1) * time.Second)
			want := 3 * max(0, min(3, 10-gap))
			if got := b.Stats().WindowCalls; got != want {
				t.Errorf("%d calls in the window after an idle gap of %d tenths, want %d", got, gap, want)
			}
		})
	}
}

func TestNoLostUpdates(t *testing.T) {
	const goroutines, each = 8, 5000
	cfg := breaker.Config{Window: 100 * time.Microsecond, FailureRatio: -1, Consecutive: -1}
	b := breaker.New(cfg)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				switch (g + i) % 4 {
				case 0:
					fail(b)
				case 1:
					b.Do(bg, func(context.Context) error { return breaker.Mark(errDown, breaker.OutcomeIgnored) })
				default:
					succeed(b)
				}
				if i%500 == 0 {
					b.Stats()
				}
			}
		})
	}
	wg.Wait()
	want := breaker.Stats{Successes: goroutines * each / 2, Failures: goroutines * each / 4, Ignored: goroutines * each / 4}
	s := b.Stats()
	got := breaker.Stats{Successes: s.Successes, Failures: s.Failures, Ignored: s.Ignored, Late: s.Late}
	checkEqual(t, got, want)
	time.Sleep(time.Millisecond)
	if got := b.Stats().WindowCalls; got != 0 {
		t.Errorf("%d calls in the window after its end, want 0", got)
	}
}

func TestConsecutive(t *testing.T) {
	cfg := steady()
	cfg.MinCalls, cfg.Consecutive = 20, 5
	ignore := func(b *breaker.Breaker) error {
		return b.Do(bg, func(context.Context) error { return breaker.Mark(errDown, breaker.OutcomeIgnored) })
	}
	t.Run("in a row", func(t *testing.T) {
		b := breaker.New(cfg)
		repeat(4, fail, b)
		succeed(b)
		repeat(4, fail, b)
		checkState(t, b, breaker.StateClosed)
		fail(b)
		checkState(t, b, breaker.StateOpen)
	})
	t.Run("ignored calls do not interrupt", func(t *testing.T) {
		b := breaker.New(cfg)
		repeat(4, fail, b)
		ignore(b)
		fail(b)
		checkState(t, b, breaker.StateOpen)
	})
	t.Run("not consulted at high traffic", func(t *testing.T) {
		b := breaker.New(cfg)
		repeat(100, succeed, b)
		repeat(50, fail, b)
		checkState(t, b, breaker.StateClosed)
	})
	t.Run("always consulted alone", func(t *testing.T) {
		cfg := cfg
		cfg.FailureRatio = -1
		b := breaker.New(cfg)
		repeat(100, succeed, b)
		repeat(5, fail, b)
		checkState(t, b, breaker.StateOpen)
	})
	t.Run("survives the window and MaxOpenFor", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := cfg
			cfg.MaxOpenFor = 5 * time.Second
			b := breaker.New(cfg)
			refused := 0
			for range 1000 { // a dead dependency at low traffic
				if fail(b) != errDown {
					refused++
				}
				time.Sleep(11 * time.Second)
			}
			if n := b.Stats().Openings; n < 900 {
				t.Errorf("%d openings in 1000 calls, want one for nearly all", n)
			}
		})
	})
	t.Run("at high traffic, too many for too long", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(cfg)
			repeat(1000, succeed, b)
			begun := time.Now()
			for b.State() == breaker.StateClosed {
				fail(b)
				time.Sleep(10 * time.Millisecond)
			}
			if got := time.Since(begun); got > 1100*time.Millisecond {
				t.Errorf("opened after %v of nothing but failures, want about a tenth of Window", got)
			}
		})
	})
}

func TestCountWindow(t *testing.T) {
	cfg := steady()
	cfg.WindowCalls, cfg.FailureRatio = 7, -1
	b := breaker.New(cfg)
	var calls []bool
	for i := range 1000 {
		failed := rand.IntN(3) == 0
		calls = append(calls, failed)
		if failed {
			fail(b)
		} else {
			succeed(b)
		}
		last := calls[max(0, i-6):]
		failures := 0
		for _, f := range last {
			if f {
				failures++
			}
		}
		if s := b.Stats(); s.WindowCalls != len(last) || s.WindowFailures != failures {
			t.Fatalf("%d failures of %d calls, want %d of %d", s.WindowFailures, s.WindowCalls, failures, len(last))
		}
	}
}

func TestCountWindowOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.WindowCalls = 4
		b := breaker.New(cfg)
		repeat(100, succeed, b)
		fail(b)
		time.Sleep(time.Hour) // age does not matter
		succeed(b)
		checkState(t, b, breaker.StateClosed)
		fail(b)
		checkState(t, b, breaker.StateOpen)
		time.Sleep(time.Second)
		repeat(2, succeed, b)
		if got := b.Stats().WindowCalls; got != 0 {
			t.Errorf("%d calls in the window of a new period, want 0", got)
		}
	})
}

func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall, cfg.SlowRatio = time.Second, 0.75
		b := breaker.New(cfg)
		slow := func(d time.Duration) {
			b.Do(bg, func(context.Context) error { time.Sleep(d); return nil })
		}
		slow(time.Second)
		slow(time.Second)
		slow(time.Second - 1)
		checkState(t, b, breaker.StateClosed)
		slow(time.Second)
		checkState(t, b, breaker.StateOpen)
	})
}

// Calls that hang open the breaker before any of them has returned.
func TestSlowCallsStillRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall = time.Second
		var opened []breaker.Event
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { opened = append(opened, e) }
		b := breaker.New(cfg)
		ctx, cancel := context.WithCancel(bg)
		start := time.Now()
		for b.State() == breaker.StateClosed && time.Since(start) < time.Minute {
			go b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			time.Sleep(100 * time.Millisecond)
		}
		if got := time.Since(start); got > 4*time.Second {
			t.Errorf("opened after %v, want at most SlowCall and two tenths of Window more", got)
		}
		synctest.Wait()
		if e := opened[0]; e.Reason != "hanging calls" || e.Stats.Overdue < 4 || e.Stats.WindowCalls != 0 {
			t.Errorf("opened by %q with %d overdue and %d ended, want hanging calls, at least 4 and none", e.Reason, e.Stats.Overdue, e.Stats.WindowCalls)
		}
		time.Sleep(time.Second)
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateClosed)
		if got := b.Stats().Overdue; got != 0 {
			t.Errorf("%d overdue calls in a new period, want 0", got)
		}
		cancel()
		synctest.Wait()
		checkState(t, b, breaker.StateClosed)
	})
}

// A call that is overdue for a while and then returns is counted once.
func TestOverdueEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall, cfg.SlowRatio = time.Second, -1
		b := breaker.New(cfg)
		var calls []*breaker.Call
		for range 3 {
			calls = append(calls, mustAllow(t, b))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		if s := b.Stats(); s.Overdue < 1 || s.WindowSlow != 0 {
			t.Errorf("%d overdue and %d slow, want some and 0", s.Overdue, s.WindowSlow)
		}
		for _, c := range calls {
			c.Done(nil)
		}
		if s := b.Stats(); s.Overdue != 0 || s.WindowSlow != 3 {
			t.Errorf("%d overdue and %d slow, want 0 and 3", s.Overdue, s.WindowSlow)
		}
	})
}

func TestCustomTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		var b *breaker.Breaker
		cfg.TripIf = func(s breaker.Stats) bool {
			b.State() // no lock is held
			return s.WindowFailures > 10
		}
		b = breaker.New(cfg)
		repeat(10, fail, b)
		checkState(t, b, breaker.StateClosed)
		fail(b)
		checkState(t, b, breaker.StateOpen)
		b.ForceClosed()
		repeat(11, fail, b)
		checkState(t, b, breaker.StateForcedClosed)
	})
}
