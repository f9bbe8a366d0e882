package detect

import "time"

// A Sequence raises an alert if a key succeeds after more than Limit failures
// in Per, such as a login with a guessed password.
type Sequence[K comparable] struct{ t table[K] }

// NewSequence returns a Sequence. It panics with the error of
// [Config.Validate].
func NewSequence[K comparable](c Config) *Sequence[K] { return &Sequence[K]{newTable[K](c)} }

// Fail adds n failures of key at time at. If n < 1, n is 1. For evidence, see
// [Window.Observe].
func (s *Sequence[K]) Fail(at time.Time, key K, n int, evidence ...[]byte) {
	ns := nanos(at)
	if e := s.t.get(key, ns); e != nil && !s.t.late(e, ns) {
		s.t.note(e, evidence)
		s.t.insert(e, event{ns, weight(n)}, true)
	}
}

// Succeed reports whether key succeeds at time at after more than Limit
// failures. The failures are then forgotten, with and without an alert. A key
// that never failed takes no room.
func (s *Sequence[K]) Succeed(at time.Time, key K, evidence ...[]byte) (Alert[K], bool) {
	e, ns := s.t.known(key), nanos(at)
	if e == nil {
		return Alert[K]{}, false
	}
	s.t.note(e, evidence)
	since := ns - int64(s.t.Per)
	in, count := e.events[after(e.events, since):after(e.events, ns)], uint64(0)
	for _, ev := range in {
		count += ev.n
	}
	a, ok := s.t.alert(e, ns, since, count, in)
	s.t.held -= len(e.events)
	e.events = e.events[:0]
	return a, ok
}

// Stats returns the counts so far.
func (s *Sequence[K]) Stats() Stats { return s.t.snapshot() }
