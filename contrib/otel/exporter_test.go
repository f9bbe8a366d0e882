package redoubtotel_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	redoubtotel "github.com/redoubt-go/redoubt/contrib/otel"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
	"go.opentelemetry.io/otel/attribute"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt")

// collect returns the metrics that reader finds, by name.
func collect(reader metric.Reader) map[string]metricdata.Metrics {
	var rm metricdata.ResourceMetrics
	if err := reader.Collect(context.Background(), &rm); err != nil {
		panic(err)
	}
	all := map[string]metricdata.Metrics{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			all[m.Name] = m
		}
	}
	return all
}

// points returns the values of a metric; of a histogram they are the numbers of
// measurements.
func points(reader metric.Reader, name string) []metricdata.DataPoint[float64] {
	return pointsOf(collect(reader)[name].Data)
}

func pointsOf(data metricdata.Aggregation) []metricdata.DataPoint[float64] {
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		return floats(data.DataPoints)
	case metricdata.Gauge[int64]:
		return floats(data.DataPoints)
	case metricdata.Sum[float64]:
		return data.DataPoints
	case metricdata.Gauge[float64]:
		return data.DataPoints
	case metricdata.Histogram[float64]:
		var counts []metricdata.DataPoint[float64]
		for _, d := range data.DataPoints {
			counts = append(counts, metricdata.DataPoint[float64]{Attributes: d.Attributes, Value: float64(d.Count)})
		}
		return counts
	}
	return nil
}

func floats(points []metricdata.DataPoint[int64]) (all []metricdata.DataPoint[float64]) {
	for _, d := range points {
		all = append(all, metricdata.DataPoint[float64]{Attributes: d.Attributes, StartTime: d.StartTime, Time: d.Time, Value: float64(d.Value)})
	}
	return all
}

// values returns the values of a metric by their attributes but for the name:
// "" or "open".
func values(reader metric.Reader, name, of string) map[string]float64 {
	vs := map[string]float64{}
	for _, d := range points(reader, name) {
		key, mine := "", false
		for _, kv := range d.Attributes.ToSlice() {
			if kv.Key == "redoubt.name" {
				mine = kv.Value.AsString() == of
			} else {
				key += kv.Value.AsString()
			}
		}
		if mine {
			vs[key] = d.Value
		}
	}
	return vs
}

// show prints the values of metrics named payments, in order.
func show(reader metric.Reader, names ...string) {
	for _, name := range slices.Sorted(slices.Values(names)) {
		vs := values(reader, name, "payments")
		for _, key := range slices.Sorted(maps.Keys(vs)) {
			fmt.Println(strings.TrimSpace(name+" "+key), vs[key])
		}
	}
}

// newMeter returns a meter of a provider with a reader.
func newMeter(opts ...metric.ManualReaderOption) (otelmetric.Meter, metric.Reader) {
	reader := metric.NewManualReader(opts...)
	return metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"), reader
}

