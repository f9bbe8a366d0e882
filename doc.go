// Package redoubt is the map of the library: resilience and security primitives for Go services, one package each. It
// holds no code of its own; import the packages.
//
// # What each package is for
//
//   - [github.com/redoubt-go/redoubt/retry]: try again, with backoff and jitter, as often and as long as it helps.
//   - [github.com/redoubt-go/redoubt/breaker]: stop calling what is down, and find out when it is up again.
//   - [github.com/redoubt-go/redoubt/ratelimit]: no more than so many a second, exactly.
//   - [github.com/redoubt-go/redoubt/cache]: keep what was fetched, within a bound, and fetch it once for all who ask.
//   - [github.com/redoubt-go/redoubt/audit]: no access without a record: validated, masked attributes; its subpackage
//     ledger is a file that shows every tampering.
//   - [github.com/redoubt-go/redoubt/logscan]: read logs of any size in constant memory, line by line, field by field.
//   - [github.com/redoubt-go/redoubt/semver]: versions and ranges of versions, exactly, and rules that fail closed.
//
// No package imports another, and none of them anything but the standard library: take one, or all.
//
// # One unit of work
//
// Everything that can be guarded is a func(context.Context) (T, error). Every guard wraps one and is one, so guards nest
// without adapters, outermost first:
//
//	prices := cache.New(cache.Config[string, float64]{Capacity: 1000, TTL: time.Minute})
//	policy := retry.Policy{MaxAttempts: 4, AttemptTimeout: 2 * time.Second}
//	shop := breaker.New(breaker.Config{Name: "shop"})
//	limit := ratelimit.New(ratelimit.PerSecond(50))
//
//	price := func(ctx context.Context, item string) (float64, error) {
//		return prices.GetOrLoad(ctx, item, func(ctx context.Context, item string) (float64, error) {
//			return retry.Do(ctx, policy,
//				breaker.Wrap(shop,
//					ratelimit.Wrap(limit, func(ctx context.Context) (float64, error) {
//						return fetchPrice(ctx, item)
//					})))
//		})
//	}
//
// # The order, and why
//
//  1. The cache is outermost: what it has costs nothing further in, and while the work fails it can serve what it had.
//  2. Retry goes round the breaker, so that the breaker sees every attempt and not only the last, and so that a refusal
//     while it is open is waited out like any other passing failure.
//  3. The breaker goes round the limiter, so that an open breaker uses up no permits.
//  4. The limiter is innermost: it counts what is really sent. A timeout of one attempt is the policy's AttemptTimeout.
//
// Guards understand each other's refusals without knowing each other, by three methods that any error in a chain may
// have: RetryAfter() time.Duration says when to come back, Retryable() bool whether another try is of any use, and
// Rejected() bool that a guard refused and the work was never tried. An error type of yours may have them too; nothing
// needs to be registered.
//
// # What is the same everywhere
//
// The zero value of a setting is its default, a negative one switches it off. New panics on a Config that Validate
// rejects, and Must functions on a bad text; bad input from others is an error. OnEvent hooks are called synchronously,
// outside locks, in order. Stats are cheap values to poll. No package keeps state of its own, reads the environment or
// logs. A goroutine ends with the call that started it, with the function of yours that it runs, or with Close. Time is
// read from the monotonic clock, so tests run in testing/synctest bubbles.
package redoubt
