package cache

// SetRandom replaces the source of jitter.
func (c *Cache[K, V]) SetRandom(random func() float64) { c.random = random }

// Remembered returns the number of errors that are kept.
func (c *Cache[K, V]) Remembered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.errs.items)
}

// Loading returns the number of loads whose result would be stored.
func (c *Cache[K, V]) Loading() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.flights)
}
