package retrytest

import "github.com/redoubt-go/redoubt/retry"

// Broken returns the names of the rules that a budget breaks.
func Broken(newBudget func() retry.Budget) (names []string) {
	for _, r := range rules {
		if r.check(newBudget()) != nil {
			names = append(names, r.name)
		}
	}
	return names
}
