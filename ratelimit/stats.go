package ratelimit

// Stats are figures of a [Limiter] or a [Keyed]. Allowed, Refused and PushedOut
// count from the call of its constructor. PushedOut, Len and MaxKeys are 0 for
// a Limiter.
type Stats struct {
	Name      string `json:"name"`       // of its configuration
	Allowed   uint64 `json:"allowed"`    // requests that were allowed, whatever their number of events
	Refused   uint64 `json:"refused"`    // requests that were refused
	PushedOut uint64 `json:"pushed_out"` // keys in debt that lost their slot to other keys
	Len       int    `json:"len"`        // keys in debt now
	MaxKeys   int    `json:"max_keys"`   // slots
}

// figures are the counters of one set.
type figures struct{ allowed, refused, evicted uint64 }

// Stats returns the figures. It reads every slot.
func (k *Keyed[K]) Stats() Stats {
	s := Stats{Name: k.name, Len: k.Len(), MaxKeys: len(k.sets) * ways}
	for i := range k.sets {
		set := &k.sets[i]
		set.mu.Lock()
		s.Allowed += set.allowed
		s.Refused += set.refused
		s.PushedOut += set.evicted
		set.mu.Unlock()
	}
	return s
}

// Stats returns the figures.
func (l *Limiter) Stats() Stats {
	return Stats{Name: l.current().config.Name, Allowed: l.allowed.Load(), Refused: l.refused.Load()}
}
