package cache

import "time"

// Stats are the figures of a [Cache] since it was made. They only grow.
type Stats struct {
	Hits        uint64        `json:"hits"`         // lookups by Get, GetOrSet, GetOrLoad and GetOrLoadMany that found a fresh value; see Uncounted
	Misses      uint64        `json:"misses"`       // the other lookups by these, the next two included
	StaleHits   uint64        `json:"stale_hits"`   // misses answered with an expired value, because loading failed
	ErrorHits   uint64        `json:"error_hits"`   // misses answered with a remembered error
	Loads       uint64        `json:"loads"`        // loads that have ended, each key of GetOrLoadMany being one
	LoadErrors  uint64        `json:"load_errors"`  // those of them that failed: an error, ErrNotFound too, or a panic
	LoadTime    time.Duration `json:"load_time_ns"` // time spent in loads that have ended, in total
	Evictions   uint64        `json:"evictions"`    // values that left with the cause Evicted
	Expirations uint64        `json:"expirations"`  // values that left with the cause Expired
}

// count counts a lookup.
func (c *Cache[K, V]) count(hit bool) {
	if c.config.Uncounted {
		return
	}
	if own := &c.lookups[c.lookups.stripe()]; hit {
		own.hits.Add(1)
	} else {
		own.misses.Add(1)
	}
}

// HitRatio returns the part of the lookups that were hits, from 0 to 1, or 0 if there were none.
func (s Stats) HitRatio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

// Stats returns the figures. Those of operations that run meanwhile may be in it or not.
func (c *Cache[K, V]) Stats() Stats {
	var sum Stats
	for i := range c.lookups {
		sum.Hits += c.lookups[i].hits.Load()
		sum.Misses += c.lookups[i].misses.Load()
	}
	for i := range c.shards {
		c.shards[i].addStats(&sum)
	}
	return sum
}

func (s *shard[K, V]) addStats(sum *Stats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum.StaleHits += s.stats.StaleHits
	sum.ErrorHits += s.stats.ErrorHits
	sum.Loads += s.stats.Loads
	sum.LoadErrors += s.stats.LoadErrors
	sum.LoadTime += s.stats.LoadTime
	sum.Evictions += s.stats.Evictions
	sum.Expirations += s.stats.Expirations
}
