package cache_test

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A trace is a sequence of requests, each a key.
type trace struct {
	name string
	keys []uint64
}

// generated are traces whose shapes real ones mix: popularity, a loop larger
// than the cache, popularity with scans of cold keys between, and phases that
// each have their own popular keys.
func generated() []trace {
	const n, span = 200_000, 50_000
	r := rand.New(rand.NewPCG(1, 2))
	zipf := func(s float64) func() uint64 { return rand.NewZipf(r, s, 1, span-1).Uint64 }
	popular, steep := zipf(1.01), zipf(1.2)
	cold := uint64(1 << 32)
	make := func(name string, key func(i int) uint64) trace {
		keys := make([]uint64, n)
		for i := range keys {
			keys[i] = key(i)
		}
		return trace{name, keys}
	}
	return []trace{
		make("gen-zipf1.01", func(int) uint64 { return popular() }),
		make("gen-zipf1.2", func(int) uint64 { return steep() }),
		make("gen-loop", func(i int) uint64 { return uint64(i % 10_000) }),
		make("gen-scans", func(i int) uint64 {
			if i%25_000 < 8_000 {
				cold++
				return cold
			}
			return popular()
		}),
		make("gen-phases", func(i int) uint64 { return popular() + uint64(i/40_000)<<20 }),
	}
}

// recorded reads the traces in the folder that REDOUBT_TRACES names, if any.
func recorded(tb testing.TB) (traces []trace) {
	dir := os.Getenv("REDOUBT_TRACES")
	if dir == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.u64.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, file := range files {
		keys, err := readTrace(file)
		if err != nil {
			tb.Fatal(err)
		}
		traces = append(traces, trace{strings.TrimSuffix(filepath.Base(file), ".u64.gz"), keys})
	}
	return traces
}

func readTrace(file string) (keys []uint64, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	in := bufio.NewReader(unzipped)
	for {
		var k [8]byte
		if _, err := io.ReadFull(in, k[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return keys, nil
			}
			return nil, err
		}
		keys = append(keys, binary.LittleEndian.Uint64(k[:]))
	}
}

// capacities are 0.2, 0.5, 1, 3, 10 and 30 % of the number of distinct keys,
// without those below 16.
func (t trace) capacities() (sizes []int) {
	distinct := map[uint64]bool{}
	for _, k := range t.keys {
		distinct[k] = true
	}
	for _, permille := range []int{2, 5, 10, 30, 100, 300} {
		if size := len(distinct) * permille / 1000; size >= 16 {
			sizes = append(sizes, size)
		}
	}
	return sizes
}

// replay returns the percentage of requests that hit. Each miss inserts the key
// and waits for the background work of the cache. Otherwise the cache would
// contain, and hit, more than its capacity.
func (t trace) replay(c subject) float64 {
	if c.stop != nil {
		defer c.stop()
	}
	hits := 0
	for _, k := range t.keys {
		if _, ok := c.get(k); ok {
			hits++
			continue
		}
		c.set(k, k)
		if c.wait != nil {
			c.wait()
		}
	}
	return 100 * float64(hits) / float64(len(t.keys))
}

// contestants returns the peers without golang-lru, which has the hits of
// redoubt-lru.
func contestants() []peer {
	return slices.DeleteFunc(peers(), func(p peer) bool { return p.name == "golang-lru" })
}

// BenchmarkHitRatio reports the percentage of hits for each trace and capacity
// as hit%. The last rows are the means, and the largest differences to redoubt
// in points below and above it. The times mean nothing.
func BenchmarkHitRatio(b *testing.B) {
	hits := map[string][]float64{} // by implementation, in the order of the points
	for _, t := range append(generated(), recorded(b)...) {
		for _, capacity := range t.capacities() {
			for _, p := range contestants() {
				b.Run(fmt.Sprintf("trace=%s/capacity=%d/impl=%s", t.name, capacity, p.name), func(b *testing.B) {
					hit := 0.0
					for b.Loop() {
						hit = t.replay(p.make(capacity))
					}
					b.ReportMetric(hit, "hit%")
					hits[p.name] = append(hits[p.name], hit)
				})
			}
		}
	}
	for _, p := range contestants() {
		b.Run("trace=all/impl="+p.name, func(b *testing.B) {
			own, n := hits["redoubt"], len(hits[p.name])
			if n == 0 || n != len(own) {
				b.Skip("not all of it was run, or more than once")
			}
			sum, below, above := 0.0, 0.0, 0.0
			for b.Loop() {
				for i, hit := range hits[p.name] {
					sum += hit / float64(n)
					below, above = max(below, own[i]-hit), max(above, hit-own[i])
				}
			}
			b.ReportMetric(sum/float64(b.N), "hit%")
			b.ReportMetric(below, "points-below")
			b.ReportMetric(above, "points-above")
		})
	}
}

// The strict LRU order has the hit ratios that Megiddo and Modha publish for
// their trace OLTP (ARC, FAST 2003, table).
func TestStrictLRUOnOLTP(t *testing.T) {
	i := slices.IndexFunc(recorded(t), func(t trace) bool { return t.name == "arc-OLTP" })
	if i < 0 {
		t.Skip("REDOUBT_TRACES names no folder with arc-OLTP.u64.gz")
	}
	oltp := recorded(t)[i]
	for capacity, want := range map[int]string{1000: "32.83", 2000: "42.47", 5000: "53.65", 10_000: "60.70", 15_000: "64.63"} {
		for _, p := range peers() {
			if p.name == "redoubt-lru" || p.name == "golang-lru" {
				if got := fmt.Sprintf("%.2f", oltp.replay(p.make(capacity))); got != want {
					t.Errorf("%s, capacity %d: %s %% hits, want %s", p.name, capacity, got, want)
				}
			}
		}
	}
}
