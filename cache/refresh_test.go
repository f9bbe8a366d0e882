package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/cache"
)

type loader = func(context.Context, string) (int, error)

// refreshing returns a cache whose values are to be loaded anew after a minute.
func refreshing(config cache.Config[string, int]) *cache.Cache[string, int] {
	config.Capacity, config.Eviction, config.Refresh = 2, cache.LRU, time.Minute
	return cache.New(config)
}

// unwanted is a loader that must not be called.
func unwanted(t *testing.T) loader {
	return func(context.Context, string) (int, error) {
		t.Helper()
		t.Error("the loader was called")
		return 0, nil
	}
}

func TestTrap20_RefreshServesTheOldValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := refreshing(cache.Config[string, int]{OnEvent: l.add})
		(<-ask(t.Context(), c, "k", sleeper(1))).want(t, 1, nil)
		c.Set("other", 9)
		time.Sleep(time.Minute - 1)
		(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 1, nil)
		c.Get("other") // k is the least recently used again
		time.Sleep(time.Nanosecond)
		for range 5 { // one load for all of them
			ctx, cancel := context.WithCancel(t.Context())
			(<-ask(ctx, c, "k", sleeper(2))).want(t, 1, nil)
			cancel() // and no load of theirs
		}
		c.Get("other")
		time.Sleep(time.Second)
		synctest.Wait()
		l.want(t, departed("k", 1, cache.CauseReplaced))
		wantKeys(t, c, "k", "other") // the refresh was no use
		(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 2, nil)
		if got := c.Stats(); got.Loads != 2 || got.Misses != 1 {
			t.Errorf("Stats = %+v, want 2 loads and 1 miss", got)
		}
	})
}

func TestTrap20_FailedRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := refreshing(cache.Config[string, int]{})
		c.Set("k", 1)
		for range 3 { // an error and a panic keep the old value, and the next attempt is a minute later
			time.Sleep(time.Minute)
			(<-ask(t.Context(), c, "k", failing(io.EOF))).want(t, 1, nil)
			synctest.Wait()
			(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 1, nil)
			time.Sleep(time.Minute)
			(<-ask(t.Context(), c, "k", func(context.Context, string) (int, error) { panic("refresh") })).want(t, 1, nil)
			synctest.Wait()
			(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 1, nil)
		}
		if got := c.Stats(); got.Loads != 6 || got.LoadErrors != 6 {
			t.Errorf("Stats = %+v, want 6 failed loads", got)
		}
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(cache.ErrNotFound))).want(t, 1, nil)
		synctest.Wait()
		wantGet(t, c, "k", 0)
	})
}

// A load that is slower than the refresh interval, and even than the TTL, brings its result in all the same.
func TestTrap20_SlowRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := refreshing(cache.Config[string, int]{TTL: 2 * time.Minute})
		c.Set("k", 1)
		slow := func(context.Context, string) (int, error) { time.Sleep(5 * time.Minute); return 2, nil }
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", slow)).want(t, 1, nil)
		time.Sleep(30 * time.Second)
		(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 1, nil)
		time.Sleep(time.Minute) // it has expired
		(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 2, nil)
		wantGet(t, c, "k", 2)
	})
}

func TestTrap19_RefreshOfWhatHasGone(t *testing.T) {
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
			(<-ask(t.Context(), c, "k", sleeper(2))).want(t, 1, nil)
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
		(<-ask(t.Context(), c, "k", sleeper(2))).want(t, 1, nil)
		c.Set("k", 3)
		time.Sleep(time.Minute)
		wantGet(t, c, "k", 3)

		(<-ask(t.Context(), c, "k", sleeper(4))).want(t, 3, nil)
		c.Set("a", 8)
		c.Set("b", 9)
		(<-ask(t.Context(), c, "k", unwanted(t))).want(t, 4, nil)
		wantGet(t, c, "k", 4)
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
		reload(sleeper(2)).want(t, 2, nil) // does not join
		(<-before).want(t, 1, nil)
		wantGet(t, c, "k", 2)
		reload(failing(io.EOF)).want(t, 0, io.EOF)
		wantGet(t, c, "k", 2)
		l.want(t)
		reload(sleeper(3)).want(t, 3, nil)
		l.want(t, departed("k", 2, cache.CauseReplaced))

		time.Sleep(time.Minute)
		reload(failing(io.EOF)).want(t, 0, io.EOF) // nothing stands in
		if p := caught(t, func() { reload(func(context.Context, string) (int, error) { panic("r") }) }); p.Value != "r" {
			t.Errorf("panic value %v, want r", p.Value)
		}
		reload(failing(cache.ErrNotFound)).want(t, 0, cache.ErrNotFound)
		l.want(t, departed("k", 3, cache.CauseExpired))
		reload(func(ctx context.Context, k string) (int, error) { return c.Reload(ctx, k, nil) }).want(t, 0, cache.ErrRecursive)

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		v, err := c.Reload(ctx, "k", unwanted(t))
		result{v, err}.want(t, 0, context.Canceled)
	})
}

// ---- several keys at once

// many is a bulk loader that knows the lengths of all keys but "none", and what it was asked for.
type many struct{ asked [][]string }

func (m *many) load(_ context.Context, keys []string) (map[string]int, error) {
	m.asked = append(m.asked, keys)
	time.Sleep(time.Second)
	lengths := map[string]int{"extra": 5}
	for _, k := range keys {
		if k != "none" {
			lengths[k] = len(k)
		}
	}
	return lengths, nil
}

