package redoubtprometheus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtprometheus "github.com/redoubt-go/redoubt/contrib/prometheus"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// allHooks returns hooks that have made a hook of each kind.
func allHooks(c redoubtprometheus.HooksConfig) *redoubtprometheus.Hooks {
	h := redoubtprometheus.NewHooks(c)
	h.Retry(nil)
	h.Breaker(nil)
	h.RateLimit(nil)
	h.Bulkhead(nil)
	return h
}

// newHooks returns registered hooks with the name.
func newHooks(reg prometheus.Registerer, name string, keys ...string) *redoubtprometheus.Hooks {
	h := redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{Name: name, Keys: keys})
	reg.MustRegister(h)
	return h
}

// However many keys there are, the series stay the same.
func TestSeriesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	hook := newHooks(reg, "hosts").Breaker(nil)
	group := breaker.NewGroup(breaker.GroupConfig[string]{Config: func(key string) breaker.Config {
		return breaker.Config{Name: key, OnEvent: hook}
	}})
	keyed := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Limit:   ratelimit.PerHour(1),
		OnEvent: newHooks(reg, "users").RateLimit(nil),
	})
	reg.MustRegister(redoubtprometheus.NewCollector("hosts", group), redoubtprometheus.NewCollector("users", keyed))
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

func TestRetryOutcomes(t *testing.T) {
	reg := prometheus.NewRegistry()
	hook := newHooks(reg, "r").Retry(nil)
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
	reg, ctx := prometheus.NewRegistry(), t.Context()
	hooks := newHooks(reg, "b")
	onBreaker := hooks.Breaker(nil)
	onBreaker(ctx, breaker.Event{Kind: breaker.KindShadow, To: breaker.StateOpen, OpenFor: time.Second})
	onBreaker(ctx, breaker.Event{Kind: breaker.KindTransition, To: breaker.State(99)}) // not in the list: no series
	wantValue(t, reg, 1, "redoubt_breaker_shadow_transitions_total", "name=b", "to=open")
	wantValue(t, reg, 0, "redoubt_breaker_transitions_total", "name=b", "to=open")
	wantValue(t, reg, 0, "redoubt_breaker_open_period_seconds", "name=b")
	if n := len(scrape(t, reg)["redoubt_breaker_transitions_total"].GetMetric()); n != 6 {
		t.Errorf("%d series, want 6", n)
	}

	onKeyed := newHooks(reg, "k").RateLimit(nil)
	onKeyed(ctx, ratelimit.Event{Kind: ratelimit.KindRefused})
	onKeyed(ctx, ratelimit.Event{Kind: ratelimit.KindPushedOut})
	wantValue(t, reg, 0, "redoubt_ratelimit_retry_after_seconds", "name=k")

	onBulkhead := hooks.Bulkhead(nil)
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindRefused})
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 4, Limit: 5})
	onBulkhead(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Old: 5, Limit: 2})
	wantValue(t, reg, 1, "redoubt_bulkhead_limit_changes_total", "name=b", "direction=up")
	wantValue(t, reg, 1, "redoubt_bulkhead_limit_changes_total", "name=b", "direction=down")
}

// The hook that was there is told too, after the event was counted; hooks of
// one name add up.
func TestHooksCompose(t *testing.T) {
	reg := prometheus.NewRegistry()
	var seen []float64
	p := retry.Policy{MaxAttempts: 3, Backoff: retry.Constant(0), OnEvent: func(context.Context, retry.Event) {
		seen = append(seen, value(t, reg, "redoubt_retry_retries_total", "name=twice"))
	}}
	hooks := newHooks(reg, "twice")
	p.OnEvent = hooks.Retry(p.OnEvent)
	p.OnEvent = hooks.Retry(p.OnEvent)
	_, err := retry.Do(t.Context(), p, func(context.Context) (int, error) { return 0, io.ErrUnexpectedEOF })
	if !errors.Is(err, retry.ErrExhausted) {
		t.Error(err)
	}
	if d := cmp.Diff([]float64{2, 4, 4}, seen); d != "" {
		t.Error(d)
	}
}

