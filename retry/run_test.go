package retry_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// No attempt starts at MaxElapsed or later, also if a hook takes long.
func TestMaxElapsedHoldsAfterTheHook(t *testing.T) {
	for _, hook := range []time.Duration{500 * time.Millisecond, 2 * time.Second, 4 * time.Second} {
		t.Run(fmt.Sprint(hook), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				policy := constant(time.Second, 9)
				policy.MaxElapsed = 3 * time.Second
				budget := &retry.TokenBudget{PerSecond: -1}
				policy.Budget = budget
				policy.OnEvent = func(_ context.Context, e retry.Event) {
					if e.Kind == retry.KindRetry {
						time.Sleep(hook)
					}
				}
				p := failing(errBoom)
				_, err := retry.Do(t.Context(), policy, p.call)
				checkIs(t, err, retry.ErrElapsed)
				for _, start := range p.starts {
					if start >= policy.MaxElapsed {
						t.Errorf("an attempt started at %v, want before %v", start, policy.MaxElapsed)
					}
				}
				if got := time.Since(p.begin); got >= policy.MaxElapsed && hook < policy.MaxElapsed-time.Second {
					t.Errorf("returned after %v: the pause that could not end in time was begun", got)
				}
				checkEqual(t, budget.Stats().Granted-budget.Stats().Returned, int64(len(p.starts)-1))
			})
		})
	}
}

// A slow budget decides for a time.
type slow time.Duration

func (s slow) Withdraw(error) (int, bool)     { time.Sleep(time.Duration(s)); return 1, true }
func (slow) Settle(retry.Outcome, int, error) {}

func TestMaxElapsedHoldsAfterTheBudget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(time.Second, 3)
		policy.MaxElapsed, policy.Budget = 3*time.Second, slow(2*time.Second)
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrElapsed)
		checkEqual(t, len(p.starts), 1)
	})
}

// The tenth that is added to an asked pause does not make a call miss its
// deadline or its limit.
func TestAskedPauseFitsIntoTheTimeLeft(t *testing.T) {
	for _, limit := range []retry.Policy{{}, {MaxElapsed: 10 * time.Second}} {
		for i := range 100 {
			bubble(t, func(t *testing.T) {
				limit.Rand = func() float64 { return float64(i) / 99 }
				ctx := t.Context()
				if limit.MaxElapsed == 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
				}
				p := failing(retry.After(9500*time.Millisecond, errBoom), nil)
				if _, err := retry.Do(ctx, limit, p.call); err != nil || p.starts[1] < 9500*time.Millisecond {
					t.Errorf("draw %d: error %v, starts %v, want a retry between 9.5s and 10s", i, err, p.starts)
				}
			})
		}
	}
}

// refusal is the error of a guard that asks for a pause.
type refusal time.Duration

func (r refusal) Error() string             { return "refused" }
func (r refusal) Rejected() bool            { return true }
func (r refusal) RetryAfter() time.Duration { return time.Duration(r) }

// A refusal is waited out only as long as the policy's own pause could be, or
// as MaxRejected allows.
func TestRefusalsFailFast(t *testing.T) {
	const ms = time.Millisecond
	zero := func() float64 { return 0 }
	tests := []struct {
		name   string
		policy retry.Policy
		err    error
		waits  bool
	}{
		{"default, breaker", retry.Policy{}, refusal(5 * time.Second), false},
		{"default, limiter", retry.Policy{}, refusal(20 * ms), true},
		{"default, at the ceiling", retry.Policy{}, refusal(100 * ms), true},
		{"default, above the ceiling", retry.Policy{}, refusal(101 * ms), false},
		{"without a hint", retry.Policy{}, refusal(0), true},
		{"constant", retry.Policy{Backoff: retry.Constant(time.Second)}, refusal(time.Second), true},
		{"constant, above", retry.Policy{Backoff: retry.Constant(time.Second)}, refusal(1100 * ms), false},
		{"bound", retry.Policy{MaxRejected: time.Second}, refusal(time.Second), true},
		{"bound, above", retry.Policy{MaxRejected: time.Second}, refusal(time.Second + 1), false},
		{"no bound", retry.Policy{MaxRejected: -1}, refusal(time.Hour), true},
		{"no guard", retry.Policy{}, retry.After(time.Minute, errBoom), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tt.policy.Rand = zero
				p := failing(tt.err, nil)
				_, err := retry.Do(t.Context(), tt.policy, p.call)
				if tt.waits {
					checkEqual(t, err, nil)
					checkEqual(t, len(p.starts), 2)
					return
				}
				checkIs(t, err, retry.ErrRetryAfter, tt.err)
				checkEqual(t, time.Since(p.begin), 0)
			})
		})
	}
}

// After a healthy run the attempts and the pauses begin again.
func TestResetAfterAHealthyRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := retry.Policy{
			MaxAttempts: 3, ResetAfter: time.Hour,
			Backoff: retry.Exponential{Base: time.Second, Jitter: retry.None},
		}
		run := []time.Duration{0, time.Hour, 0, time.Hour - 1}
		var pauses []time.Duration
		end := time.Now()
		n := 0
		err := policy.Do(t.Context(), func(context.Context) error {
			pauses = append(pauses, time.Since(end))
			time.Sleep(run[n])
			n++
			end = time.Now()
			return errBoom
		})
		checkIs(t, err, retry.ErrExhausted)
		checkEqual(t, pauses, []time.Duration{0, time.Second, time.Second, 2 * time.Second})
		checkEqual(t, details(t, err).Attempts, 4)
	})
}

func TestAttemptsBeyondTheLargestInt(t *testing.T) {
	errs := make([]error, 6)
	for i := range errs {
		errs[i] = errBoom
	}
	policy := retry.Policy{MaxAttempts: retry.Unlimited, Backoff: retry.Constant(0)}
	err := details(t, retry.FailLate(policy, math.MaxInt-2, errs...))
	checkEqual(t, err.Attempts, math.MaxInt)
	checkIs(t, err.Last(), errBoom)
	checkIs(t, err.Join(), errBoom)
}
