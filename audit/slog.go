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
			r := slog.NewRecord(e.Time, lv, "audit", 0) // no caller: where the event came from is in it
			r.AddAttrs(e.slogAttrs()...)
			if err := h.Handle(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// level puts what a reviewer looks at first above the ordinary.
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

// attrLimit bounds what handlers are given as [Event.AppendJSON] bounds a line: they
// have no limits of their own.
type attrLimit struct {
	left int  // bytes of text that may still be begun
	cut  bool // something was left out
}

// text takes the room of s, and returns as much of it as one text may have.
func (l *attrLimit) text(s string) string {
	if len(s) > maxText {
		s, l.cut = cut(s, maxText), true
	}
	l.left -= len(s) + 16 // empty ones take room too
	return s
}

// group copies as much of a group as there is room for: the attributes are the
// caller's and stay as they are.
func (l *attrLimit) group(as []slog.Attr, depth int) []slog.Attr {
	out := make([]slog.Attr, 0, min(len(as), maxAttrs))
	for _, a := range as {
		if len(out) == maxAttrs || l.left < 0 {
			l.cut = true
			break
		}
		out = append(out, slog.Attr{Key: l.text(a.Key), Value: l.value(a.Value, depth)})
	}
	return out
}

// value resolves v, so that no LogValuer runs again inside a handler, where it could
// say something else.
func (l *attrLimit) value(v slog.Value, depth int) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(l.text(v.String()))
	case slog.KindAny: // a handler would walk it to the end, wherever that is
		return slog.StringValue(l.text(fmt.Sprintf("%+v", v.Any())))
	case slog.KindGroup:
		if depth == maxDepth {
			l.cut = true
			return slog.StringValue("...")
		}
		return slog.GroupValue(l.group(v.Group(), depth+1)...)
	}
	return v
}
