package ratelimit_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// drain takes single events at t until one is refused, and returns how many it
// got; at most cap.
func drain(lim *ratelimit.Limiter, t time.Time, atMost int) int {
	for n := range atMost {
		if !lim.AllowAt(t, 1) {
			return n
		}
	}
	return atMost
}

func TestStaleNowAdmitsNoMore(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerSecond(10))
	now := lim.Epoch().Add(time.Minute)
	if got := drain(lim, now, 100); got != 10 {
		t.Fatalf("admitted %d at first, want the burst, 10", got)
	}
	for range 100 { // a caller that read its clock 5 s ago, and one that reads it now
		if lim.AllowAt(now.Add(-5*time.Second), 1) || lim.AllowAt(now, 1) {
			t.Fatal("a stale instant has moved the state back")
		}
	}
	if got := drain(lim, now.Add(time.Second), 100); got != 10 {
		t.Errorf("admitted %d after a second, want 10", got)
	}
}

func TestOldInstantsMintNothing(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerSecond(10))
	now, total := lim.Epoch().Add(time.Hour), 0
	for i := range 10_000 {
		total += drain(lim, now.Add(-time.Duration(i%3600)*time.Second), 1)
		total += drain(lim, now, 1)
	}
	// All instants are within one hour, the first at its end: 10 at once, and
	// no time after it.
	if total != 10 {
		t.Errorf("admitted %d, want 10", total)
	}
}

func TestEpochPerLimiter(t *testing.T) {
	outside := ratelimit.New(ratelimit.PerSecond(1))
	if !outside.Allow() {
		t.Error("refused outside the bubble")
	}
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1))
		for i := range 5 {
			if !lim.Allow() || lim.Allow() {
				t.Fatalf("second %d: want exactly one event", i)
			}
			time.Sleep(time.Second)
		}
	})
	before := ratelimit.New(ratelimit.PerSecond(2))
	old := before.Epoch().Add(-24 * time.Hour)
	for i := range 4 { // a replay of yesterday's events
		if got := drain(before, old.Add(time.Duration(i)*time.Second), 9); got != 2 {
			t.Errorf("second %d before New: admitted %d, want 2", i, got)
		}
	}
}

func TestRefillIsExact(t *testing.T) {
	tests := []struct {
		name  string
		limit ratelimit.Limit
	}{
		{"3 per second", ratelimit.PerSecond(3)},
		{"7 per 13 ms", ratelimit.Per(7, 13*time.Millisecond)},
		{"7e8 per second", ratelimit.PerSecond(7e8)},
		{"1e9-1 per second", ratelimit.PerSecond(1e9 - 1)},
		{"1e9 per second", ratelimit.PerSecond(1e9)},
		{"2e9 per second", ratelimit.PerSecond(2e9)},
		{"1e10+1 per second", ratelimit.PerSecond(1e10 + 1)},
		{"1000 per day", ratelimit.Per(1000, 24*time.Hour)},
		{"1 per 10 years", ratelimit.Every(10 * 365 * 24 * time.Hour)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, offset := range []time.Duration{0, 1, 2, 3, 1e9 + 7, 123456789123, 1e15 + 1, -1, -1e12 - 1} {
				lim, n, per := ratelimit.New(tt.limit), tt.limit.N, tt.limit.Per
				start := lim.Epoch().Add(offset)
				if !lim.AllowAt(start, n) {
					t.Fatalf("offset %d: full burst refused", offset)
				}
				early := start.Add(per - 2) // a unit is at most 2 ns, and nothing comes earlier than that
				if offset == 0 {
					early = start.Add(per - 1)
				}
				if lim.AllowAt(early, n) {
					t.Errorf("offset %d: %d events are back early", offset, n)
				}
				if !lim.AllowAt(start.Add(per), n) {
					t.Errorf("offset %d: %d events are not back after exactly %v", offset, n, per)
				}
			}
		})
	}
}

