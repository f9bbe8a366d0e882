package cache

import "sync/atomic"

// A budget bounds the entries and weights of all shards together. A shard takes
// the place of an entry before it inserts the entry, and gives the place back
// after it has removed the entry. So the cache never exceeds its limits.
type budget struct {
	entries, capacity atomic.Int64
	weight, maxWeight atomic.Int64 // 0 in a cache without weights
}

// take takes entries and weight from the budget, unless that exceeds a limit.
// It reports whether it did, and if not, whether the limit of the weight was
// the reason. It gives a negative weight back.
func (b *budget) take(entries, weight int64) (ok, heavy bool) {
	if !takeUpTo(&b.entries, entries, b.capacity.Load()) {
		return false, false
	}
	if !takeUpTo(&b.weight, weight, b.maxWeight.Load()) {
		b.entries.Add(-entries)
		return false, true
	}
	return true, false
}

// expected returns about the number of entries that the cache contains when it
// is full, and reports whether it is at least half full.
func (b *budget) expected() (entries int64, half bool) {
	n, capacity := b.entries.Load(), b.capacity.Load()
	weight, most := b.weight.Load(), b.maxWeight.Load()
	half = n >= capacity/2
	if most > 0 && weight > 0 {
		capacity = min(capacity, int64(float64(n)*float64(most)/float64(weight)))
		half = half || weight >= most/2
	}
	return capacity, half
}

func takeUpTo(used *atomic.Int64, n, limit int64) bool {
	if n < 0 {
		used.Add(n)
	}
	for n > 0 {
		old := used.Load()
		if old > limit-n {
			return false
		}
		if used.CompareAndSwap(old, old+n) {
			break
		}
	}
	return true
}

func (b *budget) give(entries, weight int64) {
	if entries != 0 {
		b.entries.Add(-entries)
	}
	if weight != 0 {
		b.weight.Add(-weight)
	}
}
