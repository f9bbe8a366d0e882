package bulkhead_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

func Example() {
	ctx := context.Background()
	deploy := func(context.Context) error { fmt.Println("deployed"); return nil }

	places := bulkhead.New(bulkhead.Config{Limit: 5, MaxWait: time.Minute})
	err := places.Do(ctx, deploy)
	if errors.Is(err, bulkhead.ErrFull) {
		fmt.Println("try again later:", err)
	}
	// Output: deployed
}

// A function that holds several places until it returns.
func load(ctx context.Context, memory *bulkhead.Bulkhead) error {
	permit, err := memory.AcquireN(ctx, 3) // a large piece of work
	if err != nil {
		return err
	}
	defer permit.Release()
	fmt.Println(memory.Inflight(), "places in use")
	return nil
}

func Example_permit() {
	memory := bulkhead.New(bulkhead.Config{Limit: 8})
	fmt.Println(load(context.Background(), memory))
	// Output:
	// 3 places in use
	// <nil>
}

func Example_priority() {
	ctx, server := context.Background(), bulkhead.New(bulkhead.Config{})
	answer := func(context.Context) error { return nil }

	ctx = bulkhead.WithPriority(ctx, bulkhead.Critical)
	err := server.Do(ctx, answer)

	fmt.Println(err)
	// Output: <nil>
}

func Example_adaptive() {
	api := bulkhead.New(bulkhead.Config{Adaptive: true})

	fmt.Println(api.Limit())
	// Output: 10
}

func Example_tenant() {
	ctx, server := context.Background(), bulkhead.New(bulkhead.Config{})
	answer := func(context.Context) error { return nil }

	ctx = bulkhead.WithTenant(ctx, "acme")
	err := server.Do(ctx, answer)

	fmt.Println(err)
	// Output: <nil>
}

func ExampleWrapArg() {
	b := bulkhead.New(bulkhead.Config{Limit: 2})
	fetch := bulkhead.WrapArg(b, func(_ context.Context, url string) (string, error) { return "page of " + url, nil })
	fmt.Println(fetch(context.Background(), "example.com"))
	// Output: page of example.com <nil>
}

func ExampleNew() {
	b := bulkhead.New(bulkhead.Config{Name: "thumbnails", Limit: 1, MaxQueue: -1})
	permit, _ := b.TryAcquire()
	_, err := b.Acquire(context.Background())
	fmt.Println(err)
	permit.Release()
	_, err = b.Acquire(context.Background())
	fmt.Println(err)
	// Output:
	// bulkhead: thumbnails: queue full, 1 of 1 inside, 0 waiting
	// <nil>
}

func ExampleBulkhead() {
	b := bulkhead.New(bulkhead.Config{Limit: 8})
	permit, err := b.AcquireN(context.Background(), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer permit.Release()
	fmt.Println(b.Inflight(), "of", b.Limit())
	// Output: 3 of 8
}

func ExampleConfig() {
	fmt.Println(bulkhead.Config{Limit: -1, MinLimit: 9, MaxLimit: 3}.Validate())
	// Output:
	// bulkhead: Limit is -1, want 0 to 1073741824
	// bulkhead: MinLimit is 9, want at most MaxLimit, 3
}

func ExamplePermit() {
	b := bulkhead.New(bulkhead.Config{Limit: 1})
	permit, _ := b.TryAcquire()
	permit.Release()
	permit.Release() // no effect
	fmt.Println(b.Inflight())
	// Output: 0
}

func ExampleDo() {
	b := bulkhead.New(bulkhead.Config{Limit: 2})
	v, err := bulkhead.Do(context.Background(), b, func(context.Context) (int, error) { return b.Inflight(), nil })
	fmt.Println(v, err, b.Inflight())
	// Output: 1 <nil> 0
}

func ExampleWrap() {
	b := bulkhead.New(bulkhead.Config{Limit: 2})
	fetch := bulkhead.Wrap(b, func(context.Context) (string, error) { return "page", nil })
	fmt.Println(fetch(context.Background()))
	// Output: page <nil>
}

func ExampleFullError() {
	b := bulkhead.New(bulkhead.Config{Limit: 3})
	_, err := b.AcquireN(context.Background(), 5)
	var full *bulkhead.FullError
	if errors.As(err, &full) {
		fmt.Println(full.Reason, full.Limit, full.Retryable())
	}
	// Output: beyond the limit 3 false
}

func ExampleReason() {
	fmt.Println(bulkhead.ReasonQueue, bulkhead.ReasonWait, bulkhead.ReasonShed)
	// Output: queue full waited too long shed
}

func ExampleWithPriority() {
	ctx := bulkhead.WithPriority(context.Background(), bulkhead.Critical)
	fmt.Println(bulkhead.PriorityFrom(ctx) == bulkhead.Critical)
	// Output: true
}

func ExamplePriorityFrom() {
	fmt.Println(bulkhead.PriorityFrom(context.Background()) == bulkhead.Normal)
	// Output: true
}

func ExamplePriority() {
	fmt.Println(bulkhead.Background < bulkhead.Normal, bulkhead.Normal < bulkhead.Critical)
	// Output: true true
}

func ExampleOutcome() {
	fmt.Println(bulkhead.Classify(context.Canceled))
	// Output: ignored
}

func ExampleClassify() {
	fmt.Println(bulkhead.Classify(nil), bulkhead.Classify(context.DeadlineExceeded))
	// Output: success dropped
}

func ExampleEvent() {
	b := bulkhead.New(bulkhead.Config{OnEvent: func(_ context.Context, e bulkhead.Event) { fmt.Println(e.Kind, e.Old, e.Limit) }})
	c := b.Config()
	c.Limit = 20
	fmt.Println(b.Set(c))
	// Output:
	// limit 10 20
	// <nil>
}

func ExampleKind() {
	fmt.Println(bulkhead.KindRefused, bulkhead.KindLimit)
	// Output: refused limit
}

func ExampleStats() {
	b := bulkhead.New(bulkhead.Config{Name: "api", Limit: 1, MaxQueue: -1})
	b.TryAcquire()
	_, _ = b.Acquire(context.Background())
	s := b.Stats()
	fmt.Println(s.Name, s.Limit, s.Inflight, s.Queued, s.QueueFull)
	// Output: api 1 1 0 1
}

func ExampleBulkhead_Set() {
	b := bulkhead.New(bulkhead.Config{Name: "api", Limit: 10})

	c := b.Config()
	c.Limit = 20
	err := b.Set(c)

	fmt.Println(b.Limit(), err)
	// Output: 20 <nil>
}

func ExampleWithTenant() {
	server := bulkhead.New(bulkhead.Config{Limit: 100, Weight: func(tenant string) int {
		if tenant == "gold" {
			return 3 // places for each place of another tenant
		}
		return 1
	}})
	ctx := bulkhead.WithTenant(context.Background(), "gold")
	fmt.Println(server.Do(ctx, func(context.Context) error { return nil }))
	// Output: <nil>
}

func ExampleTenantFrom() {
	ctx := bulkhead.WithTenant(context.Background(), "acme")
	fmt.Println(bulkhead.TenantFrom(ctx))
	// Output: acme
}
