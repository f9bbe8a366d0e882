package sketch_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// Oracle: the sorted values.
func quantileIsAccurate(seed uint64, add func(q *sketch.Quantile, v float64)) string {
	r := rand.New(rand.NewPCG(seed, 2))
	a, b, c := sketch.NewQuantile(), sketch.NewQuantile(), sketch.NewQuantile()
	var all []float64
	for range 1000 {
		v := math.Exp(r.NormFloat64() * 5)
		all = append(all, v)
		add([]*sketch.Quantile{a, b}[r.IntN(2)], v)
		add(c, v)
	}
	slices.Sort(all)
	before := form(b)
	a.Merge(b)
	if form(a) != form(c) || form(b) != before {
		return "merging is not adding"
	}
	for _, p := range []float64{0, 0.5, 0.9, 0.99, 1} {
		want := all[int(p*999)]
		if got := a.Value(p); math.Abs(got-want) > 0.0101*want {
			return fmt.Sprintf("p%v: got %v, want %v", p, got, want)
		}
	}
	return ""
}

func TestQuantileIsAccurate(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return quantileIsAccurate(seed, (*sketch.Quantile).Add) })
	checkBites(t, 100, func(seed uint64) string {
		return quantileIsAccurate(seed, func(q *sketch.Quantile, v float64) { q.Add(v * 1.03) })
	})
}

// The values span more than the bins can. The lowest bins become a single bin,
// whatever the order of the values.
func quantileCollapse(seed uint64, merge func(q, other *sketch.Quantile) error) string {
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
		merge(left, parts[i])
		merge(right, parts[2-i])
	}
	if form(left) != form(right) || form(left) != form(all) {
		return "merging is not adding"
	}
	return ""
}

func TestQuantileCollapse(t *testing.T) {
	checkProperty(t, 100, func(seed uint64) string { return quantileCollapse(seed, (*sketch.Quantile).Merge) })
	checkBites(t, 100, func(seed uint64) string {
		return quantileCollapse(seed, func(q, other *sketch.Quantile) error { return nil })
	})
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
