package metrics

import (
	"fmt"
	"slices"

	"github.com/redoubt-go/redoubt/breaker"
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
	Help   string   // a sentence
	Label  string   // distinguishes the values, "" for a single value
	Values []string // all values of Label
	Keys   []string // labels whose values the program lists
}

// Whole reports whether all values are integers.
func (m Metric) Whole() bool { return m.Kind != KindHistogram && m.Unit != "s" && m.Unit != "1" }

// Labels returns the values of Label, or a single "" without Label.
func (m Metric) Labels() []string {
	if m.Label == "" {
		return []string{""}
	}
	return m.Values
}

// All returns every metric, in the order of the packages.
func All() []Metric {
	level := metricsOf(tokens(func(v float64) float64 { return v }))
	return slices.Concat(
		metricsOf(breakerFigures()), metricsOf(groupFigures()), metricsOf(poolFigures()), metricsOf(throttleFigures()), changedBy[breaker.Event](),
		changedBy[retry.Event](), metricsOf(budgetFigures()),
		metricsOf(keyedFigures()), level, changedBy[ratelimit.Event](),
		metricsOf(bulkheadFigures()), changedBy[bulkhead.Event](),
		metricsOf(cacheFigures()), metricsOf(auditFigures()), metricsOf(bufferFigures()), metricsOf(ledgerFigures()), metricsOf(witnessFigures()),
		metricsOf(logscanFigures()), metricsOf(detectFigures()), metricsOf(followFigures()),
		metricsOf(grpcFigures()), metricsOf(redisFigures()), metricsOf(redisCacheFigures()),
		metricsOf(natsWorkerFigures()), metricsOf(natsReaderFigures()), metricsOf(natsSinkFigures()), metricsOf(natsForgetterFigures()), metricsOf(natsShipperFigures()), metricsOf(natsConsumerFigures()))
}

func metricsOf[S any](table []figure[S]) (all []Metric) {
	for _, f := range table {
		all = append(all, f.Metric)
	}
	return all
}

// Bounds returns the upper bounds of the buckets of each histogram, in seconds.
func Bounds() []float64 {
	return []float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300}
}
