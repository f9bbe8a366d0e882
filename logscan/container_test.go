package logscan_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

// fieldsOf parses a line and returns its time and its fields as text.
func fieldsOf(p logscan.Parser, line string) string {
	r := &logscan.Record{Line: []byte(line)}
	if err := p.Parse(r); err != nil {
		return "error"
	}
	var b strings.Builder
	if !r.Time().IsZero() {
		b.WriteString(r.Time().UTC().Format(time.RFC3339Nano))
	}
	for k, v := range r.Fields() {
		fmt.Fprintf(&b, " %s=%q", k, v)
	}
	return b.String()
}

func TestTimed(t *testing.T) {
	p := logscan.Timed(logscan.JSON("ts", "a"), "ts", logscan.TimeParser{})
	for line, want := range map[string]string{
		`{"ts":"2026-03-01T12:00:00Z","a":1}`: `2026-03-01T12:00:00Z ts="2026-03-01T12:00:00Z" a="1"`,
		`{"ts":1767225600.5}`:                 `2026-01-01T00:00:00.5Z ts="1767225600.5"`,
		`{"a":1}`:                             ` a="1"`, `{"ts":"soon"}`: "error", `x`: "error",
	} {
		if got := fieldsOf(p, line); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}

func TestNumbersOfRecords(t *testing.T) {
	r := &logscan.Record{Line: []byte("n=42 f=1.5 d=1m3.5s ms=250 x=y nan=NaN big=1e300")}
	if err := logscan.Logfmt().Parse(r); err != nil {
		t.Fatal(err)
	}
	n, ok := r.Int("n")
	checkEqual(t, fmt.Sprint(n, ok), "42 true")
	n, ok = r.Int("f")
	checkEqual(t, fmt.Sprint(n, ok), "0 false")
	f, ok := r.Float("f")
	checkEqual(t, fmt.Sprint(f, ok), "1.5 true")
	_, ok = r.Float("nan")
	checkEqual(t, ok, false)
	d, ok := r.Duration("d", time.Millisecond)
	checkEqual(t, fmt.Sprint(d, ok), "1m3.5s true")
	d, ok = r.Duration("ms", time.Millisecond)
	checkEqual(t, fmt.Sprint(d, ok), "250ms true")
	for _, key := range []string{"x", "none", "big"} {
		if d, ok := r.Duration(key, math.MaxInt64); ok {
			t.Errorf("%s is %v", key, d)
		}
	}
}

func TestContainerLog(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for line, want := range map[string]string{
		"2026-03-01T12:00:00.123456789Z stdout F hello world": `2026-03-01T12:00:00.123456789Z message="hello world" stream="stdout"`,
		"2026-03-01T12:00:00+01:00 stderr F ":                 `2026-03-01T11:00:00Z message="" stream="stderr"`,
		"2026-03-01T12:00:00Z stdout P:x one \n2026-03-01T12:00:01Z stdout P two \n2026-03-01T12:00:02Z stdout F three":                                               `2026-03-01T12:00:00Z message="one two three" stream="stdout"`,
		`{"log":"hello \"world\"\n","stream":"stdout","time":"2026-03-01T12:00:00Z"}`:                                                                                 `2026-03-01T12:00:00Z message="hello \"world\"" stream="stdout"`,
		"{\"log\":\"one \\t\",\"stream\":\"stdout\",\"time\":\"2026-03-01T12:00:00Z\"}\n{\"log\":\"two\\n\",\"stream\":\"stdout\",\"time\":\"2026-03-01T12:00:01Z\"}": `2026-03-01T12:00:01Z message="one \ttwo" stream="stdout"`,
		"2026-03-01T12:00:00Z stdin F x": "error", "x": "error", "": "error", `{"log":"a"}`: "error", `{"x":1}`: "error", "soon stdout F x": "error", "2026-03-01T12:00:00Z stdout P a\nb": "error",
	} {
		if got := fieldsOf(logscan.ContainerLog(), line); got != want {
			t.Errorf("%q:\n got %s\nwant %s", line, got, want)
		}
	}
	for path, want := range map[string]string{
		"/var/log/containers/web-7d_shop_nginx-" + id + ".log":          "shop web-7d nginx true",
		"/var/log/containers/web-7d_shop_side-car-" + id + ".log":       "shop web-7d side-car true",
		"/var/log/pods/shop_web-7d_1b2c/nginx/0.log":                    "shop web-7d nginx true",
		"/var/log/pods/shop_web-7d_1b2c/nginx/0.log.20260301-120000.gz": "shop web-7d nginx true",
		"/var/log/syslog": "   false", "a_b_c.log": "a b c false", "": "   false", "/x/y.log": "   false",
	} {
		ns, pod, container, ok := logscan.Container(path)
		if !ok {
			ns, pod, container = "", "", ""
			want = "   false"
		}
		if got := fmt.Sprint(ns, " ", pod, " ", container, " ", ok); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

// joinedBy returns the records of a text, by Records and by Map in small parts.
func joinedBy(t *testing.T, j *logscan.Joiner, text string) (got []string) {
	t.Helper()
	for rec, err := range (logscan.Scanner{Join: j}).Records(t.Context(), logscan.Readers("", strings.NewReader(text))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec.Line))
	}
	for _, chunk := range []int{1, 7, 64} {
		var parts []string
		for line, err := range logscan.Map(t.Context(), logscan.Scanner{Join: j, Chunk: chunk, Workers: 3}, memInputs(text), func(r *logscan.Record) (string, bool) { return string(r.Line), true }) {
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, line)
		}
		if fmt.Sprintf("%q", parts) != fmt.Sprintf("%q", got) {
			t.Errorf("chunks of %d:\n got %q\nwant %q", chunk, parts, got)
		}
	}
	return got
}

