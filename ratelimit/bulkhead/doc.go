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
// a priority. A caller that needs several places blocks the callers behind it.
//
//	ctx = bulkhead.WithPriority(ctx, bulkhead.Critical)
//	err := server.Do(ctx, answer)
//
// # Adapt the limit
//
// An [Algorithm] finds the limit by measuring the calls: [AIMD], [Vegas] or
// [Gradient]. Measured limits can be far too low: [Gradient] and, less so,
// [Vegas] reduce the limit of a healthy service if the times of its calls vary.
//
//	api := bulkhead.New(bulkhead.Config{Algorithm: bulkhead.AIMD{}})
//
// # Choosing values
//
//   - Limit: calls per second × seconds per call (Little's law), and some more
//     for bursts.
//   - MaxQueue: the calls that are served in the time that a caller will wait.
//     With Target, the bulkhead bounds that time itself.
//   - Algorithm: none if the right limit is known and constant; [AIMD] if
//     overload shows as calls that miss their deadline; [Vegas] if all calls
//     take about the same time.
//
// # Errors
//
// A refusal is a [*FullError]. It matches [ErrFull] and ratelimit.ErrLimited.
// Its methods Rejected and Retryable inform other guards. The error of a wait
// whose context ended matches ctx.Err and [context.Cause], and is not a
// [*FullError].
//
// # Concurrency and cost
//
// All methods may be called concurrently, and no goroutine is started. Without
// waiting callers and with a fixed limit there is no lock and no allocation.
//
// Costs, formats and sources: docs/ratelimit.md.
package bulkhead
