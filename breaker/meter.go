package breaker

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// A kind is what is counted. The first three also have a time window.
type kind uint8

const (
	success kind = iota
	failure
	slow
	ignored
	rejected
	late
	opened
	started // only in breakers of a Group
	kinds   // how many

	windowed = 3
	tenths   = 10
)

// counts are the windowed kinds, indexed by kind.
type counts [windowed]uint64

// A cell is a row of counters that only ever grow, and exactly a cache line.
type cell struct {
	n [kinds]atomic.Uint64
}

// A meter counts, in all and over a window. The counters only grow and are never moved, so no result can be lost
// or counted twice; a window is the difference between the counters now and their values at its beginning, which
// a ring keeps for each of the last ten tenths. add, fresh and total need no lock, the others the owner's.
//
// One cell serves until two processors collide on it; then a row of them is made, once, and each addition goes to one
// at random, so that few collide (after java.util.concurrent's LongAdder).
type meter struct {
	width time.Duration // a tenth of the window
	from  atomic.Int64  // beginning of the current tenth, time since the owner's start
	one   cell
	more  atomic.Pointer[[]cell]
	at    int                     // index of the current tenth in ring
	ring  *[tenths]counts         // totals at the beginning of each tenth; nil during the first one
	base  [windowed]atomic.Uint64 // totals at the beginning of the window
}

func (m *meter) add(k kind) {
	if m.more.Load() == nil {
		c := &m.one.n[k]
		if v := c.Load(); c.CompareAndSwap(v, v+1) {
			return
		}
	}
	m.spread(k)
}

// spread is add for more than one cell.
func (m *meter) spread(k kind) {
	row := m.more.Load()
	if row == nil {
		cells := make([]cell, 4<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)))
		m.more.CompareAndSwap(nil, &cells)
		row = m.more.Load()
	}
	(*row)[rand.Uint64()&uint64(len(*row)-1)].n[k].Add(1)
}

// total is the number of things of one kind counted ever.
func (m *meter) total(k kind) uint64 {
	n := m.one.n[k].Load()
	if row := m.more.Load(); row != nil {
		for i := range *row {
			n += (*row)[i].n[k].Load()
		}
	}
	return n
}

func (m *meter) totals() (c counts) {
	for k := range c {
		c[k] = m.total(kind(k))
	}
	return c
}

// fresh reports whether now lies in the current tenth, neither after nor before it.
func (m *meter) fresh(now time.Duration) bool {
	return uint64(int64(now)-m.from.Load()) < uint64(m.width)
}

// restart begins an empty window at now.
func (m *meter) restart(now time.Duration) {
	m.ring, m.at = nil, 0
	m.rebase(m.totals())
	m.from.Store(int64(now))
}

// rotate makes the tenth current in which now lies, and reports whether it was not before.
func (m *meter) rotate(now time.Duration) bool {
	steps := (int64(now) - m.from.Load()) / int64(m.width)
	if steps == 0 {
		return false
	}
	c := m.totals()
	if m.ring == nil {
		m.ring = new([tenths]counts)
		for i := range m.ring {
			m.ring[i] = m.start()
		}
	}
	for range min(steps, tenths) {
		m.at = (m.at + 1) % tenths
		m.ring[m.at] = c
	}
	m.rebase(m.ring[(m.at+1)%tenths])
	m.from.Add(steps * int64(m.width))
	return true
}

func (m *meter) rebase(c counts) {
	for k := range c {
		m.base[k].Store(c[k])
	}
}

func (m *meter) start() (c counts) {
	for k := range c {
		c[k] = m.base[k].Load()
	}
	return c
}

// window is what was counted in the current tenth and the nine before it. It may be called without the lock: the
// bases are read first, so that a rotation at the same time makes the window too large by what it drops, not
// negative.
func (m *meter) window() counts {
	base, c := m.start(), m.totals()
	for k := range c {
		c[k] -= base[k]
	}
	return c
}
