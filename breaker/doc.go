// Package breaker stops calling a dependency that fails, and finds out gently when it is back.
//
// A call to a dependency that is down costs the caller its time and the dependency its recovery. A breaker counts how
// calls end; when too many fail it opens and refuses further calls at once, for a few seconds, then longer. After that
// it is half-open and lets a few probes through, whose outcome closes it or opens it again.
//
//	users := breaker.New(breaker.Config{Name: "users"})
//	user, err := breaker.Do(ctx, users, func(ctx context.Context) (User, error) { return fetch(ctx, 7) })
//	if errors.Is(err, breaker.ErrOpen) {
//		user = cached(7)
//	}
//
// Make one [Breaker] per dependency, not per result type or caller. [Wrap] turns a function into a guarded one,
// [Fallback] adds what to do instead, and [Breaker.Allow] serves calls that do not end where they began, such as
// streams. A [Group] keeps a breaker per host or tenant. A [Throttle] is for many clients of one overloaded service:
// it refuses a share of calls in place of all. Package breakerhttp guards an http.Client.
//
// # Choosing values
//
// The zero [Config] opens when half of at least 20 calls within 10 s fail, or 5 in a row while there are fewer, stays
// open for 5 s, doubled with each further opening up to a minute, and closes after 2 successful probes. Change it for
// a reason:
//
//   - SlowCall is worth setting always, to about three times what a slow call takes on a good day. It makes a
//     dependency that hangs open the breaker before the first call has come back, and tells callers who give up after
//     a moment (ignored) from those who give up after waiting (a failure).
//   - MinCalls above the number of calls in flight at once, if a single hiccup must not open the breaker.
//   - RampUp of 10 to 20 s for a fleet of clients whose dependency restarts cold; MaxOpenFor of twice OpenFor then, so
//     that the recovery is not noticed late.
//   - Classify, or [Mark] where the error is made, for errors that are the caller's own fault, such as a bad request.
//   - Jitter keeps a fleet from probing in step; leave it on.
//
// To find out what a configuration would do, call [Breaker.ForceClosed]: the breaker then admits everything and
// reports the openings there would have been as events of [KindShadow].
//
// A time window is kept in tenths, so a result counts for between nine tenths of Window and all of it. Calls that still
// run are looked at when a tenth ends: they count as slow within SlowCall and two tenths of Window after they began.
// A lost probe is noticed by the next call, and counts from the moment its time was up.
//
// # Errors
//
// A refusal is an [*OpenError]. It matches [ErrOpen], which says that the work was never tried, and carries the state
// and what opened the breaker; the latter is not in its Unwrap chain, so that a refusal is not taken for, say, a
// timeout of its own. Its RetryAfter method says how much of the open period is left when asked. A context that is
// done before the call begins yields an error that matches ctx.Err() and context.Cause(ctx); nothing is counted then.
// Everything else is the error of the guarded function, unchanged. How errors are judged is written at [Outcome].
//
// New panics if Config.Validate returns an error, and with that error.
//
// # Concurrency
//
// All methods may be called at any time from any goroutine, from the hook too. There are no background goroutines
// and no timers. A call that ends after the state has changed in which it was admitted counts for nothing: it cannot
// decide over probes, prolong an open period or spoil a fresh window. Only a success that ends in the very instant of
// the change may still be counted after it. No result is lost or counted twice.
//
// Time is monotonic. Should the clock jump all the same, as it does for a value that enters or leaves a synctest
// bubble, the present period begins anew.
//
// # Cost
//
// A successful call through a closed breaker costs one reading of the clock, which is most of it, one atomic addition
// and no allocation; no lock is taken, and processors that collide get counters of their own. A refusal costs the same.
// Failures take a short lock, and so do successes while the window holds failures but not MinCalls calls, the first
// call in each tenth of it, all calls with WindowCalls or Trip, and calls in a state other than open or closed. SlowCall
// adds a reading of the clock and two additions on a shared counter. Allow makes one allocation of 64 bytes.
//
// A new breaker has about 500 bytes in two allocations, a breaker in a Group 650 to 900 with its key, and one
// under contention adds 256 to 512 bytes per processor. WindowCalls adds a byte per call.
//
// # Composition
//
// Guards nest as functions. A retry belongs outside the breaker, so that each attempt is counted and a refusal
// ends or delays the retry by its RetryAfter; a limiter or a timeout belongs inside:
//
//	call := retry.Wrap(policy, breaker.Wrap(b, fetch))
//
// A breaker ignores the refusals of guards inside it, known by a method Rejected() bool that returns true, and takes a
// method RetryAfter() time.Duration of the error that opens it for the least time to stay open. Both are found through
// wrapping and errors.Join. There is no timeout and no limit of concurrency in this package: use a context and a
// bulkhead.
//
// State is local to the process. Sharing it would add a round trip to each call and let one sick node refuse for all;
// where a fleet must act together, call [Breaker.Trip] off the call path.
//
// # Source
//
// The states are those of Michael Nygard, Release It!. The rule that looks at a ratio or, at low traffic, a run of
// failures is Finagle's failure accrual; the backoff that outlives a recovery is the ejection time of Envoy's outlier
// detection; slow calls and forced states are resilience4j's. Judging by every ended call follows the circuit breaker
// TCK of MicroProfile Fault Tolerance. The throttle is from Site Reliability Engineering (O'Reilly 2016), chapter 21.
package breaker
