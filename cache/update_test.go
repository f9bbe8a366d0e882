package cache_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

func TestTrap25_Update(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU, OnEvent: l.add})
	update := func(k string, wantOld int, v int, op cache.Op) (int, bool) {
		calls := 0
		defer func() {
			if calls != 1 {
				t.Errorf("the function was called %d times, want once", calls)
			}
		}()
		return c.Update(k, func(old int, ok bool) (int, cache.Op) {
			if calls++; old != wantOld || ok != (wantOld != 0) {
				t.Errorf("the function got %v, %v, want %v, %v", old, ok, wantOld, wantOld != 0)
			}
			return v, op
		})
	}
	for _, tt := range []struct {
		wantOld, v int
		op         cache.Op
		want       int
	}{
		{0, 9, cache.Keep, 0},
		{0, 9, cache.Delete, 0},
		{0, 1, cache.Write, 1},
		{1, 9, cache.Keep, 1},
		{1, 2, cache.Write, 2},
		{2, 9, cache.Delete, 0},
	} {
		if got, ok := update("k", tt.wantOld, tt.v, tt.op); got != tt.want || ok != (tt.want != 0) {
			t.Errorf("Update(%v) of %v = %v, %v, want %v", tt.op, tt.wantOld, got, ok, tt.want)
		}
		wantGet(t, c, "k", tt.want)
	}
	l.want(t, departed("k", 1, cache.CauseReplaced), departed("k", 2, cache.CauseDeleted))

	c.Set("a", 1)
	c.Set("b", 2)
	update("a", 1, 0, cache.Keep) // no use
	update("b", 2, 3, cache.Write)
	wantKeys(t, c, "a", "b")
	if got := c.Stats(); got.Hits+got.Misses != 6 {
		t.Errorf("Stats = %+v, want the 6 of Get: Update is no lookup", got)
	}
}

func TestTrap25_PanicInUpdate(t *testing.T) {
	c := newLRU(2)
	c.Set("k", 1)
	func() {
		defer func() {
			if r := recover(); r != "f" {
				t.Errorf("Update panicked with %v, want f", r)
			}
		}()
		c.Update("k", func(int, bool) (int, cache.Op) { panic("f") })
	}()
	wantGet(t, c, "k", 1) // and the lock is free
}

func TestTrap25_UpdatesAreNotLost(t *testing.T) {
	const writers, rounds = 8, 500
	c := cache.NewSharded(cache.Config[int, int]{Capacity: 1000}, 4)
	var g errgroup.Group
	for range writers {
		g.Go(func() error {
			for i := range rounds {
				c.Update(i%3, func(old int, _ bool) (int, cache.Op) { return old + 1, cache.Write })
				for v, ok := c.Get(9); !cache.CompareAndSwap(c, 9, v, v+1); v, ok = c.Get(9) {
					if !ok {
						c.GetOrSet(9, 0)
					}
				}
			}
			return nil
		})
	}
	g.Wait()
	sum := 0
	for k, v := range c.All() {
		if k != 9 {
			sum += v
		} else if v != writers*rounds {
			t.Errorf("the swapped one counts %d, want %d", v, writers*rounds)
		}
	}
	if sum != writers*rounds {
		t.Errorf("the sum is %d, want %d", sum, writers*rounds)
	}
}

func TestCompareAnd(t *testing.T) {
	c := newLRU(2)
	c.Set("k", 1)
	for _, tt := range []struct {
		name      string
		got, want bool
	}{
		{"swap absent", cache.CompareAndSwap(c, "x", 0, 1), false},
		{"swap other", cache.CompareAndSwap(c, "k", 2, 3), false},
		{"swap", cache.CompareAndSwap(c, "k", 1, 2), true},
		{"delete absent", cache.CompareAndDelete(c, "x", 0), false},
		{"delete other", cache.CompareAndDelete(c, "k", 1), false},
		{"delete", cache.CompareAndDelete(c, "k", 2), true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, tt.got, tt.want)
		}
	}
	wantKeys(t, c)
}

