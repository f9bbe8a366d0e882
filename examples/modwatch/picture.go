package main

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// pictureCSS contains the colors of the picture, light and dark.
//
//go:embed page/picture.css
var pictureCSS string

// A form is the layout of a picture, in pixels. The lines of a client are
// relative to the top of its part.
type form struct {
	width, left, right float64 // of the picture, and of the time axis
	size, chars        int     // of the title: its letters, and the length of a line
	name, big, small   float64 // lines of text
	zero, up, down     float64 // the line of a client, and the heights on its sides
	part, foot         float64 // the heights of a part and of the axis
	narrow             bool
}

// The form for a page, and the form for a telephone. No letters are smaller
// than 12 pixels.
var (
	wide   = form{width: 960, left: 310, right: 940, size: 18, chars: 88, name: 20, big: 54, small: 78, zero: 74, up: 64, down: 50, part: 146, foot: 30}
	narrow = form{width: 350, left: 14, right: 336, size: 16, chars: 34, narrow: true, name: 16, big: 46, small: 66, zero: 118, up: 42, down: 32, part: 170, foot: 84}
)

// A picture draws the timelines of a state. The questions of a client are above
// its line, at the time when they were asked. Its requests are below the line.
// The storm is in the background.
type picture struct {
	strings.Builder
	state
	form
	id                  string
	questions, requests int // the highest columns
}

// timelines draws s as an SVG element for a page with pictureCSS. The id makes
// its references unique in the page.
func timelines(s state, f form, id string) string { return draw(s, f, id, "", "") }

// standalone returns the picture as a file that needs no page.
func standalone(s state, f form) string {
	return draw(s, f, "mw", "<style>\n"+pictureCSS+"</style>\n", headline(s))
}

// draw draws s below a title, which may be empty.
func draw(s state, f form, id, style, title string) string {
	p := &picture{state: s, form: f, id: id}
	p.questions, p.requests = highest(s)
	top := 14.0
	class := "title"
	if f.narrow {
		class = "title short"
	}
	for _, line := range wrap(title, f.chars) {
		top += float64(f.size) + 6
		p.text(class, 14, top, line)
	}
	top += 24
	end := p.bands(top)
	body := p.String()
	p.Reset()
	height := end + f.foot
	fmt.Fprintf(p, `<svg class="mw" xmlns="http://www.w3.org/2000/svg" width="%g" viewBox="0 0 %[1]g %g" role="img" aria-labelledby="%s-t %[3]s-d">`, f.width, height, id)
	fmt.Fprintf(p, "\n%s<title id=\"%s-t\">%s</title>\n<desc id=\"%[2]s-d\">%[4]s</desc>\n", style, id, subject(s), strings.TrimSpace(describe(s)))
	for _, class := range []string{"late", "down"} {
		fmt.Fprintf(p, `<pattern id="%s-%s" width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">`, id, class)
		fmt.Fprintf(p, "<rect class=\"%s\" width=\"5\" height=\"5\"/><rect class=\"stripe %[1]s\" width=\"2.2\" height=\"5\"/></pattern>\n", class)
	}
	fmt.Fprintf(p, "<rect class=\"card\" x=\".5\" y=\".5\" width=\"%g\" height=\"%g\" rx=\"10\"/>\n", f.width-1, height-1)
	p.WriteString(body)
	p.WriteString("</svg>\n")
	return p.String()
}

