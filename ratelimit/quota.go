package ratelimit

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Unit is the period of a [Quota].
type Unit uint8

const (
	Day   Unit = iota // from midnight to midnight
	Week              // from Monday to Monday, as in ISO 8601
	Month             // from the first day of a month
	Year              // from January 1
	Hour              // from minute 0
)

var units = [...]string{"day", "week", "month", "year", "hour"}

// String returns "day", "week", "month", "year" or "hour", and "Unit(7)" for an
// unknown unit.
func (u Unit) String() string {
	if int(u) < len(units) {
		return units[u]
	}
	return fmt.Sprintf("Unit(%d)", uint8(u))
}

// A Quota is a calendar quota of a [Keyed]: N events in each day, month or
// other Unit of the calendar in a time zone. All events are available again
// when the next period begins. A Quota is a small comparable value.
//
// A period begins at the first instant at which the clocks of the zone show its
// date, or a later date. If midnight does not exist, because the clocks are set
// forward, the day begins when they have been set. If midnight occurs twice,
// the day begins at the first midnight. A day has 23 or 25 hours when the
// clocks change. A date that the zone has left out has no period.
type Quota struct {
	N        int64          // events in each period, from 1 to 2^38; required
	Unit     Unit           // the period; zero means Day
	Location *time.Location // the time zone; nil means UTC
	Name     string         // names the quota in errors and logs; may be empty
}

const maxQuota = 1 << 38 // periods of two centuries have room in a tat

// Validate returns an error that joins all problems of q.
func (q Quota) Validate() error { return q.validate("ratelimit: quota: ") }

func (q Quota) validate(prefix string) error {
	if q.Name != "" {
		prefix += quote.Name(q.Name) + ": "
	}
	p := problems{prefix: prefix}
	p.add(q.N < 1 || q.N > maxQuota, "N is %d, want 1 to %d", q.N, int64(maxQuota))
	p.add(int(q.Unit) >= len(units), "Unit is %d, want Day, Week, Month, Year or Hour", q.Unit)
	return errors.Join(p.errs...)
}

// normal returns q with the default of Location filled in.
func (q Quota) normal() Quota {
	if q.Location == nil {
		q.Location = time.UTC
	}
	return q
}

// String returns a text such as "1000 per month in Europe/Berlin".
func (q Quota) String() string {
	return fmt.Sprintf("%d per %v in %v", q.N, q.Unit, q.normal().Location)
}

// Period returns the beginning and the end of the period that contains t. The
// end is the instant at which all events are available again.
func (q Quota) Period(t time.Time) (start, end time.Time) {
	c := calendar{quota: q.normal()}
	i := c.index(t.Unix())
	loc := c.quota.Location
	return time.Unix(c.start(i), 0).In(loc), time.Unix(c.start(i+1), 0).In(loc)
}

// bucket returns the bucket of q for instants in nanoseconds since epoch. Its
// clock is a staircase, which rises by the whole burst at the beginning of each
// period. So a tat is never more than a period ahead, apart from debts.
func (q Quota) bucket(epoch time.Time) bucket {
	c := &calendar{quota: q.normal(), epoch: epoch.UnixNano()}
	c.first = c.index(epoch.Unix())
	return bucket{limit: Limit{N: q.N, Per: time.Hour, Burst: q.N, Name: q.Name}, burst: q.N, calendar: c}
}

// A calendar is the clock of a [Quota]. It numbers the periods. Civil times are
// the numbers that clocks show, in seconds as if the zone were UTC.
type calendar struct {
	quota Quota
	epoch int64 // Unix nanoseconds
	first int64 // the period of epoch
	last  atomic.Pointer[period]
}

// A period is from start until end, in nanoseconds since the epoch.
type period struct{ index, start, end int64 }

// at returns the instant ns in units: the events that the periods from the
// epoch until ns have allowed.
func (c *calendar) at(ns int64) int64 { return (c.period(ns).index - c.first) * c.quota.N }

// nanos returns the earliest instant in nanoseconds at which at returns at
// least u, math.MaxInt64 if there is none.
func (c *calendar) nanos(u int64) int64 {
	periods := u / c.quota.N
	if u > 0 && u%c.quota.N != 0 {
		periods++
	}
	return c.since(c.start(c.first + periods))
}

// length returns the length of the period of ns.
func (c *calendar) length(ns int64) time.Duration {
	p := c.period(ns)
	return time.Duration(p.end - p.start)
}

// since converts Unix seconds to nanoseconds since the epoch.
func (c *calendar) since(sec int64) int64 {
	const most = math.MaxInt64 / int64(time.Second) / 2
	if sec > most {
		return math.MaxInt64
	}
	return max(sec, -most)*int64(time.Second) - c.epoch
}

// period returns the period of ns. It remembers the last answer.
func (c *calendar) period(ns int64) period {
	if p := c.last.Load(); p != nil && p.start <= ns && ns < p.end {
		return *p
	}
	i := c.index(time.Unix(0, c.epoch+ns).Unix())
	p := &period{i, c.since(c.start(i)), c.since(c.start(i + 1))}
	c.last.Store(p)
	return *p
}

// index returns the number of the period that contains an instant. If the
// clocks have been set back over the beginning of a period, that period has
// begun nevertheless.
func (c *calendar) index(sec int64) int64 {
	t := time.Unix(sec, 0).In(c.quota.Location)
	_, offset := t.Zone()
	i := c.number(sec + int64(offset))
	for c.start(i+1) <= sec {
		i++
	}
	return i
}

const daySeconds = 24 * 60 * 60

// number returns the number of the period that contains a civil time.
func (c *calendar) number(civil int64) int64 {
	y, m, _ := time.Unix(civil, 0).UTC().Date()
	switch c.quota.Unit {
	case Hour:
		return quotient(civil, 60*60)
	case Day:
		return quotient(civil, daySeconds)
	case Week: // January 1, 1970 was a Thursday
		return quotient(civil+3*daySeconds, 7*daySeconds)
	case Month:
		return int64(y)*12 + int64(m) - 1
	}
	return int64(y)
}

// begin returns the civil time at which period i begins.
func (c *calendar) begin(i int64) int64 {
	switch c.quota.Unit {
	case Hour:
		return i * 60 * 60
	case Day:
		return i * daySeconds
	case Week:
		return i*7*daySeconds - 3*daySeconds
	case Month:
		return time.Date(0, time.Month(i+1), 1, 0, 0, 0, 0, time.UTC).Unix()
	}
	return time.Date(int(i), 1, 1, 0, 0, 0, 0, time.UTC).Unix()
}

// start returns the first instant, in Unix seconds, at which the clocks show
// the beginning of period i or a later time. It begins a day before, because
// two offsets of a zone differ by a day at most. A zone without an end has a
// zero end. In go1.26, on December 31 of a leap year, it can be before t.
func (c *calendar) start(i int64) int64 {
	civil := c.begin(i)
	_, about := time.Unix(civil, 0).In(c.quota.Location).Zone()
	t := time.Unix(civil-int64(about)-2*daySeconds, 0).In(c.quota.Location)
	for {
		_, offset := t.Zone()
		_, end := t.ZoneBounds()
		if first := max(t.Unix(), civil-int64(offset)); !end.After(t) || first < end.Unix() {
			return first
		}
		t = end
	}
}

// quotient returns a / b, rounded down.
func quotient(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
