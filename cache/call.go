package cache

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// A call is one call of a loader, for one flight or for several. It is also the
// context of the loader: it has the values of the context of the first caller,
// and ends when the loader returns or when call.cancel is called.
//
// The context that can be canceled is made when it is needed. A loader that
// returns at once then costs no more than its result.
type call[K comparable, V any] struct {
	cache      *Cache[K, V]
	flights    []*flight[K, V]
	byKey      map[K]*flight[K, V]     // of several flights
	one        [1]*flight[K, V]        // holds the flights of a call for one key
	versions   map[*shard[K, V]]uint64 // of the shards when the call began, if it is for several keys
	extra      []*node[K, V]           // the entries of values that were not requested
	background bool                    // no caller waits for it: its keys are no part of a recursion
	start      int64
	limit      atomic.Int64 // by LimitTTL, or never

	mu       sync.Mutex      // may be locked while the lock of a shard is held
	values   context.Context // never done
	inner    context.Context
	stop     context.CancelCauseFunc
	timer    *time.Timer // cancels a call that no caller waits for
	waiters  int         // callers that wait for any of the flights
	overdue  bool        // LoadTimeout has passed
	canceled bool
	left     bool // canceled because its callers left, and nothing stands in
	ended    bool
}

// A frame is the context key under which a loader finds its own flight.
type frame[K comparable, V any] struct {
	cache *Cache[K, V]
	key   K
}

func (frame[K, V]) isFrame() {}

// loadKey is the context key of the innermost call, as a loading.
type loadKey struct{}

type loading interface {
	limitTTL(d time.Duration)
	old() any
}

var _ context.Context = (*call[int, int])(nil)

func (l *call[K, V]) init(c *Cache[K, V]) {
	l.cache, l.start, l.values = c, c.now(), context.Background()
	l.limit.Store(never)
}

// Deadline returns false: each caller has a deadline of its own.
func (l *call[K, V]) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements context.Context.
func (l *call[K, V]) Done() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.context().Done()
}

// Err implements context.Context.
func (l *call[K, V]) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inner == nil && !l.ended {
		return nil
	}
	return l.context().Err()
}

// Value implements context.Context.
func (l *call[K, V]) Value(key any) any {
	switch k := key.(type) {
	case loadKey:
		return loading(l)
	case frame[K, V]:
		if k.cache == l.cache {
			if f := l.flight(k.key); f != nil {
				return f
			}
		}
	}
	if _, ok := key.(interface{ isFrame() }); ok && l.background {
		return nil
	}
	l.mu.Lock()
	ctx := l.values
	if l.inner != nil {
		ctx = l.inner
	}
	l.mu.Unlock()
	return ctx.Value(key)
}

// flight returns the flight of k, or nil.
func (l *call[K, V]) flight(k K) *flight[K, V] {
	if l.byKey != nil {
		return l.byKey[k]
	}
	if f := l.flights[0]; f.key == k {
		return f
	}
	return nil
}

// context returns the context that can be canceled. l.mu is held.
func (l *call[K, V]) context() context.Context {
	if l.inner == nil {
		l.inner, l.stop = context.WithCancelCause(l.values)
		if l.ended {
			l.stop(nil)
		}
	}
	return l.inner
}

// enter adds a waiter.
func (l *call[K, V]) enter() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiters++
}

// leave removes a waiter. When the last waiter has left, the call goes on if
// keep is true, until LoadTimeout after its start. Otherwise leave cancels it.
func (l *call[K, V]) leave(cause error, keep bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiters--; l.waiters > 0 || l.canceled {
		return
	}
	switch {
	case !keep:
		l.left = true
		l.cancel(cause)
	case l.overdue:
		l.cancel(errTimeout)
	default:
		l.limitTime()
	}
}

// cancel cancels the context of the loader. l.mu is held.
func (l *call[K, V]) cancel(cause error) {
	l.canceled = true
	l.context()
	l.stop(cause)
}

// limitTime arms the timer. l.mu is held.
func (l *call[K, V]) limitTime() {
	timeout := l.cache.config.Load().LoadTimeout
	if l.timer != nil || l.ended || timeout < 0 {
		return
	}
	l.timer = time.AfterFunc(timeout-time.Duration(l.cache.now()-l.start), func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.overdue = true; l.waiters == 0 && !l.canceled && !l.ended {
			l.cancel(errTimeout)
		}
	})
}

// end ends the context of the loader, which has returned.
func (l *call[K, V]) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	if l.timer != nil {
		l.timer.Stop()
	}
	if l.inner != nil {
		l.stop(nil)
	}
}

// state returns whether the call was canceled, and whether that was because
// its callers left.
func (l *call[K, V]) state() (canceled, left bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.canceled, l.left
}

// givenUp reports whether another call may begin although l has not ended: its
// loader ignores the cancellation.
func (l *call[K, V]) givenUp() bool {
	canceled, _ := l.state()
	timeout := l.cache.config.Load().LoadTimeout
	return canceled && timeout > 0 && l.cache.now()-l.start >= add(int64(timeout), timeout)
}

