package cache

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/internal/sloghook"
)

// An Event reports a value that has left a [Cache], or a load that has failed.
type Event[K comparable, V any] struct {
	Kind  Kind   // whether a value has left or a load has failed
	Name  string // Config.Name
	Key   K      // the key of the value or of the load
	Value V      // with KindLeft, the value that left
	Cause Cause  // with KindLeft, why it left
	Err   error  // with KindLoadFailed, the error of the loader, or a *PanicError
}

var _ slog.LogValuer = Event[int, int]{}

// LogValue returns the kind, the name unless it is empty, the first 64 bytes of
// the key, and the cause or the first 64 bytes of the error. It omits the
// value, which may be large or secret.
func (e Event[K, V]) LogValue() slog.Value {
	attrs := append(make([]slog.Attr, 0, 4), slog.String("kind", e.Kind.String()))
	if e.Name != "" {
		attrs = append(attrs, slog.String("name", quote.Cut(e.Name)))
	}
	attrs = append(attrs, slog.String("key", quote.Cut(fmt.Sprint(e.Key))))
	switch {
	case e.Kind == KindLeft:
		attrs = append(attrs, slog.String("cause", e.Cause.String()))
	case e.Err != nil:
		attrs = append(attrs, slog.String("err", quote.Cut(e.Err.Error())))
	}
	return slog.GroupValue(attrs...)
}

// Log returns an OnEvent that writes every event to l. A load that failed is a
// warning, and a value that left is for debugging. Nil means slog.Default().
func Log[K comparable, V any](l *slog.Logger) func(context.Context, Event[K, V]) {
	return sloghook.New(l, func(e Event[K, V]) (slog.Level, string) {
		if e.Kind == KindLeft {
			return slog.LevelDebug, "value left the cache"
		}
		return slog.LevelWarn, "cache load failed"
	})
}

// A Kind is the kind of an [Event].
type Kind uint8

// The kinds.
const (
	KindLeft       Kind = iota // a value left the cache
	KindLoadFailed             // a load returned an error other than ErrNotFound, or panicked
)

// String returns the kind in lower case.
func (k Kind) String() string {
	switch k {
	case KindLeft:
		return "left"
	case KindLoadFailed:
		return "load failed"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
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
	config := c.config.Load()
	for n := gone.first; n != nil; n = gone.first {
		gone.first, n.next = n.next, nil
		if config.OnEvent != nil { // it was set when n left
			cause := Cause(n.meta.Load() >> causeShift)
			config.OnEvent(ctx, Event[K, V]{Name: config.Name, Key: n.key, Value: n.value, Cause: cause})
		}
	}
	gone.panics--
}

// reportFailures calls OnEvent with the failures of a call. A panic of OnEvent
// ends it.
func (c *Cache[K, V]) reportFailures(ctx context.Context, flights []*flight[K, V]) {
	config := c.config.Load()
	if config.OnEvent == nil {
		return
	}
	for _, f := range flights {
		if !f.failed || f.missing {
			continue
		}
		err := f.err
		if f.panic != nil {
			err = f.panic
		}
		config.OnEvent(ctx, Event[K, V]{Kind: KindLoadFailed, Name: config.Name, Key: f.key, Err: err})
	}
}
