package logscan

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"
)

var errTime = fmt.Errorf("%w: time", ErrMalformed)

// A TimeParser reads the times of logs. The zero value is ready. Without
// Layouts it knows these forms:
//
//   - RFC 3339, with "T" or a space, with or without a zone
//   - 2006/01/02 15:04:05 and 20060102150405
//   - Jan _2 15:04:05, with the day as "3", " 3" or "03", and perhaps a year
//     after the day or at the end
//   - 02/Jan/2006:15:04:05 -0700
//   - Mon Jan _2 15:04:05 MST 2006 and Mon, 02 Jan 2006 15:04:05 MST, with or
//     without the zone
//   - I0102 15:04:05, of klog, with any of I, W, E and F
//   - seconds, milliseconds, microseconds or nanoseconds since 1970,
//     distinguished by their number of digits: 9 or 10, 12 or 13, 15 or 16, 18
//     or 19
//
// A point or comma and one to nine digits may follow the seconds. Zones are Z,
// UTC, GMT, +01:00, +0100 and +01; other names of zones need Layouts. The leap
// second :60 is the second after it.
type TimeParser struct {
	// Layouts are tried in order, before the known forms, with the rules of
	// [time.Parse]. A layout that does not fit costs an allocation.
	Layouts []string

	// Location is the location of times without a zone. Nil means UTC.
	Location *time.Location

	// Reference returns a time that no line of the log is later than. A time
	// without a year gets the last year in which it is at most a day after
	// Reference.
	//
	// When clocks go back an hour, some times occur twice. TimeParser picks the
	// first occurrence that is at most five minutes before Reference, if
	// Reference is within three hours.
	//
	// Nil means Input.ModTime of the input, which [Files] and [Walk] set, and
	// [time.Now] if that is zero.
	Reference func() time.Time

	// After returns the time of the record before, for a log of several years.
	// A time without a year gets the first year in which it is at most a day
	// before After, whatever Reference is. That takes a parser for each file,
	// used in one loop. Nil means that Reference decides, and so does a zero
	// time.
	After func() time.Time
}

// Set sets the time of r to the time in b, and [Record.TimeSkipped].
//
// Errors: as for [TimeParser.Parse].
func (p *TimeParser) Set(r *Record, b []byte) error {
	t, skipped, err := p.parse(b, r.modTime)
	if err == nil {
		r.time, r.skipped = t, skipped
	}
	return err
}

// Parse returns the time in b. If clocks were put forward over the time, the
// result is later by the same amount, and Set records that.
//
// Errors: the errors match [ErrMalformed]. They report an unknown form, a date
// that does not exist, or the name of a zone whose offset is unknown. Known
// names, in Layouts, are UTC, GMT and the zones of Location.
func (p *TimeParser) Parse(b []byte) (time.Time, error) {
	t, _, err := p.parse(b, time.Time{})
	return t, err
}

// parse reads a time in an input that was last changed at modTime.
func (p *TimeParser) parse(b []byte, modTime time.Time) (t time.Time, skipped bool, err error) {
	for _, layout := range p.Layouts {
		if t, skipped, err = p.layout(layout, string(b), modTime); err == nil {
			return t, skipped, nil
		}
	}
	d, rest := date{loc: p.location()}, b
	var ok bool
	switch {
	case len(b) > 4 && b[0] >= 'A':
		rest, ok = d.named(b)
	case len(b) > 5 && (b[4] == '-' || b[4] == '/'):
		rest, ok = d.iso(b)
	case len(b) > 3 && b[2] == '/':
		rest, ok = d.clf(b)
	case len(b) == 14:
		rest, ok = d.compact(b)
	default:
		t, err = epoch(b)
		return t, false, err
	}
	if !ok || len(rest) > 0 || !d.valid() {
		return time.Time{}, false, errTime
	}
	t = d.time(p, modTime)
	return t, d.skipped, nil
}

func (p *TimeParser) location() *time.Location {
	if p.Location == nil {
		return time.UTC
	}
	return p.Location
}

func (p *TimeParser) reference(modTime time.Time) time.Time {
	switch {
	case p.Reference != nil:
		return p.Reference()
	case modTime.IsZero():
		return time.Now()
	}
	return modTime
}

