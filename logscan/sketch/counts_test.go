package sketch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// Oracle: a map. Held counts are exact, and no count is lost.
func countsIsAMap(seed uint64, add func(c *sketch.Counts, key []byte, n uint64)) string {
	r := rand.New(rand.NewPCG(seed, 5))
	room := 1 + r.IntN(20)
	parts := []*sketch.Counts{sketch.NewCounts(room), sketch.NewCounts(room)}
	exact, total := map[string]uint64{}, uint64(0)
	for range 300 {
		key, n := fmt.Sprint(r.IntN(15)), r.Uint64N(4)
		add(parts[r.IntN(2)], []byte(key), n)
		exact[key] += n
		total += n
	}
	before := form(parts[1])
	parts[0].Merge(parts[1])
	sum := parts[0].Other()
	for _, it := range parts[0].Items() {
		if it.Count > exact[it.Key] || room >= 15 && it.Count != exact[it.Key] || it.Count != parts[0].Count([]byte(it.Key)) {
			return fmt.Sprintf("%s: got %d of %d", it.Key, it.Count, exact[it.Key])
		}
		sum += it.Count
	}
	if sum != total || len(parts[0].Items()) > room || form(parts[1]) != before {
		return fmt.Sprintf("got %d in all, %d keys, want %d and at most %d", sum, len(parts[0].Items()), total, room)
	}
	return ""
}

func TestCountsIsAMap(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return countsIsAMap(seed, (*sketch.Counts).Add) })
	checkBites(t, 100, func(seed uint64) string {
		return countsIsAMap(seed, func(c *sketch.Counts, key []byte, n uint64) { c.Add(key, n+1) })
	})
}

func TestCountsMerge(t *testing.T) {
	a, b := sketch.NewCounts(2), sketch.NewCounts(2)
	a.Add([]byte("x"), 1)
	b.Add([]byte("y"), 1)
	b.Add([]byte("z"), 5)
	a.Merge(b)
	checkEqual(t, a.Items(), []sketch.Item{{Key: "z", Count: 5}, {Key: "x", Count: 1}})
	checkEqual(t, a.Other(), uint64(1))
	a.Add(make([]byte, 1000), math.MaxUint64)
	a.Add(make([]byte, 1000), 1)
	checkEqual(t, a.Other(), uint64(math.MaxUint64))
}
