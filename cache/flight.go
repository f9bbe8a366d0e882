package cache

import (
	"context"
	"sync/atomic"
	"time"
)

// A flight is the load of one key, together with the callers that wait for it.
//
// Its result is stored only while the flight is registered under its key in
// shard.flights. Registering, unregistering and storing happen under the lock
// of the shard. A write, Delete or Clear during the load unregisters the
// flight, so that the load cannot overwrite it. At most one flight of a key is
// registered at any time. A flight stays registered until its loader returns,
// also if no caller waits for it any longer.
type flight[K comparable, V any] struct {
	key    K
	hash   uint32
	shard  *shard[K, V]
	call   *call[K, V]
	renews *node[K, V] // the entry that a refresh replaces, otherwise nil
	before *node[K, V] // the entry that the loader finds with Old, or nil

	// Guarded by shard.mu until the flight has landed.
	old     *node[K, V] // stands in if its key has no entry; nil after an invalidation
	waiters int
	done    chan struct{} // closed when the flight has landed; nil if no other goroutine waits

	// Final when the flight has landed.
	landed  atomic.Bool
	failed  bool // the loader returned an error or panicked
	missing bool // err matches ErrNotFound
	value   V
	node    *node[K, V] // the entry for value
	err     error
	panic   *PanicError
	keep    time.Duration // how long to remember err
}

// GetOrLoad returns the value of k, as Get does. If k has none, GetOrLoad
// calls load, stores the value and returns it. Concurrent callers for the same
// k share one call of load and its result. An error is remembered only if
// Config.ErrorTTL is set.
//
// Each caller waits only as long as its own context allows. If
// Config.StaleIfError is set and the cache has a stale value, that value
// answers in place of an error, a panic, and the end of the context. It also
// answers when a caller has waited as long as Config.StaleIfSlow allows. The
// load then goes on, and its result is stored.
//
// load gets the values of the first caller's context but not its deadline or
// cancellation. The context of load is canceled when load returns. It is also
// canceled when no caller waits any longer, immediately if there is no stale
// value, otherwise by Config.LoadTimeout. load runs in its own goroutine,
// unless the first caller's context cannot end. [Old] returns the value that
// load is to replace, and [LimitTTL] limits the lifetime of its result.
//
// At most one call of load for a key runs at any time. If load ignores its
// context, later callers wait for it, each as long as its own context allows,
// until twice LoadTimeout has passed. There are two exceptions: Reload, and a
// key that was written or deleted during the load.
//
// If k is written, deleted or cleared during the load, the callers that
// already wait get the result of the load, and the result is not stored.
//
// If load panics, GetOrLoad panics with a [*PanicError] in every waiting
// caller. If load calls [runtime.Goexit], the waiting callers get an error.
//
// Errors: GetOrLoad returns the error of load unchanged. It also returns:
//   - a [*CachedError] while the error of an earlier load is remembered;
//   - [ErrRecursive] if ctx is the context of a load of k;
//   - if ctx ends during the wait, an error that matches ctx.Err() and
//     [context.Cause](ctx).
func (c *Cache[K, V]) GetOrLoad(ctx context.Context, k K, load func(context.Context, K) (V, error)) (V, error) {
	if n := c.get(k); n != nil {
		if c.refreshDue(n) {
			c.refresh(ctx, n, load)
		}
		return n.load(c.word), nil
	}
	return c.miss(ctx, k, load, false)
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
	return c.miss(ctx, k, load, true)
}

// miss answers a lookup that found no value, or if forced, a Reload.
func (c *Cache[K, V]) miss(ctx context.Context, k K, load loadFunc[K, V], forced bool) (V, error) {
	for {
		at := c.arrive(ctx, k, request[K, V]{forced: forced})
		if at.flight == nil {
			return at.value, at.err
		}
		if at.first {
			at.flight.call.launch(ctx, load, nil, at.inline)
		}
		if v, err, end := c.wait(ctx, at, forced); end != again {
			return v, err
		}
	}
}

