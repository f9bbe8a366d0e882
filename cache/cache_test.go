package cache_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

// ---- what the tests share

type event = cache.Event[string, int]

// departed returns the event of a value that has left.
func departed(k string, v int, cause cache.Cause) event {
	return event{Cause: cause, Key: k, Value: v}
}

// log is a hook that keeps the events.
type log struct {
	mu     sync.Mutex
	events []event
}

func (l *log) add(_ context.Context, e event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

// want compares the events since the last call.
func (l *log) want(t *testing.T, want ...event) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if diff := cmp.Diff(want, l.events); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	l.events = nil
}

func newLRU(capacity int) *cache.Cache[string, int] {
	return cache.New(cache.Config[string, int]{Capacity: capacity, Eviction: cache.LRU})
}

func keys[K comparable, V any](c *cache.Cache[K, V]) []K { return slices.Collect(c.Keys()) }

func wantKeys[K comparable, V any](t *testing.T, c *cache.Cache[K, V], want ...K) {
	t.Helper()
	if diff := cmp.Diff(want, keys(c)); diff != "" {
		t.Errorf("keys, coldest first (-want +got):\n%s", diff)
	}
}

// wantGet wants the value of k to be want, or k to be absent if want is 0.
func wantGet[K comparable](t *testing.T, c *cache.Cache[K, int], k K, want int) {
	t.Helper()
	if v, ok := c.Get(k); v != want || ok != (want != 0) {
		t.Errorf("Get(%v) = %v, %v, want %v, %v", k, v, ok, want, want != 0)
	}
}

// ---- construction

func TestConfig_Validate(t *testing.T) {
	type config = cache.Config[string, int]
	for _, tt := range []struct {
		name   string
		config config
		want   string
	}{
		{"zero", config{}, "cache: Capacity is 0, want at least 1"},
		{"least", config{Capacity: 1}, ""},
		{"negative TTL", config{Capacity: 1, TTL: -1}, "cache: TTL is -1ns, want 0 (no expiry) or more"},
		{"NaN", config{Capacity: 1, Jitter: math.NaN()}, "cache: Jitter is NaN, want 0 to 0.5"},
		{"weights", config{MaxWeight: 1, Weigh: func(string, int) uint32 { return 1 }}, ""},
		{"MaxWeight alone", config{Capacity: 1, MaxWeight: 9}, "cache: MaxWeight is 9, want 0 without Weigh"},
		{
			"all at once",
			config{Capacity: -1, Eviction: 9, TTL: -1, IdleTTL: -1, Jitter: 0.6, Refresh: -1, StaleIfError: -1, Weigh: func(string, int) uint32 { return 1 }},
			"cache: Capacity is -1, want 0 (no limit) or more\n" +
				"cache: MaxWeight is 0, want 1 to 1<<63-1 with Weigh\n" +
				"cache: Eviction is Eviction(9), want Adaptive or LRU\n" +
				"cache: TTL is -1ns, want 0 (no expiry) or more\n" +
				"cache: IdleTTL is -1ns, want 0 (no limit) or more\n" +
				"cache: Jitter is 0.6, want 0 to 0.5\n" +
				"cache: Refresh is -1ns, want 0 (off) or more\n" +
				"cache: StaleIfError is -1ns, want 0 (off) or more",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && got != tt.want {
				t.Errorf("Validate() = %q, want %q", got, tt.want)
			}
			defer func() {
				if got, want := fmt.Sprint(recover()), fmt.Sprint(err); got != want {
					t.Errorf("New panicked with %q, want %q", got, want)
				}
			}()
			cache.New(tt.config)
		})
	}
}

// ---- the traps of bounded storage

func TestTrap01_BurstNeverExceedsCapacity(t *testing.T) {
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

func TestTrap02_CapacityKeysAreAllKept(t *testing.T) {
	for _, n := range []int{1, 100, 1000, 65536} {
		c := cache.New(cache.Config[int, int]{Capacity: n})
		for k := range n {
			c.Set(k, k+1)
		}
		for k := range n {
			wantGet(t, c, k, k+1)
		}
		if got := c.Capacity(); got != n {
			t.Errorf("Capacity() = %d, want %d", got, n)
		}
	}
}

func TestTrap03_OverwriteEvictsNothing(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 2, OnEvent: l.add})
	c.Set("a", 1)
	c.Set("b", 2)
	c.Set("a", 3)
	l.want(t, departed("a", 1, cache.CauseReplaced))
	wantKeys(t, c, "b", "a") // the overwrite was a use
}

func TestTrap04_RecencyRules(t *testing.T) {
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
			wantKeys(t, c, tt.want...)
		})
	}

	one := newLRU(1)
	one.Set("a", 1)
	one.Set("b", 2)
	wantGet(t, one, "a", 0)
	wantGet(t, one, "b", 2)
}

