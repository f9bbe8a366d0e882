package detect

import (
	"hash/maphash"
	"slices"
	"time"
)

// A Distinct raises an alert if a key has more than Limit different values in
// Per, such as user names tried from an address. Values are compared by a
// seeded 64-bit hash. Of equal values, the latest time counts, so an event that
// comes late may miss a value of its window.
type Distinct[K comparable] struct {
	t    table[K]
	seed maphash.Seed
}

// NewDistinct returns a Distinct. It panics with the error of
// [Config.Validate].
func NewDistinct[K comparable](c Config) *Distinct[K] {
	return &Distinct[K]{newTable[K](c), maphash.MakeSeed()}
}

// Observe adds a value of key at time at. It reports whether key now has more
// than Limit different values in the window. For evidence, see
// [Window.Observe].
func (d *Distinct[K]) Observe(at time.Time, key K, value []byte, evidence ...[]byte) (Alert[K], bool) {
	ns := nanos(at)
	e := d.t.get(key, ns)
	if e == nil || d.t.late(e, ns) {
		return Alert[K]{}, false
	}
	d.t.note(e, evidence)
	h := maphash.Bytes(d.seed, value)
	i := slices.IndexFunc(e.events, func(ev event) bool { return ev.n == h })
	if i >= 0 {
		ns = max(ns, e.events[i].at)
		e.events = slices.Delete(e.events, i, i+1)
		d.t.held--
	}
	d.t.insert(e, event{ns, h}, false)
	return d.t.check(e, ns, false)
}

// Stats returns the counts so far.
func (d *Distinct[K]) Stats() Stats { return d.t.snapshot() }
