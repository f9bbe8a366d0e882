package cache

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// GetOrLoadMany returns the values of keys. For keys without a value it joins
// the loads in progress, and calls load once with all other missing keys.
//
// load returns a map of values. A requested key that is not in the map does
// not exist: the result of GetOrLoadMany does not contain it, and other
// callers that wait for it get [ErrNotFound]. If load also returns an error,
// the missing keys have that error instead. Values of keys that were not
// requested are ignored.
//
// Each key follows the rules of [Cache.GetOrLoad], except that GetOrLoadMany
// never starts a refresh. An error of some keys does not remove the values of
// other keys from the result.
//
// Errors: the errors of all keys joined, without errors that match
// [ErrNotFound]. An error that several keys share is reported once.
func (c *Cache[K, V]) GetOrLoadMany(ctx context.Context, keys []K, load func(context.Context, []K) (map[K]V, error)) (map[K]V, error) {
	values := make(map[K]V, len(keys))
	flights, first, recursive, ended := c.joinMany(ctx, keys, values)
	c.launchMany(ctx, first, load)
	rest := flights
	defer func() { // rest is empty unless a load has panicked
		for _, f := range rest {
			if !f.landed() {
				f.leave(ctx)
			}
		}
	}()
	var errs []error
	reported := map[*bulkContext[K, V]]bool{} // the loads of several keys whose error is in errs
	for _, f := range flights {
		rest = rest[1:]
		if !f.await(ctx) {
			ended = c.newWaitError(ctx)
		} else if v, err := f.result(); err == nil {
			values[f.key] = v
		} else if !errtree.Is(err, ErrNotFound) && !reported[f.load] {
			errs = append(errs, err)
			reported[f.load] = f.load != nil
		}
	}
	return values, errors.Join(append(errs, recursive, ended)...)
}

// joinMany adds the present values to values, and returns the flights of the
// other keys. First are the flights that the caller must launch. Recursive and
// ended are the errors of keys that the caller cannot wait for. All functions
// of the user run, and may panic, before the first flight is registered.
func (c *Cache[K, V]) joinMany(ctx context.Context, keys []K, values map[K]V) (flights, first []*flight[K, V], recursive, ended error) {
	var missing []K
	seen := make(map[K]bool, len(keys))
	for _, k := range keys {
		if seen[k] {
			continue
		}
		seen[k] = true
		if n := c.get(k); n != nil {
			values[k] = n.load(c.word)
		} else if err := c.mayWait(ctx, k); err == ErrRecursive {
			recursive = err
		} else if err != nil {
			ended = err
		} else {
			missing = append(missing, k)
		}
	}
	for _, k := range missing {
		f, isFirst := c.join(k, false)
		if flights = append(flights, f); isFirst {
			first = append(first, f)
		}
	}
	return flights, first, recursive, ended
}

// launchMany starts one load for all the flights.
func (c *Cache[K, V]) launchMany(ctx context.Context, flights []*flight[K, V], load func(context.Context, []K) (map[K]V, error)) {
	if len(flights) == 0 {
		return
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	loading := &bulkContext[K, V]{ctx, c, make(map[K]*flight[K, V], len(flights))}
	keys := make([]K, len(flights))
	var wanted atomic.Int64
	wanted.Store(int64(len(flights)))
	for i, f := range flights {
		keys[i], f.load, loading.flights[f.key] = f.key, loading, f
		f.cancel = func(cause error) { // called by the last waiter of f
			if wanted.Add(-1) == 0 {
				cancel(cause)
			}
		}
	}
	go c.fly(loading, flights, cancel, func() {
		values, err := load(loading, keys)
		if err == nil {
			err = ErrNotFound
		}
		for _, f := range flights {
			v, ok := values[f.key]
			if f.value, f.err = v, nil; !ok {
				f.err = err
			}
		}
	})
}

// A bulkContext is the context of a loader of several keys. Its frames lead to
// the flights of all these keys.
type bulkContext[K comparable, V any] struct {
	context.Context
	cache   *Cache[K, V]
	flights map[K]*flight[K, V]
}

// Value returns the flight if key is the frame of a key that is loaded,
// otherwise the value of the parent context.
func (b *bulkContext[K, V]) Value(key any) any {
	if frame, ok := key.(frame[K, V]); ok && frame.cache == b.cache {
		if f := b.flights[frame.key]; f != nil {
			return f
		}
	}
	return b.Context.Value(key)
}
