package logscan_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

// corpus is 8 MiB of JSON lines of about 220 bytes.
var corpus = func() []byte {
	var b []byte
	for i := 0; len(b) < 8<<20; i++ {
		b = fmt.Appendf(b, `{"time":"2026-03-01T12:%02d:%02d.%03dZ","level":%q,"service":"billing","host":"node-%02d","status":%d,"ms":%d.%d,"path":"/v1/invoices/%d","tags":["a","b"],"user":{"id":%d,"plan":"pro"},"message":"request done in %d ms"}`+"\n",
			i/60%60, i%60, i%1000, []string{"INFO", "WARN", "ERROR"}[i%3], i%40, 200+i%300, i%900, i%10, i, i*7, i%900)
	}
	return b
}()

var corpusLines = bytes.Count(corpus, []byte("\n"))

func perLine(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(corpusLines), "ns/line")
}

// BenchmarkLines reads lines and adds up their lengths.
func BenchmarkLines(b *testing.B) {
	want := len(corpus) - corpusLines
	run := func(name string, scan func() int) {
		b.Run("impl="+name, func(b *testing.B) {
			b.SetBytes(int64(len(corpus)))
			b.ReportAllocs()
			for b.Loop() {
				if got := scan(); got != want {
					b.Fatalf("%d bytes, want %d", got, want)
				}
			}
			perLine(b)
		})
	}
	run("redoubt", func() (n int) {
		for rec := range logscan.Lines(bytes.NewReader(corpus)) {
			n += len(rec.Line)
		}
		return n
	})
	run("bufio.Scanner.Bytes", func() (n int) {
		sc := bufio.NewScanner(bytes.NewReader(corpus))
		sc.Buffer(make([]byte, 64<<10), 256<<10)
		for sc.Scan() {
			n += len(sc.Bytes())
		}
		return n
	})
}

// BenchmarkLevelPattern counts errors among "[LEVEL] message" lines.
func BenchmarkLevelPattern(b *testing.B) {
	text := bytes.Repeat([]byte("[INFO] request 1842 done in 31 ms by node-07 for tenant blue, cache hit\n[ERROR] request 1843 failed after 12 ms\n"), 40000)
	sc := logscan.Scanner{Parser: logscan.MustPattern("[<level>] <message>")}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for rec := range sc.Records(context.Background(), logscan.Readers("", bytes.NewReader(text))) {
			if rec.Is("level", "ERROR") {
				n++
			}
		}
		if n != 40000 {
			b.Fatalf("%d errors, want 40000", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/80000, "ns/line")
}

// BenchmarkJSONLines counts errors by the level of JSON lines, each checked as
// a whole.
func BenchmarkJSONLines(b *testing.B) {
	var want int
	for i := range corpusLines {
		if i%3 == 2 {
			want++
		}
	}
	run := func(name string, scan func() int) {
		b.Run("impl="+name, func(b *testing.B) {
			b.SetBytes(int64(len(corpus)))
			b.ReportAllocs()
			for b.Loop() {
				if got := scan(); got != want {
					b.Fatalf("%d errors, want %d", got, want)
				}
			}
			perLine(b)
		})
	}
	scanWith := func(p logscan.Parser) func() int {
		return func() (n int) {
			for rec := range (logscan.Scanner{Parser: p}).Records(context.Background(), logscan.Readers("", bytes.NewReader(corpus))) {
				if rec.Is("level", "ERROR") && rec.Get("message") != nil {
					n++
				}
			}
			return n
		}
	}
	run("redoubt", scanWith(logscan.JSON("level", "message")))
	run("redoubt-all", scanWith(logscan.JSON()))
	run("encoding-json", func() (n int) {
		for rec := range logscan.Lines(bytes.NewReader(corpus)) {
			var v struct{ Level, Message string }
			if json.Unmarshal(rec.Line, &v) == nil && v.Level == "ERROR" {
				n++
			}
		}
		return n
	})
}

// BenchmarkGzipLines compares reading gzip lines with unpacking alone.
func BenchmarkGzipLines(b *testing.B) {
	packed := gz(corpus)
	b.Run("impl=redoubt", func(b *testing.B) {
		b.SetBytes(int64(len(corpus)))
		for b.Loop() {
			for range logscan.Lines(bytes.NewReader(packed)) {
			}
		}
	})
	b.Run("impl=compress-gzip", func(b *testing.B) {
		b.SetBytes(int64(len(corpus)))
		for b.Loop() {
			zr, err := gzip.NewReader(bytes.NewReader(packed))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, zr); err != nil {
				b.Fatal(err)
			}
		}
	})
}
