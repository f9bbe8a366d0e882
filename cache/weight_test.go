package cache_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

// byValue weighs an entry by its value.
func byValue(_ string, v int) uint32 { return uint32(v) }

func checkWeight[K comparable, V any](t *testing.T, c *cache.Cache[K, V], want uint64) {
	t.Helper()
	if got := c.Weight(); got != want {
		t.Errorf("Weight() = %d, want %d", got, want)
	}
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}

func TestWeights(t *testing.T) {
	var l log
	calls := 0
	c := cache.New(cache.Config[string, int]{
		MaxWeight: 10, Eviction: cache.LRU, OnEvent: l.add,
		Weigh: func(k string, v int) uint32 { calls++; return byValue(k, v) },
	})
	if got := c.Capacity(); got < 1<<30 {
		t.Errorf("Capacity() = %d, want no limit", got)
	}
	c.Set("a", 3)
	c.Set("b", 3)
	c.Set("c", 4)
	checkWeight(t, c, 10)
	c.Set("d", 5) // a and b make room
	l.check(t, departed("a", 3, cache.CauseEvicted), departed("b", 3, cache.CauseEvicted))
	checkWeight(t, c, 9)
	c.Set("d", 2) // lighter
	checkWeight(t, c, 6)
	c.Set("e", 1)
	l.check(t, departed("d", 5, cache.CauseReplaced))
	c.Set("d", 9) // heavier: the others make room, not d itself
	l.check(t, departed("c", 4, cache.CauseEvicted), departed("d", 2, cache.CauseReplaced))
	checkKeys(t, c, "e", "d")
	c.Set("e", 11) // never fits: e is gone, d stays
	l.check(t, departed("e", 1, cache.CauseReplaced), departed("e", 11, cache.CauseEvicted))
	checkKeys(t, c, "d")
	c.Set("f", 10) // exactly the whole
	checkKeys(t, c, "f")
	checkWeight(t, c, 10)
	if v, ok := c.Update("g", func(int, bool) (int, cache.Op) { return 11, cache.Write }); v != 0 || ok {
		t.Errorf("Update to what never fits = %v, %v, want 0, false", v, ok)
	}
	if calls != 10 {
		t.Errorf("Weigh was called %d times for 10 writes", calls)
	}
	c.Clear()
	checkWeight(t, c, 0)
}

func TestWeightZeroIsPinned(t *testing.T) {
	for _, policy := range []cache.Eviction{cache.Adaptive, cache.LRU} {
		c := cache.New(cache.Config[string, int]{MaxWeight: 10, Capacity: 8, Eviction: policy, Weigh: byValue})
		c.Set("pinned", 0)
		for i := range 100 {
			c.Set(fmt.Sprint(i), 3)
		}
		if _, ok := c.Peek("pinned"); !ok {
			t.Errorf("%v: the entry of weight 0 left for weight", policy)
		}
		if n := c.Len(); n != 4 {
			t.Errorf("%v: Len() = %d, want 4", policy, n)
		}
		for i := range 100 { // the Capacity holds for them too
			c.Set(fmt.Sprint("pinned", i), 0)
		}
		if n := c.Len(); n != 8 {
			t.Errorf("%v: Len() = %d, want 8", policy, n)
		}
		c.Set("pinned99", 10) // pinned no more
		checkWeight(t, c, 10)
		c.Set("pinned99", 0) // and again
		checkWeight(t, c, 0)
	}
}

func TestWeighPanics(t *testing.T) {
	c := cache.New(cache.Config[string, int]{MaxWeight: 10, Weigh: func(_ string, v int) uint32 {
		if v < 0 {
			panic("negative")
		}
		return uint32(v)
	}})
	c.Set("a", 1)
	for name, op := range map[string]func(){
		"Set":      func() { c.Set("a", -1) },
		"GetOrSet": func() { c.GetOrSet("b", -1) },
		"Update":   func() { c.Update("a", func(int, bool) (int, cache.Op) { return -1, cache.Write }) },
	} {
		func() {
			defer func() {
				if r := recover(); r != "negative" {
					t.Errorf("%s panicked with %v, want negative", name, r)
				}
			}()
			op()
		}()
		checkGet(t, c, "a", 1)
	}
	p := caught(t, func() {
		c.GetOrLoad(t.Context(), "b", func(context.Context, string) (int, error) { return -1, nil })
	})
	if p.Value != "negative" || c.Loading() != 0 {
		t.Errorf("GetOrLoad panicked with %v and left %d loads, want negative and 0", p.Value, c.Loading())
	}
	checkWeight(t, c, 1)
}

