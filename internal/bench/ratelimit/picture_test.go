package ratelimit

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/redoubt-go/redoubt/internal/bench/chart"
	"github.com/redoubt-go/redoubt/internal/bench/chart/golden"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// The limit of the picture, and the calls that are made.
const (
	limitPerSecond = 1000
	limitBurst     = 100
	callsPerSecond = 2000
	callSeconds    = 10
)

// late returns the instants of the calls in the order in which they reach the
// limiter. A share of the calls reach it late, by a random time up to most.
func late(most time.Duration, share float64) []time.Duration {
	type call struct{ at, reaches time.Duration }
	random := rand.New(rand.NewPCG(1, uint64(most)))
	var calls []call
	for i := range callsPerSecond * callSeconds {
		c := call{at: time.Duration(i) * time.Second / callsPerSecond}
		c.reaches = c.at
		if random.Float64() < share {
			c.reaches += time.Duration(random.Float64() * float64(most))
		}
		calls = append(calls, c)
	}
	slices.SortStableFunc(calls, func(a, b call) int { return int(a.reaches - b.reaches) })
	var instants []time.Duration
	for _, c := range calls {
		instants = append(instants, c.at)
	}
	return instants
}

// admitted returns the admitted calls in relation to the bound, burst + rate ×
// time.
func admitted(instants []time.Duration, allow func(time.Time) bool) float64 {
	start, n := time.Unix(1e9, 0), 0
	for _, at := range instants {
		if allow(start.Add(at)) {
			n++
		}
	}
	return float64(n) / (limitBurst + limitPerSecond*callSeconds)
}

// limiters returns the rate limiters of the picture.
func limiters() (xtime, redoubt func(time.Time) bool) {
	x := rate.NewLimiter(limitPerSecond, limitBurst)
	l := ratelimit.New(ratelimit.PerSecond(limitPerSecond).WithBurst(limitBurst))
	return func(t time.Time) bool { return x.AllowN(t, 1) }, func(t time.Time) bool { return l.AllowAt(t, 1) }
}

// TestPicture draws the admitted calls over their delay between the clock and
// the limiter. It requires that redoubt never exceeds the bound, and that both
// limiters are exact without delays.
func TestPicture(t *testing.T) {
	xtimeAll, xtimeSome := chart.Line{Name: "x/time, all late", Style: chart.Peer}, chart.Line{Name: "x/time, 1 in 10 late", Style: chart.Second}
	redoubts := chart.Line{Name: "redoubt, all late", Style: chart.Redoubt}
	xtime, redoubt := limiters()
	if peer, own := admitted(late(0, 0), xtime), admitted(late(0, 0), redoubt); min(peer, own) < 0.999 || max(peer, own) > 1 {
		t.Errorf("without delays, x/time admits %.4f and redoubt %.4f of the bound", peer, own)
	}
	for _, micros := range []int{100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000} {
		most := time.Duration(micros) * time.Microsecond
		for _, share := range []float64{0.1, 1} {
			instants := late(most, share)
			xtime, redoubt := limiters()
			peer, own := admitted(instants, xtime), admitted(instants, redoubt)
			t.Logf("%4.1f of the calls up to %-6v late: x/time %.2f, redoubt %.2f", share, most, peer, own)
			if own > 1 {
				t.Errorf("redoubt admits %.3f of the bound", own)
			}
			ms := most.Seconds() * 1000
			if share < 1 {
				xtimeSome.Points = append(xtimeSome.Points, chart.Point{X: ms, Y: peer})
			} else {
				xtimeAll.Points = append(xtimeAll.Points, chart.Point{X: ms, Y: peer})
				redoubts.Points = append(redoubts.Points, chart.Point{X: ms, Y: own})
			}
		}
	}
	golden.Check(t, &chart.Chart{
		Name:     "rate-bound",
		Title:    "A limit of redoubt holds even if goroutines are suspended between the clock and the limiter.",
		Subtitle: "Calls admitted in relation to the bound, which is burst + rate × time, over the longest delay",
		Note: "go test -run TestPicture ./ratelimit -update, in internal/bench. Seed 1. 1,000 a second, burst 100, and 2,000 calls a second " +
			"for 10 s: if all are admitted, the value is 2. Without delays, both limiters are exact.",
		X: chart.Axis{Marks: []float64{0.1, 1, 10, 50}, Log: true, Unit: "ms"},
		Panels: []chart.Panel{{
			Y: chart.Axis{Marks: []float64{0, 1, 2}, To: 2.1},
			Lines: []chart.Line{
				{Name: "the bound", Style: chart.Bound, Points: []chart.Point{{X: 0.1, Y: 1}, {X: 50, Y: 1}}},
				xtimeAll, xtimeSome, redoubts,
			},
		}},
		Height: 200,
	})
}
