package ratelimit

// Stats are figures of a [Limiter], [Keyed], [Window] or [Counter]. Allowed,
// Refused and PushedOut count from the call of its constructor. PushedOut, Len
// and MaxKeys are 0 except for a Keyed.
type Stats struct {
	Name      string `json:"name"`       // of its configuration
	Allowed   uint64 `json:"allowed"`    // requests that were allowed, whatever their number of events
	Refused   uint64 `json:"refused"`    // requests that were refused
	PushedOut uint64 `json:"pushed_out"` // debts and bans of keys that were forgotten for lack of room
	Len       int    `json:"len"`        // keys in debt now; keys that share a debt count once
	MaxKeys   int    `json:"max_keys"`   // KeyedConfig.MaxKeys, rounded up
}

// Stats returns the figures. It reads all sets.
func (k *Keyed[K]) Stats() Stats {
	s := Stats{PushedOut: k.pushed.Load(), Allowed: k.spilled[0].Load(), Refused: k.spilled[1].Load()}
	s.MaxKeys = len(k.tables[0]) * ways
	t := k.elapsed()
	for i := range k.tables[0] {
		first := &k.tables[0][i]
		first.mu.Lock()
		rs := k.current.Load()
		s.Name = rs.config.Name
		s.Allowed += uint64(first.allowed)
		s.Refused += uint64(first.refused)
		most := 0
		for j := range k.tables {
			r := &rs.rules[j]
			most = max(most, r.owing(&k.tables[j][i], r.at(r.ns(t))))
		}
		s.Len += most
		first.mu.Unlock()
	}
	return s
}

// Stats returns the figures.
func (l *Limiter) Stats() Stats {
	return Stats{Name: l.current().config.Name, Allowed: l.allowed.Load(), Refused: l.refused.Load()}
}
