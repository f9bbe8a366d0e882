// Package redis provides distributed rate limits and a second cache level, on
// Redis or Valkey.
//
// A limit that each of 20 processes keeps for itself admits 20 times as much. A
// [Limiter] keeps it on a server, exactly and by the clock of the server, in at
// most one round trip. While the server is down, each process admits its share.
// The server is Redis 5 or newer or Valkey, or a cluster of these.
//
// # Limit each user in all processes
//
// A Limiter is a [ratelimit.Store], so that ratelimithttp accepts it.
//
//	limiter := redis.New(redis.Config{
//		Client: goredisclient.New(rdb),
//		Limits: []ratelimit.Limit{ratelimit.PerSecond(5)}, // of each user
//		Nodes:  4,                                         // processes
//	})
//	if d, err := limiter.TakeKey(ctx, user, 1); err == nil && !d.OK {
//		fmt.Println("too many requests, retry after", d.RetryAfter)
//	}
//
// # Share a cache
//
// A [Cache] is a [cache.Store]: put it before a loader with a [cache.Tier].
//
//	second := redis.NewCache(redis.CacheConfig[user]{
//		Client: goredisclient.New(rdb),
//		Name:   "users",
//	})
//
// # Choosing values
//
//   - Timeout: about five times a slow round trip. It is the delay that an
//     outage costs. A caller with a shorter deadline does not notice an outage.
//   - Nodes need not be exact. Half the real number admits twice the limit in
//     an outage.
//   - Outage: [OutageRefuse] protects a resource that must not be overloaded,
//     [OutageAdmit] a service that must stay available.
//   - Lease: only for keys with hundreds of events per second. Then a process
//     takes up to Lease events ahead. In any interval, the limit may be
//     exceeded by the events that it admits in LeaseFor.
//   - Limiters share their state if Name and Limits are equal. After a change
//     of Limits every key starts with a full burst. While old and new processes
//     run, both limits apply to their own processes only.
//   - The server should not evict the keys: use noeviction, or volatile-ttl,
//     which evicts the smallest debts first.
//
// # Errors
//
// A Limiter returns no error of the server: such an error starts an outage, in
// which [Config.Outage] decides. Outages are reported to OnEvent and counted in
// [Stats]. Its only error, if ctx is done, matches ctx.Err and
// [context.Cause]. [cache.Tier.Through] ignores the errors of a Cache.
//
// # Concurrency and cost
//
// All methods may be called concurrently. A Limiter with a Lease
// runs a goroutine until Close. A take costs one round trip, and a repeated
// refusal or a leased event none.
//
// Costs, formats and sources: docs/redis.md.
package redis
