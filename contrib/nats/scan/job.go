package scan

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/logscan"
)

// An Accumulator collects the records of a task. Workers send its binary form,
// and the coordinator merges the forms. The sketches of package
// [github.com/redoubt-go/redoubt/logscan/sketch] have the methods that this
// interface adds.
//
// MarshalBinary must return the same bytes for the same content, at most 64
// MiB. UnmarshalBinary is called on a new accumulator. Merging another
// accumulator into a new accumulator must make it equal to the other.
type Accumulator[A any] interface {
	logscan.Accumulator[A]
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// A Job describes a scan. The coordinator and the workers need the same Job,
// except for the fields from Task on, of which each uses its own. Its methods
// copy it. Any number of goroutines may use it.
type Job[A Accumulator[A]] struct {
	// Name names the scan: letters, digits, "-" and "_", at most 64 of them.
	// The stream is named "scan-" and Name, and the subjects begin with "scan."
	// and Name. Required.
	Name string

	// Program names the parser, the accumulator and their version. Workers and
	// coordinators refuse a scan of another program. Change it with each change
	// of Scanner or New that changes results. Required.
	Program string

	// Scanner scans the tasks. A worker runs a task on Scanner.Workers
	// goroutines if the input is an uncompressed file.
	Scanner logscan.Scanner

	// Open opens an input from its beginning, on a worker. If the result has a
	// method Seek, as files and the result of Ranged have, the worker skips to
	// its part. The coordinator calls Open for inputs without an Open of their
	// own. The queue decides which names a worker opens: use an [os.Root] or
	// check the name. Required.
	Open func(ctx context.Context, name string) (io.ReadCloser, error)

	// New returns an empty accumulator. Required.
	New func() A

	// Task is the number of bytes of an uncompressed input that are a task.
	// Larger inputs are divided if they can seek. It must be the same when Run
	// continues a scan. Zero means 64 MiB. Negative means that inputs are not
	// divided.
	Task int64

	// Ahead is the number of tasks that are queued or answered before their
	// turn to be merged. It bounds the stream, and should exceed the number of
	// workers several times. Zero means 1000. A negative value is invalid.
	Ahead int

	// AckWait is the time after which the task of a silent worker is given to
	// another. A worker that runs sends a sign of life every third of it. If
	// Run continues with a smaller value, start the workers again. Zero means
	// 30 seconds. A negative value is invalid.
	AckWait time.Duration

	// MaxAttempts bounds the attempts at a task, also those that ended with
	// their process. After the last, the task has failed permanently. Zero
	// means 8. A negative value is invalid.
	MaxAttempts int

	// Replicas is the number of servers of a cluster that store the stream.
	// Zero means 1. A negative value is invalid.
	Replicas int

	// OnEvent is called by Run with its progress and by Work with failed
	// attempts. OnEvent may be nil. It is called synchronously, outside locks,
	// after the change that the event reports, in the order of the changes. It
	// may call back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// Validate reports every field whose value is missing or out of range.
func (j Job[A]) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("scan: "+format, args...)) }
	if !validName(j.Name) {
		bad("Name is %s, want 1 to 64 letters, digits, - and _", quote.Text(j.Name))
	}
	if j.Program == "" || len(j.Program) > maxName {
		bad("Program has %d bytes, want 1 to %d", len(j.Program), maxName)
	}
	if j.Open == nil {
		bad("Open is missing")
	}
	if j.New == nil {
		bad("New is missing")
	}
	if j.Ahead < 0 {
		bad("Ahead is %d, want at least 0 (1000)", j.Ahead)
	}
	if j.AckWait < 0 {
		bad("AckWait is %v, want at least 0 (30s)", j.AckWait)
	}
	if j.MaxAttempts < 0 {
		bad("MaxAttempts is %d, want at least 0 (8)", j.MaxAttempts)
	}
	if j.Replicas < 0 {
		bad("Replicas is %d, want at least 0 (1)", j.Replicas)
	}
	return errors.Join(append(errs, j.Scanner.Validate())...)
}

func validName(name string) bool {
	for _, c := range name {
		switch {
		case '0' <= c && c <= '9', 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_':
		default:
			return false
		}
	}
	return 0 < len(name) && len(name) <= 64
}

// withDefaults returns a valid Job without zero values, or an error.
func (j Job[A]) withDefaults() (Job[A], error) {
	if j.Task == 0 {
		j.Task = 64 << 20
	}
	if j.Ahead == 0 {
		j.Ahead = 1000
	}
	if j.AckWait == 0 {
		j.AckWait = 30 * time.Second
	}
	if j.MaxAttempts == 0 {
		j.MaxAttempts = 8
	}
	if j.Replicas == 0 {
		j.Replicas = 1
	}
	return j, j.Validate()
}

// errorf adds the name of the scan to an error.
func (j *Job[A]) errorf(format string, args ...any) error {
	return fmt.Errorf("scan: %s: "+format, append([]any{j.Name}, args...)...)
}
