package audit

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"sync"
)

// A Sink stores events. A nil error means that the sink stored the events as
// durably as it promises. After any error the work must not continue. An error
// that matches [ErrFailed], [ErrFull] or [ErrClosed] means that no event was
// stored, [ErrUncertain] that events may have been stored. Any other error
// means that no event was stored, unless the context had ended. The
// events are read-only and may be shared with other sinks. A sink must not keep
// them after the call. Several goroutines may call WriteEvents at the same
// time.
type Sink interface {
	// WriteEvents stores all events or returns an error. Its context is not
	// canceled with the context of the caller and has the deadline of
	// [Config.Timeout].
	WriteEvents(ctx context.Context, events []*Event) error
}

// A SinkFunc is a function used as a [Sink].
type SinkFunc func(ctx context.Context, events []*Event) error

// WriteEvents calls f.
func (f SinkFunc) WriteEvents(ctx context.Context, events []*Event) error { return f(ctx, events) }

// isNil also finds a nil pointer or function inside the interface.
func isNil(s Sink) bool {
	v := reflect.ValueOf(s)
	return !v.IsValid() || (v.Kind() == reflect.Pointer || v.Kind() == reflect.Func) && v.IsNil()
}

// JSON returns a sink that writes each event to w as one line, in the form of
// [Event.AppendJSON]. See [Lines].
func JSON(w io.Writer) Sink { return Lines(w, (*Event).AppendJSON) }

// Lines returns a sink that writes each event to w as one line, with one Write
// per batch. The function encode appends an event to a buffer, without a line
// end. It must escape line ends inside the event. The sink does not sync w.
//
// After a Write that failed halfway, the next batch starts on a new line. If
// the failed batch is sent again, its events occur twice, with the same IDs.
func Lines(w io.Writer, encode func(e *Event, dst []byte) []byte) Sink {
	return &lineSink{w: w, encode: encode}
}

type lineSink struct {
	encode func(*Event, []byte) []byte
	pool   sync.Pool // of *[]byte
	mu     sync.Mutex
	w      io.Writer
	torn   bool // the last Write stopped inside a line
}

// WriteEvents writes all events with one Write. It does not call Write if there
// are no events.
func (s *lineSink) WriteEvents(_ context.Context, events []*Event) error {
	if len(events) == 0 {
		return nil
	}
	buf, _ := s.pool.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	// Encoded outside the lock: an attribute may write to the same sink. The
	// first byte is for the end of a torn line.
	b := append((*buf)[:0], '\n')
	for _, e := range events {
		b = append(s.encode(e, b), '\n')
	}
	err := s.write(b)
	if *buf = b; cap(b) <= maxEvent { // a large buffer is not kept
		s.pool.Put(buf)
	}
	return err
}

func (s *lineSink) write(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.torn {
		b = b[1:]
	}
	n, err := s.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if 0 < n && n <= len(b) {
		s.torn = b[n-1] != '\n'
	}
	return err
}

// Slog returns a sink that passes each event to h as a record with the message
// "audit". Events with a sensitive change and events with the outcome Failure
// or Denied have the level WARN, other events INFO. If h does not accept the
// level, the sink returns an error.
func Slog(h slog.Handler) Sink {
	return SinkFunc(func(ctx context.Context, events []*Event) error {
		for _, e := range events {
			lv := level(e)
			if !h.Enabled(ctx, lv) {
				return fmt.Errorf("audit: slog handler does not accept level %s", lv)
			}
			r := slog.NewRecord(e.Time, lv, "audit", 0) // no source line: the event has a Source
			r.AddAttrs(e.slogAttrs()...)
			if err := h.Handle(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

func level(e *Event) slog.Level {
	if e.Outcome == Failure || e.Outcome == Denied {
		return slog.LevelWarn
	}
	for _, c := range e.Changes {
		if c.Sensitive {
			return slog.LevelWarn
		}
	}
	return slog.LevelInfo
}
