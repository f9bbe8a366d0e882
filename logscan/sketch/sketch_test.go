package sketch_test

import (
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
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

// Oracle: the least count before a key takes its place. Counts add up to what was
// added.
func TestTopKReplacesTheLeast(t *testing.T) {
	for seed := range uint64(100) {
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
			if k.Add([]byte(key), n); !known && len(held) == size && size > 0 && size == len(k.Items()) {
				for _, it := range k.Items() {
					if it.Key == key && it.Err != least {
						t.Fatalf("seed %d: %s took the place of a key with %d, want that of the least, %d", seed, key, it.Err, least)
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
				t.Fatalf("seed %d: got %d in all, want %d with %s", seed, sum, total, key)
			}
		}
	}
}

// Oracle: the number of keys, at five standard errors.
func TestP9_Distinct(t *testing.T) {
	for seed := range uint64(100) {
		n := []int{0, 1, 50, 1536, 1537, 3000, 30000}[seed%7] // it becomes dense beyond 1536
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
		if got := float64(c.Estimate()); math.Abs(got-float64(n)) > 0.0081*5*float64(n) || n <= 1536 && math.Abs(got-float64(n)) > 1 {
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

// What the values span is more than can be held, so the lowest are lumped
// together, in whatever order they come.
func TestP9_QuantileCollapse(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 3))
		parts := make([]*sketch.Quantile, 3)
		for i := range parts {
			parts[i] = sketch.NewQuantile()
		}
		all := sketch.NewQuantile()
		for range 100 {
			v := math.Pow(10, r.Float64()*60-30)
			parts[r.IntN(3)].Add(v)
			all.Add(v)
		}
		left, right := sketch.NewQuantile(), sketch.NewQuantile()
		for _, i := range []int{0, 1, 2} {
			left.Merge(parts[i])
			right.Merge(parts[2-i])
		}
		if form(left) != form(right) || form(left) != form(all) {
			t.Fatalf("seed %d: merging is not adding", seed)
		}
	}
}

// Oracle: the maximum of each register, which is what a dense sketch holds. However
// keys are divided, and whichever parts are dense, the form is the same.
func TestP9_DistinctForms(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 4))
		parts := make([]*sketch.Distinct, 4)
		for i := range parts {
			parts[i] = sketch.NewDistinct(seed)
		}
		all := sketch.NewDistinct(seed)
		for i := range 1 + r.IntN(4000) {
			key := fmt.Append(nil, i)
			all.Add(key)
			parts[min(r.IntN(30), 3)].Add(key) // one of them has nearly all
		}
		merged := sketch.NewDistinct(seed)
		for _, i := range r.Perm(len(parts)) {
			before := form(parts[i])
			merged.Merge(parts[i])
			if form(parts[i]) != before {
				t.Fatalf("seed %d: merging changed its source", seed)
			}
		}
		merged.Merge(merged)
		read := sketch.NewDistinct(seed)
		if err := read.UnmarshalBinary([]byte(form(all))); err != nil {
			t.Fatal(err)
		}
		if form(merged) != form(all) || form(read) != form(all) || merged.Estimate() != all.Estimate() || read.Estimate() != all.Estimate() {
			t.Fatalf("seed %d: %d, %d and %d are not the same", seed, merged.Estimate(), read.Estimate(), all.Estimate())
		}
	}
}

// A sketch of few keys is small, and none is larger than 16 KiB.
func TestDistinctMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	for _, tt := range []struct{ keys, most int }{{0, 64}, {1, 128}, {6, 128}, {100, 64 + 11*100}, {1536, 64 + 11*1500}, {100000, 17 << 10}} {
		sketches := make([]*sketch.Distinct, 20)
		before := heap()
		for i := range sketches {
			sketches[i] = sketch.NewDistinct(0)
			for k := range tt.keys {
				sketches[i].Add(strconv.AppendInt(nil, int64(k), 10))
			}
		}
		if got := int(heap()-before) / len(sketches); got > tt.most {
			t.Errorf("%d keys: got %d bytes, want at most %d", tt.keys, got, tt.most)
		}
		runtime.KeepAlive(sketches)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
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

// The hash and the forms are the same on every machine and in every version of the
// format.
func TestTrap34_FormsAreFixed(t *testing.T) {
	c, k, q, d := sketch.NewCounts(2), sketch.NewTopK(2), sketch.NewQuantile(), sketch.NewDistinct(42)
	for _, key := range []string{"b", "b", "a", "a key that is longer than sixteen bytes"} {
		c.Add([]byte(key), 1)
		k.Add([]byte(key[:1]), 200)
		d.Add([]byte(key))
	}
	q.Add(0)
	q.Add(1)
	q.Add(1.02)
	dense := sketch.NewDistinct(42)
	for i := range 5000 {
		dense.Add(strconv.AppendInt(nil, int64(i), 10))
	}
	for name, tt := range map[string]struct {
		s    encoding.BinaryMarshaler
		want string
	}{
		"counts":          {c, "4301020102016101016202"},
		"topk":            {k, "5401020201619003000162900300"},
		"quantile":        {q, "510101808004020101"},
		"distinct":        {d, "4401ec8aabf5b2fcee8897010481c8e1fc02c0bdc4b60180a0d69102"},
		"distinct, dense": {dense, "4401ec8aabf5b2fcee8897010000090300010100... 10689 c3ecc3ed9548163452b42691c18cf53827435f35868cb03e0927d60490224728"},
	} {
		got := fmt.Sprintf("%x", form(tt.s))
		if len(got) > 100 {
			got = fmt.Sprintf("%s... %d %x", got[:40], len(got)/2, sha256.Sum256([]byte(got)))
		}
		if got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

// Oracle: a map. What is held is exact, and nothing is lost.
func TestCountsIsAMap(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 5))
		room := 1 + r.IntN(20)
		parts := []*sketch.Counts{sketch.NewCounts(room), sketch.NewCounts(room)}
		exact, total := map[string]uint64{}, uint64(0)
		for range 300 {
			key, n := fmt.Sprint(r.IntN(15)), r.Uint64N(4)
			parts[r.IntN(2)].Add([]byte(key), n)
			exact[key] += n
			total += n
		}
		before := form(parts[1])
		parts[0].Merge(parts[1])
		sum := parts[0].Other()
		for _, it := range parts[0].Items() {
			if it.Count > exact[it.Key] || room >= 15 && it.Count != exact[it.Key] || it.Count != parts[0].Count([]byte(it.Key)) {
				t.Fatalf("seed %d, %s: got %d of %d", seed, it.Key, it.Count, exact[it.Key])
			}
			sum += it.Count
		}
		if sum != total || len(parts[0].Items()) > room || form(parts[1]) != before {
			t.Fatalf("seed %d: got %d in all, %d keys, want %d and at most %d", seed, sum, len(parts[0].Items()), total, room)
		}
	}
}

