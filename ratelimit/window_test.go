package ratelimit_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestWindowIsHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := ratelimit.NewWindow(ratelimit.Per(3, time.Minute))
		limit := ratelimit.PerMinute(3)
		w.Allow()
		time.Sleep(20 * time.Second)
		w.AllowN(2)
		for range 10 { // refusals are not logged
			want := ratelimit.Decision{N: 2, Limit: limit, AtOnce: true, Retryable: true, RetryAfter: time.Minute, ResetAfter: time.Minute}
			checkEqual(t, w.Take(2), want)
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
			if d := w.Take(n); !refusedForever(d) {
				t.Errorf("Take(%d) of 3: %+v, want never", n, d)
			}
		}
		if !w.AllowN(0) {
			t.Error("no events were refused")
		}
	})
	for _, w := range []*ratelimit.Window{new(ratelimit.Window)} {
		if w.Allow() || !errors.Is(w.Wait(t.Context()), ratelimit.ErrLimited) {
			t.Error("a window without room has admitted something")
		}
	}
}

func TestCounterEstimates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := ratelimit.NewCounter(ratelimit.Per(100, time.Minute))
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
			if d := c.Take(n); !refusedForever(d) {
				t.Errorf("Take(%d) of 100: %+v, want never", n, d)
			}
		}
	})
	for _, c := range []*ratelimit.Counter{
		new(ratelimit.Counter),
	} {
		if c.Allow() || !errors.Is(c.Wait(t.Context()), ratelimit.ErrLimited) {
			t.Error("a counter without room has admitted something")
		}
	}
	most := ratelimit.NewCounter(ratelimit.Per(math.MaxInt64, math.MaxInt64))
	if !most.AllowN(math.MaxInt64) || most.Allow() {
		t.Error("the largest counter")
	}
}

func TestPropertyWindowEqualsADeque(t *testing.T) {
	// Oracle: a slice of all instants, searched again each time.
	checkProperty(t, 200, prop.ForAll(func(limit, seed int64) string {
		w, random := ratelimit.NewWindow(ratelimit.PerSecond(limit)), rand.New(rand.NewPCG(uint64(seed), 4))
		var log []int64
		at, start := int64(0), time.Now()
		for i := range 200 {
			at += random.Int64N(4) * 1e8
			n := random.Int64N(4)
			log = slices.DeleteFunc(log, func(t int64) bool { return t <= at-1e9 })
			want := int64(len(log))+n <= limit
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
	}, gen.Int64Range(1, 20), gen.Int64()))
}

func TestPropertyCounterIsWithinItsBound(t *testing.T) {
	// Oracle: the exact log. No stretch of one length sees more than twice the
	// limit; and RetryAfter is tight.
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 100, prop.ForAll(func(limit, seed int64) string {
			c, random := ratelimit.NewCounter(ratelimit.Per(limit, time.Second)), rand.New(rand.NewPCG(uint64(seed), 5))
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
		for _, w := range []ratelimit.Waiter{ratelimit.NewWindow(ratelimit.Per(2, time.Minute)), ratelimit.NewCounter(ratelimit.Per(2, time.Minute))} {
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

func TestBadWindows(t *testing.T) {
	for _, tt := range []struct {
		limit ratelimit.Limit
		want  string
	}{
		{ratelimit.Limit{}, "Per is 0s, want more than 0"},
		{ratelimit.Per(-1, time.Second), "N is -1, want at least 0"},
		{ratelimit.PerSecond(0).WithBurst(ratelimit.NoBurst), "N is 0, want 1 to"},
		{ratelimit.PerSecond(1 << 62), "N is 4611686018427387904, want 1 to 134217728"},
		{ratelimit.PerSecond(5).WithBurst(6), "Burst is 6, want 0 or N"},
	} {
		for name, make := range map[string]func(){
			"window":  func() { ratelimit.NewWindow(tt.limit) },
			"counter": func() { ratelimit.NewCounter(tt.limit) },
		} {
			func() {
				defer func() {
					got := fmt.Sprint(recover())
					if large := tt.limit.N == 1<<62 && name == "counter"; strings.Contains(got, tt.want) == large {
						t.Errorf("%s of %+v panics with %s, want %q", name, tt.limit, got, tt.want)
					}
				}()
				make()
			}()
		}
	}
}

// A Window needs memory and time for the instants of events, and not for N.
func TestWindowOfManyEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1 << 27
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		w := ratelimit.NewWindow(ratelimit.Per(n, time.Second))
		if !w.AllowN(n - 100_000) {
			t.Error("refused")
		}
		for range 100_000 { // at the same instant
			if !w.Allow() {
				t.Fatal("refused")
			}
		}
		if w.Allow() {
			t.Error("one more than n")
		}
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1<<20 {
			t.Errorf("%d bytes, want few", after.TotalAlloc-before.TotalAlloc)
		}
		time.Sleep(time.Second)
		if !w.AllowN(n-5) || w.AllowN(6) {
			t.Error("want n events in the next second")
		}
		time.Sleep(time.Second / 2)
		if d := w.Take(6); d.OK || d.RetryAfter != time.Second/2 || d.Remaining != 5 {
			t.Errorf("%+v, want a refusal for half a second", d)
		}
		if d := w.Take(5); !d.OK || d.ResetAfter != time.Second {
			t.Errorf("%+v, want OK", d)
		}
	})
}

// An instant before an admitted event counts as the instant of that event.
func TestWindowDoesNotGoBack(t *testing.T) {
	w, now := ratelimit.NewWindow(ratelimit.PerMinute(2)), time.Now()
	if !w.AllowAt(now.Add(40*time.Second), 1) || !w.AllowAt(now, 1) {
		t.Error("refused")
	}
	if w.AllowAt(now.Add(65*time.Second), 1) || !w.AllowAt(now.Add(100*time.Second), 2) {
		t.Error("want both events to leave after 100s")
	}
}

// The log of a Window doubles when it is full, up to N.
func TestWindowLogDoubles(t *testing.T) {
	w, now := ratelimit.NewWindow(ratelimit.PerHour(10_000)), time.Now()
	i := 0
	if got := testing.AllocsPerRun(1, func() {
		for range 5000 {
			i++
			if !w.AllowAt(now.Add(time.Duration(i)*time.Millisecond), 1) {
				t.Fatal("refused")
			}
		}
	}); got > 3 {
		t.Errorf("%v allocations for the second half, want at most 3", got)
	}
	if w.AllowAt(now.Add(time.Minute), 1) {
		t.Error("one more than N")
	}
}
