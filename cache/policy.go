package cache

import (
	"fmt"
	"math/rand/v2"
)

// An Eviction decides which entry makes room for another.
type Eviction uint8

const (
	// Adaptive, the default, keeps what is used often and what is used again soon, and learns from its mistakes how much
	// room each of the two deserves. Passes over many keys once do not flush it. Reads need no lock.
	Adaptive Eviction = iota

	// LRU evicts the least recently used entry, exactly. Its order is the only thing that recommends it: it has fewer
	// hits than Adaptive, and all operations share one lock.
	LRU
)

// String returns the name in lower case.
func (e Eviction) String() string {
	switch e {
	case Adaptive:
		return "adaptive"
	case LRU:
		return "lru"
	}
	return fmt.Sprintf("Eviction(%d)", uint8(e))
}

// A queues is the eviction policy of one shard.
//
// With LRU the window is the whole cache, in the order of use.
//
// Otherwise there are a window for new entries and a main queue, both of them first in, first out, with a second chance: a
// hit only heats its entry, and the hand that comes to evict a hot one puts it back in front, cooler. The oldest cold
// entry of the window is a candidate for the main queue, where it has to displace the main queue's own: by being more
// frequent in the sketch by two, or by one and the toss of a coin in four, which keeps an adversary from freezing the
// queue. The sketch counts a key when it comes in; its uses are added when a hand passes it or it leaves.
//
// Ghosts are what was evicted last from each of the queues. Who comes back as a ghost of the window shows that the
// window was too small, and one of the main queue that it was too large: its target moves by a step, smaller if
// the ghost is old, larger if it is of the rarer kind, as in ARC (Megiddo and Modha, 2003).
type queues[K comparable, V any] struct {
	window, main list[K, V]
	pinned       list[K, V] // of weight 0: not evicted to make room for weight
	lru          bool

	target   float64 // the length the window should have
	capacity int     // how many entries there were at the last eviction
	sketch   sketch
	ghosts   [2]ghosts // of the window and of the main queue
	coin     *rand.PCG
}

const (
	ghostPart   = 0.5  // ghosts of each queue, as a part of the capacity
	nearPart    = 0.05 // those whose return moves the target by a whole step
	farStep     = 0.1  // and by how much the others do
	targetPart  = 0.01 // of the capacity, is the window's target at first
	targetMost  = 0.8  // and at most
	handLimit   = 32   // how many hot entries of the main queue one eviction passes over
	admitMargin = 2    // in the sketch
	coinSides   = 4
)

func newQueues[K comparable, V any](eviction Eviction) queues[K, V] {
	return queues[K, V]{
		window: newList[K, V](), main: newList[K, V](), pinned: newList[K, V](), lru: eviction == LRU,
		coin: rand.NewPCG(rand.Uint64(), rand.Uint64()),
	}
}

// len counts all entries.
func (q *queues[K, V]) len() int { return q.window.len + q.main.len + q.pinned.len }

// all returns the entries, each queue's oldest first.
func (q *queues[K, V]) all() []*node[K, V] {
	nodes := make([]*node[K, V], 0, q.len())
	return q.pinned.appendTo(q.main.appendTo(q.window.appendTo(nodes)))
}

// queue returns the queue that n is or is to be in.
func (q *queues[K, V]) queue(n *node[K, V]) *list[K, V] {
	switch {
	case n.weight() == 0:
		return &q.pinned
	case n.meta.Load()&inMain != 0:
		return &q.main
	}
	return &q.window
}

// missed learns from an insertion, before room is made for it.
func (q *queues[K, V]) missed(hash uint32) {
	if q.lru {
		return
	}
	q.sketch.fit(q.len() + 1)
	q.sketch.add(hash)
	for i, sign := range []float64{1, -1} {
		mine, other := &q.ghosts[i], &q.ghosts[1-i]
		age, ok := mine.take(hash)
		if !ok {
			continue
		}
		step := sign * max(1, float64(other.len)/float64(mine.len+1))
		if float64(age) > nearPart*float64(q.capacity) {
			step *= farStep
		}
		q.target = min(max(q.target+step, 1), targetMost*float64(q.capacity))
	}
}