// layout is time.ParseInLocation, except that it does not invent offsets and
// reports skipped times.
func (p *TimeParser) layout(layout, s string, modTime time.Time) (t time.Time, skipped bool, err error) {
	loc := p.location()
	if t, err = time.ParseInLocation(layout, s, loc); err != nil {
		return t, false, err
	}
	name, off := t.Zone()
	if t.Location() != loc && off == 0 && strings.Contains(layout, "MST") && name != "UTC" && name != "GMT" {
		return t, false, errTime
	}
	if t.Year() == 0 && !strings.Contains(layout, "06") {
		d := clockOf(t, t.Location())
		d.yearless = true
		t = d.time(p, modTime)
		return t, d.skipped, nil
	}
	if loc != time.UTC && t.Location() == loc {
		// In UTC no clock is changed, so the result shows the numbers of the
		// text.
		if text, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			d := clockOf(text, loc)
			if moved := d.in(d.year); d.skipped {
				return moved, true, nil
			}
		}
	}
	return t, false, nil
}

// clockOf returns the wall clock of t as a date in loc.
func clockOf(t time.Time, loc *time.Location) date {
	d := date{ns: t.Nanosecond(), loc: loc}
	var mon time.Month
	d.year, mon, d.day = t.Date()
	d.mon = int(mon)
	d.hour, d.min, d.sec = t.Clock()
	return d
}

// A date is the numbers of a time. If there is an offset, loc is nil.
type date struct {
	year, mon, day, hour, min, sec, ns int

	offset   int // east of UTC, in seconds
	loc      *time.Location
	yearless bool
	skipped  bool // no clock of loc shows it; set by in
}

// named reads the forms that begin with a letter.
func (d *date) named(b []byte) ([]byte, bool) {
	if digit(b[1]) {
		return d.klog(b)
	}
	if weekday(b) {
		b = b[3:]
		comma := b[0] == ','
		if comma {
			b = b[1:]
		}
		if b, _ = cutByte(b, ' '); comma {
			return d.mail(b)
		}
	}
	return d.stamp(b)
}

// stamp reads Jan _2 [2006 ]15:04:05[.999][ zone][ 2006].
func (d *date) stamp(b []byte) ([]byte, bool) {
	if len(b) < 14 || b[3] != ' ' {
		return b, false
	}
	d.yearless, d.mon = true, month(b)
	b = b[4:]
	if b[0] == ' ' {
		b = b[1:]
	}
	n := 1
	if d.day = int(b[0] - '0'); digit(b[1]) {
		d.day, n = two(b, 0), 2
	}
	if !digit(b[0]) || b[n] != ' ' {
		return b, false
	}
	b = b[n+1:]
	if rest, ok := d.fullYear(b); ok && len(rest) > 0 && rest[0] == ' ' {
		b = rest[1:]
	}
	b, ok := d.clock(b)
	if !ok || len(b) == 0 {
		return b, ok
	}
	b, ok = cutByte(b, ' ')
	if ok && d.yearless && len(b) > 4 && !digit(b[0]) { // Mon Jan _2 15:04:05 MST 2006
		name, year, _ := bytes.Cut(b, space)
		if name, ok = d.zone(name); !ok || len(name) > 0 {
			return b, false
		}
		b = year
	}
	if !ok || !d.yearless {
		return b, ok
	}
	return d.fullYear(b)
}

// fullYear reads 2006.
func (d *date) fullYear(b []byte) ([]byte, bool) {
	if len(b) < 4 || len(b) > 4 && b[4] != ' ' {
		return b, false
	}
	century, year := two(b, 0), two(b, 2)
	if max(century, year) > 99 {
		return b, false
	}
	d.year, d.yearless = century*100+year, false
	return b[4:], true
}

// mail reads 02 Jan 2006 15:04:05[.999][ zone], of RFC 5322 and of HTTP.
func (d *date) mail(b []byte) ([]byte, bool) {
	if len(b) > 1 && b[1] == ' ' { // a day of one digit
		b = append([]byte{'0'}, b...)
	}
	if len(b) < 20 || b[2] != ' ' || b[6] != ' ' || b[11] != ' ' {
		return b, false
	}
	d.day, d.mon = two(b, 0), month(b[3:])
	if _, ok := d.fullYear(b[7:12]); !ok {
		return b, false
	}
	b, ok := d.clock(b[12:])
	if !ok || len(b) == 0 {
		return b, ok
	}
	if b, ok = cutByte(b, ' '); !ok {
		return b, false
	}
	return d.zone(b)
}

// klog reads I0102 15:04:05[.999].
func (d *date) klog(b []byte) ([]byte, bool) {
	if len(b) < 14 || bytes.IndexByte([]byte("IWEF"), b[0]) < 0 || b[5] != ' ' {
		return b, false
	}
	d.yearless, d.mon, d.day = true, two(b, 1), two(b, 3)
	return d.clock(b[6:])
}

// compact reads 20060102150405.
func (d *date) compact(b []byte) ([]byte, bool) {
	century, year := two(b, 0), two(b, 2)
	d.year, d.mon, d.day = century*100+year, two(b, 4), two(b, 6)
	d.hour, d.min, d.sec = two(b, 8), two(b, 10), two(b, 12)
	return nil, max(century, year) <= 99 && d.hour < 24 && d.min < 60 && d.sec <= 60
}

