package cache

import "time"

// Stats are the figures of a [Cache] since it was made. They only grow.
type Stats struct {
	Hits        uint64        `json:"hits"`         // lookups by Get, GetOrSet and GetOrLoad that found a fresh value
	Misses      uint64        `json:"misses"`       // the other lookups by these three, the next two included
	StaleHits   uint64        `json:"stale_hits"`   // misses answered with an expired value, because loading failed
	ErrorHits   uint64        `json:"error_hits"`   // misses answered with a remembered error
	Loads       uint64        `json:"loads"`        // loads that have ended
	LoadErrors  uint64        `json:"load_errors"`  // those of them that failed: an error, ErrNotFound too, or a panic
	LoadTime    time.Duration `json:"load_time_ns"` // time spent in loads that have ended, in total
	Evictions   uint64        `json:"evictions"`    // values that left with the cause Evicted
	Expirations uint64        `json:"expirations"`  // values that left with the cause Expired
}

// HitRatio returns the part of the lookups that were hits, from 0 to 1, or 0 if there were none.
func (s Stats) HitRatio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

// Stats returns the figures at this moment, consistent with each other.
func (c *Cache[K, V]) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := c.stats
	stats.Evictions = c.entries.departed[Evicted]
	stats.Expirations = c.entries.departed[Expired]
	return stats
}
