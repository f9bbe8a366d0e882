package cache

import "context"

// A Memo is a function that remembers its results: a [Cache] together with its loader. [Memoize] makes one.
type Memo[K comparable, V any] struct {
	cache *Cache[K, V]
	load  func(context.Context, K) (V, error)
}

// Memoize returns load with a cache of the given configuration before it. It panics if the configuration is invalid, as
// [New] does.
func Memoize[K comparable, V any](config Config[K, V], load func(context.Context, K) (V, error)) *Memo[K, V] {
	return &Memo[K, V]{New(config), load}
}

// Get returns what the function returned for k, calling it if that is not known: see [Cache.GetOrLoad], also for the
// errors. As a method value, m.Get stands wherever the function stood.
func (m *Memo[K, V]) Get(ctx context.Context, k K) (V, error) {
	return m.cache.GetOrLoad(ctx, k, m.load)
}

// Forget drops what is known of k and reports whether a value was. Call it after k has changed at the origin: a call of
// the function that began before does not bring the old value back.
func (m *Memo[K, V]) Forget(k K) bool { return m.cache.Delete(k) }

// Clear drops everything.
func (m *Memo[K, V]) Clear() { m.cache.Clear() }

// Stats returns the figures of the cache.
func (m *Memo[K, V]) Stats() Stats { return m.cache.Stats() }

// Cache returns the cache, for all that Memo has no method for.
func (m *Memo[K, V]) Cache() *Cache[K, V] { return m.cache }
