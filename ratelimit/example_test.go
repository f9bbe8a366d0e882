package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func Example() {
	ctx := context.Background()
	deliver := func(context.Context) (string, error) { return "delivered", nil }

	lim := ratelimit.New(ratelimit.PerSecond(100).WithBurst(20), ratelimit.PerHour(10_000))
	send := ratelimit.Wrap(lim, deliver) // each call waits for its turn
	receipt, err := send(ctx)
	if d := lim.Take(1); !d.OK { // or refuse, and say when to come back
		fmt.Println("too many requests, retry after", d.RetryAfter)
	}

	fmt.Println(receipt, err)
	// Output: delivered <nil>
}

func ExampleNew() {
	// Both limits must agree. The third event is within the first, but not within the second.
	lim := ratelimit.New(ratelimit.PerMinute(3), ratelimit.PerHour(2))
	for range 3 {
		fmt.Println(lim.Allow())
	}
	// Output:
	// true
	// true
	// false
}

func ExampleLimit() {
	limit := ratelimit.Limit{N: 1000, Per: 24 * time.Hour, Burst: 50}
	fmt.Println(limit)
	text, _ := json.Marshal(map[string]ratelimit.Limit{"mails": limit})
	fmt.Println(string(text))
	// Output:
	// 1000/24h burst 50
	// {"mails":"1000/24h burst 50"}
}

func ExamplePer() {
	fmt.Println(ratelimit.Per(15, 10*time.Second))
	// Output: 15/10s
}

func ExamplePerSecond() {
	fmt.Println(ratelimit.PerSecond(100).WithBurst(20))
	// Output: 100/s burst 20
}

func ExamplePerMinute() {
	fmt.Println(ratelimit.PerMinute(60).WithBurst(1))
	// Output: 60/m burst 1
}

func ExamplePerHour() {
	fmt.Println(ratelimit.PerHour(5000))
	// Output: 5000/h
}

func ExampleEvery() {
	fmt.Println(ratelimit.Every(250 * time.Millisecond))
	// Output: 1/250ms
}

func ExampleParseLimit() {
	limit, err := ratelimit.ParseLimit("100/m burst 20")
	fmt.Println(limit.N, limit.Per, limit.Burst, err)
	_, err = ratelimit.ParseLimit("100 per minute")
	fmt.Println(err)
	// Output:
	// 100 1m0s 20 <nil>
	// ratelimit: limit "100 per minute": want the form "100/s burst 20"
}

func ExampleLimiter() {
	// Work that must go on, but no faster than allowed, waits for its turn.
	lim := ratelimit.New(ratelimit.PerSecond(50).WithBurst(10))
	ctx := context.Background()
	sent := 0
	for range 5 {
		if err := lim.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
		sent++
	}
	fmt.Println("sent", sent)
	// Output: sent 5
}

func ExampleLimiter_AllowAt() {
	// What would a limit of two a minute have done to these requests?
	lim := ratelimit.New(ratelimit.PerMinute(2))
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, second := range []int{0, 1, 2, 29, 30, 31, 60} {
		if !lim.AllowAt(start.Add(time.Duration(second)*time.Second), 1) {
			fmt.Println("refused after", second, "s")
		}
	}
	// Output:
	// refused after 2 s
	// refused after 29 s
	// refused after 31 s
}

func ExampleDecision() {
	lim := ratelimit.New(ratelimit.PerHour(10))
	d := lim.Take(8)
	fmt.Println(d.OK, d.Remaining, d.RetryAfter)
	d = lim.Take(11)
	fmt.Println(d.OK, d.Remaining, d.RetryAfter == ratelimit.Never)
	// Output:
	// true 2 0s
	// false 2 true
}

func ExampleLimitedError() {
	lim := ratelimit.New(ratelimit.PerHour(10))
	err := lim.WaitN(context.Background(), 11)
	var limited *ratelimit.LimitedError
	if errors.As(err, &limited) {
		fmt.Println(limited.Decision.N, "of", limited.Decision.Limit, "retryable:", limited.Retryable())
	}
	fmt.Println(errors.Is(err, ratelimit.ErrTooLarge))
	fmt.Println(err)
	// Output:
	// 11 of 10/h retryable: false
	// true
	// ratelimit: 10/h: 11 events exceed the burst
}

func ExampleDo() {
	lim := ratelimit.New(ratelimit.PerSecond(40).WithBurst(5))
	version, err := ratelimit.Do(context.Background(), lim, func(context.Context) (string, error) {
		return "v1.4.0", nil
	})
	fmt.Println(version, err)
	// Output: v1.4.0 <nil>
}

func ExampleWrap() {
	lim := ratelimit.New(ratelimit.PerSecond(40).WithBurst(5))
	fetch := ratelimit.Wrap(lim, func(context.Context) (string, error) { return "page", nil })
	fmt.Println(fetch(context.Background()))
	// Output: page <nil>
}

func ExampleReject() {
	lim := ratelimit.New(ratelimit.PerHour(1))
	report := ratelimit.Wrap(ratelimit.Reject(lim), func(context.Context) (string, error) { return "sent", nil })
	for range 2 {
		answer, err := report(context.Background())
		fmt.Printf("%q %v\n", answer, errors.Is(err, ratelimit.ErrLimited))
	}
	// Output:
	// "sent" false
	// "" true
}

func ExampleWaiter() {
	// Anything with a Wait method can pace a function: here, a gate that is opened by hand.
	gate := make(gate, 1)
	gate <- struct{}{}
	step := ratelimit.Wrap(gate, func(context.Context) (string, error) { return "stepped", nil })
	fmt.Println(step(context.Background()))
	// Output: stepped <nil>
}

// A gate lets one caller through for each value sent to it.
type gate chan struct{}

func (g gate) Wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