func TestJoinParts(t *testing.T) {
	text := "t stdout P a\nt stdout P b\nt stdout F c\nt stderr F d\nt stdout P e\nt stdout F f\n" +
		`{"log":"x\\n","stream":"stdout"}` + "\n" + `{"log":"y\n","stream":"stdout"}` + "\nt stdout P last\n"
	got := joinedBy(t, logscan.JoinParts(), text)
	want := []string{
		"t stdout P a\nt stdout P b\nt stdout F c", "t stderr F d", "t stdout P e\nt stdout F f",
		`{"log":"x\\n","stream":"stdout"}` + "\n" + `{"log":"y\n","stream":"stdout"}`, "t stdout P last",
	}
	checkEqual(t, fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
}

func TestJoinTraces(t *testing.T) {
	records := []string{
		"2026-03-01 ERROR order failed\njava.lang.IllegalStateException: no stock\n\tat shop.Stock.take(Stock.java:7)\nCaused by: java.io.IOException: gone\n\t... 12 more",
		"2026-03-01 INFO ok",
		"2026-03-01 ERROR worker\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nValueError: bad",
		"2026/03/01 starting\npanic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/src/main.go:7 +0x1d\nmain.main()\n\t/src/main.go:3 +0x2\nexit status 2",
		"plain Error in the middle: (x)",
		"request(ok) done",
	}
	got := joinedBy(t, logscan.JoinTraces(), strings.Join(records, "\n")+"\n")
	checkEqual(t, fmt.Sprintf("%q", got), fmt.Sprintf("%q", records))
}

func TestErrorLog(t *testing.T) {
	p := logscan.ErrorLog(logscan.TimeParser{})
	for line, want := range map[string]string{
		"[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 35708:tid 4328636416] [client 203.0.113.7:53] File does not exist: /x": `2000-10-11T14:32:52.123456Z module="core" level="error" pid="35708" tid="4328636416" addr="203.0.113.7" message="File does not exist: /x"`,
		"[Wed Oct 11 14:32:52 2000] [:error] [pid 7] [client 2001:db8::7:53] a [client 1.1.1.1] b":                                  `2000-10-11T14:32:52Z level="error" pid="7" addr="2001:db8::7" message="a [client 1.1.1.1] b"`,
		"[Wed Oct 11 14:32:52 2000] [error] [client 2001:db8::7] denied":                                                            `2000-10-11T14:32:52Z level="error" addr="2001:db8::7" message="denied"`,
		"[Wed Oct 11 14:32:52 2000] [notice] caught SIGTERM":                                                                        `2000-10-11T14:32:52Z level="notice" message="caught SIGTERM"`,
		"2026/03/01 12:00:00 [error] 7#8: *9 open() failed, client: 203.0.113.7, server: _, request: \"GET / HTTP/1.1\"":            `2026-03-01T12:00:00Z level="error" pid="7" tid="8" message="*9 open() failed, client: 203.0.113.7, server: _, request: \"GET / HTTP/1.1\"" addr="203.0.113.7"`,
		"2026/03/01 12:00:00 [error] 7#8: *9 a, client: 1.1.1.1, client: 203.0.113.7, server: _":                                    `2026-03-01T12:00:00Z level="error" pid="7" tid="8" message="*9 a, client: 1.1.1.1, client: 203.0.113.7, server: _"`,
		"2026/03/01 12:00:00 [notice] 7#8: signal process started":                                                                  `2026-03-01T12:00:00Z level="notice" pid="7" tid="8" message="signal process started"`,
		"": "error", "[x] y": "error", "2026/03/01 12:00:00 x": "error", "[Wed Oct 11 14:32:52 2000]": "error", "2026/03/01 12:00:00 [error] x": "error",
	} {
		if got := fieldsOf(p, line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestCEF(t *testing.T) {
	for line, want := range map[string]string{
		`CEF:0|Acme|Fire\|wall|1.0|100|port \\ scan|5|src=203.0.113.7 msg=a b\=c d act=drop`: ` vendor="Acme" product="Fire|wall" version="1.0" signature="100" name="port \\ scan" severity="5" src="203.0.113.7" msg="a b=c d" act="drop"`,
		`CEF:1|a|b|c|d|e|f|`:        ` vendor="a" product="b" version="c" signature="d" name="e" severity="f"`,
		`CEF:0|a|b|c|d|e|f|x= y=\n`: ` vendor="a" product="b" version="c" signature="d" name="e" severity="f" x="" y="\n"`,
		`CEF:0|a|b|c|d|e`:           "error", `CEF:2|a|b|c|d|e|f|`: "error", `x`: "error", `CEF:0|a|b|c|d|e|f|x`: "error", `CEF:0|a|b|c|d|e|f|=1`: "error", `CEF:0|a|b|c|d|e|f|a=b=c`: "error",
	} {
		if got := fieldsOf(logscan.CEF(), line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}

// A line of syslog that begins with a number has no time.
func TestNumberIsNoTime(t *testing.T) {
	for _, line := range []string{"12 packets dropped on eth0", "130324 17:56:13 [Warning] Access denied", "20222 a b: c"} {
		if got := fieldsOf(logscan.Syslog(logscan.TimeParser{}), line); got != "error" {
			t.Errorf("%s: got %s", line, got)
		}
	}
	checkEqual(t, fieldsOf(logscan.Syslog(logscan.TimeParser{}), "20220827142201 host app: text"), `2022-08-27T14:22:01Z host="host" app="app" message="text"`)
}

func TestJSONArray(t *testing.T) {
	s := logscan.Scanner{Decoders: []logscan.Decoder{logscan.JSONArray("Records")}, Parser: logscan.JSON("a")}
	for text, want := range map[string]string{
		`{"Records":[{"a":1},` + "\n" + `{"a":"x,]\"},"},{"b":[1,{"a":2}],` + "\n" + `"a":[3]}],"rest":{}}`: `["1" "x,]\"}," "[3]"] 0`,
		`{"Records":[{"a":1}]}`:                     `["1"] 0`,
		`{"Records":[]}`:                            `[] 0`,
		`{"Records":[{"a":1},{"a":`:                 `["1"] 1`,
		`{"Records": [{"a":1}]}`:                    `[""] 0`,
		`{"a":7}`:                                   `["7"] 0`,
		`{"Records":[` + strings.Repeat("[", 20000): `[] 1`,
	} {
		var got []string
		errs := 0
		for rec, err := range s.Records(t.Context(), logscan.Readers("x", strings.NewReader(text))) {
			if err != nil {
				errs++
				continue
			}
			got = append(got, string(rec.Get("a")))
		}
		if got := fmt.Sprintf("%q %d", got, errs); got != want {
			t.Errorf("%.40s: got %s, want %s", text, got, want)
		}
	}
}
