package sketch_test

import (
	"encoding"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// form is the binary form, by which sketches are compared.
func form(s encoding.BinaryMarshaler) string {
	b, err := s.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return string(b)
}

// Oracle: a map of exact counts. The merge laws and bounds hold for every seed.
func TestP9_TopK(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		parts := []*sketch.TopK{sketch.NewTopK(20), sketch.NewTopK(20), sketch.NewTopK(20)}
		exact, total := map[string]uint64{}, uint64(0)
		for range 3000 {
			key := fmt.Sprint(int(math.Abs(r.NormFloat64() * 40)))
			n := uint64(r.IntN(3))
			parts[r.IntN(3)].Add([]byte(key), n)
			exact[key] += n
			total += n
		}
		before := form(parts[1])
		for _, p := range parts[1:] {
			if err := parts[0].Merge(p); err != nil {
				t.Fatal(err)
			}
		}
		if form(parts[1]) != before {
			t.Fatal("merging changed its source")
		}
		held := map[string]bool{}
		for _, it := range parts[0].Items() {
			held[it.Key] = true
			if true := exact[it.Key]; it.Count < true || it.Count > true+it.Err {
				t.Fatalf("seed %d, %s: got %d ± %d, want %d", seed, it.Key, it.Count, it.Err, true)
			}
		}
		for key, n := range exact {
			if n > total*3/20 && !held[key] { // each part may miss 1/20 of its own
				t.Fatalf("seed %d: %s with %d of %d is missing", seed, key, n, total)
			}
		}
	}
}

// Oracle: the number of keys, at five standard errors.
func TestP9_Distinct(t *testing.T) {
	for seed := range uint64(100) {
		n := []int{0, 1, 50, 3000, 30000}[seed%5]
		a, b, c := sketch.NewDistinct(seed), sketch.NewDistinct(seed), sketch.NewDistinct(seed)
		for i := range n {
			key := fmt.Appendf(nil, "key-%d-and-%d", i, seed)
			[]*sketch.Distinct{a, b}[i%2].Add(key)
			c.Add(key)
		}
		ab, ba := sketch.NewDistinct(seed), sketch.NewDistinct(seed)
		ab.Merge(a)
		ab.Merge(b)
		ba.Merge(b)
		ba.Merge(a)
		ba.Merge(a)
		if form(ab) != form(ba) || form(ab) != form(c) {
			t.Fatalf("seed %d: merging is not a union", seed)
		}
		if got := float64(c.Estimate()); math.Abs(got-float64(n)) > 0.0081*5*float64(n)+1 {
			t.Errorf("seed %d: got %v, want about %d", seed, got, n)
		}
	}
}

// Oracle: the sorted values.
func TestP9_Quantile(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 2))
		a, b, c := sketch.NewQuantile(), sketch.NewQuantile(), sketch.NewQuantile()
		var all []float64
		for range 1000 {
			v := math.Exp(r.NormFloat64() * 5)
			all = append(all, v)
			[]*sketch.Quantile{a, b}[r.IntN(2)].Add(v)
			c.Add(v)
		}
		slices.Sort(all)
		before := form(b)
		a.Merge(b)
		if form(a) != form(c) || form(b) != before {
			t.Fatalf("seed %d: merging is not adding", seed)
		}
		for _, p := range []float64{0, 0.5, 0.9, 0.99, 1} {
			want := all[int(p*999)]
			if got := a.Value(p); math.Abs(got-want) > 0.0101*want {
				t.Errorf("seed %d, p%v: got %v, want %v", seed, p, got, want)
			}
		}
	}
}