// Forms that were made up.
func TestUnmarshalDistinct(t *testing.T) {
	empty := form(sketch.NewDistinct(0))
	head := empty[:len(empty)-1] // without the number of registers
	// sparse is a form of n fine registers, first and then each next one.
	sparse := func(first uint64, n int) []byte {
		b := binary.AppendUvarint([]byte(head), uint64(n)+1)
		for i := range n {
			if i > 0 {
				first = 1 << 6
			}
			b = binary.AppendUvarint(b, first)
		}
		return b
	}
	// Of one register in two sketches, the higher rank counts.
	a, b := sketch.NewDistinct(0), sketch.NewDistinct(0)
	if err := errors.Join(a.UnmarshalBinary(sparse(5<<6|3, 1)), b.UnmarshalBinary(sparse(5<<6|7, 1))); err != nil {
		t.Fatal(err)
	}
	a.Merge(b)
	if got, want := form(a), string(sparse(5<<6|7, 1)); got != want {
		t.Errorf("got %x, want %x", got, want)
	}
	for name, tt := range map[string]struct {
		b  []byte
		ok bool
	}{
		"as many as can be":  {sparse(1, 1536), true},
		"one more":           {sparse(1, 1537), false},
		"rank 0":             {sparse(5<<6, 1), false},
		"rank 41":            {sparse(5<<6|41, 1), false},
		"register 2^25":      {sparse(1<<31|1, 1), false},
		"beyond 32 bits":     {sparse(1<<32|1, 1), false},
		"all zeros":          {append([]byte(head), 0, 0, 0xff, 0x7f), true},
		"a zero less":        {append([]byte(head), 0, 0, 0xfe, 0x7f), false},
		"a zero more":        {append([]byte(head), 0, 0, 0x80, 0x80, 0x01), false},
		"a register of 52":   {append([]byte(head), 0, 52, 0, 0xfe, 0x7f), false},
		"bytes after it":     {append([]byte(head), 0, 0, 0xff, 0x7f, 1), false},
		"nothing":            {nil, false},
		"of another version": {append([]byte{'D', 2}, head[2:]...), false},
	} {
		if err := sketch.NewDistinct(0).UnmarshalBinary(tt.b); (err == nil) != tt.ok {
			t.Errorf("%s: got %v", name, err)
		}
	}
	q := binary.AppendUvarint(binary.AppendUvarint([]byte{'Q', 1, 0, 0, 2}, 1<<63), 1<<63)
	if err := sketch.NewQuantile().UnmarshalBinary(q); !errors.Is(err, sketch.ErrFormat) {
		t.Errorf("more values than can be counted: got %v", err)
	}
}

// A form that promises much is not believed.
func TestUnmarshalAllocatesInProportion(t *testing.T) {
	huge := []byte{0xff, 0xff, 0xff, 0xff, 0x07} // 2^31 - 1
	for _, s := range []interface {
		encoding.BinaryMarshaler
		encoding.BinaryUnmarshaler
	}{sketch.NewCounts(1), sketch.NewTopK(1), sketch.NewQuantile(), sketch.NewDistinct(0)} {
		before := form(s)
		b := []byte(before)[:2]
		for range 5 {
			b = append(b, huge...)
		}
		var m0, m1 runtime.MemStats
		runtime.ReadMemStats(&m0)
		err := s.UnmarshalBinary(b)
		runtime.ReadMemStats(&m1)
		if got := m1.TotalAlloc - m0.TotalAlloc; !errors.Is(err, sketch.ErrFormat) || got > 64<<10 {
			t.Errorf("%T: got %v and %d bytes, want ErrFormat and few", s, err, got)
		}
		if form(s) != before {
			t.Errorf("%T: changed by a form that is none", s)
		}
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
