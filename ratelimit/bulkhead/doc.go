// Package bulkhead limits how much happens at the same time: so many calls of a service, deployments, or requests
// being served, with a queue for the rest.
//
// A server that is asked for more than it can do at once gets slower for everybody, until nobody is served in time. A
// [Bulkhead] lets so many in, makes some more wait for a bounded time, and refuses the others at once. Its limit is
// fixed, or found by measuring how long the work takes.
//
//	deployments := bulkhead.New(bulkhead.Config{Limit: 5, MaxQueue: 20, MaxWait: time.Minute})
//	err := deployments.Do(ctx, deploy)
//	if errors.Is(err, bulkhead.ErrFull) {
//		fmt.Println("try again later:", err)
//	}
//
// # Choosing values
//
// Little's law gives the limit: calls per second × seconds per call, and some more for bursts. A queue should be as long
// as what is served in the time that a caller will wait; with Target the bulkhead sees to that itself. Where the right
// limit changes, or is not known, set an Algorithm: [Vegas] for a service whose calls take about the same time,
// [Gradient] where times vary, [AIMD] where only failures tell.
//
// # Errors
//
// A refusal is a *[FullError], which matches [ErrFull] and ratelimit.ErrLimited. A wait that the context ended matches
// its error and its cause, and is no FullError.
//
// # Concurrency
//
// All methods may be called at the same time. While nobody waits, there is no lock unless the limit is adaptive. Callers
// wait in the order of their priority, and those of one priority in the order of their calls; one that wants much holds
// back those behind it. No goroutine is started. A [Permit] can be released once only, and is released by Do when the
// work panics or calls runtime.Goexit.
//
// # Cost
//
// To acquire and release takes two compare-and-swaps and one swap, and allocates nothing as long as the permit stays in
// the function. With an algorithm, it takes two readings of the clock and two locks more. Who waits allocates about 300
// bytes.
//
// # Composition
//
// [Do] and [Wrap] guard any func(context.Context) (T, error). A refusal has methods Rejected and Retryable, by which
// other packages tell that the work was not tried.
//
// # Source
//
// The adaptive limits follow TCP Vegas (Brakmo and Peterson, 1995) and the gradient of Netflix concurrency-limits,
// with a baseline that is measured again at a lowered limit, as in BBR's ProbeRTT (Cardwell and others, 2016). The bound
// on waiting follows CoDel (Nichols and Jacobson, 2012; RFC 8289), in the form for request queues of Facebook's "Fail at
// Scale" (Maurer, 2015).
package bulkhead
