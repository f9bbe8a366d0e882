package main

import (
	_ "embed"
	"fmt"
	"strings"
	"time"
)

// pictureCSS contains the colors of the picture, light and dark.
//
//go:embed page/picture.css
var pictureCSS string

// A picture draws the timelines of a state. For each client, the ends of its
// questions are above the line, and its requests at the proxy are below. The
// storm is in the background.
type picture struct {
	strings.Builder
	state
	width, x, right float64
	narrow          bool
	scale           float64 // pixels of a question or a request
}

// Heights, in pixels from the top of the part of a client.
const (
	bandTop   = 26 // under its heading
	barsTop   = 34
	baseline  = 128
	barsEnd   = 176
	partPitch = 190
	partsTop  = 44 // under the labels of the storm
)

// timelines draws s as an SVG element for a page with pictureCSS. The id makes
// its title unique in the page.
func timelines(s state, width int, id string) string {
	p := &picture{state: s, width: float64(width), x: 14, right: float64(width) - 14, narrow: width < 600}
	pitch, height := partPitch, 34
	if p.narrow {
		pitch, height = partPitch+14, 70
	}
	height += partsTop + pitch*len(s.Clients)
	fmt.Fprintf(p, `<svg class="mw" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-labelledby="%[3]s-t %[3]s-d">`,
		width, height, id)
	fmt.Fprintf(p, "\n<title id=\"%s-t\">%s</title>\n<desc id=\"%[1]s-d\">%[3]s</desc>\n", id, subject(s), strings.TrimSpace(describe(s)))
	fmt.Fprintf(p, "<rect class=\"card\" x=\".5\" y=\".5\" width=\"%d\" height=\"%d\" rx=\"10\"/>\n", width-1, height-1)
	p.scale = (baseline - barsTop) / max(1, p.most())
	p.storm()
	for i, c := range s.Clients {
		p.client(c, partsTop+float64(i*pitch), i == len(s.Clients)-1)
	}
	p.legend(float64(height) - 16)
	p.WriteString("</svg>\n")
	return p.String()
}

// standalone returns the picture as a file that needs no page.
func standalone(s state) string {
	svg := timelines(s, 960, "mw")
	head, rest, _ := strings.Cut(svg, "\n")
	head = strings.Replace(head, `viewBox="0 0 `, `width="960" viewBox="0 0 `, 1)
	return head + "\n<style>\n" + pictureCSS + "</style>\n" + rest
}

// describe describes the picture in words.
func describe(s state) string {
	var b strings.Builder
	if !s.Live {
		fmt.Fprintf(&b, "The storm: %s.", schedule(s.Phases))
	}
	for _, c := range s.Clients {
		fmt.Fprintf(&b, " %s: %s.", called(c), fate(s, c))
	}
	if len(s.Openings) > 0 {
		fmt.Fprintf(&b, " Redoubt's breaker opened %s.", times(len(s.Openings)))
	}
	return b.String()
}

// called returns the full name of a client.
func called(c score) string {
	if c.Name == "bare" {
		return "A bare http.Client"
	}
	return "The same through redoubt"
}

// fate describes the ends of the questions of a client.
func fate(s state, c score) string {
	sum := c.Sum()
	if s.Live {
		return fmt.Sprintf("%d answered, %d failed", sum.Answers, sum.Failures)
	}
	return fmt.Sprintf("%d answered, %d failed · %d requests, %d wasted", sum.Answers, sum.Failures, sum.Sent, sum.Wasted)
}

// most returns the highest column that is drawn in full. It is the highest of
// all, unless that is far above the average of the run. The answers that waited
// for the end of the storm make such a column.
func (p *picture) most() float64 {
	highest, sum, n := 0, 0, 1
	for _, c := range p.Clients {
		for _, t := range c.Ticks {
			if height := t.Answers + t.Failures; height > 0 {
				highest, sum, n = max(highest, height), sum+height, n+1
			}
		}
	}
	return min(float64(highest), 2.5*float64(sum)/float64(n))
}

// at returns the place of a moment on the time axis.
func (p *picture) at(d time.Duration) float64 {
	return p.x + (p.right-p.x)*min(1, d.Seconds()/p.Total.Seconds())
}

