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

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestSetKeepsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(10))
		set := func(limits ...ratelimit.Limit) {
			t.Helper()
			if err := lim.SetLimits(limits...); err != nil {
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
				want = 2 // a unit of the fastest is an event, and half of one is lost
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
			if err := lim.SetLimits(bad...); err == nil {
				t.Errorf("SetLimits(%v): no error", bad)
			}
			checkEqual(t, lim.Limits(), []ratelimit.Limit{ratelimit.PerHour(2)})
		}
		set(ratelimit.PerHour(1).WithBurst(ratelimit.NoBurst))
		if lim.Allow() || !refusedForever(lim.Take(1)) {
			t.Error("admitted without a burst")
		}
		var zero ratelimit.Limiter
		if err := zero.SetLimits(ratelimit.PerHour(1)); err == nil || zero.Allow() {
			t.Errorf("the zero Limiter: error %v, or it has admitted an event", err)
		}
	})
}

func TestSetNeitherLosesNorDoubles(t *testing.T) {
	// Oracle: addition. Limits without a rate: what all callers got is what
	// there was.
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
			if _ = lim.SetLimits(ratelimit.PerSecond(0).WithBurst(burst + int64(i%2))); i%3 == 0 {
				_ = lim.SetLimits(ratelimit.PerSecond(0).WithBurst(burst), ratelimit.PerSecond(0).WithBurst(burst))
			}
		}
	})
	wg.Wait()
	if got := total.Load() + lim.Peek().Remaining; got != burst {
		t.Errorf("got %d of %d", got, burst)
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
		_ = lim.SetLimits(ratelimit.PerSecond(3)) // 4 are too many now
		time.Sleep(time.Minute)
		want := []turn{{0, 2*time.Second/3 + 1}, {1, time.Second}}
		checkEqual(t, served(), want)
		if !errors.Is(err, ratelimit.ErrTooLarge) {
			t.Errorf("WaitN(4) = %v, want ErrTooLarge", err)
		}
		lim.AllowN(3)
		go func() { err = lim.Wait(t.Context()) }()
		synctest.Wait()
		_ = lim.SetLimits(ratelimit.PerSecond(1).WithBurst(ratelimit.NoBurst))
		synctest.Wait()
		checkIs(t, err, ratelimit.ErrLimited)
	})
}

func TestCancelAnImmediateReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limits := range [][]ratelimit.Limit{{ratelimit.PerSecond(10)}, {ratelimit.PerSecond(10), ratelimit.PerHour(100)}} {
			lim := ratelimit.New(limits...)
			r := lim.Reserve(10)
			if !r.OK() || r.Delay() != 0 || r.Err() != nil || lim.Allow() {
				t.Fatalf("reservation %+v, want one for now", r)
			}
			later := lim.Reserve(1)
			if got := later.Delay(); got < 100*time.Millisecond {
				t.Errorf("delay %v, want 100ms or more", got)
			}
			for range 3 { // twice is once
				later.Cancel()
				r.Cancel()
				r.Settle(10)
			}
			if !lim.AllowN(10) || lim.Allow() {
				t.Error("want exactly the burst back")
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestNeverRestoresTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(10))
		r := lim.Reserve(10)
		time.Sleep(5 * time.Second)
		lim.AllowN(5)
		if r.Cancel(); lim.Tokens() != 5 {
			t.Errorf("%v tokens, want 5", lim.Tokens())
		}

		lim = ratelimit.New(ratelimit.PerSecond(1).WithBurst(1))
		first, second := lim.Reserve(1), lim.Reserve(1) // now, and in a second
		first.Cancel()
		if got := lim.Peek().RetryAfter; got != 2*time.Second {
			t.Errorf("retry after %v, want 2s: the second reservation is promised", got)
		}
		if second.Cancel(); lim.Tokens() != 1 {
			t.Errorf("%v tokens when both are cancelled, want 1", lim.Tokens())
		}
		if lim.Held() != 0 {
			t.Errorf("%d reservations are still held", lim.Held())
		}
	})
}

func TestReserveRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(2))
		for _, n := range []int64{3, -1, math.MaxInt64, math.MinInt64} {
			r := lim.Reserve(n)
			if limited, _ := errors.AsType[*ratelimit.LimitedError](r.Err()); r.OK() || limited == nil || limited.Retryable() {
				t.Errorf("Reserve(%d): %+v, want a refusal", n, r)
			}
			r.Settle(1)
		}
		if r := lim.Reserve(0); !r.OK() || r.Delay() != 0 {
			t.Error("no events were refused")
		}
		lim.AllowN(2)
		served := line(t, lim, []context.Context{t.Context()}, 1)
		if r := lim.Reserve(1); r.OK() || r.Delay() != 2*time.Second {
			t.Errorf("OK %v after %v, want a refusal while others wait, for 2s", r.OK(), r.Delay())
		}
		time.Sleep(time.Second)
		if got := served(); len(got) != 1 {
			t.Errorf("served %v, want one", got)
		}
	})
}

func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(10))
		for _, tt := range []struct {
			actual int64
			tokens float64
		}{{4, 6}, {0, 10}, {-5, 10}, {8, 2}, {10, 0}} {
			lim.Reset()
			if lim.Reserve(8).Settle(tt.actual); lim.Tokens() != tt.tokens {
				t.Errorf("%d of 8 reserved: %v tokens, want %v", tt.actual, lim.Tokens(), tt.tokens)
			}
		}
		lim.Reset()
		lim.Reserve(8).Settle(15)
		if got := lim.Peek().RetryAfter; got != 6*time.Second {
			t.Errorf("15 of 8 reserved: retry after %v, want 6s", got)
		}
		old := lim.Reserve(1)
		_ = lim.SetLimits(ratelimit.PerSecond(1).WithBurst(10))
		before := lim.Peek().RetryAfter
		if old.Cancel(); lim.Peek().RetryAfter != before {
			t.Error("a reservation by former limits has given something back")
		}
	})
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

func TestLowPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limits := range [][]ratelimit.Limit{{ratelimit.PerSecond(10)}, {ratelimit.PerSecond(10), ratelimit.PerHour(1000)}} {
			lim := ratelimit.New(limits...)
			low := lim.LowPriority(0.6)
			n := 0
			for low.Allow() {
				n++
			}
			if n != 4 || low.AllowN(0) != true {
				t.Errorf("got %d above 0.6 of 10, want 4", n)
			}
			if d := low.Take(1); d.OK || d.RetryAfter != 100*time.Millisecond || d.Remaining != 0 {
				t.Errorf("got %+v, want a retry after 100ms", d)
			}
			if d := low.Take(5); !refusedForever(d) {
				t.Errorf("5 above 0.6 of 10: %+v, want never", d)
			}
			if !lim.AllowN(6) || lim.Allow() {
				t.Error("want 6 left for others")
			}
			if lim.LowPriority(1).Allow() || !lim.LowPriority(-3).AllowN(0) || lim.LowPriority(2).Allow() || lim.LowPriority(math.NaN()).Allow() {
				t.Error("parts out of range")
			}
		}
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

func TestPropertyCancelAllInAnyOrder(t *testing.T) {
	// Oracle: a limiter that nobody has reserved from. Reservations are made
	// and all cancelled, in any order and at any time, with nothing else in
	// between.
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 500, prop.ForAll(func(ns, order []int64, pause int64) string {
			limit := ratelimit.PerSecond(4).WithBurst(5)
			lim, ref := ratelimit.New(limit), ratelimit.New(limit)
			lim.AllowN(3)
			ref.AllowN(3)
			var rs []*ratelimit.Reservation
			for _, n := range ns {
				rs = append(rs, lim.Reserve(n))
			}
			for i := range rs {
				time.Sleep(time.Duration(pause) * time.Millisecond)
				j := i + int(order[i])%(len(rs)-i)
				rs[i], rs[j] = rs[j], rs[i]
				rs[i].Cancel()
			}
			if got, want := lim.Tokens(), ref.Tokens(); got > want || pause == 0 && got != want {
				return fmt.Sprintf("%v tokens, want %v", got, want)
			}
			return ""
		}, gen.SliceOfN(6, gen.Int64Range(1, 5)), gen.SliceOfN(6, gen.Int64Range(0, 100)), gen.Int64Range(0, 300)))
	})
}

func TestPropertyNeverRestoresTooMuch(t *testing.T) {
	// Oracle: the definition. Of what happened, admissions and reservations
	// kept at the instants they were promised, no stretch exceeds burst + rate
	// × time.
	limit := ratelimit.PerSecond(4).WithBurst(5)
	type made struct {
		r *ratelimit.Reservation
		event
	}
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 1000, prop.ForAll(func(ops []int64) string {
			lim := ratelimit.New(limit)
			var events []event
			var open []made
			for _, op := range ops {
				now, n := int64(time.Since(lim.Epoch())), 1+op/8%5
				switch op % 4 {
				case 0:
					time.Sleep(time.Duration(op) * 3 * time.Millisecond)
				case 1:
					if lim.AllowN(n) {
						events = append(events, event{now, n})
					}
				case 2:
					if r := lim.Reserve(n); r.OK() {
						open = append(open, made{r, event{now + int64(r.Delay()), n}})
					}
				case 3:
					if len(open) > 0 {
						i := int(op) / 4 % len(open)
						open[i].r.Cancel()
						open = append(open[:i], open[i+1:]...)
					}
				}
			}
			for _, m := range open {
				events = append(events, m.event)
			}
			if over := excess(limit, events); len(events) > 0 && over > 0 {
				return fmt.Sprintf("exceeds the limit by %v events", float64(over)/1e9)
			}
			return ""
		}, gen.SliceOfN(40, gen.Int64Range(0, 200))))
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
			_ = lim.SetLimits(to)
			want, got := min(before, float64(to.Burst)), lim.Tokens()
			unit = max(unit, math.Ldexp(1, -int(lim.Frac())))
			if got > want+1e-9 || got < want-unit-1e-9 {
				return fmt.Sprintf("%v tokens, want %v", got, want)
			}
			return ""
		}, limitGen(), limitGen(), gen.Int64Range(0, 50)))
	})
}

func TestReserveStorm(t *testing.T) {
	// Oracle: addition. Without a rate, what is kept and what remains is what
	// there was.
	const burst = 100_000
	for _, limits := range [][]ratelimit.Limit{
		{ratelimit.PerSecond(0).WithBurst(burst)},
		{ratelimit.PerSecond(0).WithBurst(burst), ratelimit.PerSecond(0).WithBurst(2 * burst)},
	} {
		lim := ratelimit.New(limits...)
		var kept atomic.Int64
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 2000 {
					switch r := lim.Reserve(5); {
					case !r.OK():
					case (i+g)%3 == 0:
						r.Settle(2)
						kept.Add(2)
					case (i+g)%3 == 1:
						r.Cancel()
					default:
						kept.Add(5)
					}
					if lim.Allow() {
						kept.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if got := kept.Load() + lim.Peek().Remaining; got != burst {
			t.Errorf("%d kept and left of %d", got, burst)
		}
	}
}