func TestTrap05_DeleteThenSet(t *testing.T) {
	var l log
	c := cache.New(cache.Config[string, int]{Capacity: 2, OnEvent: l.add})
	if c.Delete("a") {
		t.Error("Delete of an absent key = true, want false")
	}
	l.want(t)
	c.Set("a", 1)
	if !c.Delete("a") || c.Delete("a") {
		t.Error("Delete twice, want true and then false")
	}
	l.want(t, departed("a", 1, cache.CauseDeleted))
	c.Set("a", 2)
	wantGet(t, c, "a", 2)
	if v, ok := c.GetAndDelete("a"); v != 2 || !ok {
		t.Errorf("GetAndDelete = %v, %v, want 2, true", v, ok)
	}
	if v, ok := c.GetAndDelete("a"); v != 0 || ok {
		t.Errorf("GetAndDelete of an absent key = %v, %v, want 0, false", v, ok)
	}
	l.want(t, departed("a", 2, cache.CauseDeleted))
	if old, had := c.Swap("a", 3); old != 0 || had {
		t.Errorf("Swap of an absent key = %v, %v, want 0, false", old, had)
	}
	if old, had := c.Swap("a", 4); old != 3 || !had {
		t.Errorf("Swap = %v, %v, want 3, true", old, had)
	}
}

func TestTrap06_NaNKeysStayBounded(t *testing.T) {
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
	wantGet(t, c, math.NaN(), 0)
	wantKeys(t, c, 1)

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

func TestTrap06_EqualZeroesAreOneKey(t *testing.T) {
	c := cache.New(cache.Config[float64, int]{Capacity: 4})
	c.Set(0, 1)
	c.Set(math.Copysign(0, -1), 2)
	wantGet(t, c, 0, 2)
	if n := c.Len(); n != 1 {
		t.Errorf("Len() = %d, want 1", n)
	}
}

func TestTrap06_UncomparableKeysPanicAndUnlock(t *testing.T) {
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
	wantKeys[any](t, c, "alive")
	if n := c.Loading(); n != 0 {
		t.Errorf("%d flights left that nobody flies", n)
	}
}

// awaitCleanups collects garbage until n cleanups have run.
func awaitCleanups(t *testing.T, what string, cleaned *atomic.Int64, n int64) {
	t.Helper()
	for range 100 {
		if cleaned.Load() == n {
			return
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%s: %d values collected, want %d", what, cleaned.Load(), n)
}

type big struct{ _ [64]byte }

func TestTrap07_DepartedValuesAreCollectable(t *testing.T) {
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

func TestTrap31_CacheIsCollectable(t *testing.T) {
	var cleaned atomic.Int64
	func() {
		c := cache.New(cache.Config[int, *big]{Capacity: 2, TTL: time.Hour})
		v := new(big)
		runtime.AddCleanup(v, func(int) { cleaned.Add(1) }, 0)
		c.Set(1, v) // pending expiry: no timer keeps the cache
	}()
	awaitCleanups(t, "cache", &cleaned, 1)
}

func TestTrap31_OneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	c := cache.New(cache.Config[int, int]{Capacity: 4})
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for k := range 100 {
				c.GetOrLoad(context.Background(), k%8, func(_ context.Context, k int) (int, error) { return k, nil })
			}
			return nil
		})
	}
	g.Wait() // nobody spins: it ends
}

// ---- the traps of expiry

func TestTrap08_ExpiryBoundary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, TTL: time.Second})
		c.Set("a", 1)
		time.Sleep(time.Second - 1)
		wantGet(t, c, "a", 1)
		time.Sleep(time.Nanosecond)
		wantGet(t, c, "a", 0)
	})
}

// An expired entry that is kept for StaleIfError is absent for every operation, and departs as Expired whatever removes it.
func TestTrap08_ExpiredIsAbsent(t *testing.T) {
	type lru = *cache.Cache[string, int]
	for _, tt := range []struct {
		name    string
		removes bool
		op      func(*testing.T, lru)
	}{
		{"Get", false, func(t *testing.T, c lru) { wantGet(t, c, "a", 0) }},
		{"Keys", false, func(t *testing.T, c lru) { wantKeys(t, c) }},
		{"Set", true, func(t *testing.T, c lru) { c.Set("a", 2); wantGet(t, c, "a", 2) }},
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
		{"DeleteFunc", false, func(t *testing.T, c lru) {
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
		{"Resize", true, func(t *testing.T, c lru) { c.Set("b", 2); c.Resize(1) }},
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
					l.want(t)
					return
				}
				l.want(t, departed("a", 1, cache.CauseExpired))
				if got := c.Stats().Expirations; got != 1 {
					t.Errorf("Expirations = %d, want 1", got)
				}
			})
		})
	}
}

func TestTrap09_LongLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute, StaleIfError: cache.NoExpiry})
		time.Sleep(time.Hour) // so that now + ttl overflows
		c.SetTTL("never", 1, cache.NoExpiry)
		c.SetTTL("nearly", 2, cache.NoExpiry-time.Minute)
		c.SetTTL("default", 3, 0)
		time.Sleep(time.Minute - 1)
		wantGet(t, c, "default", 3)
		time.Sleep(time.Nanosecond)
		wantGet(t, c, "default", 0)
		time.Sleep(100 * 365 * 24 * time.Hour)
		wantGet(t, c, "never", 1)
		wantGet(t, c, "nearly", 2)
	})
}