// A seat is the place of a caller that has missed.
type seat[K comparable, V any] struct {
	flight *flight[K, V] // to wait for; nil if value and err are the answer
	first  bool          // the caller must launch the flight,
	inline bool          // in its own goroutine
	until  int64         // when an old value answers, or never
	value  V
	err    error
}

// arrive joins the flight of k or registers a new flight. If forced, it is a
// new flight in any case.
func (c *Cache[K, V]) arrive(ctx context.Context, k K, r request[K, V]) seat[K, V] {
	s, hash := c.locate(k)
	if err := c.mayWait(ctx, k); err != nil {
		if err != ErrRecursive && !r.forced {
			if v, ok := s.substitute(k, hash, nil); ok {
				return seat[K, V]{value: v}
			}
		}
		return seat[K, V]{err: err}
	}
	return s.join(ctx, hash, k, r)
}

// mayWait returns the reason why a caller with this context cannot wait for a
// load of k, or nil.
func (c *Cache[K, V]) mayWait(ctx context.Context, k K) error {
	if ctx.Err() != nil {
		return c.newWaitError(ctx)
	}
	if ctx.Value(loadKey{}) == nil {
		return nil
	}
	if f, ok := ctx.Value(frame[K, V]{c, k}).(*flight[K, V]); ok && !f.landed.Load() {
		return ErrRecursive
	}
	return nil
}

// A request says how a caller joins a flight.
type request[K comparable, V any] struct {
	forced bool        // by Reload
	apart  bool        // with other keys: the loader runs in a goroutine of its own
	call   *call[K, V] // the call that a new flight belongs to, or nil
}

// join is arrive for a caller that may wait.
func (s *shard[K, V]) join(ctx context.Context, hash uint32, k K, r request[K, V]) seat[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.find(hash, k)
	if r.forced {
		s.version++
	} else if at, ok := s.recall(n, k); ok {
		return at
	}
	at := seat[K, V]{flight: s.flights[k], until: never}
	if at.first = at.flight == nil || r.forced || at.flight.call.givenUp(); at.first {
		at.flight = s.newFlight(k, hash, r.call)
	}
	f := at.flight
	f.waiters++
	f.call.enter()
	if n != nil && s.cache.age(n) != dead {
		f.old = n
	}
	if at.first {
		f.before = f.old
	}
	if !r.forced && f.old != nil {
		at.until = s.cache.patience(ctx, f.call.start)
	}
	at.inline = at.first && !r.apart && at.until == never && ctx.Done() == nil
	if !at.inline && f.done == nil {
		f.done = make(chan struct{})
	}
	return at
}

// recall returns the answer that needs no load. That is the value of n, the
// entry of k, if it is fresh. While an error is remembered, it is the stale
// value or that error. N may be nil. A fresh value is of a flight that landed
// after the lookup of the caller.
func (s *shard[K, V]) recall(n *node[K, V], k K) (at seat[K, V], ok bool) {
	c := s.cache
	if n != nil && c.use(n) {
		s.queues.used(n)
		return seat[K, V]{value: n.load(c.word)}, true
	}
	errs := c.errs.Load()
	if errs == nil {
		return at, false
	}
	failure, left := errs.remaining(k)
	switch {
	case failure == nil || s.flights[k] != nil:
		return at, false
	case n != nil && c.age(n) == stale:
		at.value = s.serve(n)
	default:
		s.stats.ErrorHits++
		at.err = &CachedError{Name: c.config.Load().Name, Err: failure.value, Left: left}
	}
	return at, true
}

// patience returns the instant at which an old value answers a caller that
// arrives now, or never.
func (c *Cache[K, V]) patience(ctx context.Context, start int64) int64 {
	slow := c.config.Load().StaleIfSlow
	if slow < 0 {
		return never
	}
	until := int64(never)
	if slow > 0 {
		until = add(start, slow)
	}
	if end, ok := ctx.Deadline(); ok {
		now := c.now()
		until = min(until, add(now, max(time.Until(end)/2, 0)))
	}
	return until
}

