package cache

import (
	"math"
	"math/rand/v2"
)

// A rule selects the entry that leaves to make room for another.
type rule uint8

const (
	frequent rule = iota // keeps entries that are used often, as TinyLFU does
	balanced             // weighs recent against repeated use, as ARC does
	recent               // keeps entries that were used last, as LRU does
	rules
)

// Queues implement the eviction policy of one shard.
//
// With LRU, window contains the entries in the order of use.
//
// With Adaptive, new entries are in window, and entries that have proved
// useful are in main. Both queues are first in, first out, with a second
// chance. A use heats an entry. An eviction that finds a hot entry cools it and
// puts it back in front. The queues follow one rule at a time, which duel
// selects:
//
//   - frequent: the oldest cold entry of the window is the candidate for the
//     main queue. It must displace the victim, the oldest cold entry there, and
//     pays for each byte with its estimate in the sketch.
//   - balanced: an entry of the window that is used moves to the main queue,
//     and so does a key whose ghost returns. The window gives up entries while
//     it is longer than its target, otherwise the main queue.
//   - recent: all entries that are used move to the front of the window. The
//     main queue gives up its entries first.
//
// With balanced and recent, the first use of an entry since it was last cooled
// moves it at once. So the order is nearly the order of use, and lookups of a
// hot entry still move nothing.
//
// The sketch counts a key when it is inserted. It adds the uses of an entry
// when an eviction passes the entry or removes it.
//
// Ghosts are the last evictions of each queue. If a ghost of the window
// returns, the window was too small. If a ghost of the main queue returns, the
// window was too large. The target length of the window then moves by a step,
// as in ARC (Megiddo and Modha, 2003). The step is larger for a ghost of the
// rarer kind, and with frequent smaller for an old ghost.
type queues[K comparable, V any] struct {
	window, main list[K, V]
	pinned       list[K, V] // entries of weight 0, which do not leave for weight
	lru          bool
	rule         rule

	target   float64 // the length that the window should have, in entries
	bulk     int64   // the largest weight of an entry so far
	capacity int     // the number of entries at the last eviction
	sketch   sketch
	ghosts   [2]ghosts // of window and of main
	coin     *rand.PCG
}

const (
	ghostPart   = 0.5  // ghosts of each queue, as a fraction of the capacity
	nearPart    = 0.05 // a ghost younger than this fraction moves the target by a whole step
	farStep     = 0.1  // the part of a step for an older ghost
	targetPart  = 0.01 // the first target of the window, as a fraction of the capacity
	targetMost  = 0.8  // the largest target of the frequent rule
	handLimit   = 32   // hot entries of the main queue that an eviction passes
	windowLimit = 128  // hot entries of the window that it passes
	moveLimit   = 32   // entries that an eviction moves to the main queue because there is room
	admitMargin = 2    // in the sketch
	coinSides   = 4
	heavyMean   = 4 // a newcomer of this many mean weights must win its place at once
)

func newQueues[K comparable, V any](eviction Eviction, rule rule) queues[K, V] {
	return queues[K, V]{
		window: newList[K, V](), main: newList[K, V](), pinned: newList[K, V](), lru: eviction == LRU, rule: rule,
		coin: rand.NewPCG(rand.Uint64(), rand.Uint64()),
	}
}

// len returns the number of all entries.
func (q *queues[K, V]) len() int { return q.window.len + q.main.len + q.pinned.len }

// all returns the entries, the oldest of each queue first.
func (q *queues[K, V]) all() []*node[K, V] {
	nodes := make([]*node[K, V], 0, q.len())
	return q.pinned.appendTo(q.main.appendTo(q.window.appendTo(nodes)))
}

// queue returns the queue that contains n or is to contain it.
func (q *queues[K, V]) queue(n *node[K, V]) *list[K, V] {
	switch {
	case n.weight() == 0:
		return &q.pinned
	case n.meta.Load()&inMain != 0:
		return &q.main
	}
	return &q.window
}

// follow makes rule the rule of the next evictions. Share is the part of the
// capacity that the window should have by the new rule.
func (q *queues[K, V]) follow(rule rule, share float64) {
	if rule != q.rule {
		q.rule, q.target = rule, share*float64(q.capacity)
	}
}

// share returns the part of the capacity that the window should have.
func (q *queues[K, V]) share() float64 { return q.target / float64(max(q.capacity, 1)) }

