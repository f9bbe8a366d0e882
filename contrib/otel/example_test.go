package otel_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/contrib/otel"
	"github.com/redoubt-go/redoubt/retry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
)

func Example() {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	b := breaker.New(breaker.Config{Name: "payments"})
	policy := retry.Policy{Backoff: retry.Constant(0)}

	err := func() (err error) {
		meter := provider.Meter("example.com/shop")
		if _, err := otel.Observe(meter, "payments", b); err != nil {
			return err
		}
		policy.OnEvent, err = otel.OnEvent(meter, "payments", policy.OnEvent)
		return err
	}()
	if err != nil {
		fmt.Println(err)
		return
	}

	fail := errors.New("unavailable")
	_, err = retry.Do(context.Background(), policy, breaker.Wrap(b, func(context.Context) (int, error) { return 0, fail }))
	fmt.Println(errors.Is(err, retry.ErrExhausted))
	show(reader, "redoubt.retry.retries", "redoubt.breaker.calls")
	// Output:
	// true
	// redoubt.breaker.calls failure 3
	// redoubt.breaker.calls ignored 0
	// redoubt.breaker.calls late 0
	// redoubt.breaker.calls success 0
	// redoubt.retry.retries 2
}

func ExampleObserve() {
	reader := metric.NewManualReader()
	meter := metric.NewMeterProvider(metric.WithReader(reader)).Meter("example.com/shop")
	b := breaker.New(breaker.Config{})
	registration, err := otel.Observe(meter, "payments", b)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Trip(time.Hour, nil)
	show(reader, "redoubt.breaker.state")
	fmt.Println(registration.Unregister())
	show(reader, "redoubt.breaker.state")
	_, err = otel.Observe(meter, "payments", time.Now())
	fmt.Println(err)
	// Output:
	// redoubt.breaker.state closed 0
	// redoubt.breaker.state forced closed 0
	// redoubt.breaker.state forced open 0
	// redoubt.breaker.state half-open 0
	// redoubt.breaker.state open 1
	// redoubt.breaker.state recovering 0
	// <nil>
	// otel: time.Time has no statistics of redoubt
}

func ExampleOnEvent() {
	reader := metric.NewManualReader()
	meter := metric.NewMeterProvider(metric.WithReader(reader)).Meter("example.com/shop")
	cfg := breaker.Config{OnEvent: func(_ context.Context, e breaker.Event) { fmt.Println("opened:", e.To) }}
	var err error
	if cfg.OnEvent, err = otel.OnEvent(meter, "payments", cfg.OnEvent); err != nil {
		fmt.Println(err)
		return
	}
	breaker.New(cfg).Trip(time.Minute, nil)
	for _, d := range points(reader, "redoubt.breaker.transitions") {
		if to, _ := d.Attributes.Value(attribute.Key("to")); d.Value > 0 {
			fmt.Println(to.AsString(), d.Value)
		}
	}
	// Output:
	// opened: open
	// open 1
}
