package cache

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
	"unicode/utf8"
)

// ErrNotFound is for loaders to return or wrap: the origin has answered, and has no such key. It is no failure, so no stale
// value stands in for it.
var ErrNotFound = errors.New("cache: not found")

// ErrRecursive is returned by GetOrLoad when the load of a key, directly or through loads of other keys, asks for that key
// again: it would wait for itself.
var ErrRecursive = errors.New("cache: recursive load")

var errGoexit = errors.New("cache: the loader called runtime.Goexit")

// A PanicError is what GetOrLoad panics with when a loader has panicked: each of those who wait panics with the same one.
type PanicError struct {
	Value any    // what the loader panicked with
	Stack []byte // the stack of the loader's goroutine
}

var _ slog.LogValuer = (*PanicError)(nil)

// newPanicError leaves the PanicError of a load within a load as it is: its stack is the one that tells.
func newPanicError(value any) *PanicError {
	if p, ok := value.(*PanicError); ok {
		return p
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// Error returns the first 64 bytes of the value, and the stack: the panic may end the program, with this as its last words.
func (e *PanicError) Error() string { return fmt.Sprintf("%s\n\n%s", e.text(), e.Stack) }

func (e *PanicError) text() string {
	return fmt.Sprintf("cache: load panicked: %q", cut(fmt.Sprint(e.Value)))
}

// Unwrap returns the value if it is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// LogValue returns the text of e and the stack.
func (e *PanicError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", e.text()), slog.String("stack", string(e.Stack)))
}

// A CachedError is returned by GetOrLoad in place of a load: an earlier one failed, and Config.ErrorTTL had its error
// remembered.
type CachedError struct {
	Err  error         // the error of that load
	Left time.Duration // how long it will still be remembered
}

var _ slog.LogValuer = (*CachedError)(nil)

// Error returns the time left, rounded up to a millisecond, and the first 64 bytes of the text of Err.
func (e *CachedError) Error() string {
	left := (min(e.Left, NoExpiry-time.Millisecond) + time.Millisecond - 1).Truncate(time.Millisecond)
	return fmt.Sprintf("cache: remembered error, retry after %v: %q", left, cut(e.Err.Error()))
}

// Unwrap returns Err.
func (e *CachedError) Unwrap() error { return e.Err }

// Rejected returns true: nothing was tried.
func (e *CachedError) Rejected() bool { return true }

// RetryAfter returns Left.
func (e *CachedError) RetryAfter() time.Duration { return e.Left }

// LogValue returns the text of e and the time left.
func (e *CachedError) LogValue() slog.Value {
	return slog.GroupValue(slog.String("msg", e.Error()), slog.Duration("retry_after", e.Left))
}

// maxRetryAfter bounds RetryAfter: the time an origin names is its choice, and an error remembered by mistake stays wrong
// for as long.
const maxRetryAfter = time.Hour

// RetryAfter is a value for Config.ErrorTTL: it returns the duration that err itself names, by the method RetryAfter()
// time.Duration of err or of the first error that err wraps and that has it. It returns 0, which is not to remember
// err, if none has or if that is negative, and never more than an hour.
func RetryAfter(err error) time.Duration {
	after, _ := retryAfter(err)
	return min(max(after, 0), maxRetryAfter)
}

// retryAfter walks err in the order of errors.As, which would allocate for an interface target.
func retryAfter(err error) (after time.Duration, ok bool) {
	if e, ok := err.(interface{ RetryAfter() time.Duration }); ok {
		return e.RetryAfter(), true
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		return retryAfter(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			if after, ok = retryAfter(err); ok {
				return after, true
			}
		}
	}
	return 0, false
}

// A contextError is the end of a wait; it matches both errors of the context.
type contextError struct{ err, cause error }

func newContextError(ctx context.Context) error {
	return &contextError{ctx.Err(), context.Cause(ctx)}
}

func (e *contextError) Error() string   { return "cache: waiting for a load: " + e.err.Error() }
func (e *contextError) Unwrap() []error { return []error{e.err, e.cause} }

// Is makes the ends of two waits one error, by the same context: GetOrLoadMany reports it once.
func (e *contextError) Is(target error) bool {
	other, ok := target.(*contextError)
	return ok && e.err == other.err
}

// cut returns s, or as many of its whole characters as fit in 64 bytes.
func cut(s string) string {
	const size = 64
	if len(s) <= size {
		return s
	}
	n := size
	for n > size-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
