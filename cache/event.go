package cache

import (
	"fmt"
	"log/slog"
)

// An Event tells of one value that has left a [Cache].
type Event[K comparable, V any] struct {
	Key   K     // the key it was stored under
	Value V     // the value that left
	Cause Cause // why
}

var _ slog.LogValuer = Event[int, int]{}

// LogValue returns the cause and the first 64 bytes of the key. The value is left out: it may be large, or a secret.
func (e Event[K, V]) LogValue() slog.Value {
	return slog.GroupValue(slog.String("cause", e.Cause.String()), slog.String("key", cut(fmt.Sprint(e.Key))))
}

// A Cause says why a value left a [Cache].
type Cause uint8

// Each departure has one of these causes. A value that had expired before anything else befell it is always Expired.
const (
	Replaced Cause = iota + 1 // another value was stored under its key
	Deleted                   // Delete, Take, Clear and the like
	Expired                   // its lifetime had ended
	Evicted                   // it made room for others, or would itself not have fitted
)

// String returns the cause in lower case.
func (c Cause) String() string {
	switch c {
	case Replaced:
		return "replaced"
	case Deleted:
		return "deleted"
	case Expired:
		return "expired"
	case Evicted:
		return "evicted"
	}
	return fmt.Sprintf("cause(%d)", uint8(c))
}
