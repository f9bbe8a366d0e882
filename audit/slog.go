package audit

import (
	"context"
	"fmt"
	"log/slog"
)

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