func TestErrorDoesNotAccumulate(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerSecond(3).WithBurst(2)) // an event comes back every 333 333 333.33 ns
	total := 0
	for ms := range 300_000 { // a burst of two: nothing is lost between the milliseconds
		total += drain(lim, lim.Epoch().Add(time.Duration(ms)*time.Millisecond), 9)
	}
	if want := 2 + 3*299_999/1000; total != want {
		t.Errorf("admitted %d in 299.999 s, want %d", total, want)
	}
	steady := ratelimit.New(ratelimit.PerSecond(3).WithBurst(3))
	for i := range 100_000 { // always exactly as much as has come back
		if at := steady.Epoch().Add(time.Duration(i) * time.Second); drain(steady, at, 9) != 3 {
			t.Fatalf("second %d: want exactly 3 events", i)
		}
	}
}

func TestOverflow(t *testing.T) {
	day := 24 * time.Hour
	for _, burst := range []int64{106_751, 106_752, 213_503, 300_000, math.MaxInt64} {
		lim := ratelimit.New(ratelimit.Per(1, day).WithBurst(burst))
		d := lim.Take(1)
		if want := min(burst, 1<<61) - 1; !d.OK || d.Remaining != want {
			t.Errorf("1/day burst %d: got OK %v, remaining %d, want OK and %d", burst, d.OK, d.Remaining, want)
		}
	}
	lim := ratelimit.New(ratelimit.PerSecond(1000))
	for _, n := range []int64{1 << 40, 1 << 62, math.MaxInt64} {
		if d := lim.Take(n); !refusedForever(d) {
			t.Errorf("Take(%d) of 1000: got %+v, want never", n, d)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(5))
		for range 7 { // ten years idle, seven times
			if got := drain(lim, time.Now(), 100); got != 5 {
				t.Fatalf("%v: admitted %d, want 5", time.Since(lim.Epoch()), got)
			}
			time.Sleep(10 * 365 * day)
		}
	})
	for _, at := range []time.Time{{}, time.Unix(1<<40, 0), time.Unix(-1<<40, 0)} {
		lim := ratelimit.New(ratelimit.PerSecond(5))
		if got := drain(lim, at, 100); got != 5 {
			t.Errorf("at %v: admitted %d, want 5", at, got)
		}
	}
}

func TestNotPositive(t *testing.T) {
	limiters := map[string]*ratelimit.Limiter{
		"one":      ratelimit.New(ratelimit.PerHour(5)),
		"two":      ratelimit.New(ratelimit.PerHour(5), ratelimit.PerHour(7)),
		"infinite": ratelimit.New(ratelimit.Inf()),
	}
	for name, lim := range limiters {
		t.Run(name, func(t *testing.T) {
			lim.AllowN(2)
			before := lim.Peek().Remaining
			if !lim.AllowN(0) || !lim.Take(0).OK || lim.WaitN(t.Context(), 0) != nil {
				t.Error("no events were refused")
			}
			for _, n := range []int64{-1, -1_000_000, math.MinInt64} {
				d := lim.Take(n)
				if lim.AllowN(n) || lim.AllowAt(time.Now(), n) || !refusedForever(d) {
					t.Errorf("%d events were allowed: %+v", n, d)
				}
				if err := lim.WaitN(t.Context(), n); !errors.Is(err, ratelimit.ErrLimited) || errors.Is(err, ratelimit.ErrTooLarge) {
					t.Errorf("WaitN(%d) = %v, want ErrLimited", n, err)
				}
			}
			if got := lim.Peek().Remaining; got != before {
				t.Errorf("remaining %d afterwards, want %d as before", got, before)
			}
		})
	}
}

