package cache_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/cache"
)

func TestExpiryBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, TTL: time.Second})
		c.Set("a", 1)
		time.Sleep(time.Second - 1)
		checkGet(t, c, "a", 1)
		time.Sleep(time.Nanosecond)
		checkGet(t, c, "a", 0)
	})
}

// An expired entry that StaleIfError keeps is absent for every operation. It
// departs with CauseExpired, whatever removes it.
func TestExpiredIsAbsent(t *testing.T) {
	type lru = *cache.Cache[string, int]
	for _, tt := range []struct {
		name    string
		removes bool
		op      func(*testing.T, lru)
	}{
		{"Get", false, func(t *testing.T, c lru) { checkGet(t, c, "a", 0) }},
		{"Keys", false, func(t *testing.T, c lru) { checkKeys(t, c) }},
		{"Set", true, func(t *testing.T, c lru) { c.Set("a", 2); checkGet(t, c, "a", 2) }},
		{"Peek", false, func(t *testing.T, c lru) {
			if v, ok := c.Peek("a"); ok {
				t.Errorf("Peek = %v, true", v)
			}
		}},
		{"Entry", false, func(t *testing.T, c lru) {
			if e, ok := c.Entry("a"); ok {
				t.Errorf("Entry = %v, true", e)
			}
		}},
		{"Entries", false, func(t *testing.T, c lru) {
			for e := range c.Entries() {
				t.Errorf("Entries has %v", e)
			}
		}},
		{"GetOrSet", true, func(t *testing.T, c lru) {
			if v, loaded := c.GetOrSet("a", 2); v != 2 || loaded {
				t.Errorf("GetOrSet = %v, %v, want 2, false", v, loaded)
			}
		}},
		{"Delete", true, func(t *testing.T, c lru) {
			if c.Delete("a") {
				t.Error("Delete = true, want false")
			}
		}},
		{"DeleteFunc", true, func(t *testing.T, c lru) {
			if n := c.DeleteFunc(func(string, int) bool { return true }); n != 0 {
				t.Errorf("DeleteFunc = %d, want 0", n)
			}
		}},
		{"GetAndDelete", true, func(t *testing.T, c lru) {
			if v, ok := c.GetAndDelete("a"); v != 0 || ok {
				t.Errorf("GetAndDelete = %v, %v, want 0, false", v, ok)
			}
		}},
		{"Swap", true, func(t *testing.T, c lru) {
			if old, had := c.Swap("a", 2); old != 0 || had {
				t.Errorf("Swap = %v, %v, want 0, false", old, had)
			}
		}},
		{"Update", true, func(t *testing.T, c lru) {
			c.Update("a", func(old int, ok bool) (int, cache.Op) {
				if old != 0 || ok {
					t.Errorf("Update sees %v, %v, want 0, false", old, ok)
				}
				return 2, cache.Write
			})
		}},
		{"CompareAndSwap", false, func(t *testing.T, c lru) {
			if cache.CompareAndSwap(c, "a", 1, 2) || cache.CompareAndDelete(c, "a", 1) {
				t.Error("it has been compared")
			}
		}},
		{"Restore", true, func(t *testing.T, c lru) {
			if n := c.Restore(slices.Values([]cache.Entry[string, int]{{Key: "a", Value: 2}})); n != 1 {
				t.Errorf("Restore = %d, want 1", n)
			}
		}},
		{"GetOrLoad", true, func(t *testing.T, c lru) {
			load := func(context.Context, string) (int, error) { return 2, nil }
			if v, err := c.GetOrLoad(t.Context(), "a", load); v != 2 || err != nil {
				t.Errorf("GetOrLoad = %v, %v, want 2", v, err)
			}
		}},
		{"Clear", true, func(t *testing.T, c lru) { c.Clear() }},
		{"evicted", true, func(t *testing.T, c lru) { c.Set("b", 2); c.Set("c", 3) }},
		{"SetConfig", true, func(t *testing.T, c lru) { c.Set("b", 2); resize(c, 1) }},
		{"Expire", false, func(t *testing.T, c lru) {
			if n := c.Expire(); n != 0 {
				t.Errorf("Expire = %d, want 0", n)
			}
		}},
		{"time", true, func(t *testing.T, c lru) { time.Sleep(time.Hour); synctest.Wait() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var l log
				c := cache.New(cache.Config[string, int]{
					Capacity: 2, Eviction: cache.LRU, TTL: time.Second, StaleIfError: time.Hour, OnEvent: l.add,
				})
				c.Set("a", 1)
				time.Sleep(time.Second)
				if n := c.Len(); n != 1 {
					t.Errorf("Len() = %d, want 1: expired, not yet removed", n)
				}
				tt.op(t, c)
				if !tt.removes {
					l.check(t)
					return
				}
				l.check(t, departed("a", 1, cache.CauseExpired))
				if got := c.Stats().Expirations; got != 1 {
					t.Errorf("Expirations = %d, want 1", got)
				}
			})
		})
	}
}

func TestLongLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, StaleIfError: cache.NoExpiry})
		time.Sleep(time.Hour) // so that now + ttl overflows
		c.SetTTL("never", 1, cache.NoExpiry)
		c.SetTTL("nearly", 2, cache.NoExpiry-time.Minute)
		c.SetTTL("default", 3, cache.UseTTL)
		time.Sleep(time.Minute - 1)
		checkGet(t, c, "default", 3)
		time.Sleep(time.Nanosecond)
		checkGet(t, c, "default", 0)
		time.Sleep(100 * 365 * 24 * time.Hour)
		checkGet(t, c, "never", 1)
		checkGet(t, c, "nearly", 2)
	})
}

// A value with a lifetime of zero or less has expired already: it is not
// stored, evicts no other entry, and departs once.
func TestNegativeLifetimeRemoves(t *testing.T) {
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		op   func(*cache.Cache[string, int])
	}{
		{"SetTTL", func(c *cache.Cache[string, int]) { c.SetTTL("k", -2, -1) }},
		{"SetTTL, now", func(c *cache.Cache[string, int]) { c.SetTTL("k", -2, 0) }},
		{"SetTTL, the past", func(c *cache.Cache[string, int]) { c.SetTTL("k", -2, math.MinInt64) }},
		{"Set", func(c *cache.Cache[string, int]) { c.Set("k", -2) }},
		{"Swap", func(c *cache.Cache[string, int]) { c.Swap("k", -2) }},
		{"Update", func(c *cache.Cache[string, int]) {
			if v, ok := c.Update("k", func(int, bool) (int, cache.Op) { return -2, cache.Write }); v != 0 || ok {
				t.Errorf("Update = %v, %v, want 0, false", v, ok)
			}
		}},
		{"Reload", func(c *cache.Cache[string, int]) {
			v, err := c.Reload(ctx, "k", func(context.Context, string) (int, error) { return -2, nil })
			result{v, err}.check(t, -2, nil)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l log
			c := cache.New(cache.Config[string, int]{
				Capacity: 2, Eviction: cache.LRU, StaleIfError: time.Hour, OnEvent: l.add, Jitter: 0.5,
				Expiry: func(_ string, v int) time.Duration { return time.Duration(v) * time.Hour },
			})
			c.Set("k", 1)
			c.Set("other", 2)
			tt.op(c)
			l.check(t, departed("k", 1, cache.CauseReplaced), departed("k", -2, cache.CauseExpired))
			checkKeys(t, c, "other")
			checkEqual(t, c.Len(), 1)
			v, err := c.GetOrLoad(ctx, "k", failing(io.EOF)) // it is not served stale
			result{v, err}.check(t, 0, io.EOF)
			checkEqual(t, c.Check(), "")
		})
	}

	c := cache.New(cache.Config[string, int]{Capacity: 2, Expiry: func(string, int) time.Duration { return -1 }})
	if v, loaded := c.GetOrSet("k", 1); v != 1 || loaded || c.Len() != 0 {
		t.Errorf("GetOrSet = %v, %v, Len() = %d, want 1, false, 0", v, loaded, c.Len())
	}
	v, err := c.GetOrLoad(ctx, "k", func(context.Context, string) (int, error) { return 1, nil })
	result{v, err}.check(t, 1, nil)
	checkEqual(t, c.Len(), 0)
}

func TestDeadlinesMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute})
		c.Set("a", 1)
		c.SetTTL("a", 2, time.Second) // earlier
		c.SetTTL("b", 1, time.Second)
		c.Set("b", 2) // later
		time.Sleep(time.Second)
		checkGet(t, c, "a", 0)
		checkGet(t, c, "b", 2)
		time.Sleep(time.Minute - 2*time.Second)
		checkGet(t, c, "b", 2) // and reading it has not moved the deadline
		time.Sleep(time.Second)
		checkGet(t, c, "b", 0)
	})
}

func TestJitterOnlyShortens(t *testing.T) {
	for _, tt := range []struct {
		random float64
		want   time.Duration
	}{{0, 100 * time.Second}, {0.5, 75 * time.Second}, {1, 50 * time.Second}} {
		synctest.Test(t, func(t *testing.T) {
			c := cache.New(cache.Config[string, int]{Capacity: 2, TTL: 100 * time.Second, Jitter: 0.5})
			c.SetRandom(func() float64 { return tt.random })
			c.Set("a", 1)
			c.SetTTL("exact", 2, 200*time.Second)
			time.Sleep(tt.want - 1)
			checkGet(t, c, "a", 1)
			time.Sleep(time.Nanosecond)
			checkGet(t, c, "a", 0)
			time.Sleep(200*time.Second - tt.want - 1)
			checkGet(t, c, "exact", 2)
		})
	}
	synctest.Test(t, func(t *testing.T) { // the built-in source
		c := cache.New(cache.Config[int, int]{Capacity: 1000, TTL: 100 * time.Second, Jitter: 0.5})
		for k := range 1000 {
			c.Set(k, 1)
		}
		time.Sleep(50*time.Second - 1)
		if n := len(keys(c)); n != 1000 {
			t.Errorf("%d of 1000 entries before half the TTL", n)
		}
		time.Sleep(25 * time.Second)
		if n := len(keys(c)); n < 400 || n > 600 {
			t.Errorf("%d of 1000 entries at three quarters of the TTL, want about 500", n)
		}
		time.Sleep(25*time.Second + 1)
		checkKeys(t, c)
	})
}

func TestTimelyExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, OnEvent: l.add})
		c.Set("a", 1)
		c.SetTTL("b", 2, time.Second) // earlier than what the timer waits for
		c.SetTTL("c", 3, cache.NoExpiry)
		time.Sleep(time.Second - 1)
		synctest.Wait()
		l.check(t)
		time.Sleep(time.Millisecond)
		synctest.Wait()
		l.check(t, departed("b", 2, cache.CauseExpired))
		time.Sleep(time.Hour)
		synctest.Wait()
		l.check(t, departed("a", 1, cache.CauseExpired))
		checkKeys(t, c, "c")
		c.Set("d", 4) // it wakes up again after all had gone
		time.Sleep(time.Hour)
		synctest.Wait()
		l.check(t, departed("d", 4, cache.CauseExpired))
		if problem := c.Check(); problem != "" {
			t.Error(problem)
		}
	})
}

func TestManyExpireTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.NewSharded(cache.Config[int, int]{Capacity: 10_000, TTL: time.Second}, 4)
		for k := range 5000 {
			c.Set(k, k)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := c.Len(); n != 0 || c.Stats().Expirations != 5000 {
			t.Errorf("Len() = %d, %d expirations, want 0 and 5000", n, c.Stats().Expirations)
		}
	})
}

func TestExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[int, int]{Capacity: 1000, TTL: time.Microsecond}) // the timer has a millisecond
		for k := range 300 {
			c.Set(k, k)
		}
		time.Sleep(time.Microsecond)
		if n := c.Expire(); n != 300 || c.Len() != 0 {
			t.Errorf("Expire() = %d, Len() = %d, want 300 and 0", n, c.Len())
		}
	})
}

func TestEntryExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, Expiry: func(_ string, v int) time.Duration {
			if v == 7 {
				return cache.UseTTL
			}
			return time.Duration(v) * time.Second
		}})
		c.Set("default", 7)
		c.Set("not kept", 0)
		c.Set("short", 1)
		c.Set("long", 120)
		c.Set("past", -1)
		c.SetTTL("own", 2, 90*time.Second)
		var got []string
		for range 5 {
			got = append(got, fmt.Sprint(slices.Sorted(c.Keys())))
			time.Sleep(30 * time.Second)
			synctest.Wait()
		}
		want := "[[default long own short] [default long own] [long own] [long] []]"
		if fmt.Sprint(got) != want {
			t.Errorf("every 30 s there are %v, want %v", got, want)
		}
	})
}

func TestIdleTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, IdleTTL: 10 * time.Second, OnEvent: l.add})
		c.Set("used", 1)
		c.Set("peeked", 2)
		for range 5 {
			time.Sleep(10*time.Second - 1)
			checkGet(t, c, "used", 1)
			c.Peek("peeked")
			c.Entry("peeked")
		}
		l.check(t, departed("peeked", 2, cache.CauseExpired))
		checkGet(t, c, "used", 1)
		time.Sleep(10*time.Second + 5) // a minute after the write, though it was not idle
		checkGet(t, c, "used", 0)
		synctest.Wait()
		l.check(t, departed("used", 1, cache.CauseExpired))
	})
}

// Readers extend the idleness of an entry until its end. After a reader has
// found the entry absent, no reader finds it again. A new value has a lifetime
// of its own.
func TestNoRevival(t *testing.T) {
	c := cache.New(cache.Config[int, int]{Capacity: 4, IdleTTL: 20 * time.Microsecond})
	for round := range 200 {
		c.Set(0, round)
		var absent atomic.Bool
		done := make(chan string, 4)
		for range cap(done) {
			go func() {
				for range 2000 {
					known := absent.Load()
					_, ok := c.Get(0)
					if ok && known {
						done <- "an entry was found after it had been found absent"
						return
					}
					if !ok {
						absent.Store(true)
						break
					}
				}
				done <- ""
			}()
		}
		for range cap(done) {
			if problem := <-done; problem != "" {
				t.Fatalf("round %d: %s", round, problem)
			}
		}
	}
}

func TestTimerDoesNotKeepTheCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cleaned atomic.Int64
		func() {
			c := cache.New(cache.Config[int, *big]{Capacity: 2, TTL: time.Hour})
			v := new(big)
			runtime.AddCleanup(v, func(int) { cleaned.Add(1) }, 0)
			c.Set(1, v)
		}()
		for range 1000 { // no time passes in the bubble
			if runtime.GC(); cleaned.Load() == 1 {
				break
			}
		}
		if cleaned.Load() != 1 {
			t.Error("the cache has not been collected while its timer runs")
		}
		time.Sleep(2 * time.Hour) // the timer fires, and finds nothing
	})
}

// ---- the expiry queue. Oracle: a sorted slice of deadlines.

// An agenda is the list of keys that will depart, with their deadlines. Events
// come from the goroutine of a timer.
type agenda struct {
	mu      sync.Mutex
	start   time.Time
	open    []deadline
	problem string
}

type deadline struct {
	k  int
	at time.Duration
}

