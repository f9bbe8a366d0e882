package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// drain takes single events at t until an event is refused, at most atMost, and
// returns their number.
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
	for range 100 { // a caller that read its clock 5 s ago, and a caller that reads it now
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

func TestNothingIsSpentTwice(t *testing.T) {
	// Oracle: addition. All callers together take the burst.
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

func TestSetKeepsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(10))
		set := func(limits ...ratelimit.Limit) {
			t.Helper()
			if err := setLimits(lim, limits...); err != nil {
				t.Error(err)
			}
		}
		lim.AllowN(8)
		time.Sleep(50 * time.Millisecond) // 2.5 tokens
		for _, limit := range []ratelimit.Limit{
			ratelimit.PerSecond(1000), ratelimit.PerHour(5), ratelimit.Per(7, 13*time.Millisecond), ratelimit.PerSecond(2e9), ratelimit.PerSecond(3),
		} {
			set(limit)
			want := 2.5
			if limit.N == 2e9 || limit.N == 3 {
				want = 2 // a unit of the fastest limit is an event, and half an event is lost
			}
			if got := lim.Tokens(); math.Abs(got-want) > 1e-6 {
				t.Errorf("%v: %v tokens, want %v", limit, got, want)
			}
		}
		set(ratelimit.PerSecond(1))
		if got := lim.Tokens(); got != 1 {
			t.Errorf("%v tokens in a burst of 1", got)
		}
		lim.Charge(4)
		set(ratelimit.PerSecond(100), ratelimit.PerHour(2)) // a debt of 3 stays, the second begins full
		if d := lim.Take(1); d.OK || d.RetryAfter != 40*time.Millisecond {
			t.Errorf("got %+v, want a retry after 40ms", d)
		}
		set(ratelimit.Inf())
		if !lim.AllowN(1 << 40) {
			t.Error("Inf has refused")
		}
		set(ratelimit.PerHour(2))
		if lim.AllowN(3) || !lim.AllowN(2) {
			t.Error("from Inf to finite: want a full burst")
		}
		for _, bad := range [][]ratelimit.Limit{nil, {{}}, {ratelimit.PerHour(1), ratelimit.PerHour(-1)}} {
			if err := setLimits(lim, bad...); err == nil {
				t.Errorf("Set(%v): no error", bad)
			}
			checkEqual(t, lim.Config().Limits, []ratelimit.Limit{ratelimit.PerHour(2)})
		}
		set(ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst))
		if lim.Allow() || !refusedForever(lim.Take(1)) {
			t.Error("admitted without a burst")
		}
		var zero ratelimit.Limiter
		if err := setLimits(&zero, ratelimit.PerHour(1)); err == nil || zero.Allow() {
			t.Errorf("the zero Limiter: error %v, or it has admitted an event", err)
		}
	})
}

func TestSetNeitherLosesNorDoubles(t *testing.T) {
	// Oracle: addition. Without a rate, all callers together take the burst.
	const burst = 200_000
	lim := ratelimit.New(ratelimit.PerSecond(0).WithBurst(burst))
	var total atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for lim.Allow() {
				total.Add(1)
			}
		})
	}
	wg.Go(func() {
		for i := range 300 {
			if _ = setLimits(lim, ratelimit.PerSecond(0).WithBurst(burst+int64(i%2))); i%3 == 0 {
				_ = setLimits(lim, ratelimit.PerSecond(0).WithBurst(burst), ratelimit.PerSecond(0).WithBurst(burst))
			}
		}
	})
	wg.Wait()
	if got := total.Load() + lim.Peek().Remaining; got != burst {
		t.Errorf("got %d of %d", got, burst)
	}
}

func TestChargeCreditPenalize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(10), ratelimit.PerMinute(600))
		if d := lim.Charge(25); d.OK || d.RetryAfter != 1600*time.Millisecond {
			t.Errorf("Charge(25) of 10: %+v, want a retry after 1.6s", d)
		}
		served := line(t, lim, []context.Context{t.Context()}, 1)
		lim.Credit(15)
		time.Sleep(100 * time.Millisecond)
		checkEqual(t, served(), []turn{{0, 100 * time.Millisecond}})
		lim.Credit(math.MaxInt64)
		lim.Credit(-5)
		lim.Charge(-5)
		if got := lim.Tokens(); got != 10 {
			t.Errorf("%v tokens, want the burst and no more", got)
		}
		lim.Penalize(-time.Second)
		lim.Penalize(time.Minute)
		lim.Penalize(time.Second) // shorter: no change
		if d := lim.Take(1); d.RetryAfter != time.Minute+100*time.Millisecond {
			t.Errorf("retry after %v, want 1m0.1s", d.RetryAfter)
		}
		for range 5 { // the largest debts neither overflow nor admit anything
			lim.Charge(math.MaxInt64)
			lim.Penalize(math.MaxInt64)
		}
		if d := lim.Peek(); d.OK || lim.Reserve(1).OK() && lim.Tokens() > 0 {
			t.Errorf("admitted in debt: %+v", d)
		}
		if ratelimit.New(ratelimit.Inf()).Charge(5).OK != true {
			t.Error("Inf has refused")
		}
	})
}

func TestPropertySetPreservesTokens(t *testing.T) {
	// Oracle: the tokens before, cut to the new burst, within a unit of the
	// coarser of the two.
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 500, prop.ForAll(func(from, to ratelimit.Limit, n int64) string {
			from = from.WithBurst(50)
			lim := ratelimit.New(from)
			lim.AllowN(n)
			before, unit := lim.Tokens(), math.Ldexp(1, -int(lim.Frac()))
			_ = setLimits(lim, to)
			want, got := min(before, float64(to.Burst)), lim.Tokens()
			unit = max(unit, math.Ldexp(1, -int(lim.Frac())))
			if got > want+1e-9 || got < want-unit-1e-9 {
				return fmt.Sprintf("%v tokens, want %v", got, want)
			}
			return ""
		}, limitGen(), limitGen(), gen.Int64Range(0, 50)))
	})
}
