package cache_test

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/cache"
)

// ---- the adaptive policy, hit for hit. Oracle: the model below, which is the
// policy in its simplest form, with linear searches. It repeats the constants
// of the policy: a change of a constant must change both.

type modelEntry struct {
	k    int
	heat int
}

type modelGhost struct {
	hash  uint32
	taken bool
}

// A policyModel is a cache of one shard. All queues have the oldest entry in
// front.
type policyModel struct {
	limit, capacity int // capacity: the entries there were at the last eviction
	window, main    []modelEntry
	ghosts          [2][]modelGhost // of window and main
	target          float64
	sketch          modelSketch
	hash            func(int) uint32
	coin            *rand.PCG
}

func index(queue []modelEntry, k int) int {
	return slices.IndexFunc(queue, func(e modelEntry) bool { return e.k == k })
}

// use heats k and reports whether k is present.
func (m *policyModel) use(k int) bool {
	for _, queue := range [][]modelEntry{m.window, m.main} {
		if i := index(queue, k); i >= 0 {
			queue[i].heat = min(queue[i].heat+1, 3)
			return true
		}
	}
	return false
}

func (m *policyModel) insert(k int) {
	m.sketch.fit(len(m.window) + len(m.main) + 1)
	m.sketch.add(m.hash(k))
	m.vote(0, 1, m.hash(k))
	m.vote(1, -1, m.hash(k))
	if len(m.window)+len(m.main) == m.limit {
		m.evict()
	}
	m.window = append(m.window, modelEntry{k: k})
}

func (m *policyModel) delete(k int) {
	same := func(e modelEntry) bool { return e.k == k }
	m.window, m.main = slices.DeleteFunc(m.window, same), slices.DeleteFunc(m.main, same)
}

func (m *policyModel) vote(mine int, step float64, hash uint32) {
	i := slices.Index(m.ghosts[mine], modelGhost{hash, false})
	if i < 0 {
		return
	}
	m.ghosts[mine][i].taken = true
	alive := func(of int) (n float64) {
		for _, g := range m.ghosts[of] {
			if !g.taken {
				n++
			}
		}
		return n
	}
	if ratio := alive(1-mine) / (alive(mine) + 1); ratio > 1 {
		step *= ratio
	}
	if age := len(m.ghosts[mine]) - 1 - i; float64(age) > 0.05*float64(m.capacity) {
		step *= 0.1
	}
	m.target = min(max(m.target+step, 1), 0.8*float64(m.capacity))
}

func (m *policyModel) leaveGhost(of int, k int) {
	g := append(m.ghosts[of], modelGhost{hash: m.hash(k)})
	limit := max(1, m.capacity/2)
	m.ghosts[of] = g[max(0, len(g)-limit):]
}

func (m *policyModel) flush(e modelEntry) {
	for range e.heat {
		m.sketch.add(m.hash(e.k))
	}
}

func (m *policyModel) evict() {
	if m.capacity == 0 {
		m.target = max(1, 0.01*float64(m.limit))
	}
	m.capacity = len(m.window) + len(m.main)
	target := max(1, int(m.target))
	for {
		if len(m.window) < target && len(m.main) > 0 {
			m.cool()
			m.evictMain()
			return
		}
		candidate := m.window[0]
		m.window = m.window[1:]
		if candidate.heat > 0 {
			m.flush(candidate)
			m.window = append(m.window, modelEntry{k: candidate.k})
			continue
		}
		if len(m.main) < m.capacity-target {
			m.main = append(m.main, candidate)
			continue
		}
		switch hot := m.cool(); {
		case hot:
		case len(m.main) > 0 && m.admits(candidate.k, m.main[0].k):
			m.evictMain()
			m.main = append(m.main, candidate)
		default:
			m.leaveGhost(0, candidate.k)
		}
		return
	}
}

// cool passes up to 32 hot entries of main, and reports whether the next entry
// is hot too.
func (m *policyModel) cool() (hot bool) {
	for range 32 {
		if len(m.main) == 0 || m.main[0].heat == 0 {
			return false
		}
		e := m.main[0]
		m.flush(e)
		e.heat /= 2
		m.main = append(m.main[1:], e)
	}
	return m.main[0].heat > 0
}

func (m *policyModel) evictMain() {
	m.flush(m.main[0])
	m.leaveGhost(1, m.main[0].k)
	m.main = m.main[1:]
}

func (m *policyModel) admits(candidate, victim int) bool {
	mine := m.sketch.estimate(m.hash(candidate))
	ahead := mine - m.sketch.estimate(m.hash(victim))
	return ahead > 1 || (ahead == 1 || ahead == 0 && mine == 15) && m.coin.Uint64()%4 == 0
}

// A modelSketch has a number for each 4-bit counter: 8 rows of 16 in each
// block.
type modelSketch struct {
	blocks         [][8][16]int
	entries, added int
}

