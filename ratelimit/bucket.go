package ratelimit

import (
	"math"
	"math/bits"
	"time"
)

// A bucket is the arithmetic of a finite limit, by the generic cell rate
// algorithm (GCRA, ITU-T I.371). Its state is a single integer, the theoretical
// arrival time (tat): the instant at which the bucket will be full again.
// Taking n events moves the tat n events on from max(tat, now). It is allowed
// if the new tat is at most a burst ahead of now.
//
// Instants are counted in units of 1/2^frac event. frac is so large that a
// unit is the time of 1 or 2 nanoseconds. An event is a whole number of
// units, so sums of events are exact at any rate. Only the clock is rounded,
// down to a unit, and the error never accumulates. Instants in nanoseconds
// count from the limiter's epoch and may be negative.
//
// Bounds, in units: |now| <= 2^61, burst <= 2^61, a cost is at most 2^61, and
// take and charge keep tat <= 2^62. So no sum of a tat and a cost overflows.
type bucket struct {
	limit Limit
	frac  uint8 // units per event, as a power of two
	burst int64 // in units

	// The rate in units per nanosecond is mul * 2^pre / 2^(64+post), with mul
	// in [2^63, 2^64). mul is rounded up, so that a time of exactly N/rate is
	// never a unit short of N events. Either pre or post is 0. Without a rate,
	// mul is 0.
	mul       uint64
	pre, post uint8
	horizon   int64 // in nanoseconds; time stops at this distance from the epoch, on both sides

	calendar *calendar // of a Quota: the clock, in place of the rate
}

const (
	maxUnits = 1 << 61       // 73 years in nanoseconds
	maxRate  = 16            // events per nanosecond; leaves a horizon of two years
	maxTat   = 1 << 62       // debts beyond it are cut
	full     = math.MinInt64 // the tat of an unused bucket
)

// newBucket returns the bucket of a valid, finite limit.
func newBucket(l Limit) bucket {
	l = l.normal()
	n, per := uint64(l.N), uint64(l.Per)
	if n/maxRate >= per {
		n, per = maxRate, 1
	}
	events := min(max(l.Burst, 0), maxUnits)
	b := bucket{limit: l}
	// Halve the unit while it is longer than a nanosecond and a burst keeps
	// within bounds.
	for n > 0 && n<<(b.frac+1) < per && events <= maxUnits>>(b.frac+1) {
		b.frac++
	}
	b.burst = events << b.frac
	n <<= b.frac
	// Shift n/per, now in units per nanosecond, into [1/2, 1). No shift
	// overflows: per stays below 2n, and n below per.
	for ; n >= per; per <<= 1 {
		b.pre++
	}
	for ; n > 0 && n<<1 < per; n <<= 1 {
		b.post++
	}
	q, rem := bits.Div64(n, 0, per) // n < per
	if rem > 0 {
		q++
	}
	b.mul, b.horizon = q, maxUnits>>b.pre
	return b
}

// at returns the instant ns in units, rounded down.
func (b *bucket) at(ns int64) int64 {
	if b.calendar != nil {
		return b.calendar.at(ns)
	}
	if ns < 0 {
		hi, lo := bits.Mul64(uint64(-max(ns, -b.horizon))<<b.pre, b.mul)
		rest := hi&(1<<b.post-1) | lo
		hi >>= b.post
		if rest != 0 {
			hi++
		}
		return -int64(hi)
	}
	hi, _ := bits.Mul64(uint64(min(ns, b.horizon))<<b.pre, b.mul)
	return int64(hi >> b.post)
}

// nanos returns the earliest instant in nanoseconds at which at returns at
// least u, math.MaxInt64 if there is none.
func (b *bucket) nanos(u int64) int64 {
	if b.calendar != nil {
		return b.calendar.nanos(u)
	}
	mag := uint64(max(u, -u))
	if b.mul == 0 || bits.Len64(mag)+int(b.post) > 63 {
		if u <= 0 {
			return -b.horizon
		}
		return math.MaxInt64
	}
	q, rem := bits.Div64(mag<<b.post>>b.pre, mag<<(64-b.pre), b.mul)
	switch {
	case u <= 0:
		return -int64(min(q, uint64(b.horizon)))
	case rem > 0:
		q++
	}
	if q > uint64(b.horizon) {
		return math.MaxInt64
	}
	return int64(q)
}

// present returns the limit at ns. The length of a calendar period varies.
func (b *bucket) present(ns int64) Limit {
	l := b.limit
	if b.calendar != nil {
		l.Per = b.calendar.length(ns)
	}
	return l
}

