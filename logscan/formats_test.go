package logscan_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func TestTrap20_Year(t *testing.T) {
	tests := []struct{ in, ref, want string }{
		{"Dec 31 23:59:59", "2026-01-01T00:00:05Z", "2025-12-31T23:59:59Z"},
		{"Jan  1 00:00:01", "2025-12-31T23:59:00Z", "2026-01-01T00:00:01Z"},
		{"Dec 10 06:55:46", "2007-01-03T00:00:00Z", "2006-12-10T06:55:46Z"},
		{"Feb 29 12:00:00", "2026-03-01T00:00:00Z", "2024-02-29T12:00:00Z"},
		{"Feb 29 12:00:00", "2027-03-01T00:00:00Z", "2028-02-29T12:00:00Z"},
		{"Feb 29 12:00:00", "1899-03-01T00:00:00Z", "1896-02-29T12:00:00Z"},
		{"Jun 15 12:00:00", "2026-06-14T00:00:00Z", "2026-06-15T12:00:00Z"},
	}
	for _, tt := range tests {
		p := near(utc(tt.ref))
		got, err := p.Parse([]byte(tt.in))
		if err != nil || !got.Equal(utc(tt.want)) {
			t.Errorf("%s near %s: got %v, %v, want %s", tt.in, tt.ref, got, err, tt.want)
		}
	}
	// A file of two years, read with the time of the record before.
	last := utc("2005-11-01T00:00:00Z")
	p := logscan.TimeParser{Reference: func() time.Time { return last }}
	for _, s := range []string{"Nov  1 00:00:00", "Dec 31 00:00:00", "Mar  1 00:00:00", "Aug  1 00:00:00", "Jan  1 00:00:00"} {
		last, _ = p.Parse([]byte(s))
	}
	check(t, "year of the last", last.Year(), 2007)
}

func TestTrap21_TimeForms(t *testing.T) {
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
	}
	if d := good["Dec  3 01:02:03"]; d != "" { // six months and two days ahead: the year before is nearer
		good["Dec  3 01:02:03"] = "2025-12-03T01:02:03Z"
	}
	for in, want := range good {
		got, err := p.Parse([]byte(in))
		if err != nil || !got.Equal(utc(want)) {
			t.Errorf("%s: got %v, %v, want %s", in, got, err, want)
		}
	}
	for _, in := range []string{
		"", "x", "Dec", "Dec 32 00:00:00", "Feb 30 00:00:00", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-03-01T12:00:00 CEST", "2026-03-01T24:00:00Z",
		"2026-03-01T12:00:00.", "2026-03-01T12:00:00+25:00", "Abc  1 00:00:00", "12345678901234567890123", "1.", ".5", "1767225600.x", "Monday 12:00 XYZ 2026", "10/Oct/2026:13:55:36 UTC",
		"Jan 1 00:00:61", "Jan1 00:00:00", "2026-03-01T12:00:00.1234567890Z",
	} {
		if got, err := p.Parse([]byte(in)); !errors.Is(err, logscan.ErrMalformed) {
			t.Errorf("%q: got %v, %v, want ErrMalformed", in, got, err)
		}
	}
}

func TestTrap22_ClockChange(t *testing.T) {
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
	check(t, "second pass", strings.Join(got, " "), "23:59 00:10 00:59 01:24 01:50 02:00")
}

// Oracle: the clock that was not put forward, one hour behind UTC+2, and the
// statutes: Berlin skips 02:00 to 03:00, Lord Howe half an hour.
func TestTrap22_SkippedTime(t *testing.T) {
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
		loc, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Skip("no time zones here")
		}
		p := logscan.TimeParser{Location: loc, Reference: func() time.Time { return utc("2026-03-28T00:00:00Z") }}
		if c.layout != "" {
			p.Layouts = []string{c.layout}
		}
		var rec logscan.Record
		err = p.Set(&rec, []byte(c.text))
		check(t, c.zone+" "+c.text+": error", err, nil)
		check(t, c.zone+" "+c.text, rec.Time().UTC().Format("15:04:05.9"), c.want)
		check(t, c.zone+" "+c.text+": skipped", rec.TimeSkipped(), c.skipped)
		got, _ := p.Parse([]byte(c.text))
		check(t, c.zone+" "+c.text+": Parse", got.Equal(rec.Time()), true)
	}
}

