// Package cache keeps values in memory, a bounded number of them, and loads what is missing once however many ask.
//
// A map with a mutex grows without end, and when an entry runs out a hundred goroutines fetch it at the same time. This
// cache never holds more than its capacity, learns which entries are worth keeping, shares one load among all who wait
// for it, and can answer with an expired value while the origin fails.
//
//	users := cache.Memoize(cache.Config[string, User]{Capacity: 10_000, TTL: time.Minute}, findUser)
//	alice, err := users.Get(ctx, "alice") // one query, however many goroutines ask
//	users.Forget("alice")                 // after a write
//	fmt.Println(alice.Name, err, users.Stats().HitRatio())
//
// [Memo] is a function with a cache before it. [Cache] is the cache itself, for values that are stored rather than loaded
// or loaded in several ways. [Lazy] is a single value made at its first use. [Weak] shares values for as long as anybody
// uses them. [Through] puts a second level behind a cache.
//
// # Choosing values
//
// Capacity counts entries, of any size: divide the memory to spend by the size of a typical entry, and see under Cost for
// what is added. Too small shows in Stats as a low HitRatio with many Evictions. Where sizes differ much, Weigh them and
// set MaxWeight; then Capacity may be left at 0.
//
// Policy is best left at [Adaptive]. [LRU] is for those who need its order.
//
// TTL is how old an answer may be. Leave it at 0 for values that never change or that Delete and Forget keep right. With
// many entries stored at the same time, as after a restart, a Jitter of 0.1 keeps them from expiring together. IdleTTL
// is for what should go when nobody asks for it any more, such as sessions, and Expiry for values that say themselves how long
// they are good for, such as tokens.
//
// Refresh, at half the TTL or so, keeps those keys fresh that are asked for often: nobody waits for their loads.
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
// those that concern several keys do so for each key at a moment of its own. A load takes effect only if its key was
// not written, deleted or cleared since it began. So to change the origin first and to call Delete then leaves no old value
// behind.
//
// Each load has a goroutine, which ends when the loader returns. An entry expires by the monotonic clock, exactly; it leaves
// memory some milliseconds later, or after a seventh of its lifetime if entries that live longer came before it. For that
// there is one timer at a time, as a rule, and no goroutine; it does not keep the cache from being collected. Two loads in
// different goroutines that wait for each other's keys are not detected; give their contexts deadlines.
//
// Events of one call are reported in order, in its goroutine (those of a load in the loader's, those of expiry in the
// timer's) and before it returns. Those of calls that run at the same time may be reported in either order. A key that is
// not equal to itself, such as a NaN, is not stored: its value departs at once as Evicted.
//
// # Cost
//
// Every operation is O(1), and O(log Len) where an expiring entry comes or goes; Clear, DeleteFunc and iterations are O(Len),
// and those that iterate copy the keys first.
//
// With Adaptive a lookup takes no lock, and writes share several; with LRU all share one. A hit allocates nothing; counting it
// takes about a quarter of its time, see Config.Uncounted. A write makes one allocation, the entry; but none if it replaces
// a value of the size of a machine word, as a number or a pointer, in a cache without lifetimes, weights and OnEvent. A miss
// of GetOrLoad starts a goroutine and makes about ten allocations, and takes several times as long as a loader that the
// caller runs itself; a function literal that captures variables is one more, at each call, hit or miss, which Memoize
// avoids.
//
// An entry takes 32 bytes more than its key and value, 48 more in a cache with lifetimes or weights, and 13 to 26 in the
// table; with Adaptive another 8 to 16, and up to 24 once there are evictions. A million numbers under numbers, 16 bytes
// of key and value, take 71 bytes each. A remembered error takes an entry of its own, up to Capacity more.
//
// # Composition
//
// The loader is the place for guards of the origin, a retry, a circuit breaker, a rate limit: hits pass them by, and when
// the breaker is open StaleIfError answers. Put a concurrency limit for callers around Memo.Get, which has the type of
// the function it wraps. A CachedError tells guards outside that the work was not tried and when to come back.
//
// # Source
//
// Adaptive combines TinyLFU admission (Einziger, Friedman and Manes, 2017) with CLOCK queues (Corbató, 1968) and a window that
// grows and shrinks by ghosts as ARC does (Megiddo and Modha, 2003). Its uses are counted in the entries, and in the sketch
// only when an entry is passed over or leaves. It is weakest, below LRU, where the popular keys change all at once and at
// scans that turn back. LRU is the textbook algorithm.
//
// Sharing loads follows golang.org/x/sync/singleflight, with types and with a context for each caller. Stale values on error
// are the stale-if-error of RFC 5861, and Refresh its stale-while-revalidate; remembered errors are the negative caching
// of RFC 2308, with a limit to their time where another party names it, as its section 5 advises.
package cache