func mustObserve(t testing.TB, e *redoubtotel.Exporter, name string, x any, keys ...any) (stop func()) {
	t.Helper()
	stop, err := e.Observe(name, x, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return stop
}

func mustHooks(t testing.TB, meter otelmetric.Meter, name string, keys ...string) *redoubtotel.Hooks {
	t.Helper()
	hooks, err := redoubtotel.NewHooks(meter, redoubtotel.HooksConfig{Name: name, Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

func wantValues(t testing.TB, reader metric.Reader, name, of string, want map[string]float64) {
	t.Helper()
	if d := cmp.Diff(want, values(reader, name, of)); d != "" {
		t.Errorf("%s of %s:\n%s", name, of, d)
	}
}

// The listing is what users of the metrics rely on: a change of a name, unit,
// type or attribute shows here. It is collected from a real SDK, and so shows
// at the same time that every value is there before anything has happened.
func TestCollectionListsAllMetrics(t *testing.T) {
	meter, reader := newMeter()
	e := redoubtotel.New(meter)
	for name, x := range metricstest.Things(t) {
		var keys []any
		if name == "group" || name == "keyed" {
			keys = []any{"a", "b"}
		}
		mustObserve(t, e, name, x, keys...)
	}
	allHooks(t, meter, "hook")
	var got bytes.Buffer
	all := collect(reader)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		fmt.Fprintf(&got, "%s %s %s\n\t%s\n", name, kindOf(m.Data), m.Unit, m.Description)
		attributes := map[string][]string{}
		for _, d := range points(reader, name) {
			for _, kv := range d.Attributes.ToSlice() {
				if k := string(kv.Key); k != "redoubt.name" {
					attributes[k] = append(attributes[k], kv.Value.AsString())
				}
			}
		}
		for _, k := range slices.Sorted(maps.Keys(attributes)) {
			fmt.Fprintf(&got, "\t%s: %s\n", k, strings.Join(slices.Compact(slices.Sorted(slices.Values(attributes[k]))), ", "))
		}
	}
	const file = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got.String()); d != "" {
		t.Errorf("%s is stale; look at the difference, then run: go test . -update\n%s", file, d)
	}
}

func kindOf(data metricdata.Aggregation) string {
	sum := func(monotonic bool) string {
		if monotonic {
			return "counter"
		}
		return "updowncounter"
	}
	switch data := data.(type) {
	case metricdata.Sum[int64]:
		return sum(data.IsMonotonic) + " int"
	case metricdata.Sum[float64]:
		return sum(data.IsMonotonic) + " float"
	case metricdata.Gauge[int64]:
		return "gauge int"
	case metricdata.Gauge[float64]:
		return "gauge float"
	case metricdata.Histogram[float64]:
		return "histogram"
	}
	return fmt.Sprintf("%T", data)
}

func TestBreakerStates(t *testing.T) {
	meter, reader := newMeter()
	e := redoubtotel.New(meter)
	b := breaker.New(breaker.Config{Name: "elsewhere"})
	mustObserve(t, e, "pay", b)
	states := func(now string) map[string]float64 {
		all := map[string]float64{"closed": 0, "half-open": 0, "recovering": 0, "open": 0, "forced open": 0, "forced closed": 0}
		all[now] = 1
		return all
	}
	const name = "redoubt.breaker.state"
	wantValues(t, reader, name, "pay", states("closed"))
	b.ForceOpen()
	wantValues(t, reader, name, "pay", states("forced open"))
	b.ForceClosed()
	wantValues(t, reader, name, "pay", states("forced closed"))
	b.Reset()
	b.Trip(time.Hour, nil)
	wantValues(t, reader, name, "pay", states("open"))
}

// What is reported is what happened, for each of two with different names.
func TestFiguresOfRealUse(t *testing.T) {
	meter, reader := newMeter()
	e := redoubtotel.New(meter)
	ctx, all := t.Context(), metricstest.Things(t)
	for name, x := range all {
		mustObserve(t, e, name, x)
	}
	keyed := all["keyed"].(*ratelimit.Keyed[string])
	keyed.Allow("alice")
	keyed.Allow("alice")
	all["limiter"].(*ratelimit.Limiter).AllowN(3)
	for range 3 {
		_, _ = all["memo"].(*cache.Memo[string, int]).Get(ctx, "k")
	}
	_ = all["bulkhead"].(*bulkhead.Bulkhead).Do(ctx, func(context.Context) error {
		wantValues(t, reader, "redoubt.bulkhead.inflight", "bulkhead", map[string]float64{"": 1})
		return nil
	})
	s := logscan.Scanner{Stats: all["logscan"].(*logscan.Counters)}
	for _, err := range s.Records(ctx, logscan.Readers("in", strings.NewReader("a\nb\n"))) {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantValues(t, reader, "redoubt.ratelimit.requests", "keyed", map[string]float64{"allowed": 1, "refused": 1})
	wantValues(t, reader, "redoubt.cache.lookups", "memo", map[string]float64{"hit": 2, "miss": 1})
	wantValues(t, reader, "redoubt.cache.lookups", "cache", map[string]float64{"hit": 0, "miss": 0})
	wantValues(t, reader, "redoubt.ledger.size", "ledger", map[string]float64{"": 1}) // its first line
	wantValues(t, reader, "redoubt.logscan.read", "logscan", map[string]float64{"": 4})
	wantValues(t, reader, "redoubt.ratelimit.tokens", "limiter", map[string]float64{"": 4})
}

func TestStop(t *testing.T) {
	meter, reader := newMeter()
	e := redoubtotel.New(meter)
	stop := mustObserve(t, e, "a", &logscan.Counters{})
	mustObserve(t, e, "b", &logscan.Counters{})
	stop()
	stop()
	wantValues(t, reader, "redoubt.logscan.inputs", "a", map[string]float64{})
	wantValues(t, reader, "redoubt.logscan.inputs", "b", map[string]float64{"": 0})
}

func TestObserveErrors(t *testing.T) {
	meter, _ := newMeter()
	e := redoubtotel.New(meter)
	for _, x := range []any{nil, 1, time.Now()} {
		if _, err := e.Observe("x", x); err == nil {
			t.Errorf("%T is observed", x)
		}
	}
	b := breaker.New(breaker.Config{})
	if _, err := e.Observe("", b); err == nil {
		t.Error("an object without a name is observed")
	}
	if _, err := e.Observe("x", b, "key"); err == nil {
		t.Error("a key of a breaker is observed")
	}
}

// Without a name, an object has its own. Listed keys have figures.
func TestNamesAndKeysOfObjects(t *testing.T) {
	meter, reader := newMeter()
	e := redoubtotel.New(meter)
	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	mustObserve(t, e, "", group, "a", "b")
	mustObserve(t, e, "plain", breaker.NewGroup(breaker.GroupConfig[string]{}))
	mustObserve(t, e, "", breaker.New(breaker.Config{Name: "billing"}))
	group.For("a").(*breaker.Breaker).Trip(time.Hour, nil)
	group.For("c").(*breaker.Breaker).Trip(time.Hour, nil)
	wantValues(t, reader, "redoubt.breaker.openings", "hosts", map[string]float64{"a": 1, "b": 0})
	wantValues(t, reader, "redoubt.breaker.openings", "billing", map[string]float64{"": 0})
	wantValues(t, reader, "redoubt.breaker.group.openings", "hosts", map[string]float64{"": 2})
	wantValues(t, reader, "redoubt.breaker.group.openings", "plain", map[string]float64{"": 0})
	for _, d := range points(reader, "redoubt.breaker.openings") {
		if key, ok := d.Attributes.Value("redoubt.key"); ok == (key.AsString() == "") {
			t.Errorf("%v", d.Attributes.ToSlice())
		}
	}
}

// Each value has the attributes that its table gives it, and its instrument is
// of integers if the values are.
func TestValuesHaveTheirAttributes(t *testing.T) {
	n := 0
	for name, x := range metricstest.Filled(t) {
		src, err := metrics.SourceOf(x)
		if err != nil {
			t.Fatal(err)
		}
		meter, reader := newMeter()
		mustObserve(t, redoubtotel.New(meter), "x", x)
		all := collect(reader)
		for i, v := range src.Read(nil) {
			m := src.Metrics[src.Series[i].Metric]
			want := []attribute.KeyValue{attribute.String("redoubt.name", "x")}
			if m.Label != "" {
				want = append(want, attribute.String("redoubt."+m.Label, src.Series[i].Label))
			}
			set, found := attribute.NewSet(want...), 0
			for _, d := range pointsOf(all[m.Name].Data) {
				if d.Attributes.Equals(&set) {
					found++
					if d.Value != v {
						t.Errorf("%s: %s%v is %v, want %v", name, m.Name, want, d.Value, v)
					}
				}
			}
			if found != 1 {
				t.Errorf("%s: %s%v is there %d times", name, m.Name, want, found)
			}
			if whole := strings.HasSuffix(kindOf(all[m.Name].Data), " int"); whole != m.Whole() {
				t.Errorf("%s is of integers: %v", m.Name, whole)
			}
			n++
		}
	}
	if n < 100 {
		t.Errorf("only %d values", n)
	}
}

// counts returns a function with the statistics of a breaker with n calls.
func counts(n uint64) func() breaker.Stats {
	return metricstest.Of(breaker.Stats{Successes: n, Failures: n / 10, WindowCalls: int(n)})
}

// A monotonic sum never falls when an object is replaced under its name,
// whichever way the program does it, and whatever the temporality is.
func TestReplacedObjectsGoOn(t *testing.T) {
	delta := metric.WithTemporalitySelector(func(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality })
	const calls = "redoubt.breaker.calls"
	for _, stopped := range []bool{false, true} {
		meter, reader := newMeter(delta)
		e := redoubtotel.New(meter)
		stop := mustObserve(t, e, "x", counts(100))
		var got []float64
		collected := func() { got = append(got, values(reader, calls, "x")["success"]) }
		collected()
		for _, n := range []uint64{10, 200, 0, 5} {
			if stopped {
				stop()
			}
			old := stop
			stop = mustObserve(t, e, "x", counts(n))
			old() // of the object that was replaced: it does nothing
			collected()
		}
		if d := cmp.Diff([]float64{100, 10, 200, 0, 5}, got); d != "" {
			t.Errorf("delta, stopped %v: %s", stopped, d)
		}

		meter, reader = newMeter()
		e, got = redoubtotel.New(meter), nil
		stop = mustObserve(t, e, "x", counts(100))
		collected()
		for _, n := range []uint64{10, 200, 0, 5} {
			if stopped {
				stop()
			}
			stop = mustObserve(t, e, "x", counts(n))
			collected()
		}
		if d := cmp.Diff([]float64{100, 110, 310, 310, 315}, got); d != "" {
			t.Errorf("cumulative, stopped %v: %s", stopped, d)
		}
		wantValues(t, reader, "redoubt.breaker.window.calls", "x", map[string]float64{"success": 5, "failure": 0}) // no sum
	}
}

// After a collection without the object, its series ends, and the next object
// begins at 0: with delta temporality, nothing is counted twice.
func TestObjectsAfterAGapBeginAtZero(t *testing.T) {
	delta := metric.WithTemporalitySelector(func(metric.InstrumentKind) metricdata.Temporality { return metricdata.DeltaTemporality })
	meter, reader := newMeter(delta)
	e := redoubtotel.New(meter)
	stop := mustObserve(t, e, "x", counts(100))
	wantValues(t, reader, "redoubt.breaker.calls", "x", map[string]float64{"success": 100, "failure": 10, "ignored": 0, "late": 0})
	stop()
	wantValues(t, reader, "redoubt.breaker.calls", "x", map[string]float64{})
	mustObserve(t, e, "x", counts(30))
	wantValues(t, reader, "redoubt.breaker.calls", "x", map[string]float64{"success": 30, "failure": 3, "ignored": 0, "late": 0})
}

// A meter that refuses every instrument has its error passed on, and nothing is
// registered.
func TestMeterRefuses(t *testing.T) {
	meter, _ := newMeter()
	refusing := refusingMeter{Meter: meter}
	if _, err := redoubtotel.New(refusing).Observe("x", breaker.New(breaker.Config{})); !errors.Is(err, errRefused) {
		t.Errorf("Observe: %v", err)
	}
	if _, err := redoubtotel.NewHooks(refusing, redoubtotel.HooksConfig{Name: "x"}); !errors.Is(err, errRefused) {
		t.Errorf("NewHooks: %v", err)
	}
}

var errRefused = errors.New("refused")

type refusingMeter struct{ otelmetric.Meter }

func (refusingMeter) Int64ObservableCounter(string, ...otelmetric.Int64ObservableCounterOption) (otelmetric.Int64ObservableCounter, error) {
	return nil, errRefused
}

func (refusingMeter) Int64Counter(string, ...otelmetric.Int64CounterOption) (otelmetric.Int64Counter, error) {
	return nil, errRefused
}

// Collections run beside use and registration; under -race this shows that
// shared state is guarded. Objects of a name that come and go are never counted
// twice.
func TestRegistrationRaces(t *testing.T) {
	meter, reader := newMeter()
	e, b := redoubtotel.New(meter), breaker.New(breaker.Config{})
	mustObserve(t, e, "b", b)
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			hooks, err := redoubtotel.NewHooks(meter, redoubtotel.HooksConfig{Name: "r", Keys: []string{"a"}})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range 50 {
				_ = b.Do(t.Context(), func(context.Context) error { return nil })
				hooks.Retry(nil)(t.Context(), retry.Event{Kind: retry.KindRetry})
				for _, name := range []string{"same", fmt.Sprint(g, i)} {
					stop, err := e.Observe(name, b)
					if err != nil {
						t.Error(err)
						return
					}
					collect(reader)
					stop()
				}
			}
		})
	}
	wg.Wait()
	wantValues(t, reader, "redoubt.retry.retries", "r", map[string]float64{"": 200})
	wantValues(t, reader, "redoubt.breaker.calls", "b", map[string]float64{"success": 200, "failure": 0, "ignored": 0, "late": 0})
}

func BenchmarkCollect(b *testing.B) {
	meter, reader := newMeter()
	e := redoubtotel.New(meter)
	for i := range 1000 { // the SDK keeps 2000 attribute sets of a metric by default
		mustObserve(b, e, fmt.Sprint("b", i), ratelimit.New(ratelimit.PerSecond(1)))
	}
	var rm metricdata.ResourceMetrics
	b.ReportAllocs()
	for b.Loop() {
		if err := reader.Collect(context.Background(), &rm); err != nil {
			b.Fatal(err)
		}
	}
}
