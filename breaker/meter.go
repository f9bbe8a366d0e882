package breaker

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// A counter is a counted kind of call. The first three also have a window.
type counter uint8

const (
	success counter = iota
	failure
	slow
	ignored
	rejected
	late
	opened
	started  // admitted calls
	counters // number of counters

	windowed = 3
	tenths   = 10
)

// counts are values of the counters with a window, indexed by counter.
type counts [windowed]uint64

// A cell is a row of counters that only grow. It fills a cache line.
type cell struct {
	n [counters]atomic.Uint64
}

// A meter counts calls in total and over a window. The counters only grow and
// are never moved, so no result is lost or counted twice. A window is the
// difference between the counters now and their values at its start. A ring
// keeps these values for the last ten tenths. The methods add, begin, fresh,
// total and running need no lock, the others need the lock of the owner.
//
// One cell serves until two processors collide on it. Then the meter makes a
// row of cells, once, and adds to a random cell, so that few collide.
type meter struct {
	width atomic.Int64 // a tenth of the window
	from  atomic.Int64 // start of the current tenth, since the start of the owner
	one   cell
	more  atomic.Pointer[[]cell]
	at    int                     // index of the current tenth in ring
	ring  *[tenths]counts         // totals at the start of each tenth; nil during the first tenth
	base  [windowed]atomic.Uint64 // totals at the start of the window
}

func (m *meter) add(k counter) {
	if m.more.Load() == nil {
		c := &m.one.n[k]
		if v := c.Load(); c.CompareAndSwap(v, v+1) {
			return
		}
	}
	m.pick().n[k].Add(1)
}

// begin counts an admitted call. It returns the cell in which to count its end,
// because the processor has the cache line of this cell. It reports whether the
// caller should read the clock: at every 16th call, and while more than four
// calls are running. So a breaker whose calls hang notices that time passes.
func (m *meter) begin() (c *cell, look bool) {
	c = &m.one
	if m.more.Load() == nil {
		v := c.n[started].Load()
		if c.n[started].CompareAndSwap(v, v+1) {
			return c, v%16 == 0 || v-c.ended() >= 4
		}
	}
	c = m.pick()
	return c, c.n[started].Add(1)%16 == 0
}

// ended is the number of calls that ended in c.
func (c *cell) ended() uint64 {
	return c.n[success].Load() + c.n[failure].Load() + c.n[ignored].Load() + c.n[late].Load()
}

// pick returns a random cell of the row.
func (m *meter) pick() *cell {
	row := m.more.Load()
	if row == nil {
		cells := make([]cell, 4<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)))
		m.more.CompareAndSwap(nil, &cells)
		row = m.more.Load()
	}
	return &(*row)[rand.Uint64()&uint64(len(*row)-1)]
}

// total is the value of a counter.
func (m *meter) total(k counter) uint64 {
	n := m.one.n[k].Load()
	if row := m.more.Load(); row != nil {
		for i := range *row {
			n += (*row)[i].n[k].Load()
		}
	}
	return n
}

// ended is the number of calls that counted for the state they began in.
func (m *meter) ended() uint64 { return m.total(success) + m.total(failure) + m.total(ignored) }

// running is the number of calls that have begun and not ended.
func (m *meter) running() uint64 {
	ended := m.ended() + m.total(late)
	return m.total(started) - ended
}

func (m *meter) totals() (c counts) {
	for k := range c {
		c[k] = m.total(counter(k))
	}
	return c
}

// fresh reports whether now lies in the current tenth, neither after nor before
// it.
func (m *meter) fresh(now time.Duration) bool {
	return uint64(int64(now)-m.from.Load()) < uint64(m.width.Load())
}

// restart begins an empty window at now.
func (m *meter) restart(now time.Duration) {
	m.ring, m.at = nil, 0
	m.rebase(m.totals())
	m.from.Store(int64(now))
}

// rotate makes the tenth that contains now the current tenth. It reports
// whether another tenth was current before.
func (m *meter) rotate(now time.Duration) bool {
	steps := m.steps(now)
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
	m.from.Add(steps * m.width.Load())
	return true
}

// steps is the number of tenths from the current tenth to now.
func (m *meter) steps(now time.Duration) int64 {
	return max(0, int64(now)-m.from.Load()) / m.width.Load()
}

func (m *meter) rebase(c counts) {
	for k := range c {
		m.base[k].Store(c[k])
	}
}

// start is the totals at the start of the window.
func (m *meter) start() (c counts) {
	for k := range c {
		c[k] = m.base[k].Load()
	}
	return c
}

// window counts the current tenth and the nine tenths before it. It needs no
// lock: it reads the start first, so a concurrent rotation cannot make the
// result negative.
func (m *meter) window() counts { return m.since(m.start()) }

// windowAt is the window that rotate(now) would leave.
func (m *meter) windowAt(now time.Duration) counts {
	switch steps := m.steps(now); {
	case steps >= tenths:
		return counts{}
	case steps == 0 || m.ring == nil:
		return m.window()
	default:
		return m.since(m.ring[(m.at+1+int(steps))%tenths])
	}
}

func (m *meter) since(start counts) counts {
	c := m.totals()
	for k := range c {
		c[k] -= start[k]
	}
	return c
}
