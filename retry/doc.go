// Package retry calls a function again after it failed, with pauses, until it
// succeeds or there is no point in going on.
//
// A loop around a call is easily written, and easily wrong: it sleeps into a
// deadline, forgets the error that mattered, retries what cannot succeed,
// brings all its callers back in the same instant, or doubles the load of a
// service that is already down. Do has one loop for all of these, and a Policy
// to say what differs.
//
//	policy := retry.Policy{
//		MaxAttempts: 5,
//		Backoff:     retry.Exponential{Base: 50 * time.Millisecond, Max: 2 * time.Second},
//	}
//	page, err := retry.Do(ctx, policy, fetch)
//
// Wrap is the same as a decorator, Policy.Attempts as a range loop, and Poll
// waits for work that is still going on. A Hedge does not wait for an attempt to
// fail before it starts another. http.RoundTrippers for both are in retryhttp.
//
// # Choosing values
//
// The zero Policy makes three attempts, with pauses drawn from [0, 100ms) and
// [0, 200ms). Give every call a deadline, by its context: retries are only as
// good as the patience of whoever waits. AttemptTimeout helps where an attempt
// may hang, and should let an honest slow one through. Three to five attempts
// at one layer are plenty. Retries in several layers multiply, four times four
// is sixteen: retry in the layer next to the failure and mark its *Error with
// Permanent in the others.
//
// Keep the jitter Full unless a pause of zero is harmful, and then set Min.
// Share one TokenBudget between all calls to a service. A caller that asks
// again in a hot loop as soon as the budget refuses has made its own retry
// loop: it must pause by itself.
//
// Values out of range are never a panic. Each field says what they mean.
//
// # Errors
//
// A call that fails returns a *Error, whatever the cause. It matches its
// Reason and the last attempt's error; older errors are kept apart, in All, so
// that errors.Is speaks of the outcome. An attempt that ran out of
// AttemptTimeout is retried, one that ran out of the caller's context is not:
// the caller's context alone decides, never the error that came back.
//
// Errors tell Do what they know by three methods, found anywhere in a chain or
// in errors.Join, the outermost first:
//
//	Retryable() bool            whether another attempt is any use
//	RetryAfter() time.Duration  when to come back: never earlier
//	Rejected() bool             a guard refused, the work was not tried
//
// A pause longer than MaxRetryAfter is not shortened, which would only annoy
// the other side, but ends the call.
//
// # Concurrency
//
// A Policy, a Backoff, a Hedge and the functions Wrap returns may be used by any
// number of goroutines. Do starts none: fn and OnEvent run on the caller's, and
// a panic in either passes through unchanged. A Hedge runs each attempt on a
// goroutine that ends with it, which may be after its Do has returned. The
// state of a call is its own, and the only shared state is that of a Budget or
// a Quantile.
//
// # Cost
//
// A call that succeeds at once costs two function calls and a look at the
// context, and allocates nothing. So does one that succeeds after retries
// without a pause. A real pause under a context that can end takes one timer
// for the call, AttemptTimeout one context for each attempt, and a failure one
// *Error of 80 bytes, or 210 after several attempts. The clock is read only if MaxElapsed or OnEvent needs
// it, or a retry has a deadline to keep. However long a call goes on, it keeps
// eight errors.
//
// # Composition
//
// Guards nest without adapters, since all take func(context.Context) (T,
// error). Retry outside, so that each attempt asks the guards anew:
//
//	retry.Wrap(policy, breaker.Wrap(b, ratelimit.Wrap(l, fetch)))
//
// An open breaker or a full limiter says when to come back, and Do waits that
// long. Budgets need no coordination between processes, since each bounds its
// own share of the load. Retries that must survive a restart belong in a
// workflow engine.
//
// # Source
//
// The pauses follow "Exponential Backoff And Jitter" (AWS Architecture Blog,
// 2015) and DecorrelatedJitterBackoffV2 of Polly; the budget Finagle's
// RetryBudget and chapter 21 of "Site Reliability Engineering"; the handling
// of hints, and hedging, gRFC A6.
package retry
