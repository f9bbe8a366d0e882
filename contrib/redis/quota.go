package redis

import (
	"errors"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A quota is a limit in the numbers of the script. A server counts microseconds, Lua has integers up to 2^53 and no
// others, and the time that an event takes is mostly no whole number of microseconds: at 3 per second it is 333333 and
// a third. So times are kept as a whole number and a numerator over den. Everything is exact; nothing is ever rounded.
type quota struct {
	limit    ratelimit.Limit
	num, den uint64 // an event takes num/den microseconds, in lowest terms
	burst    span
}

// A span is a time of us + fr/den microseconds, 0 <= fr < den.
type span struct{ us, fr int64 }

const (
	maxLimits = 8
	maxN      = 1e12    // keeps den below 2^53
	maxBurst  = 1 << 50 // microseconds, 35 years; added to the time of day it is still below 2^53
)

// newQuota returns the quota of a limit, or why there can be none.
func newQuota(l ratelimit.Limit) (quota, error) {
	if l.Burst == 0 {
		l.Burst = l.N
	}
	if l.N <= 0 || l.Per <= 0 || l.Burst <= 0 {
		return quota{}, errors.New("events, period and burst must be positive")
	}
	if l.N > maxN {
		return quota{}, errors.New("at most 1e12 events in a period are possible")
	}
	num, den := uint64(l.Per), uint64(l.N)*1000
	g := gcd(num, den)
	q := quota{limit: l, num: num / g, den: den / g}
	if hi, lo := bits.Mul64(uint64(l.Burst), q.num); hi >= q.den {
		return quota{}, errors.New("the burst comes back in more than 35 years")
	} else if us, _ := bits.Div64(hi, lo, q.den); us >= maxBurst {
		return quota{}, errors.New("the burst comes back in more than 35 years")
	}
	q.burst = q.cost(l.Burst)
	return q, nil
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// cost returns the time that n events take; n is not negative and at most the burst.
func (q *quota) cost(n int64) span {
	hi, lo := bits.Mul64(uint64(n), q.num)
	us, fr := bits.Div64(hi, lo, q.den)
	return span{int64(us), int64(fr)}
}

// add returns a + b.
func (q *quota) add(a, b span) span {
	s := span{a.us + b.us, a.fr + b.fr}
	if s.fr >= int64(q.den) {
		s.us, s.fr = s.us+1, s.fr-int64(q.den)
	}
	return s
}

// sub returns a - b. If that is negative, so is its whole part.
func (q *quota) sub(a, b span) span {
	s := span{a.us - b.us, a.fr - b.fr}
	if s.fr < 0 {
		s.us, s.fr = s.us-1, s.fr+int64(q.den)
	}
	return s
}

// over returns the time by which n events on top of debt exceed the burst, in whole microseconds, rounded up; 0 or less
// if they fit. The clock of the server shows whole ones, so the events fit when that many have passed, not earlier.
func (q *quota) over(debt span, n int64) int64 {
	return q.sub(q.add(debt, q.cost(n)), q.burst).ceil()
}

func (s span) ceil() int64 {
	if s.fr > 0 {
		return s.us + 1
	}
	return s.us
}

// after returns what is left of a debt when us microseconds have passed.
func (s span) after(us int64) span {
	if s.us < us {
		return span{}
	}
	return span{s.us - us, s.fr}
}

// events returns how many events fit on top of debt.
func (q *quota) events(debt span) int64 {
	room := q.sub(q.burst, debt)
	if room.us < 0 {
		return 0
	}
	hi, lo := bits.Mul64(uint64(room.us), q.den)
	lo, carry := bits.Add64(lo, uint64(room.fr), 0)
	n, _ := bits.Div64(hi+carry, lo, q.num)
	return int64(n)
}

// decide describes one limit after the verdict ok on n events.
func (q *quota) decide(n int64, debt span, ok bool) ratelimit.Decision {
	d := ratelimit.Decision{OK: ok, N: n, Limit: q.limit, Remaining: q.events(debt), ResetAfter: micros(debt.ceil())}
	switch {
	case ok:
	case n < 0 || n > q.limit.Burst:
		// never
	default:
		d.Retryable, d.RetryAfter = true, max(1, micros(q.over(debt, n)))
	}
	return d
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// quotas are the limits of one Limiter. An event needs all of them.
type quotas []quota

// decide describes, us microseconds after the debts, the limit that is longest in the way or, if none is, the one with
// least left.
func (qs quotas) decide(n int64, debts []span, us int64, ok bool) ratelimit.Decision {
	var least ratelimit.Decision
	for i := range qs {
		d := qs[i].decide(n, debts[i].after(us), ok)
		if i == 0 || stricter(d, least) {
			least = d
		}
	}
	return least
}

// stricter reports whether d refuses longer than e or, if both are equal in
// that, leaves less.
func stricter(d, e ratelimit.Decision) bool {
	wait := func(d ratelimit.Decision) time.Duration {
		if !d.OK && !d.Retryable {
			return math.MaxInt64
		}
		return d.RetryAfter
	}
	if a, b := wait(d), wait(e); a != b {
		return a > b
	}
	return d.Remaining < e.Remaining
}

// possible reports whether n events can ever be taken at once.
func (qs quotas) possible(n int64) bool {
	for i := range qs {
		if n > qs[i].limit.Burst {
			return false
		}
	}
	return n >= 0
}

// fit reports whether n events, which are possible, fit us microseconds after the debts.
func (qs quotas) fit(n int64, debts []span, us int64) bool {
	for i := range qs {
		if qs[i].over(debts[i].after(us), n) > 0 {
			return false
		}
	}
	return true
}

// words returns numbers as arguments of a script.
func words(numbers ...int64) []string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.FormatInt(n, 10)
	}
	return texts
}
