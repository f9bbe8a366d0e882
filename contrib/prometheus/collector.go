package redoubtprometheus

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/redoubt-go/redoubt/internal/metrics"
)

// nameLabel is the label with the name that the caller chooses. All other
// labels have values from lists.
const nameLabel = "name"

// NewCollector returns a collector of the statistics of x, for a Registerer. It
// panics if x has no statistics.
//
// The label name is name, or the Name of the configuration of x if name is
// empty. It should be a word of the program, not of its input. Objects of the
// same type need different names: otherwise the Registerer refuses the second.
//
// The keys are keys of a Group or Keyed. Each key has the figures of its
// breaker, or the tokens of its limit, under the label key. Without keys, a
// Group and a Keyed report sums only.
//
// These types have statistics:
//
//   - *breaker.Breaker, *breaker.Group, *breaker.Pool, *breaker.Throttle
//   - *retry.TokenBudget
//   - *ratelimit.Limiter, *ratelimit.Keyed, *ratelimit.Window,
//     *ratelimit.Counter, *bulkhead.Bulkhead
//   - *cache.Cache, *cache.Memo
//   - *audit.Log, *audit.Buffer, *ledger.Ledger, *witness.Client
//   - *logscan.Counters, *follow.Counters
//   - the types of contrib/redis, contrib/grpc and contrib/nats with Stats
//   - a func() detect.Stats: a detector belongs to one goroutine, so the
//     function must lock it, or return a copy that the goroutine has made
//
// and every type with the Stats method of one of them, or a function that
// returns such statistics.
func NewCollector(name string, x any, keys ...any) prometheus.Collector {
	src, err := metrics.SourceOf(x, keys...)
	if err != nil {
		panic(fmt.Errorf("redoubtprometheus: %w", err))
	}
	name = cmp.Or(name, src.Name)
	if err := metrics.CheckName("redoubtprometheus", name); err != nil {
		panic(err)
	}
	c := &collector{source: src}
	for i, s := range src.Series {
		if i > 0 && src.Series[i-1].Metric == s.Metric && src.Series[i-1].Key == s.Key {
			c.series = append(c.series, newSeries(c.series[i-1].desc, name, src.Metrics[s.Metric], s))
			continue
		}
		d := desc(name, src.Metrics[s.Metric], s.Key)
		c.descs = append(c.descs, d)
		c.series = append(c.series, newSeries(d, name, src.Metrics[s.Metric], s))
	}
	return c
}

type collector struct {
	source *metrics.Source
	descs  []*prometheus.Desc
	series []series // of source.Series
}

// A series is a value without its number, made once: a scrape copies it.
type series struct {
	desc    *prometheus.Desc
	labels  []*dto.LabelPair // sorted by name
	counter bool
}

func desc(name string, m metrics.Metric, key string) *prometheus.Desc {
	own := prometheus.Labels{nameLabel: name}
	for _, k := range m.Keys {
		own[k] = key
	}
	var label []string
	if m.Label != "" {
		label = []string{m.Label}
	}
	return prometheus.NewDesc(fullName(m), m.Help, label, own)
}

func newSeries(d *prometheus.Desc, name string, m metrics.Metric, s metrics.Series) series {
	values := []string{s.Label}
	if m.Label == "" {
		values = nil
	}
	return series{d, prometheus.MakeLabelPairs(d, values), m.Kind == metrics.KindCounter}
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector. All values of an object come from
// one call of Stats, except tokens of a Limiter and the values of each key.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	samples := make([]sample, len(c.series))
	for i, v := range c.source.Read(make([]float64, 0, len(c.series))) {
		samples[i] = sample{&c.series[i], v}
		ch <- &samples[i]
	}
}

// A sample is a value at the time of a scrape.
type sample struct {
	*series
	value float64
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(out *dto.Metric) error {
	out.Label = s.labels
	if s.counter {
		out.Counter = &dto.Counter{Value: &s.value}
	} else {
		out.Gauge = &dto.Gauge{Value: &s.value}
	}
	return nil
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
