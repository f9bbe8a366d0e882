package retrytest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redoubt-go/redoubt/retry"
)

// Run tests a budget in subtests. Each subtest calls newBudget for a budget of
// its own, which must grant at least one retry.
func Run(t *testing.T, newBudget func(*testing.T) retry.Budget) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if err := r.check(newBudget(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// most is the number of retries after which a budget counts as unbounded.
const most = 100_000

// A rule is a property that every budget has.
type rule struct {
	name  string
	check func(retry.Budget) error
}

var rules = []rule{
	{"GrantsARetry", grants},
	{"StormEnds", stormEnds},
	{"SuccessesAreFree", successesAreFree},
	{"UnmadeRetriesAreFree", unmadeAreFree},
	{"AnyErrorIsAccepted", anyError},
	{"ConcurrentUse", concurrentUse},
}

var errDown = errors.New("retrytest: down")

// grants: a new budget grants a retry.
func grants(b retry.Budget) error {
	if _, ok := b.Withdraw(errDown); !ok {
		return errors.New("a new budget refuses a retry")
	}
	return nil
}

// stormEnds: calls that always fail do not retry forever.
func stormEnds(b retry.Budget) error {
	policy := retry.Policy{MaxAttempts: most, Backoff: retry.Constant(0), Budget: b}
	err := policy.Do(context.Background(), func(context.Context) error { return errDown })
	if !errors.Is(err, retry.ErrBudget) {
		return fmt.Errorf("%d failures in a row are all retried: %w", most, err)
	}
	return nil
}

// successesAreFree: calls that succeed at once do not use up the budget.
func successesAreFree(b retry.Budget) error {
	for range 10_000 {
		b.Settle(retry.OutcomeSuccess, 0, nil)
	}
	return grants(b)
}

// unmadeAreFree: a retry that is granted and not made returns its cost.
func unmadeAreFree(b retry.Budget) error {
	for n := range 10_000 {
		cost, ok := b.Withdraw(errDown)
		if !ok {
			return fmt.Errorf("after %d retries that were not made, the budget refuses another", n)
		}
		b.Settle(retry.OutcomeUnmade, cost, nil)
	}
	return nil
}

// anyError: the budget accepts errors that are nil, plain, or nil pointers.
func anyError(b retry.Budget) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	for _, e := range []error{nil, errDown, (*retry.Error)(nil)} {
		cost, ok := b.Withdraw(e)
		if ok {
			b.Settle(retry.OutcomeFailure, cost, e)
		}
		b.Settle(retry.OutcomeVerdict, 0, e)
	}
	return nil
}

// concurrentUse: calls at the same time get no more retries than calls in a
// row could. The race detector finds the rest.
func concurrentUse(b retry.Budget) error {
	policy := retry.Policy{MaxAttempts: retry.Unlimited, Backoff: retry.Constant(0), Budget: b}
	var attempts atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			policy.Do(context.Background(), func(context.Context) error {
				if attempts.Add(1) > most {
					return retry.Permanent(errDown)
				}
				return errDown
			})
		})
	}
	all.Wait()
	if attempts.Load() > most {
		return fmt.Errorf("more than %d attempts of 8 calls that always fail", most)
	}
	return nil
}
