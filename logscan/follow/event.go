package follow

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is the kind of an [Event].
type Kind uint8

// The kinds of events.
const (
	KindOpened    Kind = iota // reading of a file began
	KindRotated               // another file has the name
	KindTruncated             // the file was cut and begins again
	KindGap                   // records may have been lost
	KindCaughtUp              // everything complete was delivered
	KindGone                  // the file was removed or renamed, read to its end, and closed
	KindFailed                // a file cannot be read now; the loop tries again
)

var kinds = [...]string{"opened", "rotated", "truncated", "gap", "caught up", "gone", "failed"}

// String returns the kind in lower case.
func (k Kind) String() string {
	if int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("Kind(%d)", k)
}

// An Event reports a change of a log that is followed.
type Event struct {
	Kind   Kind   // the change
	Name   string // Follower.Name
	Path   string // the path that is followed
	Source string // the name of the file when it was opened
	Offset int64  // place up to which the file was read
	Lost   int64  // bytes lost in a gap; -1 if unknown
	Err    error  // the error of KindGap and KindFailed
}

var _ slog.LogValuer = Event{}

// LogValue returns the fields as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()),
		slog.String("name", e.Name),
		slog.String("path", quote.Cut(e.Path)),
		slog.String("source", quote.Cut(e.Source)),
		slog.Int64("offset", e.Offset),
	}
	if e.Kind == KindGap {
		attrs = append(attrs, slog.Int64("lost", e.Lost))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("err", quote.Error(e.Err)))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. A gap is an error, and a
// file that cannot be read is a warning. KindCaughtUp is for debugging, and the
// other events are information. Nil means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(e Event) (slog.Level, string) {
		switch e.Kind {
		case KindGap:
			return slog.LevelError, "records of a log may be lost"
		case KindFailed:
			return slog.LevelWarn, "log cannot be read, will retry"
		case KindCaughtUp:
			return slog.LevelDebug, "log caught up"
		}
		return slog.LevelInfo, "log " + e.Kind.String()
	})
}

// A Counters adds up the work of loops. The zero value is ready. Any number of
// Followers may share a Counters. It must not be copied.
type Counters struct {
	// Name becomes [Stats].Name. Set it before the first loop.
	Name string

	mu    sync.Mutex
	stats Stats
}

// Stats is a snapshot of a [Counters]. All counts only grow, except Paths, Open
// and LagBytes, which describe the present.
type Stats struct {
	Name        string `json:"name"`        // Counters.Name
	Files       uint64 `json:"files"`       // files begun
	ReadBytes   uint64 `json:"read_bytes"`  // bytes delivered to the scanner, decoded
	Rotations   uint64 `json:"rotations"`   // files that were replaced
	Truncations uint64 `json:"truncations"` // files that were cut
	Gaps        uint64 `json:"gaps"`        // GapErrors
	LostBytes   uint64 `json:"lost_bytes"`  // bytes of gaps, where they are known
	Errors      uint64 `json:"errors"`      // failed attempts that were reported
	Paths       int64  `json:"paths"`       // logs that are followed
	Open        int64  `json:"open"`        // files that are open
	LagBytes    int64  `json:"lag_bytes"`   // bytes seen and not delivered
}

// Stats returns the counts so far. LagBytes is as of the latest look at each
// file, about a Poll ago.
func (c *Counters) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Name = c.Name
	return s
}

func (c *Counters) change(f func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.stats)
}
