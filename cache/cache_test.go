package cache_test

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

func TestBurstNeverExceedsCapacity(t *testing.T) {
	const capacity = 64
	for _, writers := range []int{1, 8} {
		c := cache.New(cache.Config[int, int]{Capacity: capacity})
		var g errgroup.Group
		for w := range writers {
			g.Go(func() error {
				for i := range 10 * capacity {
					c.Set(w*10*capacity+i, i)
					if n := c.Len(); n > capacity {
						return fmt.Errorf("%d writers: Len() = %d, want at most %d", writers, n, capacity)
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			t.Error(err)
		}
		if n := c.Len(); n != capacity {
			t.Errorf("%d writers: Len() = %d after the burst, want %d", writers, n, capacity)
		}
	}
}

func TestCapacityKeysAreAllKept(t *testing.T) {
	for _, n := range []int{1, 100, 1000, 65536} {
		c := cache.New(cache.Config[int, int]{Capacity: n})
		for k := range n {
			c.Set(k, k+1)
		}
		for k := range n {
			checkGet(t, c, k, k+1)
		}
		if got := c.Capacity(); got != n {
			t.Errorf("Capacity() = %d, want %d", got, n)
		}
	}
}

func TestOverwriteEvictsNothing(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 2, OnEvent: l.add})
	c.Set("a", 1)
	c.Set("b", 2)
	c.Set("a", 3)
	l.check(t, departed("a", 1, cache.CauseReplaced))
	checkKeys(t, c, "b", "a") // the overwrite was a use
}

func TestRecencyRules(t *testing.T) {
	for _, tt := range []struct {
		name string
		op   func(*cache.Cache[string, int])
		want []string
	}{
		{"nothing", func(c *cache.Cache[string, int]) {}, []string{"a", "b", "c"}},
		{"Get", func(c *cache.Cache[string, int]) { c.Get("a") }, []string{"b", "c", "a"}},
		{"GetOrSet", func(c *cache.Cache[string, int]) { c.GetOrSet("a", 9) }, []string{"b", "c", "a"}},
		{"GetOrLoad", func(c *cache.Cache[string, int]) { c.GetOrLoad(context.Background(), "a", nil) }, []string{"b", "c", "a"}},
		{"Set", func(c *cache.Cache[string, int]) { c.Set("b", 9) }, []string{"a", "c", "b"}},
		{"Swap", func(c *cache.Cache[string, int]) { c.Swap("b", 9) }, []string{"a", "c", "b"}},
		{"Peek", func(c *cache.Cache[string, int]) { c.Peek("a") }, []string{"a", "b", "c"}},
		{"All", func(c *cache.Cache[string, int]) { keys(c) }, []string{"a", "b", "c"}},
		{"Get of the hottest", func(c *cache.Cache[string, int]) { c.Get("c") }, []string{"a", "b", "c"}},
		{"insert", func(c *cache.Cache[string, int]) { c.Set("d", 4) }, []string{"b", "c", "d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newLRU(3)
			for i, k := range []string{"a", "b", "c"} {
				c.Set(k, i+1)
			}
			tt.op(c)
			checkKeys(t, c, tt.want...)
		})
	}

	one := newLRU(1)
	one.Set("a", 1)
	one.Set("b", 2)
	checkGet(t, one, "a", 0)
	checkGet(t, one, "b", 2)
}

func TestDeleteThenSet(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 2, OnEvent: l.add})
	if c.Delete("a") {
		t.Error("Delete of an absent key = true, want false")
	}
	l.check(t)
	c.Set("a", 1)
	if !c.Delete("a") || c.Delete("a") {
		t.Error("Delete twice, want true and then false")
	}
	l.check(t, departed("a", 1, cache.CauseDeleted))
	c.Set("a", 2)
	checkGet(t, c, "a", 2)
	if v, ok := c.GetAndDelete("a"); v != 2 || !ok {
		t.Errorf("GetAndDelete = %v, %v, want 2, true", v, ok)
	}
	if v, ok := c.GetAndDelete("a"); v != 0 || ok {
		t.Errorf("GetAndDelete of an absent key = %v, %v, want 0, false", v, ok)
	}
	l.check(t, departed("a", 2, cache.CauseDeleted))
	if old, had := c.Swap("a", 3); old != 0 || had {
		t.Errorf("Swap of an absent key = %v, %v, want 0, false", old, had)
	}
	if old, had := c.Swap("a", 4); old != 3 || !had {
		t.Errorf("Swap = %v, %v, want 3, true", old, had)
	}
}

func TestNaNKeysStayBounded(t *testing.T) {
	events := 0
	c := cache.New(cache.Config[float64, int]{Capacity: 4, OnEvent: func(_ context.Context, e cache.Event[float64, int]) {
		if events++; e.Cause != cache.CauseEvicted || e.Key == e.Key {
			t.Errorf("event %v, want the eviction of a NaN", e)
		}
	}})
	c.Set(1, 1)
	for range 100 {
		c.Set(math.NaN(), 1)
	}
	if got := events; got != 100 {
		t.Errorf("%d events, want 100: each value departs once", got)
	}
	checkGet(t, c, math.NaN(), 0)
	checkKeys(t, c, 1)

	loads := 0
	load := func(context.Context, float64) (int, error) { loads++; return loads, nil }
	for want := 1; want <= 3; want++ {
		if v, err := c.GetOrLoad(context.Background(), math.NaN(), load); v != want || err != nil {
			t.Errorf("GetOrLoad(NaN) = %v, %v, want load number %d", v, err, want)
		}
	}
	if n := c.Loading(); n != 0 {
		t.Errorf("%d flights left, want 0", n)
	}
}

