package detect

import "time"

// A Window raises an alert if a key has more than Limit events in a sliding
// window of length Per.
type Window[K comparable] struct{ t table[K] }

// NewWindow returns a Window. It panics with the error of [Config.Validate].
func NewWindow[K comparable](c Config) *Window[K] { return &Window[K]{newTable[K](c)} }

// Observe counts n events of key at time at. It reports whether a window that
// contains them has more than Limit events. If n < 1, n is 1. Times before 1824
// or after 2116 count as those years.
//
// evidence, such as the line of the event, is copied and shown by an alert.
func (w *Window[K]) Observe(at time.Time, key K, n int, evidence ...[]byte) (Alert[K], bool) {
	ns := nanos(at)
	e := w.t.get(key, ns)
	if e == nil || w.t.late(e, ns) {
		return Alert[K]{}, false
	}
	w.t.note(e, evidence)
	w.t.insert(e, event{ns, weight(n)}, true)
	return w.t.check(e, ns, true)
}

// Stats returns the counts so far.
func (w *Window[K]) Stats() Stats { return w.t.snapshot() }
