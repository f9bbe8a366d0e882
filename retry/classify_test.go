package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

func TestPermanentThroughWrapping(t *testing.T) {
	tests := []struct {
		name string
		err  error
		text string
	}{
		{"bare", retry.Permanent(errBoom), "boom"},
		{"wrapped", fmt.Errorf("outer: %w", retry.Permanent(errBoom)), "outer: boom"},
		{"joined", errors.Join(errEarly, retry.Permanent(errBoom)), "early\nboom"},
		{"deep", fmt.Errorf("a: %w", errors.Join(errEarly, fmt.Errorf("b: %w", retry.Permanent(errBoom)))), "a: early\nb: boom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := failing(tt.err)
			policy := retry.Policy{RetryIf: func(error) bool { return true }}
			_, err := retry.Do(t.Context(), policy, p.call)
			checkIs(t, err, retry.ErrPermanent, errBoom)
			if e := details(t, err); e.Attempts != 1 || e.Last().Error() != tt.text {
				t.Errorf("Attempts, Last = %d, %q, want 1, %q", e.Attempts, e.Last(), tt.text)
			}
		})
	}
	if retry.Permanent(nil) != nil || retry.After(time.Second, nil) != nil {
		t.Error("marking nil does not give nil")
	}
	var typedNil *retry.Error
	_, err := retry.Do(t.Context(), constant(0, 2), failing(typedNil).call)
	checkIs(t, err, retry.ErrExhausted)
	_, err = retry.Do(t.Context(), constant(0, 2), failing(retry.Permanent(typedNil)).call)
	checkIs(t, err, retry.ErrPermanent)
}

func TestHints(t *testing.T) {
	hint := func(d time.Duration) error { return retry.After(d, errBoom) }
	zero, top := func() float64 { return 0 }, func() float64 { return 2 }
	const s, h = time.Second, time.Hour
	type times = []time.Duration
	tests := []struct {
		name   string
		policy retry.Policy // four attempts, pauses of 1s, 2s and 4s
		errs   []error
		reason error
		starts times
	}{
		{"exact without luck", retry.Policy{Rand: zero}, []error{hint(10 * s), nil}, nil, times{0, 10 * s}},
		{"jitter is added", retry.Policy{Rand: top}, []error{hint(10 * s), nil}, nil, times{0, 11*s - 1}},
		{"backoff begins anew", retry.Policy{Rand: zero}, []error{errBoom, hint(10 * s), errBoom, nil}, nil, times{0, s, 11 * s, 12 * s}},
		{"zero and negative are none", retry.Policy{}, []error{hint(0), hint(-5), nil}, nil, times{0, s, 3 * s}},
		{"too long stops", retry.Policy{}, []error{hint(61 * s)}, retry.ErrRetryAfter, times{0}},
		{"own limit", retry.Policy{MaxRetryAfter: s}, []error{hint(2 * s)}, retry.ErrRetryAfter, times{0}},
		{"no limit", retry.Policy{MaxRetryAfter: -1, Rand: zero}, []error{hint(10 * h), nil}, nil, times{0, 10 * h}},
		{"past MaxElapsed", retry.Policy{MaxElapsed: s}, []error{hint(2 * s)}, retry.ErrElapsed, times{0}},
		{"largest", retry.Policy{MaxRetryAfter: -1, MaxElapsed: 1}, []error{hint(1<<63 - 1)}, retry.ErrElapsed, times{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tt.policy.MaxAttempts = 4
				tt.policy.Backoff = retry.Exponential{Base: s, Jitter: retry.None}
				p := failing(tt.errs...)
				_, err := retry.Do(t.Context(), tt.policy, p.call)
				checkEqual(t, p.starts, tt.starts)
				if tt.reason == nil {
					if err != nil {
						t.Errorf("error = %v, want nil", err)
					}
					return
				}
				checkIs(t, err, tt.reason)
				if e := details(t, err); e.RetryAfter <= s {
					t.Errorf("Hint = %v, want what was asked for", e.RetryAfter)
				}
			})
		})
	}
}

func TestHintThroughTheChain(t *testing.T) {
	first, second := retry.After(time.Second, errBoom), retry.After(2*time.Second, errEarly)
	tests := map[string]error{
		"wrapped":     fmt.Errorf("outer: %w", first),
		"joined":      errors.Join(errBoom, first, second),
		"outer first": retry.After(time.Second, second),
		"pre-order":   errors.Join(errBoom, fmt.Errorf("a: %w", errors.Join(errBoom, first)), second),
	}
	for name, err := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				policy := retry.Policy{MaxAttempts: 2, Rand: func() float64 { return 0 }}
				p := failing(err)
				_, err := retry.Do(t.Context(), policy, p.call)
				checkIs(t, err, retry.ErrExhausted)
				checkEqual(t, p.starts, []time.Duration{0, time.Second})
			})
		})
	}
	t.Run("budget still applies", func(t *testing.T) {
		policy := retry.Policy{Budget: &retry.TokenBudget{Burst: -1}}
		_, err := retry.Do(t.Context(), policy, failing(first).call)
		checkIs(t, err, retry.ErrBudget)
	})
}

func TestRejectedAttemptsAreFree(t *testing.T) {
	policy := constant(0, 5)
	policy.Budget = &retry.TokenBudget{Burst: 1}
	p := failing(fmt.Errorf("guard: %w", rejected{}), rejected{}, errBoom, nil)
	_, err := retry.Do(t.Context(), policy, p.call)
	if err != nil || len(p.starts) != 4 {
		t.Errorf("attempts, error = %d, %v, want 4, nil", len(p.starts), err)
	}
}

func TestRejectedVerdictsAreNoDeposits(t *testing.T) {
	deposits := 0
	policy := constant(0, 5)
	policy.Budget = budgetFunc(func() { deposits++ })
	_, err := retry.Do(t.Context(), policy, failing(retry.Permanent(rejected{})).call)
	if checkIs(t, err, retry.ErrPermanent); deposits != 0 {
		t.Errorf("deposits = %d, want 0: the other side was not asked", deposits)
	}
}

type rejected struct{}

func (rejected) Error() string { return "rejected" }

func (rejected) Rejected() bool { return true }

func TestRetryable(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"plain", errBoom, true},
		{"canceled", fmt.Errorf("x: %w", context.Canceled), false},
		{"deadline", context.DeadlineExceeded, true},
		{"permanent", retry.Permanent(errBoom), false},
		{"says no", says(false), false},
		{"says yes", says(true), true},
		{"outer says first", errors.Join(says(true), says(false)), true},
		{"says yes, canceled", errors.Join(context.Canceled, says(true)), true},
		{"says yes, permanent", errors.Join(says(true), retry.Permanent(errBoom)), false},
	}
	for _, tt := range tests {
		if got := retry.Retryable(tt.err); got != tt.want {
			t.Errorf("%s: Retryable = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// says is an error with an opinion.
type says bool

func (s says) Error() string { return "says " + fmt.Sprint(bool(s)) }

func (s says) Retryable() bool { return bool(s) }
