package retryhttp

import "github.com/redoubt-go/redoubt/retry"

// An aboveHedge is the budget of a Transport whose Hedge has the same budget.
// The Hedge settles first attempts, so that a request is settled once.
type aboveHedge struct{ retry.Budget }

// Settle passes on only the outcomes of retries.
func (b aboveHedge) Settle(o retry.Outcome, cost int, err error) {
	if cost != 0 {
		b.Budget.Settle(o, cost, err)
	}
}

// Unwrap returns the budget, for the calls inside a retry.
func (b aboveHedge) Unwrap() retry.Budget { return b.Budget }

// same reports whether a and b are the same budget.
func same(a, b retry.Budget) (same bool) {
	defer func() { _ = recover() }() // budgets need not be comparable
	return a == b
}
