// Package ratelimit provides rate limiters: token buckets (GCRA), exact sliding
// windows, and limits for each of many keys.
//
// A server needs a limit that holds under contention, when callers give up, and
// whatever the clock does. A [Limiter] admits at most burst + rate × time
// events in any interval, whatever is reserved, cancelled and settled. Without
// reservations, its state is a single integer per limit.
//
// # Wait for a turn
//
// Most clients should use [Limiter.Wait], or [Do], [Wrap] or [WrapArg], which
// call it. Callers wait in the order of their calls.
//
//	lim := ratelimit.New(ratelimit.PerSecond(100).WithBurst(20))
//	send := ratelimit.Wrap(lim, deliver) // each call waits for its turn
//	receipt, err := send(ctx)
//
// # Refuse, and report when to retry
//
// Most servers should use [Limiter.Allow], or [Limiter.Take], which returns a
// [Decision]. [Reject] turns a Limiter into a [Waiter] that refuses.
//
//	if d := lim.Take(1); !d.OK {
//		fmt.Println("retry after", d.RetryAfter.Round(time.Minute))
//	}
//
// # Limit each user
//
// A [Keyed] limits each of many keys in a fixed amount of memory, by limits and
// by a [Quota] of the calendar. A [Store] is the same behind an interface, for
// limits that several processes share. [Tiers] have different limits.
//
//	perUser := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
//		Limit: ratelimit.PerMinute(60),
//	})
//	alice := ratelimit.Reject(perUser.For("alice"))
//	page, err := ratelimit.Do(ctx, alice, fetch)
//
// # Count events in a sliding window
//
// In the hour after a pause, the token bucket [PerHour](100) admits up to 200
// events: the burst, and the events that come back. A [Window] admits at most
// 100 in any hour. A [Counter] estimates that in constant memory.
//
//	window := ratelimit.NewWindow(ratelimit.PerMinute(5))
//	start := ratelimit.WrapArg(ratelimit.Reject(window), deploy)
//	result, err := start(ctx, version)
//
// # Reserve now, settle later
//
// [Limiter.Reserve] promises events at a later instant, for amounts that are
// known only afterwards. [Reservation.Settle] makes the Limiter as if the
// actual amount had been reserved. [Limiter.Charge] takes events without
// asking.
//
//	tokens := ratelimit.New(ratelimit.PerMinute(90_000))
//	if r := tokens.Reserve(estimate); r.OK() {
//		time.Sleep(r.Delay())
//		r.Settle(call())
//	}
//
// # Choosing values
//
//   - Rate: the events that the protected service can sustain. To obey the
//     limit of another service, stay a little below it: networks bunch events
//     up.
//   - Burst: the events that may come at once after a pause. A burst of 1
//     ([Every]) spaces events evenly.
//   - Several limits, such as a rate per second and a quota per hour, belong in
//     the same Limiter: an event that a limit refuses is not taken from the
//     others.
//   - StartEmpty of a [Config]: if a restart must not give the burst again.
//   - MaxKeys of a Keyed: twice the keys that are seen while a burst comes back
//     five times.
//   - A full table of a [Keyed]: [InheritDebt] if the limit protects something,
//     and [ForgiveDebt] if new clients must be served during a flood of keys.
//
// # Errors
//
// A refusal is a [*LimitedError]. It matches [ErrLimited], and [ErrTooLarge] if
// more events than a burst were asked for. A wait that would end after the
// deadline of its context is refused immediately and also matches
// [context.DeadlineExceeded]. The methods RetryAfter, Retryable and Rejected
// inform other guards, such as a retry or a circuit breaker. The error of a
// wait whose context ended matches ctx.Err and [context.Cause], and is not a
// [*LimitedError]. Invalid limits make the constructors panic.
//
// # Concurrency and cost
//
// All methods may be called concurrently, and no goroutine is started. Allow
// and Take allocate nothing. They use no lock with a single limit, while no
// callers wait and no reservations are open. Reserve, Cancel and Settle take
// time logarithmic in the number of open reservations.
//
// Costs, formats and sources: docs/ratelimit.md.
package ratelimit
