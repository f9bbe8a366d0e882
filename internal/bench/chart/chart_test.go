package chart_test

import (
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/internal/bench/chart"
)

func example() *chart.Chart {
	points := func(v float64) []chart.Point { return []chart.Point{{X: 1, Y: 1}, {X: 10, Y: 2}, {X: 100, Y: v}} }
	return &chart.Chart{
		Name: "example", Title: "A title that is long enough for two lines in each form & has a sign that needs an escape.",
		Subtitle: "values < 10", Note: "a command",
		X:     chart.Axis{Marks: []float64{1, 10, 100}, Log: true, Unit: "s"},
		Spans: []chart.Span{{Name: "a span", From: 10, To: 20}},
		Panels: []chart.Panel{
			{Name: "first", Text: "of two", Y: chart.Axis{Marks: []float64{0, 5, 10}}, Lines: []chart.Line{
				{Name: "one", Points: points(0)}, {Name: "two", Style: chart.Peer, Points: points(0.1)}, {Name: "three", Style: chart.Second, Points: points(0.2)},
			}},
			{Name: "second", Y: chart.Axis{Marks: []float64{0, 10}}, Lines: []chart.Line{{Filled: true, Points: points(9)}}},
		},
		Columns: 2,
	}
}

func TestFormsAreWellFormed(t *testing.T) {
	for _, narrow := range []bool{false, true} {
		d := xml.NewDecoder(strings.NewReader(example().SVG(narrow)))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("narrow %v: %v", narrow, err)
			}
		}
	}
}

// The names of lines that end at nearly the same place are apart, and none is
// below the axis.
func TestNamesAreApart(t *testing.T) {
	svg := example().SVG(false)
	var ys []float64
	for _, m := range regexp.MustCompile(`class="of [^>]* y="([0-9.]+)"`).FindAllStringSubmatch(svg, -1) {
		y, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		ys = append(ys, y)
	}
	if len(ys) != 3 {
		t.Fatalf("%d names, want 3", len(ys))
	}
	for i := 1; i < len(ys); i++ {
		if d := ys[i] - ys[i-1]; d < 14 {
			t.Errorf("names %d and %d are %.1f pixels apart, want 14", i-1, i, d)
		}
	}
	zero := regexp.MustCompile(`y="([0-9.]+)">0<`).FindStringSubmatch(svg)
	if bottom, _ := strconv.ParseFloat(zero[1], 64); ys[2] > bottom+0.1 {
		t.Errorf("a name at %.1f is below the axis at %.1f", ys[2], bottom)
	}
}

func TestOutsideNamesThePoint(t *testing.T) {
	c := example()
	if got := c.Outside(); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	c.Panels[1].Lines[0].Points[2].Y = 11
	if got := c.Outside(); !strings.Contains(got, "{100 11}") {
		t.Errorf("got %q, want the point {100 11}", got)
	}
}
