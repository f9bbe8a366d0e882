package breaker_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestGoexitInProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		done := make(chan bool)
		go func() {
			defer close(done)
			b.Do(bg, func(context.Context) error { runtime.Goexit(); return nil })
		}()
		<-done
		checkState(t, b, breaker.StateOpen)
		if s := b.Stats(); s.Probes != 0 || s.Failures != 1 {
			t.Fatalf("stats %+v, want no probe running and one failure", s)
		}
		time.Sleep(24 * time.Hour)
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateClosed)
	})
}

func TestLostProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []string
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { reasons = append(reasons, e.Reason) }
		b := halfOpen(t, cfg)
		mustAllow(t, b)
		mustAllow(t, b) // neither is ever reported
		checkRefused(t, b)
		time.Sleep(3*time.Second - 1)
		checkRefused(t, b)
		time.Sleep(time.Nanosecond)
		if r := checkRefused(t, b); r.State != breaker.StateOpen || r.RetryAfter() != 2*time.Second {
			t.Fatalf("refused by %v for %v, want open for 2s", r.State, r.RetryAfter())
		}
		time.Sleep(2 * time.Second)
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateClosed)
		want := []string{"tripped", "open period over", "probe timeout", "open period over", "probes succeeded"}
		if d := cmp.Diff(want, reasons); d != "" {
			t.Fatal(d)
		}
	})
}

// A lost probe that nobody noticed at once opened the breaker when its time was up, not when it was noticed.
func TestLostProbeNoticedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		c := mustAllow(t, b)
		time.Sleep(time.Minute)
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateClosed)
		c.Done(errDown)
		if s := b.Stats(); s.Late != 1 || s.Openings != 2 {
			t.Fatalf("totals %+v, want 1 late and 2 openings", s)
		}
	})
}

func TestDoneTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		c := mustAllow(t, b)
		c.Done(nil)
		c.Done(nil)
		c.Report(breaker.OutcomeFailure)
		checkState(t, b, breaker.StateHalfOpen)
		succeed(b)
		checkState(t, b, breaker.StateClosed)
		if s := b.Stats(); s.Successes != 2 || s.Failures != 0 {
			t.Fatalf("totals %+v, want 2 successes", s)
		}
	})
}

func TestPanicIsFailureAndPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		func() {
			defer func() {
				if v := recover(); v != "boom" {
					t.Errorf("recovered %v, want boom", v)
				}
			}()
			b.Do(bg, func(context.Context) error { panic("boom") })
		}()
		checkState(t, b, breaker.StateOpen)
		if s := b.Stats(); s.Probes != 0 || s.Failures != 1 {
			t.Fatalf("stats %+v, want no probe running and one failure", s)
		}
	})
}

func TestPanicInClassify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.Classify = func(error) breaker.Outcome { panic("boom") }
		b := halfOpen(t, cfg)
		func() {
			defer func() { recover() }()
			fail(b)
		}()
		checkState(t, b, breaker.StateOpen)
	})
}

func TestResultOfEarlierStateIsInert(t *testing.T) {
	outcomes := []breaker.Outcome{breaker.OutcomeSuccess, breaker.OutcomeFailure, breaker.OutcomeIgnored}
	for _, o := range outcomes {
		t.Run(o.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(steady())
				var old []*breaker.Call
				for range 5 {
					old = append(old, mustAllow(t, b))
				}
				repeat(4, fail, b)
				checkState(t, b, breaker.StateOpen)
				left := b.Stats().RetryAfter
				old[0].Report(o)
				if got := b.Stats().RetryAfter; got != left {
					t.Errorf("open for %v after a late result, want %v", got, left)
				}
				time.Sleep(left)
				p1, p2 := mustAllow(t, b), mustAllow(t, b)
				old[1].Report(o) // neither a permit given back nor a probe's outcome
				old[2].Report(o)
				checkState(t, b, breaker.StateHalfOpen)
				checkRefused(t, b)
				p1.Done(nil)
				p2.Done(nil)
				checkState(t, b, breaker.StateClosed)
				old[3].Report(o)
				old[4].Report(o)
				if s := b.Stats(); s.WindowCalls != 0 || s.Late != 5 {
					t.Errorf("%d calls in the window and %d late, want 0 and 5", s.WindowCalls, s.Late)
				}
			})
		})
	}
}

func TestExactlyProbesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.Probes = 3
		b := halfOpen(t, cfg)
		var ran atomic.Int64
		var wg sync.WaitGroup
		for range 1000 {
			wg.Go(func() {
				b.Do(bg, func(context.Context) error { ran.Add(1); time.Sleep(time.Second); return errDown })
			})
		}
		wg.Wait()
		if ran.Load() != 3 {
			t.Fatalf("%d probes ran, want 3", ran.Load())
		}
	})
}

func TestIgnoredProbeGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		mustAllow(t, b).Done(nil)
		for range 10 {
			c := mustAllow(t, b)
			checkRefused(t, b) // one success and one probe running fill both places
			c.Report(breaker.OutcomeIgnored)
			checkState(t, b, breaker.StateHalfOpen)
		}
		mustAllow(t, b).Done(nil)
		checkState(t, b, breaker.StateClosed)
	})
}

func TestHalfOpenWithoutACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		events := 0
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { events++ }
		b := breaker.New(cfg)
		repeat(4, fail, b)
		refusal := checkRefused(t, b)
		time.Sleep(time.Second - 1)
		if b.State() != breaker.StateOpen || refusal.RetryAfter() != 1 {
			t.Fatalf("%v with %v left, want open with 1ns left", b.State(), refusal.RetryAfter())
		}
		time.Sleep(time.Nanosecond)
		s := b.Stats()
		if b.State() != breaker.StateHalfOpen || refusal.RetryAfter() != 0 || s.RetryAfter != 0 || s.State != breaker.StateHalfOpen {
			t.Fatalf("%v with %v left, want half-open with nothing left", b.State(), refusal.RetryAfter())
		}
		if events != 1 {
			t.Fatalf("%d events before the first call, want 1", events)
		}
		mustAllow(t, b)
		mustAllow(t, b)
		if events != 2 {
			t.Fatalf("%d events after the first calls, want 2", events)
		}
	})
}

func TestBackoffSurvivesFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		open := func() time.Duration {
			repeat(4, fail, b)
			checkState(t, b, breaker.StateOpen)
			return b.Stats().RetryAfter
		}
		recovered := func(d time.Duration) {
			time.Sleep(d)
			repeat(2, succeed, b)
			checkState(t, b, breaker.StateClosed)
		}
		for i, want := range []time.Duration{1, 2, 4, 8, 8} {
			got := open()
			if got != want*time.Second {
				t.Fatalf("opening %d lasts %v, want %v", i+1, got, want*time.Second)
			}
			recovered(got)
			time.Sleep(got - 1) // one nanosecond too little to be forgotten
		}
		recovered(open())
		time.Sleep(8 * time.Second)
		if got := open(); got != time.Second {
			t.Errorf("opening after a long closed spell lasts %v, want 1s", got)
		}
	})
}

func TestUpstreamRetryAfter(t *testing.T) {
	for _, tt := range []struct{ asked, want time.Duration }{
		{time.Millisecond, time.Second}, {5 * time.Second, 5 * time.Second}, {time.Hour, 8 * time.Second}, {-1, time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(steady())
			repeat(3, fail, b)
			b.Do(bg, func(context.Context) error { return fmt.Errorf("upstream: %w", waitError(tt.asked)) })
			if got := b.Stats().RetryAfter; got != tt.want {
				t.Errorf("asked for %v: open for %v, want %v", tt.asked, got, tt.want)
			}
		})
	}
}

type waitError time.Duration

func (e waitError) Error() string { return "unavailable" }

