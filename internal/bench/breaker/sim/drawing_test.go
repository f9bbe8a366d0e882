package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"

	"github.com/redoubt-go/redoubt/internal/bench/chart"
	"github.com/redoubt-go/redoubt/internal/bench/chart/golden"
)

// The picture has a panel for each of these kinds.
var panels = []struct {
	kind, name string
	style      chart.Style
}{
	{"none", "no breaker", chart.Without},
	{"failsafe", "failsafe-go", chart.Peer},
	{"go-zero", "go-zero", chart.Second},
	{"gobreaker", "gobreaker", chart.Third},
	{"redoubt", "redoubt", chart.Redoubt},
}

// TestPicture draws the calls that are answered in each second through an
// outage and a cold restart. It requires that the title of the picture is true.
func TestPicture(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates five outages")
	}
	logx.Disable() // go-zero's own
	st := story{name: "outage of 1m0s, cold restart", length: time.Minute, cold: true}
	down, up := warmUp.Seconds(), (warmUp + st.length).Seconds()
	c := &chart.Chart{
		Name:     "breaker-outage",
		Title:    "A service restarts cold after a minute. With redoubt, the fewest calls are lost.",
		Subtitle: "Calls answered in each second, of 400 that 40 clients want. A cold service can serve 80 calls a second at first.",
		Note:     "go test -run TestPicture ./breaker/sim -update, in internal/bench. Virtual time, seed 1. The breakers have the same settings where they can have them.",
		X:        chart.Axis{Marks: []float64{0, 20, 40, 60, 80, 100, 120}, To: 130, Unit: "s"},
		Spans:    []chart.Span{{Name: "the service is down", From: down, To: up}},
		Height:   62,
	}
	all := map[string]figures{}
	for _, p := range panels {
		for _, k := range kinds {
			if k.name != p.kind {
				continue
			}
			f := fleet(t, k, standard, st, 1)
			all[p.kind] = f
			l := chart.Line{Style: p.style, Filled: true}
			for s := range int(c.X.To) {
				l.Points = append(l.Points, chart.Point{X: float64(s) + 0.5, Y: float64(f.served[s])})
			}
			c.Panels = append(c.Panels, chart.Panel{
				Name:  p.name,
				Text:  fmt.Sprintf("sent %s while it is down, lost %s after it", chart.Count(f.wasted), chart.Count(f.lost)),
				Y:     chart.Axis{Marks: []float64{0, 200, 400}, To: 450},
				Lines: []chart.Line{l},
			})
		}
	}
	for kind, f := range all {
		if r := all["redoubt"]; kind != "redoubt" && f.lost <= r.lost {
			t.Errorf("the title is wrong: %s lost %d calls, redoubt %d", kind, f.lost, r.lost)
		}
	}
	golden.Check(t, c)
}
