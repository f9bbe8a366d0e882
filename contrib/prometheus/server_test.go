package redoubtprometheus_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/internal/metrics/metricstest"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// program returns the path of a program of the Debian package prometheus, or
// skips the test.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%v; install the Debian package prometheus to run this test", err)
	}
	return path
}

// Where CI=true, no test may be skipped: the programs must be there.
func TestPrometheusIsInstalled(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("CI is not set: tests that need prometheus are skipped where it is missing")
	}
	for _, name := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Errorf("%v; install the Debian package prometheus", err)
		}
	}
}

func TestAlertRules(t *testing.T) {
	promtool := program(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"test", "rules", "testdata/alerts_test.yaml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Every alert has a test in which it fires, every alert with a delay a test
// before the delay is over, and every test a calm job.
func TestEveryAlertHasATest(t *testing.T) {
	rules, err := os.ReadFile("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile("testdata/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, rule := range strings.Split(string(rules), "      - alert: ")[1:] {
		name, rule, _ := strings.Cut(rule, "\n")
		n++
		_, test, ok := strings.Cut(string(tests), "  - name: "+name+"\n")
		test, _, _ = strings.Cut(test, "  - name: ")
		if !ok || !strings.Contains(test, "exp_labels") || !strings.Contains(test, `job="calm"`) || strings.Contains(test, "job: 'calm'") {
			t.Errorf("%s has no test, or fires for the calm job", name)
		}
		if strings.Contains(rule, "        for: ") && !strings.Contains(test, "exp_alerts: []") {
			t.Errorf("%s has no test before its delay is over", name)
		}
	}
	if n < 20 {
		t.Errorf("only %d alerts", n)
	}
}

// TestMetricsPass shows that promtool finds nothing to complain about.
func TestMetricsPass(t *testing.T) {
	page := httptest.NewRecorder()
	promhttp.HandlerFor(everything(t), promhttp.HandlerOpts{}).ServeHTTP(page, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	cmd := exec.Command(program(t, "promtool"), "check", "metrics")
	cmd.Stdin = page.Body
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}

// trouble returns the page of a program in which all goes wrong. With each
// scrape, all counters grow by 1, and events happen.
func trouble(t *testing.T) http.Handler {
	reg := prometheus.NewPedanticRegistry()
	var n atomic.Int64
	seen := map[reflect.Type]bool{}
	for name, x := range metricstest.Things(t) {
		s := metricstest.StatsOf(x)
		if seen[s] {
			continue
		}
		seen[s] = true
		fn := reflect.MakeFunc(reflect.FuncOf(nil, []reflect.Type{s}, false), func([]reflect.Value) []reflect.Value {
			v := reflect.New(s).Elem()
			for i := range v.NumField() {
				metricstest.Fill(v.Field(i), int(n.Load()))
			}
			if state := v.FieldByName("State"); state.IsValid() && n.Load()%2 == 0 {
				state.SetZero() // closed
			}
			return []reflect.Value{v}
		})
		reg.MustRegister(redoubtprometheus.NewCollector(name, fn.Interface()))
	}
	forced := breaker.New(breaker.Config{Name: "forced"})
	forced.ForceClosed()
	hosts := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts"})
	hosts.For("a").(*breaker.Breaker).Trip(time.Hour, nil)
	hooks := redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{
		Name: "hooks", Keys: []string{"a"}, TraceID: func(context.Context) string { return "4bf92f3577b34da6a3ce929d0e0e4736" },
	})
	onRetry, onBreaker, onRefusal, onLimit := hooks.Retry(nil), hooks.Breaker(nil), hooks.RateLimit(nil), hooks.Bulkhead(nil)
	reg.MustRegister(hooks, redoubtprometheus.NewCollector("", forced), redoubtprometheus.NewCollector("", hosts, "a"))
	handler := promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		ctx := r.Context()
		for _, kind := range []retry.Kind{retry.KindRetry, retry.KindHedged, retry.KindDone} {
			e := retry.Event{Kind: kind, Name: "a", Op: "GET a/", Reason: retry.ErrExhausted, Delay: time.Second, Elapsed: time.Second}
			onRetry(ctx, e)
		}
		for _, kind := range []breaker.Kind{breaker.KindTransition, breaker.KindShadow} {
			onBreaker(ctx, breaker.Event{Kind: kind, Name: "a", To: breaker.StateOpen, OpenFor: time.Second})
		}
		onRefusal(ctx, ratelimit.Event{Key: "a", Decision: ratelimit.Decision{Retryable: true, RetryAfter: time.Second}})
		onLimit(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 5, Limit: 2})
		handler.ServeHTTP(w, r)
	})
}

// startPrometheus runs a Prometheus that scrapes two programs, and returns the
// address of its API.
func startPrometheus(t *testing.T, calm, trouble string) string {
	t.Helper()
	path, dir := program(t, "prometheus"), t.TempDir()
	rules, err := filepath.Abs("alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The interval is also the timeout of a scrape.
	config := fmt.Sprintf(`global: {scrape_interval: 2s, scrape_timeout: 2s, evaluation_interval: 2s}
rule_files: [%q]
scrape_configs:
  - {job_name: calm, static_configs: [{targets: [%q]}]}
  - {job_name: trouble, static_configs: [{targets: [%q]}]}
`, rules, strings.TrimPrefix(calm, "http://"), strings.TrimPrefix(trouble, "http://"))
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 { // another process may take the port
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		var log bytes.Buffer
		cmd := exec.CommandContext(t.Context(), path, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, addr),
			"--web.listen-address="+addr, "--enable-feature=exemplar-storage", "--log.level=warn")
		cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &log, &log, 10*time.Second
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		exited := make(chan error, 1)
		go func() { exited <- cmd.Wait() }()
		if ready(t, addr, exited) {
			t.Cleanup(func() { <-exited }) // the context of t ends before
			return "http://" + addr
		}
		t.Logf("prometheus exited:\n%s", log.String())
	}
	t.Fatal("prometheus does not start")
	return ""
}