func TestDeleteFunc(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 8, Eviction: cache.LRU, OnEvent: l.add})
	for i, k := range []string{"a", "b", "c", "d"} {
		c.Set(k, i+1)
	}
	if n := c.DeleteFunc(func(_ string, v int) bool { return v%2 == 0 }); n != 2 {
		t.Errorf("DeleteFunc = %d, want 2", n)
	}
	l.want(t, departed("b", 2, cache.CauseDeleted), departed("d", 4, cache.CauseDeleted))
	wantKeys(t, c, "a", "c")
}

func TestTrap27_Resize(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 4, Eviction: cache.LRU, OnEvent: l.add})
	for i, k := range []string{"a", "b", "c", "d"} {
		c.Set(k, i+1)
	}
	c.Get("a")
	c.Resize(2)
	l.want(t, departed("b", 2, cache.CauseEvicted), departed("c", 3, cache.CauseEvicted))
	wantKeys(t, c, "d", "a")
	c.Set("e", 5)
	wantKeys(t, c, "a", "e")
	c.Resize(3)
	c.Set("f", 6)
	wantKeys(t, c, "a", "e", "f")
	if got := c.Capacity(); got != 3 {
		t.Errorf("Capacity() = %d, want 3", got)
	}
	defer func() {
		if got, want := recover(), "cache: Resize: capacity less than 1"; got != want {
			t.Errorf("Resize(0) panicked with %v, want %v", got, want)
		}
	}()
	c.Resize(0)
}

func TestTrap27_ResizeDuringTraffic(t *testing.T) {
	c := cache.NewSharded(cache.Config[int, int]{Capacity: 400}, 4)
	var g errgroup.Group
	for w := range 4 {
		g.Go(func() error {
			for i := range 5000 {
				c.Set(w*5000+i, i)
			}
			return nil
		})
	}
	for _, capacity := range []int{400, 50, 1, 300, 7} {
		c.Resize(capacity)
		for range 50 {
			if n := c.Len(); n > capacity {
				t.Errorf("Len() = %d after Resize(%d)", n, capacity)
			}
		}
	}
	g.Wait()
	if n := c.Len(); n != 7 {
		t.Errorf("Len() = %d at the end, want 7", n)
	}
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}

func TestEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{
			MaxWeight: 100, TTL: time.Minute, IdleTTL: time.Second,
			Weigh: func(string, int) uint32 { return 7 },
		})
		c.Set("k", 1)
		c.Get("k")
		e, ok := c.Entry("k")
		want := cache.Entry[string, int]{Key: "k", Value: 1, Weight: 7, Expires: time.Now().Add(time.Second), Heat: 1}
		if !e.Expires.Equal(want.Expires) {
			t.Errorf("Expires = %v, want %v", e.Expires, want.Expires)
		}
		if e.Expires = want.Expires; !ok || e != want {
			t.Errorf("Entry = %+v, want %+v", e, want)
		}
		if e, ok := c.Entry("x"); ok {
			t.Errorf("Entry of an absent key = %+v", e)
		}
	})
	plain := newLRU(1)
	plain.Set("k", 1)
	if e, _ := plain.Entry("k"); !e.Expires.IsZero() || e.Weight != 1 || e.Heat != 0 {
		t.Errorf("Entry = %+v, want neither an end nor heat, weight 1", e)
	}
}

// ---- P5: Entries and Restore. Oracle: the cache that the entries came from.