func TestQuantileLimits(t *testing.T) {
	q := sketch.NewQuantile()
	for _, v := range []float64{math.NaN(), -1, 0, math.Inf(1), math.MaxFloat64, 1e-308, 5e-324, 1e-299, 1} {
		q.Add(v)
	}
	if got := q.Count(); got != 8 {
		t.Errorf("count: got %d, want 8", got)
	}
	if got := q.Value(1); got < 1.7e308 || math.IsInf(got, 0) {
		t.Errorf("max: got %v", got)
	}
	if got := q.Value(0); got != 0 {
		t.Errorf("min: got %v, want 0", got)
	}
	if got := len(form(q)); got > 3000 {
		t.Errorf("got %d bytes, want few", got)
	}
}

func TestTrap34_Mismatch(t *testing.T) {
	if sketch.NewTopK(1).Merge(sketch.NewTopK(2)) == nil || sketch.NewCounts(1).Merge(sketch.NewCounts(2)) == nil || sketch.NewDistinct(1).Merge(sketch.NewDistinct(2)) == nil {
		t.Error("sketches made with different values were merged")
	}
	a, b := sketch.NewDistinct(7), sketch.NewDistinct(7)
	a.Add([]byte("x"))
	if err := b.UnmarshalBinary([]byte(form(a))); err != nil || b.Estimate() != 1 {
		t.Errorf("got %v, %d", err, b.Estimate())
	}
	if err := sketch.NewDistinct(8).UnmarshalBinary([]byte(form(a))); err != sketch.ErrMismatch {
		t.Errorf("got %v, want ErrMismatch", err)
	}
}

// The hash is the same on every machine and in every version of the format.
func TestTrap34_HashIsFixed(t *testing.T) {
	d := sketch.NewDistinct(42)
	d.Add([]byte("a key that is longer than sixteen bytes"))
	if got, want := fmt.Sprintf("%x", form(d)), "4401ec8aabf5b2fcee889701b44601"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCountsMerge(t *testing.T) {
	a, b := sketch.NewCounts(2), sketch.NewCounts(2)
	a.Add([]byte("x"), 1)
	b.Add([]byte("y"), 1)
	b.Add([]byte("z"), 5)
	a.Merge(b)
	if diff := cmp.Diff([]sketch.Item{{Key: "z", Count: 5}, {Key: "x", Count: 1}}, a.Items()); diff != "" || a.Other() != 1 {
		t.Errorf("other %d, items %s", a.Other(), diff)
	}
	a.Add(make([]byte, 1000), math.MaxUint64)
	a.Add(make([]byte, 1000), 1)
	if a.Other() != math.MaxUint64 {
		t.Errorf("got %d, want the most", a.Other())
	}
}

func TestAllocs(t *testing.T) {
	d, q, k, c := sketch.NewDistinct(0), sketch.NewQuantile(), sketch.NewTopK(10), sketch.NewCounts(10)
	key := []byte("key")
	c.Add(key, 1)
	k.Add(key, 1)
	q.Add(5)
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	if got := testing.AllocsPerRun(100, func() { d.Add(key); q.Add(5); k.Add(key, 1); c.Add(key, 1) }); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}

// What is accepted is a fixed point of the format; nothing panics.
func FuzzUnmarshal(f *testing.F) {
	k, c, d, q := sketch.NewTopK(3), sketch.NewCounts(3), sketch.NewDistinct(0), sketch.NewQuantile()
	for i := range 5 {
		key := []byte{byte(i)}
		k.Add(key, 1)
		c.Add(key, 1)
		d.Add(key)
		q.Add(float64(i))
	}
	for _, s := range []encoding.BinaryMarshaler{k, c, d, q} {
		f.Add([]byte(form(s)))
		f.Add([]byte(form(s))[:5])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		type sketcher interface {
			encoding.BinaryMarshaler
			encoding.BinaryUnmarshaler
		}
		for _, s := range []sketcher{sketch.NewTopK(1), sketch.NewCounts(1), sketch.NewDistinct(0), sketch.NewQuantile()} {
			if s.UnmarshalBinary(b) != nil {
				continue
			}
			again := form(s)
			if err := s.UnmarshalBinary([]byte(again)); err != nil || form(s) != again {
				t.Errorf("%T: %v", s, err)
			}
		}
	})
}
