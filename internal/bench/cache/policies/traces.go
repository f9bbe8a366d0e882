package main

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
	"strings"
)

// A point is a trace with a capacity. Its keys are numbered from 0.
type point struct {
	name     string
	keys     []uint32
	distinct int
	capacity int
	recorded bool
}

// numbered replaces keys by their numbers in the order of their first use.
func numbered(keys []uint64) (numbers []uint32, distinct int) {
	seen := map[uint64]uint32{}
	numbers = make([]uint32, len(keys))
	for i, k := range keys {
		number, ok := seen[k]
		if !ok {
			number = uint32(len(seen))
			seen[k] = number
		}
		numbers[i] = number
	}
	return numbers, len(seen)
}

// recorded reads the traces in a folder. The capacities are 0.2, 0.5, 1, 3, 10
// and 30 % of the number of distinct keys, without those below 16.
func recorded(folder string) (points []point, err error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.u64.gz"))
	if folder == "" || err != nil {
		return nil, err
	}
	for _, file := range files {
		raw, err := read(file)
		if err != nil {
			return nil, err
		}
		keys, distinct := numbered(raw)
		name := strings.TrimSuffix(filepath.Base(file), ".u64.gz")
		for _, permille := range []int{2, 5, 10, 30, 100, 300} {
			if capacity := distinct * permille / 1000; capacity >= 16 {
				points = append(points, point{fmt.Sprintf("%s@%g%%", name, float64(permille)/10), keys, distinct, capacity, true})
			}
		}
	}
	return points, nil
}

func read(file string) (keys []uint64, err error) {
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
		if _, err := io.ReadFull(in, k[:]); errors.Is(err, io.EOF) {
			return keys, nil
		} else if err != nil {
			return nil, err
		}
		keys = append(keys, binary.LittleEndian.Uint64(k[:]))
	}
}

// generated returns the generated traces, each for three capacities.
func generated(seed uint64) (points []point) {
	for _, g := range generators() {
		for _, c := range []int{100, 700, 5000} {
			n := min(max(100*c, 60_000), 250_000)
			key := g.make(c, n, rand.New(rand.NewPCG(seed, uint64(c))))
			raw := make([]uint64, n)
			for i := range raw {
				raw[i] = key(i)
			}
			keys, distinct := numbered(raw)
			points = append(points, point{fmt.Sprintf("%s@%d", g.name, c), keys, distinct, c, false})
		}
	}
	return points
}

// A generator makes a function that returns the key of each of n requests, for
// a cache of capacity c.
type generator struct {
	name string
	make func(c, n int, r *rand.Rand) func(i int) uint64
}

func zipf(r *rand.Rand, s float64, span int) func() uint64 {
	return rand.NewZipf(r, s, 1, uint64(span-1)).Uint64
}

// generators are traces that real ones mix, and that break one policy or
// another. Their lengths are relative to the capacity.
func generators() []generator {
	var gs collection
	gs.popular()
	gs.twice()
	gs.pinned()
	gs.phases()
	gs.mixtures()
	return gs
}

type collection []generator

func (gs *collection) add(name string, mk func(c, n int, r *rand.Rand) func(i int) uint64) {
	*gs = append(*gs, generator{name, mk})
}

// popular adds popularity, loops and scans that turn back.
func (gs *collection) popular() {
	for _, s := range []float64{1.01, 1.3} {
		gs.add(fmt.Sprint("zipf", s), func(c, n int, r *rand.Rand) func(int) uint64 {
			z := zipf(r, s, 20*c)
			return func(int) uint64 { return z() }
		})
	}
	for _, f := range []float64{1.1, 1.5, 3} {
		gs.add(fmt.Sprint("loop", f), func(c, n int, r *rand.Rand) func(int) uint64 {
			l := int(f * float64(c))
			return func(i int) uint64 { return uint64(i % l) }
		})
		gs.add(fmt.Sprint("zigzag", f), func(c, n int, r *rand.Rand) func(int) uint64 {
			l := int(f * float64(c))
			return func(i int) uint64 {
				j := i % (2*l - 2)
				if j >= l {
					j = 2*l - 2 - j
				}
				return uint64(j)
			}
		})
	}
}

// twice adds keys that are used twice, at several distances.
func (gs *collection) twice() {
	for _, d := range []float64{0.05, 0.3, 0.6, 0.9, 1.2} { // distance in accesses: half are new
		gs.add(fmt.Sprint("twice", d), func(c, n int, r *rand.Rand) func(int) uint64 {
			dist := int(d * float64(c))
			return func(i int) uint64 {
				if i%2 == 0 {
					return uint64(i / 2)
				}
				return uint64(i/2-dist) & (1<<40 - 1)
			}
		})
	}
	gs.add("twicemixed", func(c, n int, r *rand.Rand) func(int) uint64 { // distance uniform to 1.5 cap
		pend := map[int]uint64{}
		next := uint64(0)
		return func(i int) uint64 {
			if k, ok := pend[i]; ok {
				delete(pend, i)
				return k
			}
			next++
			at := i + 1 + r.IntN(2*c)
			for pend[at] != 0 {
				at++
			}
			pend[at] = next
			return next
		}
	})
	gs.add("twicezipf", func(c, n int, r *rand.Rand) func(int) uint64 {
		z := zipf(r, 1.1, 5*c)
		dist := int(.5 * float64(c))
		return func(i int) uint64 {
			switch i % 3 {
			case 0:
				return uint64(i/3) + 1<<32
			case 1:
				return uint64(i/3-dist) + 1<<32
			}
			return z()
		}
	})
}

