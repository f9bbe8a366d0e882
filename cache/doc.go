// Package cache is an in-memory cache with LRU or adaptive (TinyLFU) eviction,
// expiry, and single-flight loading.
//
// A map with a mutex grows without bound. When a popular entry expires, many
// goroutines load it at once (a cache stampede). A [Cache] never exceeds its
// capacity, keeps the entries that are likely to be used again, and shares a
// load among all callers of a key. While the origin fails or hangs, it can
// serve stale values.
//
// # Load on a miss
//
// [Memoize] puts a cache in front of a function:
//
//	users := cache.Memoize(cache.Config[string, User]{
//		Capacity: 10_000,
//		TTL:      time.Minute,
//	}, findUser)
//	alice, err := users.Get(ctx, "alice") // one query for all callers
//	users.Forget("alice")                 // after a change at the origin
//
// Put guards of the origin, such as a retry or a circuit breaker, into the
// function: hits bypass them.
//
// # Store values
//
//	counts := cache.New(cache.Config[string, int]{Capacity: 1000})
//	counts.Set("a", 1)
//	n, ok := counts.Get("a")
//
// # Serve stale values in an outage
//
//	rates := cache.Memoize(cache.Config[string, float64]{
//		Capacity:     200,
//		TTL:          10 * time.Minute,
//		StaleIfError: 24 * time.Hour,
//		StaleIfSlow:  100 * time.Millisecond,
//	}, findRate)
//
// A caller gets the stale value in place of an error or a panic. It also gets
// the value instead of a wait that is longer than StaleIfSlow or half of the
// time to its deadline.
//
// # Invalidate
//
//	n := c.DeleteKeys(func(k string) bool {
//		return strings.HasPrefix(k, "tenant7/")
//	})
//
// After a change at the origin, call [Cache.Delete], [Cache.DeleteKeys],
// [Cache.DeleteFunc] or [Cache.Clear]. A load that began before does not bring
// the old value back.
//
// # Bound the size in bytes
//
//	files := cache.New(cache.Config[string, string]{
//		MaxWeight: 64 << 20,
//		Weigh: func(name, content string) uint32 {
//			return uint32(len(name) + len(content))
//		},
//	})
//
// # Other kinds of caches
//
// [Lazy] is a single value, made at its first use. [Weak] shares values as long
// as the program uses them. A [Tier] puts a second level, such as Redis, behind
// a cache.
//
// # Choosing values
//
//   - Capacity: the memory to use, divided by the size of an entry. If it is
//     too small, [Stats] show a low HitRatio and many Evictions.
//   - MaxWeight and Weigh: if the sizes of entries differ much.
//   - Eviction: [Adaptive]. Use [LRU] only if you need its order.
//   - TTL: the oldest acceptable answer. Leave it 0 if values never change, or
//     if Delete follows each change.
//   - Jitter: 0.1 if many entries are stored at the same time.
//   - IdleTTL: for entries that should leave when they are not used, such as
//     sessions.
//   - Expiry, [LimitTTL]: for values with a lifetime of their own, such as
//     tokens.
//   - Refresh: half of TTL keeps popular values fresh, so that no caller waits.
//   - StaleIfError: the longest outage to bridge. Stale values need Capacity.
//   - StaleIfSlow: a little more than a healthy load takes.
//   - LoadTimeout: much more than a healthy load takes.
//   - ErrorTTL: a minute for [ErrNotFound] keeps lookups of absent keys from
//     the origin. [RetryAfter] obeys the time that the origin names.
//
// # Errors
//
// An error of the loader reaches the callers unchanged. Loaders return
// [ErrNotFound] for keys that do not exist, which is no failure for retries and
// breakers in the loader. [*KeysError] names the keys of a bulk load.
// [*CachedError] replaces a load while an error is remembered. [ErrRecursive]
// is a load that waits for itself. An interrupted wait matches ctx.Err() and
// [context.Cause]. A panic of the loader becomes a [*PanicError] in every
// waiting caller.
//
// # Concurrency and cost
//
// All methods are safe for concurrent use. [Cache.SetConfig] changes most
// settings at run time. A Cache needs no Close: a load has at most a goroutine
// that ends when the loader returns, and expiry uses timers.
//
// A hit allocates nothing. With Adaptive it takes no lock. A write makes at
// most one allocation. An entry takes about 55 bytes more than its key and
// value, and 50 to 60 more with lifetimes or weights.
//
// Costs, formats and sources: docs/cache.md.
package cache
