package sim

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/zeromicro/go-zero/core/logx"
)

var update = flag.Bool("update", false, "write docs/breaker-outage.svg")

// The drawing has a line for each of these kinds.
var lines = []struct{ kind, label, color string }{
	{"none", "no breaker", "#999999"},
	{"failsafe", "failsafe-go", "#b07aa1"},
	{"go-zero", "go-zero", "#f28e2b"},
	{"gobreaker", "gobreaker", "#4e79a7"},
	{"redoubt", "redoubt", "#d62728"},
}

// TestDrawing draws the calls that are answered in each second through an
// outage and a cold restart. With -update it writes the drawing.
func TestDrawing(t *testing.T) {
	if testing.Short() {
		t.Skip("simulates five outages")
	}
	logx.Disable() // go-zero's own
	st := story{name: "outage of 1m0s, cold restart", length: time.Minute, cold: true}
	var all []figures
	for _, l := range lines {
		for _, k := range kinds {
			if k.name == l.kind {
				all = append(all, fleet(t, k, standard, st, 1))
			}
		}
	}
	svg := draw(all, st)
	if strings.Count(svg, "<polyline") != len(lines) {
		t.Errorf("%d lines, want %d", strings.Count(svg, "<polyline"), len(lines))
	}
	if *update {
		if err := os.WriteFile("../../../../docs/breaker-outage.svg", []byte(svg), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func draw(all []figures, st story) string {
	const (
		width, height    = 860.0, 380.0
		left, right      = 56.0, 846.0
		top, bottom      = 40.0, 330.0
		seconds, highest = 130, 450.0
	)
	x := func(s float64) float64 { return left + (right-left)*s/seconds }
	y := func(v float64) float64 { return bottom - (bottom-top)*v/highest }
	var b strings.Builder
	text := func(x, y float64, anchor, color, s string) {
		fmt.Fprintf(&b, `<text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n", x, y, anchor, color, s)
	}
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="sans-serif" font-size="13">`+"\n", width, height)
	fmt.Fprintf(&b, `<rect width="%.0f" height="%.0f" fill="white"/>`+"\n", width, height)
	down, up := warmUp.Seconds(), (warmUp + st.length).Seconds()
	fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="#eeeeee"/>`+"\n", x(down), top, x(up)-x(down), bottom-top)
	text(x((down+up)/2), top+16, "middle", "#444444", "the service is down")
	text(x(up+15), top-8, "middle", "#444444", "cold restart")
	for v := 0.0; v <= 400; v += 100 {
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>`+"\n", left, y(v), right, y(v))
		text(left-6, y(v)+4, "end", "#444444", fmt.Sprint(v))
	}
	for s := 0.0; s <= seconds; s += 20 {
		text(x(s), bottom+18, "middle", "#444444", fmt.Sprint(s, " s"))
	}
	text(left, top-20, "start", "#444444", "calls answered per second, of 400 wanted")
	for i, f := range all {
		var points strings.Builder
		for s := range seconds {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(float64(s)+0.5), y(float64(f.served[s])))
		}
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>`+"\n", lines[i].color, strings.TrimSpace(points.String()))
		at := left + 30 + 160*float64(i)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s" stroke-width="3"/>`+"\n", at, height-18, at+22, height-18, lines[i].color)
		text(at+28, height-14, "start", "#222222", lines[i].label)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
