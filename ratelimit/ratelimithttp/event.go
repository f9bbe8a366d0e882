package ratelimithttp

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// A Kind is the kind of an [Event].
type Kind uint8

const (
	// KindRefused means that a request was over the limit.
	KindRefused Kind = iota
	// KindFailed means that the Store failed.
	KindFailed
)

// String returns "refused" or "failed", and "Kind(7)" for an unknown kind.
func (k Kind) String() string {
	switch k {
	case KindRefused:
		return "refused"
	case KindFailed:
		return "failed"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// An Event is a refused request or an error of a Store.
type Event struct {
	Kind    Kind          // the kind of event
	Name    string        // Config.Name
	Request *http.Request // must not be changed or kept
	Err     error         // a *[ratelimit.LimitedError], or the error of the Store
}

var _ slog.LogValuer = Event{}

// LogValue implements [slog.LogValuer]. Of the request it contains the method
// and the pattern of the route.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.String("name", quote.Cut(e.Name))}
	if e.Request != nil {
		attrs = append(attrs, slog.String("method", quote.Cut(e.Request.Method)), slog.String("route", quote.Cut(e.Request.Pattern)))
	}
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", quote.Error(e.Err)))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. A refusal is
// information, and an error of the Store is an error. Nil means slog.Default().
func Log(l *slog.Logger) func(context.Context, Event) {
	return sloghook.New(l, func(e Event) (slog.Level, string) {
		if e.Kind == KindFailed {
			return slog.LevelError, "rate limit store failed"
		}
		return slog.LevelInfo, "request over the limit"
	})
}
