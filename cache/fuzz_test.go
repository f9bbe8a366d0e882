package cache_test

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// Oracle: container/list.
func FuzzLRU(f *testing.F) {
	f.Add(uint8(1), []byte{7, 1, 7, 2, 0, 1, 2, 2})
	f.Add(uint8(2), []byte{7, 1, 7, 2, 0, 1, 7, 3, 6, 0, 4, 1, 5, 9, 3, 1})
	f.Fuzz(func(t *testing.T, capacity uint8, program []byte) {
		if problem := replayLRU(int(capacity)%24+1, program, right); problem != "" {
			t.Error(problem)
		}
	})
}

// Oracle: a map of deadlines.
func FuzzTime(f *testing.F) {
	f.Add([]byte{4, 1, 0, 0, 0, 63, 0, 0, 30, 5, 1, 1, 5, 1, 2, 1, 1, 0})
	f.Add([]byte{3, 2, 0, 0, 0, 8, 5, 2, 1, 5, 2, 0, 2, 2, 0, 6, 2, 2, 4, 2, 0})
	f.Fuzz(func(t *testing.T, program []byte) {
		synctest.Test(t, func(t *testing.T) {
			if problem := replayTimed(program, right); problem != "" {
				t.Error(problem)
			}
		})
	})
}

// Oracle: the map of writes and events.
func FuzzBooks(f *testing.F) {
	f.Add(uint8(3), []byte{11, 1, 0, 11, 2, 0, 4, 1, 1, 9, 0, 9, 0, 1, 0, 10, 0, 2})
	f.Add(uint8(34), []byte{11, 1, 0, 11, 2, 0, 11, 3, 0, 3, 1, 0, 6, 2, 1, 7, 1, 0, 10, 0, 1})
	f.Add(uint8(230), []byte{11, 9, 0, 8, 4, 0, 5, 5, 0, 8, 6, 2, 12, 9, 0, 13, 7, 0, 10, 0, 4, 2, 9, 0})
	f.Fuzz(func(t *testing.T, kind uint8, program []byte) {
		synctest.Test(t, func(t *testing.T) {
			if problem := replayBooks(kind, program, right); problem != "" {
				t.Error(problem)
			}
		})
	})
}

// Oracle: a map.
func FuzzTable(f *testing.F) {
	f.Add("all equal", []byte{1, 1, 1, 2, 1, 3, 0, 2, 1, 2})
	f.Add("good", []byte{1, 1, 0, 1, 0, 2, 2, 2})
	f.Fuzz(func(t *testing.T, name string, program []byte) {
		hash, ok := hashes[name]
		if !ok {
			hash = hashes["low bits equal"]
		}
		if problem := replayTable(hash, program, right); problem != "" {
			t.Error(problem)
		}
	})
}

// Entries from any source. Oracles: the bound, the consistency of the cache,
// and that restored entries can be read.
func FuzzRestore(f *testing.F) {
	f.Add(1.0, 2, uint32(3), int64(4), uint8(5))
	f.Add(math.NaN(), -2, uint32(math.MaxUint32), int64(math.MinInt64), uint8(255))
	f.Fuzz(func(t *testing.T, k float64, v int, weight uint32, expires int64, heat uint8) {
		for _, policy := range []cache.Eviction{cache.Adaptive, cache.LRU} {
			c := cache.New(cache.Config[float64, int]{Capacity: 2, Eviction: policy, IdleTTL: time.Hour})
			e := cache.Entry[float64, int]{Key: k, Value: v, Weight: weight, Expires: time.Unix(expires, expires), Heat: heat}
			n := c.Restore(slices.Values([]cache.Entry[float64, int]{e, {Key: 1}, e, {Key: 2, Heat: heat}, {Key: 3}}))
			if c.Len() > 2 || n < c.Len() {
				t.Errorf("Len() = %d after %d were restored, want at most 2", c.Len(), n)
			}
			for k, v := range c.All() {
				if got, ok := c.Get(k); !ok || got != v {
					t.Errorf("Get(%v) = %v, %v, want %v", k, got, ok, v)
				}
			}
			if problem := c.Check(); problem != "" {
				t.Error(problem)
			}
		}
	})
}

// Keys of any bits, including NaNs and both zeros, as floats, in structs and in
// interfaces. Oracles: a Go map, and the bound.
func FuzzKeys(f *testing.F) {
	f.Add(uint64(0), math.Float64bits(math.Copysign(0, -1)), math.Float64bits(math.NaN()))
	f.Add(math.Float64bits(1), math.Float64bits(1), math.Float64bits(2))
	f.Fuzz(func(t *testing.T, a, b, d uint64) {
		type key struct {
			f float64
			i any
		}
		model := map[key]int{}
		c := cache.New(cache.Config[key, int]{Capacity: 3})
		for i, bits := range []uint64{a, b, d, a, b} {
			k := key{math.Float64frombits(bits), math.Float32frombits(uint32(bits))}
			c.Set(k, i+1)
			model[k] = i + 1
			want := model[k] // 0 for a NaN, which no map finds again
			checkGet(t, c, k, want)
			v, err := c.GetOrLoad(context.Background(), k, func(context.Context, key) (int, error) { return -1, nil })
			if want == 0 {
				want = -1
			}
			if v != want || err != nil {
				t.Errorf("GetOrLoad(%v) = %v, %v, want %v", k, v, err, want)
			}
		}
		if n := c.Len(); n > 3 || c.Loading() != 0 {
			t.Errorf("Len() = %d, Loading() = %d, want at most 3 and 0", n, c.Loading())
		}
	})
}
