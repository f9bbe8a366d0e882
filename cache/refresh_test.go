package cache_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// refreshing returns a cache that refreshes its values after a minute.
func refreshing(config cache.Config[string, int]) *cache.Cache[string, int] {
	config.Capacity, config.Eviction, config.Refresh = 2, cache.LRU, time.Minute
	return cache.New(config)
}

func TestRefreshServesTheOldValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := refreshing(cache.Config[string, int]{OnEvent: l.add})
		(<-ask(t.Context(), c, "k", sleeper(1))).check(t, 1, nil)
		c.Set("other", 9)
		time.Sleep(time.Minute - 1)
		(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 1, nil)
		c.Get("other") // k is the least recently used again
		time.Sleep(time.Nanosecond)
		for range 5 { // one load for all of them
			ctx, cancel := context.WithCancel(t.Context())
			(<-ask(ctx, c, "k", sleeper(2))).check(t, 1, nil)
			cancel() // and no load of theirs
		}
		c.Get("other")
		time.Sleep(time.Second)
		synctest.Wait()
		l.check(t, departed("k", 1, cache.CauseReplaced))
		checkKeys(t, c, "k", "other") // the refresh was no use
		(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 2, nil)
		if got := c.Stats(); got.Loads != 2 || got.Misses != 1 {
			t.Errorf("Stats = %+v, want 2 loads and 1 miss", got)
		}
	})
}

func TestFailedRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := refreshing(cache.Config[string, int]{})
		c.Set("k", 1)
		for range 3 { // an error and a panic keep the old value, and the next attempt is a minute later
			time.Sleep(time.Minute)
			(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 1, nil)
			synctest.Wait()
			(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 1, nil)
			time.Sleep(time.Minute)
			(<-ask(t.Context(), c, "k", func(context.Context, string) (int, error) { panic("refresh") })).check(t, 1, nil)
			synctest.Wait()
			(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 1, nil)
		}
		if got := c.Stats(); got.Loads != 6 || got.LoadErrors != 6 {
			t.Errorf("Stats = %+v, want 6 failed loads", got)
		}
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(cache.ErrNotFound))).check(t, 1, nil)
		synctest.Wait()
		checkGet(t, c, "k", 0)
	})
}

// The result of a load that is slower than Refresh, and even than TTL, is
// stored all the same.
func TestSlowRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := refreshing(cache.Config[string, int]{TTL: 2 * time.Minute, LoadTimeout: time.Hour})
		c.Set("k", 1)
		slow := func(context.Context, string) (int, error) { time.Sleep(5 * time.Minute); return 2, nil }
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", slow)).check(t, 1, nil)
		time.Sleep(30 * time.Second)
		(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 1, nil)
		time.Sleep(time.Minute) // it has expired
		(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 2, nil)
		checkGet(t, c, "k", 2)
	})
}

func TestRefreshOfWhatHasGone(t *testing.T) {
	for name, end := range map[string]func(*cache.Cache[string, int]){
		"evicted":         func(c *cache.Cache[string, int]) { c.Set("a", 8); c.Set("b", 9) },
		"deleted":         func(c *cache.Cache[string, int]) { c.Delete("k") },
		"cleared":         func(c *cache.Cache[string, int]) { c.Clear() },
		"set and deleted": func(c *cache.Cache[string, int]) { c.Set("k", 3); c.Delete("k") },
		"removed by Op": func(c *cache.Cache[string, int]) {
			c.Update("k", func(int, bool) (int, cache.Op) { return 0, cache.Delete })
		},
		"by DeleteFunc":    func(c *cache.Cache[string, int]) { c.DeleteFunc(func(string, int) bool { return true }) },
		"CompareAndDelete": func(c *cache.Cache[string, int]) { cache.CompareAndDelete(c, "k", 1) },
	} {
		synctest.Test(t, func(t *testing.T) {
			c := refreshing(cache.Config[string, int]{})
			c.Set("k", 1)
			time.Sleep(time.Minute)
			(<-ask(t.Context(), c, "k", sleeper(2))).check(t, 1, nil)
			end(c)
			time.Sleep(time.Minute)
			if v, ok := c.Peek("k"); ok || c.Loading() != 0 {
				t.Errorf("%s: the refresh has brought back %d", name, v)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // but not if it is written or waited for
		c := refreshing(cache.Config[string, int]{})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", sleeper(2))).check(t, 1, nil)
		c.Set("k", 3)
		time.Sleep(time.Minute)
		checkGet(t, c, "k", 3)

		(<-ask(t.Context(), c, "k", sleeper(4))).check(t, 3, nil)
		c.Set("a", 8)
		c.Set("b", 9)
		(<-ask(t.Context(), c, "k", unwanted(t))).check(t, 4, nil)
		checkGet(t, c, "k", 4)
	})
}

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 4, TTL: time.Minute, StaleIfError: time.Hour, OnEvent: l.add})
		before := ask(t.Context(), c, "k", sleeper(1))
		reload := func(load loader) result {
			v, err := c.Reload(t.Context(), "k", load)
			return result{v, err}
		}
		reload(sleeper(2)).check(t, 2, nil) // does not join
		(<-before).check(t, 1, nil)
		checkGet(t, c, "k", 2)
		reload(failing(io.EOF)).check(t, 0, io.EOF)
		checkGet(t, c, "k", 2)
		l.check(t)
		reload(sleeper(3)).check(t, 3, nil)
		l.check(t, departed("k", 2, cache.CauseReplaced))

		time.Sleep(time.Minute)
		reload(failing(io.EOF)).check(t, 0, io.EOF) // nothing stands in
		if p := caught(t, func() { reload(func(context.Context, string) (int, error) { panic("r") }) }); p.Value != "r" {
			t.Errorf("panic value %v, want r", p.Value)
		}
		reload(failing(cache.ErrNotFound)).check(t, 0, cache.ErrNotFound)
		l.check(t, departed("k", 3, cache.CauseExpired))
		reload(func(ctx context.Context, k string) (int, error) { return c.Reload(ctx, k, nil) }).check(t, 0, cache.ErrRecursive)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v, err := c.Reload(ctx, "k", unwanted(t))
		result{v, err}.check(t, 0, context.Canceled)
	})
}
