package cache_test

import (
	"context"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

const benchEntries = 1 << 14

// full returns a full cache of 0 … benchEntries-1, each key its own value.
func full(ttl time.Duration) *cache.Cache[uint64, uint64] {
	c := cache.New(cache.Config[uint64, uint64]{Capacity: benchEntries, TTL: ttl})
	for k := range uint64(benchEntries) {
		c.Set(k, k)
	}
	return c
}

// Hits only, uniform keys, one goroutine.
func BenchmarkGet(b *testing.B) {
	for _, bb := range []struct {
		name string
		ttl  time.Duration
	}{{"ttl=none", 0}, {"ttl=hour", time.Hour}} {
		b.Run(bb.name, func(b *testing.B) {
			c := full(bb.ttl)
			b.ReportAllocs()
			for i := uint64(0); b.Loop(); i++ {
				c.Get(i * 7919 % benchEntries)
			}
		})
	}
}

// Hits only, uniform keys, GOMAXPROCS goroutines.
func BenchmarkReadOnlyParallel(b *testing.B) {
	c := full(0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.Uint64(); pb.Next(); i++ {
			c.Get(i * 7919 % benchEntries)
		}
	})
}

// Three reads to one write of present keys.
func BenchmarkMixedParallel(b *testing.B) {
	c := full(0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := rand.Uint64(); pb.Next(); i++ {
			if k := i * 7919 % benchEntries; i%4 == 0 {
				c.Set(k, i)
			} else {
				c.Get(k)
			}
		}
	})
}

// Each Set stores a new key and evicts an entry.
func BenchmarkInsertEvict(b *testing.B) {
	c := full(0)
	b.ReportAllocs()
	for i := uint64(benchEntries); b.Loop(); i++ {
		c.Set(i, i)
	}
}

func identity(_ context.Context, k uint64) (uint64, error) { return k, nil }

// GetOrLoad of present keys.
func BenchmarkLoadHit(b *testing.B) {
	c, ctx := full(0), b.Context()
	b.ReportAllocs()
	for i := uint64(0); b.Loop(); i++ {
		c.GetOrLoad(ctx, i*7919%benchEntries, identity)
	}
}

// GetOrLoad of new keys, each of which starts a goroutine that loads at once,
// and evicts.
func BenchmarkLoadMiss(b *testing.B) {
	c, ctx := full(0), b.Context()
	b.ReportAllocs()
	for i := uint64(benchEntries); b.Loop(); i++ {
		c.GetOrLoad(ctx, i, identity)
	}
}

// GetOrLoad of keys with a Zipf distribution over ten times the capacity. It
// reports the fraction of hits.
func BenchmarkReadThrough(b *testing.B) {
	var seed atomic.Uint64
	c, ctx := full(0), b.Context()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		zipf := rand.NewZipf(rand.New(rand.NewPCG(1, seed.Add(1))), 1.01, 1, 10*benchEntries)
		for pb.Next() {
			c.GetOrLoad(ctx, zipf.Uint64(), identity)
		}
	})
	b.ReportMetric(c.Stats().HitRatio(), "hits/op")
}

// The heap for a million entries, including 16 bytes of key and value.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	for _, bb := range []struct {
		name string
		ttl  time.Duration
	}{{"ttl=none", 0}, {"ttl=hour", time.Hour}} {
		b.Run(bb.name, func(b *testing.B) {
			for b.Loop() {
				before := heap()
				c := cache.New(cache.Config[uint64, uint64]{Capacity: n, TTL: bb.ttl})
				for k := range uint64(n) {
					c.Set(k, k)
				}
				b.ReportMetric(float64(heap()-before)/n, "B/entry")
				runtime.KeepAlive(c)
			}
		})
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
