// Package redoubt is the map of a library of resilience and security
// primitives for Go services. Import the packages; this package contains only
// [Func] and its siblings, which adapt functions without a context.
//
// # Packages
//
//   - [github.com/redoubt-go/redoubt/retry]: retry with exponential backoff,
//     jitter, budgets, polling and hedged requests;
//     [github.com/redoubt-go/redoubt/retry/retryhttp] for HTTP clients,
//     [github.com/redoubt-go/redoubt/retry/retrysql] for SQL transactions.
//   - [github.com/redoubt-go/redoubt/breaker]: circuit breaker, for a single
//     dependency or per key, and a client-side throttle;
//     [github.com/redoubt-go/redoubt/breaker/breakerhttp] for HTTP clients.
//   - [github.com/redoubt-go/redoubt/ratelimit]: rate limiter (token bucket,
//     GCRA, sliding window), for a process or per key;
//     [github.com/redoubt-go/redoubt/ratelimit/bulkhead] is a concurrency
//     limiter (semaphore), fixed or adaptive;
//     [github.com/redoubt-go/redoubt/ratelimit/ratelimithttp] for HTTP servers
//     and clients.
//   - [github.com/redoubt-go/redoubt/cache]: bounded cache with single-flight
//     loads, expiry and stale values; memoization, lazy and weak values.
//   - [github.com/redoubt-go/redoubt/audit]: audit log with validated and
//     redacted attributes; [github.com/redoubt-go/redoubt/audit/ledger] is a
//     tamper-evident log (Merkle tree),
//     [github.com/redoubt-go/redoubt/audit/ledger/witness] has it cosigned by
//     transparency log witnesses,
//     [github.com/redoubt-go/redoubt/audit/ledger/tiles] exports it as tiles,
//     [github.com/redoubt-go/redoubt/audit/siem] encodes events as CEF, ECS and
//     OCSF and sends them,
//     [github.com/redoubt-go/redoubt/audit/audithttp] is HTTP middleware,
//     [github.com/redoubt-go/redoubt/audit/redact] masks secrets in log/slog,
//     [github.com/redoubt-go/redoubt/audit/diff] records changed fields.
//   - [github.com/redoubt-go/redoubt/logscan]: log parser for files of any
//     size. [github.com/redoubt-go/redoubt/logscan/follow] is tail -F,
//     [github.com/redoubt-go/redoubt/logscan/journal] reads journald.
//     [github.com/redoubt-go/redoubt/logscan/detect] finds brute force and
//     bursts in sliding windows,
//     [github.com/redoubt-go/redoubt/logscan/sketch] counts distinct values,
//     frequent keys and quantiles.
//   - [github.com/redoubt-go/redoubt/semver]: semantic versions, version
//     constraints and deployment gates;
//     [github.com/redoubt-go/redoubt/semver/tag] for tags of images and
//     repositories, [github.com/redoubt-go/redoubt/semver/gomod] for Go,
//     [github.com/redoubt-go/redoubt/semver/advisory] for OSV and vers.
//   - [github.com/redoubt-go/redoubt/servehttp]: for HTTP servers, errors to
//     statuses and problem documents, and a shutdown that loses no request.
//
// The first seven packages do not import one another, and all packages import
// only the standard library besides. Modules of their own connect them to other
// systems: contrib/grpc, contrib/redis, contrib/nats, contrib/prometheus,
// contrib/otel and contrib/compress. The module contrib/config reads their
// configurations from files, and contrib/debug shows their state. The commands
// are semver/cmd/semver, logscan/cmd/logscan and audit/ledger/cmd/ledger.
//
// # Composition
//
// The unit of work is a func(context.Context) (T, error), or a
// func(context.Context, A) (T, error). A guard takes such a function and
// returns a function of the same type, so guards nest in one expression:
//
//	policy := retry.Policy{MaxAttempts: 4, AttemptTimeout: 2 * time.Second}
//	shop := breaker.New(breaker.Config{Name: "shop"})
//	limit := ratelimit.New(ratelimit.PerSecond(50))
//
//	config := cache.Config[string, float64]{Capacity: 1000, TTL: time.Minute}
//	prices := cache.Memoize(config, retry.WrapArg(policy,
//		breaker.WrapArg(shop, ratelimit.WrapArg(limit, fetchPrice))))
//
//	price, err := prices.Get(ctx, "anvil")
//
// The order has reasons:
//
//  1. The cache is outermost. A cached value costs no retry, no breaker and no
//     permit.
//  2. Retry surrounds the breaker, so that the breaker sees every attempt.
//  3. The breaker surrounds the limiter, so that an open breaker uses no
//     permits.
//  4. The limiter is innermost, so that it counts the calls that are sent.
//
// Guards recognize each other's refusals by three methods that any error in an
// error tree may have. An error type of your own may have them too.
//
//	RetryAfter() time.Duration  the pause before the next call
//	Retryable() bool            whether another call can succeed
//	Rejected() bool             whether a guard refused the call
//
// # Common rules
//
//   - The zero value of a setting is its default. A negative value means off
//     or unlimited.
//   - Validate reports every problem of a configuration. New panics with that
//     error. Bad input at run time is an error.
//   - OnEvent hooks are called synchronously, outside locks, in order. Each
//     package with events has a function Log, which returns such a hook for a
//     [log/slog.Logger].
//   - Stats returns a snapshot and changes nothing.
//   - Packages keep no global state, read no environment and write no logs.
//   - A goroutine ends with the call that started it, with the function that
//     it runs, or with Close.
//   - Time is monotonic. Tests run in testing/synctest bubbles.
package redoubt
