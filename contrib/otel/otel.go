package otel

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// nameKey is the attribute with the name that the caller chooses. All other
// attributes have values from lists.
const nameKey = "name"

// Observe makes meter report the statistics of x at each collection, until the
// returned registration is unregistered. The attribute name should be a word of
// the program, not of its input. Objects of the same type need different names.
// These types have statistics:
//
//   - *breaker.Breaker, *breaker.Group, *breaker.Throttle
//   - *ratelimit.Limiter, *ratelimit.Keyed, *bulkhead.Bulkhead
//   - *cache.Cache, *cache.Memo
//   - *audit.Log, *audit.Buffer, *ledger.Ledger
//   - *logscan.Counters
//
// and every type with the Stats method of one of them.
//
// Errors: the errors of the meter, and an error if x has no statistics.
func Observe(meter otelmetric.Meter, name string, x any) (otelmetric.Registration, error) {
	src := metrics.SourceOf(x)
	if src == nil {
		return nil, fmt.Errorf("otel: %T has no statistics of redoubt", x)
	}
	var instruments []otelmetric.Observable
	var outlets []outlet
	var errs []error
	for _, m := range src.Metrics {
		instrument, err := observable(meter, m)
		errs = append(errs, err)
		instruments = append(instruments, instrument)
		out := outlet{instrument: instrument}
		for _, o := range options(name, m) {
			out.options = append(out.options, []otelmetric.ObserveOption{o})
		}
		outlets = append(outlets, out)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("otel: %w", err)
	}
	return meter.RegisterCallback(func(_ context.Context, o otelmetric.Observer) error {
		for i, values := range src.Read() {
			outlets[i].observe(o, values)
		}
		return nil
	}, instruments...)
}

// An outlet reports the values of a metric.
type outlet struct {
	instrument otelmetric.Float64Observable
	options    [][]otelmetric.ObserveOption // of each value; slices, so that a call allocates none
}

func (out outlet) observe(o otelmetric.Observer, values []float64) {
	for i, v := range values {
		o.ObserveFloat64(out.instrument, v, out.options[i]...)
	}
}

// options returns the attributes of each value of m.
func options(name string, m metrics.Metric) []otelmetric.MeasurementOption {
	own := attribute.String(nameKey, name)
	if m.Key == "" {
		return []otelmetric.MeasurementOption{otelmetric.WithAttributeSet(attribute.NewSet(own))}
	}
	var all []otelmetric.MeasurementOption
	for _, v := range m.Values {
		all = append(all, otelmetric.WithAttributeSet(attribute.NewSet(own, attribute.String(m.Key, v))))
	}
	return all
}

// observable makes the instrument of m. A meter returns the same instrument for
// the same name.
func observable(meter otelmetric.Meter, m metrics.Metric) (otelmetric.Float64Observable, error) {
	unit, help := otelmetric.WithUnit(m.Unit), otelmetric.WithDescription(m.Help)
	switch m.Kind {
	case metrics.KindCounter:
		return meter.Float64ObservableCounter(m.Name, unit, help)
	case metrics.KindSum:
		return meter.Float64ObservableUpDownCounter(m.Name, unit, help)
	default:
		return meter.Float64ObservableGauge(m.Name, unit, help)
	}
}

// An Event is an event of a guard that its statistics do not contain. Events of
// a cache are not among them: its statistics count every departure.
type Event interface {
	retry.Event | breaker.Event | ratelimit.Event | bulkhead.Event
}

// OnEvent returns a hook that counts and measures events and then calls next,
// which may be nil. The hook replaces the present hook, if any:
//
//	policy.OnEvent, err = otel.OnEvent(meter, "fetch", policy.OnEvent)
//
// See [Observe] for the name. The SDK receives the context of the event, so
// that a histogram can refer to its trace.
//
// Errors: the errors of the meter.
func OnEvent[E Event](meter otelmetric.Meter, name string, next func(context.Context, E)) (func(context.Context, E), error) {
	table := metrics.Actions[E]()
	add := make([]func(ctx context.Context, label string, v float64), len(table))
	for i, a := range table {
		var err error
		if add[i], err = adder(meter, name, a.Metric); err != nil {
			return nil, fmt.Errorf("otel: %w", err)
		}
	}
	return func(ctx context.Context, e E) {
		for i, a := range table {
			if label, v, ok := a.Of(e); ok {
				add[i](ctx, label, v)
			}
		}
		if next != nil {
			next(ctx, e)
		}
	}, nil
}

// adder returns a function that adds to the value of m with a label. Counters
// exist from the start, with the value 0.
func adder(meter otelmetric.Meter, name string, m metrics.Metric) (func(context.Context, string, float64), error) {
	unit, help := otelmetric.WithUnit(m.Unit), otelmetric.WithDescription(m.Help)
	if m.Kind == metrics.KindHistogram {
		h, err := meter.Float64Histogram(m.Name, unit, help, otelmetric.WithExplicitBucketBoundaries(metrics.Bounds()...))
		own := []otelmetric.RecordOption{options(name, m)[0]}
		return func(ctx context.Context, _ string, v float64) { h.Record(ctx, v, own...) }, err
	}
	c, err := meter.Float64Counter(m.Name, unit, help)
	if err != nil {
		return nil, err
	}
	byLabel := map[string][]otelmetric.AddOption{}
	for i, o := range options(name, m) {
		own := []otelmetric.AddOption{o}
		c.Add(context.Background(), 0, own...)
		label := ""
		if m.Key != "" {
			label = m.Values[i]
		}
		byLabel[label] = own
	}
	return func(ctx context.Context, label string, v float64) {
		if own, ok := byLabel[label]; ok { // other labels would make new series
			c.Add(ctx, v, own...)
		}
	}, nil
}
