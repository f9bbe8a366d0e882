package ratelimit

import (
	"math"
	"math/rand/v2"
)

// A stretch is the effect of consecutive commitments on the tat of a bucket:
// it turns the tat t into max(t+sum, last). Two stretches in a row are a
// stretch, so a tree of commitments knows the effect of all of them exactly.
//
// Commitments that are not yet due must keep within the burst. They do as long
// as the tat before the stretch is at most room.
type stretch struct {
	sum  int64 // units taken
	last int64 // the tat after the stretch if the bucket was full before
	room int64
}

// nothing is the stretch without commitments.
var nothing = stretch{0, -maxTat, maxTat}

// then returns the stretch of s and then t.
func (s stretch) then(t stretch) stretch {
	return stretch{cut(s.sum + t.sum), cut(max(s.last+t.sum, t.last)), min(s.room, cut(t.room-s.sum))}
}

// after returns the tat after s.
func (s stretch) after(tat int64) int64 { return cut(max(max(tat, -maxTat)+s.sum, s.last)) }

// cut keeps u in a range in which the sum of two values does not overflow.
func cut(u int64) int64 { return min(max(u, -maxTat), maxTat-1) }

// A node is a reservation in a tree. The tree is a treap in the order of the
// instants: a search tree by (due, seq), and a heap by rank, which is random.
// So its depth is logarithmic in whatever order reservations come and go.
type node struct {
	n, due      int64  // events, and their instant in nanoseconds
	seq         uint64 // orders reservations of the same instant; from 1
	chapter     uint64 // if it is the chapter of the history, the node is in past
	pending     bool   // in next
	settled     bool   // final, and anonymous when it is due
	rank        uint32
	left, right *node
	parts       []part  // for each bucket
	one         [1]part // the memory of parts for a single bucket
}

type part struct {
	before stretch // other commitments since the node before
	own    stretch // the reservation
	all    stretch // the subtree
}

// update computes all from the children of t.
func (t *node) update() *node {
	for i := range t.parts {
		p := &t.parts[i]
		p.all = p.before.then(p.own)
		if t.left != nil {
			p.all = t.left.parts[i].all.then(p.all)
		}
		if t.right != nil {
			p.all = p.all.then(t.right.parts[i].all)
		}
	}
	return t
}

// all returns the stretch of a tree for bucket i.
func (t *node) all(i int) stretch {
	if t == nil {
		return nothing
	}
	return t.parts[i].all
}

// merge joins two trees; all nodes of a are before those in b.
func merge(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.rank > b.rank:
		a.right = merge(a.right, b)
		return a.update()
	}
	b.left = merge(a, b.left)
	return b.update()
}

// split divides a tree into the nodes before (due, seq) and the others.
func split(t *node, due int64, seq uint64) (before, others *node) {
	switch {
	case t == nil:
		return nil, nil
	case t.due < due || t.due == due && t.seq < seq:
		t.right, others = split(t.right, due, seq)
		return t.update(), others
	}
	before, t.left = split(t.left, due, seq)
	return before, t.update()
}

// isolate returns x alone, and the nodes of the tree before and after it.
func isolate(t, x *node) (before, after *node) {
	if t == x && x.left == nil && x.right == nil {
		return nil, nil
	}
	before, t = split(t, x.due, x.seq)
	_, after = split(t, x.due, x.seq+1)
	return before, after
}

func (t *node) first() *node {
	for t.left != nil {
		t = t.left
	}
	return t
}

func (t *node) final() *node {
	for t.right != nil {
		t = t.right
	}
	return t
}

// prepend puts a stretch of bucket i before the first node of t.
func (t *node) prepend(i int, s stretch) {
	if t.left != nil {
		t.left.prepend(i, s)
	} else {
		t.parts[i].before = s.then(t.parts[i].before)
	}
	t.update()
}

// breach returns the last node that would exceed the burst of bucket i if the
// tat before the tree was tat, nil if there is none.
func (t *node) breach(i int, tat int64) *node {
	for t != nil {
		own := cut(tat + t.left.all(i).sum)
		next := cut(own + t.parts[i].own.sum)
		switch {
		case next > t.right.all(i).room:
			tat, t = next, t.right
		case own > t.parts[i].own.room:
			return t
		default:
			t = t.left
		}
	}
	return nil
}

