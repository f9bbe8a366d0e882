package cache

import (
	"math"
	"math/bits"
	"sync"
	"sync/atomic"
)

// A duel finds the rule that has the most hits at present, and makes it the
// rule of the cache.
//
// For each rule a shadow, a small cache without values, follows a sample of the
// keys: keys whose hashes have certain bits 0. One key in 2^n takes part, and
// the shadow has the size of the cache divided by 2^n. It hits nearly as often
// as the cache would (Waldspurger and others, 2017). The size of a shadow is
// bounded, so its memory and time do not grow with the cache.
//
// Each shadow has a lead over the shadow of the rule in force: the hits that it
// had and the other had not, minus the reverse, never below 0. When a lead
// exceeds the threshold, its rule comes into force. A change costs misses. If
// the cache had fewer hits after a change than the shadow of the previous rule,
// the change was wrong, and the threshold grows. So workloads whose best rule
// alternates quickly do not make the cache follow each turn.
type duel struct {
	rule  atomic.Uint32 // the rule in force
	share atomic.Uint64 // the share of the window in the shadow that won last: the bits of a float64
	mask  atomic.Uint32 // a key takes part if its hash has none of these bits

	// Sampled hits wait here for the next sampled miss, so that lookups take no
	// lock. If there is no room, they are forgotten. While all lookups hit,
	// there is nothing to decide.
	hits    atomic.Pointer[[duelMost]atomic.Uint64]
	waiting atomic.Uint32

	mu                 sync.Mutex // guards the fields below
	shadows            [rules]*Cache[uint32, uint32]
	leads              [rules]int
	threshold          int
	least, most        int  // of the threshold
	previous           rule // the rule in force before
	ownHits, otherHits int  // since the last change: of the cache, and of the shadow of the previous rule
}

const (
	duelPart    = 16  // the part of the entries that take part
	duelLeast   = 64  // but at least so many entries, if there are
	duelMost    = 512 // and at most twice as many
	leadPart    = 10  // the least threshold, as a part of the entries of a shadow
	leadLeast   = 8
	leadFirst   = 4 // the first threshold, as a multiple of the least
	leadBackoff = 4 // the growth of the threshold after a wrong change
)

// idle reports whether the duel has not begun.
func (d *duel) idle() bool { return d.mask.Load() == math.MaxUint32 }

// current returns the rule in force and the share of the window that it starts
// with.
func (d *duel) current() (rule, float64) {
	return rule(d.rule.Load()), math.Float64frombits(d.share.Load())
}

func (d *duel) sampled(hash uint32) bool {
	mask := d.mask.Load()
	return hash&mask == 0 && mask != math.MaxUint32
}

// hit notes a sampled hit.
func (d *duel) hit(hash, weight uint32) {
	if d.waiting.Load() < duelMost {
		if i := d.waiting.Add(1) - 1; i < duelMost {
			d.hits.Load()[i].Store(uint64(hash)<<32 | uint64(weight))
		}
	}
}

// reset ends the duel, which begins again with the next insertion.
func (d *duel) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mask.Store(math.MaxUint32)
	d.shadows = [rules]*Cache[uint32, uint32]{}
}

// miss notes a sampled insertion into a cache of this budget. It begins the
// duel when the cache is half full.
func (d *duel) miss(hash, weight uint32, b *budget) {
	entries, half := b.expected()
	if d.idle() && !half {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	size := min(entries, max(duelLeast, min(entries/duelPart, duelMost)))
	n := max(0, bits.Len64(uint64(entries/max(size, 1)))-1)
	if now := bits.OnesCount32(d.mask.Load()); d.shadows[0] == nil || n > now+1 || n < now-1 {
		d.start(n, entries, b.capacity.Load(), b.maxWeight.Load())
	}
	for i := range min(d.waiting.Load(), duelMost) {
		if x := d.hits.Load()[i].Swap(0); x != 0 {
			d.follow(uint32(x>>32), uint32(x), true)
		}
	}
	d.waiting.Store(0)
	if d.sampled(hash) {
		d.follow(hash, weight, false)
	}
}

// start begins a duel in which one key in 2^n takes part, for a cache of about
// this many entries and these limits. MaxWeight is 0 if there is none.
func (d *duel) start(n int, entries, capacity, maxWeight int64) {
	if d.hits.Load() == nil {
		d.hits.Store(new([duelMost]atomic.Uint64))
	}
	d.mask.Store(1<<n - 1)
	config := Config[uint32, uint32]{Uncounted: true}
	if capacity < math.MaxInt64 {
		config.Capacity = int(min(max(capacity>>n, 1), math.MaxInt))
	}
	if maxWeight > 0 {
		config.MaxWeight = uint64(max(maxWeight>>n, 1))
		config.Weigh = func(_, weight uint32) uint32 { return weight }
	}
	for r := range d.shadows {
		d.shadows[r] = newCache(config, 1, rule(r))
		d.shadows[r].shadow = true
	}
	size := int(entries >> n)
	d.least = max(size/leadPart, leadLeast)
	d.threshold = d.least * leadFirst
	d.most = max(size, d.threshold)
	d.leads = [rules]int{}
	d.previous = rule(d.rule.Load())
}

// follow lets the shadows follow an access.
func (d *duel) follow(hash, weight uint32, hit bool) {
	now := rule(d.rule.Load())
	var hits [rules]int
	for r, shadow := range d.shadows {
		if access(shadow, hash, weight) {
			hits[r] = 1
		}
	}
	if hit {
		d.ownHits++
	}
	d.otherHits += hits[d.previous]
	best := now
	for r := range d.leads {
		d.leads[r] = max(0, d.leads[r]+hits[r]-hits[now])
		if d.leads[r] > d.leads[best] {
			best = rule(r)
		}
	}
	if d.leads[best] > d.threshold {
		d.change(now, best)
	}
}

// access looks hash up in a shadow, and inserts it if it is absent. It reports
// whether it was present. Shadows use the nodes of evicted entries again, which
// no reader can hold.
func access(shadow *Cache[uint32, uint32], hash, weight uint32) (hit bool) {
	s, own := shadow.locate(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.find(own, hash); n != nil {
		s.queues.used(n)
		return true
	}
	n := s.spare
	if n == nil {
		n = shadow.newNode(hash, weight, own, NoExpiry)
	} else {
		s.spare, n.next = n.next, nil
		n.key, n.hash = hash, own
		n.meta.Store(0)
		if n.attrs != nil {
			n.attrs.weight = weight
		}
	}
	var gone departed[uint32, uint32]
	s.put(nil, n, false, &gone)
	return false
}

// change brings the rule best into force in place of now.
func (d *duel) change(now, best rule) {
	switch {
	case d.previous == now:
	case d.ownHits < d.otherHits:
		d.threshold = min(d.threshold*leadBackoff, d.most)
	default:
		d.threshold = max(d.threshold/2, d.least)
	}
	d.previous, d.ownHits, d.otherHits = now, 0, 0
	d.leads = [rules]int{}
	d.share.Store(math.Float64bits(d.shadows[best].shards[0].queues.share()))
	d.rule.Store(uint32(best))
}
