package logscan

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"iter"
	"runtime"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

// BenchmarkGzipLines counts the lines of a gzip stream in memory. gzip.Reader
// alone only unpacks them, which is the least time with the decoder of the
// standard library.
func BenchmarkGzipLines(b *testing.B) {
	c := levels()
	c.want = c.lines
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(c.text)
	w.Close()
	unpack := func() *gzip.Reader {
		r, err := gzip.NewReader(bytes.NewReader(packed.Bytes()))
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	count := func(s logscan.Scanner) func(corpus) int {
		return func(corpus) (n int) {
			for _, err := range s.Records(context.Background(), logscan.Readers("", bytes.NewReader(packed.Bytes()))) {
				if err == nil {
					n++
				}
			}
			return n
		}
	}
	compare(b, c,
		"redoubt", count(logscan.Scanner{}),
		"redoubt-pattern", count(logscan.Scanner{Parser: logscan.MustPattern("[<level>] <message>")}),
		"gzip.Reader", func(corpus) int {
			n, err := io.Copy(io.Discard, unpack())
			if err != nil || n != int64(len(c.text)) {
				b.Fatal(n, err)
			}
			return c.want
		},
		"gzip.Reader+bufio.Scanner", func(corpus) (n int) {
			sc := bufio.NewScanner(unpack())
			for sc.Scan() {
				n++
			}
			return n
		})
}

// BenchmarkStages counts records behind four stages, each of which looks at a
// byte of the line. The stages are written into a single loop, or as functions
// that wrap an iterator. The difference, divided by the stages, is the cost of
// a stage.
func BenchmarkStages(b *testing.B) {
	c := levels()
	c.want = c.lines
	stage := func(r *logscan.Record) bool { return len(r.Line) > 0 && r.Line[0] == '[' }
	wrap := func(seq iter.Seq2[*logscan.Record, error]) iter.Seq2[*logscan.Record, error] {
		return func(yield func(*logscan.Record, error) bool) {
			for r, err := range seq {
				if (err != nil || stage(r)) && !yield(r, err) {
					return
				}
			}
		}
	}
	count := func(seq iter.Seq2[*logscan.Record, error]) (n int) {
		for _, err := range seq {
			if err == nil {
				n++
			}
		}
		return n
	}
	records := func(c corpus) iter.Seq2[*logscan.Record, error] {
		return logscan.Scanner{}.Records(context.Background(), in(c))
	}
	compare(b, c,
		"loop", scan(logscan.Scanner{}, func(r *logscan.Record) bool {
			ok := true
			for range 4 {
				ok = ok && stage(r)
			}
			return ok
		}),
		"wrapped", func(c corpus) int { return count(wrap(wrap(wrap(wrap(records(c)))))) })
}

var gib = flag.Int("gib", 4, "the larger input of BenchmarkPeakHeap in GiB; the other has 1")

// A source is a reader of n bytes of lines.
type source struct {
	n    int64
	text []byte
	at   int
}

func (s *source) Read(p []byte) (int, error) {
	if s.n <= 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), s.n)], s.text[s.at:])
	s.at = (s.at + n) % len(s.text)
	s.n -= int64(n)
	return n, nil
}

// BenchmarkPeakHeap measures the peak of the memory in use during a scan, 64
// times, above the memory before.
func BenchmarkPeakHeap(b *testing.B) {
	text := levels().text[:1<<20]
	for _, size := range []int{1, *gib} {
		b.Run(fmt.Sprintf("GiB=%d", size), func(b *testing.B) {
			var peak uint64
			for b.Loop() {
				before, step := inUse(), int64(size)<<24
				next := step
				src := &source{n: int64(size) << 30, text: text}
				for rec, err := range logscan.Lines(src) {
					if err != nil {
						b.Fatal(err)
					}
					if rec.Next >= next {
						next += step
						peak = max(peak, inUse()-before)
					}
				}
			}
			b.ReportMetric(float64(peak)/(1<<20), "peak-MiB")
			runtime.KeepAlive(text)
		})
	}
}