func (s *modelSketch) fit(n int) {
	s.entries = max(s.entries, n)
	if s.blocks == nil {
		s.blocks = make([][8][16]int, 1)
	}
	for 8*len(s.blocks) < s.entries {
		s.blocks = append(s.blocks, s.blocks...)
	}
}

func (s *modelSketch) cells(hash uint32) (cells [4]*int) {
	block := &s.blocks[hash%uint32(len(s.blocks))]
	product, _ := bits.Mul64(uint64(hash)*0x9e3779b97f4a7c15, 1<<32)
	for i := range cells {
		part := int(product >> (8 * i) & 0xff)
		cells[i] = &block[2*i+part%2][part/2%16]
	}
	return cells
}

func (s *modelSketch) estimate(hash uint32) int {
	least := 15
	for _, cell := range s.cells(hash) {
		least = min(least, *cell)
	}
	return least
}

func (s *modelSketch) add(hash uint32) {
	before := s.added
	for _, cell := range s.cells(hash) {
		if *cell < 15 {
			*cell++
			s.added = before + 1
		}
	}
	if s.added == before || s.added < 40*s.entries {
		return
	}
	odd := 0
	for b := range s.blocks {
		for r := range s.blocks[b] {
			for c := range s.blocks[b][r] {
				odd += s.blocks[b][r][c] % 2
				s.blocks[b][r][c] /= 2
			}
		}
	}
	s.added = (s.added - odd/4) / 2
}

// replayPolicy runs n operations on a cache and on the model: lookups,
// insertions after misses, and some deletions and overwrites. The popularity of
// the keys changes its kind on the way.
func replayPolicy(capacity, n int, seed uint64, wrong int) string {
	c := cache.NewSharded(cache.Config[int, int]{Capacity: capacity}, 1)
	c.SetCoin(rand.NewPCG(seed, 1))
	m := &policyModel{limit: capacity, hash: c.Hash, coin: rand.NewPCG(seed, 1+uint64(wrong))}
	random := rand.New(rand.NewPCG(seed, 2))
	zipf := rand.NewZipf(random, 1.1, 2, uint64(8*capacity))
	for i := range n {
		k := int(zipf.Uint64())
		switch i * 8 / n % 4 {
		case 1:
			k = i % (capacity + capacity/4 + 1) // a loop
		case 3:
			k = i - random.IntN(capacity/3+1) // what is new
		}
		if random.IntN(50) == 0 {
			c.Delete(k)
			m.delete(k)
			continue
		}
		_, got := c.Get(k)
		if want := m.use(k); got != want {
			return fmt.Sprintf("capacity %d, operation %d, key %d: hit %v, want %v", capacity, i, k, got, want)
		}
		if !got {
			c.Set(k, i)
			m.insert(k)
		} else if random.IntN(20) == 0 {
			c.Set(k, i)
			m.use(k)
		}
	}
	if got, want := c.Window(), m.target; got != want {
		return fmt.Sprintf("capacity %d: window target %v, want %v", capacity, got, want)
	}
	var want []int
	all := slices.Concat(m.window, m.main)
	for i, e := range all {
		if i >= len(m.window) {
			all[i].heat = e.heat + 4
		}
	}
	slices.SortStableFunc(all, func(a, b modelEntry) int { return a.heat - b.heat })
	for _, e := range all {
		want = append(want, e.k)
	}
	if got := keys(c); !slices.Equal(got, want) {
		return fmt.Sprintf("capacity %d: keys %v, want %v", capacity, got, want)
	}
	return c.Check()
}

func TestAdaptiveEqualsModel(t *testing.T) {
	// Oracle: the model of the policy.
	checkProperty(t, 60, prop.ForAll(
		func(capacity int, seed uint64) *gopter.PropResult {
			return holds(replayPolicy(capacity, 3000, seed, right))
		},
		gen.IntRange(1, 100), gen.UInt64()))
	if problem := replayPolicy(1000, 40_000, 1, right); problem != "" {
		t.Error(problem)
	}
}

// A scan of keys that are used once does not flush popular keys, and some
// lookups of a loop that does not fit are hits. Oracle: strict LRU, which loses
// both.
func TestAdaptive_BeatsLRU(t *testing.T) {
	const capacity = 1000
	for _, tt := range []struct {
		name string
		key  func(i int) int
	}{
		{"scan", func(i int) int {
			if i%2 == 0 {
				return -i
			}
			return i / 2 * 7919 % 900
		}},
		{"loop", func(i int) int { return i % 1200 }},
	} {
		hits := func(policy cache.Eviction) (n int) {
			c := cache.New(cache.Config[int, int]{Capacity: capacity, Eviction: policy})
			for i := range 40_000 {
				if _, ok := c.Get(tt.key(i)); ok {
					n++
				} else {
					c.Set(tt.key(i), i)
				}
			}
			return n
		}
		if adaptive, lru := hits(cache.Adaptive), hits(cache.LRU); adaptive < lru+8000 {
			t.Errorf("%s: %d hits with Adaptive, %d with LRU, want 8000 more", tt.name, adaptive, lru)
		}
	}
}
