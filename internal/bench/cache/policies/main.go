// Command policies compares the hit ratios of eviction policies: the cache of
// redoubt, otter, and implementations of LRU, ARC and S3-FIFO of its own.
//
// It replays generated traces, and the recorded traces in the folder that the
// environment variable REDOUBT_TRACES names, or in shared/data/traces beside
// the repository: files *.u64.gz of little-endian uint64 keys, one per request.
// A miss inserts the key. A point is a trace with a capacity. The regret of a
// policy at a point is the difference of its hits to the best of LRU, ARC and
// S3-FIFO, in percentage points.
//
//	go run ./cache/policies
//	go test -run TestPicture ./cache/policies -update   draws docs/cache-*.svg
//
// With -weights, keys have sizes from heavy-tailed distributions, the caches
// are bounded by weight, and the hits count by objects and by bytes. Only
// redoubt and otter take part.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"text/tabwriter"

	"github.com/maypok86/otter/v2"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/internal/bench/chart"
)

// A policy is a cache of keys. Access looks a key up, inserts it if it is
// absent, and reports whether it was present.
type policy interface{ Access(key uint32) bool }

// A contestant makes a policy for keys below n.
type contestant struct {
	name string
	make func(n, capacity int) policy
}

// contestants begins with the policies that define the regret.
var contestants = []contestant{
	{"lru", newLRU},
	{"arc", newARC},
	{"s3-fifo", newS3FIFO},
	{"otter", func(_, capacity int) policy {
		return otters{otter.Must(&otter.Options[uint32, uint32]{MaximumSize: capacity, Executor: now})}
	}},
	{"redoubt", func(_, capacity int) policy {
		return redoubt{cache.New(cache.Config[uint32, uint32]{Capacity: capacity})}
	}},
}

const references = 3 // the contestants that define the regret

// now runs the work of otter at once. Otherwise it would contain, and hit, more
// than its capacity.
func now(f func()) { f() }

type redoubt struct{ *cache.Cache[uint32, uint32] }

func (c redoubt) Access(k uint32) bool {
	if _, ok := c.Get(k); ok {
		return true
	}
	c.Set(k, k)
	return false
}

type otters struct{ *otter.Cache[uint32, uint32] }

func (c otters) Access(k uint32) bool {
	if _, ok := c.GetIfPresent(k); ok {
		return true
	}
	c.Set(k, k)
	c.CleanUp()
	return false
}

// each calls f for all i below n, on all processors.
func each(n int, f func(i int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

func main() {
	log.SetFlags(0)
	all := flag.Bool("points", false, "print all points")
	weights := flag.Bool("weights", false, "bound the caches by weight")
	seed := flag.Uint64("seed", 1, "seed of the generated traces")
	flag.Parse()
	points, err := recorded(folder())
	if err != nil {
		log.Fatal("policies: ", err)
	}
	points = append(points, generated(*seed)...)
	out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	if *weights {
		compareWeights(out, points)
		return
	}
	hits := compare(points)
	if *all {
		printPoints(out, points, hits)
	}
	printRegrets(out, points, hits)
	printMemory(out)
}

// folder returns the folder of the recorded traces, which need not exist.
func folder() string {
	return cmp.Or(os.Getenv("REDOUBT_TRACES"), filepath.Join(chart.Root(), "..", "shared", "data", "traces"))
}

// compare returns the percentage of hits by contestant and point.
func compare(points []point) [][]float64 {
	hits := make([][]float64, len(contestants))
	for i, c := range contestants {
		hits[i] = make([]float64, len(points))
		each(len(points), func(j int) { hits[i][j] = c.hits(points[j]) })
	}
	return hits
}

// hits returns the percentage of hits at p.
func (c contestant) hits(p point) float64 {
	n := 0
	cache := c.make(p.distinct, p.capacity)
	for _, k := range p.keys {
		if cache.Access(k) {
			n++
		}
	}
	return 100 * float64(n) / float64(len(p.keys))
}

// regret returns the regret of contestant i at point j, which is negative if it
// is above the best of the references.
func regret(hits [][]float64, i, j int) float64 {
	best := 0.0
	for r := range references {
		best = max(best, hits[r][j])
	}
	return best - hits[i][j]
}

func printPoints(out *tabwriter.Writer, points []point, hits [][]float64) {
	fmt.Fprint(out, "point\t")
	for _, c := range contestants {
		fmt.Fprint(out, c.name, "\t")
	}
	fmt.Fprintln(out, "regret\t")
	for j, p := range points {
		fmt.Fprintf(out, "%s\t", p.name)
		for i := range contestants {
			fmt.Fprintf(out, "%.2f\t", hits[i][j])
		}
		fmt.Fprintf(out, "%.2f\t\n", regret(hits, len(contestants)-1, j))
	}
	fmt.Fprintln(out)
	out.Flush()
}

func printRegrets(out *tabwriter.Writer, points []point, hits [][]float64) {
	for _, recorded := range []bool{true, false} {
		var group []int
		for j, p := range points {
			if p.recorded == recorded {
				group = append(group, j)
			}
		}
		if len(group) == 0 {
			continue
		}
		title := "generated"
		if recorded {
			title = "recorded"
		}
		fmt.Fprintf(out, "%d points, %s\thits %%\tmean regret\tworst regret\tpoints over 3\tworst point\t\n", len(group), title)
		for i, c := range contestants {
			sum, lost, over, worst := 0.0, 0.0, 0, group[0]
			for _, j := range group {
				r := regret(hits, i, j)
				sum, lost = sum+hits[i][j], lost+max(r, 0)
				if r > 3 {
					over++
				}
				if r > regret(hits, i, worst) {
					worst = j
				}
			}
			n := float64(len(group))
			fmt.Fprintf(out, "%s\t%.2f\t%.2f\t%.1f\t%d\t%s\t\n", c.name, sum/n, lost/n, regret(hits, i, worst), over, points[worst].name)
		}
		fmt.Fprintln(out)
		out.Flush()
	}
}

// printMemory prints the heap of caches of a hundred thousand entries that have
// evicted as many.
func printMemory(out *tabwriter.Writer) {
	const n = 100_000
	fmt.Fprintf(out, "%d entries\tB/entry\t\n", n)
	for _, c := range contestants[references:] {
		before := heap()
		cache := c.make(0, n)
		for k := range uint32(2 * n) {
			cache.Access(k)
		}
		fmt.Fprintf(out, "%s\t%.1f\t\n", c.name, float64(heap()-before)/n)
		runtime.KeepAlive(cache)
	}
	out.Flush()
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
