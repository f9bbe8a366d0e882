// Package redoubtredis provides distributed rate limits and a second cache
// level, on Redis or Valkey.
//
// A limit that each of 20 processes keeps for itself admits 20 times as much. A
// [Limiter] keeps it on a server, exactly and by the clock of the server, in at
// most one round trip. While the server is down, each process admits its share.
// The server is Redis 5 or newer or Valkey, or a cluster of these. In a cluster
// an outage of a server concerns only its keys.
//
// # Limit each user in all processes
//
// A Limiter is a [ratelimit.Store], so that ratelimithttp accepts it.
//
//	limiter := redoubtredis.New(redoubtredis.Config{
//		Client: goredisclient.New(rdb),
//		Limits: []ratelimit.Limit{ratelimit.PerSecond(5)}, // of each user
//		Nodes:  4,                                         // processes
//	})
//	if d, err := limiter.TakeKey(ctx, user, 1); err == nil && !d.OK {
//		fmt.Println("too many requests, retry after", d.RetryAfter)
//	}
//
// # Limit each day or month
//
// Quotas are of the calendar of a time zone, and follow the clock of the server
// too. They hold together with Limits.
//
//	limiter := redoubtredis.New(redoubtredis.Config{
//		Client: goredisclient.New(rdb),
//		Limits: []ratelimit.Limit{ratelimit.PerSecond(5)},
//		Quotas: []ratelimit.Quota{{N: 10_000, Unit: ratelimit.Month}},
//		Nodes:  4,
//	})
//
// # Charge the actual use
//
// A Limiter is a [ratelimit.Adjuster] too. Each change is a single script.
//
//	d, settle, err := limiter.ReserveKey(ctx, user, 1000) // tokens, estimated
//	if err == nil && d.OK {
//		err = settle(ctx, 640) // used
//	}
//
// # Share a cache
//
// A [Cache] is a [cache.Store]. Put it before a loader with [cache.Tier]. A
// value that was loaded before a deletion is not stored after it.
//
//	second := redoubtredis.NewCache(redoubtredis.CacheConfig[user]{
//		Client: goredisclient.New(rdb),
//		Name:   "users",
//	})
//
// Values can have tags, which are deleted together.
//
//	pages := redoubtredis.NewCache(redoubtredis.CacheConfig[page]{
//		Client: goredisclient.New(rdb),
//		Name:   "pages",
//		Tags:   func(_ string, p page) []string { return p.Topics },
//	})
//	err := pages.DeleteTags(ctx, "sports")
//
// # Choosing values
//
//   - Name: always, in a Limiter too. Without it, a change of Limits gives
//     every key a full burst, and [Limiter.Set] cannot change them.
//   - Timeout: about five times a slow round trip. An outage begins after three
//     calls in a row had no answer. A caller with a shorter deadline does not
//     notice an outage.
//   - Nodes need not be exact. Half the real number admits twice the limit in
//     an outage.
//   - Outage: [OutageRefuse] protects a resource that must not be overloaded,
//     [OutageAdmit] a service that must stay available.
//   - Lease: only for keys with hundreds of events per second. Then a process
//     takes up to Lease events ahead. In any interval, the limit may be
//     exceeded by the events that it admits in LeaseFor.
//   - The server should not evict the keys: use noeviction, or volatile-ttl,
//     which evicts the smallest debts first. A Cache may be evicted.
//
// # Errors
//
// TakeKey returns no error of the server: if a server does not answer,
// [Config.Outage] decides. So it does about a key that the server reports an
// error for, such as WRONGTYPE, OOM or READONLY. Such an error is no outage.
// Outages are reported to OnEvent, and both are counted in [Stats]. The only
// error, if ctx is done, matches ctx.Err and [context.Cause].
//
// The changes of a Limiter, and a Cache, return [ErrDown] in an outage, and
// otherwise wrap the error of the client. [cache.Tier] ignores the errors of
// reads.
//
// # Concurrency and cost
//
// All methods may be called concurrently. A Limiter with a Lease
// runs a goroutine until Close. A take costs one round trip, and a repeated
// refusal or a leased event none.
//
// Costs, formats and sources: docs/redis.md.
package redoubtredis
