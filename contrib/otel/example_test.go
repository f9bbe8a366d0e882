package redoubtotel_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtotel "github.com/redoubt-go/redoubt/contrib/otel"
	"github.com/redoubt-go/redoubt/retry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func Example() {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	b := breaker.New(breaker.Config{Name: "payments"})
	policy := retry.Policy{Backoff: retry.Constant(0)}

	err := func() error {
		meter := provider.Meter("example.com/shop")
		if _, err := redoubtotel.New(meter).Observe("payments", b); err != nil {
			return err
		}
		config := redoubtotel.HooksConfig{Name: "payments"}
		hooks, err := redoubtotel.NewHooks(meter, config)
		if err != nil {
			return err
		}
		policy.OnEvent = hooks.Retry(nil)
		return nil
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

func ExampleNew() {
	reader := metric.NewManualReader()
	e := redoubtotel.New(metric.NewMeterProvider(metric.WithReader(reader)).Meter("example.com/shop"))
	_, err := e.Observe("", breaker.New(breaker.Config{Name: "payments"})) // under the name of the breaker
	fmt.Println(err)
	show(reader, "redoubt.breaker.openings")
	// Output:
	// <nil>
	// redoubt.breaker.openings 0
}

func ExampleExporter_Observe() {
	reader := metric.NewManualReader()
	e := redoubtotel.New(metric.NewMeterProvider(metric.WithReader(reader)).Meter("example.com/shop"))
	b := breaker.New(breaker.Config{})
	stop, err := e.Observe("payments", b)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Trip(time.Hour, nil)
	show(reader, "redoubt.breaker.openings")

	// A new configuration, and a new breaker under the same name: the sums go
	// on.
	stop()
	other := breaker.New(breaker.Config{})
	stop, _ = e.Observe("payments", other)
	other.Trip(time.Hour, nil)
	show(reader, "redoubt.breaker.openings")
	stop()
	show(reader, "redoubt.breaker.openings")

	_, err = e.Observe("payments", time.Now())
	fmt.Println(err)
	// Output:
	// redoubt.breaker.openings 1
	// redoubt.breaker.openings 2
	// redoubtotel: time.Time has no statistics of redoubt
}

func ExampleNewHooks() {
	reader := metric.NewManualReader()
	meter := metric.NewMeterProvider(metric.WithReader(reader)).Meter("example.com/shop")
	hooks, err := redoubtotel.NewHooks(meter, redoubtotel.HooksConfig{Name: "payments"})
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg := breaker.Config{OnEvent: func(_ context.Context, e breaker.Event) { fmt.Println("opened:", e.To) }}
	cfg.OnEvent = hooks.Breaker(cfg.OnEvent)
	breaker.New(cfg).Trip(time.Minute, nil)
	for _, d := range points(reader, "redoubt.breaker.transitions") {
		if to, _ := d.Attributes.Value(attribute.Key("redoubt.to")); d.Value > 0 {
			fmt.Println(to.AsString(), d.Value)
		}
	}
	// Output:
	// opened: open
	// open 1
}

func ExampleHooksConfig_Validate() {
	fmt.Println(redoubtotel.HooksConfig{}.Validate())
	// Output: redoubtotel: Name is "", want a text in UTF-8
}

func ExampleSpanEvents() {
	recorder := tracetest.NewSpanRecorder()
	tracer := trace.NewTracerProvider(trace.WithSpanProcessor(recorder)).Tracer("example.com/shop")
	policy := retry.Policy{Backoff: retry.Constant(0)}
	policy.OnEvent = redoubtotel.SpanEvents

	ctx, span := tracer.Start(context.Background(), "pay")
	_ = policy.Do(ctx, func(context.Context) error { return errors.New("unavailable") })
	span.End()
	for _, e := range recorder.Ended()[0].Events() {
		fmt.Println(e.Name)
	}
	// Output:
	// redoubt.retry
	// redoubt.retry
	// redoubt.done
}
