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

func TestPropertyCancelAllInAnyOrder(t *testing.T) {
	// Oracle: a limiter without reservations. All reservations are cancelled,
	// in any order and at any time, without other events.
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
	// Oracle: the definition of a limit. Admissions, and reservations that are
	// kept at their instants, exceed burst + rate × time in no interval.
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

func TestReserveStorm(t *testing.T) {
	// Oracle: addition. Without a rate, kept and remaining events add up to the
	// burst.
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
