package sim

import (
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"
)

var (
	long = flag.Bool("long", false, "run all scenarios with all limits")
	name = flag.String("limit", "", "compare only this limit with fixed limits")
	only = flag.String("scenario", "", "run only the scenarios whose names contain this")
	seed = flag.Uint64("seed", 1, "seed of arrivals and service times")
)

// The goals.
const (
	maxShed    = 0.001 // of a healthy load
	minGoodput = 0.97  // of the best fixed limit
	maxP99     = 1.2   // of the best fixed limit
)

// A limit that is compared.
type contender struct {
	name string
	make func() Limit
}

var contenders = []contender{{"redoubt", Redoubt}, {"gradient2", Gradient2}, {"vegas", Vegas}, {"failsafe", Failsafe}}

// simulate runs s with a limit for each client, in a bubble.
func simulate(t *testing.T, s *Scenario, make func() Limit) (results []Result) {
	synctest.Test(t, func(*testing.T) {
		var limits []Limit
		for range s.Clients {
			limits = append(limits, make())
		}
		results = Run(s, *seed, time.Sleep, limits...)
	})
	return results
}

// best returns for each phase the result of the best fixed limit: the smallest
// with 99 % of the largest goodput of all. A healthy phase has no best limit.
func best(s *Scenario) []Result {
	var all [][]Result
	overload := false
	for _, p := range s.Phases {
		overload = overload || p.Overload
	}
	if !overload {
		return make([]Result, len(s.Phases))
	}
	workers := float64(s.Workers(s.Length/2)) / (1 - s.Bypass/2)
	last := 0
	for _, f := range []float64{.3, .4, .5, .6, .7, .8, .9, 1, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5, 1.75, 2, 2.25, 2.5, 3} {
		n := int(math.Ceil(f * workers / float64(s.Clients)))
		if n == last {
			continue
		}
		last = n
		var limits []Limit
		for range s.Clients {
			limits = append(limits, Fixed(n))
		}
		all = append(all, Run(s, *seed, func(time.Duration) {}, limits...))
	}
	results := make([]Result, len(s.Phases))
	for i := range s.Phases {
		most := 0.0
		for _, r := range all {
			most = max(most, r[i].Goodput)
		}
		for _, r := range all {
			if r[i].Goodput >= 0.99*most {
				results[i] = r[i]
				break
			}
		}
	}
	return results
}

// missed returns the goals that r misses in p, and the figure of the table.
func missed(p Phase, r, best Result) (goals []string, figure string) {
	if !p.Overload {
		shed := float64(r.Shed) / float64(max(r.Offered, 1))
		if shed >= maxShed {
			goals = append(goals, "shed")
		}
		return goals, fmt.Sprintf("shed %.2f %%", 100*shed)
	}
	goodput, p99 := r.Goodput/best.Goodput, float64(r.P99)/float64(best.P99)
	if goodput < minGoodput {
		goals = append(goals, "goodput")
	}
	if p99 > maxP99 {
		goals = append(goals, "p99")
	}
	return goals, fmt.Sprintf("%.3f, %.2f", goodput, p99)
}

// far reports whether r is far from the goals, even for a scenario that is
// known to miss them.
func far(p Phase, r, best Result) bool {
	if !p.Overload {
		return r.Shed > r.Offered/50
	}
	return r.Goodput < 0.9*best.Goodput
}

// TestScenarios prints a table: for each phase and limit the share of refused
// calls of a healthy load, or goodput and 99th percentile in relation to the
// best fixed limit, and ! for a missed goal.
func TestScenarios(t *testing.T) {
	if raceEnabled {
		t.Skip("a single goroutine")
	}
	contenders := slices.DeleteFunc(slices.Clone(contenders), func(c contender) bool { return *name != "" && c.name != *name })
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "scenario\tphase\tbest")
	for _, c := range contenders {
		fmt.Fprintf(w, "\t%s", c.name)
	}
	fmt.Fprintln(w)
	misses := map[string]int{}
	for _, s := range Scenarios() {
		if !strings.Contains(s.Name, *only) || *only == "" && !*long && !s.Short {
			continue
		}
		bests := best(s)
		results := map[string][]Result{}
		for _, c := range contenders {
			results[c.name] = simulate(t, s, c.make)
		}
		for i, p := range s.Phases {
			fmt.Fprintf(w, "%s\t%s\t%d", s.Name, p.Name, bests[i].Limit)
			for _, c := range contenders {
				goals, figure := missed(p, results[c.name][i], bests[i])
				if len(goals) > 0 {
					misses[c.name]++
					figure += " !"
				}
				if c.name == "redoubt" && len(goals) > 0 && (!s.Hard || far(p, results[c.name][i], bests[i])) {
					t.Errorf("%s, %s: misses %s: %s", s.Name, p.Name, strings.Join(goals, " and "), figure)
				}
				fmt.Fprintf(w, "\t%s", figure)
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprint(w, "missed goals\t\t")
	for _, c := range contenders {
		fmt.Fprintf(w, "\t%d", misses[c.name])
	}
	fmt.Fprintln(w)
	w.Flush()
}
