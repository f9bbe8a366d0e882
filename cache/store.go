package cache

import (
	"context"
	"time"
)

// A Store is a second level behind a [Cache]: larger, slower, often shared by several processes. [Through] puts it before
// a loader. Package cachetest has a test for implementations.
type Store[K comparable, V any] interface {
	// Get returns the value of k. If it has none the error is, or wraps, ErrNotFound.
	Get(ctx context.Context, k K) (V, error)

	// Set stores v under k for the time ttl, NoExpiry being for good.
	Set(ctx context.Context, k K, v V, ttl time.Duration) error

	// Delete removes keys. That some have no value is no error.
	Delete(ctx context.Context, keys ...K) error
}

// Through returns a loader that looks into s first, and stores there for ttl what load returns. The store is a help and
// no more: none of its errors fails a load, and none is reported, so let s count its own. The returned function
// returns the error of load as it is, and panics as load does.
//
// After a change at the origin delete the key from s and then from the cache, in this order: the cache does not keep
// what a load found in s before. What two processes do to s at the same time is between them and s.
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
