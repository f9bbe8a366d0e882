package cache

import (
	"context"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// A flight is one load of one key, together with the callers that wait for it.
//
// Its result is stored only while the flight is registered under its key in
// shard.flights. Registering, unregistering and storing happen under the lock
// of the shard. A write, Delete or Clear during the load unregisters the
// flight, so that the load cannot overwrite it. At most one flight of a key is
// registered at any time.
type flight[K comparable, V any] struct {
	key    K
	hash   uint32
	shard  *shard[K, V]
	load   *bulkContext[K, V] // the load of several keys that f belongs to, or nil
	renews *node[K, V]        // the entry that a refresh replaces, otherwise nil
	forced bool               // by Reload: a stale value does not replace an error

	done    chan struct{} // closed when value, err and panic are final
	value   V
	node    *node[K, V] // the entry for value
	err     error
	panic   *PanicError
	missing bool          // err matches ErrNotFound
	keep    time.Duration // how long to remember err

	cancel  context.CancelCauseFunc // cancels the context of the loader
	waiters int                     // guarded by shard.mu; a refresh counts as a waiter that never leaves
}

// A frame is the context key under which a loader finds its own flight.
type frame[K comparable, V any] struct {
	cache *Cache[K, V]
	key   K
}

// GetOrLoad returns the value of k, as Get does. If k has none, GetOrLoad
// calls load, stores the value and returns it. Concurrent callers for the same
// k share one call of load and its result. An error is remembered only if
// Config.ErrorTTL is set.
//
// load runs in its own goroutine, with the values of the first caller's
// context but without its deadline or cancellation. The context of load is
// canceled when load returns or when no caller waits for it any longer. Each
// caller waits only as long as its own context allows.
//
// If all callers have left, a load that ignores its context continues, its
// result is dropped, and a later call starts another load of the same key. A
// load started by Config.Refresh has no caller whose context could end it, so
// load should set its own timeout.
//
// If k is written, deleted or cleared during the load, the callers that
// already wait get the result of the load, and the result is not stored.
// [Cache.DeleteFunc] has this effect only for the keys that it deletes.
//
// If load panics, GetOrLoad panics with a [*PanicError] in every waiting
// caller. If load calls [runtime.Goexit], GetOrLoad returns an error.
//
// Errors: GetOrLoad returns the error of load unchanged. It also returns:
//   - a [*CachedError] while the error of an earlier load is remembered;
//   - [ErrRecursive] if ctx is the context of a load of k;
//   - if ctx ends during the wait, an error that matches ctx.Err() and
//     [context.Cause](ctx).
func (c *Cache[K, V]) GetOrLoad(ctx context.Context, k K, load func(context.Context, K) (V, error)) (V, error) {
	if n := c.get(k); n != nil {
		if c.config.Refresh > 0 {
			c.refresh(ctx, n, load)
		}
		return n.load(c.word), nil
	}
	if err := c.mayWait(ctx, k); err != nil {
		return *new(V), err
	}
	f, first := c.join(k, false)
	if first {
		c.launch(ctx, f, load)
	}
	return c.wait(ctx, f)
}

// Reload calls load, replaces the value of k with the loaded value, and
// returns it. It does not join a load in progress, and the result of that load
// is not stored. After a change at the origin, Reload therefore never stores
// an older value. The previous value remains until load returns. It also
// remains if load fails, unless the error matches [ErrNotFound].
//
// load runs as in [Cache.GetOrLoad], and GetOrLoad can join it.
//
// Errors: the same as of GetOrLoad, except [*CachedError]. A stale value does
// not replace an error.
func (c *Cache[K, V]) Reload(ctx context.Context, k K, load func(context.Context, K) (V, error)) (V, error) {
	if err := c.mayWait(ctx, k); err != nil {
		return *new(V), err
	}
	f, _ := c.join(k, true)
	c.launch(ctx, f, load)
	return c.wait(ctx, f)
}

// refresh loads n again in the background if that is due and no refresh is in
// progress.
func (c *Cache[K, V]) refresh(ctx context.Context, n *node[K, V], load func(context.Context, K) (V, error)) {
	due := n.attrs.refresh.Load()
	if due == never || c.now() < due || !n.attrs.refresh.CompareAndSwap(due, never) {
		return
	}
	s, _ := c.locate(n.key)
	if f := s.renew(n); f != nil {
		c.launch(ctx, f, load)
	} else {
		c.postpone(n)
	}
}

// renew registers a flight that refreshes n. It returns nil if a flight of the
// key is in progress or n is not its entry any more.
func (s *shard[K, V]) renew(n *node[K, V]) *flight[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[n.key] != nil || s.find(n.hash, n.key) != n {
		return nil
	}
	f := s.newFlight(n.key, n.hash)
	f.renews = n
	return f
}

// postpone makes the next refresh of n, whose last refresh has failed, due
// after another Config.Refresh.
func (c *Cache[K, V]) postpone(n *node[K, V]) {
	n.attrs.refresh.CompareAndSwap(never, later(c.now(), c.config.Refresh))
}

// mayWait returns the reason why a caller with this context cannot wait for a
// load of k, or nil.
func (c *Cache[K, V]) mayWait(ctx context.Context, k K) error {
	if ctx.Err() != nil {
		return c.newWaitError(ctx)
	}
	if f, ok := ctx.Value(frame[K, V]{c, k}).(*flight[K, V]); ok && !f.landed() {
		return ErrRecursive
	}
	return nil
}

// newFlight returns a new flight of k, registered in place of any other. A key
// that is not equal to itself could not be unregistered: each call loads a NaN
// for itself.
func (s *shard[K, V]) newFlight(k K, hash uint32) *flight[K, V] {
	f := &flight[K, V]{key: k, hash: hash, shard: s, done: make(chan struct{}), waiters: 1}
	if equal(k, k) {
		s.flights[k] = f
	}
	return f
}

// join returns the flight to wait for. If forced, it is a new flight, also if
// another is in progress or the cache has an answer. First reports whether the
// caller must launch the flight.
func (c *Cache[K, V]) join(k K, forced bool) (f *flight[K, V], first bool) {
	s, hash := c.locate(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[k]; f != nil && !forced {
		f.waiters++
		return f, false
	}
	f = s.newFlight(k, hash)
	if f.forced = forced; !forced && s.recall(f) {
		delete(s.flights, k)
		close(f.done)
		return f, false
	}
	return f, true
}

// recall answers f with a fresh value, or while an error is remembered, with
// the stale value or that error. It reports whether there was an answer. The
// fresh value is of a flight that landed after the lookup of the caller.
func (s *shard[K, V]) recall(f *flight[K, V]) bool {
	c := s.cache
	n := s.find(f.hash, f.key)
	if n != nil && c.use(n) {
		s.queues.used(n)
		f.value = n.load(c.word)
		return true
	}
	if c.errs == nil {
		return false
	}
	failure, left := c.errs.remaining(f.key)
	switch {
	case failure == nil:
		return false
	case n != nil && c.age(n) == stale:
		s.serveStale(n, f)
	default:
		s.stats.ErrorHits++
		f.err = &CachedError{Name: c.config.Name, Err: failure.value, Left: left}
	}
	return true
}

// remaining returns the fresh entry of k, or nil, and its remaining lifetime.
func (c *Cache[K, V]) remaining(k K) (*node[K, V], time.Duration) {
	s, hash := c.locate(k)
	n := s.find(hash, k)
	if n == nil || c.age(n) != fresh {
		return nil, 0
	}
	if n.attrs == nil {
		return n, NoExpiry
	}
	now := c.now()
	end := n.attrs.end(now)
	if end == never {
		return n, NoExpiry
	}
	return n, time.Duration(max(end-now, 1))
}

// serveStale answers all waiters of f with the value of n, and marks n as
// used.
func (s *shard[K, V]) serveStale(n *node[K, V], f *flight[K, V]) {
	s.queues.used(n)
	waiters := f.waiters
	if f.renews != nil {
		waiters--
	}
	s.stats.StaleHits += uint64(waiters)
	f.value, f.err = n.load(s.cache.word), nil
}

// launch starts the load of f.
func (c *Cache[K, V]) launch(ctx context.Context, f *flight[K, V], load func(context.Context, K) (V, error)) {
	ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	ctx = context.WithValue(ctx, frame[K, V]{c, f.key}, f)
	go c.fly(ctx, []*flight[K, V]{f}, f.cancel, func() { f.value, f.err = load(ctx, f.key) })
}

// fly calls load, which sets the results of the flights, and lands them. The
// deferred function also runs after runtime.Goexit.
func (c *Cache[K, V]) fly(ctx context.Context, flights []*flight[K, V], cancel context.CancelCauseFunc, load func()) {
	start := time.Now()
	defer func() {
		defer func() {
			cancel(nil)
			for _, f := range flights {
				close(f.done)
			}
		}()
		c.land(ctx, flights, time.Since(start))
	}()
	c.run(flights, load)
}

// run calls load and sets the fields of the flights that depend on the result.
func (c *Cache[K, V]) run(flights []*flight[K, V], load func()) {
	defer c.rescue(flights)
	for _, f := range flights {
		f.err = errGoexit // unless load returns
	}
	load()
	for _, f := range flights {
		c.evaluate(f)
	}
}

// evaluate applies the functions of the Config to the result of f.
func (c *Cache[K, V]) evaluate(f *flight[K, V]) {
	if f.err == nil {
		f.node = c.newNode(f.key, f.value, f.hash, c.lifetime(f.key, f.value))
		return
	}
	f.missing = errtree.Is(f.err, ErrNotFound)
	if c.config.ErrorTTL != nil {
		f.keep = c.config.ErrorTTL(f.err)
	}
}

// rescue recovers a panic and keeps it for the waiting callers. Without any,
// the panic is only counted as a failed load.
func (c *Cache[K, V]) rescue(flights []*flight[K, V]) {
	if r := recover(); r != nil {
		p := newPanicError(c.config.Name, r)
		for _, f := range flights {
			f.panic = p
		}
	}
}

func (f *flight[K, V]) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// land stores the results of the flights and then reports the departed values,
// so that OnEvent finds the new values. A panic of OnEvent reaches the waiting
// callers like a panic of the loader.
func (c *Cache[K, V]) land(ctx context.Context, flights []*flight[K, V], took time.Duration) {
	defer c.rescue(flights)
	var gone departed[K, V]
	for _, f := range flights {
		for !f.shard.settle(f, took, &gone) {
			c.evictElsewhere(f.shard, &gone)
		}
		took = 0 // all flights share one call of the loader
	}
	c.emit(ctx, &gone)
}

// settle stores the result of f and unregisters f in one step, if f is still
// registered, and counts the load. It reports whether it was done: if not,
// another shard must make room first.
func (s *shard[K, V]) settle(f *flight[K, V], took time.Duration, gone *departed[K, V]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	failed := f.err != nil || f.panic != nil
	if f.renews != nil {
		s.cache.postpone(f.renews) // in case it stays
	}
	if s.flights[f.key] == f {
		present := s.find(f.hash, f.key)
		switch {
		case failed:
			s.fail(f, present, gone)
			delete(s.flights, f.key)
		case f.renews != nil && f.renews != present && f.waiters == 1:
			// The entry has left and no caller has asked for it since.
			delete(s.flights, f.key)
		case !s.put(present, f.node, f.renews == nil, gone):
			return false
		default:
			s.detach(f.key)
		}
	}
	s.stats.Loads++
	s.stats.LoadTime += took
	if failed {
		s.stats.LoadErrors++
	}
	return true
}

// fail remembers the error of f, and answers with the stale value, if any. If
// the origin reports that the key does not exist, the entry is removed: its
// value must not come back after a later failure.
func (s *shard[K, V]) fail(f *flight[K, V], present *node[K, V], gone *departed[K, V]) {
	if f.panic != nil {
		return
	}
	if f.keep > 0 {
		s.cache.errs.SetTTL(f.key, f.err, f.keep)
	}
	switch {
	case present == nil:
	case f.missing:
		s.remove(present, CauseExpired, gone)
	case !f.forced && s.cache.age(present) == stale:
		s.serveStale(present, f)
	}
}

// wait returns the result of f, or an error if ctx ends first.
func (c *Cache[K, V]) wait(ctx context.Context, f *flight[K, V]) (V, error) {
	if !f.await(ctx) {
		return *new(V), c.newWaitError(ctx)
	}
	return f.result()
}

// await waits for f and reports whether it has landed. If not, ctx has ended,
// and the caller has left the flight.
func (f *flight[K, V]) await(ctx context.Context) bool {
	select {
	case <-f.done:
	case <-ctx.Done():
		if !f.landed() {
			f.leave(ctx)
			return false
		}
	}
	return true
}

// result returns the result of f, which has landed.
func (f *flight[K, V]) result() (V, error) {
	if f.panic != nil {
		panic(f.panic)
	}
	return f.value, f.err
}

// leave removes a waiter. The last waiter cancels the load and unregisters it
// in the same step, so that no caller joins a canceled load.
func (f *flight[K, V]) leave(ctx context.Context) {
	f.shard.mu.Lock()
	defer f.shard.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if f.shard.flights[f.key] == f {
		delete(f.shard.flights, f.key)
	}
	f.cancel(context.Cause(ctx))
}
