package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// layers wraps fn in n layers of policy p.
func layers(p retry.Policy, n int, fn func(context.Context) (int, error)) func(context.Context) (int, error) {
	for range n {
		fn = retry.Wrap(p, fn)
	}
	return fn
}

func TestRetriesDoNotMultiply(t *testing.T) {
	for n, want := range map[int]int{1: 4, 2: 7, 3: 7, 4: 7, 8: 7} {
		t.Run(fmt.Sprint(n, " layers"), func(t *testing.T) {
			p := failing(errBoom)
			_, err := layers(constant(0, 4), n, p.call)(t.Context())
			checkIs(t, err, errBoom)
			checkEqual(t, len(p.starts), want)
		})
	}
	t.Run("errors that lose their cause, with pauses", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			p := failing(errBoom)
			policy := constant(time.Second, 4)
			inner := retry.Wrap(policy, p.call)
			_, err := retry.Do(t.Context(), policy, func(ctx context.Context) (int, error) {
				if _, err := inner(ctx); err != nil {
					return 0, errors.New(err.Error())
				}
				return 1, nil
			})
			checkIs(t, err, retry.ErrExhausted)
			checkEqual(t, len(p.starts), 7)
		})
	})
	t.Run("a call of one attempt is no layer", func(t *testing.T) {
		p := failing(errBoom)
		_, err := layers(constant(0, 4), 2, retry.Wrap(constant(0, 1), p.call))(t.Context())
		checkIs(t, err, retry.ErrExhausted, errBoom)
		checkEqual(t, len(p.starts), 7)
	})
	t.Run("the inner call succeeds at last", func(t *testing.T) {
		p := failing(errBoom, errBoom, errBoom, errBoom, errBoom, nil)
		v, err := layers(constant(0, 4), 4, p.call)(t.Context())
		if v != 6 || err != nil {
			t.Errorf("call = %d, %v, want 6, nil", v, err)
		}
	})
}

func TestNestedCallMakesOneAttempt(t *testing.T) {
	ctx := retry.Nest(t.Context())
	p := failing(errBoom)
	_, err := retry.Do(ctx, constant(0, 4), p.call)
	checkIs(t, err, retry.ErrNested, errBoom)
	checkEqual(t, len(p.starts), 1)
	checkEqual(t, retry.Retryable(err), true) // the outer call decides

	_, err = retry.Do(ctx, constant(0, 4), func(ctx context.Context) (int, error) {
		return retry.Do(retry.Unnest(ctx), constant(0, 2), failing(errBoom).call)
	})
	checkIs(t, err, retry.ErrNested)
	checkEqual(t, retry.Retryable(err), true) // also if a call inside retried

	derived, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	checkEqual(t, retry.Nested(derived), true)
	checkEqual(t, retry.Nested(retry.Unnest(derived)), false)
	checkEqual(t, retry.Unnest(t.Context()) == t.Context(), true)

	p = failing(errBoom, nil)
	if _, err := retry.Do(retry.Unnest(derived), constant(0, 4), p.call); err != nil {
		t.Errorf("after Unnest: %v, want nil", err)
	}
	n := 0
	_, err = retry.Poll(ctx, retry.Interval(0), func(context.Context) (int, bool, error) { n++; return n, n == 3, errBoom })
	checkIs(t, err, retry.ErrPermanent)
	checkEqual(t, n, 3) // a wait is not the retry of a call
}

// The reason of an inner call decides whether an outer call may retry.
func TestInnerVerdictHoldsOutside(t *testing.T) {
	busy := constant(0, 3)
	busy.RetryIf = retry.On(errEarly)
	budget := constant(0, 3)
	budget.Budget = &retry.TokenBudget{Burst: -1}
	elapsed := constant(time.Hour, 3)
	elapsed.MaxElapsed = time.Minute
	after := constant(0, 3)
	tests := []struct {
		name   string
		policy retry.Policy
		err    error
		calls  int
	}{
		{"not retryable", busy, errBoom, 1},
		{"budget", budget, errBoom, 1},
		{"time limit", elapsed, errBoom, 1},
		{"asked to wait too long", after, retry.After(time.Hour, errBoom), 1},
		{"exhausted", constant(0, 1), errBoom, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := failing(tt.err)
			_, err := retry.Do(t.Context(), constant(0, 3), func(ctx context.Context) (int, error) {
				return retry.Do(ctx, tt.policy, p.call)
			})
			checkIs(t, err, errBoom)
			checkEqual(t, len(p.starts), tt.calls)
		})
	}
}

// The attempts of two layers with the same budget are settled once.
func TestNestedCallsSettleOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		outcomes := &ledger{}
		policy := constant(time.Second, 2)
		policy.Budget = outcomes
		p := failing(retry.Permanent(errBoom))
		n := 0
		_, err := retry.Do(t.Context(), policy, func(ctx context.Context) (int, error) {
			if n++; n == 1 {
				return 0, errBoom
			}
			_, err := retry.Do(ctx, policy, p.call)
			return 0, errors.Unwrap(fmt.Errorf("%w", err))
		})
		checkIs(t, err, retry.ErrPermanent)
		checkEqual(t, outcomes.settled, []string{"failure 0 boom", "verdict 1 retry: not retryable after 1 attempt: boom"})
	})
}

// A Poll pays for its retries itself, also inside an attempt with its budget.
func TestNestedPollPays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		outcomes := &ledger{}
		policy := constant(time.Second, 2)
		policy.Budget = outcomes
		p, check := failing(errBoom, nil), failing(errEarly, nil)
		_, err := retry.Do(t.Context(), policy, func(ctx context.Context) (int, error) {
			if n, err := p.call(ctx); err != nil {
				return n, err
			}
			return retry.Poll(ctx, policy, func(ctx context.Context) (int, bool, error) {
				n, err := check.call(ctx)
				return n, err == nil, err
			})
		})
		checkEqual(t, err, nil)
		checkEqual(t, outcomes.settled, []string{"failure 0 boom", "success 2 <nil>", "success 1 <nil>"})
	})
}