func TestNewHooksPanics(t *testing.T) {
	checkPanic(t, "redoubtprometheus: Name is \"\", want a text in UTF-8\nredoubtprometheus: Keys[1] is \"\", want a text in UTF-8", func() {
		redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{Keys: []string{"a", ""}})
	})
	if err := (redoubtprometheus.HooksConfig{Name: "x", Keys: make([]string, 1001)}).Validate(); !strings.Contains(err.Error(), "want at most 1000") {
		t.Error(err)
	}
}

// Unregistering hooks removes all of their series, and no other.
func TestUnregisteredHooksLeaveNoSeries(t *testing.T) {
	reg := prometheus.NewRegistry()
	reg.MustRegister(allHooks(redoubtprometheus.HooksConfig{Name: "stays"}))
	before, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		h := allHooks(redoubtprometheus.HooksConfig{Name: fmt.Sprint(i)})
		reg.MustRegister(h)
		h.Retry(nil)(t.Context(), retry.Event{Kind: retry.KindRetry})
		wantValue(t, reg, 1, "redoubt_retry_retries_total", "name="+fmt.Sprint(i))
		if !reg.Unregister(h) {
			t.Fatal("not unregistered")
		}
	}
	after, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(after), fmt.Sprint(before); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// Hooks report only the metrics of the hooks that were made.
func TestUnusedHooksHaveNoSeries(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	hooks := newHooks(reg, "x")
	if families := scrape(t, reg); len(families) != 0 {
		t.Errorf("%d metrics, want none", len(families))
	}
	hooks.Bulkhead(nil)
	if families := scrape(t, reg); len(families) != 1 {
		t.Errorf("%d metrics, want 1", len(families))
	}
}

func TestListedKeys(t *testing.T) {
	reg, ctx := prometheus.NewPedanticRegistry(), t.Context()
	hooks := newHooks(reg, "x", "api", "a.example")
	onRetry := hooks.Retry(nil)
	for _, op := range []string{"GET a.example/1", "GET a.example/2", "GET b.example/1", "query"} {
		onRetry(ctx, retry.Event{Kind: retry.KindRetry, Name: "api", Op: op})
	}
	onRetry(ctx, retry.Event{Kind: retry.KindRetry, Name: "nightly"})
	onRetry(ctx, retry.Event{Kind: retry.KindRetry})
	const retries = "redoubt_retry_retries_total"
	wantValue(t, reg, 2, retries, "name=x", "policy=api", "host=a.example")
	wantValue(t, reg, 2, retries, "name=x", "policy=api", "host=other")
	wantValue(t, reg, 1, retries, "name=x", "policy=other")
	wantValue(t, reg, 1, retries, "name=x")

	group := breaker.NewGroup(breaker.GroupConfig[string]{Name: "hosts", Config: func(string) breaker.Config {
		return breaker.Config{OnEvent: hooks.Breaker(nil)}
	}})
	group.For("a.example").(*breaker.Breaker).Trip(time.Minute, nil)
	group.For("b.example").(*breaker.Breaker).Trip(time.Minute, nil)
	wantValue(t, reg, 1, "redoubt_breaker_transitions_total", "name=x", "key=a.example", "to=open")
	wantValue(t, reg, 1, "redoubt_breaker_transitions_total", "name=x", "key=other", "to=open")

	keyed := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1), OnEvent: hooks.RateLimit(nil)})
	for range 3 {
		keyed.Allow("a.example")
		keyed.Allow("b.example")
	}
	wantValue(t, reg, 2, "redoubt_ratelimit_retry_after_seconds", "name=x", "key=a.example")
	wantValue(t, reg, 2, "redoubt_ratelimit_retry_after_seconds", "name=x", "key=other")
}

type traceKey struct{}

