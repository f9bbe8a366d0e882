package ledger

import (
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

// Stats counts the work of a [Ledger] since it was opened. The counters up to
// SealFailures never decrease. The other fields are the current state. Events
// divided by Commits is the mean number of events in one write.
type Stats struct {
	Name        string        `json:"name"`         // the Config.Name, otherwise the origin
	Events      uint64        `json:"events"`       // events written
	Records     uint64        `json:"records"`      // lines written: events and service records
	Bytes       uint64        `json:"bytes"`        // bytes of these lines, including line ends
	Commits     uint64        `json:"commits"`      // groups of events written together
	Syncs       uint64        `json:"syncs"`        // fsyncs of segments, including the failed one
	SyncTime    time.Duration `json:"sync_time_ns"` // total time of these fsyncs
	Checkpoints uint64        `json:"checkpoints"`  // checkpoints written
	Segments    uint64        `json:"segments"`     // segments created
	Pruned      uint64        `json:"pruned"`       // segments removed, see Config.Retain
	Failed      uint64        `json:"failed"`       // events that are not in the log
	Uncertain   uint64        `json:"uncertain"`    // events that may be in the log: audit.ErrUncertain
	Unanchored  uint64        `json:"unanchored"`   // checkpoints that Config.Anchor refused

	// SealFailures counts the checkpoints that could not be signed or written.
	// Their records stay unsealed until the next attempt.
	SealFailures uint64 `json:"seal_failures"`

	Size         uint64 `json:"size_records"`          // records of the log, including removed segments
	Sealed       uint64 `json:"sealed_records"`        // records before the last checkpoint; 0 if none is known
	LargestGroup uint64 `json:"largest_commit_events"` // most events in one commit
	Stopped      bool   `json:"stopped"`               // nothing is written any more: ErrFailed or ErrClosed
}

// The counters are atomic, so that Stats does not wait for a sync that hangs.
type counters struct {
	events, records, bytes, commits       atomic.Uint64
	syncs, checkpoints, segments          atomic.Uint64
	pruned, failed, uncertain, unanchored atomic.Uint64
	size, sealed, largest, sealFailures   atomic.Uint64
	syncTime                              atomic.Int64
	stopped                               atomic.Bool
}

// answered counts the events of a commit by its error. The caller holds l.mu.
func (c *counters) answered(events uint64, err error) {
	switch {
	case err == nil:
		c.events.Add(events)
		c.commits.Add(1)
		c.largest.Store(max(c.largest.Load(), events))
	case errtree.Is(err, audit.ErrUncertain):
		c.uncertain.Add(events)
	default:
		c.failed.Add(events)
	}
}

// Stats returns the counters without waiting for a commit. A commit that ends
// at the same time may be in some of the counters only.
func (l *Ledger) Stats() Stats {
	c := &l.counters
	return Stats{
		Name: l.config.Name, Events: c.events.Load(), Records: c.records.Load(), Bytes: c.bytes.Load(), Commits: c.commits.Load(),
		Syncs: c.syncs.Load(), SyncTime: time.Duration(c.syncTime.Load()), Checkpoints: c.checkpoints.Load(),
		Segments: c.segments.Load(), Pruned: c.pruned.Load(), Failed: c.failed.Load(), Uncertain: c.uncertain.Load(),
		Unanchored: c.unanchored.Load(), SealFailures: c.sealFailures.Load(), Size: c.size.Load(), Sealed: c.sealed.Load(), LargestGroup: c.largest.Load(),
		Stopped: c.stopped.Load(),
	}
}