// wrap breaks a sentence into lines of at most n characters.
func wrap(s string, n int) (lines []string) {
	for _, word := range strings.Fields(s) {
		last := len(lines) - 1
		if last >= 0 && utf8.RuneCountInString(lines[last])+1+utf8.RuneCountInString(word) <= n {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// describe describes the picture in words.
func describe(s state) string {
	var b strings.Builder
	if !s.Live {
		fmt.Fprintf(&b, "The storm: %s.", schedule(s.Phases))
	}
	for _, c := range s.Clients {
		fmt.Fprintf(&b, " %s: answered %s, %s.", called(s, c), percent(c), strings.Join(prices(s, c), ", "))
	}
	if len(s.Openings) > 0 {
		fmt.Fprintf(&b, " The breaker opened %s.", times(len(s.Openings)))
	}
	return b.String()
}

// called returns the full name of a client.
func called(s state, c score) string {
	switch c.Name {
	case bareName:
		return "A bare http.Client"
	case retryingName:
		return fmt.Sprintf("With %d attempts", s.Attempts)
	}
	return "With redoubt"
}

// prices describes the costs of the answers of a client.
func prices(s state, c score) []string {
	sum := c.Sum()
	all := []string{"slowest " + ms(c.Slowest)}
	if !s.Live {
		all = append(all, fmt.Sprintf("%d requests, %d while down", sum.Sent, sum.Down))
	}
	return all
}

// at returns the place of a moment on the time axis.
func (p *picture) at(d time.Duration) float64 {
	return p.left + (p.right-p.left)*min(1, d.Seconds()/p.Total.Seconds())
}

func (p *picture) text(class string, x, y float64, s string) {
	fmt.Fprintf(p, "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", class, x, y, s)
}

func (p *picture) rect(class, fill string, x, y, w, h float64) {
	if h <= 0 || w <= 0 {
		return
	}
	if fill != "" {
		fill = fmt.Sprintf(` fill="url(#%s-%s)"`, p.id, fill)
	}
	fmt.Fprintf(p, "<rect class=\"%s\"%s x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", class, fill, x, y, w, h)
}

// bands draws the parts of the clients from y down, with the storm behind them
// and the time below, and returns the lower end.
func (p *picture) bands(y float64) (end float64) {
	if p.narrow && len(p.Phases) > 0 {
		y += 14 // the names of the phases need two lines
	}
	end = y + 6 + p.part*float64(len(p.Clients))
	for i, f := range p.Phases {
		from, to := p.at(f.From), p.right
		if i+1 < len(p.Phases) {
			to = p.at(p.Phases[i+1].From)
		}
		class, line := "band", y-4
		if f.Weather.down() {
			class = "band storm"
		}
		if p.narrow && i%2 == 1 {
			line -= 14
		}
		for n := range p.Clients {
			if f.Weather != calm {
				p.rect(class, "", from, y+6+p.part*float64(n)+p.zero-p.up-4, to-from, p.up+p.down+8)
			}
		}
		if i == 0 {
			p.text("small", from, line, f.Weather.String())
		} else {
			p.text("small mid", (from+to)/2, line, f.Weather.String())
		}
	}
	for i, c := range p.Clients {
		p.client(c, y+6+p.part*float64(i))
	}
	p.labels(y + 6 + p.zero)
	p.axis(end)
	return end
}

// axis draws the time axis below the parts of the clients, and explains the
// columns.
func (p *picture) axis(y float64) {
	fmt.Fprintf(p, "<path class=\"axis\" d=\"M%g %gH%g\"/>\n", p.left, y, p.right)
	step := 500 * time.Millisecond
	for p.Total > 6*step {
		step *= 2
	}
	for at := time.Duration(0); at <= p.Total; at += step {
		class := "small mid"
		if at == 0 {
			class = "small"
		} else if at == p.Total {
			class = "small end"
		}
		p.text(class, p.at(at), y+17, fmt.Sprintf("%g s", at.Seconds()))
	}
	lines := []string{fmt.Sprintf("a column is %s, late is over %s", ms(p.Total/parts), ms(p.Late))}
	if p.narrow {
		lines = append(lines, fmt.Sprintf("up: questions, at most %d a column", p.questions))
		if !p.Live {
			lines = append(lines, fmt.Sprintf("down: requests, at most %d a column", p.requests))
		}
		y += 20
	}
	for i, line := range lines {
		p.text("small", 14, y+17+float64(17*i), line)
	}
}

// client draws the part of a client, from y down.
func (p *picture) client(c score, y float64) {
	p.text("name", 14, y+p.name, called(p.state, c))
	class := "big good"
	if c.Sum().Failures > 0 {
		class = "big bad"
	}
	p.text(class, 14, y+p.big, "answered "+percent(c))
	lines := prices(p.state, c)
	if p.narrow {
		lines = []string{strings.Join(lines, " · ")}
	}
	for i, line := range lines {
		p.text("small", 14, y+p.small+18*float64(i), line)
	}
	p.scales(y + p.zero)
	p.columns(c, y+p.zero)
	if c.Name == guardedName {
		p.openings(y + p.zero + p.down + 8)
	}
}

// scales draws the line at y with the highest columns as grid lines.
func (p *picture) scales(y float64) {
	up, down := y-p.up, y+p.down
	if p.Live {
		down = y // the requests that reach a real proxy are unknown
	}
	fmt.Fprintf(p, "<path class=\"grid\" d=\"M%g %gH%gM%[1]g %[4]gH%[3]g\"/>\n", p.left, up, p.right, down)
	if p.narrow {
		return
	}
	p.text("small end", p.left-6, up+9, fmt.Sprintf("questions ↑ %d", p.questions))
	if !p.Live {
		p.text("small end", p.left-6, down+1, fmt.Sprintf("requests ↓ %d", p.requests))
	}
}

// A kind of columns, with its names from long to short. Kinds stack in their
// order, first the kinds above the line and then the kinds below it.
var kinds = []struct {
	class, pattern string
	below          bool
	names          []string
	of             func(tick) int
}{
	{"good", "", false, []string{"answered"}, func(t tick) int { return t.Answers }},
	{"late", "late", false, []string{"answered late", "late"}, func(t tick) int { return t.Late }},
	{"bad", "", false, []string{"failed"}, func(t tick) int { return t.Failures }},
	{"waiting", "", false, []string{"waiting"}, func(t tick) int { return t.Asked - t.Answers - t.Late - t.Failures }},
	{"down", "down", true, []string{"requests while down", "while down"}, func(t tick) int { return t.Down }},
	{"sent", "", true, []string{"requests"}, func(t tick) int { return t.Sent - t.Down }},
}

// stack calls draw for each kind of a column with its extent below the line at
// 0, which is negative above it.
func (p *picture) stack(t tick, draw func(kind int, y, height float64)) {
	top, bottom := 0.0, 1.0
	for i, k := range kinds {
		if k.below {
			h := float64(k.of(t)) * p.down / float64(p.requests)
			draw(i, bottom, h)
			bottom += h
		} else {
			h := float64(k.of(t)) * p.up / float64(p.questions)
			top -= h
			draw(i, top, h)
		}
	}
}

// columns draws the questions of a client above y and its requests below.
func (p *picture) columns(c score, y float64) {
	pitch := (p.right - p.left) / parts
	for i, t := range c.Ticks {
		p.stack(t, func(kind int, at, height float64) {
			p.rect(kinds[kind].class, kinds[kind].pattern, p.left+float64(i)*pitch, y+at, pitch-.6, height)
		})
	}
	fmt.Fprintf(p, "<path class=\"axis\" d=\"M%g %gH%g\"/>\n", p.left, y+.5, p.right)
}

// labels names each kind of columns once, where it has the most room. y is the
// line of the first client.
func (p *picture) labels(y float64) {
	pitch := (p.right - p.left) / parts
	for kind := range kinds {
		most, at, middle := 0, 0.0, 0.0
		enough := 0.7 * p.up
		if kinds[kind].below {
			enough = 14
		}
		for n, c := range p.Clients {
			run, sum := 0, 0.0
			for i, t := range c.Ticks {
				p.stack(t, func(k int, top, height float64) {
					switch {
					case k != kind:
					case height < enough:
						run, sum = 0, 0
					default:
						run, sum = run+1, sum+top+height/2
						if run > most {
							most, at = run, p.left+(float64(i+1)-float64(run)/2)*pitch
							middle = y + p.part*float64(n) + sum/float64(run)
						}
					}
				})
			}
		}
		for _, name := range kinds[kind].names {
			if float64(most)*pitch > 7*float64(len(name)) {
				p.text("label", at, middle+5, name)
				break
			}
		}
	}
}

// openings draws the row of the open breaker at y.
func (p *picture) openings(y float64) {
	for _, o := range p.Openings {
		to := o.To
		if to == 0 {
			to = p.Elapsed
		}
		p.rect("open", "", p.at(o.From), y, p.at(to)-p.at(o.From), 8)
	}
	if len(p.Openings) == 0 {
		return
	}
	if p.narrow {
		p.text("small", min(p.at(p.Openings[len(p.Openings)-1].From)+40, p.right-90), y+9, "breaker open")
	} else {
		p.text("small end", p.left-6, y+9, "breaker open")
	}
}
