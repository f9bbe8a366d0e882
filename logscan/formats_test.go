package logscan_test

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestCLF(t *testing.T) {
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

func TestRepeatedMessage(t *testing.T) {
	p := logscan.Syslog(logscan.TimeParser{})
	for in, want := range map[string]string{
		"message repeated 5 times: [ Failed password for root]": "5 Failed password for root",
		"message repeated 5 times: [ unclosed":                  "1 message repeated 5 times: [ unclosed",
		"message repeated x times: [ a]":                        "1 message repeated x times: [ a]",
		"message repeated 99999999999 times: [ a]":              "1 message repeated 99999999999 times: [ a]",
	} {
		t.Run(in, func(t *testing.T) {
			rec := &logscan.Record{Line: []byte("Mar  1 12:00:00 h sshd[1]: " + in)}
			checkEqual(t, p.Parse(rec), nil)
			checkEqual(t, fmt.Sprint(rec.Weight(), " ", string(rec.Get("message"))), want)
		})
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
		t.Run(in, func(t *testing.T) {
			rec := &logscan.Record{Line: []byte(in)}
			got := ""
			if err := p.Parse(rec); err != nil {
				got = "error"
			} else {
				for name, v := range rec.Fields() {
					got += fmt.Sprintf(" %s=%q", name, v)
				}
			}
			checkEqual(t, strings.TrimSpace(got), want)
		})
	}
	c := logscan.Chain(logscan.MustPattern("<message>|<n>"), logscan.MustPattern("<k>=<message>"), logscan.JSON("a"))
	rec := &logscan.Record{Line: []byte(`x={"a":1}|2`)}
	checkEqual(t, fmt.Sprint(c.Parse(rec), " ", string(rec.Get("k")), string(rec.Get("a")), string(rec.Get("n"))), "<nil> x12")
	if err := logscan.Chain(logscan.JSON("a"), logscan.JSON("b")).Parse(&logscan.Record{Line: []byte("{}")}); !errors.Is(err, logscan.ErrMalformed) {
		t.Errorf("got %v, want ErrMalformed", err)
	}
}

// compareCSV returns how a row differs from the row of encoding/csv.
func compareCSV(s string) string { return compareRow(logscan.CSV, s) }

func compareRow(parser func(header ...string) logscan.Parser, s string) string {
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
	got := parser(header...).Parse(rec)
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
	if compareRow(func(header ...string) logscan.Parser { return forgetful(logscan.CSV(header...), "col1") }, "a,b") == "" {
		t.Error("the oracle accepts a row without its second column")
	}
	for _, s := range []string{"1", "1,2,3", "a,b"} {
		if err := logscan.CSV("a", "b").Parse(&logscan.Record{Line: []byte(s)}); !errors.Is(err, logscan.ErrMalformed) {
			t.Errorf("%q: got %v, want ErrMalformed", s, err)
		}
	}
}

func TestRedact(t *testing.T) {
	mask := logscan.Mask(regexp.MustCompile(`token=\S*`), regexp.MustCompile(`\d{4,}`))
	for in, want := range map[string]string{
		"a token=12345 b": "a *********** b", "é1234é": "é****é", "x": "x", "12345token=a": "************",
	} {
		got := mask([]byte("dst"), []byte(in))
		checkEqual(t, string(got), "dst"+want)
		checkEqual(t, string(mask(nil, got[3:])), want)
	}
	var hook string
	sc := logscan.Scanner{
		MaxLine: 12, Parser: logscan.JSON(),
		Redact:    func(dst, src []byte) []byte { return append(mask(dst, src), "and what is longer than MaxLine"...) },
		Malformed: func(r *logscan.Record, _ error) error { hook = string(r.Line); return nil },
	}
	rows(sc, strings.NewReader("k token=secret and more\n"))
	checkEqual(t, hook, "k **********")
}

// Masked JSON is valid JSON of the same length, and the parser sees the mask.
func TestRedactedJSON(t *testing.T) {
	sc := logscan.Scanner{Parser: logscan.JSON("user", "note"), Redact: logscan.Mask(regexp.MustCompile(`tok-[a-z]+`), regexp.MustCompile(`[a-z]+@[a-z.]+`))}
	log := `{"user":"eve@example.org","note":"tok-abc, then \"tok-def\" \u00e9 \\tok-g"}` + "\n"
	for rec, err := range sc.Records(t.Context(), logscan.Readers("", strings.NewReader(log))) {
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(rec.Line) || len(rec.Line) != len(log)-1 {
			t.Errorf("got %s, want JSON of %d bytes", rec.Line, len(log)-1)
		}
		checkEqual(t, string(rec.Get("user")), "***************")
		checkEqual(t, string(rec.Get("note")), `*******, then "*******" é \*****`)
	}
}

func FuzzFormats(f *testing.F) {
	f.Add(`<34>1 2026-03-01T12:00:00Z h a 1 m [x k="v"] hi`)
	f.Add("Mar  1 12:00:00 h app[7]: message repeated 3 times: [ x]")
	f.Add(`1.2.3.4 - - [10/Oct/2026:13:55:36 +0000] "GET / HTTP/1.1" 200 1 "r" "a"`)
	f.Add(`a=1 b="x \"y\"" c= d`)
	f.Add(`a,"b ""c""",d`)
	f.Add("1767225600.25")
	f.Add(`"000000\`)
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
