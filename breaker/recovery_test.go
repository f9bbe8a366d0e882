package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

// A probe that does not report gives its place to another, and the breaker
// closes as soon as calls succeed.
func TestLostProbeGivesItsPlaceAway(t *testing.T) {
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
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateClosed)
		checkEqual(t, reasons, []string{"tripped", "open period over", "probes succeeded"})
	})
}

// A probe that ends late is evidence all the same.
func TestLateProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		late, later, latest := mustAllow(t, b), mustAllow(t, b), b
		time.Sleep(time.Minute)
		late.Done(nil)
		checkState(t, latest, breaker.StateHalfOpen)
		later.Done(nil)
		checkState(t, b, breaker.StateClosed)

		b = halfOpen(t, steady())
		late, later = mustAllow(t, b), mustAllow(t, b)
		time.Sleep(time.Minute)
		succeed(b)
		late.Done(errDown) // others have succeeded since
		checkState(t, b, breaker.StateHalfOpen)
		later.Report(breaker.OutcomeIgnored)
		succeed(b)
		checkState(t, b, breaker.StateClosed)

		b = halfOpen(t, steady())
		late = mustAllow(t, b)
		time.Sleep(time.Minute)
		late.Done(errDown)
		checkState(t, b, breaker.StateOpen)
	})
}

// A breaker whose dependency takes longer than anything else in the
// configuration closes as soon as the first calls have succeeded.
func TestSlowDependencyCloses(t *testing.T) {
	for _, takes := range []time.Duration{20 * time.Millisecond, 5 * time.Second, 25 * time.Second, 31 * time.Second, 45 * time.Second, 5 * time.Minute} {
		for _, usual := range []time.Duration{0, 20 * time.Millisecond, takes} {
			t.Run(fmt.Sprint(takes, ", usually ", usual), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := breaker.New(breaker.Config{})
					ctx, cancel := context.WithCancel(bg)
					defer cancel()
					answer := func(d time.Duration) { b.Do(ctx, func(context.Context) error { time.Sleep(d); return nil }) }
					if usual > 0 {
						for range 60 {
							go answer(usual)
							time.Sleep(time.Second)
						}
						time.Sleep(usual)
					}
					repeat(20, fail, b)
					b.Trip(0, nil)
					time.Sleep(6 * time.Second)
					before, begun := b.Stats().Rejected, time.Now()
					for time.Since(begun) < 2*time.Hour {
						go answer(takes)
						time.Sleep(2 * time.Second)
					}
					checkState(t, b, breaker.StateClosed)
					s := b.Stats()
					if lost, most := s.Rejected-before, uint64(takes/(2*time.Second))+10; lost > most {
						t.Errorf("%d calls of 3600 refused, want at most %d", lost, most)
					}
					if s.Openings != 1 {
						t.Errorf("%d openings, want 1", s.Openings)
					}
					time.Sleep(takes)
				})
			})
		}
	}
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
		checkState(t, b, breaker.StateRecovering)
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

// The length of open periods grows with the outage, which short spells of
// success do not end.
func TestBackoffSurvivesFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		begun := time.Now()
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
		for time.Since(begun) < 10*time.Minute {
			want := min(8*time.Second, max(time.Second, time.Since(begun)/40))
			got := open()
			if got != want {
				t.Fatalf("an opening after %v lasts %v, want %v", time.Since(begun), got, want)
			}
			recovered(got)
			time.Sleep(got - 1) // a nanosecond too little to be forgotten
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

// A backend serves calls one after another, each in a time of its own. While it
// is down, calls hang until their callers give up after a second.
type backend struct {
	mu    sync.Mutex
	down  bool
	takes time.Duration
	free  time.Time // when it will have served the calls so far
}

var errGivenUp = errors.New("given up")

func (s *backend) set(down bool, takes time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.takes = down, takes
}

func (s *backend) call(context.Context) error {
	wait, ok := s.queue()
	time.Sleep(wait)
	if !ok {
		return errGivenUp
	}
	return nil
}

func (s *backend) queue() (wait time.Duration, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); s.free.Before(now) {
		s.free = now
	}
	if !s.down {
		s.free = s.free.Add(s.takes)
	}
	wait = time.Until(s.free)
	if s.down || wait > time.Second {
		return time.Second, false
	}
	return wait, true
}

// drive makes a call each interval for d. It returns the numbers of calls that
// succeeded, failed and were refused.
func drive(b *breaker.Breaker, s *backend, interval, d time.Duration) (ok, failed, refused int) {
	results := make(chan error, int(d/interval)+1)
	for range cap(results) - 1 {
		go func() { results <- b.Do(bg, s.call) }()
		time.Sleep(interval)
	}
	time.Sleep(2 * time.Second)
	synctest.Wait()
	for range len(results) {
		switch err := <-results; {
		case err == nil:
			ok++
		case errors.Is(err, breaker.ErrOpen):
			refused++
		default:
			failed++
		}
	}
	return ok, failed, refused
}

