package ratelimit

// Stats are figures of a [Keyed]. Allowed, Refused and PushedOut count from
// the call of NewKeyed.
type Stats struct {
	Name      string `json:"name"`       // KeyedConfig.Name
	Allowed   uint64 `json:"allowed"`    // requests that were allowed, whatever their number of events
	Refused   uint64 `json:"refused"`    // requests that were refused
	PushedOut uint64 `json:"pushed_out"` // keys in debt that lost their slot to other keys
	Len       int    `json:"len"`        // keys in debt now
	MaxKeys   int    `json:"max_keys"`   // slots
}

// Stats returns the figures. It reads all sets.
func (k *Keyed[K]) Stats() Stats {
	s := Stats{PushedOut: k.pushed.Load(), Allowed: k.spilled[0].Load(), Refused: k.spilled[1].Load()}
	t := k.elapsed()
	for i := range k.tables[0] {
		first := &k.tables[0][i]
		first.mu.Lock()
		s.Name, s.MaxKeys = k.current.config.Name, len(k.tables[0])*ways
		s.Allowed += uint64(first.allowed)
		s.Refused += uint64(first.refused)
		most := 0
		for j := range k.tables {
			r := &k.current.rules[j]
			most = max(most, r.owing(&k.tables[j][i], r.at(r.ns(t))))
		}
		s.Len += most
		first.mu.Unlock()
	}
	return s
}
