// Package bulkhead provides a concurrency limiter (semaphore, bulkhead) with a
// queue, priorities, load shedding and adaptive limits.
//
// A server that works on too many requests at once becomes slow for all of
// them, until no request is served in time. A [Bulkhead] admits a limited
// number of callers, makes some more wait for a bounded time, and refuses the
// others immediately.
//
// # Limit the work in progress
//
// [Bulkhead.Do], [Do], [Wrap] and [WrapArg] return the place of a caller when
// its work returns, panics, or calls runtime.Goexit.
//
//	places := bulkhead.New(bulkhead.Config{Limit: 5, MaxWait: time.Minute})
//	err := places.Do(ctx, deploy)
//	if errors.Is(err, bulkhead.ErrFull) {
//		fmt.Println("try again later:", err)
//	}
//
// # Hold places across functions
//
// A [Permit] holds places until it is released.
//
//	permit, err := memory.AcquireN(ctx, 3) // a large piece of work
//	if err != nil {
//		return err
//	}
//	defer permit.Release()
//
// # Serve important callers first
//
// Waiting callers are served by [Priority], and first come, first served within
// a priority and tenant. A caller that needs several places blocks the callers
// behind it.
//
//	ctx = bulkhead.WithPriority(ctx, bulkhead.Critical)
//	err := server.Do(ctx, answer)
//
// # Be fair to tenants
//
// Within a priority, waiting tenants take turns. A tenant with a thousand
// waiting callers delays a tenant with a single caller by one turn, and does
// not keep it out of a full queue. Config.Weight gives a tenant longer turns.
//
//	ctx = bulkhead.WithTenant(ctx, "acme")
//	err := server.Do(ctx, answer)
//
// # Adapt the limit
//
// If the right limit is unknown or varies, the bulkhead finds it by measuring
// the queue in front of the service.
//
//	api := bulkhead.New(bulkhead.Config{Adaptive: true})
//
// # Choosing values
//
//   - Limit: calls per second × seconds per call (Little's law), and some more
//     for bursts.
//   - MaxQueue: the calls that are served in the time that a caller will wait.
//     With Target, the bulkhead bounds that time itself.
//   - Adaptive: for a service with a queue of its own, in order of arrival. A
//     fixed limit is better if its value is known and constant, or if the calls
//     wait somewhere else.
//
// # Errors
//
// A refusal is a [*FullError]. It matches [ErrFull] and ratelimit.ErrLimited.
// Its methods Rejected, Retryable and RetryAfter inform other guards. The error
// of a wait whose context ended matches ctx.Err and [context.Cause], and is not
// a [*FullError].
//
// # Concurrency and cost
//
// All methods may be called concurrently, and no goroutine is started. Without
// waiting callers and with a fixed limit there is no lock and no allocation.
//
// Costs, formats and sources: docs/ratelimit.md.
package bulkhead
