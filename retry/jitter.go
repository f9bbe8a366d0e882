package retry

import (
	"math"
	"time"
)

// A Jitter says where a pause is drawn, relative to the ceiling c that a
// Backoff has reached. Without it, callers that failed together come back
// together.
type Jitter struct {
	// The interval is [c*low, c*(1+above)), so that the zero value is Full.
	low, above float64
}

// The jitters without a parameter, for a ceiling c.
var (
	Full  = Jitter{}         // from [0, c): the best spread, and the default
	Equal = Jitter{low: 0.5} // from [c/2, c): never less than half
	None  = Jitter{low: 1}   // always c
)

// Spread draws from [c*(1-f), c*(1+f)), as gRPC does with f = 0.2. The part
// above the longest pause is cut off before the draw. Below 0 and NaN f counts as
// 0, above 1 as 1.
func Spread(f float64) Jitter {
	f = min(max(f, 0), 1)
	if math.IsNaN(f) {
		f = 0
	}
	return Jitter{low: 1 - f, above: f}
}

// draw returns a pause for ceiling c, at least floor as far as c allows and at
// most limit; u is the draw.
func (j Jitter) draw(c, floor, limit time.Duration, u float64) time.Duration {
	low, high := c, c
	if j.low < 1 {
		low = time.Duration(j.low * float64(c))
	}
	if j.above > 0 {
		high = limited(float64(c)*(1+j.above), limit)
	}
	return between(min(max(low, floor), high), high, u)
}

// between returns the point of [low, high) that u from [0,1) stands for; low
// if the interval is empty.
func between(low, high time.Duration, u float64) time.Duration {
	return low + time.Duration(unit(u)*float64(high-low))
}

// unit returns u put into [0,1), which a caller's Rand may have missed.
func unit(u float64) float64 {
	switch {
	case u >= 1:
		return 1 - 1.0/(1<<53)
	case u >= 0:
		return u
	}
	return 0 // negative or NaN
}
