package retryhttp

import (
	"context"
	"time"
)

// ExpireAfterLift returns the error of a clock whose deadline is lifted and
// then passes.
func ExpireAfterLift() error {
	c := new(clock)
	c.start(context.Background(), time.Hour)
	c.lift()
	c.expire()
	return c.Err()
}

// Hosts returns the number of hosts whose delay h has learned.
func Hosts(h *Hedge) int { return len(h.hosts) }
