package audit

import (
	"context"
	"sync"
	"time"
)

// A timeoutContext combines context.WithoutCancel and context.WithTimeout. It
// makes its timer in the first call of Done. Sinks that return immediately,
// such as a buffer or a file, usually never call Done. Log.Record then takes
// 255 ns and 2 allocations, against 560 ns and 6 allocations with
// context.WithTimeout. If the sink calls Done, both take about 1000 ns. A
// timeoutContext is not reused, because a sink may pass it to work that
// continues.
type timeoutContext struct {
	parent context.Context // for its values only
	at     time.Time

	mu     sync.Mutex
	timed  context.Context // has the timer; nil before the first call of Done
	cancel context.CancelFunc
	over   bool // the write has returned
}

var _ context.Context = (*timeoutContext)(nil)

// Deadline returns the end of the timeout.
func (c *timeoutContext) Deadline() (time.Time, bool) { return c.at, true }

// Done makes the timer.
func (c *timeoutContext) Done() <-chan struct{} { return c.start().Done() }

// Err compares the clock with the deadline, if there is no timer.
func (c *timeoutContext) Err() error {
	switch timed, over := c.state(); {
	case timed != nil:
		return timed.Err()
	case over:
		return context.Canceled
	case time.Now().Before(c.at):
		return nil
	}
	return c.start().Err() // from now on it does not change
}

// Value returns the value of the parent. If there is a timer, the context with
// the timer answers. Package context then finds that context and needs no
// goroutine for contexts derived from c.
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

// end cancels work that still uses the context after the write.
func (c *timeoutContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = true; c.cancel != nil {
		c.cancel()
	}
}
