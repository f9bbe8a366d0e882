package ratelimit_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// Each refusal of a Limiter is one event and one request in Stats.
func TestLimiterReportsRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "trace"), time.Second)
		defer cancel()
		var got []string
		var lim *ratelimit.Limiter
		for name, limits := range map[string][]ratelimit.Limit{
			"one": {ratelimit.PerHour(2)}, "two": {ratelimit.PerHour(2), ratelimit.PerDay(10)},
		} {
			got = nil
			lim = ratelimit.NewLimiter(ratelimit.Config{Name: name, Limits: limits, OnEvent: func(ctx context.Context, e ratelimit.Event) {
				if e.Kind != ratelimit.KindRefused || e.Name != name || e.Key != nil || e.Dropped != 0 || e.Decision.OK {
					t.Errorf("event %+v", e)
				}
				if e.Decision.Limit.Name != name {
					t.Errorf("limit %q, want the name of the Limiter", e.Decision.Limit.Name)
				}
				trace, _ := ctx.Value(key{}).(string)
				got = append(got, trace)
				_ = lim.Stats() // calls back
			}})
			low := lim.LowPriority(0.5)
			for _, f := range []func() bool{
				func() bool { return !lim.AllowN(2) }, // allowed
				func() bool { return lim.AllowN(0) && lim.Allow() },
				func() bool { return lim.AllowN(3) },
				func() bool { return lim.AllowAt(time.Now(), 1) },
				func() bool { return lim.Take(1).OK },
				func() bool { return lim.Wait(ctx) == nil },
				func() bool { return lim.WaitN(ctx, 9) == nil },
				func() bool { return low.Allow() },
				func() bool { return low.Take(1).OK },
				func() bool { return low.Wait(ctx) == nil },
				func() bool { return lim.Reserve(3).OK() },
				func() bool { return ratelimit.Reject(lim).Wait(ctx) == nil },
			} {
				if f() {
					t.Error("a refusal is missing, or there is one too many")
				}
			}
			checkEqual(t, got, []string{"", "", "", "", "trace", "trace", "", "", "trace", "", ""})
			checkEqual(t, lim.Stats(), ratelimit.Stats{Name: name, Allowed: 2, Refused: 11})
		}
	})
}

// A wait counts once, when it ends.
func TestStatsCountWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lim := ratelimit.New(ratelimit.PerSecond(1))
		low := lim.LowPriority(0)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range []error{lim.Wait(t.Context()), lim.Wait(t.Context()), low.Wait(t.Context())} {
			if err != nil {
				t.Error(err)
			}
		}
		if lim.Wait(ctx) == nil || low.Wait(ctx) == nil {
			t.Error("a wait with a done context was allowed")
		}
		if r := lim.Reserve(1); !r.OK() {
			t.Error(r.Err())
		}
		checkEqual(t, lim.Stats(), ratelimit.Stats{Allowed: 4})
	})
}

// Without a hook, waiting callers and reservations, Allow and Take need no
// lock.
func TestAllowTakesNoLock(t *testing.T) {
	lim := ratelimit.New(ratelimit.PerHour(4))
	lim.Locked(func() {
		for range 4 {
			if !lim.LowPriority(0).Allow() {
				t.Error("refused")
			}
		}
		if lim.Allow() || lim.Take(1).OK || lim.AllowAt(time.Now(), 1) {
			t.Error("allowed")
		}
	})
	checkEqual(t, lim.Stats(), ratelimit.Stats{Allowed: 4, Refused: 3})
}

// A wait counts once, when it ends, for every type that has figures.
func TestWaitsAreNoRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events int
		hook := func(context.Context, ratelimit.Event) { events++ }
		limit := ratelimit.PerSecond(1)
		window, counter := ratelimit.NewWindow(limit), ratelimit.NewCounter(limit)
		c := ratelimit.WindowConfig{Limit: limit, OnEvent: hook}
		if err := errors.Join(window.Set(c), counter.Set(c)); err != nil {
			t.Fatal(err)
		}
		keyed := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: limit, MaxKeys: 8, OnEvent: hook})
		two := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: limit, Limits: []ratelimit.Limit{ratelimit.PerHour(100)}, MaxKeys: 8, OnEvent: hook})
		for name, w := range map[string]interface {
			ratelimit.Waiter
			WaitN(ctx context.Context, n int64) error
		}{
			"window": window, "counter": counter, "keyed": keyed.For(1), "keyed, two limits": two.For(1),
			"limiter": ratelimit.NewLimiter(ratelimit.Config{Limits: []ratelimit.Limit{limit}, OnEvent: hook}),
		} {
			events = 0
			stats := func() (s ratelimit.Stats) {
				switch name {
				case "keyed":
					s = keyed.Stats()
				case "keyed, two limits":
					s = two.Stats()
				default:
					s = w.(interface{ Stats() ratelimit.Stats }).Stats()
				}
				s.Len, s.MaxKeys = 0, 0
				return s
			}
			for range 3 {
				if err := w.Wait(t.Context()); err != nil {
					t.Error(name, err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			checkIs(t, w.Wait(ctx), context.Canceled)
			if s := stats(); s != (ratelimit.Stats{Allowed: 3}) || events != 0 {
				t.Errorf("%s: %+v and %d events, want 3 allowed", name, s, events)
			}
			ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			checkIs(t, w.Wait(ctx), ratelimit.ErrLimited, context.DeadlineExceeded)
			checkIs(t, w.WaitN(t.Context(), 2), ratelimit.ErrTooLarge)
			if s := stats(); s != (ratelimit.Stats{Allowed: 3, Refused: 2}) || events != 2 {
				t.Errorf("%s: %+v and %d events, want 3 allowed and 2 refused", name, s, events)
			}
		}
	})
}

func TestSetReplacesNameAndHook(t *testing.T) {
	events := 0
	lim := ratelimit.NewLimiter(ratelimit.Config{Name: "a", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}})
	lim.AllowN(2)
	c := lim.Config()
	c.Name, c.OnEvent = "b", func(_ context.Context, e ratelimit.Event) {
		if events++; e.Name != "b" || e.Decision.Limit.Name != "b" {
			t.Errorf("event %+v, want the name b", e)
		}
	}
	if err := lim.Set(c); err != nil {
		t.Fatal(err)
	}
	c.Limits[0].N = 7 // a copy
	lim.AllowN(2)
	if events != 1 {
		t.Errorf("%d events, want 1", events)
	}
	checkEqual(t, lim.Config().Limits, []ratelimit.Limit{ratelimit.PerHour(1)})
	checkEqual(t, lim.Stats(), ratelimit.Stats{Name: "b", Refused: 2})
}

func TestStartEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limits := range [][]ratelimit.Limit{
			{ratelimit.PerSecond(2).WithBurst(3)}, {ratelimit.PerSecond(2).WithBurst(3), ratelimit.PerDay(1e6)}, {ratelimit.Inf(), ratelimit.PerSecond(2)},
		} {
			lim := ratelimit.NewLimiter(ratelimit.Config{Limits: limits, StartEmpty: true})
			if d := lim.Take(1); d.OK || d.RetryAfter != time.Second/2 {
				t.Errorf("%v: %+v, want a refusal for 500ms", limits, d)
			}
			time.Sleep(time.Second)
			if !lim.AllowN(2) || lim.Allow() {
				t.Errorf("%v: want 2 events after a second", limits)
			}
			if err := lim.Set(lim.Config()); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			if !lim.AllowN(2) {
				t.Errorf("%v: Set has emptied the limits", limits)
			}
		}
	})
}
