package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func Example() {
	ctx := context.Background()
	deliver := func(context.Context) (string, error) { return "delivered", nil }

	lim := ratelimit.New(ratelimit.PerSecond(100).WithBurst(20))
	send := ratelimit.Wrap(lim, deliver) // each call waits for its turn
	receipt, err := send(ctx)

	fmt.Println(receipt, err)
	// Output: delivered <nil>
}

// A server refuses requests over the limit, and reports when to try again.
func Example_refuse() {
	lim := ratelimit.New(ratelimit.PerHour(1))
	lim.Allow()
	if d := lim.Take(1); !d.OK {
		fmt.Println("retry after", d.RetryAfter.Round(time.Minute))
	}
	// Output: retry after 1h0m0s
}

// Each user has a limit.
func Example_perUser() {
	ctx := context.Background()
	fetch := func(context.Context) (string, error) { return "page", nil }

	perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit: ratelimit.PerMinute(60),
	})
	alice := ratelimit.Reject(perUser.For("alice"))
	page, err := ratelimit.Do(ctx, alice, fetch)

	fmt.Println(page, err)
	// Output: page <nil>
}

// At most five deployments in any minute: an exact sliding window.
func Example_window() {
	ctx, version := context.Background(), "v1.4.0"
	deploy := func(_ context.Context, version string) (string, error) { return "deployed " + version, nil }

	window := ratelimit.NewWindow(ratelimit.PerMinute(5))
	start := ratelimit.WrapArg(ratelimit.Reject(window), deploy)
	result, err := start(ctx, version)

	fmt.Println(result, err)
	// Output: deployed v1.4.0 <nil>
}

// The number of tokens that a call to a language model uses is known only
// afterwards: reserve an estimate, and settle the actual number.
func Example_settle() {
	estimate := int64(800)
	call := func() (used int64) { return 300 }

	tokens := ratelimit.New(ratelimit.PerMinute(90_000))
	if r := tokens.Reserve(estimate); r.OK() {
		time.Sleep(r.Delay())
		r.Settle(call())
	}

	fmt.Println(tokens.Peek().Remaining)
	// Output: 89700
}

// An iterator at the pace of a limiter is a loop that waits.
func Example_pacedLoop() {
	ctx := context.Background()
	lim := ratelimit.New(ratelimit.PerSecond(50).WithBurst(10))
	for page := range slices.Values([]string{"a", "b"}) {
		if err := lim.Wait(ctx); err != nil {
			fmt.Println(err)
			break
		}
		fmt.Println(page)
	}
	// Output:
	// a
	// b
}

// Each kind of limit can be used in three ways: as a function that reports
// whether an event is allowed, as a decorator of the work, and as an object
// with methods.
func Example_threeWays() {
	limit := ratelimit.PerHour(3)
	bucket := ratelimit.New(limit)                                           // token bucket: 3 at once, then 1 in 20 minutes
	window := ratelimit.NewWindow(limit)                                     // sliding window: 3 in any hour
	keyed := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit}) // a token bucket for each key

	// A closure.
	count := func(allow func() bool) (n int) {
		for range 5 {
			if allow() {
				n++
			}
		}
		return n
	}
	fmt.Println(count(bucket.Allow), count(window.Allow), count(func() bool { return keyed.Allow("eve") }))

	// A decorator.
	greet := ratelimit.Wrap(ratelimit.Reject(window), func(context.Context) (string, error) { return "hello", nil })
	_, err := greet(context.Background())
	fmt.Println(errors.Is(err, ratelimit.ErrLimited))

	// An object.
	fmt.Println(bucket.Take(1).OK, window.Take(1).Remaining, keyed.Take("bob", 1).Remaining)
	// Output:
	// 3 3 3
	// true
	// false 0 2
}