// newFlight registers and returns a new flight of k, in place of any other. It
// belongs to the call, or if that is nil, to a new call. A key that is not
// equal to itself could not be unregistered: each caller loads a NaN for
// itself.
func (s *shard[K, V]) newFlight(k K, hash uint32, l *call[K, V]) *flight[K, V] {
	var f *flight[K, V]
	if l == nil {
		both := &struct { // one allocation
			flight flight[K, V]
			call   call[K, V]
		}{}
		f, l = &both.flight, &both.call
		l.init(s.cache)
		l.one[0] = f
		l.flights = l.one[:]
	} else {
		f = new(flight[K, V])
		l.flights = append(l.flights, f)
		l.byKey[k] = f
	}
	f.key, f.hash, f.shard, f.call = k, hash, s, l
	if equal(k, k) {
		s.flights[k] = f
	}
	return f
}

// detach unregisters the flight of k, whose result is then not stored, and
// forgets the remembered error of k. The load still answers the callers that
// wait for it. Remembered errors change only while the lock of the shard of
// their key is held.
func (s *shard[K, V]) detach(k K) {
	s.version++
	if len(s.flights) > 0 {
		if f := s.flights[k]; f != nil {
			f.old = nil
			delete(s.flights, k)
		}
	}
	s.forgetError(k)
}

func (s *shard[K, V]) forgetError(k K) {
	if errs := s.cache.errs.Load(); errs != nil && errs.Len() > 0 {
		errs.Delete(k)
	}
}

// refreshDue reports whether n should be loaded again.
func (c *Cache[K, V]) refreshDue(n *node[K, V]) bool {
	if n.attrs == nil {
		return false
	}
	due := n.attrs.refresh.Load()
	return due != never && c.now() >= due && c.config.Load().Refresh > 0 && n.attrs.refresh.CompareAndSwap(due, never)
}

// refresh loads n again in the background, unless a flight of its key is in
// progress.
func (c *Cache[K, V]) refresh(ctx context.Context, n *node[K, V], load loadFunc[K, V]) {
	s, _ := c.locate(n.key)
	if f := s.renew(n, nil); f != nil {
		f.call.background = true
		f.call.launch(ctx, load, nil, false)
	}
}

// renew registers a flight that refreshes n. It returns nil if a flight of the
// key is in progress or n is not its entry any more.
func (s *shard[K, V]) renew(n *node[K, V], l *call[K, V]) *flight[K, V] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flights[n.key] != nil || s.find(n.hash, n.key) != n {
		s.cache.postpone(n)
		return nil
	}
	f := s.newFlight(n.key, n.hash, l)
	f.renews, f.old, f.before = n, n, n
	return f
}

// postpone makes the next refresh of n, whose last refresh has ended, due
// after another Config.Refresh.
func (c *Cache[K, V]) postpone(n *node[K, V]) {
	n.attrs.refresh.CompareAndSwap(never, later(c.now(), c.config.Load().Refresh))
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

// settle stores the result of f and unregisters f in one step, if f is still
// registered, and counts the load. It reports whether it was done: if not,
// another shard must make room first.
func (s *shard[K, V]) settle(f *flight[K, V], took time.Duration, gone *departed[K, V]) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.failed = f.err != nil || f.panic != nil
	if f.renews != nil {
		s.cache.postpone(f.renews) // in case it stays
	}
	if s.flights[f.key] == f {
		present := s.find(f.hash, f.key)
		switch {
		case f.failed:
			s.fail(f, present, gone)
			delete(s.flights, f.key)
		case f.renews != nil && f.renews != present && f.waiters == 0:
			// The entry has left and no caller has asked for it since.
			delete(s.flights, f.key)
		case !s.put(present, f.node, f.renews == nil, gone):
			return false
		default:
			delete(s.flights, f.key)
			s.forgetError(f.key)
		}
	}
	s.stats.Loads++
	s.stats.LoadTime += took
	switch {
	case f.missing:
		s.stats.NotFound++
	case f.failed:
		s.stats.LoadErrors++
		if f.renews != nil {
			s.stats.RefreshErrors++
		}
	}
	return true
}

