package detect

import (
	"hash/maphash"
	"slices"
	"time"
)

// A Distinct raises an alert when a key has more than Limit different values in
// Per, such as user names tried from one address. Values are told apart by a hash
// of 64 bits with a seed of its own. Of each the latest time counts, so that an event
// that comes late may miss one in its window.
type Distinct[K comparable] struct {
	t    table[K]
	seed maphash.Seed
}

// NewDistinct returns a Distinct. It panics with the error of Config.Validate.
func NewDistinct[K comparable](c Config) *Distinct[K] {
	return &Distinct[K]{newTable[K](c), maphash.MakeSeed()}
}

// Observe notes that key had value at time at, and reports whether that makes
// more than Limit different ones. evidence is as in Window.
func (d *Distinct[K]) Observe(at time.Time, key K, value []byte, evidence ...[]byte) (Alert[K], bool) {
	e, ns := d.t.get(key), nanos(at)
	if d.t.late(e, ns) {
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
