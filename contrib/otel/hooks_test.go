package redoubtotel_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtotel "github.com/redoubt-go/redoubt/contrib/otel"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
	otelmetric "go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace"
)

// allHooks makes a hook of each kind. The histograms cannot begin with 0, so
// they measure once. Each key shows once.
func allHooks(t testing.TB, meter otelmetric.Meter, name string) {
	ctx, hooks := context.Background(), mustHooks(t, meter, name, "a")
	onRetry := hooks.Retry(nil)
	onRetry(ctx, retry.Event{Kind: retry.KindRetry, Name: "a", Op: "GET b/"})
	onRetry(ctx, retry.Event{Kind: retry.KindHedged, Name: "a", Op: "GET b/"})
	onRetry(ctx, retry.Event{Kind: retry.KindDone, Name: "a", Op: "GET b/"})
	hooks.Breaker(nil)(ctx, breaker.Event{Name: "a", To: breaker.StateOpen})
	hooks.Breaker(nil)(ctx, breaker.Event{Name: "a", To: breaker.StateOpen, Kind: breaker.KindShadow})
	hooks.RateLimit(nil)(ctx, ratelimit.Event{Key: "b", Decision: ratelimit.Decision{Retryable: true}})
	hooks.Bulkhead(nil)
}

// However many keys there are, the series stay the same, and no key is among
// the attributes.
func TestSeriesAreBounded(t *testing.T) {
	meter, reader := newMeter()
	onBreaker := mustHooks(t, meter, "hosts").Breaker(nil)
	group := breaker.NewGroup(breaker.GroupConfig[string]{Config: func(key string) breaker.Config {
		return breaker.Config{Name: key, OnEvent: onBreaker}
	}})
	keyed := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1), OnEvent: mustHooks(t, meter, "users").RateLimit(nil)})
	e := redoubtotel.New(meter)
	mustObserve(t, e, "hosts", group)
	mustObserve(t, e, "users", keyed)
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
	// 18 of the group, 5 of the keyed, 6+2+1 of transitions, 1 of waiting
	// times.
	if want := 18 + 5 + 9 + 1; n != want {
		t.Errorf("%d series, want %d", n, want)
	}
	if got := values(reader, "redoubt.breaker.transitions", "hosts")["open"]; got != 500 {
		t.Errorf("%v openings, want 500", got)
	}
	wantValues(t, reader, "redoubt.ratelimit.retry_after", "users", map[string]float64{"": 500})
}

func TestRetryOutcomes(t *testing.T) {
	meter, reader := newMeter()
	hook := mustHooks(t, meter, "r").Retry(nil)
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
	onBreaker := mustHooks(t, meter, "b").Breaker(nil)
	onBreaker(ctx, breaker.Event{Kind: breaker.KindShadow, To: breaker.StateOpen, OpenFor: time.Second})
	onBreaker(ctx, breaker.Event{Kind: breaker.KindTransition, To: breaker.State(99)}) // not in the list: no series
	wantValues(t, reader, "redoubt.breaker.shadow_transitions", "b", map[string]float64{"open": 1, "closed": 0})
	if got := values(reader, "redoubt.breaker.transitions", "b"); len(got) != 6 || got["open"] != 0 {
		t.Errorf("%v, want six zeros", got)
	}
	onKeyed := mustHooks(t, meter, "k").RateLimit(nil)
	onKeyed(ctx, ratelimit.Event{})
	onKeyed(ctx, ratelimit.Event{Kind: ratelimit.KindPushedOut})
	wantValues(t, reader, "redoubt.ratelimit.retry_after", "k", map[string]float64{})
	onBulkhead := mustHooks(t, meter, "b").Bulkhead(nil)
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
		hook = mustHooks(t, meter, "twice").Retry(hook)
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

func TestNewHooksErrors(t *testing.T) {
	meter, _ := newMeter()
	for _, c := range []redoubtotel.HooksConfig{{}, {Name: "x", Keys: []string{""}}, {Name: "x", Keys: make([]string, 1001)}} {
		if _, err := redoubtotel.NewHooks(meter, c); err == nil || err.Error() != c.Validate().Error() {
			t.Errorf("%v, want %v", err, c.Validate())
		}
	}
}

func TestListedKeys(t *testing.T) {
	meter, reader := newMeter()
	hooks, ctx := mustHooks(t, meter, "x", "api", "a.example"), t.Context()
	hook := hooks.Retry(nil)
	for _, op := range []string{"GET a.example/1", "GET a.example/2", "GET b.example/1"} {
		hook(ctx, retry.Event{Kind: retry.KindRetry, Name: "api", Op: op})
	}
	hook(ctx, retry.Event{Kind: retry.KindRetry, Name: "nightly"})
	got := map[string]float64{}
	for _, d := range points(reader, "redoubt.retry.retries") {
		policy, _ := d.Attributes.Value("redoubt.policy")
		host, _ := d.Attributes.Value("server.address")
		got[policy.AsString()+" "+host.AsString()] = d.Value
	}
	if d := cmp.Diff(map[string]float64{" ": 0, "api a.example": 2, "api other": 1, "other ": 1}, got); d != "" {
		t.Error(d)
	}
	hooks.Breaker(nil)(ctx, breaker.Event{Name: "hosts: a.example", To: breaker.StateOpen})
	if got := values(reader, "redoubt.breaker.transitions", "x")["a.exampleopen"]; got != 1 {
		t.Error(points(reader, "redoubt.breaker.transitions"))
	}
}

// The SDK puts the trace of the event's context into exemplars, of counters and
// of histograms.
func TestExemplars(t *testing.T) {
	meter, reader := newMeter()
	hook := mustHooks(t, meter, "x").Retry(nil)
	ctx, span := trace.NewTracerProvider().Tracer("test").Start(t.Context(), "call")
	hook(ctx, retry.Event{Kind: retry.KindRetry, Delay: time.Second})
	all := collect(reader)
	id := span.SpanContext().TraceID()
	counter := all["redoubt.retry.retries"].Data.(metricdata.Sum[int64]).DataPoints[0].Exemplars
	histogram := all["redoubt.retry.delay"].Data.(metricdata.Histogram[float64]).DataPoints[0].Exemplars
	if len(counter) != 1 || !bytes.Equal(counter[0].TraceID, id[:]) {
		t.Errorf("exemplars of the counter: %v", counter)
	}
	if len(histogram) != 1 || !bytes.Equal(histogram[0].TraceID, id[:]) {
		t.Errorf("exemplars of the histogram: %v", histogram)
	}
}

// A hook allocates nothing, unless the race detector makes the SDK do so.
func TestHookAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("under the race detector sync.Pool drops at random what the SDK keeps there")
	}
	meter, _ := newMeter()
	hook := mustHooks(t, meter, "b", "a").Breaker(nil)
	e := breaker.Event{Name: "a", To: breaker.StateOpen, OpenFor: time.Second}
	ctx := t.Context()
	if got := testing.AllocsPerRun(200, func() { hook(ctx, e) }); got > 0 {
		t.Errorf("%v allocations, want none", got)
	}
}
