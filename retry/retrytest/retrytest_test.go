package retrytest_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retrytest"
)

func TestTokenBudget(t *testing.T) {
	retrytest.Run(t, func(*testing.T) retry.Budget { return &retry.TokenBudget{} })
	retrytest.Run(t, func(*testing.T) retry.Budget { return &retry.TokenBudget{Ratio: -1, Burst: 1} })
}

// A budget grants while a function of its tokens says so, with a mistake.
type budget struct {
	mu       sync.Mutex
	tokens   int
	withdraw func(*budget, error) bool
	settle   func(*budget, retry.Outcome, int)
}

func (b *budget) Withdraw(err error) (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return 1, b.withdraw(b, err)
}

func (b *budget) Settle(o retry.Outcome, cost int, _ error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.settle != nil {
		b.settle(b, o, cost)
	}
}

func take(b *budget, _ error) bool { b.tokens--; return b.tokens >= 0 }
func refund(b *budget, o retry.Outcome, cost int) {
	if o == retry.OutcomeUnmade {
		b.tokens += cost
	}
}

// TestRulesBite breaks each rule once.
func TestRulesBite(t *testing.T) {
	tests := []struct {
		rule string
		b    *budget
	}{
		{"GrantsARetry", &budget{withdraw: take}},
		{"StormEnds", &budget{withdraw: func(*budget, error) bool { return true }}},
		{"ConcurrentUse", &budget{withdraw: func(*budget, error) bool { return true }}},
		{"SuccessesAreFree", &budget{tokens: 9, withdraw: take, settle: func(b *budget, _ retry.Outcome, _ int) { b.tokens-- }}},
		{"UnmadeRetriesAreFree", &budget{tokens: 9, withdraw: take}},
		{"AnyErrorIsAccepted", &budget{tokens: 9, settle: refund, withdraw: func(b *budget, err error) bool {
			return err.Error() != "" && take(b, err)
		}}},
	}
	for _, tt := range tests {
		broken := retrytest.Broken(func() retry.Budget {
			return &budget{tokens: tt.b.tokens, withdraw: tt.b.withdraw, settle: tt.b.settle}
		})
		if !slices.Contains(broken, tt.rule) {
			t.Errorf("a budget made to break %s breaks %v", tt.rule, broken)
		}
	}
}
