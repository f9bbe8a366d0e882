package detect

import "math/bits"

// A screen estimates how often a key has occurred lately, for keys that have no
// place in a full table. It is a count-min sketch with conservative update:
// Cormode and Muthukrishnan, "An Improved Data Stream Summary", 2005; Estan and
// Varghese, "New Directions in Traffic Measurement and Accounting", 2002. An
// estimate is never too low, unless the counters were halved since.
type screen struct {
	cells []uint64 // 16 counters of 4 bits each
	mask  uint64   // of the index of a counter
	aged  int64    // when the counters were last halved
}

const (
	screenProbes = 4
	screenSize   = 256 // counters for each key of the table
)

// newScreen returns a screen for a table with a number of keys.
func newScreen(keys int, ns int64) *screen {
	n := uint64(1) << bits.Len64(uint64(keys)*screenSize-1)
	return &screen{cells: make([]uint64, max(n/16, 1)), mask: n - 1, aged: ns}
}

// add counts an event of a key and returns the estimate, at most 15.
func (s *screen) add(hash uint64) uint64 {
	step := hash>>32 | 1
	least := uint64(15)
	for i := range uint64(screenProbes) {
		at := (hash + i*step) * 0x9e3779b97f4a7c15 >> 7 & s.mask
		least = min(least, s.cells[at/16]>>(at%16*4)&15)
	}
	if least == 15 {
		return 15
	}
	for i := range uint64(screenProbes) {
		at := (hash + i*step) * 0x9e3779b97f4a7c15 >> 7 & s.mask
		if word := &s.cells[at/16]; *word>>(at%16*4)&15 == least {
			*word += 1 << (at % 16 * 4)
		}
	}
	return least + 1
}

// age halves the counters if a window has passed.
func (s *screen) age(ns, per int64) {
	if ns-s.aged < per {
		return
	}
	s.aged = ns
	for i := range s.cells {
		s.cells[i] = s.cells[i] >> 1 & 0x7777777777777777
	}
}
