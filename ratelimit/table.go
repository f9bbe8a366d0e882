package ratelimit

import (
	"math"
	"math/bits"
	"slices"
	"sync"
)

// The table of a [Keyed] remembers, in fixed memory, the debt of each key: the
// events that the key has used and that have not come back yet. A hash of the
// key selects a set. A set has two levels:
//
//   - Slots are exact. A slot stays with its key until the burst of the key has
//     been back for four times as long as it takes to come back. Only a key
//     that must be exact takes a slot from another key: a ban, or a key that
//     gets events back.
//   - Extras contain the keys that find no slot. An extra is 4 bytes: the first
//     bits of a fingerprint, and a tat that is rounded up.
//
// When all extras are taken, the two that are closest in the tree of
// fingerprints become a single extra that covers their common subtree, with the
// larger tat. So a key never owes less than it used, and the table becomes less
// precise gradually.
//
// Invariants: the extras of a set are sorted and disjoint. If a key has no slot
// and owes events, an extra covers the key, with at least its tat. An extra
// never contains a debt of more than a burst: such debts, which are called bans
// below, have slots, or are cut.
//
// A set is 192 bytes, which are three cache lines.
type set struct {
	mu               sync.Mutex
	allowed, refused uint32       // requests
	heads            [ways]uint32 // the fingerprints of 48 bits
	tails            [ways]uint16

	tats [ways]int64

	base   int64          // the instant from which lates count
	labels [extras]uint16 // sorted; 0 means that this extra and the next are unused
	lates  [extras]uint16 // the tats: grains after base
}

const (
	ways    = 8  // slots of a set
	extras  = 14 // extras of a set
	banWays = 6  // slots of a set that bans can have
	fine    = 14 // a burst is less than 2^fine grains
)

// A rule is a limit of a [Keyed] with the arithmetic of its table.
type rule struct {
	bucket
	infinite bool
	forgive  bool
	grain    uint8 // a grain of lates is 2^grain units
	idle     int64 // a slot is free when its tat passed this many units ago
	floor    int64 // the tat of an unknown key
}

func newRule(b bucket, infinite, forgive bool) rule {
	r := rule{bucket: b, infinite: infinite, forgive: forgive, idle: 4 * min(b.burst, maxUnits/4), floor: full}
	r.grain = uint8(max(bits.Len64(uint64(b.burst))-fine, 0))
	return r
}

// label returns the label of the key with the hash h: a leaf of the tree of
// extras. As in a Fenwick tree, the lowest bit that is set separates the path
// to a node from its level.
func label(h uint64) uint16 { return uint16(h)<<1 | 1 }

// covers reports whether key is in the subtree of node.
func covers(node, key uint16) bool {
	return node != 0 && (node^key)>>(bits.TrailingZeros16(node)+1) == 0
}

// find returns the slot of the key with the hash h, or -1, and its tat.
func (r *rule) find(s *set, h uint64) (slot int, tat int64) {
	head, tail := uint32(h>>16), uint16(h)
	for i := range ways {
		if s.heads[i] == head && s.tails[i] == tail {
			return i, s.tats[i]
		}
	}
	if i := s.extra(label(h)); i >= 0 {
		return -1, max(r.floor, r.late(s, i))
	}
	return -1, r.floor
}

// extra returns the extra that covers key, or -1.
func (s *set) extra(key uint16) int {
	for i, node := range s.labels {
		if node == 0 {
			break
		}
		if covers(node, key) {
			return i
		}
	}
	return -1
}

// late returns the tat of an extra.
func (r *rule) late(s *set, i int) int64 { return s.base + int64(s.lates[i])<<r.grain }

// put stores the tat of the key with the hash h, which find has found in slot.
// If exact is true, the key gets a slot, even at the expense of another key. It
// reports whether a debt was forgotten.
func (r *rule) put(s *set, slot int, h uint64, tat, now int64, exact bool) (forgot bool) {
	ban := tat-now > r.burst
	if slot < 0 {
		least := 0
		for i := range ways {
			if s.tats[i] < s.tats[least] {
				least = i
			}
		}
		switch {
		case s.tats[least] <= now-r.idle:
		case !ban && !exact:
			return r.remember(s, label(h), tat, now)
		case s.tats[least] > now:
			forgot = r.remember(s, label(uint64(s.tails[least])), s.tats[least], now)
		}
		slot = least
		s.heads[slot], s.tails[slot] = uint32(h>>16), uint16(h)
	}
	s.tats[slot] = tat
	return ban && r.limitBans(s, now) || forgot
}