// With TraceID, a scrape by OpenMetrics contains exemplars.
func TestExemplars(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	hooks := redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{Name: "x", TraceID: func(ctx context.Context) string {
		id, _ := ctx.Value(traceKey{}).(string)
		return id
	}})
	reg.MustRegister(hooks)
	ctx := context.WithValue(t.Context(), traceKey{}, "4bf92f3577b34da6a3ce929d0e0e4736")
	hook := hooks.Retry(nil)
	hook(ctx, retry.Event{Kind: retry.KindRetry, Delay: 20 * time.Millisecond})
	page := httptest.NewRecorder()
	req := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	req.Header.Set("Accept", "application/openmetrics-text; version=1.0.0")
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{EnableOpenMetrics: true}).ServeHTTP(page, req)
	for _, want := range []string{
		`redoubt_retry_retries_total{host="",name="x",policy=""} 1.0 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 1.0`,
		`redoubt_retry_delay_seconds_bucket{host="",name="x",policy="",le="0.025"} 1 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736"} 0.02`,
	} {
		if !strings.Contains(page.Body.String(), want) {
			t.Errorf("no %s in\n%s", want, page.Body)
		}
	}
	for _, bad := range []string{strings.Repeat("x", 101), strings.Repeat("x", 1000), "\xff"} { // no exemplar, and no panic
		hook(context.WithValue(t.Context(), traceKey{}, bad), retry.Event{Kind: retry.KindRetry})
	}
	hook(t.Context(), retry.Event{Kind: retry.KindRetry})
	wantValue(t, reg, 5, "redoubt_retry_retries_total", "name=x")
}

// Of goroutines that register the same name at the same time, one succeeds, and
// the others get an error. Beside them, events and scrapes go on.
func TestRegistrationRaces(t *testing.T) {
	const goroutines = 8
	for range 20 {
		reg := prometheus.NewRegistry()
		b := breaker.New(breaker.Config{})
		var hooks, collectors atomic.Int32
		var start, done sync.WaitGroup
		start.Add(1)
		for range goroutines {
			done.Go(func() {
				start.Wait()
				h := redoubtprometheus.NewHooks(redoubtprometheus.HooksConfig{Name: "x"})
				onRetry := h.Retry(nil)
				if err := reg.Register(h); err == nil {
					hooks.Add(1)
				} else if !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
					t.Error(err)
				}
				if err := reg.Register(redoubtprometheus.NewCollector("x", b)); err == nil {
					collectors.Add(1)
				}
				onRetry(t.Context(), retry.Event{Kind: retry.KindRetry})
				h.Breaker(nil)(t.Context(), breaker.Event{To: breaker.StateOpen})
				if _, err := reg.Gather(); err != nil {
					t.Error(err)
				}
			})
		}
		start.Done()
		done.Wait()
		if hooks.Load() != 1 || collectors.Load() != 1 {
			t.Fatalf("%d hooks and %d collectors are registered, want one each", hooks.Load(), collectors.Load())
		}
		wantValue(t, reg, 1, "redoubt_retry_retries_total", "name=x")
	}
}

// Events of many goroutines under many keys are all counted.
func TestConcurrentEvents(t *testing.T) {
	reg := prometheus.NewRegistry()
	hook := newHooks(reg, "x", "0", "1", "2").Retry(nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 500 {
				hook(t.Context(), retry.Event{Kind: retry.KindRetry, Name: fmt.Sprint(i % 5)})
			}
		})
	}
	wg.Wait()
	for _, key := range []string{"0", "1", "2"} {
		wantValue(t, reg, 400, "redoubt_retry_retries_total", "name=x", "policy="+key)
	}
	wantValue(t, reg, 800, "redoubt_retry_retries_total", "name=x", "policy=other")
}

// A hook allocates nothing, also with keys.
func TestHookAllocatesNothing(t *testing.T) {
	hooks := newHooks(prometheus.NewRegistry(), "b", "a.example")
	ctx := t.Context()
	onBreaker, onRetry, onRefusal := hooks.Breaker(nil), hooks.Retry(nil), hooks.RateLimit(nil)
	transition := breaker.Event{Name: "hosts: a.example", To: breaker.StateOpen, OpenFor: time.Second}
	attempt := retry.Event{Kind: retry.KindRetry, Op: "GET a.example/path"}
	refusal := ratelimit.Event{Key: "b", Decision: ratelimit.Decision{Retryable: true}}
	got := testing.AllocsPerRun(200, func() {
		onBreaker(ctx, transition)
		onRetry(ctx, attempt)
		onRefusal(ctx, refusal)
	})
	if got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
