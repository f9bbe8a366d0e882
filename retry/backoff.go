package retry

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// A Backoff gives the pause before each retry. It keeps no state: all that it
// may depend on is in the Step, so that one Backoff serves all calls at once.
type Backoff interface {
	// Delay returns the pause before a retry. Negative means none.
	Delay(Step) time.Duration
}

// A Step tells a Backoff where a call stands. An error that asked for a pause
// of its own (see After) begins the steps anew.
type Step struct {
	Retry    int           // number of the retry, from 1
	Prev     time.Duration // the previous Delay, 0 at first
	Rand     float64       // one fresh draw from [0,1)
	PrevRand float64       // the draw of the previous step, 0 at first
	Err      error         // the error of the attempt that failed
}

// BackoffFunc is a function as a Backoff.
type BackoffFunc func(Step) time.Duration

// Delay returns f(s).
func (f BackoffFunc) Delay(s Step) time.Duration { return f(s) }

// Constant is the same pause before every retry, without jitter.
type Constant time.Duration

// Delay returns c.
func (c Constant) Delay(Step) time.Duration { return max(time.Duration(c), 0) }

// Sequence is a table of pauses. The last one repeats; an empty table means no
// pauses.
type Sequence []time.Duration

// Delay returns the entry of s for the retry.
func (q Sequence) Delay(s Step) time.Duration {
	if len(q) == 0 {
		return 0
	}
	return max(q[min(max(s.Retry, 1), len(q))-1], 0)
}

// defaultBase is what a zero Base means.
const defaultBase = 100 * time.Millisecond

// defaultBackoff is what a nil Policy.Backoff means.
var defaultBackoff Backoff = Exponential{Base: defaultBase, Max: 10 * time.Second}

// Exponential multiplies its pause by Factor from retry to retry. The ceiling
// of a pause is min(Max, Base*Factor^(n-1)), and Jitter draws the pause below
// or around it: the limit is applied first, so that pauses at the limit still
// differ. No pause is ever longer than Max.
//
// See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
type Exponential struct {
	Base   time.Duration // first ceiling; 0 means 100ms, negative means no pauses
	Max    time.Duration // longest pause; 0 or negative means no limit
	Min    time.Duration // shortest pause, as far as the ceiling allows; 0 or negative means none
	Factor float64       // growth; 0 or NaN means 2, and less than 1 means 1
	Jitter Jitter        // the zero value is Full
}

// Delay returns the pause before retry s.Retry.
func (e Exponential) Delay(s Step) time.Duration {
	limit := limit(e.Max)
	return e.Jitter.draw(e.ceiling(s.Retry, limit), min(e.Min, limit), limit, s.Rand)
}

// ceiling returns min(limit, Base*Factor^(n-1)).
func (e Exponential) ceiling(n int, limit time.Duration) time.Duration {
	b, f, n := base(e.Base), e.Factor, max(n, 1)-1
	if b == 0 {
		return 0
	}
	if f == 0 || f == 2 || math.IsNaN(f) {
		// The usual case, in whole numbers: b<<n overflows only where limit>>n
		// is already smaller than b.
		if b > limit>>n {
			return limit
		}
		return b << n
	}
	return limited(float64(b)*power(max(f, 1), n), limit)
}

// power returns f^n, a few times faster than math.Pow, which is made for
// exponents that are not whole.
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

// Linear adds Increment to its pause from retry to retry. The ceiling of a
// pause is min(Max, Base+Increment*(n-1)), and Jitter draws the pause as it
// does for Exponential.
type Linear struct {
	Base      time.Duration // first ceiling; 0 means 100ms, negative means 0
	Increment time.Duration // growth; 0 means the value of Base, negative means none
	Max       time.Duration // longest pause; 0 or negative means no limit
	Jitter    Jitter        // the zero value is Full
}

