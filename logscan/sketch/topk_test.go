package sketch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

func addTopK(k *sketch.TopK, key string, n uint64) { k.Add([]byte(key), n) }

// Oracle: a map of exact counts. The merge laws and bounds hold for every seed.
func topKBounds(seed uint64, add func(k *sketch.TopK, key string, n uint64)) string {
	r := rand.New(rand.NewPCG(seed, 1))
	parts := []*sketch.TopK{sketch.NewTopK(20), sketch.NewTopK(20), sketch.NewTopK(20)}
	exact, total := map[string]uint64{}, uint64(0)
	for range 3000 {
		key := fmt.Sprint(int(math.Abs(r.NormFloat64() * 40)))
		n := uint64(r.IntN(3))
		add(parts[r.IntN(3)], key, n)
		exact[key] += n
		total += n
	}
	before := form(parts[1])
	for _, p := range parts[1:] {
		if err := parts[0].Merge(p); err != nil {
			return err.Error()
		}
	}
	if form(parts[1]) != before {
		return "merging changed its source"
	}
	held := map[string]bool{}
	for _, it := range parts[0].Items() {
		held[it.Key] = true
		if true := exact[it.Key]; it.Count < true || it.Count > true+it.Err {
			return fmt.Sprintf("%s: got %d ± %d, want %d", it.Key, it.Count, it.Err, true)
		}
	}
	for key, n := range exact {
		if n > total*3/20 && !held[key] { // each part may miss 1/20 of its own
			return fmt.Sprintf("%s with %d of %d is missing", key, n, total)
		}
	}
	return ""
}

func TestTopKBounds(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return topKBounds(seed, addTopK) })
	checkBites(t, 100, func(seed uint64) string {
		return topKBounds(seed, func(k *sketch.TopK, key string, n uint64) { addTopK(k, key, n/2) })
	})
}

// Oracle: the least count before a key takes its place. The counts add up to
// the events.
func topKReplacesTheLeast(seed uint64, add func(k *sketch.TopK, key string, n uint64)) string {
	r := rand.New(rand.NewPCG(seed, 6))
	k := sketch.NewTopK(1 + r.IntN(20))
	held, total := map[string]sketch.Item{}, uint64(0)
	size := 0
	for range 300 {
		key, n := fmt.Sprint(r.IntN(60)), r.Uint64N(5)
		least, known := uint64(math.MaxUint64), held[key].Key != ""
		for _, it := range held {
			least = min(least, it.Count)
		}
		if add(k, key, n); !known && len(held) == size && size > 0 && size == len(k.Items()) {
			for _, it := range k.Items() {
				if it.Key == key && it.Err != least {
					return fmt.Sprintf("%s took the place of a key with %d, want that of the least, %d", key, it.Err, least)
				}
			}
		}
		total += n
		size, held = len(k.Items()), map[string]sketch.Item{}
		sum := uint64(0)
		for _, it := range k.Items() {
			held[it.Key] = it
			sum += it.Count
		}
		if sum != total || held[key].Key != key {
			return fmt.Sprintf("got %d in all, want %d with %s", sum, total, key)
		}
	}
	return ""
}

func TestTopKReplacesTheLeast(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return topKReplacesTheLeast(seed, addTopK) })
	checkBites(t, 100, func(seed uint64) string {
		return topKReplacesTheLeast(seed, func(k *sketch.TopK, key string, n uint64) { addTopK(k, key, n+1) })
	})
}