// weekday reports whether b begins with the name of a weekday and a space or a
// comma.
func weekday(b []byte) bool {
	if b[3] != ' ' && b[3] != ',' {
		return false
	}
	switch string(b[:3]) {
	case "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun":
		return true
	}
	return false
}

// iso reads 2006-01-02T15:04:05[.999][zone], also with slashes.
func (d *date) iso(b []byte) ([]byte, bool) {
	if len(b) < 19 || b[7] != b[4] || b[10] != 'T' && b[10] != 't' && b[10] != ' ' {
		return b, false
	}
	century, year := two(b, 0), two(b, 2)
	d.year, d.mon, d.day = century*100+year, two(b, 5), two(b, 8)
	b, ok := d.clock(b[11:])
	if !ok || max(century, year) > 99 {
		return b, false
	}
	if len(b) > 1 && b[0] == ' ' {
		b = b[1:]
	}
	return d.zone(b)
}

// clf reads 02/Jan/2006:15:04:05[.999] -0700.
func (d *date) clf(b []byte) ([]byte, bool) {
	if len(b) < 21 || b[6] != '/' || b[11] != ':' {
		return b, false
	}
	century, year := two(b, 7), two(b, 9)
	d.year, d.mon, d.day = century*100+year, month(b[3:]), two(b, 0)
	b, ok := d.clock(b[12:])
	b, sp := cutByte(b, ' ')
	if !ok || !sp || max(century, year) > 99 {
		return b, false
	}
	return d.zone(b)
}

// clock reads 15:04:05 and a fraction.
func (d *date) clock(b []byte) ([]byte, bool) {
	if len(b) < 8 || b[2] != ':' || b[5] != ':' {
		return b, false
	}
	d.hour, d.min, d.sec = two(b, 0), two(b, 3), two(b, 6)
	if d.hour > 23 || d.min > 59 || d.sec > 60 {
		return b, false
	}
	b = b[8:]
	if len(b) == 0 || b[0] != '.' && b[0] != ',' {
		return b, true
	}
	b = b[1:]
	n := 0
	for n < len(b) && n < 9 && digit(b[n]) {
		d.ns = d.ns*10 + int(b[n]-'0')
		n++
	}
	d.ns *= [...]int{0, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 100, 10, 1}[n]
	return b[n:], n > 0
}

// zone reads Z, UTC, GMT, +01:00, +0100, +01 or nothing.
func (d *date) zone(b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return b, true
	}
	d.loc = nil
	if string(b) == "UTC" || string(b) == "GMT" {
		return nil, true
	}
	if b[0] == 'Z' || b[0] == 'z' {
		return b[1:], true
	}
	if len(b) < 3 || b[0] != '+' && b[0] != '-' {
		return b, false
	}
	sign := 44 - int(b[0]) // '+' is 43, '-' is 45
	h, m := two(b, 1), 0
	if b, _ = cutByte(b[3:], ':'); len(b) == 1 {
		return b, false
	} else if len(b) > 1 {
		m, b = two(b, 0), b[2:]
	}
	d.offset = sign * (h*3600 + m*60)
	return b, h < 24 && m < 60
}

// valid reports whether the date exists or, without a year, exists in some
// year.
func (d *date) valid() bool {
	const days = "\x1f\x1d\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"
	return d.mon >= 1 && d.mon <= 12 && d.day >= 1 && d.day <= int(days[d.mon-1]) &&
		(d.yearless || d.mon != 2 || d.day < 29 || leap(d.year))
}

func leap(year int) bool { return year%4 == 0 && (year%100 != 0 || year%400 == 0) }

// time returns the time of a valid date.
func (d *date) time(p *TimeParser, modTime time.Time) time.Time {
	if d.yearless {
		if p.After != nil {
			if after := p.After(); !after.IsZero() {
				return d.from(after)
			}
		}
		return d.until(p.reference(modTime))
	}
	t := d.in(d.year)
	if d.loc != nil && d.loc != time.UTC {
		t = first(t, p.reference(modTime))
	}
	return t
}

// seconds returns the seconds from 1970 to the wall clock of d. Years begin in
// March, so that a leap day is the last day of its year (Hinnant,
// chrono-Compatible Low-Level Date Algorithms).
func (d *date) seconds(year int) int64 {
	y, m := uint(year+400), uint(d.mon+9) // 400 years more: none is negative
	if m >= 12 {
		m -= 12
	} else {
		y--
	}
	century := y / 100
	days := y*365 + y/4 - century + century/4 + (153*m+2)/5 + uint(d.day-1)
	return (int64(days)-daysTo1970)*86400 + int64(d.hour*3600+d.min*60+d.sec)
}

