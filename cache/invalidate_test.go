package cache_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// The ways to invalidate the keys that begin with "a/", or all keys.
var invalidations = map[string]func(*cache.Cache[string, int]){
	"Delete": func(c *cache.Cache[string, int]) { c.Delete("a/1") },
	"DeleteKeys": func(c *cache.Cache[string, int]) {
		c.DeleteKeys(func(k string) bool { return strings.HasPrefix(k, "a/") })
	},
	"DeleteFunc": func(c *cache.Cache[string, int]) {
		c.DeleteFunc(func(k string, _ int) bool { return strings.HasPrefix(k, "a/") })
	},
	"Clear": func(c *cache.Cache[string, int]) { c.Clear() },
}

func TestInvalidatedStaleValueIsNotServed(t *testing.T) {
	for name, invalidate := range invalidations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config[string, int]{Capacity: 10, TTL: time.Minute, StaleIfError: time.Hour})
				c.Set("a/1", 1)
				c.Set("b/1", 2)
				time.Sleep(2 * time.Minute)
				invalidate(c)
				(<-ask(t.Context(), c, "a/1", failing(io.EOF))).check(t, 0, io.EOF)
				if name != "Clear" {
					(<-ask(t.Context(), c, "b/1", failing(io.EOF))).check(t, 2, nil)
				}
			})
		})
	}
}

// A load that read the origin before an invalidation does not store its result,
// and its callers do not fall back on the invalidated value.
func TestInvalidationReachesLoads(t *testing.T) {
	for name, invalidate := range invalidations {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config[string, int]{Capacity: 10, TTL: time.Minute, StaleIfError: time.Hour, Refresh: 30 * time.Second})
				got := ask(t.Context(), c, "a/1", sleeper(1))
				invalidate(c)
				(<-got).check(t, 1, nil)
				checkGet(t, c, "a/1", 0)

				c.Set("a/1", 1)
				time.Sleep(30 * time.Second)
				(<-ask(t.Context(), c, "a/1", sleeper(2))).check(t, 1, nil) // a refresh
				invalidate(c)
				time.Sleep(time.Minute)
				checkGet(t, c, "a/1", 0)

				c.Set("a/1", 1)
				time.Sleep(time.Minute)
				got = ask(t.Context(), c, "a/1", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, io.EOF })
				invalidate(c)
				(<-got).check(t, 0, io.EOF)

				many := make(chan map[string]int, 1)
				go func() {
					v, _ := c.GetOrLoadMany(t.Context(), []string{"a/1", "b/1"}, func(context.Context, []string) (map[string]int, error) {
						time.Sleep(time.Second)
						return map[string]int{"a/1": 1, "b/1": 2, "a/2": 3, "b/2": 4}, nil
					})
					many <- v
				}()
				synctest.Wait()
				invalidate(c)
				checkEqual(t, <-many, map[string]int{"a/1": 1, "b/1": 2})
				checkGet(t, c, "a/1", 0)
				checkGet(t, c, "a/2", 0) // not requested, and perhaps older than the invalidation
			})
		})
	}
}

func TestInvalidationReachesRememberedErrors(t *testing.T) {
	for name, invalidate := range invalidations {
		if name == "DeleteFunc" {
			continue // an error has no value
		}
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config[string, int]{Capacity: 10, ErrorTTL: func(error) time.Duration { return time.Hour }})
				for _, k := range []string{"a/1", "b/1"} {
					(<-ask(t.Context(), c, k, failing(cache.ErrNotFound))).check(t, 0, cache.ErrNotFound)
				}
				invalidate(c)
				(<-ask(t.Context(), c, "a/1", sleeper(1))).check(t, 1, nil)
				if name != "Clear" {
					(<-ask(t.Context(), c, "b/1", unwanted(t))).check(t, 0, cache.ErrNotFound)
				}
				// Nor is the error of a load from before remembered.
				c.Clear()
				got := ask(t.Context(), c, "a/1", func(context.Context, string) (int, error) { time.Sleep(time.Second); return 0, cache.ErrNotFound })
				invalidate(c)
				(<-got).check(t, 0, cache.ErrNotFound)
				(<-ask(t.Context(), c, "a/1", sleeper(2))).check(t, 2, nil)
			})
		})
	}
}

// DeleteKeys leaves the loads of other keys alone.
func TestDeleteKeysSparesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 10, OnEvent: l.add})
		c.Set("a/1", 1)
		c.Set("a/2", 2)
		c.Set("b/1", 3)
		got := ask(t.Context(), c, "b/2", sleeper(4))
		if n := c.DeleteKeys(func(k string) bool { return k == "a/1" || k == "b/3" }); n != 1 {
			t.Errorf("DeleteKeys = %d, want 1", n)
		}
		l.check(t, departed("a/1", 1, cache.CauseDeleted))
		(<-got).check(t, 4, nil)
		checkGet(t, c, "b/2", 4)
		checkGet(t, c, "a/2", 2)
	})
}

// A function that panics leaves the cache usable.
func TestPanicInDeleteFunc(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(4)
		c.Set("k", 1)
		got := ask(t.Context(), c, "x", sleeper(2))
		for _, f := range []func(){
			func() { c.DeleteFunc(func(string, int) bool { panic("f") }) },
			func() { c.DeleteKeys(func(string) bool { panic("f") }) },
		} {
			func() {
				defer func() { checkEqual(t, recover(), "f") }()
				f()
			}()
		}
		checkGet(t, c, "k", 1)
		(<-got).check(t, 2, nil)
	})
}

// Values that a load brings beyond the request fill gaps only.
func TestExtraValues(t *testing.T) {
	for _, tt := range []struct {
		name string
		op   func(*cache.Cache[string, int])
		want int // the value of x afterwards
	}{
		{"nothing", func(*cache.Cache[string, int]) {}, 5},
		{"Set", func(c *cache.Cache[string, int]) { c.Set("x", 7) }, 7},
		{"Set and Delete", func(c *cache.Cache[string, int]) { c.Set("x", 7); c.Delete("x") }, 0},
		{"Delete", func(c *cache.Cache[string, int]) { c.Delete("x") }, 0},
		{"Clear", func(c *cache.Cache[string, int]) { c.Clear() }, 0},
		{"DeleteFunc", func(c *cache.Cache[string, int]) { c.DeleteFunc(func(string, int) bool { return false }) }, 0},
		{"Reload", func(c *cache.Cache[string, int]) {
			c.Reload(context.Background(), "x", failing(cache.ErrNotFound))
		}, 0},
		{"Update", func(c *cache.Cache[string, int]) {
			c.Update("x", func(int, bool) (int, cache.Op) { return 0, cache.Delete })
		}, 0},
		{"a load", func(c *cache.Cache[string, int]) { c.GetOrLoad(context.Background(), "x", sleeper(8)) }, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newLRU(4)
				done := make(chan struct{})
				go func() {
					defer close(done)
					c.GetOrLoadMany(t.Context(), []string{"k"}, func(context.Context, []string) (map[string]int, error) {
						time.Sleep(2 * time.Second)
						return map[string]int{"k": 1, "x": 5}, nil
					})
				}()
				synctest.Wait()
				tt.op(c)
				<-done
				checkGet(t, c, "x", tt.want)
				if problem := c.Check(); problem != "" {
					t.Error(problem)
				}
			})
		})
	}
}