func (q *queues[K, V]) insert(n *node[K, V]) { q.queue(n).push(n) }

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

// used tells of a use of n.
func (q *queues[K, V]) used(n *node[K, V]) {
	if q.lru {
		q.queue(n).renew(n)
	} else {
		n.warm()
	}
}

// evict takes an entry out of the queues and returns it, or nil if there is none but keep. Pinned ones are the last.
func (q *queues[K, V]) evict(keep *node[K, V]) (victim *node[K, V]) {
	if keep != nil {
		q.remove(keep)
		defer q.insert(keep)
	}
	switch {
	case q.window.len+q.main.len == 0:
		victim = q.pinned.oldest()
	case q.lru:
		victim = q.window.oldest()
	default:
		return q.choose()
	}
	if victim != nil {
		q.remove(victim)
	}
	return victim
}

// choose evicts by the adaptive policy. There is at least one entry in the window or in the main queue.
func (q *queues[K, V]) choose() *node[K, V] {
	first := q.capacity == 0
	q.capacity = q.window.len + q.main.len
	if first {
		q.target = max(1, targetPart*float64(q.capacity))
	}
	target := max(1, int(q.target))
	for {
		if q.window.len < target && q.main.len > 0 {
			victim, _ := q.mainVictim()
			return q.leave(victim, true)
		}
		candidate := q.candidate()
		if q.main.len < q.capacity-target {
			q.promote(candidate)
			continue
		}
		victim, hot := q.mainVictim()
		switch {
		case victim == nil:
			return q.leave(candidate, true)
		case !hot && q.admits(candidate, victim):
			q.promote(candidate)
			return q.leave(victim, true)
		}
		return q.leave(candidate, !hot) // a hot main queue says nothing about the window
	}
}

// candidate returns the oldest cold entry of the window, which is not empty, and puts those that are hot back in front. Having
// seen all of them once it takes the next, hot or not: readers may heat them as fast as it cools them.
func (q *queues[K, V]) candidate() *node[K, V] {
	for range q.window.len {
		n := q.window.oldest()
		if n.heat() == 0 {
			return n
		}
		q.flush(n)
		n.setHeat(0)
		q.window.renew(n)
	}
	return q.window.oldest()
}

// mainVictim returns the entry of the main queue to evict, or nil. If it is hot, so were all that the hand passed.
func (q *queues[K, V]) mainVictim() (n *node[K, V], hot bool) {
	for range handLimit {
		n = q.main.oldest()
		if n == nil || n.heat() == 0 {
			return n, false
		}
		q.flush(n)
		n.setHeat(n.heat() / 2)
		q.main.renew(n)
	}
	n = q.main.oldest()
	return n, n.heat() > 0
}

// admits reports whether the candidate displaces the victim. A tie of two that the sketch cannot count any higher is the
// coin's to decide: what it no longer counts does not age it either, so a queue full of such entries would stay for ever.
func (q *queues[K, V]) admits(candidate, victim *node[K, V]) bool {
	mine := q.sketch.estimate(candidate.hash)
	ahead := mine - q.sketch.estimate(victim.hash)
	if ahead == 0 && mine == sketchMost {
		ahead = admitMargin - 1
	}
	return ahead >= admitMargin || ahead == admitMargin-1 && q.coin.Uint64()%coinSides == 0
}

// promote moves n from the window to the main queue.
func (q *queues[K, V]) promote(n *node[K, V]) {
	q.window.remove(n)
	n.meta.Or(inMain)
	q.main.push(n)
}

// leave takes n out, and keeps its ghost.
func (q *queues[K, V]) leave(n *node[K, V], ghost bool) *node[K, V] {
	q.remove(n)
	q.flush(n)
	if ghost {
		of := 0
		if n.meta.Load()&inMain != 0 {
			of = 1
		}
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
