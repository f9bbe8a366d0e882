package bulkhead

// Stats are figures of a [Bulkhead]. QueueFull, TooLate, Shed and TooLarge
// count refusals from the call of New.
type Stats struct {
	Name     string `json:"name"`     // Config.Name
	Limit    int    `json:"limit"`    // the current limit
	Inflight int    `json:"inflight"` // places in use
	Queued   int    `json:"queued"`   // waiting callers

	QueueFull uint64 `json:"queue_full"` // callers refused because the queue was full
	TooLate   uint64 `json:"too_late"`   // callers refused after Config.MaxWait
	Shed      uint64 `json:"shed"`       // callers refused after Config.Target while all callers waited longer
	TooLarge  uint64 `json:"too_large"`  // callers refused because they asked for more places than the limit
}

// Stats returns the figures.
func (b *Bulkhead) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.figures
	s.Name, s.Limit, s.Inflight, s.Queued = b.cfg.Load().Name, b.Limit(), b.Inflight(), b.queue.len
	return s
}
