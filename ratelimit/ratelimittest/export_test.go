package ratelimittest

import (
	"fmt"
	"sync"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// Problems returns the errors that Run would report, by the name of the rule.
func Problems(open func(ratelimit.Limit) ratelimit.Store) map[string][]string {
	found := make(map[string][]string)
	for _, r := range rules {
		var mu sync.Mutex
		r.check(&checker{func(format string, args ...any) {
			mu.Lock()
			defer mu.Unlock()
			found[r.name] = append(found[r.name], fmt.Sprintf(format, args...))
		}, open(r.limit), r.limit})
	}
	return found
}
