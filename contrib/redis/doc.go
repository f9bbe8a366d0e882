// Package redis lets many processes share rate limits, a second level of their caches, and news of what has failed, on a
// server or cluster of Redis 5 or newer, or of Valkey.
//
// A limit that is kept by each of twenty processes admits twenty times as much, or a twentieth if the load is not
// spread evenly. A [Limiter] keeps it on a server instead, exactly and by the clock of that server, for one round trip at
// most. It asks for less where it can: what is refused is refused again here until it may go on, and a busy key can take
// events ahead. And it never waits for a server that is down: then each process admits its share.
//
//	limiter := redis.New(redis.Config{
//		Client: goredisclient.New(rdb),
//		Limits: []ratelimit.Limit{ratelimit.PerSecond(5), ratelimit.PerHour(1000)}, // of each user
//		Nodes:  4,                                                                  // processes
//	})
//	if d, err := limiter.TakeKey(ctx, user, 1); err == nil && !d.OK {
//		fmt.Println("too many requests, retry after", d.RetryAfter)
//	}
//
// A Limiter is a [ratelimit.Store], so that ratelimithttp can use it. A [Cache] is a [cache.Store], to be put before a
// loader by [cache.Through]. [Openings] tell the breakers of other processes what has failed here.
//
// # Choosing values
//
// Timeout is what an outage costs a caller, once: some five times what a round trip takes on a bad day. A caller whose own
// deadline is shorter learns nothing of the server, and does not notice an outage. Nodes need not be exact: half as many
// as there are doubles what is admitted in an outage. Closed protects what must not be overrun, Open what must not fail.
//
// Lease is worth it for keys with hundreds of events a second. A process takes events ahead only while it uses them up
// within LeaseFor, and at most Lease. What is ahead is taken already: all processes together never admit more than the
// server has. But events taken at one time may be used a little later, so in any stretch of time there may be as many
// as the limit admits in LeaseFor more. Close gives back what is not used; a process that is killed cannot, and what it had
// ahead is used up.
//
// Limiters share what they admit if Name and Limits are the same. After a change of Limits every key begins with its full
// burst, and while some processes have the new and some the old ones, with both.
//
// The server should not evict these keys: with noeviction, or with volatile-ttl, which takes those first that owe least.
// Its memory holds about 150 bytes for each key that has used some of its burst lately.
//
// # Errors
//
// A Limiter returns no error of the server: these begin an outage, and [Config.Outage] says what is decided then. Outages are
// reported to OnEvent, and counted in [Stats]. The only error is that of a context that is done, with its cause. The
// errors of a Cache are there for [cache.Through] to ignore, and for others to tell an absent value from a failure.
//
// # Concurrency
//
// All methods may be called at the same time. Nobody waits for a lock while somebody waits for the server; of many who
// find a lease used up, one asks, and the others wait for the answer, no longer than Timeout. A Limiter with a Lease and
// Openings have a goroutine until they are closed.
//
// A take is never sent twice: if an answer is lost, the events may be taken, which is the strict side. The exception
// is a script that the server does not have; it is sent in full then, in one more round trip, and nothing has been taken.
//
// # Cost
//
// A take costs one round trip, in which the server executes four commands, one of which writes; a refusal, one round
// trip that writes nothing. A refusal that is repeated, and an event from a lease, cost nothing there and no allocation
// here. internal/bench/redis compares it with others. A Limiter has about 2 KiB, 21 bytes for each of LocalKeys and 8 for each of Denied.
//
// # On the server
//
// A key of a Limiter is named Name:{hash}, with a hash of 128 bits of the limits and the key. It holds the instants at which
// its buckets are full again, and expires at the last of them. Times are exact to a fraction of a microsecond, in
// integers: no error adds up. A state that another clock has left in the future is cut to a burst, so nobody is blocked
// for longer. FLUSHALL gives every key its burst back; a replica that becomes the master may lack what the old one
// admitted last.
//
// # Source
//
// The generic cell rate algorithm of ITU-T Recommendation I.371, as in package ratelimit. That a refused key is
// remembered by the client is an idea of Envoy's rate limit service; that a quorum must have opened a breaker follows
// what users of Polly found about shared breakers: one bad node must not open them all.
package redis
