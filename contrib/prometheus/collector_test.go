package redoubtprometheus_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt, dashboard.json and alerts.yaml")

// everything returns a registry with two of each thing and hook.
func everything(t testing.TB) *prometheus.Registry {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	for _, suffix := range []string{"", "2"} {
		for name, x := range metricstest.Things(t) {
			var keys []any
			if name == "group" || name == "keyed" {
				keys = []any{"a", "b"}
			}
			reg.MustRegister(redoubtprometheus.NewCollector(name+suffix, x, keys...))
		}
		reg.MustRegister(allHooks(redoubtprometheus.HooksConfig{Name: "hook" + suffix, Keys: []string{"a"}}))
	}
	return reg
}

// scrape gets the metrics of reg over HTTP in the text format.
func scrape(t testing.TB, reg *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	srv := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer srv.Close()
	resp, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation) // names without quotes
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v", resp.Status, err)
	}
	return families
}

// value returns the value of the series of reg with the labels, NaN if there is
// none.
func value(t testing.TB, reg *prometheus.Registry, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range scrape(t, reg)[name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			if l.GetValue() != "" { // an empty label is none
				have = append(have, l.GetName()+"="+l.GetValue())
			}
		}
		if slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(labels))) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return math.NaN()
}

func wantValue(t testing.TB, reg *prometheus.Registry, want float64, name string, labels ...string) {
	t.Helper()
	if got := value(t, reg, name, labels...); got != want {
		t.Errorf("%s%q is %v, want %v", name, labels, got, want)
	}
}

// The listing is what users of the metrics rely on: a change of a name, type or
// label shows here. It is scraped, and so shows at the same time that every
// value is there before anything has happened.
func TestScrapeListsAllMetrics(t *testing.T) {
	var got bytes.Buffer
	families := scrape(t, everything(t))
	for _, name := range slices.Sorted(maps.Keys(families)) {
		f := families[name]
		fmt.Fprintf(&got, "%s %s\n\t%s\n", name, strings.ToLower(f.GetType().String()), f.GetHelp())
		values := map[string][]string{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() != "name" && !slices.Contains(values[l.GetName()], l.GetValue()) {
					values[l.GetName()] = append(values[l.GetName()], l.GetValue())
				}
			}
		}
		for _, key := range slices.Sorted(maps.Keys(values)) {
			fmt.Fprintf(&got, "\t%s: %s\n", key, strings.Join(slices.Sorted(slices.Values(values[key])), ", "))
		}
	}
	golden(t, "testdata/metrics.txt", got.Bytes())
	if rows := metrics.All(); len(rows) != len(families) {
		t.Errorf("%d metrics scraped, %d in the tables", len(families), len(rows))
	}
}

// golden holds that the file has the content, or with -update makes it so.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s is stale; look at the difference, then run: go test . -update\n%s", file, d)
	}
}

func TestLint(t *testing.T) {
	problems, err := testutil.GatherAndLint(everything(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

func TestBreakerStates(t *testing.T) {
	reg := prometheus.NewRegistry()
	b := breaker.New(breaker.Config{Name: "elsewhere"})
	reg.MustRegister(redoubtprometheus.NewCollector("pay", b))
	want := func(state string) {
		t.Helper()
		families := scrape(t, reg)["redoubt_breaker_state"]
		if n := len(families.GetMetric()); n != 6 {
			t.Errorf("%d series, want 6", n)
		}
		for _, m := range families.GetMetric() {
			is := 0.0
			if m.GetLabel()[2].GetValue() == state {
				is = 1
			}
			if got := m.GetGauge().GetValue(); got != is {
				t.Errorf("%v: %v, want %v", m.GetLabel(), got, is)
			}
		}
	}
	want("closed")
	b.ForceOpen()
	want("forced open")
	b.ForceClosed()
	want("forced closed")
	b.Reset()
	b.Trip(time.Hour, nil)
	want("open")
	wantValue(t, reg, 1, "redoubt_breaker_openings_total", "name=pay")
	_ = b.Do(t.Context(), func(context.Context) error { return nil })
	wantValue(t, reg, 1, "redoubt_breaker_rejections_total", "name=pay")
}

// What is reported is what happened.
func TestFiguresOfRealUse(t *testing.T) {
	reg, ctx, all := prometheus.NewRegistry(), t.Context(), metricstest.Things(t)
	for name, x := range all {
		reg.MustRegister(redoubtprometheus.NewCollector(name, x))
	}
	keyed := all["keyed"].(*ratelimit.Keyed[string])
	keyed.Allow("alice")
	keyed.Allow("alice")
	all["limiter"].(*ratelimit.Limiter).AllowN(3)
	memo := all["memo"].(*cache.Memo[string, int])
	for range 3 {
		_, _ = memo.Get(ctx, "k")
	}
	all["group"].(*breaker.Group[string]).For("host")
	_ = all["log"].(*audit.Log).Record(ctx, audit.Event{Action: audit.Create, Outcome: audit.Success})
	s := logscan.Scanner{Stats: all["logscan"].(*logscan.Counters)}
	for _, err := range s.Records(ctx, logscan.Readers("in", strings.NewReader("a\nb\n"))) {
		if err != nil {
			t.Fatal(err)
		}
	}
	_ = all["bulkhead"].(*bulkhead.Bulkhead).Do(ctx, func(context.Context) error {
		wantValue(t, reg, 1, "redoubt_bulkhead_inflight", "name=bulkhead")
		return nil
	})
	wantValue(t, reg, 0, "redoubt_bulkhead_inflight", "name=bulkhead")
	wantValue(t, reg, 1, "redoubt_ratelimit_requests_total", "name=keyed", "outcome=allowed")
	wantValue(t, reg, 1, "redoubt_ratelimit_requests_total", "name=keyed", "outcome=refused")
	wantValue(t, reg, 4, "redoubt_ratelimit_tokens", "name=limiter")
	wantValue(t, reg, 2, "redoubt_cache_lookups_total", "name=memo", "outcome=hit")
	wantValue(t, reg, 1, "redoubt_cache_lookups_total", "name=memo", "outcome=miss")
	wantValue(t, reg, 1, "redoubt_cache_loads_total", "name=memo")
	wantValue(t, reg, 0, "redoubt_cache_loads_total", "name=cache")
	wantValue(t, reg, 1, "redoubt_breaker_group_breakers", "name=group", "state=closed")
	wantValue(t, reg, 1, "redoubt_audit_events_total", "name=log", "result=refused") // it has no actor
	wantValue(t, reg, 1, "redoubt_ledger_records_total", "name=ledger")              // its first line
	wantValue(t, reg, 4, "redoubt_logscan_read_bytes_total", "name=logscan")
	wantValue(t, reg, 2, "redoubt_logscan_records_total", "name=logscan", "result=delivered")
}

// Counters never run backwards while everything is in use.
func TestCountersAreMonotonic(t *testing.T) {
	reg, ctx := prometheus.NewRegistry(), t.Context()
	all := metricstest.Things(t)
	for name, x := range all {
		reg.MustRegister(redoubtprometheus.NewCollector(name, x))
	}
	b, keyed := all["breaker"].(*breaker.Breaker), all["keyed"].(*ratelimit.Keyed[string])
	memo := all["memo"].(*cache.Memo[string, int])
	var users sync.WaitGroup
	for g := range 2 {
		users.Go(func() {
			for i := range 2000 {
				_ = b.Do(ctx, func(context.Context) error { return nil })
				keyed.Allow(fmt.Sprint(g, i%50))
				_, _ = memo.Get(ctx, fmt.Sprint(i%30))
			}
		})
	}
	last := map[string]float64{}
	for range 20 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				series := f.GetName() + fmt.Sprint(m.GetLabel())
				v := m.GetCounter().GetValue()
				if v < last[series] {
					t.Errorf("%s: %v after %v", series, v, last[series])
				}
				last[series] = v
			}
		}
	}
	users.Wait()
	wantValue(t, reg, 4000, "redoubt_breaker_calls_total", "name=breaker", "outcome=success")
}