// A loadFunc is a loader for one key, a manyFunc a loader for several.
type (
	loadFunc[K comparable, V any] = func(context.Context, K) (V, error)
	manyFunc[K comparable, V any] = func(context.Context, []K) (map[K]V, error)
)

// launch starts the loader: one of load and many. Inline says that the loader
// runs in the goroutine of the caller.
func (l *call[K, V]) launch(ctx context.Context, load loadFunc[K, V], many manyFunc[K, V], inline bool) {
	if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	l.mu.Lock()
	l.values = ctx // before launch, others may already have joined and left
	if l.background {
		l.limitTime()
	}
	l.mu.Unlock()
	if inline {
		l.fly(load, many)
	} else {
		go l.fly(load, many)
	}
}

// fly calls the loader, stores the results and wakes the waiters, in this
// order, also if the loader calls runtime.Goexit.
func (l *call[K, V]) fly(load loadFunc[K, V], many manyFunc[K, V]) {
	defer l.close()
	defer l.land()
	l.run(load, many)
}

// run calls the loader and sets the fields of the flights that depend on its
// result.
func (l *call[K, V]) run(load loadFunc[K, V], many manyFunc[K, V]) {
	defer l.rescue()
	for _, f := range l.flights {
		f.err = errGoexit // unless the loader returns
	}
	if many != nil {
		l.runMany(many)
	} else {
		f := l.flights[0]
		f.value, f.err = load(l, f.key)
	}
	for _, f := range l.flights {
		l.evaluate(f)
	}
}

// evaluate applies the functions of the Config to the result of f.
func (l *call[K, V]) evaluate(f *flight[K, V]) {
	c := l.cache
	if f.err == nil {
		f.node = l.newNode(f.key, f.value, f.hash)
		return
	}
	f.missing = errtree.Is(f.err, ErrNotFound)
	if _, left := l.state(); left {
		return // the error is the fault of the callers
	}
	if keep := c.config.Load().ErrorTTL; keep != nil {
		f.keep = keep(f.err)
	}
}

// newNode returns the entry of a loaded value.
func (l *call[K, V]) newNode(k K, v V, hash uint32) *node[K, V] {
	ttl := min(l.cache.lifetime(k, v), time.Duration(l.limit.Load()))
	return l.cache.newNode(k, v, hash, ttl)
}

// rescue recovers a panic and keeps it for the waiting callers.
func (l *call[K, V]) rescue() {
	if r := recover(); r != nil {
		p := newPanicError(l.cache.config.Load().Name, r)
		for _, f := range l.flights {
			f.panic = p
		}
	}
}

// land stores the results and then reports the events, so that OnEvent finds
// the new values. A panic of OnEvent reaches the waiting callers like a panic
// of the loader.
func (l *call[K, V]) land() {
	defer l.rescue()
	c := l.cache
	took := time.Duration(c.now() - l.start)
	var gone departed[K, V]
	for _, f := range l.flights {
		for !f.shard.settle(f, took, &gone) {
			c.evictElsewhere(f.shard, &gone)
		}
		took = 0 // all flights share one call of the loader
	}
	for _, n := range l.extra {
		l.keepExtra(n, &gone)
	}
	c.emit(l, &gone)
	if _, left := l.state(); !left {
		c.reportFailures(l, l.flights)
	}
}

// close ends the context of the loader and wakes the waiters.
func (l *call[K, V]) close() {
	l.end()
	for _, f := range l.flights {
		f.landed.Store(true)
		if f.done != nil {
			close(f.done)
		}
	}
}

// Old returns the value that the load of ctx is to replace: the value that
// Config.Refresh or Reload loads again, or the stale value that answers if the
// load fails. It reports whether there is such a value. A loader can use it for
// a conditional request, and return it again if the origin reports no change.
//
// In a loader for several keys, the old values are a map: V is map[K]V.
func Old[V any](ctx context.Context) (old V, ok bool) {
	if l, in := ctx.Value(loadKey{}).(loading); in {
		old, ok = l.old().(V)
	}
	return old, ok
}

func (l *call[K, V]) old() any {
	values := make(map[K]V)
	for _, f := range l.flights {
		if f.before != nil {
			values[f.key] = f.before.load(l.cache.word)
		}
	}
	switch {
	case len(values) == 0:
		return nil
	case l.byKey == nil:
		return values[l.flights[0].key]
	}
	return values
}

// LimitTTL limits the lifetime of the value that the load of ctx returns to d.
// If d <= 0, the value answers the waiting callers and is not kept. Loaders
// call it when the origin names a lifetime. Several calls take the shortest
// time. Outside a load, LimitTTL does nothing.
func LimitTTL(ctx context.Context, d time.Duration) {
	if l, in := ctx.Value(loadKey{}).(loading); in {
		l.limitTTL(d)
	}
}

func (l *call[K, V]) limitTTL(d time.Duration) {
	for {
		old := l.limit.Load()
		if int64(d) >= old || l.limit.CompareAndSwap(old, int64(d)) {
			return
		}
	}
}