func TestP5_RestoreEqualsOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []cache.Eviction{cache.Adaptive, cache.LRU} {
			config := cache.Config[int, int]{Capacity: 100, Eviction: policy, TTL: time.Hour}
			original := cache.New(config)
			for i := range 1000 {
				k := i * i % 131
				if _, ok := original.Get(k); !ok {
					original.SetTTL(k, i, time.Duration(k%50)*time.Minute) // 0 is the TTL
				}
			}
			snapshot := slices.Collect(original.Entries())
			restored := cache.New(config)
			time.Sleep(10 * time.Minute)
			synctest.Wait()
			restored.Restore(slices.Values(snapshot))
			for range 6 {
				got, want := fmt.Sprint(slices.Collect(restored.Entries())), fmt.Sprint(slices.Collect(original.Entries()))
				if policy == cache.Adaptive { // the order of those that are equally hot need not be the same
					got, want = fmt.Sprint(sorted(restored)), fmt.Sprint(sorted(original))
				}
				if got != want {
					t.Errorf("%v:\n got %v\nwant %v", policy, got, want)
				}
				time.Sleep(10 * time.Minute)
				synctest.Wait()
			}
		}
	})
}

func sorted(c *cache.Cache[int, int]) []cache.Entry[int, int] {
	return slices.SortedFunc(c.Entries(), func(a, b cache.Entry[int, int]) int { return a.Key - b.Key })
}

func TestRestore_WhatIsThereWins(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU})
	c.Set("a", 1)
	entries := []cache.Entry[string, int]{
		{Key: "a", Value: 2},
		{Key: "b", Value: 2, Expires: time.Now().Add(-time.Hour)},
		{Key: "c", Value: 3, Expires: time.Now().Add(time.Hour), Heat: 255, Weight: 99},
		{Key: "d", Value: 4, Expires: time.Unix(1<<40, 0)},
	}
	if n := c.Restore(slices.Values(entries)); n != 2 {
		t.Errorf("Restore = %d, want 2: c and d", n)
	}
	wantKeys(t, c, "c", "d")
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}

func TestTrap32_ConcurrentLookupsAreCounted(t *testing.T) {
	const readers, rounds = 8, 1000
	c := cache.New(cache.Config[int, int]{Capacity: 5000})
	for k := range 100 {
		c.Set(k, k)
	}
	var g errgroup.Group
	for range readers {
		g.Go(func() error {
			for i := range rounds {
				c.Get(i % 200)
			}
			return nil
		})
	}
	g.Wait()
	if got, want := c.Stats(), uint64(readers*rounds/2); got.Hits != want || got.Misses != want {
		t.Errorf("Stats = %+v, want %d hits and as many misses", got, want)
	}
}

func TestTrap33_Flooding(t *testing.T) {
	type named uint64 // takes the general way of hashing
	if distinctHashes(func(k int) uint64 { return uint64(k) << 32 }) < 9990 ||
		distinctHashes(func(k int) int { return -k }) < 9990 ||
		distinctHashes(func(k int) named { return named(k) << 40 }) < 9990 ||
		distinctHashes(func(k int) string { return fmt.Sprint("k", k) }) < 9990 {
		t.Error("10 000 keys have fewer than 9990 hashes")
	}
	a, b := cache.New(cache.Config[int, int]{Capacity: 1}), cache.New(cache.Config[int, int]{Capacity: 1})
	if a.Hash(1) == b.Hash(1) && a.Hash(2) == b.Hash(2) {
		t.Error("two caches hash alike: the seed is not random")
	}
	// Somebody makes useless keys as frequent as the sketch can count; what comes afterwards and is used must get in,
	// whatever the seed of the hash.
	for range 100 {
		c := cache.New(cache.Config[int, int]{Capacity: 100})
		for i := range 20_000 {
			c.GetOrSet(-1-i%100, 0)
		}
		hits := 0
		for i := range 20_000 {
			if _, loaded := c.GetOrSet(i%80, 0); loaded && i >= 10_000 {
				hits++
			}
		}
		if hits < 9000 {
			t.Fatalf("%d of 10 000 lookups of the new keys hit, want nearly all", hits)
		}
	}
}

func distinctHashes[K comparable](key func(int) K) int {
	c := cache.New(cache.Config[K, int]{Capacity: 1})
	seen := map[uint32]bool{}
	for k := range 10_000 {
		seen[c.Hash(key(k))] = true
	}
	return len(seen)
}
