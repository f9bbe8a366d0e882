package logscan_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing/fstest"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

// show prints the fields of every record of a log.
func show(s logscan.Scanner, log string) {
	for rec, err := range s.Records(context.Background(), logscan.Readers("", strings.NewReader(log))) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		var fields []string
		for name, value := range rec.Fields() {
			fields = append(fields, fmt.Sprintf("%s=%q", name, value))
		}
		fmt.Println(strings.Join(fields, " "))
	}
}

func ExampleLogfmt() {
	show(logscan.Scanner{Parser: logscan.Logfmt()}, `level=error msg="disk \"sda\" full" retry`)
	show(logscan.Scanner{Parser: logscan.Logfmt("msg")}, `level=error msg="disk \"sda\" full" retry`)
	// Output:
	// level="error" msg="disk \"sda\" full" retry=""
	// msg="disk \"sda\" full"
}

func ExampleRegexp() {
	re := regexp.MustCompile(`took (?P<ms>\d+) ?ms`)
	show(logscan.Scanner{Parser: logscan.Regexp(re)}, "query took 12ms\nidle\nquery took 7 ms\n")
	// Output:
	// ms="12"
	// ms="7"
}

func ExampleSyslog() {
	t := logscan.TimeParser{Reference: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC) }}
	sc := logscan.Scanner{Parser: logscan.Syslog(t)}
	log := "Dec 31 23:59:59 web1 sshd[812]: message repeated 2 times: [ Connection reset]\n" +
		"<34>1 2026-01-01T00:00:03.5Z web1 su - ID47 - 'su root' failed\n"
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(log))) {
		fmt.Println(rec.Time().Format(time.RFC3339Nano), string(rec.Get("app")), rec.Weight(), string(rec.Get("message")))
	}
	// Output:
	// 2025-12-31T23:59:59Z sshd 2 Connection reset
	// 2026-01-01T00:00:03.5Z su 1 'su root' failed
}

func ExampleCLF() {
	show(logscan.Scanner{Parser: logscan.CLF(logscan.TimeParser{})},
		`203.0.113.7 - - [10/Oct/2026:13:55:36 +0000] "GET /a b HTTP/1.1" 200 2326 "-" "curl/8"`)
	// Output:
	// addr="203.0.113.7" request="GET /a b HTTP/1.1" method="GET" path="/a b" proto="HTTP/1.1" status="200" bytes="2326" agent="curl/8"
}

// A large CSV file is read in a single pass and in constant memory.
func ExampleCSV() {
	var counters logscan.Counters
	sc := logscan.Scanner{Parser: logscan.CSV("id", "city", ""), Stats: &counters}
	log := "id,city,note\n1,\"Halle, Saale\",x\n2,Bonn,y\n3,Bonn,y,z\n"
	cities := map[string]int{}
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(log))) {
		cities[string(rec.Get("city"))]++
	}
	fmt.Println(cities, counters.Stats().Malformed, "refused, the header among them")
	// Output:
	// map[Bonn:1 Halle, Saale:1] 2 refused, the header among them
}

func ExampleChain() {
	syslog := logscan.Syslog(logscan.TimeParser{})
	p := logscan.Chain(syslog, logscan.MustPattern("user <user> logged in"))
	show(logscan.Scanner{Parser: p}, "2026-03-01T12:00:00Z web1 app: user alice logged in\n")
	// Output:
	// host="web1" app="app" message="user alice logged in" user="alice"
}

func ExampleTimeParser() {
	p := logscan.TimeParser{Reference: func() time.Time { return time.Date(2026, 1, 1, 0, 5, 0, 0, time.UTC) }}
	for _, s := range []string{"Dec 31 23:59:59", "Feb 29 12:00:00", "2026-03-01 12:00:00,123 +0100", "1767225600123", "Mar  1 12:00:00 CEST"} {
		t, err := p.Parse([]byte(s))
		fmt.Println(t.Format(time.RFC3339Nano), err)
	}
	// Output:
	// 2025-12-31T23:59:59Z <nil>
	// 2024-02-29T12:00:00Z <nil>
	// 2026-03-01T12:00:00.123+01:00 <nil>
	// 2026-01-01T00:00:00.123Z <nil>
	// 0001-01-01T00:00:00Z logscan: malformed: time
}

// A stack trace belongs to the line before it.
func ExampleJoiner() {
	sc := logscan.Scanner{Join: &logscan.Joiner{}}
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader("panic: no\n\tat a.go\n\tat b.go\ndone\n"))) {
		fmt.Printf("%d %q\n", rec.Num, rec.Line)
	}
	// Output:
	// 1 "panic: no\n\tat a.go\n\tat b.go"
	// 4 "done"
}

// A format of your own. A real Decoder wraps a decompressor.
func ExampleDecoder() {
	shout := logscan.Decoder{Name: "shout", Magic: "!SHOUT!", New: func(r io.Reader) (io.ReadCloser, error) {
		b, err := io.ReadAll(io.LimitReader(r, 1<<20))
		return io.NopCloser(strings.NewReader(strings.ToUpper(string(b[7:])))), err
	}}
	sc := logscan.Scanner{Decoders: []logscan.Decoder{shout}}
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader("!SHOUT!hello\n"))) {
		fmt.Printf("%s\n", rec.Line)
	}
	// Output:
	// HELLO
}