func ExampleNew() {
	// Both limits must agree. The third event is within the first limit, but
	// not within the second.
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

func ExamplePerDay() {
	fmt.Println(ratelimit.PerDay(1000))
	// Output: 1000/24h
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
	// Work that must continue, but no faster than allowed, waits for its turn.
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
	// Which of these requests would a limit of two per minute have refused?
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
	fmt.Println(d.OK, d.Remaining, d.RetryAfter, d.Retryable)
	// Output:
	// true 2 0s
	// false 2 0s false
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
	// ratelimit: 11 events exceed the burst of 10/h
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
	// Any type with a Wait method can pace a function: here, a gate that the
	// program opens.
	gate := make(gate, 1)
	gate <- struct{}{}
	step := ratelimit.Wrap(gate, func(context.Context) (string, error) { return "stepped", nil })
	fmt.Println(step(context.Background()))
	// Output: stepped <nil>
}

// A gate admits one caller for each value sent to it.
type gate chan struct{}

func (g gate) Wait(ctx context.Context) error {
	select {
	case <-g:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func ExampleWindow() {
	// At most five deployments in any minute. The limit has a name for errors.
	window := ratelimit.NewWindow(ratelimit.PerMinute(5).WithName("deploy"))
	deploy := ratelimit.Wrap(ratelimit.Reject(window), func(context.Context) (string, error) { return "deployed", nil })
	deployed := 0
	for range 8 {
		if _, err := deploy(context.Background()); err == nil {
			deployed++
		}
	}
	fmt.Println(deployed, window.Take(6).Err())
	// Output: 5 ratelimit: deploy: 6 events exceed the burst of 5/m
}

func ExampleNewWindow() {
	window := ratelimit.NewWindow(ratelimit.PerHour(2))
	fmt.Println(window.Allow(), window.Allow(), window.Allow())
	// Output: true true false
}

func ExampleCounter() {
	counter := ratelimit.NewCounter(ratelimit.PerHour(1_000_000)) // in two numbers
	fmt.Println(counter.AllowN(999_999), counter.Take(1).Remaining, counter.Allow())
	// Output: true 0 false
}

func ExampleNewCounter() {
	counter := ratelimit.NewCounter(ratelimit.PerHour(2))
	fmt.Println(counter.Allow(), counter.Allow(), counter.Allow())
	// Output: true true false
}

func ExampleKeyed() {
	perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(2)})
	for _, user := range []string{"eve", "eve", "eve", "bob"} {
		fmt.Println(user, perUser.Allow(user))
	}
	// Output:
	// eve true
	// eve true
	// eve false
	// bob true
}

func ExampleNewKeyed() {
	k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1), MaxKeys: 1000})
	fmt.Println(k.Allow(7), k.Allow(7), k.Stats().Len)
	// Output: true false 1
}

func ExampleKeyedConfig() {
	err := ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(1), MaxKeys: -5}.Validate()
	fmt.Println(err)
	// Output: ratelimit: MaxKeys is -5, want 0 to 134217728
}

func ExampleOnFull() {
	// A flood of keys that use up their limits, far beyond MaxKeys. The keys
	// that were known before are not affected.
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit:   ratelimit.PerHour(10),
		MaxKeys: 8,
		OnFull:  ratelimit.InheritDebt,
	})
	k.AllowN("alice", 9)
	for i := range 1000 {
		k.AllowN(fmt.Sprint("eve", i), 10)
	}
	fmt.Println(k.Allow("alice"), k.Allow("alice"))
	// Output: true false
}

func ExampleEvent() {
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit:   ratelimit.PerHour(1),
		OnEvent: func(_ context.Context, e ratelimit.Event) { fmt.Println(e.Kind, e.Key) },
	})
	k.Allow("eve")
	k.Allow("eve")
	// Output: refused eve
}

func ExampleKind() {
	fmt.Println(ratelimit.KindRefused, ratelimit.KindPushedOut)
	// Output: refused pushed out
}