// fail remembers the error of f. If the origin reports that the key does not
// exist, the entry is removed: its value must not come back after a later
// failure.
func (s *shard[K, V]) fail(f *flight[K, V], present *node[K, V], gone *departed[K, V]) {
	if f.keep > 0 && f.panic == nil {
		s.cache.errs.Load().SetTTL(f.key, f.err, f.keep)
	}
	if f.missing && present != nil {
		s.remove(present, CauseExpired, gone)
	}
}

// An ending is how the wait of a caller ended.
type ending uint8

const (
	answered ending = iota // by the load, or by an old value
	gone                   // with the context of the caller
	again                  // the caller must arrive again
)

// wait returns the result for a caller of this seat.
func (c *Cache[K, V]) wait(ctx context.Context, at seat[K, V], forced bool) (v V, err error, end ending) {
	f := at.flight
	for !f.await(ctx, at.until) {
		ended := ctx.Err() != nil
		v, ok := f.leave(ctx, ended, forced)
		if ok {
			return v, nil, answered
		}
		if ended {
			return v, c.newWaitError(ctx), gone
		}
		at.until = never // the old value is gone
	}
	if f.failed {
		if canceled, _ := f.call.state(); canceled {
			return v, nil, again // it was canceled before this caller came
		}
		if !f.missing && !forced {
			if v, ok := f.shard.substitute(f.key, f.hash, f); ok {
				return v, nil, answered
			}
		}
	}
	if f.panic != nil {
		panic(f.panic)
	}
	return f.value, f.err, answered
}

// await waits for f until ctx ends or the instant until. It reports whether f
// has landed.
func (f *flight[K, V]) await(ctx context.Context, until int64) bool {
	if f.landed.Load() {
		return true
	}
	var slow <-chan time.Time
	if until != never {
		wait := until - f.call.cache.now()
		if wait <= 0 {
			return false
		}
		timer := time.NewTimer(time.Duration(wait))
		defer timer.Stop()
		slow = timer.C
	}
	select {
	case <-f.done:
		return true
	case <-slow:
	case <-ctx.Done():
	}
	return f.landed.Load()
}

// leave removes a waiter and returns the value that answers it, if any. A
// caller whose context has not ended stays if there is none. The call ends with
// its last waiter, unless a stale value answers meanwhile.
func (f *flight[K, V]) leave(ctx context.Context, ended, forced bool) (v V, ok bool) {
	s := f.shard
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.standIn(f.key, f.hash, f)
	if n == nil && !ended {
		return v, false
	}
	f.waiters--
	f.call.leave(context.Cause(ctx), f.renews != nil || n != nil && s.cache.age(n) == stale)
	if n == nil || forced {
		return v, false
	}
	return s.serve(n), true
}

// substitute returns the value that answers in place of an error of f, or if f
// is nil, in place of a load of k.
func (s *shard[K, V]) substitute(k K, hash uint32, f *flight[K, V]) (v V, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.standIn(k, hash, f); n != nil {
		return s.serve(n), true
	}
	return v, false
}

// standIn returns the fresh or stale entry of k, or the entry that k had when
// f began, or nil.
func (s *shard[K, V]) standIn(k K, hash uint32, f *flight[K, V]) *node[K, V] {
	n := s.find(hash, k)
	if (n == nil || s.cache.age(n) == dead) && f != nil {
		n = f.old
	}
	if n == nil || s.cache.age(n) == dead {
		return nil
	}
	return n
}

// serve returns the value of n, which is fresh or stale, and marks n as used.
func (s *shard[K, V]) serve(n *node[K, V]) V {
	if s.cache.age(n) == stale {
		s.stats.StaleHits++
	}
	if s.find(n.hash, n.key) == n {
		s.queues.used(n)
	}
	return n.load(s.cache.word)
}
