package cache_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/redoubt-go/redoubt/cache"
)

func TestUselessKeysDoNotFreezeTheQueue(t *testing.T) {
	type named uint64 // takes the general way of hashing
	if distinctHashes(func(k int) uint64 { return uint64(k) << 32 }) < 9990 ||
		distinctHashes(func(k int) int { return -k }) < 9990 ||
		distinctHashes(func(k int) named { return named(k) << 40 }) < 9990 ||
		distinctHashes(func(k int) string { return fmt.Sprint("k", k) }) < 9990 {
		t.Error("10 000 keys have fewer than 9990 hashes")
	}
	a, b := cache.New(cache.Config[int, int]{Capacity: 1}), cache.New(cache.Config[int, int]{Capacity: 1})
	if a.Hash(1) == b.Hash(1) && a.Hash(2) == b.Hash(2) {
		t.Error("two caches hash alike: the seed is not random")
	}
	// An attacker makes useless keys as frequent as the sketch can count.
	// Useful keys that come afterwards must get in, for every seed of the hash.
	for range 100 {
		c := cache.New(cache.Config[int, int]{Capacity: 100})
		for i := range 20_000 {
			c.GetOrSet(-1-i%100, 0)
		}
		hits := 0
		for i := range 20_000 {
			if _, loaded := c.GetOrSet(i%80, 0); loaded && i >= 10_000 {
				hits++
			}
		}
		if hits < 9000 {
			t.Fatalf("%d of 10 000 lookups of the new keys hit, want nearly all", hits)
		}
	}
}

func distinctHashes[K comparable](key func(int) K) int {
	c := cache.New(cache.Config[K, int]{Capacity: 1})
	seen := map[uint32]bool{}
	for k := range 10_000 {
		seen[c.Hash(key(k))] = true
	}
	return len(seen)
}

// Keys spread evenly over shards and buckets, for any seed. Oracles: the shares
// of a random distribution, and the longest search in such a table.
func TestHashSpreadsSequentialKeys(t *testing.T) {
	const n, shards = 10_000, 16
	seeds := 30
	if *large {
		seeds = 300
	}
	for name, key := range map[string]func(i int) uint64{
		"sequential": func(i int) uint64 { return uint64(i) },
		"strided":    func(i int) uint64 { return uint64(i) << 20 },
		"descending": func(i int) uint64 { return -uint64(i) },
		"floats":     func(i int) uint64 { return math.Float64bits(float64(i)) },
	} {
		for range seeds {
			c := cache.NewSharded(cache.Config[uint64, int]{Capacity: n}, shards)
			for i := range n {
				c.Set(key(i), i)
			}
			least, most, longest := c.Spread()
			if least < n/shards*7/10 || most > n/shards*13/10 || longest > 40 {
				t.Fatalf("%s: shards of %d to %d entries, want about %d; a search reads %d buckets", name, least, most, n/shards, longest)
			}
		}
	}
}
