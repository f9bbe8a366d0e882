package redoubtotel

import (
	"context"
	"fmt"
	"slices"
	"sync"

	otelmetric "go.opentelemetry.io/otel/metric"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// A HooksConfig configures a [Hooks].
type HooksConfig struct {
	_ [0]func()

	// Name is the attribute redoubt.name of all metrics of the hooks: a word
	// of the program, not of its input. Required.
	Name string

	// Keys are the values that the following attributes may have, at most
	// 1000. Every other value becomes "other", so the number of series is
	// bounded. Without Keys there are no such attributes:
	//
	//   - redoubt.policy is the Name of a retry.Policy or retry.Hedge.
	//   - server.address is the host of an HTTP request, or the operation of
	//     another call.
	//   - redoubt.key is the name of a breaker, its key in a Group, or a key of
	//     a Keyed.
	Keys []string
}

// Validate returns an error that joins all problems of c.
func (c HooksConfig) Validate() error {
	_, err := metrics.ListOf("redoubtotel", c.Name, c.Keys)
	return err
}

// Hooks counts and measures the events of guards. The SDK receives the context
// of each event, so that its exemplars refer to traces. Guards that share a
// Hooks, and Hooks with the same Name, add up.
//
// The methods return a hook that calls next after it has counted the event.
// Next may be nil.
type Hooks struct {
	retry     *recorder[retry.Event]
	breaker   *recorder[breaker.Event]
	rateLimit *recorder[ratelimit.Event]
	bulkhead  *recorder[bulkhead.Event]
}

// NewHooks returns hooks.
//
// Errors: the error of [HooksConfig.Validate], and the errors of the meter.
func NewHooks(meter otelmetric.Meter, c HooksConfig) (*Hooks, error) {
	listed, err := metrics.ListOf("redoubtotel", c.Name, c.Keys)
	if err != nil {
		return nil, err
	}
	h := new(Hooks)
	if h.retry, err = newRecorder[retry.Event](meter, c.Name, listed); err != nil {
		return nil, err
	}
	if h.breaker, err = newRecorder[breaker.Event](meter, c.Name, listed); err != nil {
		return nil, err
	}
	if h.rateLimit, err = newRecorder[ratelimit.Event](meter, c.Name, listed); err != nil {
		return nil, err
	}
	h.bulkhead, err = newRecorder[bulkhead.Event](meter, c.Name, listed)
	return h, err
}

// Retry returns a hook for a retry.Policy or a retry.Hedge: attempts, pauses
// and the ends of calls. A call that succeeds at once causes no event.
func (h *Hooks) Retry(next func(context.Context, retry.Event)) func(context.Context, retry.Event) {
	return h.retry.hook(next)
}

// Breaker returns a hook for a breaker.Config: transitions and open periods.
func (h *Hooks) Breaker(next func(context.Context, breaker.Event)) func(context.Context, breaker.Event) {
	return h.breaker.hook(next)
}

// RateLimit returns a hook for the configurations of package ratelimit: the
// waiting times of refused requests.
func (h *Hooks) RateLimit(next func(context.Context, ratelimit.Event)) func(context.Context, ratelimit.Event) {
	return h.rateLimit.hook(next)
}

// Bulkhead returns a hook for a bulkhead.Config: changes of an adaptive limit.
func (h *Hooks) Bulkhead(next func(context.Context, bulkhead.Event)) func(context.Context, bulkhead.Event) {
	return h.bulkhead.hook(next)
}

// A recorder changes the metrics of events of type E.
type recorder[E metrics.Event] struct {
	actions  metrics.Actions[E]
	families []*family // of actions.All
	listed   metrics.Listed
	zeros    sync.Once
}

func newRecorder[E metrics.Event](meter otelmetric.Meter, name string, listed metrics.Listed) (*recorder[E], error) {
	r := &recorder[E]{actions: metrics.ActionsOf[E](), listed: listed}
	for _, a := range r.actions.All {
		f, err := newFamily(meter, name, a.Metric)
		if err != nil {
			return nil, fmt.Errorf("redoubtotel: %w", err)
		}
		r.families = append(r.families, f)
	}
	return r, nil
}

func (r *recorder[E]) hook(next func(context.Context, E)) func(context.Context, E) {
	r.zeros.Do(func() {
		for i, a := range r.actions.All {
			for _, label := range a.Labels() {
				r.families[i].begin(point{label: label})
			}
		}
	})
	return func(ctx context.Context, e E) {
		r.record(ctx, e)
		if next != nil {
			next(ctx, e)
		}
	}
}

func (r *recorder[E]) record(ctx context.Context, e E) {
	var at point
	if len(r.listed) > 0 && len(r.actions.Keys) > 0 {
		at.keys = r.listed.Of(r.actions.KeyOf(e))
	}
	for i := range r.actions.All {
		label, v, ok := r.actions.All[i].Of(e)
		if f := r.families[i]; ok && f.allows(label) {
			at.label = label
			f.add(ctx, at, v)
		}
	}
}

// A point is a series of a metric.
type point struct {
	label string
	keys  [metrics.MaxKeys]string
}

// A family is a metric and the attributes of its series.
type family struct {
	name      string
	metric    metrics.Metric
	counter   otelmetric.Int64Counter     // if metric is a counter
	histogram otelmetric.Float64Histogram // if it is a histogram

	mu     sync.RWMutex
	points map[point]attributes
}

// attributes are options of the two kinds; slices, so that a call allocates
// none.
type attributes struct {
	add    []otelmetric.AddOption
	record []otelmetric.RecordOption
}

func newFamily(meter otelmetric.Meter, name string, m metrics.Metric) (f *family, err error) {
	f = &family{name: name, metric: m, points: map[point]attributes{}}
	unit, help := otelmetric.WithUnit(m.Unit), otelmetric.WithDescription(m.Help)
	if m.Kind == metrics.KindHistogram {
		f.histogram, err = meter.Float64Histogram(m.Name, unit, help, otelmetric.WithExplicitBucketBoundaries(metrics.Bounds()...))
	} else {
		f.counter, err = meter.Int64Counter(m.Name, unit, help)
	}
	return f, err
}

// allows reports whether label is a value of the metric's label.
func (f *family) allows(label string) bool {
	return f.metric.Label == "" || slices.Contains(f.metric.Values, label)
}

// begin makes a counter exist with the value 0.
func (f *family) begin(p point) {
	if f.counter != nil {
		f.add(context.Background(), p, 0)
	}
}

func (f *family) add(ctx context.Context, p point, v float64) {
	own := f.of(p)
	if f.counter != nil {
		f.counter.Add(ctx, int64(v), own.add...)
	} else {
		f.histogram.Record(ctx, v, own.record...)
	}
}

// of returns the attributes of the series at p.
func (f *family) of(p point) attributes {
	f.mu.RLock()
	own, ok := f.points[p]
	f.mu.RUnlock()
	if !ok {
		set := attributesOf(f.name, f.metric, p.keys, p.label)
		own = attributes{[]otelmetric.AddOption{set}, []otelmetric.RecordOption{set}}
		f.mu.Lock()
		f.points[p] = own
		f.mu.Unlock()
	}
	return own
}
