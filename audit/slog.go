package audit

import (
	"context"
	"fmt"
	"log/slog"
)

// Slog returns a sink that hands events to h as records with the message "audit".
// What touched a sensitive field, failed or was denied has level WARN, the rest
// INFO. A level that h does not take is an error, not a silent loss.
func Slog(h slog.Handler) Sink {
	return SinkFunc(func(ctx context.Context, events []*Event) error {
		for _, e := range events {
			lv := level(e)
			if !h.Enabled(ctx, lv) {
				return fmt.Errorf("audit: slog handler does not take level %s", lv)
			}
			r := slog.NewRecord(e.Time, lv, "audit", 0)
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
