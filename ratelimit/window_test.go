package ratelimit_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestTrap28_WindowIsHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ratelimit.NewWindow(3, time.Minute)
		limit := ratelimit.PerMinute(3)
		w.Allow()
		time.Sleep(20 * time.Second)
		w.AllowN(2)
		for range 10 { // refusals are not logged
			want := ratelimit.Decision{N: 2, Limit: limit, RetryAfter: time.Minute, ResetAfter: time.Minute}
			if diff := cmp.Diff(want, w.Take(2)); diff != "" {
				t.Errorf("Take(2) (-want +got):\n%s", diff)
			}
		}
		if d := w.Take(1); d.RetryAfter != 40*time.Second {
			t.Errorf("retry after %v, want 40s", d.RetryAfter)
		}
		time.Sleep(40*time.Second - 1)
		if w.Allow() {
			t.Error("admitted 1 ns before the first is a minute old")
		}
		if time.Sleep(time.Nanosecond); !w.Allow() || w.Allow() {
			t.Error("want exactly one event when the first is a minute old")
		}
		if w.AllowAt(time.Now().Add(-time.Hour), 1) {
			t.Error("an old instant has gained something")
		}
		for _, n := range []int64{4, -1, math.MaxInt64, math.MinInt64} {
			if d := w.Take(n); d.OK || d.RetryAfter != ratelimit.Never {
				t.Errorf("Take(%d) of 3: %+v, want never", n, d)
			}
		}
		if !w.AllowN(0) {
			t.Error("no events were refused")
		}
	})
	for _, w := range []*ratelimit.Window{new(ratelimit.Window), ratelimit.NewWindow(0, 1), ratelimit.NewWindow(-1, 1), ratelimit.NewWindow(1, 0)} {
		if w.Allow() || !errors.Is(w.Wait(t.Context()), ratelimit.ErrLimited) {
			t.Error("a window without room has admitted something")
		}
	}
}

func TestTrap28_CounterEstimates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ratelimit.NewCounter(100, time.Minute)
		if !c.AllowN(100) || c.Allow() {
			t.Error("want 100 in the first period")
		}
		time.Sleep(90 * time.Second) // half of the period before counts
		if d := c.Take(51); d.OK || d.Remaining != 50 || d.RetryAfter != 600*time.Millisecond {
			t.Errorf("got %+v, want 50 remaining and a retry after 600ms", d)
		}
		if !c.AllowN(50) || c.Allow() {
			t.Error("want 50 in the middle of the second")
		}
		if c.AllowAt(time.Now().Add(-time.Hour), 1) {
			t.Error("an old instant has gained something")
		}
		time.Sleep(3 * time.Minute)
		if !c.AllowN(100) {
			t.Error("idle for more than two periods, and not reset")
		}
		for _, n := range []int64{101, -1, math.MaxInt64, math.MinInt64} {
			if d := c.Take(n); d.OK || d.RetryAfter != ratelimit.Never {
				t.Errorf("Take(%d) of 100: %+v, want never", n, d)
			}
		}
	})
	for _, c := range []*ratelimit.Counter{
		new(ratelimit.Counter), ratelimit.NewCounter(0, 1), ratelimit.NewCounter(-1, 1), ratelimit.NewCounter(1, 0),
	} {
		if c.Allow() || !errors.Is(c.Wait(t.Context()), ratelimit.ErrLimited) {
			t.Error("a counter without room has admitted something")
		}
	}
	most := ratelimit.NewCounter(math.MaxInt64, math.MaxInt64)
	if !most.AllowN(math.MaxInt64) || most.Allow() {
		t.Error("the largest counter")
	}
}

func TestPropertyP9_WindowEqualsADeque(t *testing.T) {
	// Oracle: a slice of all instants, searched anew each time.
	check(t, 200, prop.ForAll(func(limit int, seed int64) string {
		w, random := ratelimit.NewWindow(limit, time.Second), rand.New(rand.NewPCG(uint64(seed), 4))
		var log []int64
		at, start := int64(0), time.Now()
		for i := range 200 {
			at += random.Int64N(4) * 1e8
			n := random.Int64N(4)
			log = slices.DeleteFunc(log, func(t int64) bool { return t <= at-1e9 })
			want := int64(len(log))+n <= int64(limit)
			if want {
				for range n {
					log = append(log, at)
				}
			}
			if got := w.AllowAt(start.Add(time.Duration(at)), n); got != want {
				return fmt.Sprintf("step %d: admitted %v, want %v", i, got, want)
			}
		}
		return ""
	}, gen.IntRange(1, 20), gen.Int64()))
}

func TestPropertyP9_CounterIsWithinItsBound(t *testing.T) {
	// Oracle: the exact log. No stretch of one length sees more than twice the limit; and RetryAfter is tight.
	synctest.Test(t, func(t *testing.T) {
		check(t, 100, prop.ForAll(func(limit, seed int64) string {
			c, random := ratelimit.NewCounter(limit, time.Second), rand.New(rand.NewPCG(uint64(seed), 5))
			var log []int64
			start := time.Now()
			for i := range 200 {
				time.Sleep(time.Duration(random.Int64N(300)) * time.Millisecond)
				n := 1 + random.Int64N(limit)
				d := c.Take(n)
				if !d.OK {
					if time.Sleep(d.RetryAfter - 1); c.AllowN(n) {
						return fmt.Sprintf("step %d: admitted 1 ns before %v", i, d.RetryAfter)
					}
					if time.Sleep(time.Nanosecond); !c.AllowN(n) {
						return fmt.Sprintf("step %d: refused after %v", i, d.RetryAfter)
					}
				}
				at := int64(time.Since(start))
				for range n {
					log = append(log, at)
				}
				log = slices.DeleteFunc(log, func(t int64) bool { return t <= at-1e9 })
				if int64(len(log)) >= 2*limit && limit > 1 {
					return fmt.Sprintf("step %d: %d in a second, limit %d", i, len(log), limit)
				}
			}
			return ""
		}, gen.Int64Range(1, 30), gen.Int64()))
	})
}

func TestWindowWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		for _, w := range []ratelimit.Waiter{ratelimit.NewWindow(2, time.Minute), ratelimit.NewCounter(2, time.Minute)} {
			for range 3 {
				if err := w.Wait(t.Context()); err != nil {
					t.Error(err)
				}
			}
		}
		if got := time.Since(start); got != 2*time.Minute+30*time.Second { // exact, and the estimate: half a period more
			t.Errorf("after %v, want 2m30s", got)
		}
	})
}

func TestPull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, lim := time.Now(), ratelimit.New(ratelimit.Every(time.Second))
		var got []string
		for v, err := range ratelimit.Pull(t.Context(), lim, slices.Values([]int{1, 2, 3, 4})) {
			got = append(got, fmt.Sprint(v, err, time.Since(start)))
			if v == 3 {
				break
			}
		}
		if diff := cmp.Diff([]string{"1 <nil> 0s", "2 <nil> 1s", "3 <nil> 2s"}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		n := 0
		for v, err := range ratelimit.Pull(t.Context(), ratelimit.Reject(lim), slices.Values([]int{5, 6})) {
			if n++; v != 0 || !errors.Is(err, ratelimit.ErrLimited) {
				t.Errorf("got %v, %v, want 0 and a refusal", v, err)
			}
		}
		if n != 1 {
			t.Errorf("%d elements after a refusal, want 1", n)
		}
	})
}
