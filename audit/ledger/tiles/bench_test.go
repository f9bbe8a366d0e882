package tiles_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit/ledger/tiles"
)

// BenchmarkProve proves random records of a log of 200,000 records, from warm
// files.
func BenchmarkProve(b *testing.B) {
	l := newLog(b, 0)
	cp := l.grow(200_000)
	dir := b.TempDir()
	if err := tiles.Export(context.Background(), l.fsys(), cp, tiles.Dir(dir)); err != nil {
		b.Fatal(err)
	}
	fsys := os.DirFS(dir)
	random := rand.New(rand.NewPCG(1, 2))
	var times []time.Duration
	for b.Loop() {
		start := time.Now()
		if _, err := tiles.Prove(fsys, random.Uint64N(cp.Size)); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
}

// BenchmarkExport exports a log of 50,000 records into memory.
func BenchmarkExport(b *testing.B) {
	l := newLog(b, 0)
	cp := l.grow(50_000)
	for b.Loop() {
		if err := tiles.Export(context.Background(), l.fsys(), cp, newMemory()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*50_000/b.Elapsed().Seconds(), "records/s")
}