// pinned adds wide sets of popular keys among keys that are used once.
func (gs *collection) pinned() {
	for _, w := range []float64{0.5, 0.8, 0.95} {
		for _, share := range []float64{0.3, 0.7} { // share of requests to the pinned set
			gs.add(fmt.Sprintf("widepin%g/%g", w, share), func(c, n int, r *rand.Rand) func(int) uint64 {
				set := int(w * float64(c))
				return func(i int) uint64 {
					if r.Float64() < share {
						return uint64(r.IntN(set))
					}
					return uint64(i) + 1<<32
				}
			})
		}
	}
	gs.add("widepinshift", func(c, n int, r *rand.Rand) func(int) uint64 {
		set := int(0.8 * float64(c))
		return func(i int) uint64 {
			ph := uint64(i * 5 / n)
			if r.Float64() < .6 {
				return uint64(r.IntN(set)) + ph<<24
			}
			return uint64(i) + 1<<32
		}
	})
}

// phases adds workloads that change after some capacities.
func (gs *collection) phases() {
	for _, l := range []int{3, 10, 40} { // phase length in capacities
		gs.add(fmt.Sprint("phases", l), func(c, n int, r *rand.Rand) func(int) uint64 {
			z := zipf(r, 1.05, 5*c)
			return func(i int) uint64 { return z() + uint64(i/(l*c))<<32 }
		})
		gs.add(fmt.Sprint("workset", l), func(c, n int, r *rand.Rand) func(int) uint64 { // uniform on 0.9 cap, changing
			return func(i int) uint64 { return uint64(r.IntN(c*9/10)) + uint64(i/(l*c))<<32 }
		})
		gs.add(fmt.Sprint("flip", l), func(c, n int, r *rand.Rand) func(int) uint64 { // loop and recency by turns
			return func(i int) uint64 {
				if i/(l*c)%2 == 0 {
					return uint64(i % (c * 5 / 4))
				}
				return uint64(i-r.IntN(c/2)) + 1<<32
			}
		})
		gs.add(fmt.Sprint("flipzipf", l), func(c, n int, r *rand.Rand) func(int) uint64 { // zipf and recency by turns
			z := zipf(r, 1.05, 5*c)
			return func(i int) uint64 {
				if i/(l*c)%2 == 0 {
					return z()
				}
				return uint64(i-r.IntN(c/2)) + 1<<32
			}
		})
	}
}

// mixtures adds recent keys, beats of fixed periods, and mixtures.
func (gs *collection) mixtures() {
	for _, w := range []float64{0.1, 0.5, 0.9} {
		gs.add(fmt.Sprint("recent", w), func(c, n int, r *rand.Rand) func(int) uint64 {
			return func(i int) uint64 { return uint64(i/2-r.IntN(1+int(w*float64(c)))) & (1<<40 - 1) }
		})
	}
	gs.add("drift", func(c, n int, r *rand.Rand) func(int) uint64 { // popularity that moves on
		z := zipf(r, 1.05, 5*c)
		return func(i int) uint64 { return z() + uint64(i/20) }
	})
	gs.add("metronome", func(c, n int, r *rand.Rand) func(int) uint64 { // keys with fixed periods: c/4 of period c, c of 4c, rest of 16c
		return func(i int) uint64 {
			switch i % 4 {
			case 0, 1:
				return uint64(i/4*2+i%4) % uint64(c/2)
			case 2:
				return uint64(i/4)%uint64(c) + 1<<32
			}
			return uint64(i/4)%uint64(4*c) + 1<<33
		}
	})
	gs.add("metronome2", func(c, n int, r *rand.Rand) func(int) uint64 { // a slow beat in a stream of one-timers
		return func(i int) uint64 {
			if i%3 == 0 {
				return uint64(i/3) % uint64(c*3/4)
			}
			return uint64(i) + 1<<32
		}
	})
	gs.add("metronome3", func(c, n int, r *rand.Rand) func(int) uint64 { // beat with recency bursts
		return func(i int) uint64 {
			if i%4 == 0 {
				return uint64(i/4) % uint64(c/2)
			}
			return uint64(i/3-r.IntN(1+c/4)) + 1<<32
		}
	})
	gs.add("scans", func(c, n int, r *rand.Rand) func(int) uint64 {
		z := zipf(r, 1.05, 5*c)
		return func(i int) uint64 {
			if i%(8*c) < 2*c {
				return uint64(i) + 1<<32
			}
			return z()
		}
	})
	gs.add("scansrepeat", func(c, n int, r *rand.Rand) func(int) uint64 { // a scan of the same 2c keys
		z := zipf(r, 1.05, 5*c)
		return func(i int) uint64 {
			if j := i % (8 * c); j < 2*c {
				return uint64(j) + 1<<32
			}
			return z()
		}
	})
	gs.add("looppart", func(c, n int, r *rand.Rand) func(int) uint64 { // half loop of 1.2c, half zipf
		z := zipf(r, 1.05, 5*c)
		return func(i int) uint64 {
			if i%2 == 0 {
				return uint64(i/2)%uint64(c*6/5) + 1<<32
			}
			return z()
		}
	})
	gs.add("ratchet", func(c, n int, r *rand.Rand) func(int) uint64 { // working sets that grow then vanish
		return func(i int) uint64 {
			ph := i / (6 * c)
			part := i % (6 * c)
			w := 1 + c*part/(6*c)
			return uint64(r.IntN(w)) + uint64(ph)<<32
		}
	})
	gs.add("burst", func(c, n int, r *rand.Rand) func(int) uint64 { // each new key used 3 times within c/10, half zipf
		z := zipf(r, 1.05, 5*c)
		return func(i int) uint64 {
			if i%2 == 0 {
				return z()
			}
			return uint64(i/6-r.IntN(1+c/10)) + 1<<32
		}
	})
}
