package sketch_test

import (
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// form returns the binary form, which stands for a sketch in comparisons.
func form(s encoding.BinaryMarshaler) string {
	b, err := s.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return string(b)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestMismatch(t *testing.T) {
	checkIs(t, sketch.NewTopK(1).Merge(sketch.NewTopK(2)), sketch.ErrMismatch)
	checkIs(t, sketch.NewCounts(1).Merge(sketch.NewCounts(2)), sketch.ErrMismatch)
	checkIs(t, sketch.NewDistinct(1).Merge(sketch.NewDistinct(2)), sketch.ErrMismatch)
	a, b := sketch.NewDistinct(7), sketch.NewDistinct(7)
	a.Add([]byte("x"))
	if err := b.UnmarshalBinary([]byte(form(a))); err != nil || b.Estimate() != 1 {
		t.Errorf("got %v, %d", err, b.Estimate())
	}
	if err := sketch.NewDistinct(8).UnmarshalBinary([]byte(form(a))); err != sketch.ErrMismatch {
		t.Errorf("got %v, want ErrMismatch", err)
	}
}

// The hash and the forms are the same on every machine and in every release.
func TestFormsAreFixed(t *testing.T) {
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

// Memory is in proportion to a form, whatever numbers it contains.
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

// An accepted form is a fixed point of the format, and nothing panics.
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
