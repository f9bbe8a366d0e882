package redoubtotel

import (
	"context"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// An Event is an event of a guard.
type Event interface {
	retry.Event | breaker.Event | ratelimit.Event | bulkhead.Event
}

// SpanEvents adds e to the span of ctx, as an event of that span. It is a hook:
//
//	policy.OnEvent = redoubtotel.SpanEvents
//
// In a literal such as a breaker.Config it needs its type argument:
// SpanEvents[breaker.Event].
//
// The events are redoubt.retry, redoubt.hedge and redoubt.done of package
// retry, redoubt.breaker.transition and redoubt.breaker.shadow_transition,
// redoubt.ratelimit.refusal, redoubt.bulkhead.refusal and
// redoubt.bulkhead.limit. Attempts of HTTP requests have the attribute
// http.request.resend_count, and failures have error.type, which is the type of
// the error. No attribute contains the text of an error. The name of a breaker
// in a Group contains its key, and no other attribute contains a key.
//
// If no span of ctx is recording, SpanEvents does nothing and allocates
// nothing.
func SpanEvents[E Event](ctx context.Context, e E) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	var name string
	var as list
	switch e := any(e).(type) {
	case retry.Event:
		name = as.retry(e)
	case breaker.Event:
		name = as.breaker(e)
	case ratelimit.Event:
		name = as.rateLimit(e)
	case bulkhead.Event:
		name = as.bulkhead(e)
	}
	if name != "" {
		span.AddEvent(name, trace.WithAttributes(as...))
	}
}

// A list is the attributes of an event. Its methods add the attributes of an
// event and return its name, or "" for an event that is not about the span.
type list []attribute.KeyValue

func (as *list) add(kvs ...attribute.KeyValue) { *as = append(*as, kvs...) }

func (as *list) name(name string) {
	if name != "" {
		as.add(attribute.String(nameKey, strings.ToValidUTF8(name, "\uFFFD"))) // OTLP refuses a whole batch for other text
	}
}

// failure adds the type of an error, and whether it is the refusal of a guard.
func (as *list) failure(err error) {
	if err != nil {
		as.add(attribute.String("error.type", fmt.Sprintf("%T", err)), attribute.Bool("redoubt.rejected", errtree.Read(err).Rejected))
	}
}

// resend adds the number of the request among the requests of a call, from 1
// for the first request that repeats another.
func (as *list) resend(op string, n int) {
	if _, ok := metrics.HostOf(op); ok {
		as.add(attribute.Int("http.request.resend_count", n))
	}
}

func (as *list) retry(e retry.Event) string {
	as.name(e.Name)
	switch e.Kind {
	case retry.KindRetry:
		as.add(attribute.Int("redoubt.attempt", e.Attempt+1), attribute.Float64("redoubt.delay", e.Delay.Seconds()))
		as.resend(e.Op, e.Attempt)
		as.failure(e.Err)
		return "redoubt.retry"
	case retry.KindHedged:
		as.add(attribute.Int("redoubt.attempt", e.Attempt))
		as.resend(e.Op, e.Attempt-1)
		as.failure(e.Err)
		return "redoubt.hedge"
	case retry.KindDone:
		as.add(attribute.Int("redoubt.attempt", e.Attempt), attribute.String("redoubt.outcome", metrics.Outcome(e.Reason)))
		as.failure(e.Err)
		return "redoubt.done"
	}
	return ""
}

func (as *list) breaker(e breaker.Event) string {
	as.name(e.Name)
	as.add(
		attribute.String("redoubt.state", e.To.String()),
		attribute.String("redoubt.previous_state", e.From.String()),
		attribute.String("redoubt.reason", e.Reason),
	)
	if e.OpenFor > 0 {
		as.add(attribute.Float64("redoubt.open_period", e.OpenFor.Seconds()))
	}
	as.failure(e.Err)
	if e.Kind == breaker.KindShadow {
		return "redoubt.breaker.shadow_transition"
	}
	return "redoubt.breaker.transition"
}

func (as *list) rateLimit(e ratelimit.Event) string {
	if e.Kind != ratelimit.KindRefused {
		return ""
	}
	as.name(e.Name)
	as.add(attribute.Bool("redoubt.retryable", e.Decision.Retryable), attribute.Float64("redoubt.retry_after", e.Decision.RetryAfter.Seconds()))
	return "redoubt.ratelimit.refusal"
}

func (as *list) bulkhead(e bulkhead.Event) string {
	as.name(e.Name)
	as.add(attribute.Int("redoubt.limit", e.Limit))
	if e.Err == nil {
		as.add(attribute.Int("redoubt.previous_limit", e.Old))
		return "redoubt.bulkhead.limit"
	}
	as.add(attribute.String("redoubt.reason", e.Err.Reason.String()))
	return "redoubt.bulkhead.refusal"
}
