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

// ---- the rules of the adaptive policy, hit for hit. Oracle: the model below,
// which is the policy in its simplest form, with linear searches. It repeats
// the constants of the policy: a change of a constant must change both.

const (
	frequent = iota
	balanced
	recent
)

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
	rule            int
	limit, capacity int             // capacity: the entries there were at the last eviction
	queues          [2][]modelEntry // window and main
	ghosts          [2][]modelGhost // of window and main
	target          float64
	sketch          modelSketch
	hash            func(int) uint32
	coin            *rand.PCG
}

// use heats k and reports whether k is present. With balanced and recent, the
// first use moves the entry.
func (m *policyModel) use(k int) bool {
	for from := range m.queues {
		q := m.queues[from]
		i := slices.IndexFunc(q, func(e modelEntry) bool { return e.k == k })
		if i < 0 {
			continue
		}
		q[i].heat = min(q[i].heat+1, 3)
		if e := q[i]; m.rule != frequent && e.heat == 1 {
			m.queues[from] = slices.Delete(q, i, i+1)
			m.push(m.home(), e)
		}
		return true
	}
	return false
}

// home returns the queue into which the rule moves used entries.
func (m *policyModel) home() int {
	if m.rule == balanced {
		return 1
	}
	return 0
}

func (m *policyModel) push(to int, e modelEntry) { m.queues[to] = append(m.queues[to], e) }

func (m *policyModel) pop(from int) modelEntry {
	e := m.queues[from][0]
	m.queues[from] = m.queues[from][1:]
	return e
}

func (m *policyModel) len() int { return len(m.queues[0]) + len(m.queues[1]) }

func (m *policyModel) insert(k int) {
	m.sketch.fit(m.len() + 1)
	m.sketch.add(m.hash(k))
	in := 0
	for mine, step := range []float64{1, -1} {
		if m.vote(mine, step, m.hash(k)) && m.rule == balanced {
			in = 1
		}
	}
	if m.len() == m.limit {
		m.evict(1 - in)
	}
	m.push(in, modelEntry{k: k})
	if m.capacity == 0 && m.rule == frequent && float64(len(m.queues[0])) > max(1, 0.01*float64(m.len())) {
		m.push(1, m.pop(0))
	}
}

func (m *policyModel) delete(k int) {
	for i := range m.queues {
		m.queues[i] = slices.DeleteFunc(m.queues[i], func(e modelEntry) bool { return e.k == k })
	}
}

func (m *policyModel) vote(mine int, step float64, hash uint32) (known bool) {
	i := slices.Index(m.ghosts[mine], modelGhost{hash, false})
	if i < 0 {
		return false
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
	most := float64(m.capacity)
	if m.rule == frequent {
		most *= 0.8
		if age := len(m.ghosts[mine]) - 1 - i; float64(age) > 0.05*float64(m.capacity) {
			step *= 0.1
		}
	}
	if m.rule != recent {
		m.target = min(max(m.target+step, 1), most)
	}
	return true
}

func (m *policyModel) flush(e modelEntry) {
	for range e.heat {
		m.sketch.add(m.hash(e.k))
	}
}

// evict makes room, of which the window needs the part incoming.
func (m *policyModel) evict(incoming int) {
	if m.capacity == 0 {
		m.target = max(1, 0.01*float64(m.limit))
	}
	m.capacity = m.len()
	target := max(1, int(m.target))
	if m.rule == frequent {
		m.contest(target)
		return
	}
	from := 0
	if len(m.queues[1]) > 0 && (m.rule == recent || len(m.queues[0])+incoming <= target) {
		from = 1
	}
	m.cool(from)
	if len(m.queues[from]) == 0 {
		from = 1 - from
		m.cool(from)
	}
	m.leave(from, true)
}

func (m *policyModel) contest(target int) {
	for i := 0; i < 32 && len(m.queues[0]) > target; i++ {
		m.cool(0)
		m.push(1, m.pop(0))
	}
	if len(m.queues[1]) > 0 && len(m.queues[0]) < target {
		m.cool(1)
		m.leave(1, true)
		return
	}
	m.cool(0)
	hot := m.cool(1)
	switch {
	case len(m.queues[1]) == 0:
		m.leave(0, true)
	case !hot && m.admits(m.queues[0][0].k, m.queues[1][0].k):
		m.push(1, m.pop(0))
		m.leave(1, true)
	default:
		m.leave(0, !hot)
	}
}

// cool passes up to 32 hot entries of a queue, and reports whether the next
// entry is hot too.
func (m *policyModel) cool(of int) (hot bool) {
	limit := 0
	if m.rule != frequent {
		limit = 1
	}
	passes := 32
	if of == 0 {
		passes = 128
	}
	for range passes {
		if len(m.queues[of]) == 0 || m.queues[of][0].heat <= limit {
			return false
		}
		e := m.pop(of)
		m.flush(e)
		to := m.home()
		if m.rule == frequent {
			to = of
		}
		if m.rule == frequent && of == 1 {
			e.heat /= 2
		} else {
			e.heat = 0
		}
		m.push(to, e)
	}
	return len(m.queues[of]) > 0 && m.queues[of][0].heat > limit
}

func (m *policyModel) leave(from int, ghost bool) {
	e := m.pop(from)
	m.flush(e)
	if ghost {
		g := append(m.ghosts[from], modelGhost{hash: m.hash(e.k)})
		m.ghosts[from] = g[max(0, len(g)-max(1, m.capacity/2)):]
	}
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
func replayPolicy(rule, capacity, n int, seed uint64, wrong int) string {
	c := cache.NewRuled(cache.Config[int, int]{Capacity: capacity}, rule)
	c.SetCoin(rand.NewPCG(seed, 1))
	m := &policyModel{rule: rule, limit: capacity, hash: c.Hash, coin: rand.NewPCG(seed, 1)}
	if m.limit -= wrong; wrong > 0 && m.limit == 0 {
		return "the model has no room"
	}
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
	all := slices.Concat(m.queues[0], m.queues[1])
	for i, e := range all {
		if i >= len(m.queues[0]) {
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
		func(rule, capacity int, seed uint64) *gopter.PropResult {
			return holds(replayPolicy(rule, capacity, 3000, seed, right))
		},
		gen.IntRange(0, cache.Rules-1), gen.IntRange(1, 100), gen.UInt64()))
	for rule := range cache.Rules {
		if problem := replayPolicy(rule, 1000, 20_000, 1, right); problem != "" {
			t.Error(problem)
		}
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
