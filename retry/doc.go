// Package retry retries failed calls, with exponential backoff and jitter,
// within limits of attempts, time and load. It also hedges slow calls and polls
// for work that goes on elsewhere.
//
// A loop around a call is easy to write and easy to get wrong. It sleeps past a
// deadline, loses the last error, or doubles the load of a service that is
// already down. [Do] is that loop, and a [Policy] holds its settings. The zero
// Policy makes three attempts.
//
//	policy := retry.Policy{
//		MaxAttempts: 5,
//		Backoff:     retry.Exponential{Base: time.Second, Max: time.Minute},
//	}
//	page, err := retry.Do(ctx, policy, fetch)
//
// [Wrap] and [WrapArg] return a function that retries, [Policy.Attempts] is the
// loop form, and a [Hedge] starts a second attempt before the first has failed.
// Package retryhttp retries HTTP requests.
//
// # In a server
//
// A caller waits, so fail fast. Give every request a deadline, every attempt a
// timeout, and all calls to a service one [TokenBudget]:
//
//	budget := &retry.TokenBudget{Name: "billing"}
//	policy := retry.Policy{AttemptTimeout: time.Second, Budget: budget}
//	call := retry.Wrap(policy, breaker.Wrap(b, fetch))
//
// If a guard such as a circuit breaker refuses an attempt, the call waits no
// longer than Backoff would have. A breaker that stays open ends the call
// immediately.
//
// # In a batch job
//
// No caller waits, so outlast the failure:
//
//	policy := retry.Policy{
//		MaxAttempts: retry.Unlimited,
//		MaxElapsed:  time.Hour,
//		MaxRejected: -1, // wait until the breaker closes
//	}
//
// # In a queue
//
// A scheduler keeps the time itself. [Policy.Next] only decides:
//
//	pause, stop := policy.Next(deliveries, first, err)
//	if stop != nil {
//		return deadLetter(stop)
//	}
//	return deliverAgain(pause)
//
// # Polling
//
// [Poll] calls a function until the work that it looks at is done:
//
//	state, err := retry.Poll(ctx, retry.Interval(10*time.Second), check)
//
// # Choosing values
//
//   - MaxAttempts: 3 to 5. More attempts seldom help, except in a batch job.
//   - AttemptTimeout: well above the time of a slow success.
//   - Backoff: keep the jitter [Full], unless a pause of 0 does harm. Then set
//     Min.
//   - Layers: retry next to the failure. Inside an attempt after the first, a
//     call makes a single attempt, so that layers do not multiply; see [Nest].
//   - Budget: after a refusal do not call again in a loop without a pause.
//
// # Errors
//
// A call that fails returns an [*Error]. It matches its Reason and the error of
// the last attempt. An attempt that reached AttemptTimeout is retried. An
// attempt that ended with the context of the call is not.
//
// An error can instruct a policy by three methods, which Do finds anywhere in
// the tree of the error, outer errors first:
//
//	Retryable() bool            // whether another attempt may succeed
//	RetryAfter() time.Duration  // no attempt starts earlier
//	Rejected() bool             // a guard refused, the work was not tried
//
// # Concurrency and cost
//
// All types may be used by any number of goroutines at once. Do runs on the
// goroutine of its caller. Without AttemptTimeout, a call that succeeds at once
// allocates nothing, nor does a retry without a pause.
//
// Costs, formats and sources: docs/retry.md
package retry
