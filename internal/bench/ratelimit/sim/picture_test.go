package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/internal/bench/chart"
	"github.com/redoubt-go/redoubt/internal/bench/chart/golden"
)

// TestPicture draws adaptive limits through a load that is six times as high
// for 30 seconds, which is three times the capacity.
func TestPicture(t *testing.T) {
	var s *Scenario
	for _, other := range Scenarios() {
		if other.Name == "load 200, 1200, 200" {
			s = other
		}
	}
	s.Phases = nil
	for at := time.Duration(0); at < s.Length; at += time.Second {
		s.Phases = append(s.Phases, Phase{From: at, To: at + time.Second})
	}
	c := &chart.Chart{
		Name:  "adaptive-limit",
		Note:  "go test -run TestPicture ./ratelimit/sim -update, in internal/bench. Virtual time, seed 1: 20 workers, exponential times with a mean of 50 ms. Gradient2 is written anew from its description.",
		X:     chart.Axis{Marks: []float64{0, 15, 30, 45, 60, 75, 90}, Unit: "s"},
		Spans: []chart.Span{{Name: "1,200 calls a second", From: 30, To: 60}},
	}
	waits := chart.Panel{Name: "The slowest 1 %", Text: "time of an answer in seconds", Y: chart.Axis{Marks: []float64{0.1, 1, 10, 100}, Log: true}}
	work := chart.Panel{Name: "Answers", Text: "in a second", Y: chart.Axis{Marks: []float64{0, 200, 400}, To: 450}}
	limits := chart.Panel{Name: "The limit", Text: "calls in progress that it allows", Y: chart.Axis{Marks: []float64{0, 30, 60, 90}}}
	longest := map[string]float64{}
	for _, l := range []struct {
		name  string
		style chart.Style
		make  func() Limit
	}{
		{"no limit", chart.Without, func() Limit { return Fixed(1 << 30) }},
		{"failsafe-go", chart.Peer, Failsafe},
		{"Gradient2", chart.Second, Gradient2},
		{"redoubt", chart.Redoubt, Redoubt},
	} {
		wait, answers, limit := chart.Line{Name: l.name, Style: l.style}, chart.Line{Name: l.name, Style: l.style}, chart.Line{Name: l.name, Style: l.style}
		for i, r := range simulate(t, s, l.make) {
			at := float64(i) + 0.5
			if r.Done > 0 {
				wait.Points = append(wait.Points, chart.Point{X: at, Y: r.P99.Seconds()})
			}
			if i >= 35 && i < 60 {
				longest[l.name] = max(longest[l.name], r.P99.Seconds())
			}
			answers.Points = append(answers.Points, chart.Point{X: at, Y: r.Goodput})
			limit.Points = append(limit.Points, chart.Point{X: at, Y: float64(r.Limit)})
		}
		waits.Lines = append(waits.Lines, wait)
		work.Lines = append(work.Lines, answers)
		if l.name != "no limit" {
			limits.Lines = append(limits.Lines, limit)
		}
	}
	t.Log(longest)
	c.Title = fmt.Sprintf("At three times the capacity, redoubt's adaptive limit refuses the rest, and 99 of 100 answers still come within %.1f s.", longest["redoubt"])
	c.Panels = []chart.Panel{waits, limits, work}
	golden.Check(t, c)
}
