package metrics

import (
	"context"
	"errors"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// Short names for the tables below.
type (
	metric          = Metric
	action[E Event] = Action[E]
)

const (
	counter   = KindCounter
	sum       = KindSum
	gauge     = KindGauge
	histogram = KindHistogram
)

// number is the type of a field of statistics, except durations.
type number interface{ ~int | ~uint64 | ~float64 }

// list returns numbers as values.
func list[N number](ns ...N) []float64 {
	vs := make([]float64, len(ns))
	for i, n := range ns {
		vs[i] = float64(n)
	}
	return vs
}

// names returns the names of values.
func names[T interface{ String() string }](values ...T) []string {
	var texts []string
	for _, v := range values {
		texts = append(texts, v.String())
	}
	return texts
}

// states returns all states of a breaker.
func states() []breaker.State {
	return []breaker.State{
		breaker.StateClosed, breaker.StateHalfOpen, breaker.StateRecovering, breaker.StateOpen, breaker.StateForcedOpen, breaker.StateForcedClosed,
	}
}

func breakerFigures() []figure[breaker.Stats] {
	type S = breaker.Stats
	outcomes := []string{"success", "failure", "ignored", "late"}
	return []figure[S]{
		{metric{"redoubt.breaker.state", sum, "{breaker}", "1 for the present state, 0 for every other state.", "state", names(states()...)}, stateBits},
		{metric{"redoubt.breaker.state_age", gauge, "s", "Time since the breaker entered its state.", "", nil}, func(s S) []float64 { return list(s.StateFor.Seconds()) }},
		{metric{"redoubt.breaker.retry_after", gauge, "s", "Remaining time of the open period.", "", nil}, func(s S) []float64 { return list(s.RetryAfter.Seconds()) }},
		{metric{"redoubt.breaker.calls", counter, "{call}", "Finished calls, by outcome. A late call ended in a later state than it began in.", "outcome", outcomes}, func(s S) []float64 {
			return list(s.Successes, s.Failures, s.Ignored, s.Late)
		}},
		{metric{"redoubt.breaker.slow_calls", counter, "{call}", "Slow successes and failures.", "", nil}, func(s S) []float64 { return list(s.Slow) }},
		{metric{"redoubt.breaker.rejections", counter, "{call}", "Refused calls.", "", nil}, func(s S) []float64 { return list(s.Rejected) }},
		{metric{"redoubt.breaker.openings", counter, "{opening}", "Transitions to open.", "", nil}, func(s S) []float64 { return list(s.Openings) }},
		{metric{"redoubt.breaker.window.calls", sum, "{call}", "Calls in the window.", "outcome", outcomes[:2]}, func(s S) []float64 { return list(s.WindowCalls-s.WindowFailures, s.WindowFailures) }},
		{metric{"redoubt.breaker.window.slow_calls", sum, "{call}", "Slow calls in the window.", "", nil}, func(s S) []float64 { return list(s.WindowSlow) }},
		{metric{"redoubt.breaker.overdue_calls", sum, "{call}", "Running calls that are already slow.", "", nil}, func(s S) []float64 { return list(s.Overdue) }},
		{metric{"redoubt.breaker.consecutive_failures", gauge, "{call}", "Failures since the last success.", "", nil}, func(s S) []float64 { return list(s.Consecutive) }},
		{metric{"redoubt.breaker.probes", sum, "{call}", "Running probes.", "", nil}, func(s S) []float64 { return list(s.Probes) }},
		{metric{"redoubt.breaker.limit", sum, "{call}", "Calls that may run at once while the breaker recovers, otherwise 0.", "", nil}, func(s S) []float64 { return list(s.Limit) }},
		{metric{"redoubt.breaker.usual_duration", gauge, "s", "Approximate median duration of successes.", "", nil}, func(s S) []float64 { return list(s.Usual.Seconds()) }},
		{metric{"redoubt.breaker.outage_age", gauge, "s", "Time since the outage began that lengthens open periods.", "", nil}, func(s S) []float64 { return list(s.OutageFor.Seconds()) }},
	}
}

// stateBits returns 1 for the present state and 0 for every other state.
func stateBits(s breaker.Stats) []float64 {
	var bits []float64
	for _, state := range states() {
		bits = append(bits, bit(s.State == state))
	}
	return bits
}

// bit returns 1 for true.
func bit(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

func groupFigures() []figure[breaker.GroupStats] {
	type S = breaker.GroupStats
	return []figure[S]{
		{metric{"redoubt.breaker.group.breakers", sum, "{breaker}", "Breakers in the group.", "", nil}, func(s S) []float64 { return list(s.Len) }},
		{metric{"redoubt.breaker.group.forgotten", counter, "{breaker}", "Breakers that were forgotten for others.", "", nil}, func(s S) []float64 { return list(s.Forgotten) }},
		{metric{"redoubt.breaker.group.sketched", sum, "{key}", "Keys in the sketch.", "", nil}, func(s S) []float64 { return list(s.Sketched) }},
		{metric{"redoubt.breaker.group.sketch.openings", counter, "{opening}", "Openings of keys in the sketch.", "", nil}, func(s S) []float64 { return list(s.SketchOpenings) }},
		{metric{"redoubt.breaker.group.sketch.rejections", counter, "{call}", "Calls refused by the sketch.", "", nil}, func(s S) []float64 { return list(s.SketchRejected) }},
		{metric{"redoubt.breaker.group.sketch.lost", counter, "{key}", "Failing keys that the sketch forgot to make room.", "", nil}, func(s S) []float64 { return list(s.SketchLost) }},
	}
}

func throttleFigures() []figure[breaker.ThrottleStats] {
	type S = breaker.ThrottleStats
	return []figure[S]{
		{metric{"redoubt.breaker.throttle.calls", counter, "{call}", "Calls that ended.", "outcome", []string{"success", "failure", "ignored"}}, func(s S) []float64 {
			return list(s.Successes, s.Failures, s.Ignored)
		}},
		{metric{"redoubt.breaker.throttle.rejections", counter, "{call}", "Calls refused by the throttle.", "", nil}, func(s S) []float64 { return list(s.Rejected) }},
		{metric{"redoubt.breaker.throttle.window.calls", sum, "{call}", "Calls in the window.", "outcome", []string{"success", "failure"}}, func(s S) []float64 { return list(s.WindowCalls-s.WindowFailures, s.WindowFailures) }},
		{metric{"redoubt.breaker.throttle.refusal", gauge, "1", "Share of calls that is refused.", "", nil}, func(s S) []float64 { return list(s.RefuseShare) }},
	}
}

func keyedFigures() []figure[ratelimit.Stats] {
	type S = ratelimit.Stats
	return []figure[S]{
		{requests(), func(s S) []float64 { return list(s.Allowed, s.Refused) }},
		{metric{"redoubt.ratelimit.pushed_out", counter, "{key}", "Keys that were forgotten for others before their limit was full again.", "", nil}, func(s S) []float64 { return list(s.PushedOut) }},
		{metric{"redoubt.ratelimit.keys", sum, "{key}", "Keys below their full limit.", "", nil}, func(s S) []float64 { return list(s.Len) }},
		{metric{"redoubt.ratelimit.max_keys", sum, "{key}", "Largest number of keys.", "", nil}, func(s S) []float64 { return list(s.MaxKeys) }},
	}
}

func requests() metric {
	return metric{"redoubt.ratelimit.requests", counter, "{request}", "Requests, whatever their number of events.", "outcome", []string{"allowed", "refused"}}
}

func limiterFigures() []figure[*ratelimit.Limiter] {
	type L = *ratelimit.Limiter
	return []figure[L]{
		{metric{"redoubt.ratelimit.tokens", gauge, "{event}", "Events that the limiter would allow now.", "", nil}, func(l L) []float64 { return list(l.Tokens()) }},
		{requests(), func(l L) []float64 { s := l.Stats(); return list(s.Allowed, s.Refused) }},
	}
}

func bulkheadFigures() []figure[bulkhead.Stats] {
	type S = bulkhead.Stats
	reasons := []string{"queue_full", "too_late", "shed", "too_large"}
	return []figure[S]{
		{metric{"redoubt.bulkhead.limit", sum, "{place}", "Places.", "", nil}, func(s S) []float64 { return list(s.Limit) }},
		{metric{"redoubt.bulkhead.inflight", sum, "{place}", "Places taken.", "", nil}, func(s S) []float64 { return list(s.Inflight) }},
		{metric{"redoubt.bulkhead.queued", sum, "{call}", "Waiting callers.", "", nil}, func(s S) []float64 { return list(s.Queued) }},
		{metric{"redoubt.bulkhead.rejections", counter, "{call}", "Refused callers.", "reason", reasons}, func(s S) []float64 { return list(s.QueueFull, s.TooLate, s.Shed, s.TooLarge) }},
	}
}

func cacheFigures() []figure[cache.Stats] {
	type S = cache.Stats
	return []figure[S]{
		{metric{"redoubt.cache.lookups", counter, "{lookup}", "Lookups. A hit found a fresh value.", "outcome", []string{"hit", "miss"}}, func(s S) []float64 { return list(s.Hits, s.Misses) }},
		{metric{"redoubt.cache.stale_hits", counter, "{lookup}", "Misses answered with a stale value.", "", nil}, func(s S) []float64 { return list(s.StaleHits) }},
		{metric{"redoubt.cache.error_hits", counter, "{lookup}", "Misses answered with a remembered error.", "", nil}, func(s S) []float64 { return list(s.ErrorHits) }},
		{metric{"redoubt.cache.loads", counter, "{load}", "Finished loads.", "", nil}, func(s S) []float64 { return list(s.Loads) }},
		{metric{"redoubt.cache.not_found", counter, "{load}", "Loads of keys that do not exist.", "", nil}, func(s S) []float64 { return list(s.NotFound) }},
		{metric{"redoubt.cache.load_errors", counter, "{load}", "Loads that failed.", "", nil}, func(s S) []float64 { return list(s.LoadErrors) }},
		{metric{"redoubt.cache.refresh_errors", counter, "{load}", "Background loads that failed.", "", nil}, func(s S) []float64 { return list(s.RefreshErrors) }},
		{metric{"redoubt.cache.load_time", counter, "s", "Duration of all finished loads.", "", nil}, func(s S) []float64 { return list(s.LoadTime.Seconds()) }},
		{metric{"redoubt.cache.evictions", counter, "{entry}", "Values that were evicted.", "", nil}, func(s S) []float64 { return list(s.Evictions) }},
		{metric{"redoubt.cache.expirations", counter, "{entry}", "Values that expired.", "", nil}, func(s S) []float64 { return list(s.Expirations) }},
		{metric{"redoubt.cache.entries", sum, "{entry}", "Entries.", "", nil}, func(s S) []float64 { return list(s.Len) }},
		{metric{"redoubt.cache.weight", sum, "1", "Sum of the weights of all entries.", "", nil}, func(s S) []float64 { return list(s.Weight) }},
		{metric{"redoubt.cache.capacity", sum, "{entry}", "Largest number of entries.", "", nil}, func(s S) []float64 { return list(s.Capacity) }},
	}
}

func auditFigures() []figure[audit.Stats] {
	type S = audit.Stats
	results := []string{"recorded", "filtered", "refused", "failed", "uncertain"}
	return []figure[S]{
		{metric{"redoubt.audit.events", counter, "{event}", "Events, by result.", "result", results}, func(s S) []float64 {
			return list(s.Recorded, s.Filtered, s.Refused, s.Failed, s.Uncertain)
		}},
		{metric{"redoubt.audit.denials", counter, "{event}", "Recorded events with the outcome denied.", "", nil}, func(s S) []float64 { return list(s.Denied) }},
		{metric{"redoubt.audit.failures", counter, "{event}", "Recorded events with the outcome failure.", "", nil}, func(s S) []float64 { return list(s.Failures) }},
		{metric{"redoubt.audit.truncated", counter, "{event}", "Recorded events that were cut because of their size.", "", nil}, func(s S) []float64 { return list(s.Truncated) }},
	}
}

func bufferFigures() []figure[audit.BufferStats] {
	type S = audit.BufferStats
	return []figure[S]{
		{metric{"redoubt.audit.buffer.events", counter, "{event}", "Events that left the buffer.", "result", []string{"written", "lost", "uncertain"}}, func(s S) []float64 { return list(s.Written, s.Lost, s.Uncertain) }},
		{metric{"redoubt.audit.buffer.waiting", sum, "{event}", "Events in the buffer.", "", nil}, func(s S) []float64 { return list(s.Waiting) }},
	}
}

func ledgerFigures() []figure[ledger.Stats] {
	type S = ledger.Stats
	results := []string{"written", "failed", "uncertain"}
	return []figure[S]{
		{metric{"redoubt.ledger.events", counter, "{event}", "Events, by result.", "result", results}, func(s S) []float64 { return list(s.Events, s.Failed, s.Uncertain) }},
		{metric{"redoubt.ledger.records", counter, "{record}", "Lines written: events, and records of the ledger itself.", "", nil}, func(s S) []float64 { return list(s.Records) }},
		{metric{"redoubt.ledger.written", counter, "By", "Bytes of the lines written.", "", nil}, func(s S) []float64 { return list(s.Bytes) }},
		{metric{"redoubt.ledger.commits", counter, "{commit}", "Groups of events that were written together.", "", nil}, func(s S) []float64 { return list(s.Commits) }},
		{metric{"redoubt.ledger.syncs", counter, "{sync}", "Syncs to the disk.", "", nil}, func(s S) []float64 { return list(s.Syncs) }},
		{metric{"redoubt.ledger.sync_time", counter, "s", "Duration of all syncs to the disk.", "", nil}, func(s S) []float64 { return list(s.SyncTime.Seconds()) }},
		{metric{"redoubt.ledger.checkpoints", counter, "{checkpoint}", "Checkpoints written.", "", nil}, func(s S) []float64 { return list(s.Checkpoints) }},
		{metric{"redoubt.ledger.unanchored", counter, "{checkpoint}", "Checkpoints that the anchor did not accept.", "", nil}, func(s S) []float64 { return list(s.Unanchored) }},
		{metric{"redoubt.ledger.seal_failures", counter, "{checkpoint}", "Checkpoints that could not be signed or written.", "", nil}, func(s S) []float64 { return list(s.SealFailures) }},
		{metric{"redoubt.ledger.rehashes", counter, "{rehash}", "Times that stored hashes were missing, wrong or not writable.", "", nil}, func(s S) []float64 { return list(s.Rehashes) }},
		{metric{"redoubt.ledger.segments", counter, "{segment}", "New segments.", "", nil}, func(s S) []float64 { return list(s.Segments) }},
		{metric{"redoubt.ledger.pruned", counter, "{segment}", "Segments removed.", "", nil}, func(s S) []float64 { return list(s.Pruned) }},
		{metric{"redoubt.ledger.size", sum, "{record}", "Records in the log, including pruned records.", "", nil}, func(s S) []float64 { return list(s.Size) }},
		{metric{"redoubt.ledger.sealed", sum, "{record}", "Records before the last checkpoint, 0 if there is none.", "", nil}, func(s S) []float64 { return list(s.Sealed) }},
		{metric{"redoubt.ledger.largest_commit", gauge, "{event}", "Largest number of events in a commit.", "", nil}, func(s S) []float64 { return list(s.LargestGroup) }},
		{metric{"redoubt.ledger.stopped", sum, "{ledger}", "Whether the ledger has stopped: 1 if so.", "", nil}, func(s S) []float64 { return list(bit(s.Stopped)) }},
	}
}

func logscanFigures() []figure[logscan.Stats] {
	type S = logscan.Stats
	results := []string{"delivered", "prefiltered", "malformed"}
	return []figure[S]{
		{metric{"redoubt.logscan.inputs", counter, "{input}", "Started inputs.", "", nil}, func(s S) []float64 { return list(s.Inputs) }},
		{metric{"redoubt.logscan.failed_inputs", counter, "{input}", "Inputs that ended with an error.", "", nil}, func(s S) []float64 { return list(s.Failed) }},
		{metric{"redoubt.logscan.read", counter, "By", "Bytes read, before decompression.", "", nil}, func(s S) []float64 { return list(s.ReadBytes) }},
		{metric{"redoubt.logscan.decoded", counter, "By", "Bytes read, after decompression.", "", nil}, func(s S) []float64 { return list(s.DecodedBytes) }},
		{metric{"redoubt.logscan.records", counter, "{record}", "Records, by result.", "result", results}, func(s S) []float64 { return list(s.Delivered, s.Prefiltered, s.Malformed) }},
		{metric{"redoubt.logscan.cut_records", counter, "{record}", "Records that were cut because of their length.", "", nil}, func(s S) []float64 { return list(s.Cut) }},
		{metric{"redoubt.logscan.cut", counter, "By", "Bytes that cut records lost.", "", nil}, func(s S) []float64 { return list(s.CutBytes) }},
		{metric{"redoubt.logscan.joined_lines", counter, "{line}", "Lines that were joined to the record before them.", "", nil}, func(s S) []float64 { return list(s.Joined) }},
	}
}

// reasons returns the labels for the ends of a call of retry, each with its
// error. The first matching error decides. Without a match the label is
// "other", for example if the last attempt of a hedged call failed.
func reasons() []struct {
	label string
	err   error
} {
	return []struct {
		label string
		err   error
	}{
		{"exhausted", retry.ErrExhausted},
		{"permanent", retry.ErrPermanent},
		{"budget", retry.ErrBudget},
		{"elapsed", retry.ErrElapsed},
		{"retry_after", retry.ErrRetryAfter},
		{"nested", retry.ErrNested},
		{"deadline", context.DeadlineExceeded}, // retry.ErrDeadline too
		{"cancelled", context.Canceled},
	}
}

// outcome returns the label for the reason why a call ended.
func outcome(reason error) string {
	if reason == nil {
		return "success"
	}
	for _, r := range reasons() {
		if errors.Is(reason, r.err) {
			return r.label
		}
	}
	return "other"
}

func retryActions() []action[retry.Event] {
	type E = retry.Event
	outcomes := []string{"success"}
	for _, r := range reasons() {
		outcomes = append(outcomes, r.label)
	}
	outcomes = append(outcomes, "other")
	return []action[E]{
		{metric{"redoubt.retry.calls", counter, "{call}", "Calls that ended after more than one attempt or without success.", "outcome", outcomes}, func(e E) (string, float64, bool) { return outcome(e.Reason), 1, e.Kind == retry.KindDone }},
		{metric{"redoubt.retry.retries", counter, "{attempt}", "Attempts after a failed attempt.", "", nil}, func(e E) (string, float64, bool) { return "", 1, e.Kind == retry.KindRetry }},
		{metric{"redoubt.retry.hedges", counter, "{attempt}", "Hedged attempts, beside a slow attempt.", "", nil}, func(e E) (string, float64, bool) { return "", 1, e.Kind == retry.KindHedged }},
		{metric{"redoubt.retry.delay", histogram, "s", "Pauses before retries.", "", nil}, func(e E) (string, float64, bool) { return "", e.Delay.Seconds(), e.Kind == retry.KindRetry }},
		{metric{"redoubt.retry.duration", histogram, "s", "Duration of the counted calls, including pauses.", "", nil}, func(e E) (string, float64, bool) { return "", e.Elapsed.Seconds(), e.Kind == retry.KindDone }},
	}
}

func breakerActions() []action[breaker.Event] {
	type E = breaker.Event
	shadows := names(breaker.StateClosed, breaker.StateOpen)
	return []action[E]{
		{metric{"redoubt.breaker.transitions", counter, "{transition}", "Changes of state, by the new state.", "to", names(states()...)}, func(e E) (string, float64, bool) { return e.To.String(), 1, e.Kind == breaker.KindTransition }},
		{metric{"redoubt.breaker.shadow_transitions", counter, "{transition}", "Changes of state that a breaker would have made if it were not forced closed.", "to", shadows}, func(e E) (string, float64, bool) { return e.To.String(), 1, e.Kind == breaker.KindShadow }},
		{metric{"redoubt.breaker.open_period", histogram, "s", "Planned duration of open periods.", "", nil}, func(e E) (string, float64, bool) {
			return "", e.OpenFor.Seconds(), e.Kind == breaker.KindTransition && e.To == breaker.StateOpen
		}},
	}
}

func ratelimitActions() []action[ratelimit.Event] {
	type E = ratelimit.Event
	return []action[E]{
		{metric{"redoubt.ratelimit.retry_after", histogram, "s", "Waiting times that refused requests received, except requests that can never be allowed.", "", nil}, func(e E) (string, float64, bool) {
			after := e.Decision.RetryAfter
			return "", after.Seconds(), e.Kind == ratelimit.KindRefused && e.Decision.Retryable
		}},
	}
}

func bulkheadActions() []action[bulkhead.Event] {
	type E = bulkhead.Event
	return []action[E]{
		{metric{"redoubt.bulkhead.limit_changes", counter, "{change}", "Changes of an adaptive limit.", "direction", []string{"up", "down"}}, func(e E) (string, float64, bool) {
			if e.Limit > e.Old {
				return "up", 1, e.Kind == bulkhead.KindLimit
			}
			return "down", 1, e.Kind == bulkhead.KindLimit
		}},
	}
}

// redisStats are the statistics of a Limiter of contrib/redis.
type redisStats struct {
	Name                                                                           string
	Allowed, Refused, Leased, Denied, Alone, RoundTrips, Errors, Returned, Outages uint64
	Down                                                                           int
}

func redisFigures() []figure[redisStats] {
	type S = redisStats
	sources := []string{"allowed", "refused", "leased", "denied", "alone"}
	return []figure[S]{
		{metric{"redoubt.redis.limiter.decisions", counter, "{request}", "Decisions, by their source: the server, a lease, a remembered refusal, or this process alone.", "source", sources}, func(s S) []float64 { return list(s.Allowed, s.Refused, s.Leased, s.Denied, s.Alone) }},
		{metric{"redoubt.redis.limiter.round_trips", counter, "{request}", "Round trips to a server.", "", nil}, func(s S) []float64 { return list(s.RoundTrips) }},
		{metric{"redoubt.redis.limiter.errors", counter, "{error}", "Replies that failed or came too late.", "", nil}, func(s S) []float64 { return list(s.Errors) }},
		{metric{"redoubt.redis.limiter.returned", counter, "{event}", "Leased events that were returned unused.", "", nil}, func(s S) []float64 { return list(s.Returned) }},
		{metric{"redoubt.redis.limiter.outages", counter, "{outage}", "Outages of servers that have started.", "", nil}, func(s S) []float64 { return list(s.Outages) }},
		{metric{"redoubt.redis.limiter.down", sum, "{server}", "Servers that are down.", "", nil}, func(s S) []float64 { return list(s.Down) }},
	}
}

// redisCacheStats are the statistics of a Cache of contrib/redis.
type redisCacheStats struct {
	Name                                  string
	Hits, Absent, Misses, Errors, Outages uint64
	Down                                  int
}

func redisCacheFigures() []figure[redisCacheStats] {
	type S = redisCacheStats
	return []figure[S]{
		{metric{"redoubt.redis.cache.lookups", counter, "{lookup}", "Lookups that were answered.", "outcome", []string{"hit", "absent", "miss"}}, func(s S) []float64 { return list(s.Hits, s.Absent, s.Misses) }},
		{metric{"redoubt.redis.cache.errors", counter, "{error}", "Calls that failed.", "", nil}, func(s S) []float64 { return list(s.Errors) }},
		{metric{"redoubt.redis.cache.outages", counter, "{outage}", "Outages of servers that have started.", "", nil}, func(s S) []float64 { return list(s.Outages) }},
		{metric{"redoubt.redis.cache.down", sum, "{server}", "Servers that are down.", "", nil}, func(s S) []float64 { return list(s.Down) }},
	}
}

// grpcStats are the statistics of a Server of contrib/grpc.
type grpcStats struct {
	Name                                                string
	Calls, Limited, Full, Late, Unrecorded, StoreErrors uint64
}

func grpcFigures() []figure[grpcStats] {
	type S = grpcStats
	reasons := []string{"limited", "full", "late", "unrecorded"}
	return []figure[S]{
		{metric{"redoubt.grpc.server.calls", counter, "{call}", "Calls that reached their handler.", "", nil}, func(s S) []float64 { return list(s.Calls) }},
		{metric{"redoubt.grpc.server.rejections", counter, "{call}", "Refused calls.", "reason", reasons}, func(s S) []float64 { return list(s.Limited, s.Full, s.Late, s.Unrecorded) }},
		{metric{"redoubt.grpc.server.store_errors", counter, "{error}", "Errors of the store of the rate limit.", "", nil}, func(s S) []float64 { return list(s.StoreErrors) }},
	}
}