// The flag goes with the record, and no further than it.
func TestTrap22_SkippedRecords(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here")
	}
	syslog := logscan.Syslog(logscan.TimeParser{Location: berlin, Reference: func() time.Time { return utc("2026-03-28T00:00:00Z") }})
	log := "Mar 29 02:30:00 web1 a: x\nMar 29 03:30:00 web1 a: x\n<13>1 2026-03-29T02:10:00 web1 a - - - x\n<13>1 - web1 a - - - x\n"
	for name, p := range map[string]logscan.Parser{"alone": syslog, "first of a chain": logscan.Chain(syslog, logscan.MustPattern("<x>")), "last of a chain": logscan.Chain(logscan.MustPattern("<message>"), syslog)} {
		var got []bool
		for rec := range (logscan.Scanner{Parser: p}).Records(t.Context(), logscan.Readers("", strings.NewReader(log))) {
			got = append(got, rec.TimeSkipped(), rec.Clone().TimeSkipped())
		}
		check(t, name, got, []bool{true, true, false, false, true, true, false, false})
	}
	var rec logscan.Record
	if err := syslog.Parse(&logscan.Record{}); err == nil {
		t.Error("an empty line: got no error")
	}
	rec.Line = []byte("Mar 29 02:30:00 web1 a: x")
	check(t, "parse", syslog.Parse(&rec), nil)
	rec.SetTime(time.Unix(0, 0))
	check(t, "after SetTime", rec.TimeSkipped(), false)
}

// Oracle: time.Time.Format.
func TestP12_TimeFormats(t *testing.T) {
	ref := utc("2026-06-15T12:00:00Z")
	p := near(ref)
	property(t, "Parse(Format(t)) is t", prop.ForAll(
		func(off int64, form int) string {
			at := ref.Add(time.Duration(off) * time.Second)
			layout := []string{time.Stamp, time.RFC3339, "02/Jan/2006:15:04:05 -0700", "2006-01-02 15:04:05", "Jan 02 15:04:05"}[form]
			if got, err := p.Parse([]byte(at.Format(layout))); err != nil || !got.Equal(at) {
				return fmt.Sprintf("%s: got %v, %v", at.Format(layout), got, err)
			}
			return ""
		}, gen.Int64Range(-182*86400, 182*86400), gen.IntRange(0, 4)))
}

// Oracle: time.Time.Format, and that no year would bring a time nearer than one
// next to it, which is 366 days away.
func TestP12_AllYears(t *testing.T) {
	const first, last = -62135596800 + 366*86400, 253402300799 - 366*86400 // years 2 to 9998
	property(t, "any year, any offset", prop.ForAll(
		func(sec int64, ns, quarter int) string {
			at := time.Unix(sec, int64(ns)).In(time.FixedZone("", quarter*900))
			for _, layout := range []string{time.RFC3339Nano, "02/Jan/2006:15:04:05.999999999 -0700"} {
				got, err := new(logscan.TimeParser).Parse([]byte(at.Format(layout)))
				if err != nil || !got.Equal(at) || got.Format(layout) != at.Format(layout) {
					return fmt.Sprintf("%s: got %v, %v", at.Format(layout), got, err)
				}
			}
			return ""
		}, gen.Int64Range(first, last), gen.IntRange(0, 999999999), gen.IntRange(-60, 60)))
	property(t, "the nearest year", prop.ForAll(
		func(ref, sec int64) string {
			text := time.Unix(sec, 0).UTC().Format(time.Stamp)
			p := near(time.Unix(ref, 0))
			got, err := p.Parse([]byte(text))
			most := 183 * 24 * time.Hour
			if strings.HasPrefix(text, "Feb 29") {
				most = 4 * 366 * 24 * time.Hour
			}
			if diff := got.Sub(time.Unix(ref, 0)).Abs(); err != nil || diff > most || got.Format(time.Stamp) != text {
				return fmt.Sprintf("%s at %v: got %v, %v", text, time.Unix(ref, 0).UTC(), got, err)
			}
			return ""
		}, gen.Int64Range(first, last), gen.Int64Range(first, last)))
}

