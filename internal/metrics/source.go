package metrics

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// A Source is an object with statistics.
type Source struct {
	Kind    string   // of the object, such as "breaker"
	Name    string   // of the object, from its statistics
	Metrics []Metric // of its Series; a set for each kind, so some may have no series
	Series  []Series
	// Read appends the value of each of Series to dst. The values of a kind of
	// object come from one snapshot.
	Read func(dst []float64) []float64
}

// A Series is a value of a metric.
type Series struct {
	Metric int    // index in Source.Metrics
	Key    string // value of the label key, if the metric has it
	Label  string // value of Metric.Label
}

// maxListed bounds the keys of a source.
const maxListed = 1000

// SourceOf returns the statistics of x. x is an object of this library, or a
// func() S that returns the statistics S of such an object. Generic types are
// recognized by their methods.
//
// The keys are keys of a Group or Keyed, which get figures of their own.
//
// Errors: x has no statistics, or does not have such keys.
func SourceOf(x any, keys ...any) (*Source, error) {
	if v := reflect.ValueOf(x); (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil() && !admitsAll(x) {
		return nil, fmt.Errorf("%T is nil", x)
	}
	src := sourceOf(x)
	if src == nil {
		return nil, fmt.Errorf("%T has no statistics of redoubt", x)
	}
	if len(keys) > maxListed {
		return nil, fmt.Errorf("%d keys, want at most %d", len(keys), maxListed)
	}
	seen := map[string]bool{}
	for _, key := range keys {
		label := fmt.Sprint(key)
		if seen[label] || label == "" || !utf8.ValidString(label) {
			return nil, fmt.Errorf("key %.64q is empty, not UTF-8, or there twice", label)
		}
		seen[label] = true
		of, err := ofKey(x, key, label)
		if err != nil {
			return nil, err
		}
		src.add(of)
	}
	src.complete()
	return src, nil
}

// complete adds the metrics that other objects of the kind have, without
// series. Limits of package ratelimit are of one kind, because they share a
// metric: an object must be able to replace each other object.
func (src *Source) complete() {
	switch src.Kind {
	case "group":
		src.add(&Source{Metrics: metricsOf(breakerFigures())})
	case "limiter", "window", "keyed":
		src.Kind = "ratelimit"
		src.add(&Source{Metrics: metricsOf(keyedFigures())})
		src.add(&Source{Metrics: metricsOf(tokens((*ratelimit.Limiter).Tokens))})
	}
}

// admitsAll reports whether x is of a type whose nil pointer is a guard.
func admitsAll(x any) bool {
	switch x.(type) {
	case *breaker.Breaker, *breaker.Throttle:
		return true
	}
	return false
}

func sourceOf(x any) *Source {
	if x == nil {
		return nil
	}
	switch x := x.(type) {
	case *ratelimit.Limiter:
		src := bind("limiter", tokens((*ratelimit.Limiter).Tokens), func() *ratelimit.Limiter { return x })
		src.add(bind("limiter", windowFigures(), x.Stats))
		return src
	case *ratelimit.Window, *ratelimit.Counter:
		return find("window", windowFigures, x)
	case interface{ Stats() detect.Stats }:
		return nil // it belongs to one goroutine
	}
	for _, src := range []*Source{
		find("breaker", breakerFigures, x), find("group", groupFigures, x), find("pool", poolFigures, x),
		find("throttle", throttleFigures, x), find("budget", budgetFigures, x), find("keyed", keyedFigures, x),
		find("bulkhead", bulkheadFigures, x), find("cache", cacheFigures, x), find("log", auditFigures, x),
		find("buffer", bufferFigures, x), find("ledger", ledgerFigures, x), find("witness", witnessFigures, x),
		find("scan", logscanFigures, x), find("detect", detectFigures, x), find("follow", followFigures, x),
		find("grpc", grpcFigures, x), find("redis", redisFigures, x), find("second", redisCacheFigures, x),
		find("nats worker", natsWorkerFigures, x), find("nats reader", natsReaderFigures, x), find("nats sink", natsSinkFigures, x), find("nats forgetter", natsForgetterFigures, x), find("nats shipper", natsShipperFigures, x), find("nats consumer", natsConsumerFigures, x),
	} {
		if src != nil {
			return src
		}
	}
	return nil
}

// find returns the source of x if its statistics are of type S, or of a type
// with the same fields. That type may be in a module that this package does not
// import.
func find[S any](kind string, table func() []figure[S], x any) *Source {
	switch x := x.(type) {
	case interface{ Stats() S }:
		return bind(kind, table(), x.Stats)
	case func() S:
		return bind(kind, table(), x)
	}
	m := reflect.ValueOf(x)
	if m.Kind() != reflect.Func {
		if m = m.MethodByName("Stats"); !m.IsValid() {
			return nil
		}
	}
	t, s := m.Type(), reflect.TypeFor[S]()
	if t.NumIn() != 0 || t.NumOut() != 1 || !t.Out(0).ConvertibleTo(s) {
		return nil
	}
	return bind(kind, table(), func() S { return m.Call(nil)[0].Convert(s).Interface().(S) })
}

// A figure is a metric and its values in the statistics S.
type figure[S any] struct {
	Metric
	of func(S) values
}

func bind[S any](kind string, table []figure[S], stats func() S) *Source {
	src := &Source{Kind: kind, Metrics: metricsOf(table)}
	if name := reflect.Indirect(reflect.ValueOf(stats())); name.Kind() == reflect.Struct && name.FieldByName("Name").IsValid() {
		src.Name = name.FieldByName("Name").String()
	}
	for i, m := range src.Metrics {
		for _, label := range m.Labels() {
			src.Series = append(src.Series, Series{Metric: i, Label: label})
		}
	}
	src.Read = func(dst []float64) []float64 {
		s := stats()
		for i := range table {
			vs := table[i].of(s)
			dst = append(dst, vs[:max(1, len(table[i].Values))]...)
		}
		return dst
	}
	return src
}

// add appends the series of other. Metrics that both have stand once.
func (src *Source) add(other *Source) {
	place := make([]int, len(other.Metrics))
	for i, m := range other.Metrics {
		for place[i] = range src.Metrics {
			if src.Metrics[place[i]].Name == m.Name {
				break
			}
		}
		if len(src.Metrics) == 0 || src.Metrics[place[i]].Name != m.Name {
			place[i] = len(src.Metrics)
			src.Metrics = append(src.Metrics, m)
		}
	}
	for _, s := range other.Series {
		s.Metric = place[s.Metric]
		src.Series = append(src.Series, s)
	}
	if src.Name == "" {
		src.Name = other.Name
	}
	if first := src.Read; other.Read != nil {
		src.Read = func(dst []float64) []float64 { return other.Read(first(dst)) }
	}
}

var errNoKeys = errors.New("only a Group or a Keyed has keys")

// ofKey returns the source of a key of x.
func ofKey(x, key any, label string) (*Source, error) {
	peek := reflect.ValueOf(x).MethodByName("Peek")
	if !peek.IsValid() || peek.Type().NumIn() != 1 {
		return nil, errNoKeys
	}
	k, in := reflect.ValueOf(key), peek.Type().In(0)
	switch {
	case !k.IsValid():
		return nil, fmt.Errorf("key <nil> is no %v", in)
	case k.Kind() == in.Kind() && k.CanConvert(in):
		k = k.Convert(in)
	case !k.Type().AssignableTo(in):
		return nil, fmt.Errorf("key %.64q is a %T, want a %v", label, key, in)
	}
	args := []reflect.Value{k}
	var src *Source
	switch peek.Type().Out(0) {
	case reflect.TypeFor[*breaker.Breaker]():
		state := reflect.ValueOf(x).MethodByName("State")
		b := keyBreaker{
			peek:  func() *breaker.Breaker { return peek.Call(args)[0].Interface().(*breaker.Breaker) },
			state: func() breaker.State { return state.Call(args)[0].Interface().(breaker.State) },
		}
		src = bind("breaker", breakerFigures(), b.stats)
	case reflect.TypeFor[ratelimit.Decision]():
		remaining := func(d ratelimit.Decision) float64 { return float64(d.Remaining) }
		src = bind("limiter", tokens(remaining), func() ratelimit.Decision { return peek.Call(args)[0].Interface().(ratelimit.Decision) })
	default:
		return nil, errNoKeys
	}
	src.Name = ""
	for i := range src.Series {
		src.Series[i].Key = label
	}
	return src, nil
}

// A keyBreaker is the breaker of a key of a group. The group may forget it and
// make another, which starts with zeros. The counters of a keyBreaker go on. A
// key without a breaker has the state that the sketch of the group remembers.
type keyBreaker struct {
	peek  func() *breaker.Breaker
	state func() breaker.State
	mu    sync.Mutex
	last  *breaker.Breaker // nil if the key had no breaker
	past  breaker.Stats    // sums of the breakers before last
}

func (k *keyBreaker) stats() breaker.Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	if b := k.peek(); b != k.last {
		k.past = k.sums(k.last.Stats())
		k.last = b
	}
	s := k.last.Stats()
	if k.last == nil {
		s.State = k.state()
	}
	return k.sums(s)
}

// sums adds the counters of the past to s.
func (k *keyBreaker) sums(s breaker.Stats) breaker.Stats {
	s.Successes += k.past.Successes
	s.Failures += k.past.Failures
	s.Ignored += k.past.Ignored
	s.Slow += k.past.Slow
	s.Late += k.past.Late
	s.Rejected += k.past.Rejected
	s.Openings += k.past.Openings
	return s
}
