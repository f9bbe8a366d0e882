package cache_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

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
		{"StaleIfSlow", config{Capacity: 1, StaleIfSlow: 1}, "cache: StaleIfSlow is 1ns, want 0 without StaleIfError"},
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

func TestSetConfig(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l log
		config := cache.Config[string, int]{Capacity: 4, TTL: time.Minute, ErrorTTL: func(error) time.Duration { return time.Hour }}
		c := cache.New(config)
		if got := c.Config(); got.TTL != time.Minute || got.LoadTimeout != time.Minute || got.Capacity != 4 {
			t.Errorf("Config = %+v, want the values in force", got)
		}
		c.Set("old", 1)
		for i := range 4 {
			c.GetOrLoad(t.Context(), fmt.Sprint(i), failing(io.EOF))
		}
		config.TTL, config.Capacity, config.OnEvent, config.StaleIfError = time.Hour, 2, l.add, time.Hour
		checkIs(t, c.SetConfig(config), nil)
		checkEqual(t, c.Remembered(), 2)
		c.Set("new", 2)
		time.Sleep(time.Minute)
		checkGet(t, c, "old", 0) // keeps its end
		checkGet(t, c, "new", 2)
		(<-ask(t.Context(), c, "old", failing(io.EOF))).check(t, 1, nil) // stale from now on
		if got := c.Stats(); got.Capacity != 2 || got.Len != 2 || got.Loads != 5 {
			t.Errorf("Stats = %+v, want a capacity of 2 and all 5 loads", got)
		}
		c.Set("third", 3)
		checkEqual(t, c.Len(), 2)
		checkEqual(t, len(l.events), 1) // the hook is called

		config.Capacity, config.ErrorTTL = 6, nil
		checkIs(t, c.SetConfig(config), nil)
		for i := range 8 {
			c.Set(fmt.Sprint(i), i+1)
		}
		checkEqual(t, c.Len(), 6)
	})
}

// Each setting of times takes effect at run time, also if it was off before.
func TestSetConfigTurnsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 10})
		c.Set("plain", 1)
		config := cache.Config[string, int]{
			Capacity: 10, IdleTTL: time.Minute, Refresh: 30 * time.Second,
			ErrorTTL: func(error) time.Duration { return time.Hour }, Uncounted: true,
		}
		checkIs(t, c.SetConfig(config), nil)
		(<-ask(t.Context(), c, "x", failing(io.EOF))).check(t, 0, io.EOF)
		checkEqual(t, c.Remembered(), 1)
		c.Set("k", 2)
		time.Sleep(30 * time.Second)
		(<-ask(t.Context(), c, "k", sleeper(3))).check(t, 2, nil)
		(<-ask(t.Context(), c, "plain", unwanted(t))).check(t, 1, nil)
		time.Sleep(time.Second)
		synctest.Wait()
		checkGet(t, c, "k", 3)
		time.Sleep(time.Minute)
		checkGet(t, c, "k", 0)
		checkGet(t, c, "plain", 1)
		checkEqual(t, c.Stats().Hits, uint64(0))
		checkIs(t, c.SetConfig(cache.Config[string, int]{Capacity: 10}), nil)
		c.Set("k", 4)
		time.Sleep(time.Hour)
		checkGet(t, c, "k", 4)
	})
}

func TestSetConfigOfWeights(t *testing.T) {
	config := cache.Config[string, int]{MaxWeight: 10, Weigh: func(_ string, v int) uint32 { return uint32(v) }, Eviction: cache.LRU}
	c := cache.New(config)
	for _, k := range []string{"a", "b", "c"} {
		c.Set(k, 3)
	}
	config.MaxWeight = 6
	checkIs(t, c.SetConfig(config), nil)
	checkKeys(t, c, "b", "c")
	config.Weigh = func(string, int) uint32 { return 1 }
	checkIs(t, c.SetConfig(config), nil)
	checkEqual(t, c.Weight(), uint64(6)) // entries keep their weights
	c.Set("d", 3)
	checkEqual(t, c.Weight(), uint64(4))
	if problem := c.Check(); problem != "" {
		t.Error(problem)
	}
}

func TestSetConfigRefuses(t *testing.T) {
	c := newLRU(4)
	for want, config := range map[string]cache.Config[string, int]{
		"cache: Capacity is 0, want at least 1":                      {},
		"cache: Eviction is adaptive, want lru: it cannot change":    {Capacity: 1},
		"cache: Weigh cannot be added to a cache or removed from it": {MaxWeight: 1, Weigh: func(string, int) uint32 { return 1 }, Eviction: cache.LRU},
	} {
		if err := c.SetConfig(config); err == nil || err.Error() != want {
			t.Errorf("SetConfig: %v, want %s", err, want)
		}
	}
	checkEqual(t, c.Capacity(), 4)
}

func TestSetConfigDuringTraffic(t *testing.T) {
	c := cache.New(cache.Config[int, int]{Capacity: 100})
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				c.Set(i%300, i)
				c.GetOrLoad(context.Background(), i%200, func(context.Context, int) (int, error) { return i, nil })
			}
		})
	}
	for i := range 200 {
		config := cache.Config[int, int]{Capacity: 50 + i%3*25, TTL: time.Duration(i%2) * time.Millisecond, IdleTTL: time.Duration(i%3) * time.Millisecond}
		if i%5 == 0 {
			config.OnEvent = func(context.Context, pairEvent) {}
			config.ErrorTTL = func(error) time.Duration { return 1 }
		}
		if err := c.SetConfig(config); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
	if problem := c.Check(); problem != "" || c.Len() > c.Capacity() {
		t.Errorf("%s, %d entries of %d", problem, c.Len(), c.Capacity())
	}
}