func TestTrap10_DeadlinesMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 8, TTL: time.Minute})
		c.Set("a", 1)
		c.SetTTL("a", 2, time.Second) // earlier
		c.SetTTL("b", 1, time.Second)
		c.Set("b", 2) // later
		time.Sleep(time.Second)
		wantGet(t, c, "a", 0)
		wantGet(t, c, "b", 2)
		time.Sleep(time.Minute - 2*time.Second)
		wantGet(t, c, "b", 2) // and reading it has not moved the deadline
		time.Sleep(time.Second)
		wantGet(t, c, "b", 0)
	})
}

func TestTrap28_JitterOnlyShortens(t *testing.T) {
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
			wantGet(t, c, "a", 1)
			time.Sleep(time.Nanosecond)
			wantGet(t, c, "a", 0)
			time.Sleep(200*time.Second - tt.want - 1)
			wantGet(t, c, "exact", 2)
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
		wantKeys(t, c)
	})
}

// ---- the traps of events, iteration and figures

func TestTrap24_EventsMayCallBack(t *testing.T) {
	var l log
	var c *cache.Cache[string, int]
	c = cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU, OnEvent: func(ctx context.Context, e event) {
		l.add(ctx, e)
		if v, ok := c.Peek(e.Key); ok && v == e.Value {
			t.Errorf("%v is still there when it is reported", e)
		}
		if e.Cause == cache.CauseEvicted && e.Value == 1 {
			c.Set("z", 26) // evicts b
		}
	}})
	c.Set("a", 1)
	c.Set("b", 2)
	c.Set("c", 3)
	l.want(t, departed("a", 1, cache.CauseEvicted), departed("b", 2, cache.CauseEvicted))
	wantKeys(t, c, "c", "z")
	c.Clear()
	l.want(t, departed("c", 3, cache.CauseDeleted), departed("z", 26, cache.CauseDeleted))
}

func TestTrap24_EventOfALoadHasItsContext(t *testing.T) {
	type id struct{}
	var got any
	c := cache.New(cache.Config[string, int]{Capacity: 1, OnEvent: func(ctx context.Context, _ event) { got = ctx.Value(id{}) }})
	c.Set("a", 1)
	ctx := context.WithValue(t.Context(), id{}, 7)
	c.GetOrLoad(ctx, "b", func(context.Context, string) (int, error) { return 2, nil })
	if got != 7 { // written by the loader's goroutine, before GetOrLoad returned
		t.Errorf("the hook's context has the value %v, want 7", got)
	}
}

func TestTrap26_Iteration(t *testing.T) {
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
	wantKeys(t, c, "alive")
}

func TestTrap32_HitsAndMissesAreTheLookups(t *testing.T) {
	c := newLRU(4)
	ctx := t.Context()
	ok := func(context.Context, string) (int, error) { return 1, nil }
	bad := func(context.Context, string) (int, error) { return 0, io.ErrUnexpectedEOF }
	c.Get("a")                // miss
	c.GetOrSet("a", 1)        // miss
	c.GetOrSet("a", 2)        // hit
	c.Get("a")                // hit
	c.GetOrLoad(ctx, "a", ok) // hit
	c.GetOrLoad(ctx, "b", ok) // miss, load
	c.GetOrLoad(ctx, "c", bad)
	c.Peek("a")
	c.Peek("x")
	c.Swap("x", 1)
	c.GetAndDelete("x")
	keys(c)
	done, cancel := context.WithCancel(ctx)
	cancel()
	c.GetOrLoad(done, "y", ok) // a lookup and a miss, and no load
	want := cache.Stats{Len: 2, Weight: 2, Capacity: 4, Hits: 3, Misses: 5, Loads: 2, LoadErrors: 1}
	got := c.Stats()
	got.LoadTime = 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Stats (-want +got):\n%s", diff)
	}
	if got := got.HitRatio(); got != 0.375 {
		t.Errorf("HitRatio() = %v, want 0.375", got)
	}
	if got := (cache.Stats{}).HitRatio(); got != 0 {
		t.Errorf("HitRatio() of nothing = %v, want 0", got)
	}
}

func TestTrap32_Uncounted(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 4, Uncounted: true})
	c.GetOrSet("a", 1)
	c.Get("a")
	c.GetOrLoad(t.Context(), "b", func(context.Context, string) (int, error) { return 1, nil })
	if got := c.Stats(); got.Hits+got.Misses != 0 || got.Loads != 1 {
		t.Errorf("Stats = %+v, want a load and no lookups", got)
	}
}

func TestEvent_LogValue(t *testing.T) {
	var b strings.Builder
	logger := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("gone", "event", cache.Event[string, string]{Cause: cache.CauseEvicted, Key: strings.Repeat("é", 40) + "\n", Value: "secret"})
	logger.Info("gone", "event", departed("k", 1, 9))
	want := "msg=gone event.cause=evicted event.key=" + strings.Repeat("é", 32) + "…\nmsg=gone event.cause=Cause(9) event.key=k\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// ---- costs that are promised