// client gives up if something else that never answers has the port.
var client = &http.Client{Timeout: time.Minute}

// ready waits until the server is ready, and reports false if it exits.
func ready(t *testing.T, addr string, exited <-chan error) bool {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		select {
		case <-exited:
			return false
		default:
		}
		if resp, err := client.Get("http://" + addr + "/-/ready"); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	t.Fatal("prometheus is not ready after two minutes")
	return false
}

// ask calls the API and decodes the field data of the answer.
func ask(t *testing.T, api, path string, query url.Values, data any) {
	t.Helper()
	resp, err := client.Get(api + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Status != "success" {
		t.Fatalf("%s %v: %s", path, query, answer.Error)
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		t.Fatal(err)
	}
}

// hasData reports whether the query has a number, and whether its series have
// all labels.
func hasData(t *testing.T, api, expr string, labels []string) bool {
	t.Helper()
	var data struct {
		Result []struct {
			Metric map[string]string
			Value  [2]any
		}
	}
	ask(t, api, "query", url.Values{"query": {expr}}, &data)
	numbers, have := 0, map[string]bool{}
	for _, r := range data.Result {
		text, _ := r.Value[1].(string)
		if v, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(v) {
			numbers++
		}
		for label := range r.Metric {
			have[label] = true
		}
	}
	return numbers > 0 && !slices.ContainsFunc(labels, func(label string) bool { return !have[label] })
}

// eventually calls each check until it has returned true once.
func eventually(t *testing.T, checks map[string]func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); len(checks) > 0; time.Sleep(200 * time.Millisecond) {
		for name, ok := range checks {
			if ok() {
				delete(checks, name)
			}
		}
		if time.Now().After(deadline) {
			for name := range checks {
				t.Errorf("after five minutes there is no data: %s", name)
			}
			return
		}
	}
}

// A Prometheus scrapes a calm program and a program in trouble. Every query of
// the dashboard has numbers and the labels of its legend, every recording rule
// has data, and every alert concerns the program in trouble, and never the calm
// program.
func TestPrometheus(t *testing.T) {
	program(t, "prometheus")
	calm := httptest.NewServer(promhttp.HandlerFor(everything(t), promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError}))
	defer calm.Close()
	inTrouble := httptest.NewServer(trouble(t))
	defer inTrouble.Close()
	api := startPrometheus(t, calm.URL, inTrouble.URL)

	checks := map[string]func() bool{}
	variables := strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*", "$name", ".*")
	legend, queries := regexp.MustCompile(`\{\{(\w+)\}\}`), 0
	for _, p := range generate(metrics.All()).Panels {
		for _, target := range p.Targets {
			var labels []string
			for _, match := range legend.FindAllStringSubmatch(target.Legend, -1) {
				labels = append(labels, match[1])
			}
			queries++
			checks["panel "+p.Title] = func() bool { return hasData(t, api, variables.Replace(target.Expr), labels) }
		}
	}
	if len(checks) != queries {
		t.Errorf("%d queries in %d panels", queries, len(checks))
	}
	silent := map[string]bool{} // alerts that do not concern the program in trouble yet
	for _, r := range rulesOf(t, api) {
		if r.Type == "recording" {
			checks["rule "+r.Name] = func() bool { return hasData(t, api, r.Name, nil) }
		} else {
			silent[r.Name] = true
		}
	}
	alerts := len(silent)
	checks["alerts"] = func() bool {
		for _, r := range rulesOf(t, api) {
			for _, a := range r.Alerts {
				if a.Labels["job"] == "trouble" {
					delete(silent, r.Name) // pending or firing
				}
			}
		}
		return len(silent) == 0
	}
	checks["exemplars"] = func() bool {
		var series []struct {
			Exemplars []struct{ Labels map[string]string }
		}
		now := float64(time.Now().Unix())
		ask(t, api, "query_exemplars", url.Values{
			"query": {"redoubt_retry_retries_total"}, "start": {fmt.Sprint(now - 600)}, "end": {fmt.Sprint(now + 600)},
		}, &series)
		return len(series) > 0 && len(series[0].Exemplars) > 0 && series[0].Exemplars[0].Labels["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
	}
	eventually(t, checks)
	for name := range silent {
		t.Errorf("%s is silent", name)
	}
	for _, r := range rulesOf(t, api) {
		if r.Health != "ok" {
			t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
		}
		for _, a := range r.Alerts {
			if a.Labels["job"] != "trouble" {
				t.Errorf("%s: %v", r.Name, a.Labels)
			}
		}
	}
	t.Logf("%d queries, %d alerts", queries, alerts)
}

type rule struct {
	Name, Type, Health, LastError string
	Alerts                        []struct{ Labels map[string]string }
}

// rulesOf returns the rules of a Prometheus.
func rulesOf(t *testing.T, api string) (all []rule) {
	t.Helper()
	var data struct{ Groups []struct{ Rules []rule } }
	ask(t, api, "rules", nil, &data)
	for _, g := range data.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("no rules")
	}
	return all
}
