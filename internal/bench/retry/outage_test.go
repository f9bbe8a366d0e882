package retry_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// TestOutage simulates a server in an outage of its dependency, in virtual
// time: 200 calls a second for a minute, without deadlines, through a retry, a
// breaker and a limiter with their defaults. docs/retry.md quotes its figures.
func TestOutage(t *testing.T) {
	for _, tt := range []struct {
		name     string
		policy   retry.Policy
		most     int64         // callers inside at once
		longest  time.Duration // mean time of a call
		shortest time.Duration
	}{
		{"refusals are waited out", retry.Policy{MaxRejected: -1}, 1 << 62, 1 << 62, 2 * time.Second},
		{"default", retry.Policy{}, 100, 200 * time.Millisecond, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inside, mean := outage(tt.policy)
				t.Logf("callers inside at once: %d, mean time of a call: %v", inside, mean.Round(time.Millisecond))
				if inside > tt.most || mean > tt.longest || mean < tt.shortest {
					t.Errorf("want at most %d callers, and a mean from %v to %v", tt.most, tt.shortest, tt.longest)
				}
			})
		})
	}
}

// outage returns the largest number of callers at once and the mean time of a
// call.
func outage(policy retry.Policy) (most int64, mean time.Duration) {
	call := retry.Wrap(policy, breaker.Wrap(breaker.New(breaker.Config{}), ratelimit.Wrap(ratelimit.New(ratelimit.PerSecond(1000)),
		func(context.Context) (int, error) { return 0, errors.New("down") })))
	var mu sync.Mutex
	var inside, calls int64
	var total time.Duration
	var all sync.WaitGroup
	for range 200 * 60 {
		all.Go(func() {
			begin := time.Now()
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			call(context.Background())
			mu.Lock()
			defer mu.Unlock()
			inside--
			calls++
			total += time.Since(begin)
		})
		time.Sleep(5 * time.Millisecond)
	}
	all.Wait()
	return most, total / time.Duration(calls)
}
