package retry

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// A Backoff sets the pause before each retry. It has no state: a pause may
// depend only on the Step, so that a Backoff can serve all calls at once.
type Backoff interface {
	// Delay returns the pause before a retry. Negative means no pause.
	Delay(Step) time.Duration
}

// A Step describes a retry of a call to a Backoff. After an error that asked
// for a pause of its own (see After) the steps of a call begin again.
type Step struct {
	Retry int           // number of the retry, from 1
	Prev  time.Duration // the previous Delay, 0 at first
	Rand  float64       // a new draw from [0, 1)
	Err   error         // the error of the attempt that failed
}

// A BackoffFunc is a function used as a Backoff.
type BackoffFunc func(Step) time.Duration

// Delay returns f(s).
func (f BackoffFunc) Delay(s Step) time.Duration { return f(s) }

// Constant is a fixed pause without jitter. For a fixed pause with jitter use
// an Exponential with Factor 1.
type Constant time.Duration

// Delay returns c.
func (c Constant) Delay(Step) time.Duration { return max(time.Duration(c), 0) }

// A Sequence is a table of pauses. The last pause repeats. An empty table means
// no pauses.
type Sequence []time.Duration

// Delay returns the pause of retry s.Retry.
func (q Sequence) Delay(s Step) time.Duration {
	if len(q) == 0 {
		return 0
	}
	return max(q[min(max(s.Retry, 1), len(q))-1], 0)
}

// defaultBase is the Base of a Backoff whose Base is zero.
const defaultBase = 100 * time.Millisecond

// defaultBackoff is the Backoff of a Policy whose Backoff is nil.
var defaultBackoff Backoff = Exponential{Base: defaultBase, Max: 10 * time.Second}

// Exponential is exponential backoff with jitter. The ceiling of pause n is
// Base*Factor^(n-1), at most Max, and Jitter draws the pause below the ceiling
// or around it. The bounds apply before the draw, so that pauses at a bound
// still differ. No pause is longer than Max or, up to Max, shorter than Min: a
// ceiling too low for Min is raised to leave room for the draw.
type Exponential struct {
	Base   time.Duration // first ceiling; zero means 100 ms, negative means no pauses
	Max    time.Duration // longest pause; zero or negative means no limit
	Min    time.Duration // shortest pause; zero or negative means none
	Factor float64       // growth; zero or NaN means 2, less than 1 means 1
	Jitter Jitter        // zero means Full
}

// Delay returns the pause before retry s.Retry.
func (e Exponential) Delay(s Step) time.Duration {
	top := longest(e.Max)
	c, floor := e.ceiling(s.Retry, top), min(e.Min, top)
	if c > 0 && floor > 0 {
		c = max(c, e.Jitter.over(floor, top))
	}
	return e.Jitter.draw(c, floor, top, s.Rand)
}

// Validate reports every field whose value is out of range.
func (e Exponential) Validate() error {
	var errs []error
	if f := e.Factor; f != 0 && !(f >= 1) {
		errs = append(errs, fmt.Errorf("retry: Exponential.Factor is %v, want 0 or at least 1", f))
	}
	if e.Max > 0 && e.Min > e.Max {
		errs = append(errs, fmt.Errorf("retry: Exponential.Min is %v, want at most Max, %v", e.Min, e.Max))
	}
	if j := e.Jitter; !(j >= -1 && j <= 1) {
		errs = append(errs, fmt.Errorf("retry: Exponential.Jitter is %v, want -1 to 1", float64(j)))
	}
	return errors.Join(errs...)
}

// ceiling returns min(top, Base*Factor^(n-1)).
func (e Exponential) ceiling(n int, top time.Duration) time.Duration {
	b, f, n := base(e.Base), e.Factor, max(n, 1)-1
	if b == 0 {
		return 0
	}
	if f == 0 || f == 2 || math.IsNaN(f) {
		// The usual case, in whole numbers: b<<n overflows only if top>>n is
		// already smaller than b.
		if b > top>>n {
			return top
		}
		return b << n
	}
	return bounded(float64(b)*power(max(f, 1), n), top)
}

// power returns f^n, a few times faster than math.Pow, whose exponents need
// not be whole.
func power(f float64, n int) float64 {
	p := 1.0
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			p *= f
		}
		f *= f
	}
	return p
}

// Decorrelated is decorrelated jitter. It draws each pause from
// [Base, min(Max, 3*previous)), beginning with 3*Base. The interval is bounded
// before the draw: the well-known form bounds the draw, and two of its pauses
// in five are exactly Max.
type Decorrelated struct {
	Base time.Duration // shortest pause; zero means 100 ms, negative means none
	Max  time.Duration // longest pause; zero or negative means no limit
}

// Delay returns a pause from the interval that s.Prev sets.
func (d Decorrelated) Delay(s Step) time.Duration {
	top, b := longest(d.Max), base(d.Base)
	high := max(s.Prev, b)
	if high > top/3 {
		high = top
	} else {
		high *= 3
	}
	return between(min(b, high), high, s.Rand)
}

// base returns the first pause for a Base of d.
func base(d time.Duration) time.Duration {
	if d == 0 {
		return defaultBase
	}
	return max(d, 0)
}

// longest returns the longest pause for a Max of d.
func longest(d time.Duration) time.Duration {
	if d <= 0 {
		return math.MaxInt64
	}
	return d
}

// bounded returns d >= 0 as a duration of at most top. float64(top) may be
// rounded up, even to 2^63, hence >= and the final min.
func bounded(d float64, top time.Duration) time.Duration {
	if d >= float64(top) {
		return top
	}
	return min(time.Duration(d), top)
}

// add returns a+b for a, b >= 0, saturating.
func add(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
