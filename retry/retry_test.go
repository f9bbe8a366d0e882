package retry_test

import (
	"context"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/redoubt-go/redoubt/retry"
)

func TestDoneContextCallsNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	p := failing(nil)
	var events []retry.Event
	policy := retry.Policy{OnEvent: func(_ context.Context, e retry.Event) { events = append(events, e) }}
	_, err := retry.Do(ctx, policy, p.call)
	checkIs(t, err, context.Canceled, errCause)
	checkEqual(t, len(p.starts), 0)
	if e := details(t, err); e.Attempts != 0 || e.Last() != nil {
		t.Errorf("Attempts, Last = %d, %v, want 0, nil", e.Attempts, e.Last())
	}
	if len(events) != 1 || events[0].Kind != retry.KindDone {
		t.Errorf("events = %v, want one Done", events)
	}
	var loopErr error
	for range policy.Attempts(ctx, &loopErr) {
		t.Error("Attempts ran its body")
	}
	checkIs(t, loopErr, context.Canceled, errCause)
}

func TestPauseIntoDeadlineIsNotBegun(t *testing.T) {
	for _, pause := range []time.Duration{3 * time.Second, 10 * time.Second} {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			p := failing(errBoom)
			_, err := retry.Do(ctx, constant(pause, 5), p.call)
			checkIs(t, err, context.DeadlineExceeded, retry.ErrDeadline, errBoom)
			if got := time.Since(p.begin); got != 0 {
				t.Errorf("pause of %v: returned after %v, want at once", pause, got)
			}
		})
	}
}

func TestNoAttemptOnceContextIsDone(t *testing.T) {
	t.Run("timer and cancellation tie", func(t *testing.T) {
		for range 1000 {
			inner, cancel := context.WithCancel(t.Context())
			p := failing(errBoom)
			_, err := retry.Do(tieContext{inner, cancel}, constant(1, 5), p.call)
			checkIs(t, err, context.Canceled)
			if len(p.starts) != 1 {
				t.Fatalf("attempts = %d, want 1", len(p.starts))
			}
		}
	})
	t.Run("hook cancels", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		policy := constant(0, 5)
		policy.OnEvent = func(context.Context, retry.Event) { cancel() }
		p := failing(errBoom)
		_, err := retry.Do(ctx, policy, p.call)
		checkIs(t, err, context.Canceled, errBoom)
		if len(p.starts) != 1 {
			t.Errorf("attempts = %d, want 1", len(p.starts))
		}
	})
}

// A tieContext is done as soon as a pause looks at it, when the pause's timer
// of a nanosecond has as good as fired too.
type tieContext struct {
	context.Context
	cancel context.CancelFunc
}

func (c tieContext) Done() <-chan struct{} {
	c.cancel()
	return c.Context.Done()
}

func TestOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var kinds []retry.Kind
		policy := constant(time.Second, 1)
		policy.OnEvent = func(_ context.Context, e retry.Event) { kinds = append(kinds, e.Kind) }
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrExhausted, errBoom)
		checkEqual(t, p.starts, []time.Duration{0})
		checkEqual(t, kinds, []retry.Kind{retry.KindDone})
		if got := time.Since(p.begin); got != 0 {
			t.Errorf("slept %v after the last attempt, want 0", got)
		}
	})
	t.Run("zero value calls", func(t *testing.T) {
		p := failing(nil)
		if v, err := retry.Do(t.Context(), retry.Policy{}, p.call); v != 1 || err != nil {
			t.Errorf("Do = %v, %v, want 1, nil", v, err)
		}
	})
}

func TestZeroPauseSeesCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := constant(-1, retry.Unlimited).Do(ctx, func(context.Context) error {
		if n++; n == 1000 {
			cancel()
		}
		return errBoom
	})
	checkIs(t, err, context.Canceled, errBoom)
	if n != 1000 {
		t.Errorf("attempts = %d, want 1000", n)
	}
}

func TestElapsedDoesNotOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(1<<63-1, 5)
		policy.MaxElapsed = time.Hour
		p := failing(errBoom)
		p.work = time.Second
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrElapsed, errBoom)
		checkEqual(t, p.starts, []time.Duration{0})
	})
}

func TestNoStartAtTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(5*time.Second, 10)
		policy.MaxElapsed = 10 * time.Second
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrElapsed)
		checkEqual(t, p.starts, []time.Duration{0, 5 * time.Second})
		if got := time.Since(p.begin); got != 5*time.Second {
			t.Errorf("returned after %v, want 5s", got)
		}
	})
}

func TestClockStartsWithTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(time.Second, 4)
		policy.MaxElapsed = 10 * time.Second
		time.Sleep(time.Minute)
		for range 2 {
			p := failing(errBoom)
			_, err := retry.Do(t.Context(), policy, p.call)
			checkIs(t, err, retry.ErrExhausted)
			checkEqual(t, p.starts, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second})
		}
	})
}

