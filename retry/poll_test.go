package retry_test

import (
	"context"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

func TestPoll(t *testing.T) {
	type state struct {
		v    string
		done bool
		err  error
	}
	pending, ready := state{v: "pending"}, state{v: "ready", done: true}
	tests := []struct {
		name   string
		policy retry.Policy
		states []state
		want   string
		errs   []error
		checks int
	}{
		{"done at once", retry.Interval(time.Second), []state{ready}, "ready", nil, 1},
		{"done at last", retry.Interval(time.Second), []state{pending, {err: errBoom}, pending, ready}, "ready", nil, 4},
		{"more than the attempts of Do", constant(time.Second, 0), []state{pending, pending, pending, pending, ready}, "ready", nil, 5},
		{"failed for good", retry.Interval(time.Second), []state{{"broken", true, errBoom}}, "broken", []error{retry.ErrPermanent, errBoom}, 1},
		{"not worth a retry", retry.Interval(time.Second), []state{{"?", false, retry.Permanent(errBoom)}}, "?", []error{errBoom}, 1},
		{"over time", retry.Interval(time.Second), []state{pending}, "pending", []error{context.DeadlineExceeded, retry.ErrPending}, 11},
		{"over time with an error", retry.Interval(time.Second), []state{pending, {"?", false, errBoom}}, "?", []error{context.DeadlineExceeded, errBoom}, 11},
		{"RetryIf is not asked about pending", retry.Policy{RetryIf: retry.On(errEarly), Backoff: retry.Constant(1)}, []state{pending, {err: errEarly}, ready}, "ready", nil, 3},
		{"pending costs no budget", retry.Policy{Budget: &retry.TokenBudget{Burst: -1}, Backoff: retry.Constant(1)}, []state{pending, pending, ready}, "ready", nil, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
				defer cancel()
				n := 0
				got, err := retry.Poll(ctx, tt.policy, func(context.Context) (string, bool, error) {
					s := tt.states[min(n, len(tt.states)-1)]
					n++
					return s.v, s.done, s.err
				})
				if got != tt.want || n != tt.checks || (err != nil) != (tt.errs != nil) {
					t.Errorf("Poll = %q, %v after %d checks, want %q after %d", got, err, n, tt.want, tt.checks)
				}
				checkIs(t, err, tt.errs...)
			})
		})
	}
}

// A wait looks once more before its time is over, but does not end in a flurry.
func TestPollLooksOnceMore(t *testing.T) {
	tests := []struct {
		name   string
		policy retry.Policy
		limit  time.Duration // of the context
		ready  time.Duration
		checks []time.Duration
		ok     bool
	}{
		{"before the deadline", retry.Interval(10 * s), 30 * s, 25 * s, []time.Duration{0, 10 * s, 20 * s, 29 * s}, true},
		{"in vain", retry.Interval(10 * s), 30 * s, time.Hour, []time.Duration{0, 10 * s, 20 * s, 29 * s}, false},
		{"before MaxElapsed", retry.Policy{Backoff: retry.Constant(10 * s), MaxElapsed: 30 * s}, time.Hour, 25 * s, []time.Duration{0, 10 * s, 20 * s, 29 * s}, true},
		{"limits its attempts", retry.Policy{Backoff: retry.Constant(10 * s), MaxAttempts: 2}, 30 * s, 25 * s, []time.Duration{0, 10 * s}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), tt.limit)
				defer cancel()
				begin := time.Now()
				var checks []time.Duration
				_, err := retry.Poll(ctx, tt.policy, func(context.Context) (int, bool, error) {
					checks = append(checks, time.Since(begin))
					return 0, time.Since(begin) >= tt.ready, nil
				})
				checkEqual(t, checks, tt.checks)
				checkEqual(t, err == nil, tt.ok)
			})
		})
	}
}
