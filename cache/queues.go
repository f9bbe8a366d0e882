package cache

import "math/rand/v2"

// Queues implement the eviction policy of one shard.
//
// With LRU, window contains the entries in the order of use.
//
// With Adaptive, new entries are in window, and entries that have proved
// useful are in main. Both queues are first in, first out, with a second
// chance. A use only heats an entry. An eviction that finds a hot entry cools
// it and puts it back in front. The oldest cold entry of the window is
// the candidate for the main queue. It must displace the victim, the oldest
// cold entry there: its estimate in the sketch must exceed the estimate of the
// victim by 2. If it exceeds it by 1, the candidate wins once in four times, so
// that an attacker cannot freeze the queue. The sketch counts a key when it is
// inserted. It adds the uses of an entry when an eviction passes the entry or
// removes it.
//
// Ghosts are the last evictions of each queue. If a ghost of the window
// returns, the window was too small. If a ghost of the main queue returns, the
// window was too large. The target length of the window then moves by a step,
// as in ARC (Megiddo and Modha, 2003). The step is smaller for an old ghost and
// larger for a ghost of the rarer kind.
type queues[K comparable, V any] struct {
	window, main list[K, V]
	pinned       list[K, V] // entries of weight 0, evicted after all others
	lru          bool

	target   float64 // the length that the window should have
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
	targetMost  = 0.8  // the largest target
	handLimit   = 32   // hot entries of the main queue that an eviction passes
	admitMargin = 2    // in the sketch
	coinSides   = 4
)

func newQueues[K comparable, V any](eviction Eviction) queues[K, V] {
	return queues[K, V]{
		window: newList[K, V](), main: newList[K, V](), pinned: newList[K, V](), lru: eviction == LRU,
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

// missed learns from an insertion, before there is room for it.
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

// used marks n as used.
func (q *queues[K, V]) used(n *node[K, V]) {
	if q.lru {
		q.queue(n).renew(n)
	} else {
		n.warm()
	}
}

// evict removes an entry from the queues and returns it. It returns nil if
// there is no entry except keep. Pinned entries leave last.
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

// choose evicts an entry by the adaptive policy. The window or the main queue
// is not empty. choose promotes candidates while the window is longer than its
// target. Then there are four cases:
//
//	the window is shorter than its target    the victim leaves
//	the main queue is empty                  the candidate leaves
//	the victim is cold and less frequent     the candidate replaces the victim
//	otherwise                                the candidate leaves
//
// A victim that is hot shows that the whole main queue is hot, and nothing
// about the length of the window: the candidate then leaves no ghost.
func (q *queues[K, V]) choose() *node[K, V] {
	target := q.measure()
	for q.window.len > target {
		q.promote(q.candidate())
	}
	if q.window.len < target && q.main.len > 0 {
		victim, _ := q.victim()
		return q.leave(victim, true)
	}
	candidate := q.candidate()
	victim, hot := q.victim()
	switch {
	case victim == nil:
		return q.leave(candidate, true)
	case !hot && q.admits(candidate, victim):
		q.promote(candidate)
		return q.leave(victim, true)
	}
	return q.leave(candidate, !hot)
}

// measure records the number of entries and returns the target of the window.
func (q *queues[K, V]) measure() int {
	first := q.capacity == 0
	q.capacity = q.window.len + q.main.len
	if first {
		q.target = max(1, targetPart*float64(q.capacity))
	}
	return max(1, int(q.target))
}

// candidate returns the oldest cold entry of the window, which is not empty. It
// puts hot entries back in front. After one pass it returns the next entry, hot
// or cold: readers may heat the entries as fast as candidate cools them.
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

// victim returns the entry of the main queue to evict, or nil if the queue is
// empty. If it is hot, so were all entries that victim passed.
func (q *queues[K, V]) victim() (n *node[K, V], hot bool) {
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

// admits reports whether the candidate displaces the victim. If the estimates
// of both are at the maximum of the sketch, the coin decides. Such counters do
// not age, because additions that change nothing are not counted. A queue full
// of such entries would otherwise stay forever.
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