func ExampleMask() {
	mask := logscan.Mask(regexp.MustCompile(`\b\d{16}\b`))
	sc := logscan.Scanner{Parser: logscan.JSON("msg"), Redact: mask}
	show(sc, `{"msg":"paid with 4111111111111111"}`)

	sc.Redact = logscan.Mask(regexp.MustCompile(`\b\d{16}\b`), regexp.MustCompile(`token=[^\s"&]*`))
	show(sc, `{"msg":"card 4111111111111111, token=s3cret&x=1"}`)
	// Output:
	// msg="paid with ****************"
	// msg="card ****************, ************&x=1"
}

// levels counts records by level.
type levels map[string]int

func newLevels() levels { return levels{} }

func (l levels) Add(r *logscan.Record) { l[string(r.Get("level"))]++ }

func (l levels) Merge(other levels) error {
	for level, n := range other {
		l[level] += n
	}
	return nil
}

// A hundred files are read in parallel.
func ExampleReduce() {
	ctx := context.Background()
	dir := fstest.MapFS{}
	for i := range 100 {
		dir[fmt.Sprintf("app-%02d.log", i)] = &fstest.MapFile{Data: []byte("[INFO] a\n[ERROR] b\n[INFO] c\n")}
	}
	sc := logscan.Scanner{Parser: logscan.MustPattern("[<level>] <_>")}
	logs := logscan.Walk(dir, nil)
	total, err := logscan.Reduce(ctx, sc, logs, newLevels)
	fmt.Println(total, err)
	// Output:
	// map[ERROR:100 INFO:200] <nil>
}

func ExampleAccumulator() {
	var a logscan.Accumulator[levels] = levels{"INFO": 1}
	err := a.Merge(levels{"INFO": 2})
	fmt.Println(a, err)
	// Output:
	// map[INFO:3] <nil>
}

func ExampleMap() {
	fsys := fstest.MapFS{"a.log": {Data: []byte("GET /a 12\nGET /b 5\n")}, "b.log": {Data: []byte("GET /c 77\n")}}
	sc := logscan.Scanner{Parser: logscan.MustPattern("<_> <path> <ms>"), Workers: 4}
	slow := func(r *logscan.Record) (string, bool) { return string(r.Get("path")), len(r.Get("ms")) > 1 }
	for path, err := range logscan.Map(context.Background(), sc, logscan.Walk(fsys, nil), slow) {
		fmt.Println(path, err)
	}
	// Output:
	// /a <nil>
	// /c <nil>
}

// timed scans lines that begin with a time.
func timed(name, log string) func(func(*logscan.Record, error) bool) {
	sc := logscan.Scanner{Parser: logscan.Syslog(logscan.TimeParser{})}
	return sc.Records(context.Background(), logscan.Readers(name, strings.NewReader(log)))
}

func ExampleMerge() {
	byTime := func(a, b *logscan.Record) int { return a.Time().Compare(b.Time()) }
	a := timed("a", "2026-03-01T12:00:00Z h x: 1\n2026-03-01T12:00:02Z h x: 3\n")
	b := timed("b", "2026-03-01T12:00:01Z h x: 2\n2026-03-01T12:00:02Z h x: 4\n")
	for rec := range logscan.Merge(byTime, a, b) {
		fmt.Printf("%s %s\n", rec.Source, rec.Get("message"))
	}
	// Output:
	// a 1
	// b 2
	// a 3
	// b 4
}

// Two logs still grow. The silent log does not hold up the other.
func ExampleMergeLive() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	byTime := func(a, b *logscan.Record) int { return a.Time().Compare(b.Time()) }
	busy := func(context.Context) iter.Seq2[*logscan.Record, error] {
		return timed("a", "2026-03-01T12:00:00Z h x: 1\n2026-03-01T12:00:02Z h x: 2\n")
	}
	silent := func(ctx context.Context) iter.Seq2[*logscan.Record, error] {
		return func(func(*logscan.Record, error) bool) { <-ctx.Done() }
	}
	for rec, err := range logscan.MergeLive(ctx, 10*time.Millisecond, byTime, busy, silent) {
		if err != nil {
			break
		}
		fmt.Printf("%s %s\n", rec.Source, rec.Get("message"))
		if rec.Is("message", "2") {
			break
		}
	}
	// Output:
	// a 1
	// a 2
}

func ExampleReorder() {
	log := timed("a", "2026-03-01T12:00:01Z h x: second\n2026-03-01T12:00:00Z h x: first\n2026-03-01T12:00:09Z h x: third\n")
	for rec := range logscan.Reorder(log, 2*time.Second, 0) {
		fmt.Printf("%s\n", rec.Get("message"))
	}
	// Output:
	// first
	// second
	// third
}

// failures counts failed logins by address.
type failures map[string]int

func (f failures) Add(r *logscan.Record) { f[string(r.Get("addr"))] += r.Weight() }