// Delay returns the pause before retry s.Retry.
func (l Linear) Delay(s Step) time.Duration {
	limit, b := limit(l.Max), base(l.Base)
	inc := max(l.Increment, 0)
	if l.Increment == 0 {
		inc = b
	}
	c := limited(float64(b)+float64(inc)*float64(max(s.Retry, 1)-1), limit)
	return l.Jitter.draw(c, 0, limit, s.Rand)
}

// Decorrelated draws each pause from [Base, min(Max, 3*previous)), beginning
// with 3*Base. Here the interval is bounded, where the well-known form bounds
// the draw: that one gives exactly Max for two pauses in five.
//
// See "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
type Decorrelated struct {
	Base time.Duration // shortest pause; 0 means 100ms, negative means 0
	Max  time.Duration // longest pause; 0 or negative means no limit
}

// Delay returns a pause drawn from the interval that s.Prev sets.
func (d Decorrelated) Delay(s Step) time.Duration {
	limit, b := limit(d.Max), base(d.Base)
	top := max(s.Prev, b)
	if top > limit/3 {
		top = limit
	} else {
		top *= 3
	}
	return between(min(b, top), top, s.Rand)
}

// Smooth is exponential growth with a jitter that spreads the retries of many
// callers over time without gaps and peaks: retry n comes Median*2^(n-1) after
// the first failure, in the median. A pause above Max is drawn from
// [Max/2, Max) instead.
//
// This is DecorrelatedJitterBackoffV2 of Polly, by George Polevoy, there
// without jitter at the limit.
type Smooth struct {
	Median time.Duration // median of the first pause; 0 means 100ms, negative means no pauses
	Max    time.Duration // longest pause; 0 or negative means no limit
}

// Delay returns the pause between the points that this step's draw and the
// previous one set on a curve.
func (m Smooth) Delay(s Step) time.Duration {
	if m.Median < 0 {
		return 0
	}
	limit, n := limit(m.Max), max(s.Retry, 1)
	d := smooth(n-1, s.Rand)
	if n > 1 {
		d -= smooth(n-2, s.PrevRand)
	}
	const scale = 1 / 1.4 // brings the median of the first pause to Median
	d *= scale * float64(base(m.Median))
	if d < float64(limit) {
		return min(time.Duration(max(d, 0)), limit)
	}
	// Above the limit, or NaN: the curve is Inf from the 1025th retry on.
	return between(limit/2, limit, s.Rand)
}

// smooth returns the point of the curve after n pauses and a part u of one.
func smooth(n int, u float64) float64 {
	t := float64(n) + unit(u)
	return math.Exp2(t) * math.Tanh(math.Sqrt(4*t))
}

// Delays returns the pauses b gives one call, without end, to print or test a
// schedule. A nil b means the default of Policy.Backoff; rnd stands for
// Policy.Rand.
func Delays(b Backoff, rnd func() float64) iter.Seq[time.Duration] {
	if b == nil {
		b = defaultBackoff
	}
	if rnd == nil {
		rnd = rand.Float64
	}
	return func(yield func(time.Duration) bool) {
		var s Step
		for {
			s = Step{Retry: s.Retry + 1, Prev: s.Prev, Rand: rnd(), PrevRand: s.Rand}
			s.Prev = max(b.Delay(s), 0)
			if !yield(s.Prev) {
				return
			}
		}
	}
}

// base returns the first pause d stands for.
func base(d time.Duration) time.Duration {
	if d == 0 {
		return defaultBase
	}
	return max(d, 0)
}

// limit returns the longest pause d stands for.
func limit(d time.Duration) time.Duration {
	if d <= 0 {
		return math.MaxInt64
	}
	return d
}

// limited returns d, which is not negative, as a duration of at most limit.
// float64(limit) may be rounded up, even to 2^63, hence >= and the final min.
func limited(d float64, limit time.Duration) time.Duration {
	if d >= float64(limit) {
		return limit
	}
	return min(time.Duration(d), limit)
}

// add returns a+b for values that are not negative, saturating.
func add(a, b time.Duration) time.Duration {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
