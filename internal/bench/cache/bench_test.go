package cache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// present is how many entries the benchmarks of present keys hold, in a cache
// with room for twice as many: nothing is evicted, and none of the peers has to
// be full to work as it does.
const present = 1 << 15

// each runs a benchmark for all peers that suit.
func each[K comparable](b *testing.B, peers []peer[K], suits func(name string) bool, run func(*testing.B, peer[K])) {
	for _, p := range peers {
		if suits(p.name) {
			b.Run("impl="+p.name, func(b *testing.B) { run(b, p) })
		}
	}
}

func all(string) bool { return true }

func bounded(name string) bool { return !isFloor(name) }

// zipfian returns n indices below span with the distribution of real
// popularity, in random order, the same each time.
func zipfian(n, span int, seed uint64) []uint32 {
	zipf := rand.NewZipf(rand.New(rand.NewPCG(1, seed)), 1.01, 1, uint64(span-1))
	indices := make([]uint32, n)
	for i := range indices {
		indices[i] = uint32(zipf.Uint64())
	}
	return indices
}

// throughput measures operations on present keys, of which each in a hundred is
// a read or else an update, from GOMAXPROCS goroutines. Held fixed: the keys,
// their Zipf order, and that each read finds its value.
func throughput[K comparable](b *testing.B, peers []peer[K], key func(int) K, ttl time.Duration, reads int) {
	keys := make([]K, present)
	for i := range keys {
		keys[i] = key(i)
	}
	order := zipfian(1<<16, present, 1)
	each(b, peers, all, func(b *testing.B, p peer[K]) {
		c := p.make(2*present, ttl)
		defer c.close()
		for i, k := range keys {
			c.set(k, uint64(i))
		}
		c.settle()
		var wrong atomic.Int64
		var seed atomic.Uint64
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			i, bad := int(seed.Add(1)*7919), int64(0)
			for ; pb.Next(); i++ {
				at := order[i&(len(order)-1)]
				if i*37%100 >= reads {
					c.set(keys[at], uint64(at))
				} else if v, ok := c.get(keys[at]); !ok || v != uint64(at) {
					bad++
				}
			}
			wrong.Add(bad)
		})
		if n := wrong.Load(); n > 0 {
			b.Errorf("%d reads found no value or a wrong one", n)
		}
	})
}

func number(i int) uint64 { return uint64(i) * 0x9e3779b97f4a7c15 }

func text(i int) string { return "user:" + strconv.Itoa(1_000_000+i) }

// Reads of present uint64 keys.
func BenchmarkReadOnlyParallel(b *testing.B) { throughput(b, peers[uint64](), number, 0, 100) }

// Reads of present string keys.
func BenchmarkReadOnlyStringParallel(b *testing.B) { throughput(b, peers[string](), text, 0, 100) }

// Reads of present uint64 keys that expire in an hour.
func BenchmarkReadOnlyTTLParallel(b *testing.B) {
	bounded := slices.DeleteFunc(peers[uint64](), func(p peer[uint64]) bool { return isFloor(p.name) })
	throughput(b, bounded, number, time.Hour, 100)
}

// Three reads of present uint64 keys to one update.
func BenchmarkMixedParallel(b *testing.B) { throughput(b, peers[uint64](), number, 0, 75) }

// Updates of present uint64 keys.
func BenchmarkSetParallel(b *testing.B) { throughput(b, peers[uint64](), number, 0, 0) }

// Insertions of new uint64 keys into a full cache, each of which evicts, from
// one goroutine. The time until what a peer does in the background is done
// counts. Held fixed: the keys, and that in the end the cache is full.
func BenchmarkInsertEvict(b *testing.B) {
	for _, capacity := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprint("capacity=", capacity), func(b *testing.B) {
			each(b, peers[uint64](), bounded, func(b *testing.B, p peer[uint64]) {
				c := p.make(capacity, 0)
				defer c.close()
				next := uint64(0)
				for ; next < 2*uint64(capacity); next++ {
					c.set(number(int(next)), next)
				}
				c.settle()
				b.ReportAllocs()
				for b.Loop() {
					next++
					c.set(number(int(next)), next)
				}
				c.settle()
				if n := c.len(); n > capacity || n < capacity*9/10 {
					b.Errorf("%d entries at the end, want about %d", n, capacity)
				}
			})
		})
	}
}

