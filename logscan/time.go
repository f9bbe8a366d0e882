package logscan

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

var errTime = fmt.Errorf("%w: time", ErrMalformed)

// A TimeParser reads the times of logs. The zero value is ready.
//
// It knows, without Layouts: "Jan _2 15:04:05" (the day as "3", " 3" or "03"),
// RFC 3339 with "T" or a space and with or without a zone, "02/Jan/2006:15:04:05
// -0700", each with a fraction of one to nine digits after a point or comma,
// and seconds, milli-, micro- or nanoseconds since 1970, told apart by their
// size. Zones are Z, +01:00, +0100 and +01. The leap second :60 is the second after it.
type TimeParser struct {
	// Layouts are tried in order before the known forms, as by time.Parse.
	Layouts []string

	// Location is that of times without a zone. Nil: UTC.
	Location *time.Location

	// Reference is a time near those that are read. It decides two things. A
	// time without a year is in the year that brings it nearest, February 29
	// in the nearest leap year. A time that a clock change makes occur twice is
	// the first that is not more than five minutes before Reference, when that
	// is within three hours of it. Nil: time.Now.
	//
	// For old files return the modification time of the file. For a file
	// that is longer than half a year, or whose clock was changed, return the
	// time of the record before, beginning with one known otherwise; that asks
	// for a parser per file, used in one loop.
	Reference func() time.Time
}

// Parse reads the time that b is. Its errors match ErrMalformed: b has no known
// form, a date that does not exist, or a zone by a name other than UTC, GMT or
// that of Location, whose offset nobody can know.
func (p *TimeParser) Parse(b []byte) (time.Time, error) {
	for _, layout := range p.Layouts {
		if t, err := p.layout(layout, string(b)); err == nil {
			return t, nil
		}
	}
	d, rest := date{loc: p.location()}, b
	var ok bool
	switch {
	case len(b) > 3 && b[0] >= 'A':
		rest, ok = d.stamp(b)
	case len(b) > 5 && b[4] == '-':
		rest, ok = d.iso(b)
	case len(b) > 3 && b[2] == '/':
		rest, ok = d.clf(b)
	default:
		return epoch(b)
	}
	if !ok || len(rest) > 0 {
		return time.Time{}, errTime
	}
	return d.time(p)
}

func (p *TimeParser) location() *time.Location {
	if p.Location == nil {
		return time.UTC
	}
	return p.Location
}

func (p *TimeParser) reference() time.Time {
	if p.Reference == nil {
		return time.Now()
	}
	return p.Reference()
}

// layout is time.ParseInLocation, except that it does not invent offsets.
func (p *TimeParser) layout(layout, s string) (time.Time, error) {
	t, err := time.ParseInLocation(layout, s, p.location())
	if err != nil {
		return t, err
	}
	if name, off := t.Zone(); t.Location() != p.location() && off == 0 && strings.Contains(layout, "MST") && name != "UTC" && name != "GMT" {
		return t, errTime
	}
	if t.Year() == 0 && !strings.Contains(layout, "06") {
		d := date{yearless: true, mon: int(t.Month()), day: t.Day(), hour: t.Hour(), min: t.Minute(), sec: t.Second(), ns: t.Nanosecond(), loc: t.Location()}
		return d.time(p)
	}
	return t, nil
}

// A date is the numbers of a time. loc is nil when there is an offset.
type date struct {
	year, mon, day, hour, min, sec, ns int

	offset   int // east of UTC, in seconds
	loc      *time.Location
	yearless bool
}

// stamp reads Jan _2 15:04:05[.999].
func (d *date) stamp(b []byte) ([]byte, bool) {
	d.mon = month(b[:3])
	b, sp := cutByte(b[3:], ' ')
	b, _ = cutByte(b, ' ')
	d.yearless = true
	n := 1
	if len(b) > 1 && digit(b[1]) {
		n = 2
	}
	day, b, ok := number(b, n)
	d.day = day
	b, sp2 := cutByte(b, ' ')
	if !ok || !sp || !sp2 {
		return b, false
	}
	return d.clock(b)
}

