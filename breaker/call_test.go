package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// accept admits a call and reports its answer.
func accept(t *testing.T, ctx context.Context, g breaker.Gate) *breaker.Call {
	t.Helper()
	c := new(breaker.Call)
	if err := c.Begin(ctx, g); err != nil {
		t.Fatalf("Begin: %v", err)
	}
	c.Answered()
	return c
}

// TestLongBodyIsNotSlow shows that the time after the answer is not part of the
// duration of a call.
func TestLongBodyIsNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall = time.Second
		b := breaker.New(cfg)
		for range 20 {
			c := accept(t, t.Context(), b)
			time.Sleep(time.Minute)
			c.Done(nil)
		}
		checkState(t, b, breaker.StateClosed)
		if s := b.Stats(); s.Slow != 0 || s.Successes != 20 || s.Usual > time.Millisecond {
			t.Errorf("stats %+v, want 20 successes, none slow", s)
		}
		time.Sleep(cfg.Window)
		for range 4 {
			c := mustAllow(t, b)
			time.Sleep(time.Second)
			c.Answered()
			c.Done(nil)
		}
		checkState(t, b, breaker.StateOpen)
	})
}

// TestLongBodyDoesNotHang begins calls that answer and then go on for an hour,
// beside nothing that succeeds. The test of the test leaves out the answers.
func TestLongBodyDoesNotHang(t *testing.T) {
	for _, answers := range []bool{true, false} {
		t.Run(fmt.Sprint("answers ", answers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(breaker.Config{})
				for range 100 {
					b.Do(t.Context(), func(context.Context) error { time.Sleep(100 * time.Millisecond); return nil })
				}
				for range 1000 {
					accept(t, t.Context(), b).Done(nil) // an end takes the answer back
				}
				refused := 0
				for range 600 {
					c, err := b.Allow(t.Context())
					if err != nil {
						refused++
					} else if answers {
						c.Answered()
						defer c.Done(nil)
					}
					time.Sleep(100 * time.Millisecond)
				}
				if (refused == 0) != answers {
					t.Errorf("%d calls refused, reason %q", refused, b.Stats().Reason)
				}
			})
		})
	}
}

// TestBodiesThatBreak shows that the end of an answered call still decides.
func TestBodiesThatBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := halfOpen(t, steady())
		c := accept(t, t.Context(), b)
		if got := b.Stats().Probes; got != 1 {
			t.Errorf("%d probes, want the answered call to hold its place", got)
		}
		c.Done(errDown)
		checkState(t, b, breaker.StateOpen)
		time.Sleep(8 * time.Second)
		for range 2 {
			accept(t, t.Context(), b).Done(nil)
		}
		checkState(t, b, breaker.StateClosed)
	})
}

// TestCanceledAfterTheAnswer shows that a caller may give up a body at any
// time, while a deadline needs the whole of it.
func TestCanceledAfterTheAnswer(t *testing.T) {
	for _, answered := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := breaker.New(steady())
			ctx, cancel := context.WithCancel(t.Context())
			for range 10 {
				b.Do(ctx, func(context.Context) error { time.Sleep(10 * time.Millisecond); return nil })
			}
			d := new(breaker.Call)
			d.Begin(ctx, b)
			time.Sleep(10 * time.Millisecond)
			if answered {
				d.Answered()
			}
			time.Sleep(5 * time.Second)
			cancel()
			d.Done(ctx.Err())
			if got := b.Stats().Ignored == 1; got != answered {
				t.Errorf("answered %v: ignored %v", answered, got)
			}
		})
	}
}

// TestTimeoutOrCancel shows who gave up a call: a deadline that has passed
// counts, even if the context was canceled at the same time, or not yet.
func TestTimeoutOrCancel(t *testing.T) {
	deadline := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithTimeout(ctx, time.Second)
	}
	tests := map[string]struct {
		ctx  func(context.Context) (context.Context, context.CancelFunc)
		end  func(cancel context.CancelFunc)
		want breaker.Outcome
	}{
		"deadline":            {deadline, func(context.CancelFunc) { time.Sleep(time.Second); synctest.Wait() }, breaker.OutcomeFailure},
		"canceled":            {deadline, func(cancel context.CancelFunc) { time.Sleep(time.Second / 2); cancel() }, breaker.OutcomeIgnored},
		"canceled at the end": {frozen, func(cancel context.CancelFunc) { time.Sleep(time.Second); cancel() }, breaker.OutcomeFailure},
		"timer late":          {frozen, func(context.CancelFunc) { time.Sleep(time.Second) }, breaker.OutcomeFailure},
		"not ended":           {frozen, func(context.CancelFunc) { time.Sleep(time.Second / 2) }, breaker.OutcomeFailure},
		"cause is a timeout": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			return ctx, func() { cancel(fmt.Errorf("attempt: %w", context.DeadlineExceeded)) }
		}, func(cancel context.CancelFunc) { time.Sleep(time.Second); cancel() }, breaker.OutcomeFailure},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(steady())
				ctx, cancel := tt.ctx(t.Context())
				defer cancel()
				b.Do(ctx, func(context.Context) error { tt.end(cancel); return errors.New("request canceled") })
				s := b.Stats()
				if got := [3]uint64{s.Successes, s.Failures, s.Ignored}; got[tt.want] != 1 {
					t.Errorf("counted %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// frozen has a deadline in a second, which ends nothing by itself.
func frozen(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	return late{ctx, time.Now().Add(time.Second)}, cancel
}

type late struct {
	context.Context
	end time.Time
}

func (l late) Deadline() (time.Time, bool) { return l.end, true }

func TestZeroCall(t *testing.T) {
	var c breaker.Call
	c.Answered()
	c.Done(nil)
	c.Report(breaker.OutcomeFailure)
	if err := c.Begin(bg, breaker.New(steady())); err != nil {
		t.Errorf("Begin: %v", err)
	}
	c.Done(nil)
	c.Answered()
	c.Done(errDown)
}

func TestAnsweredTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := steady()
		cfg.SlowCall = time.Second
		b := breaker.New(cfg)
		c := accept(t, t.Context(), b)
		time.Sleep(time.Minute)
		c.Answered()
		c.Done(nil)
		if got := b.Stats().Slow; got != 0 {
			t.Errorf("%d slow calls, want the first answer to count", got)
		}
		var none *breaker.Breaker
		for _, g := range []breaker.Gate{none, breaker.NewThrottle(breaker.ThrottleConfig{})} {
			accept(t, t.Context(), g).Done(nil)
		}
	})
}
