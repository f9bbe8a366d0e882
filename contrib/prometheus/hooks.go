package redoubtprometheus

import (
	"context"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// maxTrace bounds the length of a trace ID in bytes. OpenMetrics allows 128
// characters for an exemplar, including the name of the label.
const maxTrace = 100

// A HooksConfig configures a [Hooks].
type HooksConfig struct {
	_ [0]func()

	// Name is the label name of all metrics of the hooks: a word of the
	// program, not of its input. Required.
	Name string

	// Keys are the values that the labels policy, host and key may have, at
	// most 1000. Every other value becomes "other", so the number of series
	// is bounded. Without Keys these labels are empty:
	//
	//   - policy is the Name of a retry.Policy or retry.Hedge.
	//   - host is the host of an HTTP request, or the operation of another
	//     call.
	//   - key is the name of a breaker, its key in a Group, or a key of a
	//     Keyed.
	Keys []string

	// TraceID returns the ID of the trace of a context, or "". If it is set,
	// the counters and histograms have exemplars with the label trace_id. It is
	// called with the context of the event. Nil means no exemplars.
	TraceID func(context.Context) string
}

// Validate returns an error that joins all problems of c.
func (c HooksConfig) Validate() error {
	_, err := metrics.ListOf("redoubtprometheus", c.Name, c.Keys)
	return err
}

// Hooks counts and measures the events of guards. It is a collector: register
// it once, before or after its methods are called, and unregister it to remove
// its series. Hooks with the same Name cannot be registered together. Guards
// that share a Hooks add up.
//
// The methods return a hook that calls next after it has counted the event.
// Next may be nil.
type Hooks struct {
	retry     recorder[retry.Event]
	breaker   recorder[breaker.Event]
	rateLimit recorder[ratelimit.Event]
	bulkhead  recorder[bulkhead.Event]
}

var _ prometheus.Collector = (*Hooks)(nil)

// NewHooks returns hooks. It panics with the error of [HooksConfig.Validate] if
// that is not nil.
func NewHooks(c HooksConfig) *Hooks {
	listed, err := metrics.ListOf("redoubtprometheus", c.Name, c.Keys)
	if err != nil {
		panic(err)
	}
	h := new(Hooks)
	h.retry.start(c, listed)
	h.breaker.start(c, listed)
	h.rateLimit.start(c, listed)
	h.bulkhead.start(c, listed)
	return h
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

// Describe implements prometheus.Collector. It describes the metrics of all
// hooks.
func (h *Hooks) Describe(ch chan<- *prometheus.Desc) {
	h.retry.describe(ch)
	h.breaker.describe(ch)
	h.rateLimit.describe(ch)
	h.bulkhead.describe(ch)
}

// Collect implements prometheus.Collector. It collects the metrics of the hooks
// that the program has asked for.
func (h *Hooks) Collect(ch chan<- prometheus.Metric) {
	h.retry.collect(ch)
	h.breaker.collect(ch)
	h.rateLimit.collect(ch)
	h.bulkhead.collect(ch)
}

// A recorder changes the metrics of events of type E.
type recorder[E metrics.Event] struct {
	actions  metrics.Actions[E]
	families []*family // of actions.All
	listed   metrics.Listed
	traceID  func(context.Context) string
	zeros    sync.Once
}

func (r *recorder[E]) start(c HooksConfig, listed metrics.Listed) {
	r.actions, r.traceID, r.listed = metrics.ActionsOf[E](), c.TraceID, listed
	for _, a := range r.actions.All {
		r.families = append(r.families, newFamily(c.Name, a.Metric))
	}
}

func (r *recorder[E]) hook(next func(context.Context, E)) func(context.Context, E) {
	r.zeros.Do(func() {
		for i, a := range r.actions.All {
			for _, label := range a.Labels() {
				r.families[i].of(point{label: label}) // so that it exists, with 0
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
		at.keys = r.listed.Of(r.actions.KeyOf(e, r.listed))
	}
	var trace string
	for i := range r.actions.All {
		label, v, ok := r.actions.All[i].Of(e)
		if !ok {
			continue
		}
		if trace == "" && r.traceID != nil {
			trace = r.traceID(ctx)
		}
		at.label = label
		if f := r.families[i]; f.allows(label) {
			f.of(at).add(v, trace)
		}
	}
}

func (r *recorder[E]) describe(ch chan<- *prometheus.Desc) {
	for _, f := range r.families {
		f.vec.Describe(ch)
	}
}

func (r *recorder[E]) collect(ch chan<- prometheus.Metric) {
	for _, f := range r.families {
		f.vec.Collect(ch)
	}
}

// A point is a series of a metric.
type point struct {
	label string
	keys  [metrics.MaxKeys]string
}

// A family is the series of a metric. Its map replaces the search of the client
// library, which allocates.
type family struct {
	metric metrics.Metric
	vec    prometheus.Collector
	make   func(labels ...string) adder // in vec

	mu     sync.RWMutex
	points map[point]adder
}

func newFamily(name string, m metrics.Metric) *family {
	f := &family{metric: m, points: map[point]adder{}}
	own, labels := prometheus.Labels{nameLabel: name}, slices.Clone(m.Keys)
	if m.Label != "" {
		labels = append(labels, m.Label)
	}
	if m.Kind == metrics.KindHistogram {
		vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: fullName(m), Help: m.Help, ConstLabels: own, Buckets: metrics.Bounds(),
		}, labels)
		f.vec, f.make = vec, func(labels ...string) adder {
			h := vec.WithLabelValues(labels...)
			return adder{h.Observe, h.(prometheus.ExemplarObserver).ObserveWithExemplar}
		}
		return f
	}
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: fullName(m), Help: m.Help, ConstLabels: own}, labels)
	f.vec, f.make = vec, func(labels ...string) adder {
		c := vec.WithLabelValues(labels...)
		return adder{c.Add, c.(prometheus.ExemplarAdder).AddWithExemplar}
	}
	return f
}

// allows reports whether label is a value of the metric's label.
func (f *family) allows(label string) bool {
	return f.metric.Label == "" || slices.Contains(f.metric.Values, label)
}

// of returns the series at p.
func (f *family) of(p point) adder {
	f.mu.RLock()
	a, ok := f.points[p]
	f.mu.RUnlock()
	if ok {
		return a
	}
	labels := slices.Clone(p.keys[:len(f.metric.Keys)])
	if f.metric.Label != "" {
		labels = append(labels, p.label)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if a, ok = f.points[p]; !ok {
		a = f.make(labels...)
		f.points[p] = a
	}
	return a
}

// An adder changes a series.
type adder struct {
	plain func(float64)
	with  func(float64, prometheus.Labels)
}

func (a adder) add(v float64, trace string) {
	if trace == "" || len(trace) > maxTrace || !utf8.ValidString(trace) {
		a.plain(v)
		return
	}
	a.with(v, prometheus.Labels{"trace_id": trace})
}