// iso reads 2006-01-02T15:04:05[.999][zone].
func (d *date) iso(b []byte) ([]byte, bool) {
	if len(b) < 11 || b[4] != '-' || b[7] != '-' || b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return b, false
	}
	var ok [3]bool
	d.year, _, ok[0] = number(b, 4)
	d.mon, _, ok[1] = number(b[5:], 2)
	d.day, _, ok[2] = number(b[8:], 2)
	b, clock := d.clock(b[11:])
	if !clock || ok != [3]bool{true, true, true} {
		return b, false
	}
	if len(b) > 1 && b[0] == ' ' {
		b = b[1:]
	}
	return d.zone(b)
}

// clf reads 02/Jan/2006:15:04:05[.999] -0700.
func (d *date) clf(b []byte) ([]byte, bool) {
	if len(b) < 12 || b[6] != '/' || b[11] != ':' {
		return b, false
	}
	var ok [2]bool
	d.day, _, ok[0] = number(b, 2)
	d.mon = month(b[3:6])
	d.year, _, ok[1] = number(b[7:], 4)
	b, clock := d.clock(b[12:])
	b, sp := cutByte(b, ' ')
	if !ok[0] || !ok[1] || !clock || !sp {
		return b, false
	}
	return d.zone(b)
}

// clock reads 15:04:05 and a fraction.
func (d *date) clock(b []byte) ([]byte, bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return b, false
	}
	var ok [3]bool
	d.hour, _, ok[0] = number(b, 2)
	d.min, _, ok[1] = number(b[3:], 2)
	d.sec, b, ok[2] = number(b[6:], 2)
	if ok != [3]bool{true, true, true} || d.hour > 23 || d.min > 59 || d.sec > 60 {
		return b, false
	}
	if len(b) == 0 || b[0] != '.' && b[0] != ',' {
		return b, true
	}
	b = b[1:]
	n, scale := 0, 1_000_000_000
	for n < len(b) && digit(b[n]) && scale > 1 {
		scale /= 10
		d.ns += int(b[n]-'0') * scale
		n++
	}
	return b[n:], n > 0
}

// zone reads Z, +01:00, +0100, +01 or nothing.
func (d *date) zone(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return b, true
	}
	d.loc = nil
	if b[0] == 'Z' || b[0] == 'z' {
		return b[1:], true
	}
	if b[0] != '+' && b[0] != '-' {
		return b, false
	}
	sign := 44 - int(b[0]) // '+' is 43, '-' is 45
	h, b, ok := number(b[1:], 2)
	m := 0
	if b, _ = cutByte(b, ':'); ok && len(b) > 0 {
		m, b, ok = number(b, 2)
	}
	d.offset = sign * (h*3600 + m*60)
	return b, ok && h < 24 && m < 60
}

