package logscan_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

func near(t time.Time) logscan.TimeParser {
	return logscan.TimeParser{Reference: func() time.Time { return t }}
}

func utc(s string) time.Time {
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		panic(err)
	}
	return t
}

func TestYear(t *testing.T) {
	tests := []struct{ in, ref, want string }{
		{"Dec 31 23:59:59", "2026-01-01T00:00:05Z", "2025-12-31T23:59:59Z"},
		{"Jan  1 00:00:01", "2025-12-31T23:59:00Z", "2026-01-01T00:00:01Z"},
		{"Dec 10 06:55:46", "2007-01-03T00:00:00Z", "2006-12-10T06:55:46Z"},
		{"Feb 29 12:00:00", "2026-03-01T00:00:00Z", "2024-02-29T12:00:00Z"},
		{"Feb 29 12:00:00", "2027-03-01T00:00:00Z", "2024-02-29T12:00:00Z"},
		{"Feb 29 12:00:00", "1899-03-01T00:00:00Z", "1896-02-29T12:00:00Z"},
		{"Jun 15 00:00:00", "2026-06-14T00:00:00Z", "2026-06-15T00:00:00Z"},
		{"Jun 15 00:00:01", "2026-06-14T00:00:00Z", "2025-06-15T00:00:01Z"},
		{"Dec  3 09:23:38", "2007-11-03T09:23:38Z", "2006-12-03T09:23:38Z"},
	}
	for _, tt := range tests {
		p := near(utc(tt.ref))
		got, err := p.Parse([]byte(tt.in))
		if err != nil || !got.Equal(utc(tt.want)) {
			t.Errorf("%s near %s: got %v, %v, want %s", tt.in, tt.ref, got, err, tt.want)
		}
	}
	// A log of several years is read with the time of the record before.
	last := utc("2005-11-01T00:00:00Z")
	p := logscan.TimeParser{After: func() time.Time { return last }}
	var got []string
	for _, s := range []string{"Nov  1 00:00:00", "Oct 31 23:59:00", "Dec 31 00:00:00", "Nov 15 00:00:00", "Jan  1 00:00:00", "Feb 29 00:00:00"} {
		last, _ = p.Parse([]byte(s))
		got = append(got, last.Format(time.DateOnly))
	}
	checkEqual(t, strings.Join(got, " "), "2005-11-01 2005-10-31 2005-12-31 2006-11-15 2007-01-01 2008-02-29")
	last = time.Time{}
	p.Reference = func() time.Time { return utc("2020-02-01T00:00:00Z") }
	first, _ := p.Parse([]byte("Mar  1 00:00:00"))
	checkEqual(t, first.Year(), 2019)
}

