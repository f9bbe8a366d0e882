package cache

import (
	"math/bits"
	"slices"
)

// A sketch estimates how often keys were seen recently, up to 15, from their
// hashes. It is a count-min sketch of 4-bit counters (Cormode and
// Muthukrishnan, 2005) whose counters are halved periodically, as in TinyLFU
// (Einziger, Friedman and Manes, 2017). Each key has four counters within a
// block of eight words, a cache line: one counter in each pair of words.
type sketch struct {
	words   []uint64
	entries int // the largest number of entries so far
	added   int // additions since the last halving, halved with the counters
}

const (
	sketchBlock  = 8
	sketchMost   = 15 // the largest value of a counter
	sketchSample = 40 // additions per entry between two halvings
)

// fit makes room for n entries, a word for each. It copies each block into all
// blocks in which its keys may now be.
func (s *sketch) fit(n int) {
	s.entries = max(s.entries, n)
	if s.words == nil {
		s.words = make([]uint64, sketchBlock)
	}
	for len(s.words) < s.entries {
		s.words = append(s.words, s.words...)
	}
}

// shrink gives back the room for more than twice n entries. Keys of the other
// blocks lose their counters.
func (s *sketch) shrink(n int) {
	size := sketchBlock
	for size < 2*n {
		size *= 2
	}
	if size < len(s.words) {
		s.added = s.added / (len(s.words) / size)
		s.words = slices.Clone(s.words[:size])
		s.entries = size
	}
}

// cell returns the i-th word of a hash, and the shift of its counter there.
func (s *sketch) cell(hash uint32, i int) (word *uint64, shift uint32) {
	block := int(hash) & (len(s.words)/sketchBlock - 1) * sketchBlock
	x := uint32(uint64(hash)*0x9e3779b97f4a7c15>>32) >> (8 * i)
	return &s.words[block+2*i+int(x&1)], x >> 1 & 15 * 4
}

func (s *sketch) estimate(hash uint32) int {
	least := sketchMost
	for i := range 4 {
		word, shift := s.cell(hash, i)
		least = min(least, int(*word>>shift&15))
	}
	return least
}

func (s *sketch) add(hash uint32) {
	added := false
	for i := range 4 {
		if word, shift := s.cell(hash, i); *word>>shift&15 != sketchMost {
			*word += 1 << shift
			added = true
		}
	}
	if added {
		if s.added++; s.added >= sketchSample*s.entries {
			s.halve()
		}
	}
}

// halve halves all counters. Rounding removes a half from each odd counter. An
// addition had increased four counters, so added decreases by a quarter of
// that.
func (s *sketch) halve() {
	odd := 0
	for i, word := range s.words {
		odd += bits.OnesCount64(word & 0x1111111111111111)
		s.words[i] = word >> 1 & 0x7777777777777777
	}
	s.added = (s.added - odd/4) / 2
}