// valid reports whether the date exists, in some year if it has none.
func (d *date) valid() bool {
	const days = "\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
	return d.mon >= 1 && d.mon <= 12 && d.day >= 1 && d.day <= int(days[d.mon-1]) &&
		(d.yearless || d.mon != 2 || d.day < 29 || leap(d.year))
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// time returns the time that d is.
func (d *date) time(p *TimeParser) (time.Time, error) {
	if !d.valid() {
		return time.Time{}, errTime
	}
	if d.yearless {
		return d.near(p.reference()), nil
	}
	t := d.in(d.year)
	if d.loc != nil && d.loc != time.UTC {
		t = first(t, p.reference())
	}
	return t, nil
}

// in returns the time of d in a year.
func (d *date) in(year int) time.Time {
	if d.loc != nil {
		return time.Date(year, time.Month(d.mon), d.day, d.hour, d.min, d.sec, d.ns, d.loc)
	}
	t := time.Date(year, time.Month(d.mon), d.day, d.hour, d.min, d.sec-d.offset, d.ns, time.UTC)
	if d.offset != 0 {
		t = t.In(time.FixedZone("", d.offset))
	}
	return t
}

// near returns the time of d in the year that brings it nearest to ref (the rule
// of rsyslog).
func (d *date) near(ref time.Time) time.Time {
	const half = 365 * 24 * time.Hour / 2
	if d.mon == 2 && d.day == 29 {
		return d.nearLeap(ref)
	}
	t := d.in(ref.Year())
	switch diff := t.Sub(ref); {
	case diff > half:
		t = d.in(ref.Year() - 1)
	case diff < -half:
		t = d.in(ref.Year() + 1)
	}
	return first(t, ref)
}

// nearLeap is near for February 29. Leap years are up to eight years apart.
func (d *date) nearLeap(ref time.Time) time.Time {
	var best time.Time
	for year := ref.Year() - 8; year <= ref.Year()+8; year++ {
		if t := d.in(year); leap(year) && t.Sub(ref).Abs() < best.Sub(ref).Abs() {
			best = t
		}
	}
	return first(best, ref)
}

// first returns the first of the times with the wall clock of t that is not more
// than five minutes before ref, else the last of them.
func first(t, ref time.Time) time.Time {
	const reach, slack = 3 * time.Hour, 5 * time.Minute
	if t.Location() == time.UTC || t.Sub(ref).Abs() > reach {
		return t
	}
	early := t
	if e := t.Add(-time.Hour); e.Minute() == t.Minute() && e.Hour() == t.Hour() {
		early = e
	}
	late := early.Add(time.Hour)
	if late.Hour() != early.Hour() || ref.Sub(early) <= slack {
		return early
	}
	return late
}

// epoch reads seconds and parts of them since 1970.
func epoch(b []byte) (time.Time, error) {
	digits := len(b)
	if dot := bytes.IndexByte(b, '.'); dot >= 0 {
		digits = dot
	}
	n, frac := int64(0), b[digits:]
	for _, c := range b[:digits] {
		if !digit(c) || digits > 19 {
			return time.Time{}, errTime
		}
		n = n*10 + int64(c-'0')
	}
	if digits == 0 || n < 0 || len(frac) == 1 || len(frac) > 10 {
		return time.Time{}, errTime
	}
	// 1e11 seconds is the year 5138, 1e11 milliseconds is 1973.
	unit := int64(time.Second)
	for limit := int64(1e11); unit > 1 && n >= limit; limit *= 1000 {
		unit /= 1000
	}
	perSecond := int64(time.Second) / unit
	ns := n % perSecond * unit
	for i, scale := 1, unit/10; i < len(frac); i, scale = i+1, scale/10 {
		if !digit(frac[i]) {
			return time.Time{}, errTime
		}
		ns += int64(frac[i]-'0') * scale
	}
	return time.Unix(n/perSecond, ns).UTC(), nil
}

// month returns the number of an English month, 0 when b is none.
func month(b []byte) int {
	const names = "JanFebMarAprMayJunJulAugSepOctNovDec"
	for i := 0; i < len(names); i += 3 {
		if names[i] == b[0] && names[i+1] == b[1] && names[i+2] == b[2] {
			return i/3 + 1
		}
	}
	return 0
}

// number reads n digits.
func number(b []byte, n int) (v int, rest []byte, ok bool) {
	if len(b) < n {
		return 0, b, false
	}
	for _, c := range b[:n] {
		if !digit(c) {
			return 0, b, false
		}
		v = v*10 + int(c-'0')
	}
	return v, b[n:], true
}

func digit(c byte) bool { return c-'0' <= 9 }

// cutByte reads c.
func cutByte(b []byte, c byte) (rest []byte, ok bool) {
	if len(b) > 0 && b[0] == c {
		return b[1:], true
	}
	return b, false
}
