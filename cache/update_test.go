package cache_test

import (
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

func TestUpdate(t *testing.T) {
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
		checkGet(t, c, "k", tt.want)
	}
	l.check(t, departed("k", 1, cache.CauseReplaced), departed("k", 2, cache.CauseDeleted))

	c.Set("a", 1)
	c.Set("b", 2)
	update("a", 1, 0, cache.Keep) // no use
	update("b", 2, 3, cache.Write)
	checkKeys(t, c, "a", "b")
	if got := c.Stats(); got.Hits+got.Misses != 6 {
		t.Errorf("Stats = %+v, want the 6 of Get: Update is no lookup", got)
	}
}

func TestPanicInUpdate(t *testing.T) {
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
	checkGet(t, c, "k", 1) // and the lock is free
}

func TestUpdatesAreNotLost(t *testing.T) {
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
	checkKeys(t, c)
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
	l.check(t, departed("b", 2, cache.CauseDeleted), departed("d", 4, cache.CauseDeleted))
	checkKeys(t, c, "a", "c")
}
