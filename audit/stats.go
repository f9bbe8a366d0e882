package audit

import "sync/atomic"

// Stats counts the events of a [Log]. The counters never decrease. Every event
// counts exactly once: in Recorded, Filtered, Refused, Failed or Uncertain.
type Stats struct {
	Name      string `json:"name"`      // the Config.Name
	Recorded  uint64 `json:"recorded"`  // events accepted by the sink
	Denied    uint64 `json:"denied"`    // recorded events with the outcome Denied
	Failures  uint64 `json:"failures"`  // recorded events with the outcome Failure
	Truncated uint64 `json:"truncated"` // recorded events over the bound, see Config.MaxEvent
	Filtered  uint64 `json:"filtered"`  // events dropped by Config.Filter
	Refused   uint64 `json:"refused"`   // events without an actor or with an invalid name
	Failed    uint64 `json:"failed"`    // events that the sink did not store: ErrFailed
	Uncertain uint64 `json:"uncertain"` // events that the sink may have stored: ErrUncertain
}

// The counters of recorded events are separate by outcome, so that an event
// costs a single addition.
type counters struct {
	other, denied, failures, truncated   atomic.Uint64
	filtered, refused, failed, uncertain atomic.Uint64
}

// stored counts an event that the sink has accepted.
func (c *counters) stored(e *Event) {
	if e.Truncated {
		c.truncated.Add(1)
	}
	switch e.Outcome {
	case Denied:
		c.denied.Add(1)
	case Failure:
		c.failures.Add(1)
	default:
		c.other.Add(1)
	}
}

// notStored counts an event by the class of its error.
func (c *counters) notStored(class error) {
	if class == ErrUncertain {
		c.uncertain.Add(1)
	} else {
		c.failed.Add(1)
	}
}

// Stats returns the counters. They are read without a lock, so an event that is
// being written may be in some of them only. An event whose sink panicked is in
// none of them.
func (l *Log) Stats() Stats {
	c := &l.counters
	s := Stats{
		Name: l.config.Name, Denied: c.denied.Load(), Failures: c.failures.Load(), Truncated: c.truncated.Load(),
		Filtered: c.filtered.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(), Uncertain: c.uncertain.Load(),
	}
	s.Recorded = s.Denied + s.Failures + c.other.Load()
	return s
}

// BufferStats counts the events of a [Buffer]. Every accepted event is in
// Written, Lost, Uncertain or Waiting.
type BufferStats struct {
	Name      string `json:"name"`      // the BufferConfig.Name
	Written   uint64 `json:"written"`   // stored by the next sink
	Lost      uint64 `json:"lost"`      // dropped, or in a batch that the next sink refused
	Uncertain uint64 `json:"uncertain"` // in a batch that the next sink may have stored: ErrUncertain
	Waiting   int    `json:"waiting"`   // accepted and not written yet
}

// Stats returns the counters.
func (b *Buffer) Stats() BufferStats {
	s := BufferStats{Name: b.config.Name, Written: b.written.Load(), Lost: b.lost.Load(), Uncertain: b.uncertain.Load()}
	s.Waiting = int(b.accepted.Load() - s.Written - s.Lost - s.Uncertain)
	return s
}
