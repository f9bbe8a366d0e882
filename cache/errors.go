package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/internal/quote"
)

// ErrNotFound is the error of a loader whose origin has answered that the key
// does not exist. Loaders return it or wrap it. It is not a failure of the
// origin: GetOrLoad returns it even if a stale value is present. A retry in the
// loader does not repeat it, and a circuit breaker counts it as a success.
var ErrNotFound error = notFound{}

type notFound struct{}

func (notFound) Error() string { return "cache: not found" }

// Retryable returns false: the answer would be the same.
func (notFound) Retryable() bool { return false }

// Answered returns true: the origin works.
func (notFound) Answered() bool { return true }

// ErrRecursive is the error of a load that waits for itself: the loader of a
// key asks for the same key, directly or through the loaders of other keys.
var ErrRecursive = errors.New("cache: recursive load")

var errGoexit = errors.New("cache: loader called runtime.Goexit")

// errTimeout is the cause of the end of a call that no caller waits for.
var errTimeout = fmt.Errorf("cache: LoadTimeout: %w", context.DeadlineExceeded)

// newWaitError returns the error of a wait for a load that ended with ctx.
func (c *Cache[K, V]) newWaitError(ctx context.Context) error {
	return ctxerr.New(ctx, prefix(c.config.Load().Name)+"wait")
}

// A PanicError is the value of the panic of GetOrLoad after a loader has
// panicked. All callers that wait for the load panic with the same PanicError.
type PanicError struct {
	Name  string // Config.Name
	Value any    // the value of the loader's panic
	Stack []byte // the stack of the loader's goroutine
}

var _ slog.LogValuer = (*PanicError)(nil)

// newPanicError returns the error of a panic with value. If value is the
// PanicError of a load within a load, it is returned unchanged: its stack
// shows the cause.
func newPanicError(name string, value any) *PanicError {
	if p, ok := value.(*PanicError); ok {
		return p
	}
	return &PanicError{Name: name, Value: value, Stack: debug.Stack()}
}

// Error returns the first 64 bytes of the panic value, followed by the
// loader's stack.
func (e *PanicError) Error() string { return e.text() + "\n\n" + string(e.Stack) }

func (e *PanicError) text() string {
	return prefix(e.Name) + "load panicked: " + quote.Text(fmt.Sprint(e.Value))
}

// Unwrap returns the value if it is an error, otherwise nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// LogValue returns the text of the error and the stack as a group.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", e.text()), slog.String("stack", string(e.Stack)))
}

// A KeysError is the error that several keys of GetOrLoadMany share.
type KeysError[K comparable] struct {
	Name string // Config.Name
	Keys []K    // the keys without a value, at least one
	Err  error  // the error of their load
}

var _ slog.LogValuer = (*KeysError[int])(nil)

// Error returns the first keys and the text of Err, each cut to 64 bytes.
func (e *KeysError[K]) Error() string {
	text := prefix(e.Name) + "load "
	for i, k := range e.Keys {
		if i == 3 {
			text += fmt.Sprintf(" and %d more", len(e.Keys)-i)
			break
		}
		if i > 0 {
			text += ", "
		}
		text += quote.Text(fmt.Sprint(k))
	}
	return text + ": " + quote.Error(e.Err)
}

// Unwrap returns Err.
func (e *KeysError[K]) Unwrap() error { return e.Err }

// LogValue returns the text of the error and the number of keys as a group.
func (e *KeysError[K]) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", e.Error()), slog.Int("keys", len(e.Keys)))
}

// A CachedError is the error of GetOrLoad while it remembers the error of an
// earlier load, by Config.ErrorTTL. The loader was not called.
type CachedError struct {
	Name string        // Config.Name
	Err  error         // the error of the earlier load
	Left time.Duration // how long the cache still remembers it, or NoExpiry
}

var _ slog.LogValuer = (*CachedError)(nil)

// Error returns the time left, rounded up to a millisecond, and the first 64
// bytes of the text of Err.
func (e *CachedError) Error() string {
	text := prefix(e.Name) + "remembered error"
	if left := e.RetryAfter(); left > 0 {
		left = (min(left, NoExpiry-time.Millisecond) + time.Millisecond - 1).Truncate(time.Millisecond)
		text += fmt.Sprintf(", retry after %v", left)
	}
	return text + ": " + quote.Error(e.Err)
}

// Unwrap returns Err.
func (e *CachedError) Unwrap() error { return e.Err }

// Rejected returns true: the loader was not called.
func (e *CachedError) Rejected() bool { return true }

// RetryAfter returns Left, or 0 if Left is NoExpiry.
func (e *CachedError) RetryAfter() time.Duration {
	if e.Left == NoExpiry {
		return 0
	}
	return e.Left
}

// LogValue returns the text of the error and the time left as a group.
func (e *CachedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", e.Error()), slog.Duration("retry_after", e.RetryAfter()))
}

// maxRetryAfter bounds RetryAfter. The origin chooses the time, and an error
// that is remembered by mistake stays wrong for as long.
const maxRetryAfter = time.Hour

// RetryAfter is a function for Config.ErrorTTL. It returns the result of the
// method RetryAfter() time.Duration of err, or of the first error in its tree
// that has this method. The result is between 0 and 1 hour. It is 0 if no
// error has the method.
func RetryAfter(err error) time.Duration {
	return min(max(errtree.Read(err).RetryAfter, 0), maxRetryAfter)
}
