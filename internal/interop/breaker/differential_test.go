package breaker_test

import (
	"context"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"

	"github.com/redoubt-go/redoubt/breaker"
)

// A common subset: one goroutine, calls that take no time, three failures in a
// row open for an hour, one success closes. Where redoubt would do more it is
// told not to: no ratio, no jitter, no doubling.
func consecutive() map[string]func(fail bool) (int, error) {
	ours := breaker.New(breaker.Config{FailureRatio: -1, Consecutive: 3, OpenFor: time.Hour, MaxOpenFor: -1, Jitter: -1, Probes: 1})
	gb := gobreaker.NewCircuitBreaker[int](gobreaker.Settings{
		MaxRequests: 1, Timeout: time.Hour, ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= 3 },
	})
	fs := failsafe.With(circuitbreaker.NewBuilder[int]().WithFailureThreshold(3).WithDelay(time.Hour).WithSuccessThreshold(1).Build())
	return map[string]func(bool) (int, error){
		"redoubt": func(fail bool) (int, error) {
			return breaker.Do(bg, ours, func(context.Context) (int, error) { return work(fail) })
		},
		"gobreaker": func(fail bool) (int, error) { return gb.Execute(func() (int, error) { return work(fail) }) },
		"failsafe":  func(fail bool) (int, error) { return fs.Get(func() (int, error) { return work(fail) }) },
	}
}

// TestDifferential runs random scripts through three breakers and wants the
// same calls admitted. The oracles are gobreaker and failsafe-go.
func TestDifferential(t *testing.T) {
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			impls := consecutive()
			for i := range 300 {
				// Half an hour at most, lest redoubt forget a run of failures,
				// and no sum of steps is an hour sharp.
				time.Sleep(time.Duration(rng.Int64N(int64(30*time.Minute))) + 1)
				fail := rng.IntN(4) != 0
				want, _ := work(fail)
				_, err := impls["redoubt"](fail)
				admitted := err == nil || err == errDown
				for _, name := range []string{"gobreaker", "failsafe"} {
					v, err := impls[name](fail)
					if got := err == nil || err == errDown; got != admitted || got && v != want {
						t.Fatalf("seed %d, call %d: %s admits: %v, redoubt: %v", seed, i, name, got, admitted)
					}
				}
			}
		})
	}
}
