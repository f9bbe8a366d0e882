package breaker_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestSet(t *testing.T) {
	t.Run("thresholds apply at once", func(t *testing.T) {
		b := breaker.New(breaker.Config{Consecutive: 10})
		repeat(6, fail, b)
		checkState(t, b, breaker.StateClosed)
		if err := b.Set(breaker.Config{Consecutive: 7}); err != nil {
			t.Fatal(err)
		}
		fail(b)
		checkState(t, b, breaker.StateOpen)
	})
	t.Run("the state and its end are kept", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(steady())
			b.Trip(time.Minute, errDown)
			cfg := steady()
			cfg.OpenFor = time.Millisecond
			b.Set(cfg)
			if got := b.Stats().RetryAfter; got != time.Minute {
				t.Errorf("open for %v, want 1m", got)
			}
		})
	})
	t.Run("the window is kept", func(t *testing.T) {
		b := breaker.New(steady())
		repeat(2, fail, b)
		cfg := steady()
		cfg.Probes = 5
		b.Set(cfg)
		if got := b.Stats().WindowFailures; got != 2 {
			t.Errorf("%d failures in the window, want 2", got)
		}
	})
	t.Run("a new length resets the window", func(t *testing.T) {
		for _, change := range []func(*breaker.Config){
			func(c *breaker.Config) { c.Window = time.Minute },
			func(c *breaker.Config) { c.WindowCalls = 100 },
		} {
			b := breaker.New(steady())
			repeat(2, fail, b)
			cfg := steady()
			change(&cfg)
			b.Set(cfg)
			if s := b.Stats(); s.WindowFailures != 0 || s.Failures != 2 {
				t.Errorf("%d failures in the window, %d in all; want 0 and 2", s.WindowFailures, s.Failures)
			}
			repeat(4, fail, b)
			checkState(t, b, breaker.StateOpen)
		}
	})
	t.Run("calls that run are kept", func(t *testing.T) {
		b := breaker.New(steady())
		c := mustAllow(t, b)
		b.Set(breaker.Config{Window: time.Minute})
		c.Done(errDown)
		if s := b.Stats(); s.Failures != 1 || s.Late != 0 {
			t.Errorf("%d failures and %d late, want 1 and 0", s.Failures, s.Late)
		}
	})
	t.Run("the name and the hook", func(t *testing.T) {
		var names []string
		b := breaker.New(steady())
		b.Set(breaker.Config{Name: "new", OnEvent: func(_ context.Context, e breaker.Event) { names = append(names, e.Name) }})
		b.ForceOpen()
		b.Set(breaker.Config{})
		b.Reset()
		checkEqual(t, names, []string{"new"})
		if b.Name() != "" {
			t.Errorf("name %q", b.Name())
		}
	})
	t.Run("fewer probes end a half-open state that has so many", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			cfg := steady()
			cfg.Probes = 10
			b := halfOpen(t, cfg)
			repeat(5, succeed, b)
			b.Set(steady())
			if err := succeed(b); err != nil {
				t.Errorf("5 probes have succeeded, 2 are enough: %v", err)
			}
			checkState(t, b, breaker.StateClosed)
		})
	})
	t.Run("a hook may remove TripIf", func(t *testing.T) {
		breaker.Ask(breaker.New(breaker.Config{})) // the rest of a call
	})
	t.Run("an error changes nothing", func(t *testing.T) {
		b := breaker.New(steady())
		bad := breaker.Config{Window: -1, Probes: -1}
		if err := b.Set(bad); err == nil || err.Error() != bad.Validate().Error() {
			t.Errorf("error %v", err)
		}
		if got := b.Config(); got.Probes != 2 || got.Window != 10*time.Second {
			t.Errorf("configuration %+v, want the old one", got)
		}
	})
}

// Config returns the values in force, which make the same breaker again.
func TestConfigInForce(t *testing.T) {
	got := breaker.New(breaker.Config{Name: "dep"}).Config()
	if got.Window != 10*time.Second || got.MinCalls != 20 || got.OpenFor != 4*time.Second || got.MaxOpenFor != time.Minute || got.Classify == nil {
		t.Errorf("got %+v, want the defaults filled in", got)
	}
	again := breaker.New(got).Config()
	got.Classify, again.Classify = nil, nil
	checkEqual(t, again, got)
	off := breaker.Config{FailureRatio: -1, Consecutive: -1, SlowCall: -1, MaxOpenFor: -1, WindowCalls: -1, SlowRatio: -1, Jitter: -1, MinCalls: -1}
	if err := breaker.New(breaker.New(off).Config()).Config().Validate(); err != nil {
		t.Error(err)
	}
	var none *breaker.Breaker
	if none.Set(breaker.Config{}) != nil || none.Config().Window != 0 || none.Name() != "" {
		t.Error("a nil breaker has a configuration")
	}
}

