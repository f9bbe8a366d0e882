package redoubtredis

import (
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A calendar is the part of a quota that concerns a [ratelimit.Quota]. Its debt
// is the number of events of the present period that are used. A debt of more
// than N events extends into the next periods.
//
// The clock of the server decides which period is present. The server knows no
// calendar. So each call contains the period that is present by an estimate of
// that clock. If another period is present, the script changes nothing and
// replies with the error wrongPeriod and its instant. Then the call is repeated
// with the period of that instant.
type calendar struct {
	quota   ratelimit.Quota
	longest int64 // microseconds that no period exceeds
	last    atomic.Pointer[period]
}

const wrongPeriod = "PERIOD "

// A period is a period of a calendar, from start until end in microseconds
// since 1970.
type period struct{ index, start, end int64 }

var unitDays = [...]int64{ratelimit.Day: 1, ratelimit.Week: 7, ratelimit.Month: 31, ratelimit.Year: 366, ratelimit.Hour: 1}

// newCalendar returns the quota of a calendar, or the reason why it is wrong.
func newCalendar(q ratelimit.Quota) (*quota, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	if q.Location == nil {
		q.Location = time.UTC
	}
	c := &calendar{quota: q, longest: (unitDays[q.Unit] + 2) * 24 * time.Hour.Microseconds()}
	l := ratelimit.Limit{N: q.N, Per: time.Hour, Burst: q.N, Name: q.Name}
	return &quota{limit: l, num: 1, den: 1, burst: span{us: q.N}, calendar: c}, nil
}

// at returns the period of an instant in microseconds. It remembers the last
// answer.
func (c *calendar) at(us int64) period {
	if p := c.last.Load(); p != nil && p.start <= us && us < p.end {
		return *p
	}
	p := c.period(time.UnixMicro(us))
	c.last.Store(&p)
	return p
}

func (c *calendar) period(t time.Time) period {
	start, end := c.quota.Period(t)
	return period{c.index(start), start.UnixMicro(), end.UnixMicro()}
}

// index returns the number of the period that begins at start. Two periods
// whose dates follow each other have numbers that do.
func (c *calendar) index(start time.Time) int64 {
	y, m, d := start.Date()
	day := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / (24 * 60 * 60)
	switch c.quota.Unit {
	case ratelimit.Hour:
		return day*24 + int64(start.Hour())
	case ratelimit.Day:
		return day
	case ratelimit.Week: // January 1, 1970 was a Thursday
		return (day + 3) / 7
	case ratelimit.Month:
		return int64(y)*12 + int64(m) - 1
	}
	return int64(y)
}

// start returns the instant at which period i begins, or a later period if the
// zone has left out period i. Instants are at most 35 years after now.
func (c *calendar) start(i, now int64) int64 {
	loc, n := c.quota.Location, int(min(i, 1<<31-1))
	var t time.Time
	switch c.quota.Unit {
	case ratelimit.Hour:
		t = time.Date(1970, 1, 1, n, 0, 0, 0, loc)
	case ratelimit.Day:
		t = time.Date(1970, 1, 1+n, 0, 0, 0, 0, loc)
	case ratelimit.Week:
		t = time.Date(1970, 1, 1+7*min(n, 1<<28)-3, 0, 0, 0, 0, loc)
	case ratelimit.Month:
		t = time.Date(0, time.Month(1+n), 1, 0, 0, 0, 0, loc)
	default:
		t = time.Date(min(n, 1<<28), 1, 1, 0, 0, 0, 0, loc)
	}
	if latest := time.UnixMicro(now + maxBurst); t.After(latest) {
		return now + maxBurst
	}
	p := c.period(t)
	for p.index < i { // midnight does not exist, or the clock has shown it before
		p = c.period(time.UnixMicro(p.end))
	}
	return p.start
}

// after returns the rest of a debt at the instant at, us microseconds later.
func (c *calendar) after(debt span, at, us int64) span {
	periods := c.at(at+us).index - c.at(at).index
	if periods > debt.us/c.quota.N {
		return span{}
	}
	return span{us: debt.us - periods*c.quota.N}
}

// until returns the time from now until events have come back, 0 if events <=
// 0.
func (c *calendar) until(events, now int64) time.Duration {
	if events <= 0 {
		return 0
	}
	periods := (events-1)/c.quota.N + 1
	us := c.start(c.at(now).index+min(periods, math.MaxInt32), now) - now
	return time.Duration(min(us, math.MaxInt64/1000)) * time.Microsecond
}

// share returns 1/nodes of the quota.
func (c *calendar) share(nodes int64) ratelimit.Quota {
	q := c.quota
	q.N = max(1, q.N/nodes)
	return q
}

// words returns the arguments of the scripts that describe the calendar at an
// instant.
func (c *calendar) words(us int64) []string {
	p := c.at(us)
	return words(p.index, p.start, p.end, c.longest)
}

// calendars returns the arguments of all calendars at an instant.
func (qs quotas) calendars(us int64) (args []string) {
	for i := range qs {
		if c := qs[i].calendar; c != nil {
			args = append(args, c.words(us)...)
		}
	}
	return args
}

// again returns the call of a script with the periods of the server, if the
// reply was wrongPeriod.
func (qs quotas) again(cmd []string, reply Reply) []string {
	text, ok := strings.CutPrefix(reply.Err.Error(), wrongPeriod)
	now, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || now < 0 || now > math.MaxInt64/1000 {
		return nil
	}
	next := append([]string(nil), cmd...)
	head := next[4+2+3*len(qs):] // after EVAL, the script, 1, and the key
	n := copy(head, qs.calendars(now))
	if args := head[n:]; len(args) > 0 && args[0] == "empty" {
		args, periods := args[1:1+2*len(qs)], args[1+2*len(qs):]
		for i, q := range qs {
			if q.calendar != nil {
				d, _ := strconv.ParseInt(args[2*i+1], 10, 64)
				p := q.calendar.at(now + d)
				args[2*i] = words(p.index)[0]
				periods = periods[copy(periods, words(p.start, p.end)):]
			}
		}
	}
	return next
}