func TestTimeForms(t *testing.T) {
	p := near(utc("2026-06-01T00:00:00Z"))
	p.Layouts = []string{"Monday 15:04 MST 2006"}
	good := map[string]string{
		"Dec  3 01:02:03": "2026-12-03T01:02:03Z", "Mar 03 01:02:03.5": "2026-03-03T01:02:03.5Z", "Mar 3 01:02:03": "2026-03-03T01:02:03Z",
		"2026-03-01T12:00:00Z": "2026-03-01T12:00:00Z", "2026-03-01 12:00:00,123456789": "2026-03-01T12:00:00.123456789Z",
		"2026-03-01T12:00:00+0100": "2026-03-01T11:00:00Z", "2026-03-01T12:00:00.1-01:30": "2026-03-01T13:30:00.1Z", "2026-03-01T12:00:00 +01": "2026-03-01T11:00:00Z",
		"10/Oct/2026:13:55:36 -0700": "2026-10-10T20:55:36Z", "2016-12-31T23:59:60Z": "2017-01-01T00:00:00Z",
		"1767225600": "2026-01-01T00:00:00Z", "1767225600.25": "2026-01-01T00:00:00.25Z", "1767225600123": "2026-01-01T00:00:00.123Z",
		"1767225600123456": "2026-01-01T00:00:00.123456Z", "1767225600123456789": "2026-01-01T00:00:00.123456789Z",
		"Monday 12:00 UTC 2026": "2026-01-01T12:00:00Z",
		"2026/03/01 12:00:00":   "2026-03-01T12:00:00Z", "20260301120000": "2026-03-01T12:00:00Z", "2026-03-01 12:00:00 UTC": "2026-03-01T12:00:00Z", "10/Oct/2026:13:55:36 UTC": "2026-10-10T13:55:36Z",
		"Wed Oct 11 14:32:52.123456 2000": "2000-10-11T14:32:52.123456Z", "Sun Mar  1 12:00:00 2026": "2026-03-01T12:00:00Z", "Sun Mar  1 12:00:00 UTC 2026": "2026-03-01T12:00:00Z",
		"Sun Mar  1 12:00:00": "2026-03-01T12:00:00Z", "Mar  1 12:00:00 2026": "2026-03-01T12:00:00Z", "Mar  1 2026 12:00:00": "2026-03-01T12:00:00Z",
		"Sun, 01 Mar 2026 12:00:00 GMT": "2026-03-01T12:00:00Z", "Sun, 1 Mar 2026 12:00:00 +0100": "2026-03-01T11:00:00Z",
		"I0301 12:00:00.000001": "2026-03-01T12:00:00.000001Z", "E0301 12:00:00": "2026-03-01T12:00:00Z", "176722560": "1975-08-08T09:36:00Z",
	}
	good["Dec  3 01:02:03"] = "2025-12-03T01:02:03Z"
	for in, want := range good {
		got, err := p.Parse([]byte(in))
		if err != nil || !got.Equal(utc(want)) {
			t.Errorf("%s: got %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "x", "Dec", "Dec 32 00:00:00", "Feb 30 00:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-03-01T12:00:00 CEST", "2026-03-01T24:00:00Z",
		"2026-03-01T12:00:00.", "2026-03-01T12:00:00+25:00", "Abc  1 00:00:00", "12345678901234567890123", "1.", ".5", "1767225600.x", "Monday 12:00 XYZ 2026", "12", "17672256", "17672256001", "20261301120000", "20260301126000",
		"Sun Mar  1 12:00:00 CET 2026", "Sun, 01 Mar 26 12:00:00", "X0301 12:00:00", "I0301 12:00", "Sunday Mar  1 12:00:00", "Mar  1 12:00:00 x", "2026/03-01 12:00:00",
		"Jan 1 00:00:61", "Jan1 00:00:00", "2026-03-01T12:00:00.1234567890Z",
	} {
		if got, err := p.Parse([]byte(in)); !errors.Is(err, logscan.ErrMalformed) {
			t.Errorf("%q: got %v, %v, want ErrMalformed", in, got, err)
		}
	}
}

func TestClockChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	last := time.Date(2026, 10, 25, 1, 30, 0, 0, berlin)
	p := logscan.TimeParser{Location: berlin, Reference: func() time.Time { return last }}
	var got []string
	for _, s := range []string{"Oct 25 01:59:00", "Oct 25 02:10:00", "Oct 25 02:59:00", "Oct 25 02:24:00", "Oct 25 02:50:00", "Oct 25 03:00:00"} {
		if last, err = p.Parse([]byte(s)); err != nil {
			t.Fatal(err)
		}
		got = append(got, last.UTC().Format("15:04"))
	}
	checkEqual(t, strings.Join(got, " "), "23:59 00:10 00:59 01:24 01:50 02:00")
}

// Oracle: a clock that was not put forward, one hour behind UTC+2, and the law.
// Berlin skips 02:00 to 03:00, Lord Howe half an hour.
func TestSkippedTime(t *testing.T) {
	for _, c := range []struct {
		zone, layout, text, want string
		skipped                  bool
	}{
		{"Europe/Berlin", "", "Mar 29 01:59:59", "00:59:59", false},
		{"Europe/Berlin", "", "Mar 29 02:00:00", "01:00:00", true},
		{"Europe/Berlin", "", "2026-03-29 02:30:00", "01:30:00", true},
		{"Europe/Berlin", "", "Mar 29 02:59:59.5", "01:59:59.5", true},
		{"Europe/Berlin", "", "Mar 29 03:00:00", "01:00:00", false},
		{"Europe/Berlin", "", "2026-03-29T02:30:00+02:00", "00:30:00", false},
		{"Europe/Berlin", "", "2026-10-25 03:30:00", "02:30:00", false},
		{"Europe/Berlin", "02.01.2006 15:04", "29.03.2026 02:30", "01:30:00", true},
		{"Europe/Berlin", "02.01.2006 15:04", "29.03.2026 03:30", "01:30:00", false},
		{"Europe/Berlin", "02.01. 15:04", "29.03. 02:30", "01:30:00", true},
		{"America/New_York", "", "2026-03-08 02:30:00", "07:30:00", true},
		{"America/New_York", "", "2026-03-08 03:30:00", "07:30:00", false},
		{"Australia/Lord_Howe", "", "2026-10-04 02:10:00", "15:40:00", true},
		{"UTC", "", "2026-03-29 02:30:00", "02:30:00", false},
	} {
		t.Run(c.zone+" "+c.text, func(t *testing.T) {
			loc, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Skip("no time zones here")
			}
			p := logscan.TimeParser{Location: loc, Reference: func() time.Time { return utc("2026-03-30T00:00:00Z") }}
			if c.layout != "" {
				p.Layouts = []string{c.layout}
			}
			var rec logscan.Record
			checkEqual(t, p.Set(&rec, []byte(c.text)), nil)
			checkEqual(t, rec.Time().UTC().Format("15:04:05.9"), c.want)
			checkEqual(t, rec.TimeSkipped(), c.skipped)
			got, _ := p.Parse([]byte(c.text))
			checkEqual(t, got, rec.Time())
		})
	}
}

