package cache

import (
	"context"
	"time"
)

// A Store is a second level behind a [Cache]: larger, slower, and often shared
// by several processes. [Through] reads and writes a Store around a loader.
// The package [github.com/redoubt-go/redoubt/cache/cachetest] tests
// implementations.
type Store[K comparable, V any] interface {
	// Get returns the value of k. If k has none, the error matches ErrNotFound.
	Get(ctx context.Context, k K) (V, error)

	// Set stores v under k for the time ttl. NoExpiry means forever. If ttl <
	// 0, v has expired already, and Set deletes k. The meaning of 0 is the
	// implementation's choice.
	Set(ctx context.Context, k K, v V, ttl time.Duration) error

	// Delete deletes keys. It is not an error if a key has no value.
	Delete(ctx context.Context, keys ...K) error
}

// Through returns a loader that reads from s, calls load if s has no value,
// and then stores the loaded value in s for ttl. An error of s never fails a
// load, and Through does not report it: s should count its own errors.
//
// To update a value, change the origin first, then delete the key from s, and
// then from the cache. The cache then keeps no value that a load read from s
// before. Through does not coordinate several processes that use the same s.
// The ages of both levels add up: a value can be as old as ttl and the TTL of
// the cache together.
//
// The returned function panics if load panics.
//
// Errors: the error of load, unchanged.
func Through[K comparable, V any](s Store[K, V], ttl time.Duration, load func(context.Context, K) (V, error)) func(context.Context, K) (V, error) {
	return func(ctx context.Context, k K) (V, error) {
		if v, err := s.Get(ctx, k); err == nil {
			return v, nil
		}
		v, err := load(ctx, k)
		if err == nil {
			_ = s.Set(ctx, k, v, ttl)
		}
		return v, err
	}
}