func TestMoreThanTheBurst(t *testing.T) {
	for name, lim := range map[string]*ratelimit.Limiter{
		"one": ratelimit.New(ratelimit.PerHour(5)),
		"two": ratelimit.New(ratelimit.PerHour(5), ratelimit.PerHour(7)),
	} {
		t.Run(name, func(t *testing.T) {
			var limited *ratelimit.LimitedError
			err := lim.WaitN(t.Context(), 6)
			if !errors.Is(err, ratelimit.ErrTooLarge) || !errors.Is(err, ratelimit.ErrLimited) || !errors.As(err, &limited) {
				t.Fatalf("WaitN(6) = %v, want ErrTooLarge", err)
			}
			if limited.RetryAfter() != 0 || limited.Retryable() || !limited.Rejected() {
				t.Errorf("got retry after %v, retryable %v, want none and false", limited.RetryAfter(), limited.Retryable())
			}
			if d := lim.Take(6); !refusedForever(d) || d.Remaining != 5 {
				t.Errorf("Take(6) = %+v, want a refusal for ever with 5 remaining", d)
			}
			if !lim.AllowN(5) {
				t.Error("the burst is no longer there")
			}
		})
	}
}

func TestZerosAndInfinity(t *testing.T) {
	const never = -1 // as a time
	tests := []struct {
		name    string
		limits  []ratelimit.Limit
		admits  int // of 100 at once
		retry   time.Duration
		tooMuch bool
	}{
		{"no rate, burst 3", []ratelimit.Limit{ratelimit.PerSecond(0).WithBurst(3)}, 3, never, false},
		{"no burst", []ratelimit.Limit{ratelimit.PerSecond(5).WithBurst(ratelimit.NoBurst)}, 0, never, true},
		{"no rate, no burst", []ratelimit.Limit{ratelimit.PerSecond(0).WithBurst(ratelimit.NoBurst)}, 0, never, true},
		{"burst left out", []ratelimit.Limit{{N: 5, Per: time.Hour}}, 5, 12 * time.Minute, false},
		{"infinite", []ratelimit.Limit{ratelimit.Inf()}, 100, 0, false},
		{"infinite without burst", []ratelimit.Limit{ratelimit.Inf().WithBurst(ratelimit.NoBurst)}, 100, 0, false},
		{"infinite and finite", []ratelimit.Limit{ratelimit.Inf(), ratelimit.PerHour(2)}, 2, 30 * time.Minute, false},
		{"finite and nothing", []ratelimit.Limit{ratelimit.PerHour(2), ratelimit.PerHour(2).WithBurst(ratelimit.NoBurst)}, 0, never, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lim := ratelimit.New(tt.limits...)
				if got := drain(lim, time.Now(), 100); got != tt.admits {
					t.Errorf("admitted %d at once, want %d", got, tt.admits)
				}
				d := lim.Take(1)
				if d.RetryAfter != max(tt.retry, 0) || d.OK != (tt.retry == 0) || d.Retryable != (tt.retry > 0) {
					t.Errorf("got %+v, want retry after %v", d, tt.retry)
				}
				if tt.retry != never {
					return
				}
				time.Sleep(50 * 365 * 24 * time.Hour)
				if lim.Allow() {
					t.Error("admitted 50 years later")
				}
				if err := lim.Wait(t.Context()); errors.Is(err, ratelimit.ErrTooLarge) != tt.tooMuch || !errors.Is(err, ratelimit.ErrLimited) {
					t.Errorf("Wait = %v, want a refusal at once, too large: %v", err, tt.tooMuch)
				}
			})
		})
	}
	var zero ratelimit.Limiter
	if zero.Allow() || zero.Take(1).OK || zero.Wait(t.Context()) == nil || zero.Tokens() != 0 {
		t.Error("the zero Limiter has admitted something")
	}
	zero.Reset()
	if got := ratelimit.New(ratelimit.Inf()).Tokens(); !math.IsInf(got, 1) {
		t.Errorf("Tokens of Inf = %v, want +Inf", got)
	}
	if !ratelimit.New(ratelimit.Inf()).AllowN(math.MaxInt64) {
		t.Error("Inf has refused")
	}
}

func TestRefusalChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := ratelimit.New(ratelimit.PerSecond(1))
		two := ratelimit.New(ratelimit.PerSecond(1), ratelimit.PerMinute(30))
		one.Allow()
		two.Allow()
		time.Sleep(time.Second / 2)
		word := one.Word()
		for range 1000 {
			if one.Allow() || two.Allow() || one.Take(1).OK || two.Take(1).OK {
				t.Fatal("admitted too early")
			}
		}
		if got := one.Word(); got != word {
			t.Errorf("the state is %d after refusals, want %d as before", got, word)
		}
		time.Sleep(time.Second / 2)
		if !one.Allow() || !two.Allow() {
			t.Error("refusals have put off the next event")
		}
	})
}

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
			// Nobody waits any more, and nothing was lost or handed out twice:
			// one is left, and one comes per 100 ms.
			if callers, events := lim.Waiting(); callers != 0 || events != 0 {
				t.Errorf("%d callers, %d events still queued", callers, events)
			}
			if got := served.Load(); got < 99 || got > 100 { // whoever loses the tie, somebody is served; but for the last
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
		for range 9 { // what comes back belongs to those who wait
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

func TestRetryAfterIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limit := range []ratelimit.Limit{
			ratelimit.PerSecond(3), ratelimit.PerSecond(7), ratelimit.Per(7, 13*time.Millisecond).WithBurst(2),
			ratelimit.PerSecond(999_999_937), ratelimit.PerHour(11).WithBurst(1),
		} {
			lim := ratelimit.New(limit)
			for range 200 {
				d := lim.Take(1)
				if !d.OK {
					if time.Sleep(d.RetryAfter - 1); lim.Allow() {
						t.Fatalf("%v: admitted 1 ns before %v", limit, d.RetryAfter)
					}
					if time.Sleep(time.Nanosecond); !lim.Allow() {
						t.Fatalf("%v: refused after %v", limit, d.RetryAfter)
					}
				}
			}
		}
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
	// In real time, since a bubble has no slow wake-ups. Every wake-up is late
	// by some µs; only one that is late by a whole turn may cost anything, and
	// then another try is made.
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

func TestNothingIsSpentTwice(t *testing.T) {
	// Oracle: addition. What all callers got together is what there was.
	const burst = 1_000_000
	for name, limits := range map[string][]ratelimit.Limit{
		"one": {ratelimit.PerSecond(0).WithBurst(burst)},
		"two": {ratelimit.PerSecond(0).WithBurst(burst), ratelimit.PerSecond(0).WithBurst(burst + 1)},
	} {
		t.Run(name, func(t *testing.T) {
			lim := ratelimit.New(limits...)
			var total atomic.Int64
			var wg sync.WaitGroup
			start := make(chan struct{})
			for g := range 8 {
				wg.Go(func() {
					<-start
					var mine int64
					n := int64(1 + g%3)
					for ; lim.AllowN(n); mine += n {
						if mine%1000 == 0 {
							lim.Peek() // passes through the lock
						}
					}
					total.Add(mine)
				})
			}
			close(start)
			wg.Wait()
			if got := total.Load() + lim.Peek().Remaining; got != burst {
				t.Errorf("got %d, with what remains, of %d", got, burst)
			}
		})
	}
}

func TestDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second, hour := ratelimit.PerSecond(2), ratelimit.PerHour(3)
		lim := ratelimit.New(second, hour)
		steps := []struct {
			n    int64
			want ratelimit.Decision
		}{
			{1, ratelimit.Decision{OK: true, N: 1, Limit: second, Remaining: 1, ResetAfter: time.Second / 2}},
			{1, ratelimit.Decision{OK: true, N: 1, Limit: second, Remaining: 0, ResetAfter: time.Second}},
			{1, ratelimit.Decision{N: 1, Limit: second, Retryable: true, RetryAfter: time.Second / 2, ResetAfter: time.Second}},
			{2, ratelimit.Decision{N: 2, Limit: hour, Remaining: 1, Retryable: true, RetryAfter: 20 * time.Minute, ResetAfter: 40 * time.Minute}},
			{3, ratelimit.Decision{N: 3, Limit: second, ResetAfter: time.Second}},
			{0, ratelimit.Decision{OK: true, Limit: second, ResetAfter: time.Second}},
		}
		for _, step := range steps {
			checkEqual(t, lim.Take(step.n), step.want)
		}
		time.Sleep(time.Second)
		peek := ratelimit.Decision{OK: true, N: 1, Limit: hour, Remaining: 1, ResetAfter: 40*time.Minute - time.Second}
		for range 3 {
			checkEqual(t, lim.Peek(), peek)
		}
		if got, want := lim.Tokens(), 1+1.0/1200; math.Abs(got-want) > 1e-9 {
			t.Errorf("Tokens = %v, want %v", got, want)
		}
		lim.Reset()
		if got := lim.Tokens(); got != 2 {
			t.Errorf("Tokens after Reset = %v, want 2", got)
		}
	})
}