// event checks that a key departs at its deadline or a little later, and that
// no key departs before another key that is due earlier.
func (a *agenda) event(_ context.Context, e pairEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e.Cause != cache.CauseExpired || a.problem != "" {
		return
	}
	now := time.Since(a.start)
	slices.SortStableFunc(a.open, func(a, b deadline) int { return cmp.Compare(a.at, b.at) })
	i := slices.IndexFunc(a.open, func(d deadline) bool { return d.k == e.Key })
	switch {
	case i < 0 || now < a.open[i].at || now > a.open[i].at+a.open[i].at/7+2*time.Millisecond:
		a.problem = fmt.Sprintf("key %d departs at %v, of %v", e.Key, now, a.open)
	case a.open[0].at < a.open[i].at:
		a.problem = fmt.Sprintf("key %d departs before key %d", e.Key, a.open[0].k)
	default:
		a.open = slices.Delete(a.open, i, i+1)
	}
}

func (a *agenda) forget(k int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = slices.DeleteFunc(a.open, func(d deadline) bool { return d.k == k })
}

func (a *agenda) add(k int, ttl time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = append(a.open, deadline{k, time.Since(a.start) + ttl})
}

// replayExpiry runs a program of two bytes per operation, and returns the first
// problem.
func replayExpiry(program []byte, wrong int) string {
	a := &agenda{start: time.Now()}
	c := cache.NewSharded(cache.Config[int, int]{Capacity: 1000, OnEvent: a.event}, 1)
	for i := 0; i+1 < len(program); i += 2 {
		k, n := int(program[i]%16), time.Duration(program[i+1])
		switch program[i] / 16 % 4 {
		case 0:
			time.Sleep(n * 10 * time.Millisecond)
			synctest.Wait()
		case 1:
			if c.Delete(k) {
				a.forget(k)
			}
		default:
			if !c.Delete(k) { // one that has expired departs now
				synctest.Wait()
			}
			a.forget(k)
			c.SetTTL(k, i, (n+1)*(n+1)*time.Millisecond)
			a.add(k, (n+1)*(n+1)*time.Millisecond+time.Duration(wrong))
		}
	}
	time.Sleep(time.Hour)
	synctest.Wait()
	runtime.KeepAlive(c) // a cache that nobody has any more removes nothing
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.problem == "" && len(a.open) > 0 {
		return fmt.Sprintf("%v have not departed", a.open)
	}
	return a.problem
}

func TestExpiryEqualsSortedSlice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Oracle: a sorted slice.
		checkProperty(t, 200, prop.ForAll(
			func(program []byte) *gopter.PropResult { return holds(replayExpiry(program, right)) },
			gen.SliceOf(gen.UInt8())))
	})
}

// Entries that have expired make room before entries that have not, also while
// the timer is late. Oracle: the lifetimes.
func TestExpiredEntriesMakeRoomFirst(t *testing.T) {
	for _, config := range []cache.Config[int, int]{
		{Capacity: 1000},
		{Capacity: 1000, Eviction: cache.LRU},
		{MaxWeight: 1000, Weigh: func(int, int) uint32 { return 1 }},
	} {
		synctest.Test(t, func(t *testing.T) {
			for _, shards := range []int{1, 4} {
				if shards > 1 && (config.Eviction == cache.LRU || config.Weigh != nil) {
					continue
				}
				c := cache.NewSharded(config, shards)
				for i := range 10 {
					c.SetTTL(i, i, time.Hour)
				}
				for i := 10; i < 1000; i++ {
					c.SetTTL(i, i, 53*time.Minute)
				}
				time.Sleep(53 * time.Minute) // the timer runs at this instant, or later
				for i := range 500 {
					c.SetTTL(-1-i, i, time.Hour)
				}
				for i := range 10 {
					if _, ok := c.Peek(i); !ok {
						t.Errorf("%v, %d shards: entry %d has left before expired entries", config.Eviction, shards, i)
					}
				}
				if s := c.Stats(); s.Evictions != 0 {
					t.Errorf("%v, %d shards: %d evictions, want 0", config.Eviction, shards, s.Evictions)
				}
			}
		})
	}
}
