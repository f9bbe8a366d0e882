package cache_test

import (
	"context"
	"sync"
	"time"

	"github.com/Yiling-J/theine-go"
	"github.com/dgraph-io/ristretto/v2"
	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/hashicorp/golang-lru/v2/expirable"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
	"github.com/puzpuzpuz/xsync/v4"

	"github.com/redoubt-go/redoubt/cache"
)

// A subject is one cache under test, of K to uint64, behind the same
// indirection for all.
type subject[K comparable] struct {
	get  func(K) (uint64, bool)
	set  func(K, uint64)
	len  func() int
	wait func() // until what set has begun is done; nil if nothing is left
	stop func() // ends goroutines; nil if there are none
}

func (s subject[K]) settle() {
	if s.wait != nil {
		s.wait()
	}
}

func (s subject[K]) close() {
	if s.stop != nil {
		s.stop()
	}
}

// A peer makes a cache for so many entries, that expire after ttl if that is
// not 0. Make is nil where the peer lacks that.
type peer[K comparable] struct {
	name string
	make func(capacity int, ttl time.Duration) subject[K]
}

// The floors are maps without any bound: what a cache cannot beat.
func isFloor(name string) bool { return name == "floor-xsync" || name == "floor-syncmap" }

// peers lists redoubt and its peers. Ristretto hashes few types of keys; see
// ristrettoPeer.
func peers[K comparable]() []peer[K] {
	return []peer[K]{
		{"redoubt", redoubt[K](cache.Adaptive, true)},
		{"redoubt-counted", redoubt[K](cache.Adaptive, false)},
		{"redoubt-lru", redoubt[K](cache.LRU, true)},
		{"otter", otters[K]},
		{"theine", theines[K]},
		{"golang-lru", golangLRU[K]},
		{"ttlcache", ttlcaches[K]},
		{"floor-xsync", xsyncs[K]},
		{"floor-syncmap", syncMaps[K]},
	}
}

// redoubt is uncounted where it is compared, as most peers are, and as usual
// where its name says so.
func redoubt[K comparable](policy cache.Eviction, uncounted bool) func(int, time.Duration) subject[K] {
	return func(capacity int, ttl time.Duration) subject[K] {
		c := cache.New(cache.Config[K, uint64]{Capacity: capacity, TTL: ttl, Eviction: policy, Uncounted: uncounted})
		return subject[K]{get: c.Get, set: c.Set, len: c.Len}
	}
}

func otters[K comparable](capacity int, ttl time.Duration) subject[K] {
	options := &otter.Options[K, uint64]{MaximumSize: capacity}
	if ttl != 0 {
		options.ExpiryCalculator = otter.ExpiryWriting[K, uint64](ttl)
	}
	c := otter.Must(options)
	return subject[K]{
		get: c.GetIfPresent, set: func(k K, v uint64) { c.Set(k, v) },
		len: c.EstimatedSize, wait: c.CleanUp, stop: func() { c.StopAllGoroutines() },
	}
}

func theines[K comparable](capacity int, ttl time.Duration) subject[K] {
	c, err := theine.NewBuilder[K, uint64](int64(capacity)).Build()
	if err != nil {
		panic(err)
	}
	set := func(k K, v uint64) { c.Set(k, v, 1) }
	if ttl != 0 {
		set = func(k K, v uint64) { c.SetWithTTL(k, v, 1, ttl) }
	}
	return subject[K]{get: c.Get, set: set, len: c.Len, wait: c.Wait, stop: c.Close}
}

func golangLRU[K comparable](capacity int, ttl time.Duration) subject[K] {
	if ttl != 0 { // its goroutine cannot be stopped
		c := expirable.NewLRU[K, uint64](capacity, nil, ttl)
		return subject[K]{get: c.Get, set: func(k K, v uint64) { c.Add(k, v) }, len: c.Len}
	}
	c, err := lru.New[K, uint64](capacity)
	if err != nil {
		panic(err)
	}
	return subject[K]{get: c.Get, set: func(k K, v uint64) { c.Add(k, v) }, len: c.Len}
}

func ttlcaches[K comparable](capacity int, ttl time.Duration) subject[K] {
	c := ttlcache.New(
		ttlcache.WithCapacity[K, uint64](uint64(capacity)),
		ttlcache.WithDisableTouchOnHit[K, uint64](),
	)
	if ttl == 0 {
		ttl = ttlcache.NoTTL
	}
	return subject[K]{
		get: func(k K) (uint64, bool) {
			if item := c.Get(k); item != nil {
				return item.Value(), true
			}
			return 0, false
		},
		set: func(k K, v uint64) { c.Set(k, v, ttl) },
		len: c.Len,
	}
}

func xsyncs[K comparable](int, time.Duration) subject[K] {
	m := xsync.NewMap[K, uint64]()
	return subject[K]{get: m.Load, set: m.Store, len: m.Size}
}

func syncMaps[K comparable](int, time.Duration) subject[K] {
	var m sync.Map
	return subject[K]{
		get: func(k K) (uint64, bool) {
			v, ok := m.Load(k)
			if !ok {
				return 0, false
			}
			return v.(uint64), true
		},
		set: func(k K, v uint64) { m.Store(k, v) },
		len: func() (n int) {
			m.Range(func(any, any) bool { n++; return true })
			return n
		},
	}
}

// ristrettoPeer drops sets under load and cannot tell keys with equal hashes
// apart, so it takes part only where that does not let it do less work than the
// others.
var ristrettoPeer = peer[uint64]{"ristretto", func(capacity int, ttl time.Duration) subject[uint64] {
	c, err := ristretto.NewCache(&ristretto.Config[uint64, uint64]{
		NumCounters: int64(10 * capacity), MaxCost: int64(capacity), BufferItems: 64, IgnoreInternalCost: true,
	})
	if err != nil {
		panic(err)
	}
	return subject[uint64]{
		get: c.Get, set: func(k, v uint64) { c.SetWithTTL(k, v, 1, ttl) },
		len:  func() int { return capacity - int(c.RemainingCost()) },
		wait: c.Wait, stop: c.Close,
	}
}}

// A loading is a cache that loads what it lacks: get is a lookup with a loader
// that returns the key.
type loading struct {
	name string
	make func(capacity int) (get func(context.Context, uint64) (uint64, error), stop func())
}

func identity(_ context.Context, k uint64) (uint64, error) { return k, nil }

var loadings = []loading{
	{"redoubt", func(capacity int) (func(context.Context, uint64) (uint64, error), func()) {
		return cache.Memoize(cache.Config[uint64, uint64]{Capacity: capacity, Uncounted: true}, identity).Get, func() {}
	}},
	{"otter", func(capacity int) (func(context.Context, uint64) (uint64, error), func()) {
		c := otter.Must(&otter.Options[uint64, uint64]{MaximumSize: capacity})
		var loader otter.Loader[uint64, uint64] = otter.LoaderFunc[uint64, uint64](identity)
		return func(ctx context.Context, k uint64) (uint64, error) { return c.Get(ctx, k, loader) }, func() { c.StopAllGoroutines() }
	}},
	{"theine", func(capacity int) (func(context.Context, uint64) (uint64, error), func()) {
		c, err := theine.NewBuilder[uint64, uint64](int64(capacity)).
			BuildWithLoader(func(_ context.Context, k uint64) (theine.Loaded[uint64], error) {
				return theine.Loaded[uint64]{Value: k, Cost: 1}, nil
			})
		if err != nil {
			panic(err)
		}
		return c.Get, c.Close
	}},
}