func TestTrap23_Bulk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		c.Set("set", 100)
		single := ask(t.Context(), c, "bbb", sleeper(200))
		var m many
		joiner := make(chan result, 1)
		go func() {
			time.Sleep(time.Millisecond)
			v, err := c.GetOrLoad(t.Context(), "none", nil)
			joiner <- result{v, err}
		}()
		got, err := c.GetOrLoadMany(t.Context(), []string{"a", "a", "none", "set", "bbb", "cc"}, m.load)
		if diff := cmp.Diff(map[string]int{"a": 1, "set": 100, "bbb": 200, "cc": 2}, got); diff != "" || err != nil {
			t.Errorf("GetOrLoadMany: error %v, values (-want +got):\n%s", err, diff)
		}
		if diff := cmp.Diff([][]string{{"a", "none", "cc"}}, m.asked); diff != "" {
			t.Errorf("asked for (-want +got):\n%s", diff)
		}
		(<-single).want(t, 200, nil)
		(<-joiner).want(t, 0, cache.ErrNotFound)
		wantGet(t, c, "extra", 0) // not asked for, not stored
		wantGet(t, c, "cc", 2)
		if got := c.Stats(); got.Loads != 4 || got.LoadErrors != 1 || got.LoadTime != 2*time.Second {
			t.Errorf("Stats = %+v, want 4 loads, 1 failed, in 2 s", got)
		}
	})
}

func TestTrap23_BulkErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 10, ErrorTTL: func(error) time.Duration { return time.Hour }})
		partial := func(context.Context, []string) (map[string]int, error) { return map[string]int{"a": 1}, io.EOF }
		other := ask(t.Context(), c, "other", func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			return 0, io.ErrNoProgress
		})
		got, err := c.GetOrLoadMany(t.Context(), []string{"a", "b", "c", "other"}, partial)
		if diff := cmp.Diff(map[string]int{"a": 1}, got); diff != "" || err.Error() != "EOF\nmultiple Read calls return no data or error" {
			t.Errorf("GetOrLoadMany: error %q, values (-want +got):\n%s", err, diff)
		}
		<-other
		_, err = c.GetOrLoadMany(t.Context(), []string{"b"}, nil) // remembered
		if cached := new(cache.CachedError); !errors.As(err, &cached) || !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want a remembered EOF", err)
		}
		if n := c.Loading(); n != 0 {
			t.Errorf("%d flights left", n)
		}
	})
}

func TestTrap23_BulkPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		keys := []string{"a", "b"}
		p := caught(t, func() {
			c.GetOrLoadMany(t.Context(), keys, func(context.Context, []string) (map[string]int, error) { panic("bulk") })
		})
		if p.Value != "bulk" || c.Loading() != 0 {
			t.Errorf("panic value %v, %d flights left, want bulk and 0", p.Value, c.Loading())
		}
		// One that joins a load that panics leaves the others it waits for: they end.
		ended := false
		go func() {
			caught(t, func() {
				c.GetOrLoad(t.Context(), "a", func(context.Context, string) (int, error) { time.Sleep(time.Second); panic("single") })
			})
		}()
		synctest.Wait()
		caught(t, func() {
			c.GetOrLoadMany(t.Context(), keys, func(ctx context.Context, _ []string) (map[string]int, error) {
				<-ctx.Done()
				ended = true
				return nil, ctx.Err()
			})
		})
		synctest.Wait()
		if !ended {
			t.Error("nobody waits for the load, and it goes on")
		}
		_, err := c.GetOrLoadMany(t.Context(), keys, func(context.Context, []string) (map[string]int, error) {
			runtime.Goexit()
			return nil, nil
		})
		if fmt.Sprint(err) != "cache: loader called runtime.Goexit" {
			t.Errorf("error %v, want one that names Goexit, once", err)
		}
	})
}

func TestTrap23_BulkCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		c.Set("there", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := false
		keys := []string{"there", "a", "b", "c"}
		wait := func(ctx context.Context, _ []string) (map[string]int, error) {
			<-ctx.Done()
			ended = true
			return nil, ctx.Err()
		}
		got, err := c.GetOrLoadMany(ctx, keys, wait)
		if text := "cache: wait: context deadline exceeded"; len(got) != 1 || fmt.Sprint(err) != text || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetOrLoadMany = %v, %v, want what was there and %q", got, err, text)
		}
		synctest.Wait()
		if !ended || c.Loading() != 0 {
			t.Errorf("the load goes on, %d flights left", c.Loading())
		}
		got, err = c.GetOrLoadMany(ctx, keys, nil) // done before it began
		if len(got) != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetOrLoadMany = %v, %v, want what was there and the context's error", got, err)
		}
	})
}

// Somebody still waits for one key of a load whose first caller has gone: it goes on.
func TestTrap23_BulkJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		ctx, cancel := context.WithCancel(t.Context())
		var m many
		go c.GetOrLoadMany(ctx, []string{"a", "bb"}, m.load)
		synctest.Wait()
		joiner := ask(t.Context(), c, "bb", unwanted(t))
		cancel()
		(<-joiner).want(t, 2, nil)
		synctest.Wait()
		wantGet(t, c, "bb", 2)
		wantGet(t, c, "a", 0) // nobody waited for it
	})
}

func TestTrap16_RecursionInBulk(t *testing.T) {
	c := newLRU(10)
	v, err := c.GetOrLoadMany(t.Context(), []string{"a", "b"}, func(ctx context.Context, _ []string) (map[string]int, error) {
		type id struct{}
		if ctx.Value(id{}) != nil {
			t.Error("the context has a value that nobody gave it")
		}
		inner, err := c.GetOrLoad(ctx, "c", func(ctx context.Context, _ string) (int, error) { return c.GetOrLoad(ctx, "b", nil) })
		return map[string]int{"a": inner}, err
	})
	if !errors.Is(err, cache.ErrRecursive) || v["a"] != 0 {
		t.Errorf("GetOrLoadMany = %v, %v, want ErrRecursive", v, err)
	}
}
