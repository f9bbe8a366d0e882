package retry_test

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/redoubt-go/redoubt/retry"
)

// errThrottled is the error of a service that limits its callers.
var errThrottled = errors.New("throttled")

// A quota is the retry quota of the AWS SDKs: a retry costs 14 tokens, or 5
// after throttling. A retry that succeeds returns its cost, and a first attempt
// that succeeds returns a single token.
type quota struct {
	mu     sync.Mutex
	tokens int // at most 500
}

func (q *quota) Withdraw(err error) (cost int, ok bool) {
	cost = 14
	if errors.Is(err, errThrottled) {
		cost = 5
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if cost > q.tokens {
		return 0, false
	}
	q.tokens -= cost
	return cost, true
}

func (q *quota) Settle(o retry.Outcome, cost int, _ error) {
	if o == retry.OutcomeFailure || o == retry.OutcomeVerdict {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tokens = min(q.tokens+max(cost, 1), 500)
}

// A throttle is the retry throttling of gRPC: a failure takes a token, a
// success adds a tenth, and there are retries while more than half are left.
type throttle struct {
	mu     sync.Mutex
	tenths int // at most max
	max    int
}

func (t *throttle) Withdraw(error) (cost int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return 0, t.tenths > t.max/2
}

func (t *throttle) Settle(o retry.Outcome, _ int, _ error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch o {
	case retry.OutcomeSuccess:
		t.tenths = min(t.tenths+1, t.max)
	case retry.OutcomeFailure:
		t.tenths = max(t.tenths-10, 0)
	}
}

// Budgets of other libraries, each in about twenty lines.
func ExampleBudget() {
	q := &quota{tokens: 500}
	policy := retry.Policy{Budget: q, Backoff: noPause}
	retry.Do(ctx, policy, flaky(1, ErrBusy))
	fmt.Println("after a retry that succeeded:", q.tokens)
	retry.Do(ctx, policy, flaky(9, errThrottled))
	fmt.Println("after two retries in vain:", q.tokens)

	g := &throttle{tenths: 100, max: 100}
	policy = retry.Policy{Budget: g, Backoff: noPause, MaxAttempts: retry.Unlimited}
	_, err := retry.Do(ctx, policy, flaky(99, ErrBusy))
	fmt.Println(err)
	// Output:
	// after a retry that succeeded: 500
	// after two retries in vain: 490
	// retry: budget exhausted after 5 attempts: busy
}

func ExampleOutcome() {
	fmt.Println(retry.OutcomeSuccess, retry.OutcomeVerdict, retry.OutcomeFailure, retry.OutcomeUnmade)
	// Output: success verdict failure unmade
}

func ExampleBudgetStats() {
	budget := &retry.TokenBudget{Name: "billing", PerSecond: -1, Burst: 1}
	policy := retry.Policy{Backoff: noPause, Budget: budget}
	policy.Do(ctx, func(context.Context) error { return ErrBusy })
	fmt.Printf("%+v\n", budget.Stats())
	// Output: {Name:billing Burst:1 Tokens:0 Granted:1 Refused:1 Returned:0}
}