// fits reports whether n events can ever be taken at once.
func (b *bucket) fits(n int64) bool { return 0 <= n && n <= b.burst>>b.frac }

// take returns the tat after taking n events, which fit, at the instant now in
// units, and reports whether that is allowed.
func (b *bucket) take(tat, now, n int64) (next int64, ok bool) {
	base, cost := max(tat, now), n<<b.frac
	return base + cost, base-now <= b.burst-cost
}

// ready returns the earliest instant in nanoseconds, not before ns, at which n
// events can be taken after the ahead events of waiting callers, math.MaxInt64
// if there is none.
func (b *bucket) ready(tat, ns, n, ahead int64) int64 {
	if !b.fits(n) || ahead+n > maxUnits>>b.frac {
		return math.MaxInt64
	}
	return max(ns, b.nanos(max(tat, b.at(ns))+(ahead+n)<<b.frac-b.burst))
}

// debt returns how far the bucket is from full at ns, in units.
func (b *bucket) debt(tat, ns int64) int64 {
	now := b.at(ns)
	return max(tat, now) - now
}

// decide returns the decision of the bucket at ns after the verdict ok on n
// events.
func (b *bucket) decide(tat, ns, n, ahead int64, ok bool) Decision {
	d := Decision{OK: ok, N: n, Limit: b.present(ns), AtOnce: b.calendar != nil}
	debt := b.debt(tat, ns)
	if ahead == 0 && debt < b.burst {
		d.Remaining = (b.burst - debt) >> b.frac
	}
	if !ok {
		d.refuse(ns, b.ready(tat, ns, n, ahead))
	}
	d.ResetAfter = b.resetAfter(tat, ns)
	return d
}

// resetAfter returns the time until the bucket is full, 0 if it is or never
// will be.
func (b *bucket) resetAfter(tat, ns int64) time.Duration {
	if then := b.nanos(tat); b.debt(tat, ns) > 0 && then != math.MaxInt64 {
		return time.Duration(then - ns)
	}
	return 0
}

// units returns n events in units, at most maxUnits. If n < 0, it returns 0.
func (b *bucket) units(n int64) int64 {
	if n > maxUnits>>b.frac {
		return maxUnits
	}
	return max(n, 0) << b.frac
}

// taken returns the effect of n events that are taken at now, allowed or not.
func (b *bucket) taken(now, n int64) stretch {
	cost := b.units(n)
	return stretch{cost, cut(now + cost), cut(now + b.burst - cost)}
}

// returned returns the effect of n events that are returned at now. The bucket
// never holds more than its burst.
func (b *bucket) returned(now, n int64) stretch { return stretch{-b.units(n), now, maxTat} }

// emptied returns the effect of a bucket that is empty until the instant then,
// in units, or longer if its debt lasts longer.
func (b *bucket) emptied(then int64) stretch { return stretch{0, cut(then + b.burst), maxTat} }

// charge, credit and penalize return the tat after these effects.
func (b *bucket) charge(tat, now, n int64) int64 { return b.taken(now, n).after(tat) }
func (b *bucket) credit(tat, now, n int64) int64 { return b.returned(now, n).after(tat) }
func (b *bucket) penalize(tat, ns int64) int64   { return b.emptied(b.at(ns)).after(tat) }

// inherit returns the tat with which b continues the bucket old at ns: with the
// same tokens, including fractions and debts, up to the burst of b.
func (b *bucket) inherit(old *bucket, tat, ns int64) int64 {
	now, tokens := old.at(ns), old.burst
	if tat > now {
		tokens -= tat - now
	}
	if b.frac < old.frac {
		tokens >>= old.frac - b.frac // rounded down, to the strict side
	} else if shift := b.frac - old.frac; tokens > maxUnits>>shift || tokens < -maxUnits>>shift {
		if tokens < 0 {
			return maxTat
		}
		return full
	} else {
		tokens <<= shift
	}
	if tokens >= b.burst {
		return full
	}
	return min(b.at(ns)+max(b.burst-tokens, 0), maxTat)
}

// above returns b without the part of its burst that a [View] leaves to other
// callers.
func (b *bucket) above(part float64) bucket {
	c := *b
	if part > 0 {
		// The factor keeps the rounding of part × burst from costing an event.
		c.burst = max(0, b.burst-int64(math.Ceil(part*float64(b.burst)*(1-0x1p-50))))
	}
	return c
}