func TestTrap24_CLF(t *testing.T) {
	head := `1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] `
	p := logscan.CLF(logscan.TimeParser{})
	for in, want := range map[string][2]string{
		head + `"" 400 0`:              {"", "400"},
		head + `"-" 408 - "-" "-"`:     {"-", "408"},
		head + `"User User" 400 226`:   {"User User", "400"},
		head + `"GET /\"x\" HTTP" 200`: {},
		`::1 - a [x] b [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1`: {"GET / HTTP/1.1", "200"},
		head + `"GET /\"x HTTP/1.1" 200 1 "r" "a" "extra" 12`:               {`GET /\"x HTTP/1.1`, "200"},
	} {
		rec := &logscan.Record{Line: []byte(in)}
		err := p.Parse(rec)
		if want == [2]string{} {
			if !errors.Is(err, logscan.ErrMalformed) {
				t.Errorf("%s: got %v, want ErrMalformed", in, err)
			}
			continue
		}
		request := string(rec.Get("request"))
		if want[0] == "-" {
			want[0] = ""
		}
		if err != nil || request != want[0] || string(rec.Get("status")) != want[1] {
			t.Errorf("%s: got %q %q, %v, want %q", in, request, rec.Get("status"), err, want)
		}
	}
	for _, in := range []string{"", "a b", head, head + `"x`, head + `"x"`, head + `"x" 20 1`, head + `"x" 200 1x`, `a - - [nothing] "x" 200 1`} {
		if err := p.Parse(&logscan.Record{Line: []byte(in)}); !errors.Is(err, logscan.ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", in, err)
		}
	}
}

// Oracle: package regexp alone.
func TestP5_RegexpWithoutPrefilter(t *testing.T) {
	exprs := []string{
		`(?P<a>ERROR|WARN) x`, `(?i)(?P<a>kiss)`, `(?:ab)?(?P<a>c)`, `.*(?P<a>d)`, `(?P<a>)`, `\Qa.b\E(?P<a>.)`, `(?i:k)x(?P<a>y)`, `(?P<a>ab+){2,}`, `^(?P<a>a|bc)$`,
		`(?P<a>\x{FFFD})b`, `(?P<a>s)(?i:S)`, `(?P<a>foo|far)`, "(?P<a>a\nb)", `(?P<a>[ab]c)`, `(?s)(?P<a>a.*b)`,
	}
	property(t, "the prefilter loses nothing", prop.ForAll(
		func(seed int64, malformed bool) string {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			atoms := []string{"ERROR", "WARN", " x", "k", "K", "\u212a", "\u017f", "i", "s", "S", "ab", "c", "d", "a.b", "\xff", "\ufffd", "b", "foo", "ar", "a", "\n", "\n", "xy", "x"}
			var b strings.Builder
			for range r.IntN(40) {
				b.WriteString(atoms[r.IntN(len(atoms))])
			}
			re := regexp.MustCompile(exprs[r.IntN(len(exprs))])
			var counters logscan.Counters
			sc := logscan.Scanner{Parser: logscan.Regexp(re), Stats: &counters}
			if malformed {
				sc.Malformed = func(*logscan.Record, error) error { return nil }
			}
			var got, want []string
			for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(b.String()))) {
				got = append(got, fmt.Sprintf("%d %q", rec.Num, rec.Get("a")))
			}
			lines := 0
			for rec := range logscan.Lines(strings.NewReader(b.String())) {
				lines++
				if m := re.FindSubmatch(rec.Line); m != nil {
					want = append(want, fmt.Sprintf("%d %q", rec.Num, m[1]))
				}
			}
			st := counters.Stats()
			if int(st.Records) != lines || int(st.Malformed) != lines-len(want) {
				return fmt.Sprintf("%v: %+v of %d lines", re, st, lines)
			}
			return cmp.Diff(want, got)
		}, gen.Int64(), gen.Bool()))
}