// A history contains the reservations of a Limiter that can still be settled,
// and the reservations that are not yet due.
//
//	start ── past ── after ── now ── next ──>
//
// The tats of the Limiter are start, then past, then after. To settle a
// reservation in past changes it there, and the tats are computed again: they
// are as if the reservation had always been for the settled number. To settle
// a reservation in next changes or removes it. Events fit now if next has room
// for them. So the limits hold whatever is settled in whatever order, and no
// event that fits is refused.
type history struct {
	start   []int64   // the tats before past
	past    *node     // reservations that are due and not settled
	after   []stretch // other commitments since
	next    *node     // reservations that are not yet due
	now     int64     // no node of past is later, and no node of next is earlier
	length  int       // of past
	seq     uint64    // of the latest reservation
	chapter uint64    // the number of times that past was forgotten
}

const (
	maxPast  = 1 << 14 // bounds the length of past; the oldest reservations are final then
	maxHoles = 16      // bounds the search for an instant between reservations

	gone = math.MaxUint64 // no chapter
)

// open reports whether there are reservations.
func (h *history) open() bool { return h.past != nil || h.next != nil }

// change applies a stretch to the tat of bucket i, now.
func (h *history) change(tats []int64, i int, s stretch) {
	tats[i] = s.after(tats[i])
	if h.past != nil {
		h.after[i] = h.after[i].then(s)
	}
}

// advance makes the reservations up to ns past. It forgets past if all buckets
// are full: earlier commitments no longer matter.
func (h *history) advance(tats []int64, buckets []bucket, ns int64) {
	for h.next != nil {
		x := h.next.first()
		if x.due > ns {
			break
		}
		_, h.next = isolate(h.next, x)
		h.enter(tats, x)
	}
	h.now = max(h.now, ns)
	if h.past == nil {
		return
	}
	for i := range buckets {
		if tats[i] > buckets[i].at(ns) {
			return
		}
	}
	h.forget()
}

// forget makes all reservations in past final.
func (h *history) forget() {
	h.past, h.length = nil, 0
	h.chapter++
}

// add takes the events of x, which fit at x.due.
func (h *history) add(tats []int64, x *node) {
	h.seq++
	x.seq, x.rank = h.seq, rand.Uint32()
	if x.due <= h.now {
		h.enter(tats, x)
		return
	}
	h.insert(x)
}

func (h *history) insert(x *node) {
	x.pending = true
	before, after := split(h.next, x.due, x.seq)
	h.next = merge(merge(before, x.update()), after)
}

// enter puts x, a single node, at the end of past.
func (h *history) enter(tats []int64, x *node) {
	x.pending = false
	if x.settled {
		for i := range tats {
			h.change(tats, i, x.parts[i].own)
		}
		return
	}
	if h.past == nil {
		h.start = append(h.start[:0], tats...)
		h.after = h.after[:0]
		for range tats {
			h.after = append(h.after, nothing)
		}
	}
	for i := range tats {
		x.parts[i].before, h.after[i] = h.after[i], nothing
		tats[i] = x.parts[i].own.after(tats[i])
	}
	x.chapter = h.chapter
	h.past = merge(h.past, x.update())
	if h.length++; h.length > maxPast {
		h.leave(tats, h.past.first())
	}
}

// leave makes x, a node of past, anonymous.
func (h *history) leave(tats []int64, x *node) {
	before, after := isolate(h.past, x)
	for i := range tats {
		s := x.parts[i].before.then(x.parts[i].own)
		switch {
		case before == nil:
			h.start[i] = s.after(h.start[i])
		case after == nil:
			h.after[i] = s.then(h.after[i])
		default:
			after.prepend(i, s)
		}
	}
	x.chapter = gone
	h.past = merge(before, after)
	h.length--
	for i := range tats {
		tats[i] = h.after[i].after(h.past.all(i).after(h.start[i]))
	}
}

// settle makes x a final reservation of n events.
func (h *history) settle(tats []int64, buckets []bucket, x *node, n int64) {
	x.settled, x.n = true, n
	switch {
	case x.pending:
		h.next = merge(isolate(h.next, x))
		if x.pending = n > 0; x.pending {
			x.reckon(buckets)
			h.insert(x)
		}
	case x.chapter == h.chapter:
		x.reckon(buckets)
		h.leave(tats, x)
	}
}

// convert continues with new buckets. Reservations that are due become final.
func (h *history) convert(buckets []bucket) {
	h.forget()
	old := h.next
	for h.next = nil; old != nil; {
		x := old.first()
		_, old = isolate(old, x)
		x.parts = nil
		x.reckon(buckets)
		h.insert(x)
	}
}

// reckon computes the stretches of x alone.
func (x *node) reckon(buckets []bucket) {
	if x.parts == nil {
		x.parts = x.one[:]
		if len(buckets) != 1 {
			x.parts = make([]part, len(buckets))
		}
		for i := range x.parts {
			x.parts[i].before = nothing
		}
	}
	for i := range x.parts {
		x.parts[i].own = buckets[i].taken(buckets[i].at(x.due), x.n)
	}
}