func TestStormAdmitsTheBoundAndNoMore(t *testing.T) {
	// Oracle: the definition. Over the time the storm took, at most burst +
	// rate × time; all verbs at once.
	for name, limits := range map[string][]ratelimit.Limit{
		"one": {ratelimit.PerSecond(20_000).WithBurst(100)},
		"two": {ratelimit.PerSecond(20_000).WithBurst(100), ratelimit.PerSecond(30_000).WithBurst(150)},
	} {
		t.Run(name, func(t *testing.T) {
			lim := ratelimit.New(limits...)
			ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
			defer cancel()
			var admitted atomic.Int64
			var wg sync.WaitGroup
			storm := func(try func() bool) {
				wg.Go(func() {
					for ctx.Err() == nil {
						if try() {
							admitted.Add(1)
						}
						lim.Peek()
					}
				})
			}
			start := time.Now()
			for range 3 {
				storm(lim.Allow)
				storm(func() bool { return lim.Take(1).OK })
				storm(func() bool { return lim.AllowAt(time.Now().Add(-time.Millisecond), 1) })
				storm(func() bool { return lim.Wait(ctx) == nil })
				storm(func() bool {
					ctx, cancel := context.WithTimeout(ctx, 100*time.Microsecond)
					defer cancel()
					return lim.Wait(ctx) == nil
				})
			}
			wg.Wait()
			bound := 100 + int64(time.Since(start).Seconds()*20_000) + 1
			if got := admitted.Load(); got > bound || got < 100 {
				t.Errorf("admitted %d, want 100 to %d", got, bound)
			}
			if callers, events := lim.Waiting(); callers != 0 || events != 0 {
				t.Errorf("%d callers, %d events still queued", callers, events)
			}
		})
	}
}

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

// badContext panics in one of its methods.
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

func TestAllocations(t *testing.T) {
	free, used := ratelimit.New(ratelimit.PerHour(math.MaxInt64/2)), ratelimit.New(ratelimit.PerHour(1))
	both := ratelimit.New(ratelimit.PerHour(1e9), ratelimit.PerHour(2e9))
	used.Allow()
	ctx := t.Context()
	for name, f := range map[string]func(){
		"Allow":          func() { free.Allow() },
		"Allow refused":  func() { used.Allow() },
		"Take":           func() { free.Take(1) },
		"Take refused":   func() { used.Take(1) },
		"Take of two":    func() { both.Take(1) },
		"Peek":           func() { used.Peek() },
		"Wait, no queue": func() { _ = free.Wait(ctx) },
		"Tokens":         func() { free.Tokens() },
	} {
		if got := testing.AllocsPerRun(1000, f); got != 0 {
			t.Errorf("%s: %v allocations, want 0", name, got)
		}
	}
	if got := unsafe.Sizeof(*free); got > 320 {
		t.Errorf("a Limiter has %d bytes, want at most 320", got)
	}
}
