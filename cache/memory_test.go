package cache_test

import (
	"flag"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// large selects the large sizes of the tests of memory.
var large = flag.Bool("large", false, "run the tests of memory with 10 million entries")

// heapSize returns the bytes and the objects of the heap.
func heapSize() (bytes, objects int64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc), int64(m.HeapObjects)
}

// Entries of short lifetimes beside an entry of a long one leave nothing
// behind, in particular no timers. Oracle: the objects of the heap.
func TestShortLifetimesLeaveNothingBehind(t *testing.T) {
	n := 5000
	if *large {
		n = 200_000
	}
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[int, int]{Capacity: 100})
		c.SetTTL(-1, 1, 24*time.Hour)
		_, before := heapSize()
		for i := range n {
			c.SetTTL(i%7, i, 5*time.Millisecond)
			time.Sleep(20 * time.Millisecond)
		}
		_, after := heapSize()
		if c.Len() != 1 || after > before+200 {
			t.Errorf("Len() = %d, and %d more objects than before, want 1 and about 0", c.Len(), after-before)
		}
	})
}

// A cache created outside of a bubble of synctest can be used inside, and the
// reverse, without a timer of the wrong side.
func TestTimersStayOnTheirSideOfABubble(t *testing.T) {
	outside := cache.New(cache.Config[int, int]{Capacity: 100, TTL: 5 * time.Millisecond})
	var inside *cache.Cache[int, int]
	synctest.Test(t, func(*testing.T) {
		inside = cache.New(cache.Config[int, int]{Capacity: 100, TTL: time.Hour})
		inside.Set(1, 1)
		outside.Set(1, 1)
	})
	inside.SetTTL(2, 2, time.Millisecond) // must not end the program
	outside.Set(2, 2)
	for deadline := time.Now().Add(10 * time.Second); outside.Len() > 0; {
		if time.Now().After(deadline) {
			t.Fatalf("Len() = %d after the lifetime, want 0", outside.Len())
		}
		time.Sleep(time.Millisecond)
		outside.Set(3, 3)
		outside.Delete(3)
	}
}

// A cache that has shrunk gives its memory back. Oracle: a new cache with the
// same entries.
func TestShrunkCacheGivesMemoryBack(t *testing.T) {
	n := 100_000
	if *large {
		n = 10_000_000
	}
	fill := func(ttl time.Duration) *cache.Cache[int, int] {
		c := cache.New(cache.Config[int, int]{Capacity: n})
		for i := range n {
			c.SetTTL(i, i, ttl)
		}
		return c
	}
	for name, shrink := range map[string]func() *cache.Cache[int, int]{
		"a smaller Capacity": func() *cache.Cache[int, int] {
			c := fill(cache.NoExpiry)
			if err := c.SetConfig(cache.Config[int, int]{Capacity: 100}); err != nil {
				t.Error(err)
			}
			return c
		},
		"Delete": func() *cache.Cache[int, int] {
			c := fill(time.Hour)
			for i := range n - 100 {
				c.Delete(i)
			}
			return c
		},
		"expiry": func() *cache.Cache[int, int] {
			c := fill(time.Millisecond)
			for c.Len() > 0 {
				time.Sleep(time.Millisecond)
			}
			return c
		},
	} {
		before, _ := heapSize()
		c := shrink()
		after, _ := heapSize()
		if kept := after - before; kept > 200_000+int64(n)/2 {
			t.Errorf("%s: %d entries of %d keep %d bytes", name, c.Len(), n, kept)
		}
		if problem := c.Check(); problem != "" {
			t.Error(problem)
		}
		runtime.KeepAlive(c)
	}
}
