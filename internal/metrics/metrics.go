package metrics

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// A Kind is the meaning of the values of a metric.
type Kind uint8

// The kinds of metrics.
const (
	KindCounter   Kind = iota // only grows
	KindSum                   // can be added up over processes
	KindGauge                 // cannot be added up
	KindHistogram             // a distribution
)

// String returns the name of the kind in lower case.
func (k Kind) String() string {
	if names := []string{"counter", "sum", "gauge", "histogram"}; int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// A Metric is a name for values.
type Metric struct {
	Name   string // by OpenTelemetry: redoubt.<package>.<thing>
	Kind   Kind
	Unit   string   // by UCUM: s, By, 1 for a ratio, or the counted thing in braces
	Help   string   // one line
	Key    string   // of the label that distinguishes the values, "" for a single value
	Values []string // all values of that label
}

// A Source is an object with statistics.
type Source struct {
	Metrics []Metric
	Read    func() [][]float64 // per metric and label value, all from one snapshot
}

// SourceOf returns the statistics of x, or nil if x has none of this library.
// Generic types are recognized by their methods.
func SourceOf(x any) *Source {
	switch x := x.(type) {
	case interface{ Stats() breaker.Stats }:
		return bind(breakerFigures(), x.Stats)
	case interface{ Stats() breaker.GroupStats }:
		return bind(groupFigures(), x.Stats)
	case interface{ Stats() breaker.ThrottleStats }:
		return bind(throttleFigures(), x.Stats)
	case *ratelimit.Limiter:
		return bind(limiterFigures(), func() *ratelimit.Limiter { return x })
	case interface{ Stats() ratelimit.Stats }:
		return bind(keyedFigures(), x.Stats)
	case interface{ Stats() bulkhead.Stats }:
		return bind(bulkheadFigures(), x.Stats)
	case interface{ Stats() cache.Stats }:
		return bind(cacheFigures(), x.Stats)
	case interface{ Stats() audit.Stats }:
		return bind(auditFigures(), x.Stats)
	case interface{ Stats() audit.BufferStats }:
		return bind(bufferFigures(), x.Stats)
	case interface{ Stats() ledger.Stats }:
		return bind(ledgerFigures(), x.Stats)
	case interface{ Stats() logscan.Stats }:
		return bind(logscanFigures(), x.Stats)
	}
	if stats := alike[grpcStats](x); stats != nil {
		return bind(grpcFigures(), stats)
	}
	if stats := alike[redisStats](x); stats != nil {
		return bind(redisFigures(), stats)
	}
	if stats := alike[redisCacheStats](x); stats != nil {
		return bind(redisCacheFigures(), stats)
	}
	return nil
}

// alike returns the method Stats of x if its result has the fields of S. The
// type is in a module that this package must not import.
func alike[S any](x any) func() S {
	if x == nil {
		return nil
	}
	m := reflect.ValueOf(x).MethodByName("Stats")
	if !m.IsValid() {
		return nil
	}
	t, s := m.Type(), reflect.TypeFor[S]()
	if t.NumIn() != 0 || t.NumOut() != 1 || !t.Out(0).ConvertibleTo(s) {
		return nil
	}
	return func() S { return m.Call(nil)[0].Convert(s).Interface().(S) }
}

// A figure is a metric and its values in the statistics S, in the order of
// Metric.Values.
type figure[S any] struct {
	metric
	of func(S) []float64
}

func bind[S any](table []figure[S], stats func() S) *Source {
	return &Source{metricsOf(table), func() [][]float64 {
		s := stats()
		all := make([][]float64, len(table))
		for i, f := range table {
			all[i] = f.of(s)
		}
		return all
	}}
}

func metricsOf[S any](table []figure[S]) (all []Metric) {
	for _, f := range table {
		all = append(all, f.metric)
	}
	return all
}

// An Event is an event that the statistics do not contain. Events of a cache
// are not among them: its statistics count every departure.
type Event interface {
	retry.Event | breaker.Event | ratelimit.Event | bulkhead.Event
}

// An Action is a metric that events change.
type Action[E Event] struct {
	Metric
	// Of returns the number that an event adds to the metric, under a label if
	// the metric has a Key. It reports false if the event adds nothing.
	Of func(E) (label string, v float64, ok bool)
}

// Actions returns the metrics that events of type E change.
func Actions[E Event]() []Action[E] {
	var table any
	switch any(*new(E)).(type) {
	case retry.Event:
		table = retryActions()
	case breaker.Event:
		table = breakerActions()
	case ratelimit.Event:
		table = ratelimitActions()
	case bulkhead.Event:
		table = bulkheadActions()
	}
	return table.([]Action[E])
}

func changedBy[E Event]() (all []Metric) {
	for _, a := range Actions[E]() {
		all = append(all, a.Metric)
	}
	return all
}

// All returns every metric, in the order of the packages.
func All() []Metric {
	return slices.Concat(
		metricsOf(breakerFigures()), metricsOf(groupFigures()), metricsOf(throttleFigures()), changedBy[breaker.Event](),
		changedBy[retry.Event](),
		metricsOf(keyedFigures()), metricsOf(limiterFigures())[:1], changedBy[ratelimit.Event](),
		metricsOf(bulkheadFigures()), changedBy[bulkhead.Event](),
		metricsOf(cacheFigures()), metricsOf(auditFigures()), metricsOf(bufferFigures()), metricsOf(ledgerFigures()),
		metricsOf(logscanFigures()),
		metricsOf(grpcFigures()), metricsOf(redisFigures()), metricsOf(redisCacheFigures()))
}

// Bounds returns the upper bounds of the buckets of each histogram, in seconds.
func Bounds() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
}
