package redoubtotel

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"

	"github.com/redoubt-go/redoubt/internal/metrics"
)

// nameKey is the attribute with the name that the caller chooses. All other
// attributes have values from lists.
const nameKey = "redoubt.name"

// attributeKey returns the attribute of a label: the attribute of the semantic
// conventions if there is such an attribute.
func attributeKey(label string) attribute.Key {
	if label == "host" {
		return "server.address"
	}
	return attribute.Key("redoubt." + label)
}

// An Exporter reports the statistics of objects to a meter. Make an Exporter
// with [New].
type Exporter struct {
	meter otelmetric.Meter
	mu    sync.Mutex
	kinds map[string]*kind
}

// New returns an exporter without objects.
func New(meter otelmetric.Meter) *Exporter {
	return &Exporter{meter: meter, kinds: map[string]*kind{}}
}

// Observe reports the statistics of x at each collection, until stop is called.
//
// The attribute redoubt.name is name, or the Name of the configuration of x if
// name is empty. It should be a word of the program, not of its input. Objects
// of the same package need different names.
//
// An object replaces an object of its kind that has the same name, and its
// counters go on from the counters of that object: a monotonic sum never
// falls. This is also so if stop was called before, but no collection came
// between. After a collection without the object, by any reader, its counters
// begin at 0. The limits of package ratelimit are of one kind.
//
// The keys are keys of a Group or Keyed. Each key has the figures of its
// breaker, or the tokens of its limit, under the attribute redoubt.key. Without
// keys, a Group and a Keyed report sums only.
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
//
// Errors: the errors of the meter, and an error if x has no statistics or no
// such keys, or if there is no name.
func (e *Exporter) Observe(name string, x any, keys ...any) (stop func(), err error) {
	src, err := metrics.SourceOf(x, keys...)
	if err != nil {
		return nil, fmt.Errorf("redoubtotel: %w", err)
	}
	name = cmp.Or(name, src.Name)
	if err := metrics.CheckName("redoubtotel", name); err != nil {
		return nil, err
	}
	k, err := e.kindOf(src)
	if err != nil {
		return nil, fmt.Errorf("redoubtotel: %w", err)
	}
	return k.add(name, src), nil
}

// kindOf returns the kind of src. It registers a new kind with the meter.
func (e *Exporter) kindOf(src *metrics.Source) (*kind, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := e.kinds[src.Kind]; k != nil {
		return k, nil
	}
	k := &kind{instruments: map[string]otelmetric.Observable{}, objects: map[string]*object{}}
	var instruments []otelmetric.Observable
	for _, m := range src.Metrics {
		instrument, err := observable(e.meter, m)
		if err != nil {
			return nil, err
		}
		k.instruments[m.Name] = instrument
		instruments = append(instruments, instrument)
	}
	if _, err := e.meter.RegisterCallback(k.observe, instruments...); err != nil {
		return nil, err
	}
	e.kinds[src.Kind] = k
	return k, nil
}

// observable makes the instrument of m. A meter returns the same instrument for
// the same name.
func observable(meter otelmetric.Meter, m metrics.Metric) (otelmetric.Observable, error) {
	unit, help := otelmetric.WithUnit(m.Unit), otelmetric.WithDescription(m.Help)
	switch whole := m.Whole(); {
	case m.Kind == metrics.KindCounter && whole:
		return meter.Int64ObservableCounter(m.Name, unit, help)
	case m.Kind == metrics.KindCounter:
		return meter.Float64ObservableCounter(m.Name, unit, help)
	case m.Kind == metrics.KindSum && whole:
		return meter.Int64ObservableUpDownCounter(m.Name, unit, help)
	case m.Kind == metrics.KindSum:
		return meter.Float64ObservableUpDownCounter(m.Name, unit, help)
	case whole:
		return meter.Int64ObservableGauge(m.Name, unit, help)
	default:
		return meter.Float64ObservableGauge(m.Name, unit, help)
	}
}

