package retrytest_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retrytest"
)

// A quota is a Budget of a fixed number of retries.
type quota struct{ tokens int64 }

func (q *quota) Withdraw(error) (cost int, ok bool) {
	if atomic.AddInt64(&q.tokens, -1) < 0 {
		atomic.AddInt64(&q.tokens, 1)
		return 0, false
	}
	return 1, true
}

func (q *quota) Settle(o retry.Outcome, cost int, _ error) {
	if o == retry.OutcomeUnmade {
		atomic.AddInt64(&q.tokens, int64(cost))
	}
}

func TestBudget(t *testing.T) {
	retrytest.Run(t, func(*testing.T) retry.Budget {
		return &quota{tokens: 500}
	})
}

func ExampleRun() {
	// In a test file:
	//
	//	func TestBudget(t *testing.T) {
	//		retrytest.Run(t, func(*testing.T) retry.Budget {
	//			return &quota{tokens: 500}
	//		})
	//	}
	var b retry.Budget = &quota{tokens: 1}
	_, first := b.Withdraw(nil)
	_, second := b.Withdraw(nil)
	fmt.Println(first, second)
	// Output: true false
}
