package cache_test

import (
	"context"
	"errors"
	"io"
	"math/bits"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// The allocations that docs/cache.md promises.
func TestCost_Allocations(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	ctx := t.Context()
	load := func(context.Context, int) (int, error) { return 0, errors.New("called") }
	memo := cache.Memoize(cache.Config[int, int]{Capacity: 1}, func(_ context.Context, k int) (int, error) { return k, nil })
	lazy := cache.NewLazy(cache.LazyConfig{}, func(context.Context) (int, error) { return 1, nil })
	var weak cache.Weak[int, big]
	kept := new(big)
	weak.Set(1, kept)
	plain, lasting := cache.Config[int, int]{Capacity: 100}, cache.Config[int, int]{Capacity: 100, TTL: time.Hour, IdleTTL: time.Hour}
	lru := plain
	lru.Eviction = cache.LRU
	check := func(what string, want float64, op func()) {
		t.Helper()
		op()
		if got := testing.AllocsPerRun(100, op); got != want {
			t.Errorf("%s: %v allocations, want %v", what, got, want)
		}
	}
	for name, config := range map[string]cache.Config[int, int]{"adaptive": plain, "lru": lru, "lasting": lasting} {
		c := cache.New(config)
		next := 0
		for ; next < 2000; next++ { // so that what grows with the entries has grown
			c.Set(next, next)
		}
		c.Set(-1, 1)
		c.Get(-1)
		update := 0.0
		if name == "lasting" || bits.UintSize != 64 { // no value is a word of 8 bytes
			update = 1
		}
		check(name+": Get hit", 0, func() { c.Get(-1) })
		check(name+": Get miss", 0, func() { c.Get(-2) })
		check(name+": Peek", 0, func() { c.Peek(-1) })
		check(name+": GetOrLoad hit", 0, func() { c.GetOrLoad(ctx, -1, load) })
		check(name+": GetOrSet hit", 0, func() { c.GetOrSet(-1, 1) })
		check(name+": Set present", update, func() { c.Set(-1, 1) })
		check(name+": Set when full", 1, func() { next++; c.Set(next, 1) })
		check(name+": Stats", 0, func() { c.Stats() })
	}
	check("Memo.Get hit", 0, func() { memo.Get(ctx, 1) })
	check("Lazy.Get hit", 0, func() { lazy.Get(ctx) })
	check("Weak.Get", 0, func() { weak.Get(1) })
	check("RetryAfter", 0, func() { cache.RetryAfter(io.EOF) })
}

func TestCost_Sizes(t *testing.T) {
	if bits.UintSize != 64 {
		t.Skip("the sizes are those of 64-bit machines")
	}
	if cache.NodeOverhead != 32 || cache.AttrsSize != 48 {
		t.Errorf("an entry takes %d bytes and %d more, want 32 and 48", cache.NodeOverhead, cache.AttrsSize)
	}
}
