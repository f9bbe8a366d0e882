package ratelimit_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
	"golang.org/x/time/rate"
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
		if d := lim.Peek(); !d.OK {
			t.Errorf("%+v, want an event now: the second reservation is due in a second", d)
		}
		if second.Cancel(); lim.Tokens() != 1 {
			t.Errorf("%v tokens when both are cancelled, want 1", lim.Tokens())
		}
		if due, next := lim.Open(); due != 0 || next {
			t.Errorf("%d reservations are still open, others to come: %v", due, next)
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
		none := lim.Reserve(0)
		if !none.OK() || none.Delay() != 0 {
			t.Error("no events were refused")
		}
		if none.Settle(1); lim.Tokens() != 1 {
			t.Errorf("%v tokens after Reserve(0) and Settle(1), want 1", lim.Tokens())
		}
		lim.Reset()
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
		}{{4, 6}, {0, 10}, {-5, 10}, {math.MinInt64, 10}, {8, 2}, {10, 0}} {
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
		lim.Reset()
		due, next := lim.Reserve(10), lim.Reserve(1)
		_ = setLimits(lim, ratelimit.PerSecond(2).WithBurst(10))
		before := lim.Reserve(1).Delay()
		if due.Cancel(); lim.Reserve(1).Delay() <= before {
			t.Error("a reservation that was due has returned events to other limits")
		}
		if next.Cancel(); lim.Reserve(1).Delay() > time.Second {
			t.Error("a reservation that was not due has not returned its event")
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

// Callers that read the clock by themselves, and reservations, keep within the
// limits in real time.
func TestReserveStormConforms(t *testing.T) {
	// Oracle: the definition of a limit.
	limits := []ratelimit.Limit{ratelimit.PerSecond(1_000_000).WithBurst(50), ratelimit.PerSecond(1_500_000).WithBurst(30)}
	for _, limits := range [][]ratelimit.Limit{limits[:1], limits} {
		lim := ratelimit.New(limits...)
		taken := make([][]event, 4)
		var wg sync.WaitGroup
		for g := range taken {
			wg.Go(func() {
				random := rand.New(rand.NewPCG(uint64(g), 5))
				var open []*ratelimit.Reservation
				settle := func(actual int64) {
					i := random.IntN(len(open))
					r := open[i]
					open = slices.Delete(open, i, i+1)
					if r.Settle(actual); actual > 0 {
						taken[g] = append(taken[g], event{r.Due(), actual})
					}
				}
				for range 3000 {
					switch n := 1 + random.Int64N(5); random.IntN(4) {
					case 0:
						if at := time.Now(); lim.AllowAt(at, n) {
							taken[g] = append(taken[g], event{int64(at.Sub(lim.Epoch())), n})
						}
					case 1:
						if r := lim.Reserve(5); r.OK() {
							open = append(open, r)
						}
					default:
						if len(open) > 0 {
							settle(min(random.Int64N(10), 5))
						}
					}
				}
				for len(open) > 0 {
					settle(5)
				}
			})
		}
		wg.Wait()
		all := slices.Concat(taken...)
		for _, l := range limits {
			if over := excess(l, all); over > 0 || len(all) < 1000 {
				t.Errorf("%d admissions exceed %v by %v events", len(all), l, float64(over)/float64(l.Per))
			}
		}
	}
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

// Two cancelled reservations must not make room for four events at the instant
// of the third, with a burst of 3.
func TestCancelsKeepWhatIsPromised(t *testing.T) {
	for _, order := range [][2]int{{0, 1}, {1, 0}} {
		synctest.Test(t, func(t *testing.T) {
			lim := ratelimit.New(ratelimit.Every(time.Second).WithBurst(3))
			lim.AllowN(3)
			made := []*ratelimit.Reservation{lim.Reserve(3), lim.Reserve(3)}
			last := lim.Reserve(1)
			made[order[0]].Cancel()
			made[order[1]].Cancel()
			time.Sleep(last.Delay())
			events := 1 // the last reservation
			for lim.Allow() {
				events++
			}
			if events != 3 {
				t.Errorf("order %v: %d events at the same instant, want the burst of 3", order, events)
			}
		})
	}
}

// A limit that does not delay a reservation counts it when it is due.
func TestSeveralLimitsCountReservationsWhenTheyAreDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, wait := range []time.Duration{0, 18 * time.Second} { // R0 is cancelled before or after it is due
			lim := ratelimit.New(ratelimit.Every(10*time.Second).WithBurst(2), ratelimit.Every(time.Second))
			lim.Allow()
			time.Sleep(time.Second)
			lim.Allow()
			time.Sleep(time.Second)
			r0, r1 := lim.Reserve(1), lim.Reserve(1)
			if r0.Delay() != 8*time.Second || r1.Delay() != 18*time.Second {
				t.Errorf("delays %v and %v, want 8s and 18s", r0.Delay(), r1.Delay())
			}
			time.Sleep(wait)
			r0.Cancel()
			time.Sleep(r1.Delay())
			if lim.Allow() {
				t.Errorf("cancelled after %v: two events at the same instant, want 1 per second", wait)
			}
		}
	})
}

