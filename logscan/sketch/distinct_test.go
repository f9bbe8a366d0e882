package sketch_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// Oracle: the number of keys, within five standard errors.
func distinctIsAUnion(seed uint64, add func(d *sketch.Distinct, key []byte)) string {
	n := []int{0, 1, 50, 1536, 1537, 3000, 30000}[seed%7] // it becomes dense beyond 1536
	a, b, c := sketch.NewDistinct(seed), sketch.NewDistinct(seed), sketch.NewDistinct(seed)
	for i := range n {
		key := fmt.Appendf(nil, "key-%d-and-%d", i, seed)
		add([]*sketch.Distinct{a, b}[i%2], key)
		add(c, key)
	}
	ab, ba := sketch.NewDistinct(seed), sketch.NewDistinct(seed)
	ab.Merge(a)
	ab.Merge(b)
	ba.Merge(b)
	ba.Merge(a)
	ba.Merge(a)
	if form(ab) != form(ba) || form(ab) != form(c) {
		return "merging is not a union"
	}
	if got := float64(c.Estimate()); math.Abs(got-float64(n)) > 0.0081*5*float64(n) || n <= 1536 && math.Abs(got-float64(n)) > 1 {
		return fmt.Sprintf("got %v, want about %d", got, n)
	}
	return ""
}

func TestDistinctIsAUnion(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return distinctIsAUnion(seed, (*sketch.Distinct).Add) })
	checkBites(t, 100, func(seed uint64) string {
		return distinctIsAUnion(seed, func(d *sketch.Distinct, key []byte) { d.Add(key[:5]) })
	})
}

// Oracle: the maximum of each register, as in a dense sketch. The form is the
// same for all divisions of the keys, whichever parts are dense.
func distinctForms(seed uint64, merge func(d, other *sketch.Distinct) error) string {
	r := rand.New(rand.NewPCG(seed, 4))
	parts := make([]*sketch.Distinct, 4)
	for i := range parts {
		parts[i] = sketch.NewDistinct(seed)
	}
	all := sketch.NewDistinct(seed)
	for i := range 1 + r.IntN(4000) {
		key := fmt.Append(nil, i)
		all.Add(key)
		parts[min(r.IntN(30), 3)].Add(key) // the last part has nearly all keys
	}
	merged := sketch.NewDistinct(seed)
	for _, i := range r.Perm(len(parts)) {
		before := form(parts[i])
		merge(merged, parts[i])
		if form(parts[i]) != before {
			return "merging changed its source"
		}
	}
	merged.Merge(merged)
	read := sketch.NewDistinct(seed)
	if err := read.UnmarshalBinary([]byte(form(all))); err != nil {
		return err.Error()
	}
	if form(merged) != form(all) || form(read) != form(all) || merged.Estimate() != all.Estimate() || read.Estimate() != all.Estimate() {
		return fmt.Sprintf("%d, %d and %d are not the same", merged.Estimate(), read.Estimate(), all.Estimate())
	}
	return ""
}

func TestDistinctForms(t *testing.T) {
	checkProperty(t, 50, func(seed uint64) string { return distinctForms(seed, (*sketch.Distinct).Merge) })
	checkBites(t, 50, func(seed uint64) string {
		return distinctForms(seed, func(d, other *sketch.Distinct) error { return nil })
	})
}

// A sketch of few keys is small, and every sketch has at most 16 KiB.
func TestDistinctMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	for _, tt := range []struct{ keys, most int }{{0, 64}, {1, 128}, {6, 128}, {100, 64 + 11*100}, {1536, 64 + 11*1500}, {100000, 17 << 10}} {
		least := math.MaxInt
		for range 3 { // other goroutines of the test program may allocate
			sketches := make([]*sketch.Distinct, 20)
			before := heap()
			for i := range sketches {
				sketches[i] = sketch.NewDistinct(0)
				for k := range tt.keys {
					sketches[i].Add(strconv.AppendInt(nil, int64(k), 10))
				}
			}
			least = min(least, int(heap()-before)/len(sketches))
			runtime.KeepAlive(sketches)
		}
		if least > tt.most {
			t.Errorf("%d keys: got %d bytes, want at most %d", tt.keys, least, tt.most)
		}
	}
}

// Forms that no sketch has written.
func TestUnmarshalDistinct(t *testing.T) {
	empty := form(sketch.NewDistinct(0))
	head := empty[:len(empty)-1] // without the number of registers
	// sparse returns a form of n fine registers: first, and the registers after
	// it.
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
	// If two sketches hold a register, its higher rank counts.
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