func ExampleStats() {
	k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Name: "users", Limit: ratelimit.PerHour(1), MaxKeys: 64})
	k.Allow("eve")
	k.Allow("eve")
	s := k.Stats()
	fmt.Println(s.Name, s.Allowed, s.Refused, s.Len, s.MaxKeys)
	// Output: users 1 1 1 64
}

func ExampleReservation() {
	lim := ratelimit.New(ratelimit.PerHour(1000))
	// Reserve an estimate, and settle the actual number.
	r := lim.Reserve(800)
	if !r.OK() {
		fmt.Println(r.Err())
		return
	}
	used := int64(300)
	r.Settle(used)
	fmt.Println(lim.Peek().Remaining)
	// Output: 700
}

func ExampleNewLimiter() {
	lim := ratelimit.NewLimiter(ratelimit.Config{
		Name:       "exports",
		Limits:     []ratelimit.Limit{ratelimit.PerMinute(5)},
		StartEmpty: true, // a restart does not give the burst again
	})
	d := lim.Take(1)
	fmt.Println(d.OK, d.RetryAfter.Round(time.Second))
	// Output: false 12s
}

func ExampleConfig() {
	lim := ratelimit.NewLimiter(ratelimit.Config{
		Name:   "exports",
		Limits: []ratelimit.Limit{ratelimit.PerMinute(5)},
		OnEvent: func(_ context.Context, e ratelimit.Event) {
			fmt.Println(e.Kind, e.Name, e.Decision.N)
		},
	})
	lim.AllowN(5)
	lim.Allow()
	fmt.Println(lim.Stats().Refused)
	// Output:
	// refused exports 1
	// 1
}

func ExampleLimiter_Set() {
	lim := ratelimit.New(ratelimit.PerHour(10))
	lim.AllowN(7)
	c := lim.Config()
	c.Limits[0].N = 100 // the burst of 10 stays
	err := lim.Set(c)
	fmt.Println(err, lim.Config().Limits, lim.Peek().Remaining)
	// Output: <nil> [100/h burst 10] 3
}

func ExampleView() {
	lim := ratelimit.New(ratelimit.PerHour(10))
	batch := lim.LowPriority(0.5) // leaves half of the burst to other callers
	fmt.Println(batch.AllowN(5), batch.Allow(), lim.Allow())
	// Output: true false true
}

func ExampleStore() {
	var store ratelimit.Store = ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(2)}))
	d, err := store.TakeKey(context.Background(), "eve", 2)
	fmt.Println(d.OK, d.Remaining, err)
	// Output: true 0 <nil>
}

func ExampleLocal() {
	store := ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(2)}))
	d, err := store.TakeKey(context.Background(), "eve", 3)
	fmt.Println(d.OK, d.Retryable, err)
	// Output: false false <nil>
}

func ExampleInf() {
	fmt.Println(ratelimit.Inf(), ratelimit.New(ratelimit.Inf()).AllowN(1<<40))
	// Output: inf true
}

func ExampleRate() {
	fmt.Println(ratelimit.Rate(2.5, 10))
	// Output: 5/2s burst 10
}

func ExampleMustParseLimit() {
	limit := ratelimit.MustParseLimit("5/s burst 10").WithName("api")
	fmt.Println(limit.Name, limit)
	// Output: api 5/s burst 10
}

func ExampleWrapArg() {
	lim := ratelimit.New(ratelimit.PerSecond(40).WithBurst(5))
	fetch := ratelimit.WrapArg(lim, func(_ context.Context, url string) (string, error) { return "page of " + url, nil })
	fmt.Println(fetch(context.Background(), "example.com"))
	// Output: page of example.com <nil>
}

func ExampleKey() {
	perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Name: "users", Limit: ratelimit.PerHour(1)})
	eve := perUser.For("eve")
	for range 2 {
		_, err := ratelimit.Do(context.Background(), ratelimit.Reject(eve), func(context.Context) (string, error) { return "page", nil })
		fmt.Println(errors.Is(err, ratelimit.ErrLimited))
	}
	// Output:
	// false
	// true
}