func TestPanicAndGoexitPassThrough(t *testing.T) {
	var attemptCtx context.Context
	var events, deposits int
	policy := constant(0, 3)
	policy.AttemptTimeout = time.Minute
	policy.Budget = budgetFunc(func() { deposits++ })
	policy.OnEvent = func(context.Context, retry.Event) { events++ }
	tests := map[string]func(){
		"panic":  func() { panic(errBoom) },
		"goexit": runtime.Goexit,
	}
	for name, leave := range tests {
		t.Run(name, func(t *testing.T) {
			ended := make(chan any, 1)
			go func() {
				defer func() { ended <- recover() }()
				policy.Do(t.Context(), func(ctx context.Context) error {
					attemptCtx = ctx
					leave()
					return nil
				})
				t.Error("Do returned")
			}()
			if got := <-ended; name == "panic" && got != errBoom {
				t.Errorf("recovered %v, want the value of the panic", got)
			}
			checkIs(t, attemptCtx.Err(), context.Canceled)
			if events != 0 || deposits != 0 {
				t.Errorf("events, deposits = %d, %d, want none", events, deposits)
			}
		})
	}
}

// budgetFunc is a budget that always has tokens and calls itself on deposits.
type budgetFunc func()

func (f budgetFunc) Withdraw(error) (int, bool) { return 1, true }

func (f budgetFunc) Settle(o retry.Outcome, _ int, _ error) {
	if o <= retry.OutcomeVerdict {
		f()
	}
}

func TestHooksMayDoAnything(t *testing.T) {
	t.Run("RetryIf once per failure", func(t *testing.T) {
		asked := 0
		policy := constant(0, 4)
		policy.RetryIf = func(error) bool { asked++; return true }
		policy.Do(t.Context(), func(context.Context) error { return errBoom })
		if asked != 4 {
			t.Errorf("RetryIf asked %d times, want 4", asked)
		}
	})
	t.Run("panic in the hook", func(t *testing.T) {
		policy := constant(0, 4)
		policy.OnEvent = func(context.Context, retry.Event) { panic(errBoom) }
		defer func() {
			if got := recover(); got != errBoom {
				t.Errorf("recovered %v, want %v", got, errBoom)
			}
		}()
		policy.Do(t.Context(), func(context.Context) error { return errBoom })
	})
	t.Run("hook blocks past the deadline", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			policy := constant(0, 4)
			policy.OnEvent = func(context.Context, retry.Event) { time.Sleep(time.Minute) }
			p := failing(errBoom)
			_, err := retry.Do(ctx, policy, p.call)
			checkIs(t, err, context.DeadlineExceeded, errBoom)
			checkEqual(t, p.starts, []time.Duration{0})
		})
	})
	t.Run("hook calls back", func(t *testing.T) {
		policy := constant(0, 2)
		inner := 0
		policy.OnEvent = func(ctx context.Context, _ retry.Event) {
			constant(0, 2).Do(ctx, func(context.Context) error { inner++; return errBoom })
		}
		policy.Do(t.Context(), func(context.Context) error { return errBoom })
		if inner != 4 {
			t.Errorf("inner attempts = %d, want 4", inner)
		}
	})
}

func TestLastValueComesWithTheError(t *testing.T) {
	v, err := retry.Do(t.Context(), constant(0, 3), failing(errBoom).call)
	if v != 3 || err == nil {
		t.Errorf("Do = %d, %v, want 3 and an error", v, err)
	}
}

func TestZeroPolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), retry.Policy{Rand: func() float64 { return .5 }}, p.call)
		checkIs(t, err, retry.ErrExhausted, errBoom)
		checkEqual(t, p.starts, []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond})
	})
}

func TestCosts(t *testing.T) {
	if size := unsafe.Sizeof(retry.Policy{}); size > 160 {
		t.Errorf("size of Policy = %d, want at most 160", size)
	}
	if size := unsafe.Sizeof(retry.TokenBudget{}); size > 96 {
		t.Errorf("size of TokenBudget = %d, want at most 96", size)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ok := func(context.Context) (int, error) { return 1, nil }
	n := 0
	thirdTime := func(context.Context) (int, error) {
		if n++; n%3 != 0 {
			return 0, errBoom
		}
		return n, nil
	}
	fails := func(context.Context) (int, error) { return 0, errBoom }
	policy := constant(0, 5)
	full := constant(0, 3)
	full.Budget, full.MaxElapsed = &retry.TokenBudget{}, time.Hour
	timeout := retry.Policy{AttemptTimeout: time.Hour}
	tests := []struct {
		name string
		want float64
		f    func()
	}{
		{"success", 0, func() { retry.Do(ctx, retry.Policy{}, ok) }},
		{"two retries", 0, func() { retry.Do(ctx, policy, thirdTime) }},
		{"two retries, budget and clock", 0, func() { retry.Do(ctx, full, thirdTime) }},
		{"exponential pause on Background", 1, func() {
			p := retry.Policy{Backoff: retry.Exponential{Base: 2}}
			retry.Do(context.Background(), p, thirdTime)
		}},
		{"two pauses under a context", 4, func() { retry.Do(ctx, constant(1, 3), thirdTime) }},
		{"loop", 0, func() {
			var err error
			for range policy.Attempts(ctx, &err) {
				_, err = thirdTime(ctx)
			}
		}},
		{"poll", 0, func() {
			retry.Poll(ctx, retry.Interval(time.Hour), func(context.Context) (int, bool, error) { return 1, true, nil })
		}},
		{"exhausted", 2, func() { retry.Do(ctx, policy, fails) }},
		{"permanent", 2, func() {
			retry.Do(ctx, policy, func(context.Context) (int, error) { return 0, retry.Permanent(errBoom) })
		}},
		{"attempt timeout", 4, func() { retry.Do(ctx, timeout, ok) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.want {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.want)
		}
	}
}
