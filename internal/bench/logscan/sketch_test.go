package logscan

import (
	"container/heap"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/axiomhq/hyperloglog"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// users returns the names of n users.
func users(n int) [][]byte {
	keys := make([][]byte, n)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "user-%d", i)
	}
	return keys
}

// within returns 1 if got is within a part of want.
func within(got, want, part float64) int {
	if math.Abs(got-want) <= part*want {
		return 1
	}
	return 0
}

// BenchmarkDistinct adds keys that differ. All sketches have 14 bits, and their
// estimates must be within 5 %.
func BenchmarkDistinct(b *testing.B) {
	for _, n := range []int{100, 1000, 100000} {
		keys := users(n)
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			compare(b, corpus{lines: n, want: 1},
				"redoubt", func(corpus) int {
					d := sketch.NewDistinct(0)
					for _, k := range keys {
						d.Add(k)
					}
					return within(float64(d.Estimate()), float64(n), 0.05)
				},
				"axiomhq", func(corpus) int {
					d := hyperloglog.New14()
					for _, k := range keys {
						d.Insert(k)
					}
					return within(float64(d.Estimate()), float64(n), 0.05)
				})
		})
	}
}

// BenchmarkDistinctAccuracy measures the root mean square error over 40 sets of
// keys, in percent, and the size of the binary form.
func BenchmarkDistinctAccuracy(b *testing.B) {
	const sets = 40
	for _, n := range []int{100, 1000, 10000, 100000} {
		for name, run := range map[string]func(set int) (uint64, int){
			"redoubt": func(set int) (uint64, int) {
				d := sketch.NewDistinct(0)
				for i := range n {
					d.Add(fmt.Appendf(nil, "%d-%d", set, i))
				}
				form, _ := d.MarshalBinary()
				return d.Estimate(), len(form)
			},
			"axiomhq": func(set int) (uint64, int) {
				d := hyperloglog.New14()
				for i := range n {
					d.Insert(fmt.Appendf(nil, "%d-%d", set, i))
				}
				form, _ := d.MarshalBinary()
				return d.Estimate(), len(form)
			},
		} {
			b.Run(fmt.Sprintf("keys=%d/impl=%s", n, name), func(b *testing.B) {
				square, size := 0.0, 0
				for b.Loop() {
					square, size = 0, 0
					for set := range sets {
						got, form := run(set)
						e := 100 * (float64(got) - float64(n)) / float64(n)
						square, size = square+e*e, size+form
					}
				}
				b.ReportMetric(math.Sqrt(square/sets), "rms-%")
				b.ReportMetric(float64(size)/sets, "form-B")
			})
		}
	}
}

// BenchmarkQuantile adds 100000 values. p50 must be within 2 %.
func BenchmarkQuantile(b *testing.B) {
	compare(b, corpus{lines: 100000, want: 1},
		"redoubt", func(corpus) int {
			q := sketch.NewQuantile()
			for i := range 100000 {
				q.Add(float64(i + 1))
			}
			return within(q.Value(0.5), 50000, 0.02)
		},
		"DataDog", func(corpus) int {
			q, err := ddsketch.NewDefaultDDSketch(0.01)
			if err != nil {
				return 0
			}
			for i := range 100000 {
				q.Add(float64(i + 1))
			}
			v, _ := q.GetValueAtQuantile(0.5)
			return within(v, 50000, 0.02)
		})
}

// BenchmarkQuantileAccuracy measures the largest error of p1 to p99 of 100000
// values of a log-normal distribution, in percent. Both promise 1.
func BenchmarkQuantileAccuracy(b *testing.B) {
	const n = 100000
	for _, name := range []string{"redoubt", "DataDog"} {
		b.Run("impl="+name, func(b *testing.B) {
			worst := 0.0
			for b.Loop() {
				r := rand.New(rand.NewPCG(1, 1))
				q, d := sketch.NewQuantile(), must(ddsketch.NewDefaultDDSketch(0.01))
				all := make([]float64, n)
				for i := range all {
					all[i] = math.Exp(2 * r.NormFloat64())
					q.Add(all[i])
					d.Add(all[i])
				}
				slices.Sort(all)
				worst = 0
				for p := 1; p < 100; p++ {
					got, want := q.Value(float64(p)/100), all[p*(n-1)/100]
					if name == "DataDog" {
						got = must(d.GetValueAtQuantile(float64(p) / 100))
					}
					worst = max(worst, 100*math.Abs(got-want)/want)
				}
			}
			b.ReportMetric(worst, "max-%")
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A spaceSaving is Space-Saving as in textbooks: a map into a heap that is kept
// in order at every event.
type spaceSaving struct {
	k     int
	index map[string]*counter
	heap  []*counter
}

type counter struct {
	key   string
	count uint64
	at    int
}

func (s *spaceSaving) Len() int           { return len(s.heap) }
func (s *spaceSaving) Less(i, j int) bool { return s.heap[i].count < s.heap[j].count }
func (s *spaceSaving) Swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.heap[i].at, s.heap[j].at = i, j
}

func (s *spaceSaving) Push(x any) {
	c := x.(*counter)
	c.at = len(s.heap)
	s.heap = append(s.heap, c)
}
func (s *spaceSaving) Pop() any { return nil }

func (s *spaceSaving) add(key []byte) {
	c, ok := s.index[string(key)]
	switch {
	case ok:
		c.count++
	case len(s.heap) < s.k:
		c = &counter{key: string(key), count: 1}
		s.index[c.key] = c
		heap.Push(s, c)
		return
	default:
		c = s.heap[0]
		delete(s.index, c.key)
		c.key = string(key)
		c.count++
		s.index[c.key] = c
	}
	heap.Fix(s, c.at)
}

// BenchmarkTopK counts 100000 events with 1000 counters. The events are of
// 50000 keys with a Zipf distribution, whose most frequent key must be user-0,
// or of keys that come once.
func BenchmarkTopK(b *testing.B) {
	const n, k = 100000, 1000
	keys := users(n)
	zipf := make([][]byte, n)
	z := rand.NewZipf(rand.New(rand.NewPCG(1, 1)), 1.1, 1, 50000)
	for i := range zipf {
		zipf[i] = keys[z.Uint64()]
	}
	for _, events := range []struct {
		name string
		keys [][]byte
		top  string
	}{{"zipf", zipf, "user-0"}, {"once", keys, ""}} {
		b.Run(events.name, func(b *testing.B) {
			is := func(top string) int {
				if events.top == "" || top == events.top {
					return 1
				}
				return 0
			}
			compare(b, corpus{lines: n, want: 1},
				"redoubt", func(corpus) int {
					t := sketch.NewTopK(k)
					for _, key := range events.keys {
						t.Add(key, 1)
					}
					return is(t.Items()[0].Key)
				},
				"container-heap", func(corpus) int {
					t := &spaceSaving{k: k, index: map[string]*counter{}}
					for _, key := range events.keys {
						t.add(key)
					}
					best := t.heap[0]
					for _, c := range t.heap {
						if c.count > best.count {
							best = c
						}
					}
					return is(best.key)
				},
				"map", func(corpus) int {
					m, best := map[string]int{}, ""
					for _, key := range events.keys {
						m[string(key)]++
					}
					for key, n := range m {
						if n > m[best] {
							best = key
						}
					}
					return is(best)
				})
		})
	}
}
