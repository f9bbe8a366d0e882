package ratelimit

// Stats are the figures of a [Keyed] since it was made.
type Stats struct {
	Allowed   uint64 `json:"allowed"`    // requests that were allowed, whatever their number of events
	Refused   uint64 `json:"refused"`    // requests that were refused
	PushedOut uint64 `json:"pushed_out"` // keys that had events to pay back and were pushed out by others
	Len       int    `json:"len"`        // keys that have events to pay back now
	MaxKeys   int    `json:"max_keys"`   // slots
}

// figures are the part of a set.
type figures struct{ allowed, refused, evicted uint64 }

// Stats returns the figures. It looks at every slot.
func (k *Keyed[K]) Stats() Stats {
	s := Stats{Len: k.Len(), MaxKeys: len(k.sets) * ways}
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