// Nothing that was taken before matters when the bursts have come back.
func TestIdleForgetsReservations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(3), ratelimit.PerSecond(2).WithBurst(4))
		old := []*ratelimit.Reservation{lim.Reserve(3), lim.Reserve(2)}
		if due, next := lim.Open(); due != 1 || !next {
			t.Errorf("%d open, more to come %v, want 1 and more", due, next)
		}
		time.Sleep(time.Minute)
		lim.AllowN(3)
		if due, next := lim.Open(); due != 0 || next {
			t.Errorf("%d open, more to come %v, want none", due, next)
		}
		old[0].Cancel()
		if old[1].Settle(3); lim.Peek().RetryAfter != 2*time.Second {
			t.Errorf("%+v, want nothing returned, and 1 charged", lim.Peek())
		}
	})
}

// A reservation that is settled for all its events leaves no trace.
func TestSettleForAllForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(3))
		now, later := lim.Reserve(3), lim.Reserve(2)
		now.Settle(3)
		later.Settle(2)
		if due, next := lim.Open(); due != 0 || !next {
			t.Errorf("%d open, more to come %v, want 0 and more", due, next)
		}
		time.Sleep(2 * time.Second)
		if d := lim.Peek(); d.RetryAfter != time.Second {
			t.Errorf("retry after %v, want 1s", d.RetryAfter)
		}
		if due, next := lim.Open(); due != 0 || next {
			t.Errorf("%d open, more to come %v, want none", due, next)
		}
	})
}

// The memory of reservations that are due is bounded.
func TestOldReservationsBecomeFinal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerHour(1).WithBurst(100_000))
		first, second := lim.Reserve(10), lim.Reserve(10)
		for range ratelimit.MaxPast - 1 {
			lim.Reserve(1)
		}
		if due, _ := lim.Open(); due != ratelimit.MaxPast {
			t.Errorf("%d reservations are open, want %d", due, ratelimit.MaxPast)
		}
		left := lim.Peek().Remaining
		if first.Settle(5); lim.Peek().Remaining != left {
			t.Error("the first reservation has changed the limiter")
		}
		if second.Cancel(); lim.Peek().Remaining != left+10 {
			t.Error("the second reservation has not returned its events")
		}
	})
}

// Between more than a few reservations that leave too little room, Reserve
// takes an instant after all of them, which is safe.
func TestReserveSearchesAFewHoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct{ holes, want int }{
			{ratelimit.MaxHoles / 2, 10*(ratelimit.MaxHoles/2) + 6},
			{ratelimit.MaxHoles + 2, 10 * (ratelimit.MaxHoles + 6)},
		} {
			lim := ratelimit.New(ratelimit.PerSecond(1).WithBurst(10))
			lim.AllowN(10)
			var rs []*ratelimit.Reservation
			for range tt.holes + 3 {
				rs = append(rs, lim.Reserve(10)) // 10 s apart
			}
			for _, r := range rs[:tt.holes] {
				r.Settle(6)
			}
			rs[tt.holes].Cancel()
			if got, want := lim.Reserve(10).Delay(), time.Duration(tt.want)*time.Second; got != want {
				t.Errorf("%d holes of 4 and a hole of 14: delay %v, want %v", tt.holes, got, want)
			}
		}
	})
}

