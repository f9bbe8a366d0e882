package audit

import (
	"errors"
	"log/slog"
	"sync/atomic"
)

var (
	_ slog.LogValuer = Stats{}
	_ slog.LogValuer = BufferStats{}
)

// Stats are the figures of a [Log] since it was made. They only grow. Each event
// that was to be recorded counts once, in Recorded or in one of the last four.
type Stats struct {
	Recorded  uint64 `json:"recorded"`  // events that the sink has accepted, whatever their outcome
	Denied    uint64 `json:"denied"`    // those of them with the outcome Denied
	Failures  uint64 `json:"failures"`  // those of them with the outcome Failure: work that was not done
	Truncated uint64 `json:"truncated"` // those of them that were too large, see Config.MaxEvent
	Filtered  uint64 `json:"filtered"`  // events that Config.Filter left out
	Refused   uint64 `json:"refused"`   // events without an actor, or with a name that is none
	Failed    uint64 `json:"failed"`    // events that the sink did not store: ErrFailed
	Uncertain uint64 `json:"uncertain"` // events of which that is not known: ErrUncertain
}

// LogValue returns the figures as a group with the keys of their JSON form.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("recorded", s.Recorded), slog.Uint64("denied", s.Denied),
		slog.Uint64("failures", s.Failures), slog.Uint64("truncated", s.Truncated), slog.Uint64("filtered", s.Filtered),
		slog.Uint64("refused", s.Refused), slog.Uint64("failed", s.Failed), slog.Uint64("uncertain", s.Uncertain))
}

// counters are apart by outcome, so that an event costs one addition, and not one
// for the sum as well.
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

// notStored counts an event that was answered with err.
func (c *counters) notStored(err error) {
	if errors.Is(err, ErrUncertain) {
		c.uncertain.Add(1)
	} else {
		c.failed.Add(1)
	}
}

// Stats returns the figures. Those of events that are being written meanwhile may
// be in it or not. They have no lock in common, and an event whose write panicked
// is in none of them.
func (l *Log) Stats() Stats {
	c := &l.counters
	s := Stats{
		Denied: c.denied.Load(), Failures: c.failures.Load(), Truncated: c.truncated.Load(),
		Filtered: c.filtered.Load(), Refused: c.refused.Load(), Failed: c.failed.Load(), Uncertain: c.uncertain.Load(),
	}
	s.Recorded = s.Denied + s.Failures + c.other.Load()
	return s
}

// BufferStats counts the events of a [Buffer]. What was accepted is Written, Lost
// or Waiting.
type BufferStats struct {
	Written uint64 `json:"written"` // stored by the next sink
	Lost    uint64 `json:"lost"`    // dropped, or in a batch that the next sink refused
	Waiting int    `json:"waiting"` // accepted and not yet written
}

// LogValue returns the figures as a group with the keys of their JSON form.
func (s BufferStats) LogValue() slog.Value {
	return slog.GroupValue(slog.Uint64("written", s.Written), slog.Uint64("lost", s.Lost), slog.Int("waiting", s.Waiting))
}

// Stats returns the counts so far.
func (b *Buffer) Stats() BufferStats {
	s := BufferStats{Written: b.written.Load(), Lost: b.lost.Load()}
	s.Waiting = int(b.accepted.Load() - s.Written - s.Lost)
	return s
}