func TestTrap26_CaseFolding(t *testing.T) {
	for expr, lines := range map[string][]string{
		`(?i)(?P<a>kelvin)`: {"KELVIN", "\u212aelvin"}, `(?i)(?P<a>session)`: {"\u017fe\u017fsion", "SESSION"}, `(?P<a>x?)`: {"", "abc"}, `(?P<a>a)|b`: {"b"},
	} {
		p := logscan.Regexp(regexp.MustCompile(expr))
		for _, line := range lines {
			if err := p.Parse(&logscan.Record{Line: []byte(line)}); err != nil {
				t.Errorf("%s on %q: got %v, want a match", expr, line, err)
			}
		}
	}
}

// Oracle: strings.Contains in the loop.
func TestRequire(t *testing.T) {
	property(t, "Require is a test in the loop", prop.ForAll(
		func(s string, seed int64, limit int) string {
			var counters logscan.Counters
			got, _ := scanLines(logscan.Scanner{Require: []string{"ab", "é", "\x00"}, MaxLine: limit, Stats: &counters}, logscan.Readers("", chunked(s, seed)))
			var want []line
			all := model(s, limit)
			for _, l := range all {
				if strings.Contains(l.Line, "ab") || strings.Contains(l.Line, "é") || strings.Contains(l.Line, "\x00") {
					want = append(want, l)
				}
			}
			if st := counters.Stats(); int(st.Records) != len(all) || int(st.Prefiltered) != len(all)-len(want) || int(st.Delivered) != len(want) {
				return fmt.Sprintf("%+v, %d of %d", st, len(want), len(all))
			}
			return cmp.Diff(want, got)
		}, text(), gen.Int64(), gen.IntRange(1, 250)))
}

// Oracle: bytes.Index. Texts of few bytes have many near misses.
func TestRequire_Index(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "AAAAAAab 1[\xff"[rng.IntN(12)]
		}
		return b
	}
	for range 20000 {
		data, text := random(rng.IntN(200)), random(rng.IntN(9))
		if rng.IntN(2) == 0 && len(data) > 20 {
			copy(data[len(data)-len(text)-rng.IntN(10):], text)
		}
		if got, want := logscan.Index(data, text), bytes.Index(data, text); got != want {
			t.Fatalf("%q in %q: got %d, want %d", text, data, got, want)
		}
	}
}

func TestTrap30_RepeatedMessage(t *testing.T) {
	p := logscan.Syslog(logscan.TimeParser{})
	for in, want := range map[string]string{
		"message repeated 5 times: [ Failed password for root]": "5 Failed password for root",
		"message repeated 5 times: [ unclosed":                  "1 message repeated 5 times: [ unclosed",
		"message repeated x times: [ a]":                        "1 message repeated x times: [ a]",
		"message repeated 99999999999 times: [ a]":              "1 message repeated 99999999999 times: [ a]",
	} {
		rec := &logscan.Record{Line: []byte("Mar  1 12:00:00 h sshd[1]: " + in)}
		err := p.Parse(rec)
		check(t, in, fmt.Sprint(rec.Weight(), " ", string(rec.Get("message")), err), want+"<nil>")
	}
}

