package cache_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/cache"
)

func TestAllWhileTheLoopChangesTheCache(t *testing.T) {
	c := newLRU(8)
	for i, k := range []string{"a", "b", "c", "d"} {
		c.Set(k, i+1)
	}
	got := map[string]int{}
	for k, v := range c.All() {
		got[k] += v
		switch k {
		case "a":
			c.Delete("b")   // not visited
			c.Set("d", 40)  // visited with its new value, once, though it is hotter than ever
			c.Set("e", 5)   // came after the start
			c.Set("a", 100) // not visited again
		case "c":
			c.Get("a")
		}
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "c": 3, "d": 40}, got); diff != "" {
		t.Errorf("visited (-want +got):\n%s", diff)
	}
	for range c.Keys() {
		c.Clear()
		break
	}
	c.Set("alive", 1)
	checkKeys(t, c, "alive")
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
		want := cache.Entry[string, int]{Key: "k", Value: 1, Weight: 7, Expires: time.Now().Add(time.Minute), Idle: time.Now().Add(time.Second), Heat: 1}
		if !e.Expires.Equal(want.Expires) || !e.Idle.Equal(want.Idle) {
			t.Errorf("Expires = %v, Idle = %v, want %v, %v", e.Expires, e.Idle, want.Expires, want.Idle)
		}
		if e.Expires, e.Idle = want.Expires, want.Idle; !ok || e != want {
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

// ---- Entries and Restore. Oracle: the cache that returned the entries.

func TestRestoreEqualsOriginal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, policy := range []cache.Eviction{cache.Adaptive, cache.LRU} {
			config := cache.Config[int, int]{Capacity: 100, Eviction: policy, TTL: time.Hour}
			original := cache.New(config)
			for i := range 1000 {
				k := i * i % 131
				if _, ok := original.Get(k); !ok {
					original.SetTTL(k, i, time.Duration(k%50+1)*time.Minute)
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
	checkKeys(t, c, "c", "d")
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}

// An entry in use lives on after Restore, as it would have without.
func TestRestoreKeepsIdlenessApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		config := cache.Config[string, int]{Capacity: 10, TTL: 3 * time.Hour, IdleTTL: 30 * time.Minute}
		original := cache.New(config)
		original.Set("used", 1)
		original.Set("unused", 2)
		time.Sleep(10 * time.Minute)
		restored := cache.New(config)
		checkEqual(t, restored.Restore(original.Entries()), 2)
		for range 2 { // the downtime counts
			for range 2 {
				time.Sleep(9 * time.Minute)
				checkGet(t, original, "used", 1)
				checkGet(t, restored, "used", 1)
			}
			time.Sleep(2*time.Minute - 1)
			checkEqual(t, keys(restored), keys(original))
			time.Sleep(1)
			synctest.Wait()
			checkEqual(t, keys(restored), keys(original))
		}
		checkKeys(t, restored, "used")
		for range 9 {
			time.Sleep(13 * time.Minute)
			restored.Get("used")
		}
		checkGet(t, restored, "used", 1)
		time.Sleep(13 * time.Minute)
		checkGet(t, restored, "used", 0) // the hard end
		late := cache.New(config)
		checkEqual(t, late.Restore(slices.Values([]cache.Entry[string, int]{{Key: "k", Value: 1, Idle: time.Now()}})), 0)
	})
}
