package cache_test

import (
	"math/rand/v2"
	"testing"

	"github.com/redoubt-go/redoubt/cache"
)

// The rule that suits the workload comes into force, and the hits follow.
// Oracle: caches that always follow one of the rules.
func TestDuelFollowsTheBestRule(t *testing.T) {
	const capacity, n = 400, 60_000
	random := rand.New(rand.NewPCG(1, 2))
	for _, tt := range []struct {
		name string
		key  func(i int) int
	}{
		{"loop", func(i int) int { return i % 500 }},
		{"back and forth", func(i int) int {
			if i %= 2 * 600; i >= 600 {
				return 2*600 - i
			}
			return i
		}},
		{"new working sets", func(i int) int { return i/4000<<16 + random.IntN(380) }},
		{"twice", func(i int) int {
			if i%2 == 0 {
				return i / 2
			}
			return i/2 - random.IntN(capacity)
		}},
	} {
		caches := []*cache.Cache[int, int]{cache.New(cache.Config[int, int]{Capacity: capacity})}
		for r := range cache.Rules {
			caches = append(caches, cache.NewRuled(cache.Config[int, int]{Capacity: capacity}, r))
		}
		hits := make([]int, len(caches))
		for i := range n {
			k := tt.key(i)
			for j, c := range caches {
				if _, loaded := c.GetOrSet(k, i); loaded {
					hits[j]++
				}
			}
		}
		for r, alone := range hits[1:] {
			if hits[0] < alone-n*3/100 {
				t.Errorf("%s: %d hits, rule %d alone has %d of %d", tt.name, hits[0], r, alone, n)
			}
		}
	}
}

// Shadows are small: at most 512 entries, or all entries of a small cache.
func TestShadowsAreSmall(t *testing.T) {
	for capacity, most := range map[int]int{10: 10, 100: 127, 5000: 625, 100_000: 1024} {
		c := cache.New(cache.Config[int, int]{Capacity: capacity})
		for i := range 2 * capacity {
			c.Set(i, i)
		}
		if _, n := c.Rule(); n == 0 || n > most {
			t.Errorf("capacity %d: a shadow has %d entries, want 1 to %d", capacity, n, most)
		}
		if err := c.SetConfig(cache.Config[int, int]{Capacity: capacity + 1}); err != nil {
			t.Fatal(err)
		}
		if _, n := c.Rule(); n != 0 {
			t.Errorf("capacity %d: a shadow has %d entries after a change of the capacity, want 0", capacity, n)
		}
	}
}

// An eviction passes a bounded number of hot entries. Oracle: the uses that the
// entries keep.
func TestEvictionPassesFewHotEntries(t *testing.T) {
	for r := range cache.Rules {
		c := cache.NewRuled(cache.Config[int, int]{Capacity: 20_000}, r)
		for i := range 20_000 {
			c.Set(i, i)
		}
		for range 3 {
			for i := range 20_000 {
				c.Get(i)
			}
		}
		c.Set(-1, 1)
		cooled := 0
		for e := range c.Entries() {
			if e.Heat&3 < 3 {
				cooled++
			}
		}
		// Up to 32 entries move to the main queue, each after 128 others.
		if cooled > 32+33*129 {
			t.Errorf("rule %d: one eviction cooled %d entries", r, cooled)
		}
	}
}