func TestSyslog(t *testing.T) {
	p := logscan.Syslog(near(utc("2026-06-01T00:00:00Z")))
	tests := []struct{ in, want string }{
		{"Mar  1 12:00:00 h app: hi", "host=h app=app message=hi"},
		{"<13>Mar  1 12:00:00 h app[7]: hi: you", "pri=13 host=h app=app pid=7 message=hi: you"},
		{"2026-03-01T12:00:00Z h no tag here", "host=h message=no tag here"},
		{"Mar  1 12:00:00 h kernel[unclosed: x", "host=h message=kernel[unclosed: x"},
		{`<34>1 2026-03-01T12:00:00Z h a 1 m [x@1 k="a]\"b"][y] ` + "\xef\xbb\xbfhi", `pri=34 host=h app=a pid=1 msgid=m data=[x@1 k="a]\"b"][y] message=hi`},
		{"<34>1 - - - - - -", "pri=34"},
		{"", ""},
		{"<>x", ""},
		{"<192>Mar  1 12:00:00 h a: b", ""},
		{"<1", ""},
		{"<34>1 - h a", ""},
		{"<34>1 - h a 1 m [x", ""},
		{"Mar  1 12:00:00", ""},
		{"Mar  1 12:00:00 ", ""},
	}
	for _, tt := range tests {
		rec := &logscan.Record{Line: []byte(tt.in)}
		err := p.Parse(rec)
		var got []string
		for name, v := range rec.Fields() {
			got = append(got, name+"="+string(v))
		}
		if tt.want == "" {
			if !errors.Is(err, logscan.ErrMalformed) {
				t.Errorf("%q: got %v, want ErrMalformed", tt.in, err)
			}
		} else if s := strings.Join(got, " "); err != nil || s != tt.want {
			t.Errorf("%q: got %q, %v, want %q", tt.in, s, err, tt.want)
		}
	}
}