func checkPanic(t *testing.T, want string, fn func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := fmt.Sprint(recover()); got != want {
			t.Errorf("got panic %s, want %s", got, want)
		}
	}()
	fn()
}

func TestNewCollectorPanics(t *testing.T) {
	const prefix = "redoubtprometheus: "
	b := breaker.New(breaker.Config{})
	checkPanic(t, prefix+"int has no statistics of redoubt", func() { redoubtprometheus.NewCollector("x", 1) })
	checkPanic(t, prefix+`Name is "", want a text in UTF-8`, func() { redoubtprometheus.NewCollector("", b) })
	checkPanic(t, prefix+`Name is "\xff", want a text in UTF-8`, func() { redoubtprometheus.NewCollector("\xff", b) })
	checkPanic(t, prefix+"only a Group or a Keyed has keys", func() { redoubtprometheus.NewCollector("x", b, "key") })
	group := breaker.NewGroup(breaker.GroupConfig[string]{})
	checkPanic(t, prefix+`key "7" is a int, want a string`, func() { redoubtprometheus.NewCollector("x", group, 7) })
}

// Without a name, a collector takes the name of its object.
func TestNamesOfObjects(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		redoubtprometheus.NewCollector("", breaker.New(breaker.Config{Name: "billing"})),
		redoubtprometheus.NewCollector("", breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"}), "a"),
	)
	wantValue(t, reg, 1, "redoubt_breaker_state", "name=billing", "state=closed")
	wantValue(t, reg, 1, "redoubt_breaker_state", "name=hosts", "key=a", "state=closed")
	wantValue(t, reg, 0, "redoubt_breaker_group_breakers", "name=hosts", "state=open")
}

// Each value has the labels that its table gives it.
func TestValuesHaveTheirLabels(t *testing.T) {
	n := 0
	for name, x := range metricstest.Filled(t) {
		src, err := metrics.SourceOf(x)
		if err != nil {
			t.Fatal(err)
		}
		reg := prometheus.NewPedanticRegistry()
		reg.MustRegister(redoubtprometheus.NewCollector("x", x))
		for i, v := range src.Read(nil) {
			m := src.Metrics[src.Series[i].Metric]
			labels := []string{"name=x"}
			if m.Label != "" {
				labels = append(labels, m.Label+"="+src.Series[i].Label)
			}
			wantValue(t, reg, v, redoubtprometheus.FullName(m), labels...)
			n++
		}
		if got, err := testutil.GatherAndCount(reg); got != len(src.Series) || err != nil {
			t.Errorf("%s: %d series, want %d, %v", name, got, len(src.Series), err)
		}
	}
	if n < 100 {
		t.Errorf("only %d values", n)
	}
}

func TestOneNameOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	first := redoubtprometheus.NewCollector("x", breaker.New(breaker.Config{}))
	reg.MustRegister(first)
	if err := reg.Register(redoubtprometheus.NewCollector("x", breaker.New(breaker.Config{}))); err == nil {
		t.Error("a second breaker of the name was registered")
	}
	reg.MustRegister(redoubtprometheus.NewCollector("x", cache.New(cache.Config[int, int]{Capacity: 1})))
	if !reg.Unregister(first) {
		t.Error("not unregistered")
	}
	reg.MustRegister(redoubtprometheus.NewCollector("x", breaker.New(breaker.Config{})))
}