// Set may be called while calls run and end.
func TestSetUnderLoad(t *testing.T) {
	b := breaker.New(steady())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2000 {
				if i%50 == 0 {
					cfg := steady()
					cfg.Window = time.Duration(i+10) * time.Microsecond
					cfg.WindowCalls = i % 100 * 10
					b.Set(cfg)
				}
				if i%7 == 0 {
					fail(b)
				} else {
					succeed(b)
				}
				b.Config()
			}
		})
	}
	wg.Wait()
	s := b.Stats()
	if got := s.Successes + s.Failures + s.Late + s.Rejected; got != 8000 {
		t.Errorf("%d calls counted, want 8000", got)
	}
}

// Each misconfiguration is named by a hint.
func TestHints(t *testing.T) {
	expire := func(b *breaker.Breaker, timeout time.Duration) {
		ctx, cancel := context.WithTimeout(bg, timeout)
		defer cancel()
		b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	}
	tests := []struct {
		name string
		cfg  breaker.Config
		act  func(t *testing.T, b *breaker.Breaker)
		want string
	}{
		{"none", breaker.Config{}, func(t *testing.T, b *breaker.Breaker) { teach(t, b, time.Second) }, ""},
		{"SlowCall above the timeouts", breaker.Config{SlowCall: 3 * time.Second, Consecutive: -1}, func(t *testing.T, b *breaker.Breaker) {
			for range 5 {
				expire(b, 2*time.Second)
			}
		}, "SlowCall is 3s, but callers give up earlier"},
		{"probes outlive ProbeTimeout", breaker.Config{ProbeTimeout: 30 * time.Second}, func(t *testing.T, b *breaker.Breaker) {
			b.Trip(time.Second, nil)
			time.Sleep(time.Second)
			c := mustAllow(t, b)
			time.Sleep(31 * time.Second)
			succeed(b)
			c.Done(nil)
		}, "ProbeTimeout is 30s, but probes that take longer succeed"},
		{"calls rarer than open periods", breaker.Config{Jitter: -1}, func(t *testing.T, b *breaker.Breaker) {
			for range 5 {
				repeat(5, fail, b)
				time.Sleep(11 * time.Second)
				repeat(2, succeed, b)
			}
		}, "calls are rarer than open periods, which refuse nothing"},
		{"calls rarer than open periods, never well", breaker.Config{MaxOpenFor: 10 * time.Second}, func(t *testing.T, b *breaker.Breaker) {
			for range 20 {
				fail(b)
				time.Sleep(12 * time.Second)
			}
		}, "calls are rarer than open periods, which refuse nothing"},
		{"deadlines shorter than a success", breaker.Config{}, func(t *testing.T, b *breaker.Breaker) {
			teach(t, b, 20*time.Millisecond)
			for range 5 {
				expire(b, time.Millisecond)
			}
		}, "deadlines of callers are shorter than a success, which takes 20ms"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen []string
				tt.cfg.OnEvent = func(_ context.Context, e breaker.Event) { seen = append(seen, e.LogValue().String()) }
				b := breaker.New(tt.cfg)
				tt.act(t, b)
				if got := b.Stats().Hint; got != tt.want {
					t.Errorf("hint %q, want %q", got, tt.want)
				}
				b.ForceOpen()
				if last := seen[len(seen)-1]; tt.want != "" && !strings.Contains(last, tt.want) {
					t.Errorf("event %s, want the hint in it", last)
				}
			})
		})
	}
}

// The figures that opened a breaker stay visible while it is open.
func TestStatsWhileOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		succeed(b)
		repeat(3, fail, b)
		for _, reason := range []string{"failure ratio", "tripped"} {
			s := b.Stats()
			if s.State != breaker.StateOpen || s.WindowCalls != 4 || s.WindowFailures != 3 || s.Consecutive != 3 || s.Reason != reason {
				t.Errorf("%+v, want the window that opened the breaker, and %s", s, reason)
			}
			b.Trip(10*time.Second, nil) // extends
		}
	})
}

// Stats changes nothing: a breaker that is looked at goes the same way as
// another. The oracle is the other.
func TestStatsChangesNothing(t *testing.T) {
	checkProperty(t, "StatsChangesNothing", propStats())
}

// A Trip that extends an opening counts for the backoff.
func TestTripExtendsTheBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(steady())
		b.Trip(time.Second, nil)
		b.Trip(time.Hour, nil)
		time.Sleep(time.Hour)
		repeat(2, succeed, b)
		time.Sleep(6 * time.Second) // shorter than the last opening
		b.Trip(0, nil)
		if got := b.Stats().RetryAfter; got != 8*time.Second {
			t.Errorf("open for %v, want MaxOpenFor", got)
		}
	})
}
