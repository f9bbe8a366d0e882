package sketch_test

import (
	"errors"
	"fmt"

	"github.com/redoubt-go/redoubt/logscan/sketch"
)

func Example() {
	lat := sketch.NewQuantile()
	for ms := 1.0; ms <= 1000; ms++ {
		lat.Add(ms)
	}
	fmt.Printf("p99 %.0f of %d\n", lat.Value(0.99), lat.Count())
	// Output:
	// p99 983 of 1000
}

// merged returns the sum of the sketches of several hosts.
func merged(parts [][]byte) (*sketch.TopK, error) {
	total := sketch.NewTopK(100)
	for _, b := range parts {
		var host sketch.TopK
		if err := host.UnmarshalBinary(b); err != nil {
			return nil, err
		}
		if err := total.Merge(&host); err != nil {
			return nil, err
		}
	}
	return total, nil
}

// Each host counts its own log; the sketches travel and are merged.
func ExampleTopK() {
	var parts [][]byte
	for range 3 {
		host := sketch.NewTopK(100)
		host.Add([]byte("/index"), 50)
		host.Add([]byte("/login"), 9)
		b, _ := host.MarshalBinary()
		parts = append(parts, b)
	}
	total, err := merged(parts)
	fmt.Println(total.Items(), err)
	// Output:
	// [{/index 150 0} {/login 27 0}] <nil>
}

func ExampleNewTopK() {
	t := sketch.NewTopK(1)
	t.Add([]byte("a"), 5)
	t.Add([]byte("b"), 1)
	fmt.Printf("%+v\n", t.Items())
	// Output:
	// [{Key:b Count:6 Err:5}]
}

func ExampleCounts() {
	c := sketch.NewCounts(2)
	for _, level := range []string{"INFO", "ERROR", "INFO", "forged-1", "forged-2"} {
		c.Add([]byte(level), 1)
	}
	fmt.Println(c.Count([]byte("INFO")), c.Items(), c.Other())
	// Output:
	// 2 [{INFO 2 0} {ERROR 1 0}] 2
}

func ExampleNewCounts() {
	fmt.Println(sketch.NewCounts(10).Items())
	// Output:
	// []
}

func ExampleItem() {
	c := sketch.NewCounts(10)
	c.Add([]byte("GET"), 7)
	for _, it := range c.Items() {
		fmt.Println(it.Key, it.Count)
	}
	// Output:
	// GET 7
}

func ExampleDistinct() {
	d := sketch.NewDistinct(0)
	for i := range 1000 {
		d.Add(fmt.Append(nil, "user-", i%100))
	}
	fmt.Println(d.Estimate())
	// Output:
	// 100
}

func ExampleNewDistinct() {
	err := sketch.NewDistinct(1).Merge(sketch.NewDistinct(2))
	fmt.Println(errors.Is(err, sketch.ErrMismatch))
	// Output:
	// true
}

func ExampleQuantile() {
	a, b := sketch.NewQuantile(), sketch.NewQuantile()
	a.Add(100)
	b.Add(300)
	a.Merge(b)
	fmt.Printf("%.0f %.0f\n", a.Value(0), a.Value(1))
	// Output:
	// 100 302
}

func ExampleNewQuantile() {
	fmt.Println(sketch.NewQuantile().Value(0.5))
	// Output:
	// 0
}

// Latencies by route: the accumulator of a logscan.Reduce holds a Quantiles.
func ExampleNewQuantiles() {
	q := sketch.NewQuantiles(1000) // routes
	for i := range 100 {
		q.Add([]byte("/cart"), float64(i))
		q.Add([]byte("/pay"), float64(2*i))
	}
	for route, latency := range q.All() {
		fmt.Printf("%s %d values, median %.0f\n", route, latency.Count(), latency.Value(0.5))
	}
	// Output:
	// /cart 100 values, median 49
	// /pay 100 values, median 99
}
