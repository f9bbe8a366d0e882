package redoubt_test

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt"
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
	ctx := context.Background()
	policy := retry.Policy{MaxAttempts: 4, AttemptTimeout: 2 * time.Second}
	shop := breaker.New(breaker.Config{Name: "shop"})
	limit := ratelimit.New(ratelimit.PerSecond(50))

	config := cache.Config[string, float64]{Capacity: 1000, TTL: time.Minute}
	prices := cache.Memoize(config, retry.WrapArg(policy,
		breaker.WrapArg(shop, ratelimit.WrapArg(limit, fetchPrice))))

	price, err := prices.Get(ctx, "anvil")

	fmt.Println(price, err)
	fmt.Println(prices.Get(ctx, "anvil"))
	fmt.Println("loads:", prices.Stats().Loads)
	// Output:
	// 5 <nil>
	// 5 <nil>
	// loads: 1
}

func ExampleFunc() {
	version := func() (string, error) { return "1.26", nil }
	fmt.Println(retry.Do(context.Background(), retry.Policy{}, redoubt.Func(version)))
	// Output: 1.26 <nil>
}

func ExampleFuncArg() {
	parse := retry.WrapArg(retry.Policy{}, redoubt.FuncArg(strconv.Atoi))
	fmt.Println(parse(context.Background(), "42"))
	// Output: 42 <nil>
}

func ExampleFuncErr() {
	b := breaker.New(breaker.Config{Name: "disk"})
	sync := func() error { return nil }
	fmt.Println(b.Do(context.Background(), redoubt.FuncErr(sync)))
	// Output: <nil>
}
