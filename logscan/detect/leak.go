package detect

import "time"

// A Leak raises an alert when the bucket of a key overflows: it holds Limit events
// and leaks Limit per Per. It is the generic cell rate algorithm (ITU-T I.371).
type Leak[K comparable] struct{ t table[K] }

// NewLeak returns a Leak. It panics with the error of Config.Validate.
func NewLeak[K comparable](c Config) *Leak[K] { return &Leak[K]{newTable[K](c)} }

// Observe pours n events of key into its bucket at time at, and reports whether
// it overflows. What overflows is not kept. n below 1 counts as 1; evidence is as in
// Window. The Count of the alert is what the bucket would hold.
func (l *Leak[K]) Observe(at time.Time, key K, n int, evidence ...[]byte) (Alert[K], bool) {
	e, ns := l.t.get(key), nanos(at)
	if l.t.late(e, ns) {
		return Alert[K]{}, false
	}
	l.t.note(e, evidence)
	if l.t.Limit == 0 { // the bucket holds nothing
		return l.t.alert(e, ns, ns, weight(n), nil)
	}
	if len(e.events) == 0 {
		l.t.insert(e, event{at: ns}, true)
	}
	// last.n is the level at that time, in parts of an event that take 1 ns to
	// leak. A late event finds the level of the latest.
	last := &e.events[0]
	limit, n64 := uint64(l.t.Limit), weight(n)
	part := max(uint64(l.t.Per)/limit, 1)
	level := last.n - min(last.n, uint64(max(ns-last.at, 0)))
	count := (level+part-1)/part + n64
	level += min(n64, limit+1) * part
	last.at, last.n = max(last.at, ns), min(level, part*limit)
	if level <= part*limit {
		return Alert[K]{}, false
	}
	// What was forgotten may still be in the bucket, however long ago it was.
	return l.t.alert(e, ns, never, count, nil)
}

// Stats returns the counts so far.
func (l *Leak[K]) Stats() Stats { return l.t.snapshot() }