// A service that comes back slowly gets as many calls as it can serve.
func TestRecoveryFollowsCapacity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Jitter: -1})
		s := &backend{takes: time.Millisecond}
		drive(b, s, 10*time.Millisecond, 20*time.Second)
		s.set(true, 0)
		drive(b, s, 10*time.Millisecond, 20*time.Second)
		s.set(false, 50*time.Millisecond) // 20 calls a second, of the 100 that are wanted
		ok, failed, _ := drive(b, s, 10*time.Millisecond, 60*time.Second)
		if ok < 1000 || failed > 100 {
			t.Errorf("%d calls succeeded and %d failed in 60 s, want at least 1000 and at most 100", ok, failed)
		}
		checkState(t, b, breaker.StateRecovering)
		s.set(false, time.Millisecond)
		if ok, _, refused := drive(b, s, 10*time.Millisecond, 20*time.Second); refused > 20 {
			t.Errorf("%d calls succeeded and %d were refused by a service that is well, want at most 20", ok, refused)
		}
		checkState(t, b, breaker.StateClosed)
	})
}

// A service that fails while the breaker recovers opens it again after five
// failures, however many calls are wanted.
func TestRecoveryReopens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Jitter: -1})
		s := &backend{takes: time.Millisecond}
		drive(b, s, 100*time.Millisecond, 20*time.Second)
		s.set(true, 0)
		drive(b, s, 100*time.Millisecond, 20*time.Second)
		s.set(false, time.Millisecond)
		for b.State() != breaker.StateRecovering {
			b.Do(bg, s.call)
			time.Sleep(100 * time.Millisecond)
		}
		s.set(true, 0)
		before := b.Stats()
		for b.State() == breaker.StateRecovering {
			go b.Do(bg, s.call)
			time.Sleep(100 * time.Millisecond)
		}
		if n := b.Stats().Failures - before.Failures; n > 5 {
			t.Errorf("%d calls failed before the breaker opened again, want at most 5", n)
		}
		time.Sleep(time.Second)
	})
}

// Without refused calls there is no demand to hold back.
func TestRecoveryIsSkippedAtLowTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateClosed)
		b.Trip(time.Second, nil)
		repeat(5, succeed, b) // refused
		time.Sleep(time.Second)
		repeat(2, succeed, b)
		checkState(t, b, breaker.StateRecovering)
		time.Sleep(2 * time.Second)
		checkState(t, b, breaker.StateClosed)
	})
}

// A call admitted while recovering still counts when the breaker has closed.
func TestRecoveryEndsInPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var last breaker.Event
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) { last = e }
		b := breaker.New(cfg)
		b.Trip(time.Second, errDown)
		repeat(5, succeed, b) // refused
		time.Sleep(time.Second)
		repeat(2, succeed, b)
		c := mustAllow(t, b)
		time.Sleep(2 * time.Second)
		checkState(t, b, breaker.StateClosed)
		c.Done(errDown)
		if last.From != breaker.StateRecovering || last.To != breaker.StateClosed || b.Stats().WindowFailures != 1 {
			t.Errorf("last event %v to %v, %d failures; want recovering to closed, 1", last.From, last.To, b.Stats().WindowFailures)
		}
	})
}

// The end of an outage is noticed within 5 s or a 20th of its length.
func TestNoticesTheEndOfAnOutage(t *testing.T) {
	for _, outage := range []time.Duration{20 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute} {
		t.Run(outage.String(), func(t *testing.T) {
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					b := breaker.New(breaker.Config{})
					for end := time.Now().Add(outage); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
						fail(b)
					}
					end := time.Now()
					for succeed(b) != nil {
						time.Sleep(100 * time.Millisecond)
					}
					if got := time.Since(end); got > max(5*time.Second, outage/20) {
						t.Errorf("noticed after %v", got)
					}
				})
			}
		})
	}
}

// A few calls that take long do not hold a recovery back.
func TestRecoveryBearsOutliers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Jitter: -1})
		ctx := patient(t)
		var n atomic.Int64
		answer := func() {
			d := 20 * time.Millisecond
			if n.Add(1)%20 == 0 {
				d = 500 * time.Millisecond
			}
			b.Do(ctx, func(context.Context) error { time.Sleep(d); return nil })
		}
		for range 1000 {
			go answer()
			time.Sleep(10 * time.Millisecond)
		}
		b.Trip(0, nil)
		for range 1000 {
			go answer()
			time.Sleep(10 * time.Millisecond)
		}
		checkState(t, b, breaker.StateRecovering)
		before := b.Stats().Rejected
		for range 1000 {
			go answer()
			time.Sleep(10 * time.Millisecond)
		}
		checkState(t, b, breaker.StateClosed)
		if refused := b.Stats().Rejected - before; refused > 10 {
			t.Errorf("%d of 1000 calls refused 6 s after the recovery began", refused)
		}
		time.Sleep(time.Second)
	})
}
