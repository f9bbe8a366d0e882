package scan

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// A Kind is the kind of an [Event].
type Kind uint8

// The kinds of events.
const (
	KindResumed     Kind = iota // Run continues a scan that an earlier Run has begun
	KindMerged                  // Run has merged the result of a task
	KindFailed                  // Run has given up a task; Err is a *TaskError
	KindAttempt                 // Work: an attempt at a task has failed; another follows, on any worker
	KindUnavailable             // a request to the servers has failed and is repeated
)

// String returns a lower-case word.
func (k Kind) String() string {
	names := [...]string{"resumed", "merged", "failed", "attempt", "unavailable"}
	if int(k) >= len(names) {
		return fmt.Sprintf("Kind(%d)", int(k))
	}
	return names[k]
}

// An Event reports the progress of [Job.Run] or [Job.Work].
type Event struct {
	Kind   Kind   // of the change
	Name   string // Job.Name
	Input  string // name of the input of the task
	Offset int64  // of the task in its input
	Merged int    // Run: tasks merged so far, also the failed tasks
	Listed int    // Run: tasks known so far
	Bytes  int64  // Run: bytes of the merged tasks, as far as known
	Err    error  // KindFailed, KindAttempt, KindUnavailable
}

var _ slog.LogValuer = Event{}

// LogValue returns the fields as a group.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{
		slog.String("kind", e.Kind.String()), slog.String("name", e.Name), slog.String("input", quote.Cut(e.Input)),
		slog.Int64("offset", e.Offset), slog.Int("merged", e.Merged), slog.Int("listed", e.Listed), slog.Int64("bytes", e.Bytes),
	}
	if e.Err != nil {
		attrs = append(attrs, slog.Any("err", e.Err))
	}
	return slog.GroupValue(attrs...)
}

func (j *Job[A]) emit(ctx context.Context, e Event) {
	if j.OnEvent != nil {
		e.Name = j.Name
		j.OnEvent(ctx, e)
	}
}