func TestEqualZeroesAreOneKey(t *testing.T) {
	c := cache.New(cache.Config[float64, int]{Capacity: 4})
	c.Set(0, 1)
	c.Set(math.Copysign(0, -1), 2)
	checkGet(t, c, 0, 2)
	if n := c.Len(); n != 1 {
		t.Errorf("Len() = %d, want 1", n)
	}
}

func TestUncomparableKeysPanicAndUnlock(t *testing.T) {
	c := cache.New(cache.Config[any, int]{Capacity: 4})
	type pair struct{ a, b any } // the comparison stops at a, the hash does not
	for _, k := range []any{[]int{1}, pair{math.NaN(), []int{1}}} {
		for name, op := range map[string]func(){
			"Get":       func() { c.Get(k) },
			"Peek":      func() { c.Peek(k) },
			"Set":       func() { c.Set(k, 1) },
			"GetOrSet":  func() { c.GetOrSet(k, 1) },
			"Delete":    func() { c.Delete(k) },
			"GetOrLoad": func() { c.GetOrLoad(context.Background(), k, nil) },
			"Reload":    func() { c.Reload(context.Background(), k, nil) },
			"Update":    func() { c.Update(k, func(int, bool) (int, cache.Op) { return 1, cache.Write }) },
			"Entry":     func() { c.Entry(k) },
			"GetOrLoadMany": func() {
				c.GetOrLoadMany(context.Background(), []any{"never loaded", k}, nil)
			},
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s(%v) did not panic", name, k)
					}
				}()
				op()
			}()
			c.Set("alive", 1) // would hang if the lock were held
		}
	}
	checkKeys[any](t, c, "alive")
	if n := c.Loading(); n != 0 {
		t.Errorf("%d flights left that nobody flies", n)
	}
}

func TestDepartedValuesAreCollectable(t *testing.T) {
	ctx := context.Background()
	for name, depart := range map[string]func(*cache.Cache[int, *big]){
		"replaced": func(c *cache.Cache[int, *big]) { c.Set(1, nil) },
		"deleted":  func(c *cache.Cache[int, *big]) { c.Delete(1) },
		"taken":    func(c *cache.Cache[int, *big]) { c.GetAndDelete(1) },
		"cleared":  func(c *cache.Cache[int, *big]) { c.Clear() },
		"evicted":  func(c *cache.Cache[int, *big]) { c.Set(2, nil); c.Set(3, nil) },
		"reloaded": func(c *cache.Cache[int, *big]) {
			c.Delete(1)
			c.GetOrLoad(ctx, 1, func(context.Context, int) (*big, error) { return new(big), nil })
			c.Delete(1)
		},
	} {
		var cleaned atomic.Int64
		c := cache.New(cache.Config[int, *big]{Capacity: 2, Eviction: cache.LRU})
		v := new(big)
		runtime.AddCleanup(v, func(int) { cleaned.Add(1) }, 0)
		c.Set(1, v)
		depart(c)
		awaitCleanups(t, name, &cleaned, 1)
		runtime.KeepAlive(c)
	}
}

func TestCacheIsCollectable(t *testing.T) {
	var cleaned atomic.Int64
	func() {
		c := cache.New(cache.Config[int, *big]{Capacity: 2, TTL: time.Hour})
		v := new(big)
		runtime.AddCleanup(v, func(int) { cleaned.Add(1) }, 0)
		c.Set(1, v) // pending expiry: no timer keeps the cache
	}()
	awaitCleanups(t, "cache", &cleaned, 1)
}

func TestLoadsOnOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := cache.New(cache.Config[int, int]{Capacity: 4})
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for i := range 100 {
				v, err := c.GetOrLoad(context.Background(), i%8, func(_ context.Context, k int) (int, error) { return k + 1, nil })
				if v != i%8+1 || err != nil {
					return fmt.Errorf("GetOrLoad(%d) = %v, %v, want %v", i%8, v, err, i%8+1)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	if n := c.Len(); n != 4 || c.Loading() != 0 {
		t.Errorf("Len() = %d, Loading() = %d, want 4 and 0", n, c.Loading())
	}
}

func TestResize(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 4, Eviction: cache.LRU, OnEvent: l.add})
	for i, k := range []string{"a", "b", "c", "d"} {
		c.Set(k, i+1)
	}
	c.Get("a")
	resize(c, 2)
	l.check(t, departed("b", 2, cache.CauseEvicted), departed("c", 3, cache.CauseEvicted))
	checkKeys(t, c, "d", "a")
	c.Set("e", 5)
	checkKeys(t, c, "a", "e")
	resize(c, 3)
	c.Set("f", 6)
	checkKeys(t, c, "a", "e", "f")
	if got := c.Capacity(); got != 3 {
		t.Errorf("Capacity() = %d, want 3", got)
	}
}

func TestResizeDuringTraffic(t *testing.T) {
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
		resize(c, capacity)
		for range 50 {
			if n := c.Len(); n > capacity {
				t.Errorf("Len() = %d after a Capacity of %d", n, capacity)
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
