package compress_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/redoubt-go/redoubt/contrib/compress"
	"github.com/redoubt-go/redoubt/logscan"
)

// logText returns n lines that repeat themselves like the lines of a web
// server.
func logText(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "192.0.2.%d - - [21/Nov/2026:06:%02d:%02d +0000] \"GET /item/%d HTTP/1.1\" %d %d\n",
			i*7%256, i/60%60, i%60, i*i%9973, 200+i%3*100, i*31%50000)
	}
	return b.String()
}

// BenchmarkLines reads the same lines from each format; the throughput is that
// of the lines. impl=builtin is the gzip of package logscan. The number of
// bytes is checked.
func BenchmarkLines(b *testing.B) {
	text := logText(100_000)
	gz := gzipped(b, text)
	for _, bb := range []struct {
		name string
		in   []byte
		ds   []logscan.Decoder
	}{
		{"format=gzip/impl=builtin", gz, nil},
		{"format=gzip/impl=klauspost", gz, compress.Gzip()},
		{"format=zstd/impl=klauspost", zst(b, text), compress.Zstd(0)},
		{"format=xz/impl=ulikunitz", xzed(b, text), compress.XZ(0)},
	} {
		b.Run(bb.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			s := logscan.Scanner{Decoders: bb.ds}
			for b.Loop() {
				n := 0
				for rec, err := range s.Records(context.Background(), logscan.Readers("in", bytes.NewReader(bb.in))) {
					if err != nil {
						b.Fatal(err)
					}
					n += len(rec.Line) + 1
				}
				if n != len(text) {
					b.Fatalf("%d bytes, want %d", n, len(text))
				}
			}
		})
	}
}