// missed learns from an insertion, before there is room for it. It reports
// whether the entry belongs into the main queue.
func (q *queues[K, V]) missed(hash uint32) (toMain bool) {
	if q.lru {
		return false
	}
	q.sketch.fit(q.len() + 1)
	q.sketch.add(hash)
	for i, sign := range []float64{1, -1} {
		mine, other := &q.ghosts[i], &q.ghosts[1-i]
		age, ok := mine.take(hash)
		if !ok || q.rule == recent {
			continue
		}
		step, most := sign*max(1, float64(other.len)/float64(mine.len+1)), 1.0
		if q.rule == frequent {
			most = targetMost
			if float64(age) > nearPart*float64(q.capacity) {
				step *= farStep
			}
		}
		q.target = min(max(q.target+step, 1), most*float64(q.capacity))
		toMain = toMain || q.rule == balanced
	}
	return toMain
}

func (q *queues[K, V]) insert(n *node[K, V]) {
	q.queue(n).push(n)
	q.bulk = max(q.bulk, int64(n.weight()))
	if q.capacity == 0 && q.rule == frequent && !q.lru && float64(q.window.len) > max(1, targetPart*float64(q.len())) {
		q.move(q.window.oldest(), inMain) // nothing was evicted yet: the main queue has room
	}
}

func (q *queues[K, V]) remove(n *node[K, V]) { q.queue(n).remove(n) }

// replace puts n, a new value of the same key, in the place of old.
func (q *queues[K, V]) replace(old, n *node[K, V]) {
	n.meta.Store(old.meta.Load())
	if from, to := q.queue(old), q.queue(n); from == to {
		from.replace(old, n)
	} else {
		from.remove(old)
		to.push(n)
	}
}

// used marks n as used.
func (q *queues[K, V]) used(n *node[K, V]) {
	if q.lru {
		q.queue(n).renew(n)
	} else if n.warm() {
		q.moved(n)
	}
}

// moved moves n, which has just been used for the first time since it was last
// cooled, by the rule.
func (q *queues[K, V]) moved(n *node[K, V]) {
	if n.weight() == 0 {
		return
	}
	switch q.rule {
	case balanced:
		q.move(n, inMain)
	case recent:
		q.move(n, 0)
	}
}

// move puts n in front of the main queue if to is inMain, otherwise of the
// window.
func (q *queues[K, V]) move(n *node[K, V], to uint32) {
	if n.meta.Load()&inMain == to {
		q.queue(n).renew(n)
		return
	}
	q.queue(n).remove(n)
	n.meta.And(^uint32(inMain))
	n.meta.Or(to)
	q.queue(n).push(n)
}

// evict removes an entry from the queues and returns it. It returns nil if
// there is no entry except keep. Pinned entries leave after all others, and
// only if pinned is true. Incoming is the weight that needs the room.
func (q *queues[K, V]) evict(keep *node[K, V], incoming int64, pinned bool) (victim *node[K, V]) {
	if keep != nil {
		q.remove(keep)
		defer q.queue(keep).push(keep)
	}
	switch {
	case q.window.len+q.main.len > 0 && !q.lru:
		return q.choose(incoming)
	case q.window.len > 0:
		victim = q.window.oldest()
	case pinned:
		victim = q.pinned.oldest()
	}
	if victim != nil {
		q.remove(victim)
	}
	return victim
}

// choose evicts an entry by the rule. The window or the main queue is not
// empty.
func (q *queues[K, V]) choose(incoming int64) *node[K, V] {
	target := q.measure()
	room := target - incoming // for the entries that are in the window now
	if q.rule == frequent {
		return q.contest(target, room)
	}
	first, second := &q.window, &q.main
	if q.main.len > 0 && (q.rule == recent || q.window.weight <= room) {
		first, second = second, first
	}
	victim, _ := q.cold(first)
	if victim == nil { // first was hot, and has moved to second
		victim, _ = q.cold(second)
	}
	return q.leave(victim, true)
}

// contest evicts an entry by the frequent rule. It promotes candidates while
// the window is heavy enough without them. Then there are four cases:
//
//	the window is shorter than its target    the victim leaves
//	the main queue is empty                  the candidate leaves
//	the victim is cold and worth less        the candidate replaces the victim
//	otherwise                                the candidate leaves
//
// A victim that is hot shows that the whole main queue is hot, and nothing
// about the length of the window: the candidate then leaves no ghost.
func (q *queues[K, V]) contest(target, room int64) *node[K, V] {
	for i := 0; i < moveLimit && q.window.len > 1 && q.window.weight-int64(q.window.oldest().weight()) >= target; i++ {
		n, _ := q.cold(&q.window)
		q.move(n, inMain)
	}
	if q.main.len > 0 && (q.window.len == 0 || q.window.weight <= room) {
		victim, _ := q.cold(&q.main)
		return q.leave(victim, true)
	}
	candidate, _ := q.cold(&q.window)
	victim, hot := q.cold(&q.main)
	switch {
	case victim == nil:
		return q.leave(candidate, true)
	case !hot && q.admits(candidate, victim):
		q.move(candidate, inMain)
		return q.leave(victim, true)
	}
	return q.leave(candidate, !hot)
}

