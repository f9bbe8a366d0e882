package retryhttp

import (
	"context"
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
	expire func()        // ends c, at the deadline or with the parent
	done   chan struct{} // made by Done
	detach func() bool   // stops the wait for the parent
	first  *waiter       // to be called at the end
	space  waiter        // of the first waiter, which needs no allocation then
	err    error
	cause  error       // of an end of its own
	own    atomic.Bool // ended before the parent
	lifted bool
}

var _ context.Context = (*clock)(nil)

// A waiter is a function that waits for the end of a clock.
type waiter struct {
	f    func()
	next *waiter
}

// start starts c. If d > 0, c ends after d with context.DeadlineExceeded and
// the cause retry.ErrAttemptTimeout, unless the parent ends before that.
func (c *clock) start(parent context.Context, d time.Duration) {
	c.parent = parent
	c.expire = func() { c.finish(context.DeadlineExceeded, retry.ErrAttemptTimeout) }
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
	if c.err != nil {
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

// finish ends c with err and cause, or with the error of its parent if that has
// ended.
func (c *clock) finish(err, cause error) {
	c.mu.Lock()
	ended := c.parent.Err()
	if c.err != nil || ended == nil && c.lifted && err == context.DeadlineExceeded {
		c.mu.Unlock()
		return
	}
	if c.err = ended; ended == nil {
		c.err, c.cause = err, cause
		c.own.Store(true)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	if c.done != nil {
		close(c.done)
	}
	detach, next := c.detach, c.first
	c.detach, c.first = nil, nil
	c.mu.Unlock()
	if detach != nil {
		detach()
	}
	for ; next != nil; next = next.next {
		next.f()
	}
}

// late reports whether c ended at its own deadline.
func (c *clock) late() bool { return c.own.Load() && c.Err() == context.DeadlineExceeded }

// Err returns the error that c ended with, or nil.
func (c *clock) Err() error {
	if c.parent.Err() != nil {
		c.expire()
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
		c.detach = context.AfterFunc(c.parent, c.expire)
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
	w := &c.space
	if w.f != nil {
		w = new(waiter)
	}
	w.f, w.next = f, c.first
	c.first = w
	return func() bool { return c.forget(w) }
}

// forget removes a waiter, and reports whether its function will not be called.
func (c *clock) forget(w *waiter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for p := &c.first; *p != nil; p = &(*p).next {
		if *p == w {
			*p = w.next
			return true
		}
	}
	return false
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
