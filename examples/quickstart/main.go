// Quickstart puts three guards around a call. The call is retried if it fails.
// A circuit breaker refuses it while the other side is down. A rate limit
// bounds how often it is sent. Run it with: go run ./examples/quickstart
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

func main() {
	flaky := 0
	greet := func(context.Context) (string, error) {
		if flaky++; flaky < 3 {
			return "", errors.New("the network hiccups")
		}
		return "hello", nil
	}

	policy := retry.Policy{MaxAttempts: 5, Backoff: retry.Exponential{Base: 10 * time.Millisecond}}
	peer := breaker.New(breaker.Config{Name: "greeter"})
	limit := ratelimit.New(ratelimit.PerSecond(100))
	guarded := retry.Wrap(policy, breaker.Wrap(peer, ratelimit.Wrap(limit, greet)))

	greeting, err := guarded(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
	fmt.Println(greeting, "after", flaky, "tries")
}
