package ledger

import (
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

var _ slog.LogValuer = Stats{}

// Stats are the figures of a [Ledger] since it was opened. The first group only
// grows; the second is the present state. Events divided by Commits is the mean
// size of a group that shared a write.
type Stats struct {
	Events      uint64        `json:"events"`       // events written
	Records     uint64        `json:"records"`      // lines written: the events and the service records
	Bytes       uint64        `json:"bytes"`        // of those lines, with their ends
	Commits     uint64        `json:"commits"`      // groups of events that were written together
	Syncs       uint64        `json:"syncs"`        // fsyncs of segments, the failed one included
	SyncTime    time.Duration `json:"sync_time_ns"` // what they took
	Checkpoints uint64        `json:"checkpoints"`  // checkpoints written
	Segments    uint64        `json:"segments"`     // segments begun
	Pruned      uint64        `json:"pruned"`       // segments removed, see Config.Retain
	Failed      uint64        `json:"failed"`       // events that were refused and are not in the log
	Uncertain   uint64        `json:"uncertain"`    // events of which that is not known: audit.ErrUncertain
	Unanchored  uint64        `json:"unanchored"`   // checkpoints that Config.Anchor did not take

	Size         uint64 `json:"size_records"`          // records in the log; those pruned count
	Sealed       uint64 `json:"sealed_records"`        // records before the last checkpoint; 0 while none is known
	LargestGroup uint64 `json:"largest_commit_events"` // most events in one commit so far
	Stopped      bool   `json:"stopped"`               // nothing is written any more: ErrFailed or ErrClosed
}

// LogValue returns the figures as a group with the keys of their JSON form.
func (s Stats) LogValue() slog.Value {
	return slog.GroupValue(
		slog.Uint64("events", s.Events), slog.Uint64("records", s.Records), slog.Uint64("bytes", s.Bytes),
		slog.Uint64("commits", s.Commits), slog.Uint64("syncs", s.Syncs), slog.Int64("sync_time_ns", int64(s.SyncTime)),
		slog.Uint64("checkpoints", s.Checkpoints), slog.Uint64("segments", s.Segments), slog.Uint64("pruned", s.Pruned),
		slog.Uint64("failed", s.Failed), slog.Uint64("uncertain", s.Uncertain), slog.Uint64("unanchored", s.Unanchored),
		slog.Uint64("size_records", s.Size), slog.Uint64("sealed_records", s.Sealed),
		slog.Uint64("largest_commit_events", s.LargestGroup), slog.Bool("stopped", s.Stopped))
}

// counters are atomic and not under the lock of the commits: whoever asks why
// nothing moves must not hang behind the sync that hangs.
type counters struct {
	events, records, bytes, commits   atomic.Uint64
	syncs, checkpoints, segments      atomic.Uint64
	pruned, failed, uncertain, adrift atomic.Uint64
	size, sealed, largest             atomic.Uint64
	syncTime                          atomic.Int64
	stopped                           atomic.Bool
}

// answered counts the events of a commit by what came of it. It runs under l.mu.
func (c *counters) answered(events uint64, err error) {
	switch {
	case err == nil:
		c.events.Add(events)
		c.commits.Add(1)
		c.largest.Store(max(c.largest.Load(), events))
	case errors.Is(err, audit.ErrUncertain):
		c.uncertain.Add(events)
	default:
		c.failed.Add(events)
	}
}

// Stats returns the figures, without waiting for a commit under way. They are read
// one after the other, so those of a commit that ends meanwhile may be in some of
// them only.
func (l *Ledger) Stats() Stats {
	c := &l.counters
	return Stats{
		Events: c.events.Load(), Records: c.records.Load(), Bytes: c.bytes.Load(), Commits: c.commits.Load(),
		Syncs: c.syncs.Load(), SyncTime: time.Duration(c.syncTime.Load()), Checkpoints: c.checkpoints.Load(),
		Segments: c.segments.Load(), Pruned: c.pruned.Load(), Failed: c.failed.Load(), Uncertain: c.uncertain.Load(),
		Unanchored: c.adrift.Load(), Size: c.size.Load(), Sealed: c.sealed.Load(), LargestGroup: c.largest.Load(),
		Stopped: c.stopped.Load(),
	}
}
