package cache

import "context"

// A Memo is a function that remembers its results: a [Cache] together with
// its loader. [Memoize] makes a Memo.
type Memo[K comparable, V any] struct {
	cache *Cache[K, V]
	load  func(context.Context, K) (V, error)
	many  func(context.Context, []K) (map[K]V, error) // or nil
}

// Memoize returns a Memo that calls load for keys that its cache does not
// contain. It panics with the error of [Config.Validate] if config is invalid.
func Memoize[K comparable, V any](config Config[K, V], load func(context.Context, K) (V, error)) *Memo[K, V] {
	return &Memo[K, V]{cache: New(config), load: load}
}

// MemoizeMany is like [Memoize], for a function of several keys, by the rules
// of [Cache.GetOrLoadMany].
func MemoizeMany[K comparable, V any](config Config[K, V], load func(context.Context, []K) (map[K]V, error)) *Memo[K, V] {
	return &Memo[K, V]{New(config), func(ctx context.Context, k K) (V, error) {
		values, err := load(ctx, []K{k})
		v, ok := values[k]
		switch {
		case ok:
			return v, nil
		case err != nil:
			return v, err
		}
		return v, ErrNotFound
	}, load}
}

// Get returns the value of k, and calls the function if the cache has none.
// The method value m.Get has the type of the memoized function and can replace
// it.
//
// Errors: the same as of [Cache.GetOrLoad].
func (m *Memo[K, V]) Get(ctx context.Context, k K) (V, error) {
	return m.cache.GetOrLoad(ctx, k, m.load)
}

// GetMany returns the values of keys, by the rules of [Cache.GetOrLoadMany]. A
// function of one key is called for all missing keys at the same time, each in
// a goroutine. Use [MemoizeMany] for large numbers of keys.
//
// Errors: the same as of [Cache.GetOrLoadMany].
func (m *Memo[K, V]) GetMany(ctx context.Context, keys []K) (map[K]V, error) {
	return m.cache.loadMany(ctx, keys, m.load, m.many)
}

// Forget deletes the value of k and any remembered error. It reports whether k
// had a value. Call Forget after k has changed at the origin: a call of the
// function that began before does not bring the old value back.
func (m *Memo[K, V]) Forget(k K) bool { return m.cache.Delete(k) }

// Clear deletes everything, as [Cache.Clear] does.
func (m *Memo[K, V]) Clear() { m.cache.Clear() }

// Stats returns the statistics of the cache.
func (m *Memo[K, V]) Stats() Stats { return m.cache.Stats() }

// Cache returns the cache, for operations that Memo has no method for.
func (m *Memo[K, V]) Cache() *Cache[K, V] { return m.cache }
