package redoubt_test

import (
	"context"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/retry"
)

// fetchPrice stands for a call over the network.
func fetchPrice(_ context.Context, item string) (float64, error) {
	return float64(len(item)), nil
}

func Example() {
	prices := cache.New(cache.Config[string, float64]{Capacity: 1000, TTL: time.Minute})
	policy := retry.Policy{MaxAttempts: 4, AttemptTimeout: 2 * time.Second}
	shop := breaker.New(breaker.Config{Name: "shop"})
	limit := ratelimit.New(ratelimit.PerSecond(50))

	price := func(ctx context.Context, item string) (float64, error) {
		return prices.GetOrLoad(ctx, item, func(ctx context.Context, item string) (float64, error) {
			return retry.Do(ctx, policy,
				breaker.Wrap(shop,
					ratelimit.Wrap(limit, func(ctx context.Context) (float64, error) {
						return fetchPrice(ctx, item)
					})))
		})
	}

	for range 3 {
		fmt.Println(price(context.Background(), "anvil"))
	}
	fmt.Println("loads:", prices.Stats().Loads)
	// Output:
	// 5 <nil>
	// 5 <nil>
	// 5 <nil>
	// loads: 1
}
