package cache

import (
	"context"
	"errors"
	"time"
)

// A flight is one load of one key and those who wait for it.
//
// Its result is stored only while the flight is registered under its key in shard.flights. Registering, unregistering
// and storing the result happen under the lock of the shard, so a write, a Delete or a Clear during the load unregisters it
// and is never overwritten, and of the loads of one key at most one is registered at any time.
type flight[K comparable, V any] struct {
	key    K
	hash   uint32
	shard  *shard[K, V]
	renews *node[K, V] // what a refresh is to replace; one that nobody waits for replaces nothing else
	forced bool        // by Reload: no expired value stands in for the result

	done    chan struct{} // closed when value, err and panic are final
	value   V
	node    *node[K, V] // the entry made of value
	err     error
	panic   *PanicError
	missing bool          // err is an ErrNotFound
	keep    time.Duration // how long to remember err

	cancel  context.CancelCauseFunc // of the loader's context
	waiters int                     // a refresh itself is one, which never leaves; guarded by shard.mu
}

// A frame is the context key under which a loader finds its own flight.
type frame[K comparable, V any] struct {
	cache *Cache[K, V]
	key   K
}

// GetOrLoad returns the value of k as Get does. If there is none it calls load, stores the value and returns it. However
// many goroutines ask for k at the same time, load runs once, and they all get what it returned; an error is stored only
// as Config.ErrorTTL says.
//
// Load runs in a goroutine of its own. Its context has the values of the caller's that came first, but neither its
// deadline nor its cancellation: it is cancelled when load returns, or when the last one who waits has gone. Each caller
// waits no longer than its own context allows. A load that ignores its context may outlive GetOrLoad; its result
// is then dropped. So may one that Config.Refresh has begun, for which nobody waits: let load limit its own time.
//
// Set, Delete and the like win over a load under way: its result goes to those who already wait and is not stored.
//
// GetOrLoad returns the error of load as it is; a [*CachedError] that wraps one remembered from an earlier load;
// [ErrRecursive] if ctx is the context of a load of k; and, if ctx is done while the value is not at hand, an error that
// matches ctx.Err() and context.Cause(ctx). If load panics it panics with a [*PanicError] in all who wait; if load calls
// runtime.Goexit they get an error.
func (c *Cache[K, V]) GetOrLoad(ctx context.Context, k K, load func(context.Context, K) (V, error)) (V, error) {
	if n := c.get(k); n != nil {
		if c.config.Refresh > 0 {
			c.refresh(ctx, n, load)
		}
		return n.load(c.word), nil
	}
	var none V
	if err := c.mayWait(ctx, k); err != nil {
		return none, err
	}
	f, first := c.join(k)
	if first {
		c.launch(ctx, f, load)
	}
	return c.wait(ctx, f)
}

// Reload calls load, stores the value in place of what k had, and returns it. It does not join a load that began before,
// whose result is not stored then: so after a change at the origin it brings in a value that is not older. Until
// it has returned the old value remains, and also afterwards if load fails, unless with an [ErrNotFound].
//
// Load runs as in [Cache.GetOrLoad], which callers may join. Reload returns the error of load as it is, [ErrRecursive], or
// that of the context; a remembered error or an expired value do not stand in.
func (c *Cache[K, V]) Reload(ctx context.Context, k K, load func(context.Context, K) (V, error)) (V, error) {
	var none V
	if err := c.mayWait(ctx, k); err != nil {
		return none, err
	}
	f := c.newFlight(k)
	f.forced = true
	f.shard.locked(func() bool { f.register(); return true })
	c.launch(ctx, f, load)
	return c.wait(ctx, f)
}

// refresh loads n anew in the background if that is due and nobody has begun it.
func (c *Cache[K, V]) refresh(ctx context.Context, n *node[K, V], load func(context.Context, K) (V, error)) {
	due := n.attrs.refresh.Load()
	if due == never || c.now() < due || !n.attrs.refresh.CompareAndSwap(due, never) {
		return
	}
	f := c.newFlight(n.key)
	f.renews = n
	first := f.shard.locked(func() bool {
		if f.shard.flights[f.key] != nil || f.shard.find(f.hash, f.key) != n {
			return false
		}
		f.register()
		return true
	})
	if first {
		c.launch(ctx, f, load)
	} else {
		c.postpone(n)
	}
}

// postpone lets the next refresh of n, whose last one came to nothing, be due again some time later.
func (c *Cache[K, V]) postpone(n *node[K, V]) {
	n.attrs.refresh.CompareAndSwap(never, later(c.now(), c.config.Refresh))
}

// mayWait returns why a caller with this context cannot wait for a load of k, or nil.
func (c *Cache[K, V]) mayWait(ctx context.Context, k K) error {
	if ctx.Err() != nil {
		return newContextError(ctx)
	}
	if f, ok := ctx.Value(frame[K, V]{c, k}).(*flight[K, V]); ok && !f.landed() {
		return ErrRecursive
	}
	return nil
}

func (c *Cache[K, V]) newFlight(k K) *flight[K, V] {
	s, hash := c.locate(k)
	return &flight[K, V]{key: k, hash: hash, shard: s, done: make(chan struct{}), waiters: 1}
}

// register makes f the load of its key. f.shard.mu is held.
func (f *flight[K, V]) register() {
	if equal(f.key, f.key) { // else it could not be unregistered; each NaN is loaded for itself
		f.shard.flights[f.key] = f
	}
}