// limitBans cuts the shortest ban if too many slots contain bans, and reports
// whether it has cut a ban. The key keeps its slot and a debt of a burst.
func (r *rule) limitBans(s *set, now int64) bool {
	n, shortest := 0, -1
	for i, tat := range s.tats {
		if tat-now > r.burst && tat > now {
			if n++; shortest < 0 || tat < s.tats[shortest] {
				shortest = i
			}
		}
	}
	if n <= banWays {
		return false
	}
	s.tats[shortest] = now + r.burst
	return true
}

// remember puts the tat of a key without a slot into the extras, and reports
// whether it has forgotten a debt.
func (r *rule) remember(s *set, key uint16, tat, now int64) (forgot bool) {
	if s.labels[extras-1] != 0 || (now+r.burst-s.base)>>r.grain >= math.MaxUint16 {
		r.advance(s, now)
	}
	grains := (min(tat, now+r.burst) - s.base + 1<<r.grain - 1) >> r.grain
	late := uint16(min(max(grains, 1), math.MaxUint16))
	if i := s.extra(key); i >= 0 {
		s.lates[i] = max(s.lates[i], late)
		return false
	}
	n := s.extras()
	i, _ := slices.BinarySearch(s.labels[:n], key)
	labels, lates := insert(&s.labels, i, key), insert(&s.lates, i, late)
	if n == extras {
		if r.forgive {
			i, forgot = slices.Index(lates[:], slices.Min(lates[:])), true
		} else {
			i = join(&labels, &lates)
		}
		copy(labels[i:], labels[i+1:])
		copy(lates[i:], lates[i+1:])
	}
	copy(s.labels[:], labels[:])
	copy(s.lates[:], lates[:])
	return forgot
}

// insert returns a with v before index i.
func insert(a *[extras]uint16, i int, v uint16) (b [extras + 1]uint16) {
	copy(b[:i], a[:i])
	copy(b[i+1:], a[i:])
	b[i] = v
	return b
}

// join replaces the two extras with the smallest common subtree by that subtree
// and returns the index of the extra that is free now.
func join(labels, lates *[extras + 1]uint16) int {
	best, least := 0, math.MaxInt
	for i := range extras {
		level := bits.Len16(labels[i] ^ labels[i+1])
		if cost := level<<16 | int(max(lates[i], lates[i+1])); cost < least {
			best, least = i, cost
		}
	}
	level := least >> 16
	labels[best] = labels[best]>>level<<level | 1<<(level-1)
	lates[best] = max(lates[best], lates[best+1])
	return best + 1
}

// advance removes the extras that owe nothing now, and moves the base close to
// now.
func (r *rule) advance(s *set, now int64) {
	past, n := (now-s.base)>>r.grain, 0
	if past <= 0 {
		return
	}
	for i := range s.extras() {
		if late := int64(s.lates[i]); late > past {
			s.labels[n], s.lates[n] = s.labels[i], uint16(late-past)
			n++
		}
	}
	clear(s.labels[n:])
	s.base += past << r.grain
}

// extras returns the number of extras in use.
func (s *set) extras() int {
	if i := slices.Index(s.labels[:], 0); i >= 0 {
		return i
	}
	return extras
}

// owing returns the number of slots and extras in debt.
func (r *rule) owing(s *set, now int64) (n int) {
	for _, tat := range s.tats {
		if tat > now {
			n++
		}
	}
	for i := range s.extras() {
		if r.late(s, i) > now {
			n++
		}
	}
	return n
}

// change converts a set from the rule old to r, at the instant ns.
func (r *rule) change(old *rule, s *set, ns int64) {
	for i, tat := range s.tats {
		s.tats[i] = r.carry(old, tat, ns)
	}
	base, n := r.at(ns), 0
	for i := range s.extras() {
		if tat := r.carry(old, old.late(s, i), ns); tat > base {
			grains := (min(tat-base, r.burst) + 1<<r.grain - 1) >> r.grain
			s.labels[n], s.lates[n] = s.labels[i], uint16(grains)
			n++
		}
	}
	clear(s.labels[n:])
	s.base = base
}

// carry converts a tat. A debt of at most a burst keeps its events, up to the
// new burst. A ban keeps the instant at which it ends.
func (r *rule) carry(old *rule, tat, ns int64) int64 {
	now, was := r.at(ns), old.at(ns)
	switch {
	case r.infinite || old.infinite || tat <= was-old.idle:
		return full
	case tat <= was:
		return now
	case tat-was > old.burst:
		return min(r.at(old.nanos(tat-old.burst))+r.burst, maxTat)
	}
	debt := tat - was
	if more := int(r.frac) - int(old.frac); more < 0 {
		debt = (debt-1)>>-more + 1
	} else if debt > r.burst>>more {
		debt = r.burst
	} else {
		debt <<= more
	}
	return now + min(debt, r.burst)
}