// A tree of reservations stays flat in whatever order they go.
func TestReservationsAreATree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 16_000
		for name, order := range map[string]func(i int) int{
			"in order": func(i int) int { return i },
			"reverse":  func(i int) int { return n - 1 - i },
			"random":   func(i int) int { return i * 7919 % n },
		} {
			lim := ratelimit.New(ratelimit.PerSecond(10))
			lim.AllowN(10)
			var rs []*ratelimit.Reservation
			deepest := 0
			for range n {
				rs = append(rs, lim.Reserve(1))
			}
			for i := range n {
				if i%1000 == 0 {
					deepest = max(deepest, lim.Depth())
				}
				rs[order(i)].Cancel()
			}
			if deepest > 60 {
				t.Errorf("%s: depth %d of %d reservations, want at most 60", name, deepest, n)
			}
			if got := lim.Tokens(); got != 0 {
				t.Errorf("%s: %v tokens, want 0", name, got)
			}
		}
	})
}

func TestReserveAllocations(t *testing.T) {
	for name, lim := range map[string]*ratelimit.Limiter{
		"free": ratelimit.New(ratelimit.PerHour(1e9)),
		"used": ratelimit.New(ratelimit.PerHour(1)),
	} {
		lim.Reserve(1)
		if got := testing.AllocsPerRun(1000, func() { lim.Reserve(1).Cancel() }); got != 1 {
			t.Errorf("%s: Reserve and Cancel: %v allocations, want 1", name, got)
		}
	}
}

func TestCancelIsMoreGenerousThanXTime(t *testing.T) {
	// Oracle: plan, for both. Reservations are made, some are used, some are
	// cancelled; then the instant of another reservation is compared.
	var later, same, unsafe, better int
	synctest.Test(t, func(t *testing.T) {
		for seed := range 3000 {
			random := rand.New(rand.NewPCG(uint64(seed), 3))
			limit := ratelimit.Per(1, 1<<30).WithBurst(4)
			lim, x := ratelimit.New(limit), rate.NewLimiter(rate.Limit(1e9/float64(1<<30)), 4)
			p := &plan{limits: []ratelimit.Limit{limit}, rates: []int64{limit.N}}
			type pair struct {
				ours   *ratelimit.Reservation
				theirs *rate.Reservation
				c      *commitment
			}
			var made []pair
			for range 2 + random.IntN(10) {
				n := 1 + random.Int64N(4)
				m := pair{ours: lim.Reserve(n), theirs: x.ReserveN(time.Now(), int(n))}
				m.c = p.add(&commitment{at: p.now + int64(m.ours.Delay()), n: n})
				made = append(made, m)
				gap := random.Int64N(4) << 28
				time.Sleep(time.Duration(gap))
				p.run(p.now + gap)
			}
			random.Shuffle(len(made), func(i, j int) { made[i], made[j] = made[j], made[i] })
			for _, m := range made[:1+random.IntN(len(made))] {
				m.ours.Cancel()
				m.theirs.Cancel()
				m.c.n = 0
			}
			n := 1 + random.Int64N(4)
			ours, theirs := lim.Reserve(n).Delay(), x.ReserveN(time.Now(), int(n)).Delay()
			ok, _ := p.fits(p.now+int64(theirs), n)
			switch {
			case !ok && theirs+10 < ours:
				unsafe++
			case theirs > ours+10: // rounding of floating point
				better++
			case ours > theirs+10:
				later++
			default:
				same++
			}
		}
	})
	t.Logf("golang.org/x/time/rate is later in %d, equal in %d, and earlier but unsafe in %d of 3000 schedules", better, same, unsafe)
	if later > 0 || better < 1000 {
		t.Errorf("%d later and %d earlier than golang.org/x/time/rate, want 0 and 1000 or more", later, better)
	}
}
