package retry_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/retry"
)

// Example_server is the section "In a server" of the package documentation.
func Example_server() {
	fetch := flaky(99, ErrBusy)
	b := breaker.New(breaker.Config{})
	budget := &retry.TokenBudget{Name: "billing"}
	policy := retry.Policy{AttemptTimeout: time.Second, Budget: budget}
	call := retry.Wrap(policy, breaker.Wrap(b, fetch))
	for {
		// The breaker opens after some failures. Then no caller waits for it.
		if _, err := call(ctx); errors.Is(err, breaker.ErrOpen) {
			break
		}
	}
	_, err := call(ctx)
	fmt.Println(errors.Is(err, retry.ErrRetryAfter))
	// Output: true
}

// Example_batch is the section "In a batch job" of the package documentation.
func Example_batch() {
	policy := retry.Policy{
		MaxAttempts: retry.Unlimited,
		MaxElapsed:  time.Hour,
		MaxRejected: -1, // wait until the breaker closes
	}
	policy.Backoff = noPause
	page, err := retry.Do(ctx, policy, flaky(50, ErrBusy))
	fmt.Println(page, err)
	// Output: a page <nil>
}

// Example_queue is the section "In a queue" of the package documentation.
func Example_queue() {
	deadLetter := func(stop error) string { return "dead letter: " + stop.Error() }
	deliverAgain := func(pause time.Duration) string { return "again in " + pause.String() }
	policy := retry.Policy{Rand: func() float64 { return 0.5 }}
	settle := func(deliveries int, first time.Time, err error) string {
		pause, stop := policy.Next(deliveries, first, err)
		if stop != nil {
			return deadLetter(stop)
		}
		return deliverAgain(pause)
	}
	for deliveries := 1; deliveries <= 3; deliveries++ {
		fmt.Println(settle(deliveries, time.Now(), ErrBusy))
	}
	// Output:
	// again in 50ms
	// again in 100ms
	// dead letter: retry: exhausted after 3 attempts: busy
}

// Example_polling is the section "Polling" of the package documentation.
func Example_polling() {
	check := func(context.Context) (state string, done bool, err error) { return "ready", true, nil }
	state, err := retry.Poll(ctx, retry.Interval(10*time.Second), check)
	fmt.Println(state, err)
	// Output: ready <nil>
}
