package prometheus

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// nameLabel is the label with the name that the caller chooses. All other
// labels have values from lists.
const nameLabel = "name"

// NewCollector returns a collector of the statistics of x, for a Registerer.
// The label name should be a word of the program, not of its input. Objects of
// the same type need different names: otherwise the Registerer refuses the
// second. These types have statistics:
//
//   - *breaker.Breaker, *breaker.Group, *breaker.Throttle
//   - *ratelimit.Limiter, *ratelimit.Keyed, *bulkhead.Bulkhead
//   - *cache.Cache, *cache.Memo
//   - *audit.Log, *audit.Buffer, *ledger.Ledger
//   - *logscan.Counters
//
// and every type with the Stats method of one of them. NewCollector panics if x
// has no statistics.
func NewCollector(name string, x any) prometheus.Collector {
	src := metrics.SourceOf(x)
	if src == nil {
		panic(fmt.Errorf("prometheus: %T has no statistics of redoubt", x))
	}
	c := collector{source: src}
	for _, m := range src.Metrics {
		c.descs = append(c.descs, prometheus.NewDesc(fullName(m), m.Help, labels(m)[1:], prometheus.Labels{nameLabel: name}))
	}
	return c
}

type collector struct {
	source *metrics.Source
	descs  []*prometheus.Desc // of source.Metrics
}

// Describe implements prometheus.Collector.
func (c collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. All values come from one call of
// Stats.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	for i, values := range c.source.Read() {
		m := c.source.Metrics[i]
		valueType := prometheus.GaugeValue
		if m.Kind == metrics.KindCounter {
			valueType = prometheus.CounterValue
		}
		for j, v := range values {
			ch <- prometheus.MustNewConstMetric(c.descs[i], valueType, v, labelValue(m, j)...)
		}
	}
}

// labels returns the names of all labels of m.
func labels(m metrics.Metric) []string {
	if m.Key == "" {
		return []string{nameLabel}
	}
	return []string{nameLabel, m.Key}
}

// labelValue returns the label of value i of m, or nil if m has no labels.
func labelValue(m metrics.Metric, i int) []string {
	if m.Key == "" {
		return nil
	}
	return m.Values[i : i+1]
}

// fullName translates the name of m by the rules of "Prometheus and OpenMetrics
// Compatibility" of OpenTelemetry: it appends a unit of measurement, and _total
// for a counter. A unit in braces is dropped.
func fullName(m metrics.Metric) string {
	name := strings.ReplaceAll(m.Name, ".", "_")
	switch m.Unit {
	case "s":
		name += "_seconds"
	case "By":
		name += "_bytes"
	case "1":
		name += "_ratio"
	}
	if m.Kind == metrics.KindCounter {
		name += "_total"
	}
	return name
}

// An Event is an event of a guard that its statistics do not contain. Events of
// a cache are not among them: its statistics count every departure.
type Event interface {
	retry.Event | breaker.Event | ratelimit.Event | bulkhead.Event
}

// OnEvent returns a hook that counts and measures events and then calls next,
// which may be nil. The hook replaces the present hook, if any:
//
//	policy.OnEvent = prometheus.OnEvent(registry, "fetch", policy.OnEvent)
//
// See [NewCollector] for the name. Hooks with the same name add up. Like
// MustRegister, OnEvent panics if reg refuses the metrics because other metrics
// have their names.
func OnEvent[E Event](reg prometheus.Registerer, name string, next func(context.Context, E)) func(context.Context, E) {
	table := metrics.Actions[E]()
	add := make([]func(label string, v float64), len(table))
	for i, a := range table {
		add[i] = adder(reg, name, a.Metric)
	}
	return func(ctx context.Context, e E) {
		for i, a := range table {
			if label, v, ok := a.Of(e); ok {
				add[i](label, v)
			}
		}
		if next != nil {
			next(ctx, e)
		}
	}
}

// adder returns a function that adds to the value of m with a label. All values
// exist from the start, with 0.
func adder(reg prometheus.Registerer, name string, m metrics.Metric) func(string, float64) {
	if m.Kind == metrics.KindHistogram {
		opts := prometheus.HistogramOpts{Name: fullName(m), Help: m.Help, Buckets: metrics.Bounds()}
		h := register(reg, prometheus.NewHistogramVec(opts, labels(m))).WithLabelValues(name)
		return func(_ string, v float64) { h.Observe(v) }
	}
	opts := prometheus.CounterOpts{Name: fullName(m), Help: m.Help}
	vec := register(reg, prometheus.NewCounterVec(opts, labels(m)))
	byLabel := map[string]prometheus.Counter{}
	for i := range max(1, len(m.Values)) {
		label := labelValue(m, i)
		byLabel[strings.Join(label, "")] = vec.WithLabelValues(append([]string{name}, label...)...)
	}
	return func(label string, v float64) {
		if c, ok := byLabel[label]; ok { // other labels would make new series
			c.Add(v)
		}
	}
}

// register registers c. It returns the collector that is registered already, if
// an earlier call registered the same metric for another name.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	err := reg.Register(c)
	var before prometheus.AlreadyRegisteredError
	if errors.As(err, &before) {
		if existing, ok := before.ExistingCollector.(C); ok {
			return existing
		}
	}
	if err != nil {
		panic(fmt.Errorf("prometheus: %w", err))
	}
	return c
}
