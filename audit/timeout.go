package audit

import (
	"context"
	"sync"
	"time"
)

// timeoutContext is context.WithoutCancel and context.WithTimeout in one, for
// writes that mostly end before anybody asks: its timer is made by the first call
// of Done, and sinks that answer at once, such as a buffer or a file, make none.
// It is not reused, because a sink may hand it to work that goes on.
type timeoutContext struct {
	parent context.Context // for its values only
	at     time.Time

	mu     sync.Mutex
	timed  context.Context // has the timer; nil until somebody asks
	cancel context.CancelFunc
	over   bool // the write has returned
}

var _ context.Context = (*timeoutContext)(nil)

// Deadline says when the write is given up.
func (c *timeoutContext) Deadline() (time.Time, bool) { return c.at, true }

// Done makes the timer.
func (c *timeoutContext) Done() <-chan struct{} { return c.start().Done() }

// Err needs no timer: the clock says it.
func (c *timeoutContext) Err() error {
	switch timed, over := c.state(); {
	case timed != nil:
		return timed.Err()
	case over:
		return context.Canceled
	case time.Now().Before(c.at):
		return nil
	}
	return c.start().Err() // from now on it stays exceeded
}

// Value is the parent's. Once there is a timer, it also tells package context how
// to be cancelled with it, so that contexts derived from it need no goroutine.
func (c *timeoutContext) Value(key any) any {
	if timed, _ := c.state(); timed != nil {
		return timed.Value(key)
	}
	return context.WithoutCancel(c.parent).Value(key)
}

func (c *timeoutContext) state() (context.Context, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.timed, c.over
}

func (c *timeoutContext) start() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed == nil {
		c.timed, c.cancel = context.WithDeadline(context.WithoutCancel(c.parent), c.at)
		if c.over {
			c.cancel()
		}
	}
	return c.timed
}

// end cancels what goes on with the context after the write.
func (c *timeoutContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = true; c.cancel != nil {
		c.cancel()
	}
}
