package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestCancelledWaitersLeaveNoGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1000).WithBurst(1))
		lim.Allow()
		start := time.Now()
		doomed, cancel := context.WithCancel(t.Context())
		var served, cancelled atomic.Int64
		var last atomic.Int64
		for i := range 1000 {
			ctx := doomed
			if i%10 == 9 {
				ctx = t.Context()
			}
			go func() {
				if lim.Wait(ctx) != nil {
					cancelled.Add(1)
					return
				}
				served.Add(1)
				last.Store(int64(time.Since(start)))
			}()
			synctest.Wait() // the queue is in the order of i
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		cancel()
		time.Sleep(time.Second)
		synctest.Wait()
		// 20 events came back before the cancel, for 18 doomed callers and 2
		// survivors; 98 survivors were left.
		if s, c := served.Load(), cancelled.Load(); s != 118 || c != 882 {
			t.Errorf("served %d and cancelled %d, want 118 and 882", s, c)
		}
		if got, want := time.Duration(last.Load()), 118*time.Millisecond; got != want {
			t.Errorf("last survivor after %v, want %v", got, want)
		}
		if callers, events := lim.Waiting(); callers != 0 || events != 0 {
			t.Errorf("%d callers, %d events still queued", callers, events)
		}
	})
}

func TestCancelAtTheInstantOfTheTurn(t *testing.T) {
	for _, limits := range [][]ratelimit.Limit{
		{ratelimit.PerSecond(10).WithBurst(1)},
		{ratelimit.PerSecond(10).WithBurst(1), ratelimit.PerHour(100_000)},
	} {
		synctest.Test(t, func(t *testing.T) {
			lim := ratelimit.New(limits...)
			lim.Allow()
			start := time.Now()
			var served atomic.Int64
			for i := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Duration(i+1)*50*time.Millisecond, cancel) // every other one on the dot
				go func() {
					if lim.Wait(ctx) == nil {
						served.Add(1)
						if time.Since(start)%(100*time.Millisecond) != 0 {
							t.Errorf("served at %v, want a multiple of 100 ms", time.Since(start))
						}
					}
				}()
				synctest.Wait()
			}
			time.Sleep(time.Minute)
			// No caller waits, and no event was lost or admitted twice: an
			// event is left, and an event comes back per 100 ms.
			if callers, events := lim.Waiting(); callers != 0 || events != 0 {
				t.Errorf("%d callers, %d events still queued", callers, events)
			}
			if got := served.Load(); got < 99 || got > 100 { // at each tie a caller is served, except perhaps at the last
				t.Errorf("served %d, want 99 or 100", got)
			}
			if !lim.Allow() || lim.Allow() {
				t.Error("want exactly one event left")
			}
		})
	}
}

func TestDoneContextTakesNothing(t *testing.T) {
	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	lim := ratelimit.New(ratelimit.PerHour(5))
	for range 100 {
		if err := lim.Wait(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, why) || errors.Is(err, ratelimit.ErrLimited) {
			t.Fatalf("Wait = %v, want context.Canceled and its cause", err)
		}
	}
	if err := ratelimit.Reject(lim).Wait(ctx); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("Reject: Wait = %v, want context.Canceled and its cause", err)
	}
	if got := lim.Peek().Remaining; got != 5 {
		t.Errorf("remaining %d, want all 5", got)
	}
}

func TestDeadlineTooNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1))
		lim.Allow()
		start := time.Now()
		for _, d := range []time.Duration{time.Millisecond, time.Second} { // at the instant of the turn is too late as well
			ctx, cancel := context.WithTimeout(t.Context(), d)
			var limited *ratelimit.LimitedError
			err := lim.Wait(ctx)
			if !errors.Is(err, ratelimit.ErrLimited) || !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &limited) {
				t.Fatalf("deadline in %v: Wait = %v, want ErrLimited and context.DeadlineExceeded", d, err)
			}
			if got := limited.RetryAfter(); got != time.Second || !limited.Late {
				t.Errorf("retry after %v, late %v, want 1s and true", got, limited.Late)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second+1)
		defer cancel()
		if err := lim.Wait(ctx); err != nil || time.Since(start) != time.Second {
			t.Errorf("deadline just after the turn: Wait = %v after %v, want nil after 1s", err, time.Since(start))
		}
	})
}

// line starts a caller of lim.WaitN for each n, in this order, and returns the
// list of their indexes and instants as they are served.
func line(t *testing.T, lim *ratelimit.Limiter, contexts []context.Context, ns ...int64) func() []turn {
	t.Helper()
	var mu sync.Mutex
	var served []turn
	start := time.Now()
	for i, n := range ns {
		go func() {
			if lim.WaitN(contexts[i%len(contexts)], n) == nil {
				mu.Lock()
				defer mu.Unlock()
				served = append(served, turn{i, time.Since(start)})
			}
		}()
		synctest.Wait()
	}
	return func() []turn {
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		return served
	}
}

type turn struct {
	Caller int
	At     time.Duration
}

func TestFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(5))
		lim.AllowN(5)
		served := line(t, lim, []context.Context{t.Context()}, 5, 1, 2, 1)
		for range 9 { // events that come back belong to the waiting callers
			time.Sleep(time.Second - 1)
			d := lim.Take(1)
			if lim.Allow() || d.OK || d.Remaining != 0 || lim.Peek().OK {
				t.Fatalf("someone got past the queue: %+v", d)
			}
			if !lim.AllowN(0) {
				t.Error("no events were refused")
			}
			time.Sleep(time.Nanosecond)
			synctest.Wait()
		}
		want := []turn{{0, 5 * time.Second}, {1, 6 * time.Second}, {2, 8 * time.Second}, {3, 9 * time.Second}}
		checkEqual(t, served(), want)
		if time.Sleep(time.Second); !lim.Allow() {
			t.Error("refused when the queue was empty again")
		}
	})
}

func TestFrontCancelWakesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(10), ratelimit.PerHour(1000))
		lim.AllowN(10)
		ctx, cancel := context.WithCancel(t.Context())
		served := line(t, lim, []context.Context{ctx, t.Context()}, 10, 2, 10, 3)
		time.Sleep(4 * time.Second)
		cancel() // the first and the third: 4 tokens are there for the second, 2 + 1 s are for the fourth
		time.Sleep(time.Minute)
		checkEqual(t, served(), []turn{{1, 4 * time.Second}, {3, 5 * time.Second}})
	})
}

func TestResetRearms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerHour(2))
		lim.AllowN(2)
		served := line(t, lim, []context.Context{t.Context()}, 1, 1, 1)
		time.Sleep(time.Minute)
		lim.Reset()
		time.Sleep(time.Hour)
		want := []turn{{0, time.Minute}, {1, time.Minute}, {2, 31 * time.Minute}}
		checkEqual(t, served(), want)
	})
}

func TestRetryAfterCountsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(3))
		lim.AllowN(3)
		served := line(t, lim, []context.Context{t.Context()}, 3, 1, 2)
		d := lim.Take(2)
		time.Sleep(d.RetryAfter)
		if got := served(); len(got) != 3 || got[2].At != 2*time.Second {
			t.Errorf("served %v, want three, the last after 2 s", got)
		}
		if want := 8*time.Second/3 + 1; d.RetryAfter != want || !lim.AllowN(2) {
			t.Errorf("retry after %v, want %v and then admittance", d.RetryAfter, want)
		}
	})
}

func TestSlowWakeUpsDoNotSlowTheQueue(t *testing.T) {
	// In real time, because a bubble has no slow wake-ups. Every wake-up is
	// late by some µs. Only a wake-up that is late by a whole turn may cost an
	// event, and then the test tries again.
	for range 10 {
		lim := ratelimit.New(ratelimit.Every(20 * time.Millisecond))
		lim.Allow()
		before := lim.Word()
		for range 3 {
			if err := lim.Wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if got := lim.Word() - before; got == 3<<lim.Frac() {
			return
		}
	}
	t.Error("three turns took more than three events")
}

// badContext panics in Deadline or in Done.
type badContext struct {
	context.Context
	deadline, done bool
}

func (c badContext) Deadline() (time.Time, bool) {
	if c.deadline {
		panic("Deadline")
	}
	return time.Time{}, false
}

func (c badContext) Done() <-chan struct{} {
	if c.done {
		panic("Done")
	}
	return nil
}

func TestPanickingContextLeavesNoWaiter(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerHour(1))
	lim.Allow()
	for _, ctx := range []badContext{{t.Context(), true, false}, {t.Context(), false, true}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic of the context did not arrive")
				}
			}()
			_ = lim.Wait(ctx)
		}()
	}
	if callers, _ := lim.Waiting(); callers != 0 {
		t.Errorf("%d callers still queued", callers)
	}
	if lim.Reset(); !lim.Allow() {
		t.Error("refused after Reset")
	}
}

func TestSetRearmsTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerHour(5))
		lim.AllowN(5)
		served := line(t, lim, []context.Context{t.Context()}, 2, 1)
		var err error
		go func() { err = lim.WaitN(t.Context(), 4) }()
		synctest.Wait()
		_ = setLimits(lim, ratelimit.PerSecond(3)) // 4 are too many now
		time.Sleep(time.Minute)
		want := []turn{{0, 2*time.Second/3 + 1}, {1, time.Second}}
		checkEqual(t, served(), want)
		if !errors.Is(err, ratelimit.ErrTooLarge) {
			t.Errorf("WaitN(4) = %v, want ErrTooLarge", err)
		}
		lim.AllowN(3)
		go func() { err = lim.Wait(t.Context()) }()
		synctest.Wait()
		_ = setLimits(lim, ratelimit.PerSecond(1).WithBurst(ratelimit.NoBurst))
		synctest.Wait()
		checkIs(t, err, ratelimit.ErrLimited)
	})
}

func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim, start := ratelimit.New(ratelimit.PerSecond(10).WithBurst(3)), time.Now()
		if err := lim.Pace(t.Context(), 43); err != nil || time.Since(start) != 4*time.Second {
			t.Errorf("Pace(43) = %v after %v, want nil after 4s", err, time.Since(start))
		}
		if err := lim.Pace(t.Context(), 0); err != nil {
			t.Errorf("Pace(0) = %v", err)
		}
		for _, lim := range []*ratelimit.Limiter{lim, new(ratelimit.Limiter), ratelimit.New(ratelimit.PerSecond(1).WithBurst(ratelimit.NoBurst))} {
			if err := lim.Pace(t.Context(), -1); !errors.Is(err, ratelimit.ErrLimited) {
				t.Errorf("Pace(-1) = %v, want ErrLimited", err)
			}
		}
		if err := ratelimit.New(ratelimit.PerSecond(1).WithBurst(ratelimit.NoBurst)).Pace(t.Context(), 5); !errors.Is(err, ratelimit.ErrTooLarge) {
			t.Errorf("Pace without burst = %v, want ErrTooLarge", err)
		}
		if err := ratelimit.New(ratelimit.Inf()).Pace(t.Context(), math.MaxInt64); err != nil {
			t.Errorf("Pace of Inf = %v", err)
		}
	})
}
