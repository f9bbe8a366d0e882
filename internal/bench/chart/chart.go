package chart

import (
	"cmp"
	_ "embed"
	"fmt"
	"html"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

//go:embed chart.css
var css string

// A Chart is a picture with panels.
type Chart struct {
	Name     string // of the files in docs, without -narrow and .svg
	Title    string // the result, in a sentence
	Subtitle string // the meaning and the unit of the values
	Note     string // the command that draws it, and its conditions
	X        Axis
	Spans    []Span
	Panels   []Panel
	Columns  int     // panels side by side, in the wide form only; 0 means 1
	Height   float64 // of a panel without its name, in the wide form; 0 means 150
}

// A Panel is a coordinate system with lines.
type Panel struct {
	Name  string // bold, above the panel
	Text  string // after the name
	Y     Axis
	Lines []Line
}

// An Axis maps values to places. Marks are the values with a number, from the
// smallest to the largest.
type Axis struct {
	Marks []float64
	Unit  string // after the last number
	Log   bool
	// From and To default to the first and the last mark.
	From, To float64
}

// A Span is an interval of the horizontal axis with a name and a shade.
type Span struct {
	Name     string
	From, To float64
}

// A Line is a series of values.
type Line struct {
	Name   string // at its end; empty for none
	Style  Style
	Filled bool // down to the axis
	Points []Point
	Varies bool // differs from run to run: golden does not compare it
}

// A Point is a place in a panel.
type Point struct{ X, Y float64 }

// A Style is a color with a dash. The styles differ also for the color-blind.
type Style int

const (
	Redoubt Style = iota
	Peer
	Second
	Third
	Without // no guard, or the simplest
	Bound
)

// Outside returns a message about a point that is outside its axes, which the
// picture would show at the edge, or "".
func (c *Chart) Outside() string {
	for _, p := range c.Panels {
		for _, l := range p.Lines {
			for _, at := range l.Points {
				if !c.X.contains(at.X) || !p.Y.contains(at.Y) {
					return fmt.Sprintf("%s, %s, %s: %v is outside the axes", c.Name, p.Name, l.Name, at)
				}
			}
		}
	}
	return ""
}

// A drawing is a Chart in one of its forms.
type drawing struct {
	strings.Builder
	*Chart
	narrow                     bool
	width, left, right, height float64 // of the picture, and of the margins and plot of a panel
	columns                    int
}

const (
	pad = 16.0 // at the edges of the picture
	gap = 22.0 // between columns
)

// SVG returns the picture in its wide or narrow form.
func (c *Chart) SVG(narrow bool) string {
	d := &drawing{Chart: c, narrow: narrow, width: 830, left: 46, right: 14, height: cmp.Or(c.Height, 150), columns: max(c.Columns, 1)}
	if narrow {
		d.width, d.left, d.height, d.columns = 350, 40, 0.8*d.height, 1
	}
	for _, p := range c.Panels {
		for _, l := range p.Lines {
			d.right = max(d.right, 12+7.4*float64(utf8.RuneCountInString(l.Name)))
		}
	}
	y := d.head()
	rows := (len(c.Panels) + d.columns - 1) / d.columns
	column := (d.width - 2*pad - gap*float64(d.columns-1)) / float64(d.columns)
	for r := range rows {
		end := 0.0
		for i := r * d.columns; i < min((r+1)*d.columns, len(c.Panels)); i++ {
			last := i+d.columns >= len(c.Panels)
			end = max(end, d.panel(&c.Panels[i], pad+(column+gap)*float64(i%d.columns), column, y, last, r == 0))
		}
		y = end
	}
	for _, line := range wrap(c.Note, (d.width-2*pad)/6.9) {
		y += 17
		d.text("small", pad, y, line)
	}
	body := d.String()
	d.Reset()
	fmt.Fprintf(d, `<svg class="chart" xmlns="http://www.w3.org/2000/svg" width="%g" viewBox="0 0 %[1]g %.0f" role="img" aria-labelledby="t d">`+"\n", d.width, y+14)
	fmt.Fprintf(d, "<style>\n%s</style>\n<title id=\"t\">%s</title>\n<desc id=\"d\">%s. %s</desc>\n", css, html.EscapeString(c.Title), html.EscapeString(c.Subtitle), html.EscapeString(c.Note))
	fmt.Fprintf(d, "<rect class=\"card\" x=\".5\" y=\".5\" width=\"%g\" height=\"%.0f\" rx=\"10\"/>\n%s</svg>\n", d.width-1, y+13, body)
	return d.String()
}

// head draws the title and the subtitle, and returns their lower end.
func (d *drawing) head() (y float64) {
	y = 10
	class, chars, step := "title", 72.0, 24.0
	if d.narrow {
		class, chars, step = "title short", 34, 22
	}
	for _, line := range wrap(d.Title, chars) {
		y += step
		d.text(class, pad, y, line)
	}
	for _, line := range wrap(d.Subtitle, (d.width-2*pad)/6.9) {
		y += 20
		d.text("small", pad, y, line)
	}
	return y + 6
}

// wrap breaks a text into lines of at most n characters.
func wrap(s string, n float64) (lines []string) {
	for _, word := range strings.Fields(s) {
		last := len(lines) - 1
		if last >= 0 && float64(utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(word)) <= n {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

func (d *drawing) text(class string, x, y float64, s string) {
	fmt.Fprintf(d, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, html.EscapeString(s))
}

// ends returns the ends of the axis.
func (a Axis) ends() (from, to float64) {
	if a.From == a.To {
		return a.Marks[0], a.Marks[len(a.Marks)-1]
	}
	return a.From, a.To
}

func (a Axis) contains(v float64) bool {
	from, to := a.ends()
	return from <= v && v <= to
}

// at returns the share of the axis below v.
func (a Axis) at(v float64) float64 {
	from, to := a.ends()
	v = max(from, min(v, to))
	if a.Log {
		return math.Log(v/from) / math.Log(to/from)
	}
	return (v - from) / (to - from)
}

// label returns the number of a mark, with the unit at the last mark.
func (a Axis) label(i int) string {
	s := strconv.FormatFloat(a.Marks[i], 'f', -1, 64)
	if a.Marks[i] >= 1000 {
		s = Count(int(a.Marks[i]))
	}
	if i == len(a.Marks)-1 && a.Unit != "" {
		s += " " + a.Unit
	}
	return s
}

// Count returns a number below a million with a comma after the thousands.
func Count(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// panel draws a panel and returns its lower end. Its numbers below the
// horizontal axis, and the names of the spans, are drawn once in a column.
func (d *drawing) panel(p *Panel, left, width, y float64, last, first bool) float64 {
	if p.Name != "" {
		y += 20
		if d.narrow && p.Text != "" {
			d.text("name", left, y, p.Name)
			y += 17
			d.text("small", left, y, p.Text)
		} else {
			fmt.Fprintf(d, "<text x=\"%.1f\" y=\"%.1f\"><tspan class=\"name\">%s</tspan><tspan class=\"small\" dx=\"8\">%s</tspan></text>\n",
				left, y, html.EscapeString(p.Name), html.EscapeString(p.Text))
		}
	}
	y += 10
	x0, x1 := left+d.left, left+width-d.right
	top, bottom := y, y+d.height
	x := func(v float64) float64 { return x0 + (x1-x0)*d.X.at(v) }
	py := func(v float64) float64 { return bottom - (bottom-top)*p.Y.at(v) }
	for _, s := range d.Spans {
		fmt.Fprintf(d, "<rect class=\"span\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", x(s.From), top, x(s.To)-x(s.From), bottom-top)
	}
	for i, m := range p.Y.Marks {
		fmt.Fprintf(d, "<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>\n", x0, py(m), x1)
		d.text("small end", x0-6, py(m)+4.5, p.Y.label(i))
	}
	for _, l := range p.Lines {
		d.line(l, x, py, bottom)
	}
	if first {
		for _, s := range d.Spans {
			d.text("label mid", (x(s.From)+x(s.To))/2, top+16, s.Name)
		}
	}
	d.names(p, x1+8, py, bottom)
	if !last {
		return bottom + 4
	}
	next := x1 + 100
	for i, m := range slices.Backward(d.X.Marks) {
		class := "small mid"
		if i == len(d.X.Marks)-1 && x(m)+30 > left+width {
			class = "small end"
		}
		if next-x(m) >= 38 || i == 0 && next-x(m) >= 24 { // otherwise the numbers touch
			d.text(class, x(m), bottom+18, d.X.label(i))
			next = x(m)
		}
	}
	return bottom + 22
}

// line draws a line, with dots if it has few points.
func (d *drawing) line(l Line, x, y func(float64) float64, bottom float64) {
	var path strings.Builder
	for i, p := range l.Points {
		if i == 0 {
			path.WriteByte('M')
		} else if i == 1 {
			path.WriteByte('L')
		}
		fmt.Fprintf(&path, "%.1f %.1f ", x(p.X), y(p.Y))
	}
	varies := ""
	if l.Varies {
		varies = " varies"
	}
	points := strings.TrimSpace(path.String())
	if l.Filled {
		first, last := l.Points[0], l.Points[len(l.Points)-1]
		fmt.Fprintf(d, "<path class=\"area s%d%s\" d=\"%s L%.1f %.1f %.1f %.1fz\"/>\n", l.Style, varies, points, x(last.X), bottom, x(first.X), bottom)
	}
	fmt.Fprintf(d, "<path class=\"line s%d%s\" d=\"%s\"/>\n", l.Style, varies, points)
}

// names writes the names of the lines beside their ends, at x and below. Names
// that would touch move apart, but not below the bottom.
func (d *drawing) names(p *Panel, x float64, y func(float64) float64, bottom float64) {
	type name struct {
		Line
		y float64
	}
	var names []name
	for _, l := range p.Lines {
		if l.Name != "" {
			names = append(names, name{l, y(l.Points[len(l.Points)-1].Y) + 4.5})
		}
	}
	const step = 15
	slices.SortStableFunc(names, func(a, b name) int { return int(math.Copysign(1, a.y-b.y)) })
	for range 50 { // settles after a few rounds
		for i := 1; i < len(names); i++ {
			if touch := names[i-1].y + step - names[i].y; touch > 0.1 {
				names[i-1].y -= touch / 2
				names[i].y += touch / 2
			}
		}
	}
	lowest := bottom + 4.5
	for i, n := range slices.Backward(names) {
		names[i].y = min(n.y, lowest)
		lowest = names[i].y - step
	}
	for _, n := range names {
		d.text(fmt.Sprintf("of s%d", n.Style), x, n.y, n.Name)
	}
}