// end returns the end of phase i.
func (p *picture) end(i int) float64 {
	if i+1 < len(p.Phases) {
		return p.at(p.Phases[i+1].From)
	}
	return p.right
}

// storm writes the names of the phases above the timelines.
func (p *picture) storm() {
	for i, f := range p.Phases {
		y := 30
		if p.narrow && i%2 == 1 {
			y = 16 // otherwise neighbors touch
		}
		fmt.Fprintf(p, "<text class=\"small mid\" x=\"%.1f\" y=\"%d\">%s</text>\n", (p.at(f.From)+p.end(i))/2, y, f.Weather)
	}
}

// bands draws the phases behind the part of a client, except calm phases.
func (p *picture) bands(y float64) {
	for i, f := range p.Phases {
		if f.Weather != calm {
			from := p.at(f.From)
			fmt.Fprintf(p, "<rect class=\"band w-%s\" x=\"%.1f\" y=\"%g\" width=\"%.1f\" height=\"%d\"/>\n",
				f.Weather, from, y+bandTop, p.end(i)-from, barsEnd-bandTop)
		}
	}
}

// client draws the part of a client, from y down.
func (p *picture) client(c score, y float64, guarded bool) {
	fmt.Fprintf(p, "<text class=\"name\" x=\"%g\" y=\"%g\">%s</text>\n", p.x, y+14, called(c))
	class, x, line := "small end", p.right, y+14
	if p.narrow {
		class, x, line = "small", p.x, y+31
	}
	fmt.Fprintf(p, "<text class=\"%s\" x=\"%g\" y=\"%g\">%s</text>\n", class, x, line, fate(p.state, c))
	if p.narrow {
		y += 14
	}
	p.bands(y)
	zero := y + baseline
	pitch := (p.right - p.x) / parts
	for i, t := range c.Ticks {
		x, wide := p.x+float64(i)*pitch+pitch*.1, pitch*.8
		top := p.bar("good", x, wide, zero, t.Answers, -1, y+barsTop)
		p.bar("bad", x, wide, top, t.Failures, -1, y+barsTop)
		top = p.bar("waste", x, wide, zero+2, t.Wasted, +1, y+barsEnd)
		p.bar("sent", x, wide, top, t.Sent-t.Wasted, +1, y+barsEnd)
	}
	fmt.Fprintf(p, "<path class=\"axis\" d=\"M%g %gH%g\"/>\n", p.x, zero+1, p.right)
	if guarded {
		for _, at := range p.Openings {
			p.opening(p.at(at), zero)
		}
	}
}

// bar draws a column of n from y up (-1) or down (+1), at most to limit, and
// returns its end.
func (p *picture) bar(class string, x, wide, y float64, n, way int, limit float64) float64 {
	if n <= 0 {
		return y
	}
	end := y + float64(way*n)*p.scale
	if float64(way)*(end-limit) > 0 {
		end = limit
	}
	fmt.Fprintf(p, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>\n", class, x, min(y, end), wide, max(y, end)-min(y, end))
	return end
}

// opening marks an opening of the breaker: a triangle on the line.
func (p *picture) opening(x, zero float64) {
	fmt.Fprintf(p, "<path class=\"open\" d=\"M%.1f %.1fl-5 -9h10z\"/>\n", x, zero+1)
}

// legend explains the colors on a single line, or on two lines if there is no
// room.
func (p *picture) legend(y float64) {
	items := []struct{ class, text string }{
		{"good", "answered"}, {"bad", "failed"}, {"sent", "sent to the proxy"}, {"waste", "sent while it was dead"}, {"open", "breaker opens"},
	}
	x := p.x
	if p.narrow {
		y -= 36
	}
	for i, item := range items {
		if p.Live && (i == 2 || i == 3) {
			continue // the requests that reach a real proxy are unknown
		}
		if p.narrow && (i == 2 || i == 4) {
			x, y = p.x, y+18
		}
		if item.class == "open" {
			p.opening(x+5, y)
		} else {
			fmt.Fprintf(p, "<rect class=\"%s\" x=\"%g\" y=\"%g\" width=\"10\" height=\"10\"/>\n", item.class, x, y-9)
		}
		fmt.Fprintf(p, "<text class=\"small\" x=\"%g\" y=\"%g\">%s</text>\n", x+16, y, item.text)
		x += 36 + 7*float64(len(item.text))
	}
}
