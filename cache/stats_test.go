package cache_test

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/redoubt-go/redoubt/cache"
)

func TestHitsAndMissesAreTheLookups(t *testing.T) {
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

func TestUncountedLookups(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 4, Uncounted: true})
	c.GetOrSet("a", 1)
	c.Get("a")
	c.GetOrLoad(t.Context(), "b", func(context.Context, string) (int, error) { return 1, nil })
	if got := c.Stats(); got.Hits+got.Misses != 0 || got.Loads != 1 {
		t.Errorf("Stats = %+v, want a load and no lookups", got)
	}
}

func TestConcurrentLookupsAreCounted(t *testing.T) {
	const readers, rounds = 8, 1000
	c := cache.New(cache.Config[int, int]{Capacity: 5000})
	for k := range 100 {
		c.Set(k, k)
	}
	var g errgroup.Group
	for range readers {
		g.Go(func() error {
			for i := range rounds {
				c.Get(i % 200)
			}
			return nil
		})
	}
	g.Wait()
	if got, want := c.Stats(), uint64(readers*rounds/2); got.Hits != want || got.Misses != want {
		t.Errorf("Stats = %+v, want %d hits and as many misses", got, want)
	}
}
