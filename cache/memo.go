package cache

import "context"

// A Memo is a function that remembers its results: a [Cache] together with
// its loader. [Memoize] makes a Memo.
type Memo[K comparable, V any] struct {
	cache *Cache[K, V]
	load  func(context.Context, K) (V, error)
}

// Memoize returns a Memo that calls load for keys that its cache does not
// contain. It panics with the error of [Config.Validate] if config is invalid.
func Memoize[K comparable, V any](config Config[K, V], load func(context.Context, K) (V, error)) *Memo[K, V] {
	return &Memo[K, V]{New(config), load}
}

// Get returns the value of k, and calls the function if the cache has none.
// The method value m.Get has the type of the memoized function and can replace
// it.
//
// Errors: the same as of [Cache.GetOrLoad].
func (m *Memo[K, V]) Get(ctx context.Context, k K) (V, error) {
	return m.cache.GetOrLoad(ctx, k, m.load)
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