// A kind is the objects with the same metrics. It has one callback, however
// many objects there are.
type kind struct {
	instruments map[string]otelmetric.Observable // by the names of Source.Metrics

	mu      sync.Mutex
	objects map[string]*object
	order   []string // of objects: if there are too many series for the SDK, it drops the same series each time
}

// An object is a source and the sums of the sources that it has replaced.
type object struct {
	source      *metrics.Source
	instruments []otelmetric.Observable      // of each series
	options     [][]otelmetric.ObserveOption // of each series; slices, so that a call allocates none
	past        map[id]float64
	values      []float64 // of the last collection
	gone        bool      // stopped; past contains all sums
}

// An id identifies a series among the sources of a kind.
type id struct{ metric, key, label string }

func (o *object) id(i int) id {
	s := o.source.Series[i]
	return id{o.source.Metrics[s.Metric].Name, s.Key, s.Label}
}

func (o *object) counts(i int) bool {
	return o.source.Metrics[o.source.Series[i].Metric].Kind == metrics.KindCounter
}

// finish reads o for the last time, and returns the sums of its counters.
func (o *object) finish() map[id]float64 {
	if o == nil {
		return nil
	}
	if o.gone {
		return o.past
	}
	sums := map[id]float64{}
	maps.Copy(sums, o.past) // also of series that only objects before o had
	for i, v := range o.source.Read(nil) {
		if o.counts(i) {
			sums[o.id(i)] += v
		}
	}
	return sums
}

// add adds an object and returns the function that removes it.
func (k *kind) add(name string, src *metrics.Source) (stop func()) {
	o := &object{source: src}
	for _, s := range src.Series {
		m := src.Metrics[s.Metric]
		attributes := attributesOf(name, m, [metrics.MaxKeys]string{s.Key}, s.Label)
		o.instruments = append(o.instruments, k.instruments[m.Name])
		o.options = append(o.options, []otelmetric.ObserveOption{attributes})
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	before, ok := k.objects[name]
	if !ok {
		k.order = append(k.order, name)
	}
	o.past = before.finish()
	k.objects[name] = o
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		if k.objects[name] == o && !o.gone {
			o.past, o.gone = o.finish(), true
		}
	}
}

// observe is the callback of the meter.
func (k *kind) observe(_ context.Context, out otelmetric.Observer) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.order = slices.DeleteFunc(k.order, func(name string) bool {
		gone := k.objects[name].gone
		if gone {
			delete(k.objects, name)
		}
		return gone
	})
	for _, name := range k.order {
		k.objects[name].observe(out)
	}
	return nil
}

func (o *object) observe(out otelmetric.Observer) {
	if o.values == nil && o.past != nil {
		o.trim()
	}
	o.values = o.source.Read(o.values[:0])
	for i, v := range o.values {
		if len(o.past) > 0 {
			v += o.past[o.id(i)] // 0 for a gauge
		}
		switch instrument := o.instruments[i].(type) {
		case otelmetric.Int64Observable:
			out.ObserveInt64(instrument, whole(v), o.options[i]...)
		case otelmetric.Float64Observable:
			out.ObserveFloat64(instrument, v, o.options[i]...)
		}
	}
}

// trim forgets the sums of series that end with this collection, because o does
// not have them.
func (o *object) trim() {
	past := map[id]float64{}
	for i := range o.source.Series {
		if v, ok := o.past[o.id(i)]; ok {
			past[o.id(i)] = v
		}
	}
	o.past = past
}

// whole returns the integer of v, or the nearest int64: an unlimited rate limit
// has an infinite number of tokens.
func whole(v float64) int64 {
	if v >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(v)
}

// attributesOf returns the attributes of a value of m, without empty keys.
func attributesOf(name string, m metrics.Metric, keys [metrics.MaxKeys]string, label string) otelmetric.MeasurementOption {
	all := []attribute.KeyValue{attribute.String(nameKey, name)}
	for i, k := range m.Keys {
		if keys[i] != "" {
			all = append(all, attributeKey(k).String(keys[i]))
		}
	}
	if m.Label != "" {
		all = append(all, attributeKey(m.Label).String(label))
	}
	return otelmetric.WithAttributeSet(attribute.NewSet(all...))
}