// Reads of uint64 keys with a Zipf distribution over ten times the capacity, a
// miss being followed by an insertion, from GOMAXPROCS goroutines; hits/op is
// the part that hit. Held fixed: the keys and their order.
func BenchmarkReadThrough(b *testing.B) {
	const capacity = 10_000
	order := zipfian(1<<20, 10*capacity, 2)
	each(b, peers[uint64](), bounded, func(b *testing.B, p peer[uint64]) {
		c := p.make(capacity, 0)
		defer c.close()
		for _, at := range order {
			readThrough(c, number(int(at)))
		}
		c.settle()
		var hits atomic.Int64
		var seed atomic.Uint64
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			i, n := int(seed.Add(1)*100_003), int64(0)
			for ; pb.Next(); i++ {
				if readThrough(c, number(int(order[i&(len(order)-1)]))) {
					n++
				}
			}
			hits.Add(n)
		})
		b.ReportMetric(float64(hits.Load())/float64(b.N), "hits/op")
	})
}

func readThrough(c subject[uint64], k uint64) (hit bool) {
	if _, hit = c.get(k); !hit {
		c.set(k, k)
	}
	return hit
}

// Lookups of present uint64 keys with a loader, which is not called, from one
// goroutine.
func BenchmarkLoadHit(b *testing.B) {
	order := zipfian(1<<16, present, 1)
	for _, l := range loadings {
		b.Run("impl="+l.name, func(b *testing.B) {
			get, stop := l.make(2 * present)
			defer stop()
			for k := range uint64(present) {
				get(b.Context(), k)
			}
			ctx := b.Context()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				k := uint64(order[i&(len(order)-1)])
				if v, err := get(ctx, k); v != k || err != nil {
					b.Fatal(v, err)
				}
			}
		})
	}
}

// Lookups of new uint64 keys with a loader that returns at once, in a full
// cache, from one goroutine. The context of the caller can be canceled.
func BenchmarkLoadMiss(b *testing.B) { benchmarkLoadMiss(b, b.Context()) }

// The same with a context that cannot end: redoubt then runs the loader in the
// goroutine of the caller, as the other caches always do.
func BenchmarkLoadMissBackground(b *testing.B) { benchmarkLoadMiss(b, context.Background()) }

func benchmarkLoadMiss(b *testing.B, ctx context.Context) {
	for _, l := range loadings {
		b.Run("impl="+l.name, func(b *testing.B) {
			get, stop := l.make(10_000)
			defer stop()
			b.ReportAllocs()
			for k := uint64(0); b.Loop(); k++ {
				if v, err := get(ctx, k); v != k || err != nil {
					b.Fatal(v, err)
				}
			}
		})
	}
}

// The heap for a million entries: B/entry includes the 16 bytes of key and
// value, churned-B/entry is after as many evictions, gc-ms is one collection
// with the million alive, and kept the part that is in the cache. Ristretto
// takes part to show the last.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	each(b, append(peers[uint64](), ristrettoPeer), all, func(b *testing.B, p peer[uint64]) {
		for b.Loop() {
			before := heap()
			c := p.make(n, 0)
			for i := range n {
				c.set(number(i), uint64(i))
			}
			c.settle()
			b.ReportMetric(float64(heap()-before)/n, "B/entry")
			b.ReportMetric(float64(c.len())/n, "kept")
			start := time.Now()
			runtime.GC()
			b.ReportMetric(float64(time.Since(start).Microseconds())/1000, "gc-ms")
			if bounded(p.name) {
				for i := range n {
					c.set(number(n+i), uint64(i))
				}
				c.settle()
				b.ReportMetric(float64(heap()-before)/n, "churned-B/entry")
			}
			c.close()
			runtime.KeepAlive(c)
		}
	})
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// How far a burst of ten times the capacity from 8 goroutines drives the number
// of entries beyond the capacity, in percent.
func BenchmarkOvershoot(b *testing.B) {
	const capacity, writers = 10_000, 8
	each(b, peers[uint64](), bounded, func(b *testing.B, p peer[uint64]) {
		most := 0
		for b.Loop() {
			c := p.make(capacity, 0)
			var wg sync.WaitGroup
			var highest atomic.Int64
			for w := range writers {
				wg.Go(func() {
					for i := range 10 * capacity / writers {
						c.set(number(w*10*capacity+i), 1)
						if i%64 == 0 {
							highest.Store(max(highest.Load(), int64(c.len())))
						}
					}
				})
			}
			wg.Wait()
			most = max(most, int(highest.Load()))
			c.close()
		}
		b.ReportMetric(100*float64(max(most-capacity, 0))/capacity, "%over")
	})
}
