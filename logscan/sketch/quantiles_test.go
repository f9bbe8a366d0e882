package sketch_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// Oracle: a Quantile for each key.
func TestQuantilesAreAQuantileEach(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	parts := []*sketch.Quantiles{sketch.NewQuantiles(3), sketch.NewQuantiles(3)}
	want := map[string]*sketch.Quantile{}
	for i := range 10000 {
		key, v := fmt.Sprint("k", i%3), r.ExpFloat64()*float64(1+i%3)
		if want[key] == nil {
			want[key] = sketch.NewQuantile()
		}
		want[key].Add(v)
		parts[i%2].Add([]byte(key), v)
	}
	parts[0].Add([]byte("late"), 7)
	form, err := parts[1].MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	back := sketch.NewQuantiles(1)
	if err := back.UnmarshalBinary(form); err != nil {
		t.Fatal(err)
	}
	if err := parts[0].Merge(back); err != nil {
		t.Fatal(err)
	}
	got := 0
	for key, q := range parts[0].All() {
		got++
		for _, p := range []float64{0, 0.5, 0.99, 1} {
			if q.Value(p) != want[key].Value(p) || q.Count() != want[key].Count() {
				t.Errorf("%s: %v at %v, want %v", key, q.Value(p), p, want[key].Value(p))
			}
		}
	}
	if got != 3 || parts[0].Other().Count() != 1 {
		t.Errorf("%d keys, %d other values, want 3 and 1", got, parts[0].Other().Count())
	}
	if err := parts[0].Merge(sketch.NewQuantiles(4)); !errors.Is(err, sketch.ErrMismatch) {
		t.Errorf("got %v, want ErrMismatch", err)
	}
}

func FuzzQuantiles(f *testing.F) {
	q := sketch.NewQuantiles(2)
	q.Add([]byte("a"), 1)
	q.Add([]byte("b"), 2)
	q.Add([]byte("c"), 3)
	form, _ := q.MarshalBinary()
	f.Add(form)
	f.Fuzz(func(t *testing.T, form []byte) {
		q := sketch.NewQuantiles(1)
		if q.UnmarshalBinary(form) != nil {
			return
		}
		again, _ := q.MarshalBinary()
		other := sketch.NewQuantiles(1)
		if err := other.UnmarshalBinary(again); err != nil {
			t.Fatal(err)
		}
		if second, _ := other.MarshalBinary(); string(second) != string(again) {
			t.Errorf("%x becomes %x", again, second)
		}
	})
}
