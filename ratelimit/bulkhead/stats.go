package bulkhead

// Stats are the figures of a [Bulkhead] now and, of its refusals, since it was made.
type Stats struct {
	Limit    int `json:"limit"`    // the present limit
	Inflight int `json:"inflight"` // the sum of what callers inside count
	Queued   int `json:"queued"`   // callers that wait

	QueueFull uint64 `json:"queue_full"` // refused because of a full queue
	TooLate   uint64 `json:"too_late"`   // refused after Config.MaxWait
	Shed      uint64 `json:"shed"`       // refused after Config.Target, in times when all waited longer
	TooLarge  uint64 `json:"too_large"`  // refused because they counted for more than the limit
}

// Stats returns the figures.
func (b *Bulkhead) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.figures
	s.Limit, s.Inflight, s.Queued = b.Limit(), b.Inflight(), b.queued
	return s
}
