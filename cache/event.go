package cache

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/quote"
)

// An Event reports a value that has left a [Cache].
type Event[K comparable, V any] struct {
	Cause Cause  // why the value left
	Name  string // Config.Name
	Key   K      // the key of the value
	Value V      // the value that left
}

var _ slog.LogValuer = Event[int, int]{}

// LogValue returns the cause, the name unless it is empty, and the first 64
// bytes of the key. It omits the value, which may be large or secret.
func (e Event[K, V]) LogValue() slog.Value {
	attrs := append(make([]slog.Attr, 0, 3), slog.String("cause", e.Cause.String()))
	if e.Name != "" {
		attrs = append(attrs, slog.String("name", quote.Cut(e.Name)))
	}
	return slog.GroupValue(append(attrs, slog.String("key", quote.Cut(fmt.Sprint(e.Key))))...)
}

// A Cause is the reason why a value left a [Cache].
type Cause uint8

// The causes. If a value had already expired when it was replaced, deleted or
// evicted, its cause is CauseExpired.
const (
	CauseReplaced Cause = iota // another value was stored under its key
	CauseDeleted               // by Delete, GetAndDelete, Clear or a similar method
	CauseExpired               // its lifetime ended
	CauseEvicted               // it made room for others, or did not fit itself
)

// String returns the cause in lower case, such as "evicted".
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

// A departed is a queue of values that have left the cache. They are reported
// when no lock is held.
type departed[K comparable, V any] struct {
	first, last *node[K, V]
	len         int // includes the values that are not queued, without OnEvent
	panics      int // calls of OnEvent that did not return
}

func (d *departed[K, V]) push(n *node[K, V]) {
	if d.first == nil {
		d.first = n
	} else {
		d.last.next = n
	}
	d.last = n
}

// maxPanics bounds the panics of OnEvent after which emit continues: each of
// them takes stack.
const maxPanics = 64

// emit calls OnEvent with the departed values. No lock is held. If OnEvent
// panics or calls runtime.Goexit, the deferred emit continues with the other
// values.
func (c *Cache[K, V]) emit(ctx context.Context, gone *departed[K, V]) {
	if gone.first == nil || gone.panics == maxPanics {
		return
	}
	defer c.emit(ctx, gone)
	gone.panics++
	for n := gone.first; n != nil; n = gone.first {
		gone.first, n.next = n.next, nil
		cause := Cause(n.meta.Load() >> causeShift)
		c.config.OnEvent(ctx, Event[K, V]{Cause: cause, Name: c.config.Name, Key: n.key, Value: n.value})
	}
	gone.panics--
}
