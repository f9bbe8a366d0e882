package metrics

import (
	"math"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// Short names for the tables below.
const (
	counter   = KindCounter
	sum       = KindSum
	gauge     = KindGauge
	histogram = KindHistogram
)

// row returns a metric without keys.
func row(name string, kind Kind, unit, help, label string, labels []string) Metric {
	return Metric{Name: name, Kind: kind, Unit: unit, Help: help, Label: label, Values: labels}
}

// values are the values of a metric, in the order of Metric.Values. The rest is
// 0.
type values = [6]float64

// number is the type of a field of statistics, except durations.
type number interface {
	~int | ~int64 | ~uint64 | ~float64
}

// list returns numbers as values.
func list[N number](ns ...N) (v values) {
	for i, n := range ns {
		v[i] = float64(n)
	}
	return v
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

// outcomes returns the outcomes of a call. The call of an outcome counts for a
// Breaker, except the last.
func outcomes() []string { return []string{"success", "failure", "ignored", "late"} }

// breakerFigures are the figures of a Breaker, and of a key of a Group.
func breakerFigures() []figure[breaker.Stats] {
	type S = breaker.Stats
	table := []figure[S]{
		{row("redoubt.breaker.state", sum, "{breaker}", "1 for the present state, 0 for every other state.", "state", names(states()...)), stateBits},
		{row("redoubt.breaker.state_age", gauge, "s", "Time since the breaker entered its state.", "", nil), func(s S) values { return list(s.StateFor.Seconds()) }},
		{row("redoubt.breaker.retry_after", gauge, "s", "Remaining time of the open period.", "", nil), func(s S) values { return list(s.RetryAfter.Seconds()) }},
		{row("redoubt.breaker.calls", counter, "{call}", "Finished calls, by outcome. A late call ended in a later state than it began in.", "outcome", outcomes()), func(s S) values {
			return list(s.Successes, s.Failures, s.Ignored, s.Late)
		}},
		{row("redoubt.breaker.slow_calls", counter, "{call}", "Slow successes and failures.", "", nil), func(s S) values { return list(s.Slow) }},
		{row("redoubt.breaker.rejections", counter, "{call}", "Refused calls.", "", nil), func(s S) values { return list(s.Rejected) }},
		{row("redoubt.breaker.openings", counter, "{opening}", "Transitions to open.", "", nil), func(s S) values { return list(s.Openings) }},
		{row("redoubt.breaker.window.calls", sum, "{call}", "Calls in the window.", "outcome", outcomes()[:2]), func(s S) values { return list(s.WindowCalls-s.WindowFailures, s.WindowFailures) }},
		{row("redoubt.breaker.window.slow_calls", sum, "{call}", "Slow calls in the window.", "", nil), func(s S) values { return list(s.WindowSlow) }},
		{row("redoubt.breaker.overdue_calls", sum, "{call}", "Running calls that are already slow.", "", nil), func(s S) values { return list(s.Overdue) }},
		{row("redoubt.breaker.consecutive_failures", gauge, "{call}", "Failures since the last success.", "", nil), func(s S) values { return list(s.Consecutive) }},
		{row("redoubt.breaker.probes", sum, "{call}", "Running probes.", "", nil), func(s S) values { return list(s.Probes) }},
		{row("redoubt.breaker.limit", sum, "{call}", "Calls that may run at once while the breaker recovers, otherwise 0.", "", nil), func(s S) values { return list(s.Limit) }},
		{row("redoubt.breaker.usual_duration", gauge, "s", "Approximate median duration of successes.", "", nil), func(s S) values { return list(s.Usual.Seconds()) }},
		{row("redoubt.breaker.outage_age", gauge, "s", "Time since the outage began that lengthens open periods.", "", nil), func(s S) values { return list(s.OutageFor.Seconds()) }},
	}
	for i := range table {
		table[i].Keys = []string{"key"}
	}
	return table
}

// stateBits returns 1 for the present state and 0 for every other state.
func stateBits(s breaker.Stats) (bits values) {
	for i, state := range states() {
		bits[i] = bit(s.State == state)
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
		{row("redoubt.breaker.group.breakers", sum, "{breaker}", "Breakers in the group, by state.", "state", names(states()...)), func(s S) values {
			return list(s.Closed, s.HalfOpen, s.Recovering, s.Open, s.ForcedOpen, s.ForcedClosed)
		}},
		{row("redoubt.breaker.group.calls", counter, "{call}", "Finished calls of all breakers, by outcome.", "outcome", outcomes()), func(s S) values {
			return list(s.Successes, s.Failures, s.Ignored, s.Late)
		}},
		{row("redoubt.breaker.group.slow_calls", counter, "{call}", "Slow successes and failures of all breakers.", "", nil), func(s S) values { return list(s.Slow) }},
		{row("redoubt.breaker.group.rejections", counter, "{call}", "Calls refused by all breakers.", "", nil), func(s S) values { return list(s.Rejected) }},
		{row("redoubt.breaker.group.openings", counter, "{opening}", "Transitions of all breakers to open.", "", nil), func(s S) values { return list(s.Openings) }},
		{row("redoubt.breaker.group.forgotten", counter, "{breaker}", "Breakers that were forgotten for others.", "", nil), func(s S) values { return list(s.Forgotten) }},
		{row("redoubt.breaker.group.sketched", sum, "{key}", "Keys in the sketch.", "", nil), func(s S) values { return list(s.Sketched) }},
		{row("redoubt.breaker.group.sketch.openings", counter, "{opening}", "Openings of keys in the sketch.", "", nil), func(s S) values { return list(s.SketchOpenings) }},
		{row("redoubt.breaker.group.sketch.rejections", counter, "{call}", "Calls refused by the sketch.", "", nil), func(s S) values { return list(s.SketchRejected) }},
		{row("redoubt.breaker.group.sketch.lost", counter, "{key}", "Failing keys that the sketch forgot to make room.", "", nil), func(s S) values { return list(s.SketchLost) }},
	}
}

func throttleFigures() []figure[breaker.ThrottleStats] {
	type S = breaker.ThrottleStats
	return []figure[S]{
		{row("redoubt.breaker.throttle.calls", counter, "{call}", "Calls that ended.", "outcome", outcomes()[:3]), func(s S) values {
			return list(s.Successes, s.Failures, s.Ignored)
		}},
		{row("redoubt.breaker.throttle.rejections", counter, "{call}", "Calls refused by the throttle.", "", nil), func(s S) values { return list(s.Rejected) }},
		{row("redoubt.breaker.throttle.window.calls", sum, "{call}", "Calls in the window.", "outcome", outcomes()[:2]), func(s S) values { return list(s.WindowCalls-s.WindowFailures, s.WindowFailures) }},
		{row("redoubt.breaker.throttle.refusal", gauge, "1", "Share of calls that is refused.", "", nil), func(s S) values { return list(s.RefuseShare) }},
	}
}

func poolFigures() []figure[breaker.PoolStats] {
	type S = breaker.PoolStats
	return []figure[S]{
		{row("redoubt.breaker.pool.endpoints", sum, "{endpoint}", "Endpoints of the pool.", "", nil), func(s S) values { return list(s.Endpoints) }},
		{row("redoubt.breaker.pool.ejected", sum, "{endpoint}", "Endpoints whose breakers are open, half-open or forced open.", "", nil), func(s S) values { return list(s.Ejected) }},
		{row("redoubt.breaker.pool.running", sum, "{call}", "Running calls.", "", nil), func(s S) values { return list(s.Running) }},
		{row("redoubt.breaker.pool.diverted", counter, "{call}", "Calls that avoided an endpoint that had failed last.", "", nil), func(s S) values { return list(s.Diverted) }},
		{row("redoubt.breaker.pool.failed_open", counter, "{call}", "Calls sent to an endpoint in spite of its breaker.", "", nil), func(s S) values { return list(s.FailedOpen) }},
	}
}

func budgetFigures() []figure[retry.BudgetStats] {
	type S = retry.BudgetStats
	return []figure[S]{
		{row("redoubt.retry.budget.tokens", gauge, "{retry}", "Retries that the budget would grant now.", "", nil), func(s S) values { return list(math.Floor(s.Tokens)) }},
		{row("redoubt.retry.budget.burst", sum, "{retry}", "Largest number of tokens.", "", nil), func(s S) values { return list(s.Burst) }},
		{row("redoubt.retry.budget.requests", counter, "{retry}", "Retries that asked for a token.", "outcome", []string{"granted", "refused"}), func(s S) values { return list(s.Granted, s.Refused) }},
		{row("redoubt.retry.budget.returned", counter, "{retry}", "Granted retries that were not made.", "", nil), func(s S) values { return list(s.Returned) }},
	}
}

func keyedFigures() []figure[ratelimit.Stats] {
	type S = ratelimit.Stats
	return append(windowFigures(), []figure[S]{
		{row("redoubt.ratelimit.pushed_out", counter, "{key}", "Keys that were forgotten for others before their limit was full again.", "", nil), func(s S) values { return list(s.PushedOut) }},
		{row("redoubt.ratelimit.keys", sum, "{key}", "Keys below their full limit.", "", nil), func(s S) values { return list(s.Len) }},
		{row("redoubt.ratelimit.max_keys", sum, "{key}", "Largest number of keys.", "", nil), func(s S) values { return list(s.MaxKeys) }},
	}...)
}

// windowFigures are the figures of a Window or Counter.
func windowFigures() []figure[ratelimit.Stats] {
	type S = ratelimit.Stats
	return []figure[S]{
		{row("redoubt.ratelimit.requests", counter, "{request}", "Requests, whatever their number of events.", "outcome", []string{"allowed", "refused"}), func(s S) values { return list(s.Allowed, s.Refused) }},
	}
}

// tokens is the metric of a Limiter, and of a key of a Keyed.
func tokens[S any](of func(S) float64) []figure[S] {
	m := row("redoubt.ratelimit.tokens", gauge, "{event}", "Events that would be allowed now.", "", nil)
	m.Keys = []string{"key"}
	return []figure[S]{{m, func(s S) values { return list(math.Floor(of(s))) }}}
}

func bulkheadFigures() []figure[bulkhead.Stats] {
	type S = bulkhead.Stats
	reasons := []string{"queue_full", "too_late", "shed", "too_large"}
	return []figure[S]{
		{row("redoubt.bulkhead.limit", sum, "{place}", "Places.", "", nil), func(s S) values { return list(s.Limit) }},
		{row("redoubt.bulkhead.inflight", sum, "{place}", "Places taken.", "", nil), func(s S) values { return list(s.Inflight) }},
		{row("redoubt.bulkhead.queued", sum, "{call}", "Waiting callers.", "", nil), func(s S) values { return list(s.Queued) }},
		{row("redoubt.bulkhead.rejections", counter, "{call}", "Refused callers.", "reason", reasons), func(s S) values { return list(s.QueueFull, s.TooLate, s.Shed, s.TooLarge) }},
	}
}

func cacheFigures() []figure[cache.Stats] {
	type S = cache.Stats
	return []figure[S]{
		{row("redoubt.cache.lookups", counter, "{lookup}", "Lookups. A hit found a fresh value.", "outcome", []string{"hit", "miss"}), func(s S) values { return list(s.Hits, s.Misses) }},
		{row("redoubt.cache.stale_hits", counter, "{lookup}", "Misses answered with a stale value.", "", nil), func(s S) values { return list(s.StaleHits) }},
		{row("redoubt.cache.error_hits", counter, "{lookup}", "Misses answered with a remembered error.", "", nil), func(s S) values { return list(s.ErrorHits) }},
		{row("redoubt.cache.loads", counter, "{load}", "Finished loads.", "", nil), func(s S) values { return list(s.Loads) }},
		{row("redoubt.cache.not_found", counter, "{load}", "Loads of keys that do not exist.", "", nil), func(s S) values { return list(s.NotFound) }},
		{row("redoubt.cache.load_errors", counter, "{load}", "Loads that failed.", "", nil), func(s S) values { return list(s.LoadErrors) }},
		{row("redoubt.cache.refresh_errors", counter, "{load}", "Background loads that failed.", "", nil), func(s S) values { return list(s.RefreshErrors) }},
		{row("redoubt.cache.load_time", counter, "s", "Duration of all finished loads.", "", nil), func(s S) values { return list(s.LoadTime.Seconds()) }},
		{row("redoubt.cache.evictions", counter, "{entry}", "Values that were evicted.", "", nil), func(s S) values { return list(s.Evictions) }},
		{row("redoubt.cache.expirations", counter, "{entry}", "Values that expired.", "", nil), func(s S) values { return list(s.Expirations) }},
		{row("redoubt.cache.entries", sum, "{entry}", "Entries.", "", nil), func(s S) values { return list(s.Len) }},
		{row("redoubt.cache.weight", sum, "{weight}", "Sum of the weights of all entries.", "", nil), func(s S) values { return list(s.Weight) }},
		{row("redoubt.cache.capacity", sum, "{entry}", "Largest number of entries.", "", nil), func(s S) values { return list(s.Capacity) }},
	}
}

func auditFigures() []figure[audit.Stats] {
	type S = audit.Stats
	results := []string{"recorded", "filtered", "refused", "failed", "uncertain"}
	return []figure[S]{
		{row("redoubt.audit.events", counter, "{event}", "Events, by result.", "result", results), func(s S) values {
			return list(s.Recorded, s.Filtered, s.Refused, s.Failed, s.Uncertain)
		}},
		{row("redoubt.audit.denials", counter, "{event}", "Recorded events with the outcome denied.", "", nil), func(s S) values { return list(s.Denied) }},
		{row("redoubt.audit.failures", counter, "{event}", "Recorded events with the outcome failure.", "", nil), func(s S) values { return list(s.Failures) }},
		{row("redoubt.audit.truncated", counter, "{event}", "Recorded events that were cut because of their size.", "", nil), func(s S) values { return list(s.Truncated) }},
	}
}

func bufferFigures() []figure[audit.BufferStats] {
	type S = audit.BufferStats
	return []figure[S]{
		{row("redoubt.audit.buffer.events", counter, "{event}", "Events that left the buffer.", "result", []string{"written", "lost", "uncertain"}), func(s S) values { return list(s.Written, s.Lost, s.Uncertain) }},
		{row("redoubt.audit.buffer.waiting", sum, "{event}", "Events in the buffer.", "", nil), func(s S) values { return list(s.Waiting) }},
	}
}

func ledgerFigures() []figure[ledger.Stats] {
	type S = ledger.Stats
	results := []string{"written", "failed", "uncertain"}
	return []figure[S]{
		{row("redoubt.ledger.events", counter, "{event}", "Events, by result.", "result", results), func(s S) values { return list(s.Events, s.Failed, s.Uncertain) }},
		{row("redoubt.ledger.records", counter, "{record}", "Lines written: events, and records of the ledger itself.", "", nil), func(s S) values { return list(s.Records) }},
		{row("redoubt.ledger.written", counter, "By", "Bytes of the lines written.", "", nil), func(s S) values { return list(s.Bytes) }},
		{row("redoubt.ledger.commits", counter, "{commit}", "Groups of events that were written together.", "", nil), func(s S) values { return list(s.Commits) }},
		{row("redoubt.ledger.syncs", counter, "{sync}", "Syncs to the disk.", "", nil), func(s S) values { return list(s.Syncs) }},
		{row("redoubt.ledger.sync_time", counter, "s", "Duration of all syncs to the disk.", "", nil), func(s S) values { return list(s.SyncTime.Seconds()) }},
		{row("redoubt.ledger.checkpoints", counter, "{checkpoint}", "Checkpoints written.", "", nil), func(s S) values { return list(s.Checkpoints) }},
		{row("redoubt.ledger.unanchored", counter, "{checkpoint}", "Checkpoints that the anchor did not accept.", "", nil), func(s S) values { return list(s.Unanchored) }},
		{row("redoubt.ledger.seal_failures", counter, "{checkpoint}", "Checkpoints that could not be signed or written.", "", nil), func(s S) values { return list(s.SealFailures) }},
		{row("redoubt.ledger.rehashes", counter, "{rehash}", "Times that stored hashes were missing, wrong or not writable.", "", nil), func(s S) values { return list(s.Rehashes) }},
		{row("redoubt.ledger.segments", counter, "{segment}", "New segments.", "", nil), func(s S) values { return list(s.Segments) }},
		{row("redoubt.ledger.pruned", counter, "{segment}", "Segments removed.", "", nil), func(s S) values { return list(s.Pruned) }},
		{row("redoubt.ledger.size", sum, "{record}", "Records in the log, including pruned records.", "", nil), func(s S) values { return list(s.Size) }},
		{row("redoubt.ledger.sealed", sum, "{record}", "Records before the last checkpoint, 0 if there is none.", "", nil), func(s S) values { return list(s.Sealed) }},
		{row("redoubt.ledger.largest_commit", gauge, "{event}", "Largest number of events in a commit.", "", nil), func(s S) values { return list(s.LargestGroup) }},
		{row("redoubt.ledger.stopped", sum, "{ledger}", "Whether the ledger has stopped: 1 if so.", "", nil), func(s S) values { return list(bit(s.Stopped)) }},
	}
}

func logscanFigures() []figure[logscan.Stats] {
	type S = logscan.Stats
	results := []string{"delivered", "prefiltered", "malformed"}
	return []figure[S]{
		{row("redoubt.logscan.inputs", counter, "{input}", "Started inputs.", "", nil), func(s S) values { return list(s.Inputs) }},
		{row("redoubt.logscan.failed_inputs", counter, "{input}", "Inputs that ended with an error.", "", nil), func(s S) values { return list(s.Failed) }},
		{row("redoubt.logscan.read", counter, "By", "Bytes read, before decompression.", "", nil), func(s S) values { return list(s.ReadBytes) }},
		{row("redoubt.logscan.decoded", counter, "By", "Bytes read, after decompression.", "", nil), func(s S) values { return list(s.DecodedBytes) }},
		{row("redoubt.logscan.records", counter, "{record}", "Records, by result.", "result", results), func(s S) values { return list(s.Delivered, s.Prefiltered, s.Malformed) }},
		{row("redoubt.logscan.cut_records", counter, "{record}", "Records that were cut because of their length.", "", nil), func(s S) values { return list(s.Cut) }},
		{row("redoubt.logscan.cut", counter, "By", "Bytes that cut records lost.", "", nil), func(s S) values { return list(s.CutBytes) }},
		{row("redoubt.logscan.joined_lines", counter, "{line}", "Lines that were joined to the record before them.", "", nil), func(s S) values { return list(s.Joined) }},
	}
}

func detectFigures() []figure[detect.Stats] {
	type S = detect.Stats
	return []figure[S]{
		{row("redoubt.logscan.detect.observed", counter, "{event}", "Observed events.", "", nil), func(s S) values { return list(s.Observed) }},
		{row("redoubt.logscan.detect.alerts", counter, "{alert}", "Raised alerts.", "", nil), func(s S) values { return list(s.Alerts) }},
		{row("redoubt.logscan.detect.late", counter, "{event}", "Events that were too old to count.", "", nil), func(s S) values { return list(s.Late) }},
		{row("redoubt.logscan.detect.evicted", counter, "{key}", "Keys that were forgotten to make room.", "", nil), func(s S) values { return list(s.Evicted) }},
		{row("redoubt.logscan.detect.screened", counter, "{event}", "Events of keys that occur too seldom for a place.", "", nil), func(s S) values { return list(s.Screened) }},
		{row("redoubt.logscan.detect.keys", sum, "{key}", "Keys held.", "", nil), func(s S) values { return list(s.Keys) }},
	}
}

func followFigures() []figure[follow.Stats] {
	type S = follow.Stats
	return []figure[S]{
		{row("redoubt.logscan.follow.files", counter, "{file}", "Files begun.", "", nil), func(s S) values { return list(s.Files) }},
		{row("redoubt.logscan.follow.read", counter, "By", "Bytes delivered, after decompression.", "", nil), func(s S) values { return list(s.ReadBytes) }},
		{row("redoubt.logscan.follow.rotations", counter, "{file}", "Files that were replaced.", "", nil), func(s S) values { return list(s.Rotations) }},
		{row("redoubt.logscan.follow.truncations", counter, "{file}", "Files that were cut and began again.", "", nil), func(s S) values { return list(s.Truncations) }},
		{row("redoubt.logscan.follow.gaps", counter, "{gap}", "Places where records may have been lost.", "", nil), func(s S) values { return list(s.Gaps) }},
		{row("redoubt.logscan.follow.lost", counter, "By", "Bytes lost in gaps, where the number is known.", "", nil), func(s S) values { return list(s.LostBytes) }},
		{row("redoubt.logscan.follow.errors", counter, "{error}", "Failed attempts to read.", "", nil), func(s S) values { return list(s.Errors) }},
		{row("redoubt.logscan.follow.paths", sum, "{path}", "Logs that are followed.", "", nil), func(s S) values { return list(s.Paths) }},
		{row("redoubt.logscan.follow.open", sum, "{file}", "Open files.", "", nil), func(s S) values { return list(s.Open) }},
		{row("redoubt.logscan.follow.lag", sum, "By", "Bytes seen and not delivered.", "", nil), func(s S) values { return list(s.LagBytes) }},
	}
}

func witnessFigures() []figure[witness.Stats] {
	type S = witness.Stats
	return []figure[S]{
		{row("redoubt.ledger.witness.checkpoints", counter, "{checkpoint}", "Checkpoints submitted to the witnesses.", "", nil), func(s S) values { return list(s.Checkpoints) }},
		{row("redoubt.ledger.witness.cosigned", counter, "{checkpoint}", "Checkpoints cosigned by a quorum.", "", nil), func(s S) values { return list(s.Cosigned) }},
		{row("redoubt.ledger.witness.requests", counter, "{request}", "Requests to witnesses.", "", nil), func(s S) values { return list(s.Requests) }},
		{row("redoubt.ledger.witness.cosignatures", counter, "{cosignature}", "Valid cosignatures.", "", nil), func(s S) values { return list(s.Cosignatures) }},
		{row("redoubt.ledger.witness.failures", counter, "{cosignature}", "Cosignatures that did not come.", "", nil), func(s S) values { return list(s.Failures) }},
		{row("redoubt.ledger.witness.conflicts", counter, "{cosignature}", "Failures because a witness knows another log.", "", nil), func(s S) values { return list(s.Conflicts) }},
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
		{row("redoubt.redis.limiter.decisions", counter, "{request}", "Decisions, by their source: the server, a lease, a remembered refusal, or this process alone.", "source", sources), func(s S) values { return list(s.Allowed, s.Refused, s.Leased, s.Denied, s.Alone) }},
		{row("redoubt.redis.limiter.round_trips", counter, "{request}", "Round trips to a server.", "", nil), func(s S) values { return list(s.RoundTrips) }},
		{row("redoubt.redis.limiter.errors", counter, "{error}", "Replies that failed or came too late.", "", nil), func(s S) values { return list(s.Errors) }},
		{row("redoubt.redis.limiter.returned", counter, "{event}", "Leased events that were returned unused.", "", nil), func(s S) values { return list(s.Returned) }},
		{row("redoubt.redis.limiter.outages", counter, "{outage}", "Outages of servers that have started.", "", nil), func(s S) values { return list(s.Outages) }},
		{row("redoubt.redis.limiter.down", sum, "{server}", "Servers that are down.", "", nil), func(s S) values { return list(s.Down) }},
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
		{row("redoubt.redis.cache.lookups", counter, "{lookup}", "Lookups that were answered.", "outcome", []string{"hit", "absent", "miss"}), func(s S) values { return list(s.Hits, s.Absent, s.Misses) }},
		{row("redoubt.redis.cache.errors", counter, "{error}", "Calls that failed.", "", nil), func(s S) values { return list(s.Errors) }},
		{row("redoubt.redis.cache.outages", counter, "{outage}", "Outages of servers that have started.", "", nil), func(s S) values { return list(s.Outages) }},
		{row("redoubt.redis.cache.down", sum, "{server}", "Servers that are down.", "", nil), func(s S) values { return list(s.Down) }},
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
		{row("redoubt.grpc.server.calls", counter, "{call}", "Calls that reached their handler.", "", nil), func(s S) values { return list(s.Calls) }},
		{row("redoubt.grpc.server.rejections", counter, "{call}", "Refused calls.", "reason", reasons), func(s S) values { return list(s.Limited, s.Full, s.Late, s.Unrecorded) }},
		{row("redoubt.grpc.server.store_errors", counter, "{error}", "Errors of the store of the rate limit.", "", nil), func(s S) values { return list(s.StoreErrors) }},
	}
}
