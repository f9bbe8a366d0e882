package retry

import "time"

// A Jitter draws a pause relative to the ceiling c of a Backoff. Without
// jitter, callers that fail together also return together. A Jitter j from 0 to
// 1 draws from [j*c, c). Spread returns the Jitter of an interval around c.
type Jitter float64

// The usual jitters for a ceiling c.
const (
	Full  Jitter = 0   // from [0, c): the best spread, and the default
	Equal Jitter = 0.5 // from [c/2, c): never less than half
	None  Jitter = 1   // always c
)

// Spread returns the Jitter that draws from [c*(1-f), c*(1+f)), as gRPC does
// with f = 0.2. The part above the longest pause is cut off before the draw. If
// f < 0 or f is NaN, it counts as 0. If f > 1, it counts as 1.
func Spread(f float64) Jitter {
	if !(f > 0) {
		return None
	}
	return Jitter(-min(f, 1))
}

// interval returns the bounds of the draw for a ceiling of 1. A value out of
// range counts as the nearest value in it, and NaN as Full.
func (j Jitter) interval() (low, high float64) {
	switch f := float64(j); {
	case f < 0:
		f = min(-f, 1)
		return 1 - f, 1 + f
	case f > 0:
		return min(f, 1), 1
	}
	return 0, 1
}

// draw returns a pause for ceiling c, at least floor as far as the interval
// reaches and at most top. u is the draw.
func (j Jitter) draw(c, floor, top time.Duration, u float64) time.Duration {
	l, h := j.interval()
	low, high := c, c
	if l < 1 {
		low = time.Duration(l * float64(c))
	}
	if h > 1 {
		high = bounded(float64(c)*h, top)
	}
	return between(min(max(low, floor), high), high, u)
}

// over returns the smallest ceiling, up to top, whose pauses are at least floor
// and, as far as j says, differ.
func (j Jitter) over(floor, top time.Duration) time.Duration {
	low, _ := j.interval()
	return bounded(float64(floor)/max(low, 0.5), top)
}

// between returns the point of [low, high) for a draw u from [0, 1), or low if
// the interval is empty.
func between(low, high time.Duration, u float64) time.Duration {
	return low + time.Duration(unit(u)*float64(high-low))
}

// unit returns u put into [0, 1): a Rand may return any number.
func unit(u float64) float64 {
	switch {
	case u >= 1:
		return 1 - 1.0/(1<<53)
	case u >= 0:
		return u
	}
	return 0 // negative or NaN
}
