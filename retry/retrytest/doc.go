// Package retrytest tests implementations of retry.Budget.
//
//	func TestBudget(t *testing.T) {
//		retrytest.Run(t, func(*testing.T) retry.Budget {
//			return &quota{tokens: 500}
//		})
//	}
//
// Costs, formats and sources: docs/retry.md
package retrytest
