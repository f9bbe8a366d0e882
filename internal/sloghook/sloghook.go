// Package sloghook makes the OnEvent hooks that write events to a logger.
package sloghook

import (
	"context"
	"log/slog"
)

// New returns an OnEvent that writes every event to l, with the level and the
// message that describe returns. The attributes are the members of the group
// that is the LogValue of the event. Nil for l means slog.Default(), as it is
// at the time of the event.
func New[E slog.LogValuer](l *slog.Logger, describe func(E) (slog.Level, string)) func(context.Context, E) {
	return func(ctx context.Context, e E) {
		out := l
		if out == nil {
			out = slog.Default()
		}
		level, text := describe(e)
		if out.Enabled(ctx, level) {
			out.LogAttrs(ctx, level, text, e.LogValue().Resolve().Group()...)
		}
	}
}
