// Package breaker is a circuit breaker: it stops calls to a dependency that
// fails, and notices when the dependency has recovered.
//
// A call to a dependency that is down costs the caller its time and the
// dependency its recovery. A [Breaker] counts how calls end. If too many fail
// or hang, the breaker opens and refuses calls for a few seconds. Then it is
// half-open: it admits a few probes. If they succeed, it admits as many calls
// as succeed, and closes.
//
// # Guarding a call
//
//	users := breaker.New(breaker.Config{Name: "users"})
//	find := breaker.WrapArg(users, fetch)
//	user, err := find(ctx, 7)
//	if errors.Is(err, breaker.ErrOpen) {
//		user = cached(7)
//	}
//
// Make one Breaker per dependency. [WrapArg], [Wrap] and [Do] guard a function,
// [Fallback] adds an alternative. Put a retry outside the breaker, and a
// timeout or a limiter inside.
//
// # Judging errors
//
// By default every error is a failure. [Mark] changes that where the error is
// made, [Config].Classify changes it for a breaker. Refusals of guards inside
// the breaker are ignored. [Outcome] describes calls that their callers gave
// up.
//
//	err := b.Do(ctx, func(context.Context) error {
//		return breaker.Mark(errBadRequest, breaker.OutcomeIgnored)
//	})
//
// # Many dependencies
//
// A [Group] contains a breaker per host, shard or tenant. Package breakerhttp
// guards an http.Client.
//
//	shards := breaker.NewGroup(breaker.GroupConfig[int]{Max: 100})
//	err := shards.Do(ctx, 3, ping)
//
// # Watching and changing
//
// [Config].OnEvent reports changes of state, [Breaker.Stats] the counters. Its
// Hint names values of the Config that do not fit the calls. [Breaker.Set]
// changes the Config. [Breaker.ForceClosed] begins a dry run.
//
//	b.ForceClosed() // a dry run
//
// # Choosing values
//
// The zero [Config] opens if half of at least 20 calls in 10 seconds fail, or
// 5 in a row at low traffic, or calls hang. Change it for a reason:
//
//   - MinCalls above the number of calls that run at once, if a single hiccup
//     must not open the breaker.
//   - SlowCall if slow successes must open the breaker.
//   - OpenFor if the end of an outage must be noticed sooner or later.
//   - Jitter keeps a fleet from probing in step. Leave it on.
//
// A [Throttle] refuses a share of the calls instead of all.
//
// # Errors
//
// A refusal is an [*OpenError] or a [*ThrottleError] and matches [ErrOpen]: the
// work was not tried. An [OpenError] contains the error that opened the breaker
// as its Cause, which it does not wrap. If a context is done before the call,
// the error matches ctx.Err() and context.Cause(ctx), and nothing is counted.
// All other errors are the errors of the guarded function, unchanged. New
// panics with the error of [Config.Validate].
//
// # Concurrency and cost
//
// All methods may be called from any goroutine, also from OnEvent. There are no
// goroutines and no timers. A success through a closed breaker takes no lock
// and allocates nothing.
//
// Costs, formats and sources: docs/breaker.md.
package breaker
