package cache

import (
	"context"
	"errors"
	"time"
)

// A flight is one call of a loader and those who wait for it.
//
// Its result is stored only while the flight is registered under its key in Cache.flights. Registering, unregistering
// and storing the result happen under the cache's mutex, so a write, a Delete or a Clear during the load unregisters it
// and is never overwritten, and of the calls for one key at most one is registered at any time.
type flight[V any] struct {
	done    chan struct{} // closed when value, err and panic are final
	value   V
	err     error
	panic   *PanicError
	missing bool          // err is an ErrNotFound
	keep    time.Duration // how long to remember err

	cancel  context.CancelCauseFunc // of the loader's context
	waiters int                     // guarded by Cache.mu
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
// is then dropped.
//
// Set, Delete and the like win over a load under way: its result goes to those who already wait and is not stored.
//
// GetOrLoad returns the error of load as it is; a [*CachedError] that wraps one remembered from an earlier load;
// [ErrRecursive] if ctx is the context of a load of k; and, if ctx is done while the value is not at hand, an error that
// matches ctx.Err() and context.Cause(ctx). If load panics it panics with a [*PanicError] in all who wait; if load calls
// runtime.Goexit they get an error.
func (c *Cache[K, V]) GetOrLoad(ctx context.Context, k K, load func(context.Context, K) (V, error)) (V, error) {
	v, ok := c.get(ctx, k)
	if ok {
		return v, nil
	}
	if ctx.Err() != nil {
		return v, newContextError(ctx)
	}
	if f, ok := ctx.Value(frame[K, V]{c, k}).(*flight[V]); ok && !f.landed() {
		return v, ErrRecursive
	}
	f, loadCtx := c.join(ctx, k)
	if loadCtx != nil {
		go c.fly(loadCtx, k, f, load)
	}
	return c.wait(ctx, k, f)
}

// join returns the flight to wait for. If that is a new one, join also returns the context to fly it with. The answer is
// looked for once more under the lock that registers the flight: another one may have landed since the caller missed.
func (c *Cache[K, V]) join(ctx context.Context, k K) (*flight[V], context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.flights[k]; f != nil {
		f.waiters++
		return f, nil
	}
	f := &flight[V]{done: make(chan struct{}), waiters: 1}
	if c.recall(k, f) {
		close(f.done)
		return f, nil
	}
	if equal(k, k) { // else it could not be unregistered; each NaN is loaded for itself
		c.flights[k] = f
	}
	// None of the three calls a method of ctx, which would be the user's code under the lock.
	ctx, f.cancel = context.WithCancelCause(context.WithoutCancel(ctx))
	return f, context.WithValue(ctx, frame[K, V]{c, k}, f)
}

// recall fills f with what the cache knows of k: a fresh value, or while an error is remembered the stale value or that
// error. It reports whether there is any. c.mu is held.
func (c *Cache[K, V]) recall(k K, f *flight[V]) bool {
	e, age := c.entries.find(k)
	if e != nil && age == fresh {
		c.entries.touch(e)
		f.value = e.value
		return true
	}
	failure, errAge := c.errs.find(k)
	switch {
	case failure == nil || errAge != fresh:
		return false
	case e != nil && age == stale:
		c.serveStale(e, f)
	default:
		c.stats.ErrorHits++
		f.err = &CachedError{Err: failure.value, Left: c.errs.left(failure)}
	}
	return true
}

// serveStale answers all who wait for f with the value of e. That is a use of e. c.mu is held.
func (c *Cache[K, V]) serveStale(e *entry[K, V], f *flight[V]) {
	c.entries.touch(e)
	c.stats.StaleHits += uint64(f.waiters)
	f.value, f.err = e.value, nil
}

// fly calls load and lands f, whether load returns, panics or calls runtime.Goexit. The deferred calls run from the last
// to the first; a panic in OnEvent, which land calls, goes the same way as one in load.
func (c *Cache[K, V]) fly(ctx context.Context, k K, f *flight[V], load func(context.Context, K) (V, error)) {
	defer close(f.done)
	defer f.cancel(nil)
	defer f.rescue()
	defer c.land(ctx, k, f, time.Now())
	defer f.rescue()
	f.err = errGoexit // unless load returns
	f.value, f.err = load(ctx, k)
	if f.err != nil {
		f.missing = errors.Is(f.err, ErrNotFound)
		if c.config.ErrorTTL != nil {
			f.keep = c.config.ErrorTTL(f.err)
		}
	}
}

// rescue keeps a panic for those who wait. If nobody does, it is only counted, as a failed load.
func (f *flight[V]) rescue() {
	if r := recover(); r != nil {
		f.panic = newPanicError(r)
	}
}

func (f *flight[V]) landed() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// land settles f and reports what departed, in this order, so that OnEvent already finds the value.
func (c *Cache[K, V]) land(ctx context.Context, k K, f *flight[V], start time.Time) {
	c.emit(ctx, c.settle(k, f, time.Since(start)))
}

// settle counts the load and, if f is still registered, unregisters it and stores its result in one step.
func (c *Cache[K, V]) settle(k K, f *flight[V], took time.Duration) (gone Event[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := f.panic == nil && f.err == nil
	c.stats.Loads++
	c.stats.LoadTime += took
	if !ok {
		c.stats.LoadErrors++
	}
	switch {
	case c.flights[k] != f:
		return gone
	case ok:
		return c.put(k, f.value, 0)
	}
	delete(c.flights, k)
	return c.fail(k, f)
}

// fail does what is to be done about the failed f: it remembers the error, and answers with the stale value. If there is
// no such key any more, the stale value must not come back with a later failure either, and goes. c.mu is held.
func (c *Cache[K, V]) fail(k K, f *flight[V]) (gone Event[K, V]) {
	if f.panic != nil {
		return gone
	}
	if f.keep > 0 {
		c.errs.put(k, f.err, f.keep)
	}
	e, age := c.entries.find(k)
	switch {
	case e == nil:
	case f.missing:
		gone = c.entries.remove(e, age, Expired)
	case age == stale:
		c.serveStale(e, f)
	}
	return gone
}

// wait returns the result of f, or leaves it when ctx is done first. A result that is there wins.
func (c *Cache[K, V]) wait(ctx context.Context, k K, f *flight[V]) (V, error) {
	select {
	case <-f.done:
	case <-ctx.Done():
		if !f.landed() {
			c.leave(ctx, k, f)
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
func (c *Cache[K, V]) leave(ctx context.Context, k K, f *flight[V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiters--; f.waiters > 0 {
		return
	}
	if c.flights[k] == f {
		delete(c.flights, k)
	}
	f.cancel(context.Cause(ctx))
}