// TimeSkipped belongs to a single record.
func TestSkippedRecords(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	syslog := logscan.Syslog(logscan.TimeParser{Location: berlin, Reference: func() time.Time { return utc("2026-03-30T00:00:00Z") }})
	log := "Mar 29 02:30:00 web1 a: x\nMar 29 03:30:00 web1 a: x\n<13>1 2026-03-29T02:10:00 web1 a - - - x\n<13>1 - web1 a - - - x\n"
	for name, p := range map[string]logscan.Parser{"alone": syslog, "first of a chain": logscan.Chain(syslog, logscan.MustPattern("<x>")), "last of a chain": logscan.Chain(logscan.MustPattern("<message>"), syslog)} {
		t.Run(name, func(t *testing.T) {
			var got []bool
			for rec := range (logscan.Scanner{Parser: p}).Records(t.Context(), logscan.Readers("", strings.NewReader(log))) {
				got = append(got, rec.TimeSkipped(), rec.Clone().TimeSkipped())
			}
			checkEqual(t, got, []bool{true, true, false, false, true, true, false, false})
		})
	}
	var rec logscan.Record
	if err := syslog.Parse(&logscan.Record{}); err == nil {
		t.Error("an empty line: got no error")
	}
	rec.Line = []byte("Mar 29 02:30:00 web1 a: x")
	checkEqual(t, syslog.Parse(&rec), nil)
	rec.SetTime(time.Unix(0, 0))
	checkEqual(t, rec.TimeSkipped(), false)
}

// parseTime is logscan.TimeParser.Parse, or a broken function that a property
// must reject.
type parseTime func(p logscan.TimeParser, text string) (time.Time, error)

func parsed(p logscan.TimeParser, text string) (time.Time, error) { return p.Parse([]byte(text)) }

// shifted returns a parseTime that is wrong by d.
func shifted(d time.Duration) parseTime {
	return func(p logscan.TimeParser, text string) (time.Time, error) {
		at, err := parsed(p, text)
		return at.Add(d), err
	}
}

// Oracle: time.Time.Format.
func timeFormats(parse parseTime) gopter.Prop {
	ref := utc("2026-06-15T12:00:00Z")
	p := near(ref)
	return prop.ForAll(
		func(off int64, form int) string {
			at := ref.Add(time.Duration(off) * time.Second)
			layout := []string{time.Stamp, time.RFC3339, "02/Jan/2006:15:04:05 -0700", "2006-01-02 15:04:05", "Jan 02 15:04:05"}[form]
			if got, err := parse(p, at.Format(layout)); err != nil || !got.Equal(at) {
				return fmt.Sprintf("%s: got %v, %v", at.Format(layout), got, err)
			}
			return ""
		}, gen.Int64Range(-364*86400, 86400), gen.IntRange(0, 4))
}

func TestTimeFormats(t *testing.T) {
	checkProperty(t, 200, timeFormats(parsed))
	checkBites(t, timeFormats(shifted(time.Second)))
}

const yearTwo, yearTenThousand = -62135596800 + 366*86400, 253402300799 - 366*86400

// Oracle: time.Time.Format.
func anyYear(parse parseTime) gopter.Prop {
	return prop.ForAll(
		func(sec int64, ns, quarter int) string {
			at := time.Unix(sec, int64(ns)).In(time.FixedZone("", quarter*900))
			for _, layout := range []string{time.RFC3339Nano, "02/Jan/2006:15:04:05.999999999 -0700"} {
				got, err := parse(logscan.TimeParser{}, at.Format(layout))
				if err != nil || !got.Equal(at) || got.Format(layout) != at.Format(layout) {
					return fmt.Sprintf("%s: got %v, %v", at.Format(layout), got, err)
				}
			}
			return ""
		}, gen.Int64Range(yearTwo, yearTenThousand), gen.IntRange(0, 999999999), gen.IntRange(-60, 60))
}

// Oracle: a day later than the result, the same text has not come again.
func lastYear(parse parseTime) gopter.Prop {
	return prop.ForAll(
		func(ref, sec int64) string {
			text := time.Unix(sec, 0).UTC().Format(time.Stamp)
			got, err := parse(near(time.Unix(ref, 0)), text)
			least := -365 * 24 * time.Hour
			if strings.HasPrefix(text, "Feb 29") {
				least = -8 * 366 * 24 * time.Hour
			}
			if diff := got.Sub(time.Unix(ref, 0)); err != nil || diff > 24*time.Hour || diff < least || got.Format(time.Stamp) != text {
				return fmt.Sprintf("%s at %v: got %v, %v", text, time.Unix(ref, 0).UTC(), got, err)
			}
			return ""
		}, gen.Int64Range(yearTwo, yearTenThousand), gen.Int64Range(yearTwo, yearTenThousand))
}

func TestAllYears(t *testing.T) {
	checkProperty(t, 200, anyYear(parsed))
	checkBites(t, anyYear(shifted(1)))
	checkProperty(t, 200, lastYear(parsed))
	checkBites(t, lastYear(shifted(366*24*time.Hour)))
}
