package redoubtredis

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A quota is a limit in the numbers of the scripts. The server counts
// microseconds, and Lua has exact integers up to 2^53. The time of an event is
// mostly not a whole number of microseconds: at 3 events per second it is
// 333333 and a third. So a time is a whole number and a numerator over den, and
// nothing is ever rounded.
//
// A quota of a calendar counts events in the place of microseconds.
type quota struct {
	limit    ratelimit.Limit
	num, den uint64 // an event takes num/den microseconds, in lowest terms
	burst    span
	calendar *calendar // of a ratelimit.Quota
}

// A span is a time of us + fr/den microseconds, with 0 <= fr < den.
type span struct{ us, fr int64 }

const (
	maxLimits = 8
	maxN      = 1e12    // keeps den below 2^53
	maxBurst  = 1 << 50 // 35 years in microseconds; added to the time since 1970 it is below 2^53
)

// newQuota returns the quota of a limit, or the reason why the scripts cannot
// count it.
func newQuota(l ratelimit.Limit) (q *quota, problem string) {
	if l.Burst == 0 {
		l.Burst = l.N
	}
	switch {
	case l.N < 1 || l.N > maxN:
		return nil, fmt.Sprintf("N is %d, want 1 to 1e12", l.N)
	case l.Per < 1:
		return nil, fmt.Sprintf("Per is %v, want more than 0", l.Per)
	case l.Burst < 1:
		return nil, fmt.Sprintf("Burst is %d, want at least 1, or 0 for N", l.Burst)
	}
	long := fmt.Sprintf("Burst is %d, want at most 35 years of events", l.Burst)
	num, den := uint64(l.Per), uint64(l.N)*1000
	g := gcd(num, den)
	q = &quota{limit: l, num: num / g, den: den / g}
	if hi, lo := bits.Mul64(uint64(l.Burst), q.num); hi >= q.den {
		return nil, long
	} else if us, _ := bits.Div64(hi, lo, q.den); us >= maxBurst {
		return nil, long
	}
	q.burst = q.cost(l.Burst)
	return q, ""
}

func gcd(a, b uint64) uint64 {
	for b > 0 {
		a, b = b, a%b
	}
	return a
}

// cost returns the time of n events, for 0 <= n <= burst.
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

// sub returns a - b. If the difference is negative, its whole part is negative.
func (q *quota) sub(a, b span) span {
	s := span{a.us - b.us, a.fr - b.fr}
	if s.fr < 0 {
		s.us, s.fr = s.us-1, s.fr+int64(q.den)
	}
	return s
}

// over returns the time by which n events on top of debt exceed the burst, in
// microseconds, rounded up. If they fit, it is at most 0. The clock of the
// server counts whole microseconds, so the events fit exactly when that time
// has passed.
func (q *quota) over(debt span, n int64) int64 {
	return q.sub(q.add(debt, q.cost(n)), q.burst).ceil()
}

func (s span) ceil() int64 {
	if s.fr > 0 {
		return s.us + 1
	}
	return s.us
}

// after returns the rest of a debt at the instant at, us microseconds later.
func (q *quota) after(s span, at, us int64) span {
	if q.calendar != nil {
		return q.calendar.after(s, at, us)
	}
	if s.us < us {
		return span{}
	}
	return span{s.us - us, s.fr}
}

// until returns the time from now until a debt, or an excess, has come back, 0
// if us <= 0.
func (q *quota) until(us, now int64) time.Duration {
	if q.calendar != nil {
		return q.calendar.until(us, now)
	}
	return micros(max(0, us))
}

// present returns the limit at the instant now. The length of a period varies.
func (q *quota) present(now int64) ratelimit.Limit {
	l := q.limit
	if q.calendar != nil {
		p := q.calendar.at(now)
		l.Per = micros(p.end - p.start)
	}
	return l
}

// events returns the number of events that fit on top of debt.
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

// decide returns the decision of a limit at the instant now, after the verdict
// ok on n events.
func (q *quota) decide(n int64, debt span, now int64, ok bool) ratelimit.Decision {
	d := ratelimit.Decision{OK: ok, N: n, Limit: q.present(now), Remaining: q.events(debt), ResetAfter: q.until(debt.ceil(), now), AtOnce: q.calendar != nil}
	switch {
	case ok:
	case n < 0 || n > q.limit.Burst:
		// never
	default:
		d.Retryable, d.RetryAfter = true, max(1, q.until(q.over(debt, n), now))
	}
	return d
}

func micros(us int64) time.Duration { return time.Duration(us) * time.Microsecond }

// quotas are the limits of a Limiter, then its calendar quotas. An event needs
// all of them.
type quotas []*quota

// decide returns the decision of the strictest limit, us microseconds after the
// debts at the instant at.
func (qs quotas) decide(n int64, debts []span, at, us int64, ok bool) ratelimit.Decision {
	var least ratelimit.Decision
	for i := range qs {
		d := qs[i].decide(n, qs[i].after(debts[i], at, us), at+us, ok)
		if i == 0 || stricter(d, least) {
			least = d
		}
	}
	return least
}

// stricter reports whether d refuses longer than e or, if both are equal in
// that, leaves less or takes longer to come back.
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
	if d.Remaining != e.Remaining {
		return d.Remaining < e.Remaining
	}
	return d.ResetAfter > e.ResetAfter
}

// possible reports whether n events can ever be taken together.
func (qs quotas) possible(n int64) bool {
	for i := range qs {
		if n > qs[i].limit.Burst {
			return false
		}
	}
	return n >= 0
}

// fit reports whether n events, which are possible, fit us microseconds after
// the debts at the instant at.
func (qs quotas) fit(n int64, debts []span, at, us int64) bool {
	for i := range qs {
		if qs[i].over(qs[i].after(debts[i], at, us), n) > 0 {
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
