// Package ratelimit limits how often something happens: so many events per second, minute or hour, with bursts of a
// chosen size.
//
// A server that is asked too much, or a client whose server says how much is too much, needs a bound that holds: under
// contention, when callers give up, and whatever the clock does. A [Limiter] keeps it in one integer per limit and
// never admits more than burst + rate × time over any stretch of time. It can refuse (Allow, Take), make callers wait in
// line (Wait), or promise a later instant (Reserve). A [Keyed] does so for each of many keys, a [Window] or a [Counter]
// for a number of events in any stretch of one length.
//
//	lim := ratelimit.New(ratelimit.PerSecond(100).WithBurst(20), ratelimit.PerHour(10_000))
//	send := ratelimit.Wrap(lim, deliver) // each call waits for its turn
//	receipt, err := send(ctx)
//	if d := lim.Take(1); !d.OK { // or refuse, and say when to come back
//		fmt.Println("too many requests, retry after", d.RetryAfter)
//	}
//
// Most callers that do work of their own should use Wait, or have it used by [Do] or [Wrap]; servers that answer
// others should use Allow, or Take to be able to tell when to come back.
//
// # Choosing values
//
// The rate is what may last; the burst is what may come at once after a pause. Of a limit that somebody else sets, take
// both a little below: clocks and networks bunch events up. A burst of one spaces events evenly ([Every]), which is
// kind to a fragile server. Limits add up to one Limiter, such as a rate per second with a quota per hour: all must
// agree, and a refusal costs nothing in any.
//
// A Limiter is not a window: in the hour after a long pause PerHour(100) admits up to 200 events, the burst and what
// comes back in the meantime. Where 100 in any hour is the rule, use a Window, or a Counter if 100 is a million.
//
// Of a Keyed, MaxKeys should be about twice the number of keys that are seen while a burst comes back. If the keys are
// the choice of others, leave OnFull at [InheritDebt]: then no flood of keys makes it forget what one has used.
//
// # Errors
//
// A refusal is a *[LimitedError]. It matches [ErrLimited], and [ErrTooLarge] when more events are asked for than the
// burst; a wait whose turn would come after the deadline of its context fails at once, and also matches
// [context.DeadlineExceeded]. RetryAfter says when another try can succeed, Retryable whether one ever can, and
// Rejected that the work was not tried. A wait that the context ended matches its error and its cause, and is no
// LimitedError.
//
// # Concurrency
//
// All methods of Limiter may be called at the same time. With one limit and nobody waiting there is no lock, and a
// refusal writes nothing. Waiting callers are served strictly in order and hold back everybody else; one that gives up
// leaves no gap. A caller is admitted as of the instant of its turn: if the scheduler then runs it late, it comes that
// much closer to the next, instead of slowing down the whole line. No goroutine is started. Time is read from the
// monotonic clock, so that setting the wall clock changes nothing.
//
// # Cost
//
// Allow, Take and a Wait that need not wait allocate nothing, and cost one reading of the clock and a few
// nanoseconds; with several limits or while callers wait, a mutex more. A Limiter has about 380 bytes and 80 for each
// limit. A caller that waits allocates about 500 bytes. A refusal by error allocates the error. A Keyed has 21 bytes for
// each of MaxKeys, whatever the keys are, and allocates nothing later. A Reservation that stays in its function is not
// allocated, except for several limits. To cancel takes time in proportion to the reservations that are cancelled and
// were promised later instants.
//
// Amounts are exact at every rate; the clock is rounded down to a unit of one or two nanoseconds, once, without an
// error that adds up. (Where filling the whole burst takes decades, the unit is longer; above 1e9 events per second it
// is one event.)
//
// # Composition
//
// [Do] and [Wrap] limit any func(context.Context) (T, error), and take a [Waiter]: a Limiter makes calls wait, [Reject]
// makes them fail; [Pull] paces an iterator. A [Store] is a Keyed that may be elsewhere; the package storetest tests
// one, ratelimithttp limits servers and clients of HTTP, and bulkhead limits how much happens at once.
//
// Other packages recognise the refusals by their methods RetryAfter, Retryable and Rejected: a retry around a limiter
// comes back at the right time, and a circuit breaker around one does not count them as failures.
//
// # Source
//
// The generic cell rate algorithm of ITU-T Recommendation I.371 (2004), in its virtual scheduling form. It
// is a token bucket that stores when it will be full instead of how full it is. What a cancelled reservation gives back
// follows golang.org/x/time/rate. The Counter is the sliding window counter of Cloudflare (2017).
package ratelimit
