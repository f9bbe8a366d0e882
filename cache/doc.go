// Package cache keeps values in memory, a bounded number of them, and loads what is missing once however many ask.
//
// A map with a mutex grows without end, and when an entry runs out a hundred goroutines fetch it at the same time. This
// cache never holds more than its capacity, drops the least recently used entry first, shares one load among all who
// wait for it, and can answer with an expired value while the origin fails.
//
//	users := cache.Memoize(findUser, cache.Config[string, User]{Capacity: 10_000, TTL: time.Minute})
//	alice, err := users.Get(ctx, "alice") // one query, however many goroutines ask
//	users.Forget("alice")                 // after a write
//	fmt.Println(alice.Name, err, users.Stats().HitRatio())
//
// [Memo] is a function with a cache before it. [Cache] is the cache itself, for values that are stored rather than loaded
// or loaded in several ways. [Lazy] is a single value made at its first use.
//
// # Choosing values
//
// Capacity counts entries, of any size: divide the memory to spend by the size of a typical entry, and see under Cost for
// what is added. Too small shows in Stats as a low HitRatio with many Evictions.
//
// TTL is how old an answer may be. Leave it at 0 for values that never change or that Delete and Forget keep right. With
// many entries stored at the same time, as after a restart, a Jitter of 0.1 keeps them from expiring together.
//
// StaleIfError is how long an answer that is too old beats none. Set it to the longest outage to bridge, say an hour.
// Expired values keep their places for as long, so Capacity should have room for them. With StaleIfError and no ErrorTTL
// each lookup of an expired value still tries to load it.
//
// ErrorTTL keeps a failing origin from being asked again at once. [RetryAfter] heeds the origin's own word; a function
// that returns some seconds for an [ErrNotFound] keeps lookups of absent keys from reaching it.
//
// # Errors
//
// A loader's error reaches the callers as it is. [ErrNotFound] is the loader's to return or wrap, and means that the origin
// has no such key: stale values do not stand in for it. [*CachedError] is an earlier load's error in place of a new load;
// it wraps that error, and has the methods Rejected and RetryAfter. [ErrRecursive] is a load that would wait for itself.
// A wait cut short by the caller's context matches both ctx.Err() and context.Cause(ctx). A panic of the loader becomes a
// panic with a [*PanicError] in every caller that waits. If all have gone it is counted in LoadErrors, and dropped.
//
// # Concurrency
//
// All methods may be called by many goroutines, and each takes effect in one instant between its call and its return; only
// All and Keys look at each key at a moment of its own. A load takes effect only if its key was not written, deleted or
// cleared since it began. So to change the origin first and to call Delete then leaves no old value behind.
//
// Each load has a goroutine, which ends when the loader returns. There is no other goroutine and no timer: an entry expires
// by the monotonic clock, exactly, but leaves memory when it is next looked up or iterated over, or as the least recently
// used. Two loads in different goroutines that wait for each other's keys are not detected; give their contexts deadlines.
//
// Events of one call are reported in order, in its goroutine (those of a load in the loader's) and before it returns. Those
// of calls that run at the same time may be reported in either order. A key that is not equal to itself, such as a NaN,
// is not stored: its value departs at once as Evicted.
//
// # Cost
//
// Every operation is O(1), but Clear, All and Keys: O(Len). All of them share one mutex. A hit allocates nothing, and
// neither does a Set of a present key or on a full cache. An entry takes 60 to 70 bytes more than its key and value. A miss
// of GetOrLoad starts a goroutine and makes 9 allocations, about 450 bytes; a function literal that captures variables is one
// more, at each call, hit or miss, which Memoize avoids. A remembered error takes an entry of its own, up to Capacity more.
//
// # Composition
//
// The loader is the place for guards of the origin, a retry, a circuit breaker, a rate limit: hits pass them by, and when
// the breaker is open StaleIfError answers. Put a concurrency limit for callers around Memo.Get, which has the type of
// the function it wraps. A CachedError tells guards outside that the work was not tried and when to come back.
//
// # Source
//
// The exact LRU list with a map is the textbook algorithm. Sharing loads follows golang.org/x/sync/singleflight, with types
// and with a context for each caller. Stale values on error are the stale-if-error of RFC 5861; remembered errors are the
// negative caching of RFC 2308, with a limit to their time where another party names it, as its section 5 advises.
package cache
