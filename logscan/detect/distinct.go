package detect

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// A Distinct raises an alert if a key has more than Limit different values in
// Per, such as user names tried from an address. Values are compared by 64 bits
// of a hash with a secret seed. Of equal values, the latest time counts, so an
// event that comes late may miss a value of its window.
type Distinct[K comparable] struct {
	t    table[K]
	seed [sha256.Size]byte // random; a part of a snapshot
}

// NewDistinct returns a Distinct. It panics with the error of
// [Config.Validate].
func NewDistinct[K comparable](c Config) *Distinct[K] {
	d := &Distinct[K]{t: newTable[K](c)}
	rand.Read(d.seed[:])
	return d
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
	h := d.hash(value)
	i := slices.IndexFunc(e.events, func(ev event) bool { return ev.n == h })
	if i >= 0 {
		ns = max(ns, e.events[i].at)
		e.events = slices.Delete(e.events, i, i+1)
		d.t.held--
	}
	d.t.insert(e, event{ns, h}, false)
	return d.t.check(e, ns, false)
}

// hash returns a hash of value, which cannot be predicted without the seed
// and does not depend on the process. It does not allocate.
func (d *Distinct[K]) hash(value []byte) uint64 {
	var block [2 * sha256.Size]byte
	for sum := d.seed; ; {
		n := copy(block[copy(block[:], sum[:]):], value)
		sum = sha256.Sum256(block[:sha256.Size+n])
		if value = value[n:]; len(value) == 0 {
			return binary.BigEndian.Uint64(sum[:])
		}
	}
}

// Stats returns the counts so far.
func (d *Distinct[K]) Stats() Stats { return d.t.snapshot() }
