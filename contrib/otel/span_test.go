package redoubtotel_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtotel "github.com/redoubt-go/redoubt/contrib/otel"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
)

// spanEvents returns the events of a span under which fn runs, each with its
// attributes as text.
func spanEvents(fn func(context.Context)) (texts []string) {
	recorder := tracetest.NewSpanRecorder()
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)).Tracer("test")
	ctx, span := tracer.Start(context.Background(), "call")
	fn(ctx)
	span.End()
	for _, e := range recorder.Ended()[0].Events() {
		text := e.Name
		for _, kv := range e.Attributes {
			text += fmt.Sprintf(" %s=%v", kv.Key, kv.Value.AsInterface())
		}
		texts = append(texts, text)
	}
	return texts
}

func checkEvents(t *testing.T, got, want []string) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// A call through all guards leaves its story in the span of its caller.
func TestSpanEventsOfACall(t *testing.T) {
	down := errors.New("token=secret is down")
	cfg := breaker.Config{Name: "billing", Consecutive: 2, OpenFor: time.Minute, Jitter: -1}
	cfg.OnEvent = redoubtotel.SpanEvents
	b := breaker.New(cfg)
	p := retry.Policy{Name: "api", MaxAttempts: 4, Backoff: retry.Constant(time.Nanosecond)}
	p.OnEvent = redoubtotel.SpanEvents
	got := spanEvents(func(ctx context.Context) {
		_ = p.Do(ctx, func(ctx context.Context) error { return b.Do(ctx, func(context.Context) error { return down }) })
	})
	checkEvents(t, got, []string{
		"redoubt.retry redoubt.name=api redoubt.attempt=2 redoubt.delay=1e-09 error.type=*errors.errorString redoubt.rejected=false",
		"redoubt.breaker.transition redoubt.name=billing redoubt.state=open redoubt.previous_state=closed redoubt.reason=consecutive failures " +
			"redoubt.open_period=60 error.type=*errors.errorString redoubt.rejected=false",
		"redoubt.retry redoubt.name=api redoubt.attempt=3 redoubt.delay=1e-09 error.type=*errors.errorString redoubt.rejected=false",
		"redoubt.done redoubt.name=api redoubt.attempt=3 redoubt.outcome=retry_after error.type=*breaker.OpenError redoubt.rejected=true",
	})
}

func TestSpanEventsOfEachKind(t *testing.T) {
	const resent = string(semconv.HTTPRequestResendCountKey)
	got := spanEvents(func(ctx context.Context) {
		redoubtotel.SpanEvents(ctx, retry.Event{Kind: retry.KindRetry, Op: "GET a.example/path", Attempt: 2, Delay: time.Second, Err: &bulkhead.FullError{}})
		redoubtotel.SpanEvents(ctx, retry.Event{Kind: retry.KindHedged, Op: "GET a.example/path", Attempt: 2})
		redoubtotel.SpanEvents(ctx, retry.Event{Kind: retry.KindHedged, Op: "load users", Attempt: 2})
		redoubtotel.SpanEvents(ctx, retry.Event{Kind: retry.KindDone, Attempt: 3, Reason: retry.ErrExhausted})
		redoubtotel.SpanEvents(ctx, retry.Event{Kind: 99})
		redoubtotel.SpanEvents(ctx, breaker.Event{Name: "hosts: \xff\xfe", To: breaker.StateOpen})
		redoubtotel.SpanEvents(ctx, breaker.Event{Kind: breaker.KindShadow, From: breaker.StateOpen, To: breaker.StateClosed, Reason: "recovered"})
		redoubtotel.SpanEvents(ctx, ratelimit.Event{Name: "users", Key: "secret", Decision: ratelimit.Decision{Retryable: true, RetryAfter: time.Second}})
		redoubtotel.SpanEvents(ctx, ratelimit.Event{Kind: ratelimit.KindPushedOut, Key: "secret"})
		redoubtotel.SpanEvents(ctx, bulkhead.Event{Kind: bulkhead.KindRefused, Limit: 7, Old: 7, Err: &bulkhead.FullError{Reason: bulkhead.ReasonShed}})
		redoubtotel.SpanEvents(ctx, bulkhead.Event{Kind: bulkhead.KindLimit, Limit: 7, Old: 9})
	})
	checkEvents(t, got, []string{
		"redoubt.retry redoubt.attempt=3 redoubt.delay=1 " + resent + "=2 " + string(semconv.ErrorTypeKey) + "=*bulkhead.FullError redoubt.rejected=true",
		"redoubt.hedge redoubt.attempt=2 " + resent + "=1",
		"redoubt.hedge redoubt.attempt=2",
		"redoubt.done redoubt.attempt=3 redoubt.outcome=exhausted",
		"redoubt.breaker.transition redoubt.name=hosts: \uFFFD redoubt.state=open redoubt.previous_state=closed redoubt.reason=",
		"redoubt.breaker.shadow_transition redoubt.state=closed redoubt.previous_state=open redoubt.reason=recovered",
		"redoubt.ratelimit.refusal redoubt.name=users redoubt.retryable=true redoubt.retry_after=1",
		"redoubt.bulkhead.refusal redoubt.limit=7 redoubt.reason=" + bulkhead.ReasonShed.String(),
		"redoubt.bulkhead.limit redoubt.limit=7 redoubt.previous_limit=9",
	})
	if strings.Contains(strings.Join(got, "\n"), "secret") {
		t.Error("a key shows")
	}
	if semconv.ServerAddressKey != "server.address" {
		t.Error("server.address has another name")
	}
}

// A hook composes with SpanEvents without type arguments.
func TestSpanEventsCompose(t *testing.T) {
	meter, reader := newMeter()
	hook := mustHooks(t, meter, "x").Retry(redoubtotel.SpanEvents)
	got := spanEvents(func(ctx context.Context) { hook(ctx, retry.Event{Kind: retry.KindHedged, Attempt: 2}) })
	checkEvents(t, got, []string{"redoubt.hedge redoubt.attempt=2"})
	wantValues(t, reader, "redoubt.retry.hedges", "x", map[string]float64{"": 1})
}

func TestSpanEventsOfNoSpanAllocateNothing(t *testing.T) {
	e := retry.Event{Kind: retry.KindRetry, Name: "api", Op: "GET a.example/", Err: errRefused}
	never := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample())).Tracer("test")
	unsampled, _ := never.Start(t.Context(), "call")
	ended, span := sdktrace.NewTracerProvider().Tracer("test").Start(t.Context(), "call")
	span.End()
	for _, ctx := range []context.Context{t.Context(), unsampled, ended} {
		if got := testing.AllocsPerRun(100, func() { redoubtotel.SpanEvents(ctx, e) }); got > 0 {
			t.Errorf("%v allocations, want none", got)
		}
	}
}
