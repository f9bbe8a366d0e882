package prometheus_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
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
	client "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

var update = flag.Bool("update", false, "rewrite testdata/metrics.txt and dashboard.json")

// everything returns a registry with two of each thing and hook.
func everything(t testing.TB) *client.Registry {
	t.Helper()
	reg := client.NewPedanticRegistry()
	for _, suffix := range []string{"", "2"} {
		for name, x := range metricstest.Things(t) {
			reg.MustRegister(prometheus.NewCollector(name+suffix, x))
		}
		name := "hook" + suffix
		prometheus.OnEvent[retry.Event](reg, name, nil)
		prometheus.OnEvent[breaker.Event](reg, name, nil)
		prometheus.OnEvent[ratelimit.Event](reg, name, nil)
		prometheus.OnEvent[bulkhead.Event](reg, name, nil)
	}
	return reg
}

// scrape gets the metrics of reg over HTTP in the text format.
func scrape(t testing.TB, reg *client.Registry) map[string]*dto.MetricFamily {
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
func value(t testing.TB, reg *client.Registry, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range scrape(t, reg)[name].GetMetric() {
		var have []string
		for _, l := range m.GetLabel() {
			have = append(have, l.GetName()+"="+l.GetValue())
		}
		if slices.Equal(slices.Sorted(slices.Values(have)), slices.Sorted(slices.Values(labels))) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return math.NaN()
}

func wantValue(t testing.TB, reg *client.Registry, want float64, name string, labels ...string) {
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
	reg := client.NewRegistry()
	b := breaker.New(breaker.Config{Name: "elsewhere"})
	reg.MustRegister(prometheus.NewCollector("pay", b))
	want := func(state string) {
		t.Helper()
		families := scrape(t, reg)["redoubt_breaker_state"]
		if n := len(families.GetMetric()); n != 6 {
			t.Errorf("%d series, want 6", n)
		}
		for _, m := range families.GetMetric() {
			is := 0.0
			if m.GetLabel()[1].GetValue() == state {
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
	reg, ctx, all := client.NewRegistry(), t.Context(), metricstest.Things(t)
	for name, x := range all {
		reg.MustRegister(prometheus.NewCollector(name, x))
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
	if got := value(t, reg, "redoubt_ratelimit_tokens", "name=limiter"); got < 4 || got > 7 {
		t.Errorf("%v tokens, want 4 and what has come back", got)
	}
	wantValue(t, reg, 2, "redoubt_cache_lookups_total", "name=memo", "outcome=hit")
	wantValue(t, reg, 1, "redoubt_cache_lookups_total", "name=memo", "outcome=miss")
	wantValue(t, reg, 1, "redoubt_cache_loads_total", "name=memo")
	wantValue(t, reg, 0, "redoubt_cache_loads_total", "name=cache")
	wantValue(t, reg, 1, "redoubt_breaker_group_breakers", "name=group")
	wantValue(t, reg, 1, "redoubt_audit_events_total", "name=log", "result=refused") // it has no actor
	wantValue(t, reg, 1, "redoubt_ledger_records_total", "name=ledger")              // its first line
	wantValue(t, reg, 4, "redoubt_logscan_read_bytes_total", "name=logscan")
	wantValue(t, reg, 2, "redoubt_logscan_records_total", "name=logscan", "result=delivered")
}

// However many keys there are, the series stay the same.
func TestSeriesAreBounded(t *testing.T) {
	reg := client.NewRegistry()
	hook := prometheus.OnEvent[breaker.Event](reg, "hosts", nil)
	group := breaker.NewGroup(breaker.GroupConfig[string]{Config: func(key string) breaker.Config {
		return breaker.Config{Name: key, OnEvent: hook}
	}})
	keyed := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit:   ratelimit.PerHour(1),
		OnEvent: prometheus.OnEvent[ratelimit.Event](reg, "users", nil),
	})
	reg.MustRegister(prometheus.NewCollector("hosts", group), prometheus.NewCollector("users", keyed))
	count := func() (n int) {
		for _, f := range scrape(t, reg) {
			n += len(f.GetMetric())
		}
		return n
	}
	before := count()
	for i := range 500 {
		key := fmt.Sprint("secret", i)
		group.For(key).(*breaker.Breaker).Trip(time.Minute, errors.New("for "+key))
		keyed.Allow(key)
		keyed.Allow(key)
	}
	if after := count(); after != before {
		t.Errorf("%d series, want the %d before", after, before)
	}
	wantValue(t, reg, 500, "redoubt_breaker_transitions_total", "name=hosts", "to=open")
	wantValue(t, reg, 500, "redoubt_breaker_open_period_seconds", "name=hosts")
	wantValue(t, reg, 500, "redoubt_ratelimit_retry_after_seconds", "name=users")
	resp := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(resp, httptest.NewRequest("GET", "/metrics", nil))
	if strings.Contains(resp.Body.String(), "secret") {
		t.Error("a key shows")
	}
}

// Counters never run backwards while everything is in use.
func TestCountersAreMonotonic(t *testing.T) {
	reg, ctx := client.NewRegistry(), t.Context()
	all := metricstest.Things(t)
	for name, x := range all {
		reg.MustRegister(prometheus.NewCollector(name, x))
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

func TestRetryOutcomes(t *testing.T) {
	reg := client.NewRegistry()
	hook := prometheus.OnEvent[retry.Event](reg, "r", nil)
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
		before := value(t, reg, "redoubt_retry_calls_total", "name=r", "outcome="+label)
		hook(t.Context(), retry.Event{Kind: retry.KindDone, Reason: reason, Elapsed: time.Second})
		wantValue(t, reg, before+1, "redoubt_retry_calls_total", "name=r", "outcome="+label)
	}
	wantValue(t, reg, 11, "redoubt_retry_duration_seconds", "name=r")
	wantValue(t, reg, 0, "redoubt_retry_retries_total", "name=r")
	hook(t.Context(), retry.Event{Kind: retry.KindRetry, Delay: time.Second})
	hook(t.Context(), retry.Event{Kind: retry.KindHedged})
	wantValue(t, reg, 1, "redoubt_retry_retries_total", "name=r")
	wantValue(t, reg, 1, "redoubt_retry_delay_seconds", "name=r")
	wantValue(t, reg, 1, "redoubt_retry_hedges_total", "name=r")
}

func TestOtherEvents(t *testing.T) {
	reg, ctx := client.NewRegistry(), t.Context()
	onBreaker := prometheus.OnEvent[breaker.Event](reg, "b", nil)
	onBreaker(ctx, breaker.Event{Kind: breaker.KindShadow, To: breaker.StateOpen, OpenFor: time.Second})
	onBreaker(ctx, breaker.Event{Kind: breaker.KindTransition, To: breaker.State(99)}) // not in the list: no series
	wantValue(t, reg, 1, "redoubt_breaker_shadow_transitions_total", "name=b", "to=open")
	wantValue(t, reg, 0, "redoubt_breaker_transitions_total", "name=b", "to=open")
	wantValue(t, reg, 0, "redoubt_breaker_open_period_seconds", "name=b")
	if n := len(scrape(t, reg)["redoubt_breaker_transitions_total"].GetMetric()); n != 6 {
		t.Errorf("%d series, want 6", n)
	}

	onKeyed := prometheus.OnEvent[ratelimit.Event](reg, "k", nil)
	onKeyed(ctx, ratelimit.Event{Kind: ratelimit.KindRefused})
	onKeyed(ctx, ratelimit.Event{Kind: ratelimit.KindPushedOut})
	wantValue(t, reg, 0, "redoubt_ratelimit_retry_after_seconds", "name=k")

	onBulkhead := prometheus.OnEvent[bulkhead.Event](reg, "b", nil)
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindRefused})
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 4, Limit: 5})
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 5, Limit: 2})
	wantValue(t, reg, 1, "redoubt_bulkhead_limit_changes_total", "name=b", "direction=up")
	wantValue(t, reg, 1, "redoubt_bulkhead_limit_changes_total", "name=b", "direction=down")
}