func (f failures) Merge(other failures) error {
	for addr, n := range other {
		f[addr] += n
	}
	return nil
}

// Addresses with more than five failed logins.
func ExampleReduce_failedLogins() {
	line := "Mar  1 12:00:0%d web1 sshd[9]: Failed password for root from %s port 22 ssh2\n"
	var log strings.Builder
	for i := range 7 {
		fmt.Fprintf(&log, line, i, "203.0.113.9")
	}
	fmt.Fprintf(&log, line, 8, "198.51.100.1")
	failed := logscan.MustPattern("Failed password for <user> from <addr> port <_>")
	sc := logscan.Scanner{
		Require: []string{"Failed password"},
		Parser:  logscan.Chain(logscan.Syslog(logscan.TimeParser{}), failed),
	}
	in := logscan.Readers("auth.log", strings.NewReader(log.String()))
	total, err := logscan.Reduce(context.Background(), sc, in, func() failures { return failures{} })
	for _, addr := range slices.Sorted(maps.Keys(total)) {
		if total[addr] > 5 {
			fmt.Println(addr, total[addr], err)
		}
	}
	// Output:
	// 203.0.113.9 7 <nil>
}

// fields parses a line and prints the time and the fields.
func fields(p logscan.Parser, line string) {
	rec := &logscan.Record{Line: []byte(line)}
	if err := p.Parse(rec); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(rec.Time().UTC().Format(time.RFC3339))
	for name, value := range rec.Fields() {
		fmt.Printf(" %s=%s", name, value)
	}
	fmt.Println()
}

func ExampleTimed() {
	p := logscan.Timed(logscan.JSON("ts", "msg"), "ts", logscan.TimeParser{})
	fields(p, `{"ts":1772366400,"msg":"ready"}`)
	// Output: 2026-03-01T12:00:00Z ts=1772366400 msg=ready
}

func ExampleContainerLog() {
	p := logscan.ContainerLog()
	fields(p, "2026-03-01T12:00:00Z stdout F ready")
	fields(p, `{"log":"ready\n","stream":"stderr","time":"2026-03-01T12:00:00Z"}`)
	// Output:
	// 2026-03-01T12:00:00Z message=ready stream=stdout
	// 2026-03-01T12:00:00Z message=ready stream=stderr
}

func ExampleJoinParts() {
	log := "2026-03-01T12:00:00Z stdout P a long \n2026-03-01T12:00:00Z stdout F message\n"
	sc := logscan.Scanner{Parser: logscan.ContainerLog(), Join: logscan.JoinParts()}
	for rec, err := range sc.Records(context.Background(), logscan.Readers("pod", strings.NewReader(log))) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s\n", rec.Get("message"))
	}
	// Output: a long message
}

func ExampleContainer() {
	namespace, pod, container, ok := logscan.Container("/var/log/pods/shop_web-7d_1b2c/nginx/0.log")
	fmt.Println(namespace, pod, container, ok)
	// Output: shop web-7d nginx true
}

func ExampleErrorLog() {
	p := logscan.ErrorLog(logscan.TimeParser{})
	fields(p, "[Sun Mar 01 12:00:00 2026] [core:error] [pid 7] [client 203.0.113.7:53] denied")
	fields(p, "2026/03/01 12:00:00 [error] 7#8: timed out")
	// Output:
	// 2026-03-01T12:00:00Z module=core level=error pid=7 addr=203.0.113.7 message=denied
	// 2026-03-01T12:00:00Z level=error pid=7 tid=8 message=timed out
}

func ExampleCEF() {
	rec := &logscan.Record{Line: []byte("CEF:0|Acme|Wall|1.0|100|port scan|5|src=203.0.113.7 msg=ten ports")}
	if err := logscan.CEF().Parse(rec); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s from %s: %s\n", rec.Get("name"), rec.Get("src"), rec.Get("msg"))
	// Output: port scan from 203.0.113.7: ten ports
}

func ExampleJoinTraces() {
	log := "ERROR no stock\njava.lang.IllegalStateException: 0\n\tat shop.Stock.take(Stock.java:7)\nINFO done\n"
	sc := logscan.Scanner{Join: logscan.JoinTraces()}
	for rec, err := range sc.Records(context.Background(), logscan.Readers("app.log", strings.NewReader(log))) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		first, _, _ := strings.Cut(string(rec.Line), "\n")
		fmt.Printf("%s (%d lines)\n", first, 1+strings.Count(string(rec.Line), "\n"))
	}
	// Output:
	// ERROR no stock (3 lines)
	// INFO done (1 lines)
}

func ExampleJSONArray() {
	document := `{"Records":[{"eventName":"PutObject"},{"eventName":"GetObject"}]}`
	sc := logscan.Scanner{
		Decoders: []logscan.Decoder{logscan.JSONArray("Records")},
		Parser:   logscan.JSON("eventName"),
	}
	for rec, err := range sc.Records(context.Background(), logscan.Readers("trail.json", strings.NewReader(document))) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s\n", rec.Get("eventName"))
	}
	// Output:
	// PutObject
	// GetObject
}
