package cache

import (
	"fmt"
	"log/slog"
)

// An Event tells of one value that has left a [Cache].
type Event[K comparable, V any] struct {
	Cause Cause  // why
	Name  string // Config.Name
	Key   K      // the key it was stored under
	Value V      // the value that left
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
	CauseReplaced Cause = iota // another value was stored under its key
	CauseDeleted               // Delete, GetAndDelete, Clear and the like
	CauseExpired               // its lifetime had ended
	CauseEvicted               // it made room for others, or would itself not have fitted
)

// String returns the cause in lower case.
func (c Cause) String() string {
	switch c {
	case CauseReplaced:
		return "replaced"
	case CauseDeleted:
		return "deleted"
	case CauseExpired:
		return "expired"
	case CauseEvicted:
		return "evicted"
	}
	return fmt.Sprintf("Cause(%d)", uint8(c))
}
