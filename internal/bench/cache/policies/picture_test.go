package main

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/internal/bench/chart"
	"github.com/redoubt-go/redoubt/internal/bench/chart/golden"
)

var long = flag.Bool("long", false, "replay all traces with all policies")

// The lines of the pictures. Otter and redoubt hash with random seeds, so their
// lines vary by some tenths of a point.
var styles = map[string]chart.Line{
	"lru":     {Name: "LRU", Style: chart.Without},
	"arc":     {Name: "ARC", Style: chart.Second},
	"s3-fifo": {Name: "S3-FIFO", Style: chart.Third},
	"otter":   {Name: "otter", Style: chart.Peer, Varies: true},
	"redoubt": {Name: "redoubt", Style: chart.Redoubt, Varies: true},
}

// The origins of the recorded traces.
var origins = []struct {
	name, text string
	percent    chart.Axis
	files      []string
}{
	{"ARC", "a database: OLTP", chart.Axis{Marks: []float64{40, 60, 80}}, []string{"arc-OLTP"}},
	{
		"LIRS", "the mean of 2_pools, cpp, gli, multi2, ps",
		chart.Axis{Marks: []float64{0, 40, 80}},
		[]string{"lirs-2_pools", "lirs-cpp", "lirs-gli", "lirs-multi2", "lirs-ps"},
	},
	{"cache2k", "the mean of web07 and web12", chart.Axis{Marks: []float64{40, 60, 80}, From: 36, To: 80}, []string{"c2k-web07", "c2k-web12"}},
	{"CloudPhysics", "disks: w92", chart.Axis{Marks: []float64{20, 40, 60}, From: 10, To: 60}, []string{"cphy-w92sample"}},
	{"Corda", "a ledger: vaultservice", chart.Axis{Marks: []float64{20, 30, 40}}, []string{"corda-vaultservice"}},
	{"SPEC", "addresses: gcc", chart.Axis{Marks: []float64{90, 92, 94}}, []string{"addr-gcc"}},
}

var shares = []float64{1, 2, 5, 10, 20, 50} // percent of the distinct keys

// TestPictureHits draws the hit ratios over the capacity. Without -update it
// replays only LRU and compares its lines, because the other lines vary.
func TestPictureHits(t *testing.T) {
	drawn := []string{"lru", "otter", "redoubt"}
	c := &chart.Chart{
		Name:     "cache-hits",
		Title:    "On all recorded traces, redoubt hits nearly as often as the better of otter and LRU, or more often.",
		Subtitle: "Hits in percent of the requests, over the capacity in percent of the distinct keys. Each panel has its own scale.",
		Note:     "go test -run TestPicture ./cache/policies -update, in internal/bench. Otter and redoubt hash with random seeds: a run differs by some tenths of a point.",
		X:        chart.Axis{Marks: []float64{1, 2, 5, 10, 20, 50}, Log: true, Unit: "%"},
		Columns:  2,
		Height:   120,
	}
	for _, o := range origins {
		panel := chart.Panel{Name: o.name, Text: o.text, Y: o.percent}
		mean := map[string][]float64{}
		for _, file := range o.files {
			raw, err := read(filepath.Join(folder(), file+".u64.gz"))
			if err != nil {
				t.Skip("without recorded traces: ", err)
			}
			keys, distinct := numbered(raw)
			for _, c := range contestants {
				if !slices.Contains(drawn, c.name) || styles[c.name].Varies && !golden.Updating() {
					continue
				}
				of := make([]float64, len(shares))
				each(len(shares), func(i int) {
					of[i] = c.hits(point{keys: keys, distinct: distinct, capacity: max(1, int(shares[i]*float64(distinct)/100))})
				})
				if mean[c.name] == nil {
					mean[c.name] = make([]float64, len(shares))
				}
				for i := range of {
					mean[c.name][i] += of[i] / float64(len(o.files))
				}
			}
		}
		for _, name := range drawn {
			l, values := styles[name], mean[name]
			if values == nil {
				values = mean["lru"] // varies: in its place for the comparison
			}
			for i := range shares {
				l.Points = append(l.Points, chart.Point{X: shares[i], Y: values[i]})
			}
			panel.Lines = append(panel.Lines, l)
		}
		if golden.Updating() {
			for i, share := range shares {
				t.Logf("%-13s %3g %%: LRU %5.1f, otter %5.1f, redoubt %5.1f", o.name, share, mean["lru"][i], mean["otter"][i], mean["redoubt"][i])
				if best := max(mean["lru"][i], mean["otter"][i]); mean["redoubt"][i] < best-2 {
					t.Errorf("the title is wrong: at %g %%, redoubt is more than 2 points below %.1f", share, best)
				}
			}
		}
		c.Panels = append(c.Panels, panel)
	}
	golden.Check(t, c)
}

// TestPictureRegret draws the regrets of all policies at all points, the
// largest first.
func TestPictureRegret(t *testing.T) {
	if !golden.Updating() && !*long {
		t.Skip("without -long")
	}
	points, err := recorded(folder())
	if err != nil {
		t.Fatal(err)
	}
	if len(points) == 0 {
		t.Skip("without recorded traces")
	}
	points = append(points, generated(1)...)
	hits := compare(points)
	last := float64(len(points))
	panel := chart.Panel{Y: chart.Axis{Marks: []float64{0, 20, 40, 60, 80}}}
	for i, c := range contestants {
		l, regrets := styles[c.name], []float64{}
		for j := range points {
			regrets = append(regrets, max(regret(hits, i, j), 0))
		}
		slices.Sort(regrets)
		slices.Reverse(regrets)
		t.Logf("%-8s worst %.1f", c.name, regrets[0])
		if own := c.name == "redoubt"; own && regrets[0] > 6 || !own && regrets[0] < 40 {
			t.Errorf("the title is wrong: %s loses %.1f", c.name, regrets[0])
		}
		for j, r := range regrets {
			l.Points = append(l.Points, chart.Point{X: float64(j + 1), Y: r})
		}
		panel.Lines = append(panel.Lines, l)
	}
	golden.Check(t, &chart.Chart{
		Name:     "cache-regret",
		Title:    "Each other policy loses 40 points or more on some workload, redoubt at most 6.",
		Subtitle: "Percentage points of hits below the best of LRU, ARC and S3-FIFO, over the traces with capacities, the worst first",
		Note: fmt.Sprintf("go test -run TestPicture ./cache/policies -update, in internal/bench. %d generated and recorded traces with capacities (%s). "+
			"Otter and redoubt hash with random seeds: their worst points differ by up to 2 from run to run.", len(points), strings.Join(names(), ", ")),
		X:      chart.Axis{Marks: []float64{1, 2, 5, 10, 20, 50, 100, last}, Log: true},
		Panels: []chart.Panel{panel},
		Height: 230,
	})
}

// names returns the names of the recorded traces.
func names() (all []string) {
	for _, o := range origins {
		all = append(all, o.files...)
	}
	slices.Sort(all)
	return all
}