func (e waitError) RetryAfter() time.Duration { return time.Duration(e) }

func TestHugeOpenPeriods(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.OpenFor, cfg.MaxOpenFor, cfg.Jitter = math.MaxInt64/3, math.MaxInt64, 1
		b := breaker.New(cfg)
		for range 5 {
			b.Trip(0, nil)
			if got := b.Stats().RetryAfter; got < math.MaxInt64/3 {
				t.Fatalf("open for %v, want at least %v", got, time.Duration(math.MaxInt64/3))
			}
			b.ForceOpen()
			b.Reset()
		}
		time.Sleep(time.Hour)
		b.Trip(math.MaxInt64, nil)
		checkRefused(t, b)
	})
}

func TestJitterOnlyLengthens(t *testing.T) {
	cfg := steady()
	cfg.OpenFor, cfg.Jitter = time.Hour, 0.5
	cfg.MaxOpenFor = time.Hour
	lowest, highest := time.Duration(math.MaxInt64), time.Duration(0)
	for range 1000 {
		b := breaker.New(cfg)
		b.Trip(0, nil)
		d := b.Stats().RetryAfter
		lowest, highest = min(lowest, d), max(highest, d)
	}
	if lowest < 59*time.Minute || lowest > 62*time.Minute || highest < 88*time.Minute || highest > 90*time.Minute {
		t.Errorf("openings of %v to %v, want 1h to 1h30m", lowest, highest)
	}
}

func TestSlowProbeFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall = time.Second
		b := halfOpen(t, cfg)
		v, err := breaker.Do(bg, b, func(context.Context) (int, error) { time.Sleep(time.Second); return 7, nil })
		if v != 7 || err != nil {
			t.Errorf("%v, %v; want the caller to get its value", v, err)
		}
		checkState(t, b, breaker.StateOpen)
	})
}

func TestRampUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp = 20 * time.Second
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateRecovering)
		var admitted []int // per second
		for range 20 {
			n := 0
			for range 100 {
				if succeed(b) == nil {
					n++
				}
				time.Sleep(10 * time.Millisecond)
			}
			admitted = append(admitted, n)
		}
		if !slices.IsSorted(admitted) || admitted[0] > 7 || admitted[10] < 50 || admitted[10] > 55 || admitted[19] < 95 {
			t.Errorf("admitted %v of 100 calls per second, want a rise from 5 to 100", admitted)
		}
		checkState(t, b, breaker.StateClosed)
	})
}

func TestRampUpReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp, cfg.MinCalls = time.Minute, 100
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		for range 80 { // at a share of 5 %, five calls are admitted, and are enough
			fail(b)
		}
		checkState(t, b, breaker.StateOpen)
		if got := b.Stats().Backoff; got != 2 {
			t.Errorf("%d openings remembered, want 2", got)
		}
	})
}

// However small the share, two failures are not enough.
func TestRampUpNeedsThree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.RampUp = time.Hour
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		for i := range 3 {
			checkState(t, b, breaker.StateRecovering)
			if b.Stats().WindowFailures != i {
				t.Fatalf("%d failures, want %d", b.Stats().WindowFailures, i)
			}
			for fail(b) != errDown {
			}
		}
		checkState(t, b, breaker.StateOpen)
	})
}

// A call admitted while recovering still counts when the ramp is over.
func TestRampUpEndsInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last breaker.Event
		cfg := steady()
		cfg.RampUp = time.Second
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { last = e }
		b := halfOpen(t, cfg)
		repeat(2, succeed, b)
		c := mustAllow(t, b)
		time.Sleep(time.Second)
		checkState(t, b, breaker.StateClosed)
		c.Done(errDown)
		if last.From != breaker.StateRecovering || last.To != breaker.StateClosed || b.Stats().WindowFailures != 1 {
			t.Errorf("last event %v to %v, %d failures; want recovering to closed, 1", last.From, last.To, b.Stats().WindowFailures)
		}
	})
}