func TestLogfmtAndChain(t *testing.T) {
	p := logscan.Logfmt()
	for in, want := range map[string]string{
		`a=1 b="x \"y\" \u00e9" c= d`: `a="1" b="x \"y\" é" c="" d=""`, "": "", " \t a=b=c ": `a="b=c"`,
		`=x`: "error", `a"b=1`: "error", `a="x`: "error", `a="x"y`: "error", `a=x"y`: "error", `a="\x"`: "error",
	} {
		rec := &logscan.Record{Line: []byte(in)}
		got := ""
		if err := p.Parse(rec); err != nil {
			got = "error"
		} else {
			for name, v := range rec.Fields() {
				got += fmt.Sprintf(" %s=%q", name, v)
			}
		}
		check(t, in, strings.TrimSpace(got), want)
	}
	c := logscan.Chain(logscan.MustPattern("<message>|<n>"), logscan.MustPattern("<k>=<message>"), logscan.JSON("a"))
	rec := &logscan.Record{Line: []byte(`x={"a":1}|2`)}
	check(t, "chain", fmt.Sprint(c.Parse(rec), " ", string(rec.Get("k")), string(rec.Get("a")), string(rec.Get("n"))), "<nil> x12")
	if err := logscan.Chain(logscan.JSON("a"), logscan.JSON("b")).Parse(&logscan.Record{Line: []byte("{}")}); !errors.Is(err, logscan.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}

// compareCSV holds a row against encoding/csv.
func compareCSV(s string) string {
	if strings.ContainsAny(s, "\r\n") || s == "" {
		return ""
	}
	rd := csv.NewReader(strings.NewReader(s))
	want, err := rd.Read()
	n := max(len(want), 1)
	header := make([]string, n)
	for i := range header {
		header[i] = fmt.Sprint("col", i)
	}
	rec := &logscan.Record{Line: []byte(s)}
	got := logscan.CSV(header...).Parse(rec)
	if err != nil {
		if got == nil && len(want) == 0 {
			return fmt.Sprintf("%q accepted, want %v", s, err)
		}
		return ""
	}
	if got != nil {
		return fmt.Sprintf("%q: got %v", s, got)
	}
	for i, w := range want {
		if v := string(rec.Get(header[i])); v != w {
			return fmt.Sprintf("%q: column %d: got %q, want %q", s, i, v, w)
		}
	}
	return ""
}

func TestCSV(t *testing.T) {
	for _, s := range []string{`a,b`, `"a,b",c`, `"a""b"`, `a"b`, `"a"b`, `"a`, `,`, `"",""`, `""""`, ` a`} {
		if diff := compareCSV(s); diff != "" {
			t.Error(diff)
		}
	}
	for _, s := range []string{"1", "1,2,3", "a,b"} {
		if err := logscan.CSV("a", "b").Parse(&logscan.Record{Line: []byte(s)}); !errors.Is(err, logscan.ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", s, err)
		}
	}
}

func TestTrap36_Redact(t *testing.T) {
	mask := logscan.Mask(regexp.MustCompile(`token=\S*`), regexp.MustCompile(`\d{4,}`))
	for in, want := range map[string]string{
		"a token=12345 b": "a *********** b", "é1234é": "é****é", "x": "x", "12345token=a": "************",
	} {
		got := mask([]byte("dst"), []byte(in))
		check(t, in, string(got), "dst"+want)
		check(t, "again", string(mask(nil, got[3:])), want)
	}
	var hook string
	sc := logscan.Scanner{
		MaxLine: 12, Parser: logscan.JSON(),
		Redact:    func(dst, src []byte) []byte { return append(mask(dst, src), "and what is longer than MaxLine"...) },
		Malformed: func(r *logscan.Record, _ error) error { hook = string(r.Line); return nil },
	}
	rows(sc, strings.NewReader("k token=secret and more\n"))
	check(t, "cut secret in the hook", hook, "k **********")
}

// What a mask makes of JSON is JSON, of the same length, and the parser sees the mask.
func TestTrap36_RedactedJSON(t *testing.T) {
	sc := logscan.Scanner{Parser: logscan.JSON("user", "note"), Redact: logscan.Mask(regexp.MustCompile(`tok-[a-z]+`), regexp.MustCompile(`[a-z]+@[a-z.]+`))}
	log := `{"user":"eve@example.org","note":"tok-abc, then \"tok-def\" \u00e9 \\tok-g"}` + "\n"
	for rec, err := range sc.Records(t.Context(), logscan.Readers("", strings.NewReader(log))) {
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(rec.Line) || len(rec.Line) != len(log)-1 {
			t.Errorf("got %s, want JSON of %d bytes", rec.Line, len(log)-1)
		}
		check(t, "user", string(rec.Get("user")), "***************")
		check(t, "note", string(rec.Get("note")), `*******, then "*******" é \*****`)
	}
}

func FuzzFormats(f *testing.F) {
	f.Add(`<34>1 2026-03-01T12:00:00Z h a 1 m [x k="v"] hi`)
	f.Add("Mar  1 12:00:00 h app[7]: message repeated 3 times: [ x]")
	f.Add(`1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1 "r" "a"`)
	f.Add(`a=1 b="x \"y\"" c= d`)
	f.Add(`a,"b ""c""",d`)
	f.Add("1767225600.25")
	tp := near(utc("2026-06-01T00:00:00Z"))
	parsers := []logscan.Parser{logscan.Syslog(tp), logscan.CLF(tp), logscan.Logfmt(), logscan.Logfmt("a"), logscan.CSV("a", "b")}
	f.Fuzz(func(t *testing.T, s string) {
		for _, p := range parsers {
			rec := &logscan.Record{Line: []byte(s)}
			if err := p.Parse(rec); err != nil && !errors.Is(err, logscan.ErrMalformed) {
				t.Errorf("got %v, want ErrMalformed", err)
			}
			for name, v := range rec.Fields() {
				if len(v) > len(s) || string(rec.Line) != s {
					t.Errorf("field %s: got %q of %q", name, v, s)
				}
			}
		}
		tp.Parse([]byte(s))
		if diff := compareCSV(s); diff != "" {
			t.Error(diff)
		}
	})
}
