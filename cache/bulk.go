package cache

import (
	"context"
	"errors"
	"sync/atomic"
)

// GetOrLoadMany returns the values of those keys that have one. For the others it calls load once, with those that nobody
// else is loading; it joins the loads of those that somebody is. Load returns a map of the values. A key that is not in it
// does not exist: its other waiters get an [ErrNotFound], and the result of GetOrLoadMany has no entry for it. If load returns
// an error too, that is the result of the missing keys. Keys that load was not asked for are ignored.
//
// Everything else is as in [Cache.GetOrLoad], for each key: an error of some does not take away the values of others.
// GetOrLoadMany returns the errors of all keys joined, but for those that are an ErrNotFound, each once, and with them the
// values there are.
func (c *Cache[K, V]) GetOrLoadMany(ctx context.Context, keys []K, load func(context.Context, []K) (map[K]V, error)) (map[K]V, error) {
	values := make(map[K]V, len(keys))
	flights, first, err := c.joinMany(ctx, keys, values)
	c.launchMany(ctx, first, load)
	rest := flights
	defer func() { // there is a rest only if a load has panicked
		for _, f := range rest {
			if !f.landed() {
				f.leave(ctx)
			}
		}
	}()
	for _, f := range flights {
		v, failure := c.wait(ctx, f)
		rest = rest[1:]
		switch {
		case failure == nil:
			values[f.key] = v
		case !errors.Is(failure, ErrNotFound) && !errors.Is(err, failure):
			err = errors.Join(err, failure)
		}
	}
	return values, err
}

// joinMany puts the values at hand into values, and returns the flights to wait for, those the caller is to launch
// being first, and why some keys cannot be waited for. All that is the user's runs, and may panic, before the first flight is
// registered.
func (c *Cache[K, V]) joinMany(ctx context.Context, keys []K, values map[K]V) (flights, first []*flight[K, V], err error) {
	var missing []K
	seen := make(map[K]bool, len(keys))
	for _, k := range keys {
		if seen[k] {
			continue
		}
		seen[k] = true
		if n := c.get(k); n != nil {
			values[k] = n.load(c.word)
		} else if failure := c.mayWait(ctx, k); failure != nil {
			err = failure
		} else {
			missing = append(missing, k)
		}
	}
	for _, k := range missing {
		f, isFirst := c.join(k)
		flights = append(flights, f)
		if isFirst {
			first = append(first, f)
		}
	}
	return flights, first, err
}

// launchMany begins one load for all the flights.
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
		keys[i], loading.flights[f.key] = f.key, f
		f.cancel = func(cause error) { // by the last waiter of f
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
			var ok bool
			if f.value, ok = values[f.key]; ok {
				f.err = nil
			} else {
				f.err = err
			}
		}
	})
}

// A bulkContext is the context of a loader that loads several keys, and leads it to the flights of all of them.
type bulkContext[K comparable, V any] struct {
	context.Context
	cache   *Cache[K, V]
	flights map[K]*flight[K, V]
}

// Value returns what the context has for key.
func (b *bulkContext[K, V]) Value(key any) any {
	if frame, ok := key.(frame[K, V]); ok && frame.cache == b.cache {
		if f := b.flights[frame.key]; f != nil {
			return f
		}
	}
	return b.Context.Value(key)
}