// join returns the flight to wait for, and whether the caller is the first and has to launch it. The answer is looked for
// once more under the lock that registers the flight: another one may have landed since the caller missed.
func (c *Cache[K, V]) join(k K) (f *flight[K, V], first bool) {
	s, _ := c.locate(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flights[k]; f != nil {
		f.waiters++
		return f, false
	}
	f = c.newFlight(k)
	if c.recall(f) {
		close(f.done)
		return f, false
	}
	f.register()
	return f, true
}

// recall fills f with what the cache knows of its key: a fresh value, or while an error is remembered the stale value or
// that error. It reports whether there is any. f.shard.mu is held.
func (c *Cache[K, V]) recall(f *flight[K, V]) bool {
	n := f.shard.find(f.hash, f.key)
	if n != nil && c.use(n) {
		f.shard.queues.used(n)
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
		c.serveStale(n, f)
	default:
		f.shard.stats.ErrorHits++
		f.err = &CachedError{Err: failure.value, Left: left}
	}
	return true
}

// remaining returns the entry of k, or nil if it has none that is fresh, and how long it stays so.
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

// serveStale answers all who wait for f with the value of n. That is a use of n. f.shard.mu is held.
func (c *Cache[K, V]) serveStale(n *node[K, V], f *flight[K, V]) {
	f.shard.queues.used(n)
	waiters := f.waiters
	if f.renews != nil {
		waiters--
	}
	f.shard.stats.StaleHits += uint64(waiters)
	f.value, f.err = n.load(c.word), nil
}

// launch begins the load of f.
func (c *Cache[K, V]) launch(ctx context.Context, f *flight[K, V], load func(context.Context, K) (V, error)) {
	ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	ctx = context.WithValue(ctx, frame[K, V]{c, f.key}, f)
	go c.fly(ctx, []*flight[K, V]{f}, f.cancel, func() { f.value, f.err = load(ctx, f.key) })
}

// fly calls load, which sets the results of the flights, and lands them, whether load returns, panics or calls
// runtime.Goexit. The deferred calls run from the last to the first; a panic in OnEvent, which land calls, goes the
// same way as one in load.
func (c *Cache[K, V]) fly(ctx context.Context, flights []*flight[K, V], cancel context.CancelCauseFunc, load func()) {
	defer func() {
		for _, f := range flights {
			close(f.done)
		}
	}()
	defer cancel(nil)
	defer rescue(flights)
	defer c.land(ctx, flights, time.Now())
	defer rescue(flights)
	for _, f := range flights {
		f.err = errGoexit // unless load returns
	}
	load()
	for _, f := range flights {
		c.evaluate(f)
	}
}

// evaluate asks the Config about the result of f.
func (c *Cache[K, V]) evaluate(f *flight[K, V]) {
	if f.err == nil {
		f.node = c.newNode(f.key, f.value, f.hash, c.lifetime(f.key, f.value))
		return
	}
	f.missing = errors.Is(f.err, ErrNotFound)
	if c.config.ErrorTTL != nil {
		f.keep = c.config.ErrorTTL(f.err)
	}
}

// rescue keeps a panic for those who wait. If nobody does, it is only counted, as a failed load.
func rescue[K comparable, V any](flights []*flight[K, V]) {
	if r := recover(); r != nil {
		p := newPanicError(r)
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

// land settles the flights and reports what departed, in this order, so that OnEvent already finds the values.
func (c *Cache[K, V]) land(ctx context.Context, flights []*flight[K, V], start time.Time) {
	var gone departed[K, V]
	took := time.Since(start)
	for _, f := range flights {
		ok := f.err == nil && f.panic == nil
		f.shard.count(ok, took)
		took = 0 // one call of the loader
		c.attempt(f.shard, &gone, func() bool { return c.settle(f, ok, &gone) })
	}
	c.emit(ctx, &gone)
}

func (s *shard[K, V]) count(ok bool, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Loads++
	s.stats.LoadTime += took
	if !ok {
		s.stats.LoadErrors++
	}
}

// settle stores the result of f and unregisters it in one step, if it is still registered. It reports false if there is
// no room for it yet. f.shard.mu is held.
func (c *Cache[K, V]) settle(f *flight[K, V], ok bool, gone *departed[K, V]) bool {
	s := f.shard
	if f.renews != nil {
		c.postpone(f.renews) // which matters if it stays
	}
	if s.flights[f.key] != f {
		return true
	}
	present := s.find(f.hash, f.key)
	switch {
	case !ok:
		c.fail(f, present, gone)
	case f.renews != nil && f.renews != present && f.waiters == 1:
		// Evicted meanwhile, and not asked for since.
	case !c.put(s, present, f.node, f.renews == nil, gone):
		return false
	}
	if ok {
		c.detach(s, f.key)
	}
	delete(s.flights, f.key)
	return true
}

// fail does what is to be done about the failed f: it remembers the error, and answers with the stale value. If there is
// no such key any more, the old value must not come back with a later failure either, and goes. f.shard.mu is held.
func (c *Cache[K, V]) fail(f *flight[K, V], present *node[K, V], gone *departed[K, V]) {
	if f.panic != nil {
		return
	}
	if f.keep > 0 {
		c.errs.SetTTL(f.key, f.err, f.keep)
	}
	switch {
	case present == nil:
	case f.missing:
		c.remove(f.shard, present, CauseExpired, gone)
	case !f.forced && c.age(present) == stale:
		c.serveStale(present, f)
	}
}

// wait returns the result of f, or leaves it when ctx is done first. A result that is there wins.
func (c *Cache[K, V]) wait(ctx context.Context, f *flight[K, V]) (V, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		if !f.landed() {
			f.leave(ctx)
			var none V
			return none, newContextError(ctx)
		}
	}
	if f.panic != nil {
		panic(f.panic)
	}
	return f.value, f.err
}

// leave counts one waiter out. The last one cancels the load and unregisters it in the same step, so that nobody joins a
// load that is about to die.
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
