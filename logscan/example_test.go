package logscan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing/fstest"

	"github.com/redoubt-go/redoubt/logscan"
)

// appLog writes a log for the examples into a directory that cleanup removes.
func appLog() (path string, cleanup func()) {
	dir, err := os.MkdirTemp("", "logscan")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, "app.log")
	text := `{"level":"INFO","message":"started"}
{"level":"ERROR","message":"disk \"sda\" is full"}
Traceback (most recent call last):
{"level":"ERROR","message":"cannot write invoice 17"}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

// Print the errors of a JSON log.
func Example() {
	path, cleanup := appLog()
	defer cleanup()
	ctx := context.Background()
	err := func() error {
		sc := logscan.Scanner{Parser: logscan.JSON("level", "message")}
		for rec, err := range sc.Records(ctx, logscan.Files(path)) {
			if err != nil {
				return err
			}
			if rec.Is("level", "ERROR") {
				fmt.Printf("%d: %s\n", rec.Num, rec.Get("message"))
			}
		}
		return nil
	}()
	fmt.Println(err)
	// Output:
	// 2: disk "sda" is full
	// 4: cannot write invoice 17
	// <nil>
}

// Records that the parser refuses are counted, and a hook is called with them.
func ExampleScanner() {
	var counters logscan.Counters
	sc := logscan.Scanner{
		Parser:  logscan.JSON("level"),
		MaxLine: 1 << 10,
		Malformed: func(r *logscan.Record, err error) error {
			fmt.Printf("line %d: %q: %v\n", r.Num, r.Line, err)
			return nil
		},
		Stats: &counters,
	}
	log := strings.NewReader("{\"level\":\"INFO\"}\n{\"level\":\nplain text\n")
	for rec, err := range sc.Records(context.Background(), logscan.Readers("stdin", log)) {
		fmt.Printf("%s %v\n", rec.Get("level"), err)
	}
	st := counters.Stats()
	fmt.Println(st.Records, "records:", st.Delivered, "delivered,", st.Malformed, "malformed")
	// Output:
	// INFO <nil>
	// line 2: "{\"level\":": logscan: malformed: JSON: unexpected end of line
	// line 3: "plain text": logscan: malformed: JSON: not an object
	// 3 records: 1 delivered, 2 malformed
}

func ExampleLines() {
	for rec, err := range logscan.Lines(strings.NewReader("one\r\ntwo\n\nlast")) {
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%d %q partial=%v\n", rec.Num, rec.Line, rec.Partial)
	}
	// Output:
	// 1 "one" partial=false
	// 2 "two" partial=false
	// 3 "" partial=false
	// 4 "last" partial=true
}

// A record that outlives its iteration must be cloned.
func ExampleRecord() {
	log := strings.NewReader("[INFO] started\n[ERROR] disk full\n[ERROR] no route\n")
	sc := logscan.Scanner{Parser: logscan.MustPattern("[<level>] <message>")}
	var last *logscan.Record
	for rec := range sc.Records(context.Background(), logscan.Readers("app.log", log)) {
		if rec.Is("level", "ERROR") {
			last = rec.Clone()
		}
	}
	fmt.Printf("%s:%d at byte %d: %s\n", last.Source, last.Num, last.Offset, last.Get("message"))
	for name, value := range last.Fields() {
		fmt.Printf("%s=%s\n", name, value)
	}
	// Output:
	// app.log:3 at byte 33: no route
	// level=ERROR
	// message=no route
}

func ExampleFiles() {
	path, cleanup := appLog()
	defer cleanup()
	var sc logscan.Scanner
	n := 0
	for _, err := range sc.Records(context.Background(), logscan.Files(path, path+".1", path)) {
		if errors.Is(err, os.ErrNotExist) {
			fmt.Println("a file is missing")
			continue
		}
		n++
	}
	fmt.Println(n, "lines")
	// Output:
	// a file is missing
	// 8 lines
}

func ExampleReaders() {
	var sc logscan.Scanner
	in := logscan.Readers("parts", strings.NewReader("a\nb\n"), strings.NewReader("c\n"))
	for rec := range sc.Records(context.Background(), in) {
		fmt.Printf("%s %d %s\n", rec.Source, rec.Num, rec.Line)
	}
	// Output:
	// parts 1 a
	// parts 2 b
	// parts 1 c
}

// A scan continues where an earlier scan stopped.
func ExampleInput() {
	var sc logscan.Scanner
	ctx := context.Background()
	path, cleanup := appLog()
	defer cleanup()
	var next int64
	for rec := range sc.Records(ctx, logscan.Files(path)) {
		if next = rec.Next; rec.Num == 3 {
			break
		}
	}
	resumed := func(yield func(logscan.Input, error) bool) {
		for in, err := range logscan.Files(path) {
			in.Offset = next
			if !yield(in, err) {
				return
			}
		}
	}
	for rec, err := range sc.Records(ctx, resumed) {
		fmt.Printf("%s %v\n", rec.Line, err)
	}
	// Output:
	// {"level":"ERROR","message":"cannot write invoice 17"} <nil>
}

// Inputs can be any function. This function leaves out the inputs of an earlier
// run.
func ExampleInputs() {
	seen := map[string]bool{"b.log": true}
	fsys := fstest.MapFS{"a.log": {Data: []byte("a\n")}, "b.log": {Data: []byte("b\n")}, "c.log": {Data: []byte("c\n")}}
	var unseen logscan.Inputs = func(yield func(logscan.Input, error) bool) {
		for in, err := range logscan.Walk(fsys, nil) {
			if !seen[in.Name] && !yield(in, err) {
				return
			}
		}
	}
	for rec := range (logscan.Scanner{}).Records(context.Background(), unseen) {
		fmt.Println(rec.Source)
	}
	// Output:
	// a.log
	// c.log
}

func ExampleJSON() {
	line := `{"level":"\u0045RROR","user":{"id":7},"http.status":502,"tags":["a","b"]}`
	sc := logscan.Scanner{Parser: logscan.JSON("level", "user.id", "http.status", "tags", "trace")}
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(line))) {
		for name, value := range rec.Fields() {
			fmt.Printf("%s: %s\n", name, value)
		}
		_, ok := rec.Lookup("trace")
		fmt.Println("has a trace:", ok)
	}
	// Output:
	// level: ERROR
	// user.id: 7
	// http.status: 502
	// tags: ["a","b"]
	// has a trace: false
}

// Lines of the form "[LEVEL] message".
func ExamplePattern() {
	p, err := logscan.Pattern("[<level>] <message>")
	if err != nil {
		fmt.Println(err)
		return
	}
	count := map[string]int{}
	sc := logscan.Scanner{Parser: p}
	log := strings.NewReader("[INFO] started\n[ERROR] disk [sda] full\n  at disk.go:17\n[ERROR] no route\n")
	for rec := range sc.Records(context.Background(), logscan.Readers("app.log", log)) {
		count[string(rec.Get("level"))]++
		fmt.Printf("%s\n", rec.Get("message"))
	}
	fmt.Println(count)
	// Output:
	// started
	// disk [sda] full
	// no route
	// map[ERROR:2 INFO:1]
}

func ExampleMustPattern() {
	accessLog := logscan.MustPattern(`<addr> <_> <user> [<time>] "<method> <path> <_>" <status> <_>`)
	sc := logscan.Scanner{Parser: accessLog}
	line := `203.0.113.7 - - [10/Oct/2026:13:55:36 +0000] "GET /index.html HTTP/1.1" 200 2326`
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(line))) {
		fmt.Printf("%s %s %s\n", rec.Get("addr"), rec.Get("path"), rec.Get("status"))
	}
	// Output:
	// 203.0.113.7 /index.html 200
}

// keyValue is a parser for lines of the form "key: value".
type keyValue struct{}

func (keyValue) Parse(r *logscan.Record) error {
	for i, c := range r.Line {
		if c == ':' {
			r.Set("key", r.Line[:i])
			r.Set("value", r.Line[i+1:])
			return nil
		}
	}
	return errors.New("no colon")
}

func ExampleParser() {
	sc := logscan.Scanner{Parser: keyValue{}}
	for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader("load:0.7\nnothing\ndisk:93\n"))) {
		fmt.Printf("%s is %s\n", rec.Get("key"), rec.Get("value"))
	}
	// Output:
	// load is 0.7
	// disk is 93
}

func ExampleCounters() {
	var counters logscan.Counters
	sc := logscan.Scanner{MaxLine: 4, Stats: &counters}
	for range 2 {
		for range sc.Records(context.Background(), logscan.Readers("", strings.NewReader("short\nlonger\nok\n"))) {
		}
	}
	st := counters.Stats()
	fmt.Println(st.Records, "records,", st.Cut, "cut by", st.CutBytes, "bytes")
	// Output:
	// 6 records, 4 cut by 6 bytes
}

func ExampleStats() {
	counters := logscan.Counters{Name: "app.log"}
	sc := logscan.Scanner{Parser: logscan.JSON("level"), Stats: &counters}
	log := strings.NewReader("{\"level\":\"INFO\"}\nplain text\n")
	for range sc.Records(context.Background(), logscan.Readers("", log)) {
	}
	b, err := json.MarshalIndent(counters.Stats(), "", " ")
	fmt.Println(string(b), err)
	// Output:
	// {
	//  "name": "app.log",
	//  "inputs": 1,
	//  "failed": 0,
	//  "read_bytes": 28,
	//  "decoded_bytes": 28,
	//  "records": 2,
	//  "delivered": 1,
	//  "prefiltered": 0,
	//  "malformed": 1,
	//  "cut": 0,
	//  "cut_bytes": 0,
	//  "joined": 0
	// } <nil>
}

// A bucket is the part of an object store that objects needs.
type bucket interface {
	List(ctx context.Context, cursor string) (names []string, next string, err error)
	Get(ctx context.Context, name string) (io.ReadCloser, error)
}

// objects returns the objects of a bucket as inputs. It fetches a page of names
// when the scan has read the page before it.
func objects(ctx context.Context, b bucket) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		for cursor, more := "", true; more; more = cursor != "" {
			names, next, err := b.List(ctx, cursor)
			if err != nil {
				yield(logscan.Input{Name: "page " + cursor}, err)
				return
			}
			for _, name := range names {
				in := logscan.Input{Name: name}
				in.Open = func(ctx context.Context) (io.ReadCloser, error) { return b.Get(ctx, name) }
				if !yield(in, nil) {
					return
				}
			}
			cursor = next
		}
	}
}

// threePages is a bucket whose third page fails.
type threePages struct{}

func (threePages) List(_ context.Context, cursor string) (names []string, next string, err error) {
	switch cursor {
	case "":
		return []string{"a.log", "b.log"}, "p2", nil
	case "p2":
		return []string{"c.log"}, "p3", nil
	}
	return nil, "", errors.New("the server is gone")
}

func (threePages) Get(_ context.Context, name string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("text of " + name)), nil
}

// The names come from an API with pages. The loop does not see where a page
// ends.
func ExampleInputs_pages() {
	ctx := context.Background()
	for rec, err := range (logscan.Scanner{}).Records(ctx, objects(ctx, threePages{})) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Printf("%s\n", rec.Line)
	}
	// Output:
	// text of a.log
	// text of b.log
	// text of c.log
	// logscan: "page p3": at byte 0: the server is gone
}

// A damaged input does not end the scan.
func ExampleInputError() {
	fsys := fstest.MapFS{
		"a.log.gz": {Data: gz([]byte("one\ntwo\n"))[:22]},
		"b.log.xz": {Data: []byte("\xfd7zXZ\x00 and so on")},
		"c.log":    {Data: []byte("three\n")},
	}
	for rec, err := range (logscan.Scanner{}).Records(context.Background(), logscan.Walk(fsys, nil)) {
		var in *logscan.InputError
		switch {
		case errors.As(err, &in):
			fmt.Println(in)
		case err != nil:
			return // canceled
		default:
			fmt.Printf("%s: %s\n", rec.Source, rec.Line)
		}
	}
	// Output:
	// a.log.gz: one
	// a.log.gz: two
	// logscan: "a.log.gz": at byte 8: unexpected EOF
	// logscan: "b.log.xz": at byte 0: unsupported format: xz
	// c.log: three
}
