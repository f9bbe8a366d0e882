package cache

import (
	"context"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// A Store is a second level behind a [Cache]: larger, slower, and often shared
// by several processes. A [Tier] reads and writes a Store around a loader. The
// package [github.com/redoubt-go/redoubt/cache/cachetest] tests
// implementations.
type Store[K comparable, V any] interface {
	// Get returns the record of k. If there is none, Found is false and the
	// error is nil. An error means that the store could not answer.
	Get(ctx context.Context, k K) (Record[V], error)

	// Set stores r under k for r.TTL. NoExpiry means forever. If r.TTL <= 0,
	// Set deletes the record. If r.Lease is not empty, Set changes nothing
	// unless the lease is valid. That is no error.
	Set(ctx context.Context, k K, r Record[V]) error

	// Delete deletes the records of keys, and ends the leases that Get has
	// returned for them. It is not an error if a key has no record.
	Delete(ctx context.Context, keys ...K) error
}

// A Record is the knowledge of a [Store] about a key.
type Record[V any] struct {
	Found  bool          // the store has a record of the key
	Absent bool          // the record is that the key does not exist at the origin
	Value  V             // otherwise the value of the key
	TTL    time.Duration // the remaining lifetime, or NoExpiry

	// Lease permits a Set of a key that has no record, until the key is
	// deleted. So a value that was loaded before a Delete is not stored after
	// it. Get returns a Lease, which is not empty, if Found is false. A store
	// may forget leases at any time, which ends them.
	Lease string
}

// A Tier is a [Store] as the second level of a cache.
type Tier[K comparable, V any] struct {
	Store Store[K, V] // required

	// TTL is the lifetime of a value in the store. Zero means NoExpiry.
	TTL time.Duration

	// AbsentTTL is the time for which the store records that a key does not
	// exist. Zero means that it does not.
	AbsentTTL time.Duration
}

// Through returns a loader that reads from the store, calls load if the store
// has no record, and then stores the result. An error of the store never fails
// a load, and Through does not report it: the store should count its own
// errors.
//
// A value does not live longer in the cache than in the store. If the cache
// remembers errors, ErrorTTL applies to absent records too. Several processes
// that use the same store may load a key at the same time.
//
// The returned function panics if load panics.
//
// Errors: the error of load, unchanged; [ErrNotFound] for an absent record.
func (t Tier[K, V]) Through(load func(context.Context, K) (V, error)) func(context.Context, K) (V, error) {
	return func(ctx context.Context, k K) (V, error) {
		known, failed := t.Store.Get(ctx, k)
		if failed == nil && known.Found {
			if known.Absent {
				return known.Value, ErrNotFound
			}
			LimitTTL(ctx, known.TTL)
			return known.Value, nil
		}
		v, err := load(ctx, k)
		if failed != nil { // without a lease the value could be older than a deletion
			return v, err
		}
		r := Record[V]{Found: true, Lease: known.Lease, TTL: t.TTL}
		switch {
		case err == nil:
			if r.Value = v; r.TTL == 0 {
				r.TTL = NoExpiry
			}
		case t.AbsentTTL > 0 && errtree.Is(err, ErrNotFound):
			r.Absent, r.TTL = true, t.AbsentTTL
		default:
			return v, err
		}
		_ = t.Store.Set(ctx, k, r)
		return v, err
	}
}

// Delete deletes keys from the store and then from c. Call it after a change at
// the origin. If it returns nil, the old value does not come back into the
// store or into c. Loads in progress, also in other processes, do not store it
// there, and it does not answer as a stale value.
//
// Errors: the error of the store. The keys are then deleted from c only.
func (t Tier[K, V]) Delete(ctx context.Context, c *Cache[K, V], keys ...K) error {
	err := t.Store.Delete(ctx, keys...)
	for _, k := range keys {
		c.Delete(k)
	}
	return err
}