// measure records the number of entries and returns the weight that the window
// should have, enough for any newcomer that need not win its place.
func (q *queues[K, V]) measure() int64 {
	first := q.capacity == 0
	q.capacity = q.window.len + q.main.len
	if first {
		q.target = max(1, targetPart*float64(q.capacity))
	}
	mean := q.mean()
	return max(int64(max(1, math.Floor(q.target))*mean), min(q.bulk, int64(heavyMean*mean)))
}

// mean returns the mean weight of the entries that are not pinned.
func (q *queues[K, V]) mean() float64 {
	return float64(q.window.weight+q.main.weight) / float64(max(1, q.window.len+q.main.len))
}

// cold returns the oldest cold entry of the queue, or nil if the queue is
// empty. It puts hot entries back in front. After a limit of them it returns
// the next entry and reports that it is hot.
//
// With balanced and recent, an entry that was used once is cold, because that
// use has moved it. Hot entries of the window then go where the rule moves
// them.
func (q *queues[K, V]) cold(l *list[K, V]) (n *node[K, V], hot bool) {
	limit, passes := uint32(0), handLimit
	if q.rule != frequent {
		limit = 1
	}
	if l == &q.window {
		passes = windowLimit
	}
	for range passes {
		n = l.oldest()
		if n == nil || n.heat() <= limit {
			return n, false
		}
		q.flush(n)
		if q.rule == frequent && l == &q.main {
			n.setHeat(n.heat() / 2)
		} else {
			n.setHeat(0)
		}
		if q.rule == frequent {
			l.renew(n)
		} else {
			q.moved(n)
		}
	}
	if n = l.oldest(); n == nil {
		return nil, false
	}
	return n, n.heat() > limit
}

// admits reports whether the candidate displaces the victim: whether its
// estimate exceeds the price by the margin. If it exceeds it by 1 less, the
// candidate wins once in four times, so that an attacker cannot freeze the
// queue. The price is the estimate of the victim, times the square root of the
// ratio of the weights. Times the ratio itself would be the price per byte; the
// root is a compromise between hits and bytes. No price exceeds the largest
// estimate: the heaviest candidate has a chance if it is frequent.
func (q *queues[K, V]) admits(candidate, victim *node[K, V]) bool {
	mine, price := q.sketch.estimate(candidate.hash), q.sketch.estimate(victim.hash)
	if wc, wv := candidate.weight(), victim.weight(); wc > wv {
		price = int(math.Ceil(float64(price) * math.Sqrt(float64(wc)/float64(wv))))
	}
	ahead := mine - min(price, sketchMost)
	if ahead == 0 && mine == sketchMost {
		// Counters at the maximum do not age, because additions that change
		// nothing are not counted. A queue full of such entries would stay.
		ahead = admitMargin - 1
	}
	return ahead >= admitMargin || ahead == admitMargin-1 && q.coin.Uint64()%coinSides == 0
}

// refuses reports whether n, which needs room, may not have it: it is much
// heavier than the entries present, and not frequent enough to displace them.
// Otherwise a few heavy values that are used once could evict all others. Most
// is the weight of a full cache, and old the entry that n replaces, or nil.
func (q *queues[K, V]) refuses(old, n *node[K, V], most int64) bool {
	if w := float64(n.weight()); q.lru || w <= heavyMean*q.mean() || w <= targetPart*float64(most) {
		return false
	}
	for _, l := range []*list[K, V]{&q.main, &q.window} {
		if victim, _ := q.cold(l); victim != nil && victim != old {
			if !q.admits(n, victim) {
				return true
			}
			n.meta.Or(inMain)
			return false
		}
	}
	return false
}

// leave removes n, and keeps its ghost if ghost is true.
func (q *queues[K, V]) leave(n *node[K, V], ghost bool) *node[K, V] {
	q.remove(n)
	q.flush(n)
	if ghost {
		of := n.meta.Load() & inMain / inMain // 0 for window, 1 for main
		q.ghosts[of].add(n.hash, max(1, int(ghostPart*float64(q.capacity))))
	}
	return n
}

// flush adds the uses of n to the sketch.
func (q *queues[K, V]) flush(n *node[K, V]) {
	for range n.heat() {
		q.sketch.add(n.hash)
	}
}
