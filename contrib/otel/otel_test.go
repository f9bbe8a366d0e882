package otel_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	"github.com/redoubt-go/redoubt/contrib/otel"
	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
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
	switch data := collect(reader)[name].Data.(type) {
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

// values returns the values of a metric by their attributes but for the name:
// "" or "open".
func values(reader metric.Reader, name, of string) map[string]float64 {
	vs := map[string]float64{}
	for _, d := range points(reader, name) {
		key, mine := "", false
		for _, kv := range d.Attributes.ToSlice() {
			if kv.Key == "name" {
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

func newMeter() (otelmetric.Meter, metric.Reader) {
	reader := metric.NewManualReader()
	return metric.NewMeterProvider(metric.WithReader(reader)).Meter("test"), reader
}

func mustObserve(t testing.TB, meter otelmetric.Meter, name string, x any) {
	t.Helper()
	if _, err := otel.Observe(meter, name, x); err != nil {
		t.Fatal(err)
	}
}

func mustHook[E otel.Event](t testing.TB, meter otelmetric.Meter, name string) func(context.Context, E) {
	t.Helper()
	hook, err := otel.OnEvent[E](meter, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return hook
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
	for name, x := range metricstest.Things(t) {
		mustObserve(t, meter, name, x)
	}
	hooks(t, meter, "hook")
	var got bytes.Buffer
	all := collect(reader)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		fmt.Fprintf(&got, "%s %s %s\n\t%s\n", name, kindOf(m.Data), m.Unit, m.Description)
		attributes := map[string][]string{}
		for _, d := range points(reader, name) {
			for _, kv := range d.Attributes.ToSlice() {
				if k := string(kv.Key); k != "name" {
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

// hooks makes one of each hook. The histograms, which nobody can begin with a
// zero, measure once.
func hooks(t testing.TB, meter otelmetric.Meter, name string) {
	ctx := context.Background()
	onRetry := mustHook[retry.Event](t, meter, name)
	onRetry(ctx, retry.Event{Kind: retry.KindRetry})
	onRetry(ctx, retry.Event{Kind: retry.KindDone})
	mustHook[breaker.Event](t, meter, name)(ctx, breaker.Event{To: breaker.StateOpen})
	mustHook[ratelimit.Event](t, meter, name)(ctx, ratelimit.Event{Decision: ratelimit.Decision{Retryable: true}})
	mustHook[bulkhead.Event](t, meter, name)
}

func kindOf(data metricdata.Aggregation) string {
	switch data := data.(type) {
	case metricdata.Sum[float64]:
		if data.IsMonotonic {
			return "counter"
		}
		return "updowncounter"
	case metricdata.Gauge[float64]:
		return "gauge"
	case metricdata.Histogram[float64]:
		return "histogram"
	}
	return fmt.Sprintf("%T", data)
}

func TestBreakerStates(t *testing.T) {
	meter, reader := newMeter()
	b := breaker.New(breaker.Config{Name: "elsewhere"})
	mustObserve(t, meter, "pay", b)
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
	ctx, all := t.Context(), metricstest.Things(t)
	for name, x := range all {
		mustObserve(t, meter, name, x)
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
	if got := values(reader, "redoubt.ratelimit.tokens", "limiter")[""]; got < 4 || got > 5 {
		t.Errorf("%v tokens, want 4 and what has come back", got)
	}
}

// However many keys there are, the series stay the same, and no key is among
// the attributes.
func TestSeriesAreBounded(t *testing.T) {
	meter, reader := newMeter()
	onBreaker := mustHook[breaker.Event](t, meter, "hosts")
	group := breaker.NewGroup(breaker.GroupConfig[string]{Config: func(key string) breaker.Config {
		return breaker.Config{Name: key, OnEvent: onBreaker}
	}})
	keyed := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1), OnEvent: mustHook[ratelimit.Event](t, meter, "users")})
	mustObserve(t, meter, "hosts", group)
	mustObserve(t, meter, "users", keyed)
	for i := range 500 {
		key := fmt.Sprint("secret", i)
		group.For(key).(*breaker.Breaker).Trip(time.Minute, errors.New("for "+key))
		keyed.Allow(key)
		keyed.Allow(key)
	}
	n := 0
	for name := range collect(reader) {
		for _, d := range points(reader, name) {
			n++
			if strings.Contains(fmt.Sprint(d.Attributes.ToSlice()), "secret") {
				t.Errorf("%s: %v", name, d.Attributes.ToSlice())
			}
		}
	}
	// 6 of the group, 5 of the keyed, 6+2+1 of transitions, 1 of waiting
	// times.
	if want := 6 + 5 + 9 + 1; n != want {
		t.Errorf("%d series, want %d", n, want)
	}
	if got := values(reader, "redoubt.breaker.transitions", "hosts")["open"]; got != 500 {
		t.Errorf("%v openings, want 500", got)
	}
	wantValues(t, reader, "redoubt.ratelimit.retry_after", "users", map[string]float64{"": 500})
}

func TestRetryOutcomes(t *testing.T) {
	meter, reader := newMeter()
	hook := mustHook[retry.Event](t, meter, "r")
	want := map[string]float64{}
	for reason, label := range map[error]string{
		nil:                      "success",
		retry.ErrExhausted:       "exhausted",
		retry.ErrPermanent:       "permanent",
		retry.ErrBudget:          "budget",
		retry.ErrElapsed:         "elapsed",
		retry.ErrRetryAfter:      "retry_after",
		retry.ErrNested:          "nested",
		retry.ErrDeadline:        "deadline",
		context.DeadlineExceeded: "deadline",
		context.Canceled:         "cancelled",
		io.ErrUnexpectedEOF:      "other",
	} {
		hook(t.Context(), retry.Event{Kind: retry.KindDone, Reason: reason})
		want[label]++
	}
	wantValues(t, reader, "redoubt.retry.calls", "r", want)
	wantValues(t, reader, "redoubt.retry.duration", "r", map[string]float64{"": 11})
	wantValues(t, reader, "redoubt.retry.hedges", "r", map[string]float64{"": 0})
}

func TestOtherEvents(t *testing.T) {
	meter, reader := newMeter()
	ctx := t.Context()
	onBreaker := mustHook[breaker.Event](t, meter, "b")
	onBreaker(ctx, breaker.Event{Kind: breaker.KindShadow, To: breaker.StateOpen, OpenFor: time.Second})
	onBreaker(ctx, breaker.Event{Kind: breaker.KindTransition, To: breaker.State(99)}) // not in the list: no series
	wantValues(t, reader, "redoubt.breaker.shadow_transitions", "b", map[string]float64{"open": 1, "closed": 0})
	if got := values(reader, "redoubt.breaker.transitions", "b"); len(got) != 6 || got["open"] != 0 {
		t.Errorf("%v, want six zeros", got)
	}
	onKeyed := mustHook[ratelimit.Event](t, meter, "k")
	onKeyed(ctx, ratelimit.Event{})
	onKeyed(ctx, ratelimit.Event{Kind: ratelimit.KindPushedOut})
	wantValues(t, reader, "redoubt.ratelimit.retry_after", "k", map[string]float64{})
	onBulkhead := mustHook[bulkhead.Event](t, meter, "b")
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindRefused})
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 4, Limit: 5})
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 5, Limit: 2})
	wantValues(t, reader, "redoubt.bulkhead.limit_changes", "b", map[string]float64{"up": 1, "down": 1})
}

// The hook that was there is told too, after the event was counted; hooks of
// one name add up.
func TestHooksCompose(t *testing.T) {
	meter, reader := newMeter()
	var seen []float64
	hook := func(context.Context, retry.Event) {
		seen = append(seen, values(reader, "redoubt.retry.retries", "twice")[""])
	}
	for range 2 {
		var err error
		if hook, err = otel.OnEvent(meter, "twice", hook); err != nil {
			t.Fatal(err)
		}
	}
	p := retry.Policy{MaxAttempts: 3, Backoff: retry.Constant(0), OnEvent: hook}
	_, err := retry.Do(t.Context(), p, func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF })
	if !errors.Is(err, retry.ErrExhausted) {
		t.Error(err)
	}
	if d := cmp.Diff([]float64{2, 4, 4}, seen); d != "" {
		t.Error(d)
	}
}

func TestUnregister(t *testing.T) {
	meter, reader := newMeter()
	r, err := otel.Observe(meter, "a", &logscan.Counters{})
	if err != nil {
		t.Fatal(err)
	}
	mustObserve(t, meter, "b", &logscan.Counters{})
	if err := r.Unregister(); err != nil {
		t.Fatal(err)
	}
	wantValues(t, reader, "redoubt.logscan.inputs", "a", map[string]float64{})
	wantValues(t, reader, "redoubt.logscan.inputs", "b", map[string]float64{"": 0})
}

func TestUnknown(t *testing.T) {
	meter, _ := newMeter()
	for _, x := range []any{nil, 1, time.Now()} {
		if _, err := otel.Observe(meter, "x", x); err == nil {
			t.Errorf("%T is observed", x)
		}
	}
}

// A meter that refuses every instrument has its error passed on, and nothing is
// registered.
func TestMeterRefuses(t *testing.T) {
	meter, _ := newMeter()
	refusing := refusingMeter{Meter: meter}
	if _, err := otel.Observe(refusing, "x", breaker.New(breaker.Config{})); !errors.Is(err, errRefused) {
		t.Errorf("Observe: %v", err)
	}
	if _, err := otel.OnEvent[retry.Event](refusing, "x", nil); !errors.Is(err, errRefused) {
		t.Errorf("OnEvent: %v", err)
	}
}

var errRefused = errors.New("refused")

type refusingMeter struct{ otelmetric.Meter }

func (refusingMeter) Float64ObservableCounter(string, ...otelmetric.Float64ObservableCounterOption) (otelmetric.Float64ObservableCounter, error) {
	return nil, errRefused
}

func (refusingMeter) Float64Counter(string, ...otelmetric.Float64CounterOption) (otelmetric.Float64Counter, error) {
	return nil, errRefused
}

// Collections run beside use and registration; under -race this shows that
// nothing is shared without care.
func TestConcurrency(t *testing.T) {
	meter, reader := newMeter()
	b := breaker.New(breaker.Config{})
	hook := mustHook[retry.Event](t, meter, "r")
	mustObserve(t, meter, "b", b)
	var wg sync.WaitGroup
	for g := range 3 {
		wg.Go(func() {
			for i := range 50 {
				_ = b.Do(t.Context(), func(context.Context) error { return nil })
				hook(t.Context(), retry.Event{Kind: retry.KindRetry})
				r, err := otel.Observe(meter, fmt.Sprint(g, i), b)
				if err != nil {
					t.Error(err)
					return
				}
				collect(reader)
				if err := r.Unregister(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantValues(t, reader, "redoubt.retry.retries", "r", map[string]float64{"": 150})
}

// A hook allocates nothing, unless the race detector makes the SDK do so.
func TestHookAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops at random what the SDK keeps there")
	}
	meter, _ := newMeter()
	hook := mustHook[breaker.Event](t, meter, "b")
	e := breaker.Event{To: breaker.StateOpen, OpenFor: time.Second}
	ctx := t.Context()
	if got := testing.AllocsPerRun(200, func() { hook(ctx, e) }); got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
