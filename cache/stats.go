package cache

import "time"

// Stats are the statistics of a [Cache] since it was created. All counters
// only grow. Len, Weight and Capacity are the values of the moment.
type Stats struct {
	Name string `json:"name"` // Config.Name

	Len      int    `json:"len"`      // see Cache.Len
	Weight   uint64 `json:"weight"`   // see Cache.Weight
	Capacity int    `json:"capacity"` // see Cache.Capacity

	// Lookups are the calls of Get, GetOrSet, GetOrLoad and GetOrLoadMany, the
	// last per key. They are not counted if Config.Uncounted is set.
	Hits   uint64 `json:"hits"`   // lookups that found a fresh value
	Misses uint64 `json:"misses"` // all other lookups

	StaleHits     uint64        `json:"stale_hits"`     // misses answered with a stale value
	ErrorHits     uint64        `json:"error_hits"`     // misses answered with a remembered error
	Loads         uint64        `json:"loads"`          // loads that have ended, counted per key
	NotFound      uint64        `json:"not_found"`      // loads that returned ErrNotFound
	LoadErrors    uint64        `json:"load_errors"`    // loads that returned another error, or panicked
	RefreshErrors uint64        `json:"refresh_errors"` // the LoadErrors of loads that Config.Refresh started
	LoadTime      time.Duration `json:"load_time_ns"`   // total time of the loads that have ended
	Evictions     uint64        `json:"evictions"`      // values that left with CauseEvicted
	Expirations   uint64        `json:"expirations"`    // values that left with CauseExpired
}

// HitRatio returns the fraction of the lookups that were hits, from 0 to 1. It
// returns 0 if there were no lookups.
func (s Stats) HitRatio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

// count counts a lookup.
func (c *Cache[K, V]) count(hit bool) {
	if c.config.Load().Uncounted {
		return
	}
	if own := &c.lookups[c.lookups.stripe()]; hit {
		own.hits.Add(1)
	} else {
		own.misses.Add(1)
	}
}

// Stats returns the statistics. They may or may not include operations that
// run at the same time.
func (c *Cache[K, V]) Stats() Stats {
	sum := Stats{Name: c.config.Load().Name, Len: c.Len(), Weight: c.Weight(), Capacity: c.Capacity()}
	for i := range c.lookups {
		sum.Hits += c.lookups[i].hits.Load()
		sum.Misses += c.lookups[i].misses.Load()
	}
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		sum.StaleHits += s.stats.StaleHits
		sum.ErrorHits += s.stats.ErrorHits
		sum.Loads += s.stats.Loads
		sum.NotFound += s.stats.NotFound
		sum.LoadErrors += s.stats.LoadErrors
		sum.RefreshErrors += s.stats.RefreshErrors
		sum.LoadTime += s.stats.LoadTime
		sum.Evictions += s.stats.Evictions
		sum.Expirations += s.stats.Expirations
		s.mu.Unlock()
	}
	return sum
}
