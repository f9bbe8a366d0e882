package cache

import (
	"hash/maphash"
	"math/bits"
	"math/rand/v2"
)

// A hasher hashes keys with secrets of its own. An attacker therefore cannot
// choose keys that collide.
type hasher[K comparable] struct {
	seed maphash.Seed
	a, b uint64
}

func newHasher[K comparable]() hasher[K] {
	return hasher[K]{maphash.MakeSeed(), rand.Uint64(), rand.Uint64() | 1}
}

// hash panics if k contains an interface whose dynamic type is not comparable.
// The special cases are several times faster than maphash.Comparable.
func (h *hasher[K]) hash(k K) uint64 {
	switch k := any(k).(type) {
	case uint64:
		return h.fold(k)
	case int:
		return h.fold(uint64(k))
	case uint32:
		return h.fold(uint64(k))
	case string:
		return maphash.String(h.seed, k)
	}
	return maphash.Comparable(h.seed, k)
}

// fold is the folded product of wyhash (Wang Yi, 2019), twice. After one
// product, the hashes of consecutive numbers are nearly an arithmetic
// progression. Some shards and buckets would be empty, and others full.
func (h *hasher[K]) fold(x uint64) uint64 {
	hi, lo := bits.Mul64(x^h.a, h.b^0x9e3779b97f4a7c15)
	hi, lo = bits.Mul64(hi^lo^h.b, 0xbf58476d1ce4e5b9)
	return hi ^ lo
}
