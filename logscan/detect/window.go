package detect

import "time"

// A Window raises an alert when a key has more than Limit events in Per.
type Window[K comparable] struct{ t table[K] }

// NewWindow returns a Window. It panics with the error of Config.Validate.
func NewWindow[K comparable](c Config) *Window[K] { return &Window[K]{newTable[K](c)} }

// Observe counts n events of key at time at and reports whether that makes more
// than Limit in a window that holds them. n below 1 counts as 1. evidence, such as
// the line the event was read from, is copied for an alert to show. Times before
// 1824 and after 2116 are taken for those years.
func (w *Window[K]) Observe(at time.Time, key K, n int, evidence ...[]byte) (Alert[K], bool) {
	e, ns := w.t.get(key), nanos(at)
	if w.t.late(e, ns) {
		return Alert[K]{}, false
	}
	w.t.note(e, evidence)
	w.t.insert(e, event{ns, weight(n)}, true)
	return w.t.check(e, ns, true)
}

// Stats returns the counts so far.
func (w *Window[K]) Stats() Stats { return w.t.snapshot() }
