package main

import (
	"bytes"
	"fmt"
)

var colors = []string{"#888888", "#7b5ea7", "#c77f1a", "#2f78b7", "#1a7f37"}

// draw returns an SVG document with a curve for each contestant: its regrets at
// all points, the largest first.
func draw(hits [][]float64) []byte {
	const width, height, left, top = 640.0, 300.0, 46.0, 34.0
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", width+left+20, height+top+44)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%g" y="20">points below the best of LRU, ARC and S3-FIFO, the worst traces first</text>`+"\n", left)
	most := 80.0
	y := func(v float64) float64 { return top + height*(1-min(v, most)/most) }
	for v := 0.0; v <= most; v += 20 {
		fmt.Fprintf(&b, `<path d="M%g %gH%g" stroke="#dddddd"/><text x="%g" y="%g" text-anchor="end">%g</text>`+"\n", left, y(v), left+width, left-6, y(v)+4, v)
	}
	for i, c := range contestants {
		regrets := sorted(hits, i)
		fmt.Fprintf(&b, `<path fill="none" stroke-width="2" stroke="%s" d="`, colors[i])
		for j, r := range regrets {
			command := "L"
			if j == 0 {
				command = "M"
			}
			fmt.Fprintf(&b, "%s%.1f %.1f", command, left+width*float64(j)/float64(max(len(regrets)-1, 1)), y(r))
		}
		fmt.Fprintf(&b, `"/><text x="%g" y="%g" fill="%s">%s, worst %.1f</text>`+"\n", left+width-150, top+24+18*float64(i), colors[i], c.name, regrets[0])
	}
	fmt.Fprintf(&b, `<text x="%g" y="%g">%d traces and capacities</text>`+"\n</svg>\n", left, top+height+26, len(hits[0]))
	return b.Bytes()
}