// With many shards and few heavy entries, nearly every write needs room
// elsewhere. Oracles: the bounds, and the consistency of the cache.
func TestRoomElsewhere(t *testing.T) {
	for _, config := range []cache.Config[int, int]{
		{MaxWeight: 20, Weigh: func(_, v int) uint32 { return uint32(v % 15) }},
		{MaxWeight: 20, Capacity: 3, Weigh: func(_, v int) uint32 { return uint32(v % 15) }},
		{Capacity: 3},
	} {
		departed := 0
		config.OnEvent = func(context.Context, pairEvent) { departed++ }
		c := cache.NewSharded(config, 8)
		random := rand.New(rand.NewPCG(1, 2))
		const writes = 5000
		for i := range writes {
			k, v := random.IntN(30), i+random.IntN(15)
			if i%3 == 0 {
				c.Update(k, func(int, bool) (int, cache.Op) { return v, cache.Write })
			} else {
				c.Set(k, v)
			}
			if config.MaxWeight > 0 && c.Weight() > 20 || config.Capacity > 0 && c.Len() > 3 {
				t.Fatalf("Weight() = %d, Len() = %d after %d writes", c.Weight(), c.Len(), i)
			}
			// A heavy value may lose against what is there.
			if got, ok := c.Get(k); ok && got != v || !ok && config.MaxWeight == 0 {
				t.Fatalf("Get(%d) = %d, %v just after it was set to %d", k, got, ok, v)
			}
		}
		if got, want := departed, writes-c.Len(); got != want {
			t.Errorf("%d events, want %d", got, want)
		}
		if problem := c.Check(); problem != "" {
			t.Error(problem)
		}
	}
}

// Two entries that both want to grow to more than half of the weight do not
// wait for each other forever.
func TestGrowingTogether(t *testing.T) {
	c := cache.NewSharded(cache.Config[int, int]{MaxWeight: 10, Weigh: func(_, v int) uint32 { return uint32(v) }}, 8)
	var g errgroup.Group
	for k := range 8 {
		g.Go(func() error {
			for i := range 300 {
				c.Set(k, 5+i%5)
			}
			return nil
		})
	}
	g.Wait()
	if w := c.Weight(); w > 10 {
		t.Errorf("Weight() = %d, want at most 10", w)
	}
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}

// A few heavy values that are used once do not evict a hot set. Oracle: the
// room of the window, 1 % of the cache.
func TestHeavyValuesUsedOnceDoNotFlush(t *testing.T) {
	for _, heavy := range []struct{ n, weight int }{{1, 100_000}, {1, 500_000}, {1, 990_000}, {51, 10_000}, {51, 100_000}} {
		for _, grow := range []bool{false, true} {
			c := cache.New(cache.Config[int, int]{MaxWeight: 1_000_000, Weigh: func(_, v int) uint32 { return uint32(v) }})
			for i := range 60_000 {
				c.GetOrSet(i%10_000, 100)
			}
			for i := range heavy.n {
				if grow {
					c.Set(-1-i, 100)
				}
				c.Set(-1-i, heavy.weight)
			}
			left := 0
			for i := range 10_000 {
				if _, ok := c.Peek(i); ok {
					left++
				}
			}
			if left < 9800 {
				t.Errorf("%d values of weight %d, grown %v: %d of 10,000 hot entries left, want 9800", heavy.n, heavy.weight, grow, left)
			}
			if problem := c.Check(); problem != "" {
				t.Error(problem)
			}
		}
	}
}

// A heavy value that is asked for often gets its place.
func TestHeavyValueUsedOftenIsKept(t *testing.T) {
	c := cache.New(cache.Config[int, int]{MaxWeight: 100_000, Weigh: func(_, v int) uint32 { return uint32(v) }})
	hits := 0
	for i := range 20_000 {
		c.GetOrSet(i, 100)
		if _, loaded := c.GetOrSet(-1, 20_000); loaded {
			hits++
		}
	}
	if hits < 15_000 {
		t.Errorf("%d of 20,000 lookups of the heavy value hit, want most", hits)
	}
}

// The number of processors does not change which entries a cache of weights
// keeps. Oracle: a cache of one shard with the same number of entries.
func TestWeightsAreOneDomain(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(64))
	c := cache.New(cache.Config[int, int]{MaxWeight: 64 << 20, Weigh: func(int, int) uint32 { return 1 << 20 }})
	one := cache.NewSharded(cache.Config[int, int]{Capacity: 64}, 1)
	random := rand.New(rand.NewPCG(1, 2))
	zipf := rand.NewZipf(random, 1.2, 1, 1000)
	hits := [2]int{}
	for range 50_000 {
		k := int(zipf.Uint64())
		for i, c := range []*cache.Cache[int, int]{c, one} {
			if _, loaded := c.GetOrSet(k, k); loaded {
				hits[i]++
			}
		}
	}
	if hits[0] < hits[1]*98/100 {
		t.Errorf("%d hits, an undivided cache has %d", hits[0], hits[1])
	}
}

// Entries of weight 0 leave only if Capacity demands it. Oracle: they need no
// weight.
func TestManyPinnedStay(t *testing.T) {
	for _, eviction := range []cache.Eviction{cache.Adaptive, cache.LRU} {
		c := cache.New(cache.Config[string, int]{MaxWeight: 100, Eviction: eviction, Weigh: byValue})
		for i := range 1000 {
			c.Set(fmt.Sprint("pinned", i), 0)
		}
		for i := range 21 {
			c.Set(fmt.Sprint(i), 60)
		}
		if n := c.Len(); n != 1001 {
			t.Errorf("%v: Len() = %d, want 1000 pinned entries and one more", eviction, n)
		}
	}
}
