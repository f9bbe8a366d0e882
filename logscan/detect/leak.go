package detect

import "time"

// A Leak raises an alert if the leaky bucket of a key overflows. The bucket
// holds Limit events, and Limit events per Per leak away. It is the generic
// cell rate algorithm (GCRA, ITU-T I.371).
type Leak[K comparable] struct{ t table[K] }

// NewLeak returns a Leak. It panics with the error of [Config.Validate].
func NewLeak[K comparable](c Config) *Leak[K] { return &Leak[K]{newTable[K](c)} }

// Observe pours n events of key into its bucket at time at, and reports whether
// it overflows. Events that overflow are not kept. Count of the alert is the
// number of events that the bucket would hold. If n < 1, n is 1. For evidence,
// see [Window.Observe].
func (l *Leak[K]) Observe(at time.Time, key K, n int, evidence ...[]byte) (Alert[K], bool) {
	ns := nanos(at)
	e := l.t.get(key, ns)
	if e == nil || l.t.late(e, ns) {
		return Alert[K]{}, false
	}
	l.t.note(e, evidence)
	if l.t.Limit == 0 { // the bucket holds nothing
		return l.t.alert(e, ns, ns, weight(n), nil)
	}
	if len(e.events) == 0 {
		l.t.insert(e, event{at: ns}, true)
	}
	// last.n is the level at that time. Its unit is the part of an event that
	// leaks in 1 ns. A late event finds the level of the latest event.
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
	// Forgotten events may still be in the bucket, however old they are.
	return l.t.alert(e, ns, never, count, nil)
}

// Stats returns the counts so far.
func (l *Leak[K]) Stats() Stats { return l.t.snapshot() }
