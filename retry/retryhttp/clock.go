package retryhttp

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/retry"
)

// A clock is the context of an attempt. It ends with its parent, at its own
// deadline, or by stop. Once the headers have arrived, lift removes the
// deadline, and the end of the body stops the clock. A clock must be started
// before its use.
//
// A context derived from a clock ends with the error and the cause of the
// clock. Had a timer cancelled the context instead, a derived context would
// report context.Canceled, as if the caller had given up.
type clock struct {
	parent context.Context // a clock is itself a context

	mu     sync.Mutex
	end    time.Time // the deadline; zero if there is none, or the parent ends first
	timer  *time.Timer
	done   chan struct{} // made by Done
	detach func() bool   // stops the wait for the parent
	atEnd  []*func()     // to be called at the end
	err    error
	cause  error       // of an end of its own
	own    atomic.Bool // ended before the parent
	lifted bool
}

var _ context.Context = (*clock)(nil)

// start starts c. If d > 0, c ends after d with context.DeadlineExceeded and
// the cause retry.ErrAttemptTimeout, unless the parent ends before that.
func (c *clock) start(parent context.Context, d time.Duration) {
	c.parent = parent
	if d <= 0 {
		return
	}
	end := time.Now().Add(d)
	if earlier, ok := parent.Deadline(); ok && !earlier.After(end) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.end = end
	c.timer = time.AfterFunc(d, c.expire)
}

// lift removes the deadline, and reports whether c has not ended.
func (c *clock) lift() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || c.parent.Err() != nil {
		return false
	}
	c.lifted, c.end = true, time.Time{}
	if c.timer != nil {
		c.timer.Stop()
	}
	return true
}

// stop ends c with context.Canceled and a cause, which may be nil.
func (c *clock) stop(cause error) { c.finish(context.Canceled, cause) }

func (c *clock) expire()  { c.finish(context.DeadlineExceeded, retry.ErrAttemptTimeout) }
func (c *clock) inherit() { c.finish(nil, nil) }

// finish ends c with err and cause, or with the error of its parent if that has
// ended.
func (c *clock) finish(err, cause error) {
	c.mu.Lock()
	if c.err != nil || c.lifted && err == context.DeadlineExceeded {
		c.mu.Unlock()
		return
	}
	if c.err = c.parent.Err(); c.err == nil {
		c.err, c.cause = err, cause
		c.own.Store(true)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.done != nil {
		close(c.done)
	}
	detach, atEnd := c.detach, c.atEnd
	c.detach, c.atEnd = nil, nil
	c.mu.Unlock()
	if detach != nil {
		detach()
	}
	for _, f := range atEnd {
		(*f)()
	}
}

// late reports whether c ended at its own deadline.
func (c *clock) late() bool { return c.own.Load() && c.Err() == context.DeadlineExceeded }

// Err returns the error that c ended with, or nil.
func (c *clock) Err() error {
	if c.parent.Err() != nil {
		c.inherit()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Deadline returns the deadline of c or of its parent.
func (c *clock) Deadline() (time.Time, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.end.IsZero() {
		return c.end, true
	}
	return c.parent.Deadline()
}

// Done returns the channel that is closed at the end of c.
func (c *clock) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	c.watch()
	return c.done
}

// watch makes c wait for its parent.
func (c *clock) watch() {
	if c.err == nil && c.detach == nil && c.parent.Done() != nil {
		c.detach = context.AfterFunc(c.parent, c.inherit)
	}
}

// AfterFunc arranges to call f, which must not block, at the end of c. Package
// context calls it for a derived context, which otherwise needs a goroutine.
func (c *clock) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	c.watch()
	c.atEnd = append(c.atEnd, &f)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.atEnd, &f)
		if i >= 0 {
			c.atEnd = slices.Delete(c.atEnd, i, i+1)
		}
		return i >= 0
	}
}

// Value returns a value of the parent. Package context asks for the cause of an
// end by a key of its own.
func (c *clock) Value(key any) any {
	if c.own.Load() {
		ended, cancel := context.WithCancelCause(context.Background())
		cancel(c.cause)
		if v := ended.Value(key); v != nil {
			return v
		}
	}
	return c.parent.Value(key)
}

// A timeoutError is the error of an attempt that AttemptTimeout ended.
type timeoutError struct{ err error }

// newTimeoutError returns an error that matches retry.ErrAttemptTimeout, and
// err if that is not nil.
func newTimeoutError(err error) error {
	switch {
	case err == nil:
		return retry.ErrAttemptTimeout
	case errtree.Is(err, retry.ErrAttemptTimeout) && !errtree.Is(err, context.Canceled):
		return err
	}
	return &timeoutError{err}
}

func (e *timeoutError) Error() string   { return retry.ErrAttemptTimeout.Error() + ": " + e.err.Error() }
func (e *timeoutError) Unwrap() []error { return []error{retry.ErrAttemptTimeout, e.err} }
func (e *timeoutError) Retryable() bool { return true }
