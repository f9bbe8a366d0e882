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

// nameKey is the attribute with the name that the user gives, the only one that is not from a list.
const nameKey = "name"

// Observe makes meter report the statistics of x with each collection, until the registration returned is unregistered.
// Each has the attribute name, which should be a word of the program and not of its input, and must differ among things of
// one type. x is one of
//
//   - *breaker.Breaker, *breaker.Group, *breaker.Throttle
//   - *ratelimit.Limiter, *ratelimit.Keyed, *bulkhead.Bulkhead
//   - *cache.Cache, *cache.Memo
//   - *audit.Log, *audit.Buffer, *ledger.Ledger
//   - *logscan.Counters
//
// or another with the method Stats of one of these. The error says that x is none of them, or is that of the meter.
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

// An outlet is where the values of a metric go.
type outlet struct {
	instrument otelmetric.Float64Observable
	options    [][]otelmetric.ObserveOption // of each value; a slice, so that no call need make one
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

// observable makes the instrument of m. Meters return the same one for the same name.
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

// OnEvent returns a hook that counts and measures the events it is told of and then calls next, which may be nil. Put it
// in place of the hook that is there, if any:
//
//	policy.OnEvent, err = otel.OnEvent(meter, "fetch", policy.OnEvent)
//
// For the name see [Observe]. The context of the event goes to the SDK, so that histograms may point to its trace. The error
// is that of the meter.
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

// adder returns what adds to the value of m with a label. The counters are there from the start, with zeros.
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
		if own, ok := byLabel[label]; ok { // a label that is not in the list would be one too many
			c.Add(ctx, v, own...)
		}
	}, nil
}