// The hook that was there is told too, after the event was counted; hooks of
// one name add up.
func TestHooksCompose(t *testing.T) {
	reg := client.NewRegistry()
	var seen []float64
	p := retry.Policy{MaxAttempts: 3, Backoff: retry.Constant(0), OnEvent: func(context.Context, retry.Event) {
		seen = append(seen, value(t, reg, "redoubt_retry_retries_total", "name=twice"))
	}}
	p.OnEvent = prometheus.OnEvent(reg, "twice", p.OnEvent)
	p.OnEvent = prometheus.OnEvent(reg, "twice", p.OnEvent)
	_, err := retry.Do(t.Context(), p, func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF })
	if !errors.Is(err, retry.ErrExhausted) {
		t.Error(err)
	}
	if d := cmp.Diff([]float64{2, 4, 4}, seen); d != "" {
		t.Error(d)
	}
}

func TestNewCollectorPanics(t *testing.T) {
	defer func() {
		if got, want := fmt.Sprint(recover()), "prometheus: int has no statistics of redoubt"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}()
	prometheus.NewCollector("x", 1)
}

func TestOnEventPanicsWhereTheNameIsTaken(t *testing.T) {
	reg := client.NewRegistry()
	reg.MustRegister(client.NewGauge(client.GaugeOpts{Name: "redoubt_retry_hedges_total", Help: "Someone else's."}))
	defer func() {
		if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "prometheus: ") {
			t.Error(got)
		}
	}()
	prometheus.OnEvent[retry.Event](reg, "x", nil)
}

func TestOneNameOnce(t *testing.T) {
	reg := client.NewRegistry()
	first := prometheus.NewCollector("x", breaker.New(breaker.Config{}))
	reg.MustRegister(first)
	if err := reg.Register(prometheus.NewCollector("x", breaker.New(breaker.Config{}))); err == nil {
		t.Error("a second breaker of the name was registered")
	}
	reg.MustRegister(prometheus.NewCollector("x", cache.New(cache.Config[int, int]{Capacity: 1})))
	if !reg.Unregister(first) {
		t.Error("not unregistered")
	}
	reg.MustRegister(prometheus.NewCollector("x", breaker.New(breaker.Config{})))
}

// A hook allocates nothing.
func TestHookAllocatesNothing(t *testing.T) {
	hook := prometheus.OnEvent[breaker.Event](client.NewRegistry(), "b", nil)
	e := breaker.Event{To: breaker.StateOpen, OpenFor: time.Second}
	ctx := t.Context()
	if got := testing.AllocsPerRun(200, func() { hook(ctx, e) }); got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