// daysTo1970 is the number of days from March 1 of the year -400 to 1970.
const daysTo1970 = 146097 + 719468

// in returns the time of d in a year.
func (d *date) in(year int) time.Time {
	if d.loc != nil && d.loc != time.UTC {
		t := time.Date(year, time.Month(d.mon), d.day, d.hour, d.min, d.sec, d.ns, d.loc)
		_, off := t.Zone()
		missing := d.seconds(year) - t.Unix() - int64(off)
		d.skipped = missing != 0
		// Date used the offset before the change or the offset after it. The
		// latter makes the time too early.
		return t.Add(time.Duration(max(missing, 0)) * time.Second)
	}
	t := time.Unix(d.seconds(year)-int64(d.offset), int64(d.ns))
	if d.offset == 0 {
		return t.UTC()
	}
	return t.In(fixed(d.offset))
}

// quarters are the zones from -12:00 to +14:00 in steps of a quarter of an
// hour, which include all zones in use. FixedZone allocates for all but whole
// hours.
var quarters = sync.OnceValue(func() (zones []*time.Location) {
	for offset := -12 * 3600; offset <= 14*3600; offset += 900 {
		zones = append(zones, time.FixedZone("", offset))
	}
	return zones
})

// fixed is time.FixedZone without a name.
func fixed(offset int) *time.Location {
	if offset%3600 != 0 && offset%900 == 0 && offset > -12*3600 && offset < 14*3600 {
		return quarters()[(offset+12*3600)/900]
	}
	return time.FixedZone("", offset)
}

// slack is the time by which a time without a year may be on the wrong side of
// its bound: clocks and zones differ.
const slack = 24 * time.Hour

// until returns the time of d in the last year in which it is at most a day
// after ref.
func (d *date) until(ref time.Time) time.Time {
	for year := ref.Year() + 1; ; year-- {
		if d.mon == 2 && d.day == 29 && !leap(year) {
			continue
		}
		if d.loc == time.UTC && d.seconds(year) > ref.Unix()+int64(slack/time.Second) {
			continue
		}
		if t := first(d.in(year), ref); t.Sub(ref) <= slack {
			return t
		}
	}
}

// from returns the time of d in the first year in which it is at most a day
// before after.
func (d *date) from(after time.Time) time.Time {
	for year := after.Year() - 1; ; year++ {
		if d.mon == 2 && d.day == 29 && !leap(year) {
			continue
		}
		if t := first(d.in(year), after); after.Sub(t) <= slack {
			return t
		}
	}
}

// first returns the first of the times with the wall clock of t that is at most
// five minutes before ref. If there is none, it returns the last.
func first(t, ref time.Time) time.Time {
	const reach, tolerance = 3 * time.Hour, 5 * time.Minute
	if t.Location() == time.UTC || t.Sub(ref).Abs() > reach {
		return t
	}
	early := t
	if e := t.Add(-time.Hour); e.Minute() == t.Minute() && e.Hour() == t.Hour() {
		early = e
	}
	late := early.Add(time.Hour)
	if late.Hour() != early.Hour() || ref.Sub(early) <= tolerance {
		return early
	}
	return late
}

// epoch reads seconds since 1970 or parts of seconds.
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
	if digits < 9 || digits%3 == 2 || n < 0 || len(frac) == 1 || len(frac) > 10 { // a shorter number is no time
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

// month returns the number of the English month at the beginning of b, or 0. b
// has three bytes or more.
func month(b []byte) int {
	switch string(b[:3]) {
	case "Jan":
		return 1
	case "Feb":
		return 2
	case "Mar":
		return 3
	case "Apr":
		return 4
	case "May":
		return 5
	case "Jun":
		return 6
	case "Jul":
		return 7
	case "Aug":
		return 8
	case "Sep":
		return 9
	case "Oct":
		return 10
	case "Nov":
		return 11
	case "Dec":
		return 12
	}
	return 0
}

// two returns the number of the two digits at b[i], or more than 99 if they are
// not digits.
func two(b []byte, i int) int {
	tens, ones := b[i]-'0', b[i+1]-'0'
	if tens > 9 || ones > 9 {
		return 100
	}
	return int(tens)*10 + int(ones)
}

// leadingDigits reads n digits.
func leadingDigits(b []byte, n int) (v int, rest []byte, ok bool) {
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

// cutByte cuts c off b.
func cutByte(b []byte, c byte) (rest []byte, ok bool) {
	if len(b) > 0 && b[0] == c {
		return b[1:], true
	}
	return b, false
}
