package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"text/tabwriter"

	"github.com/maypok86/otter/v2"

	"github.com/redoubt-go/redoubt/cache"
)

// A sizes is a distribution of the sizes of objects.
type sizes struct {
	name string
	draw func(r *rand.Rand) float64
}

var distributions = []sizes{
	{"all 1", func(*rand.Rand) float64 { return 1 }},
	{"uniform", func(r *rand.Rand) float64 { return 512 * float64(1+r.IntN(128)) }},
	{"lognormal", func(r *rand.Rand) float64 { return 4096 * math.Exp(1.5*r.NormFloat64()) }},
	{"pareto", func(r *rand.Rand) float64 { return 512 * math.Pow(1-r.Float64(), -1/1.2) }},
}

// compareWeights prints the means of the hits by objects and by bytes. The
// recorded traces contain no sizes, so each key has a random size.
func compareWeights(out *tabwriter.Writer, points []point) {
	fmt.Fprintln(out, "sizes\ttraces\tobject hits %: otter\tredoubt\tbyte hits %: otter\tredoubt\t")
	for _, d := range distributions {
		results := make([][2]ratios, len(points))
		each(len(points), func(j int) { results[j] = replayWeights(points[j], d) })
		for _, recorded := range []bool{true, false} {
			var sum [2]ratios
			n := 0.0
			for j, p := range points {
				if p.recorded == recorded {
					n++
					for i := range sum {
						sum[i].objects += results[j][i].objects
						sum[i].bytes += results[j][i].bytes
					}
				}
			}
			if n > 0 {
				kind := map[bool]string{true: "recorded", false: "generated"}[recorded]
				fmt.Fprintf(out, "%s\t%s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", d.name, kind,
					sum[0].objects/n, sum[1].objects/n, sum[0].bytes/n, sum[1].bytes/n)
			}
		}
		out.Flush()
	}
}

type ratios struct{ objects, bytes float64 }

// replayWeights returns the ratios of otter and of redoubt.
func replayWeights(p point, d sizes) (results [2]ratios) {
	random := rand.New(rand.NewPCG(1, uint64(p.distinct)))
	size := make([]uint32, p.distinct)
	total := 0.0
	for k := range size {
		size[k] = uint32(min(max(d.draw(random), 1), 1<<26))
		total += float64(size[k])
	}
	budget := uint64(total * float64(p.capacity) / float64(p.distinct))
	weigh := func(k, _ uint32) uint32 { return size[k] }
	for i, c := range []policy{
		otters{otter.Must(&otter.Options[uint32, uint32]{MaximumWeight: budget, Weigher: weigh, Executor: now})},
		redoubt{cache.New(cache.Config[uint32, uint32]{MaxWeight: budget, Weigh: weigh})},
	} {
		hits, hitBytes, bytes := 0, 0.0, 0.0
		for _, k := range p.keys {
			bytes += float64(size[k])
			if c.Access(k) {
				hits++
				hitBytes += float64(size[k])
			}
		}
		results[i] = ratios{100 * float64(hits) / float64(len(p.keys)), 100 * hitBytes / bytes}
	}
	return results
}
