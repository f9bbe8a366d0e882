package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A checker makes stores and collects what is wrong with them.
type checker struct {
	open func(ratelimit.Limit) (ratelimit.Store, error)
	mu   sync.Mutex
	errs []error
}

func (c *checker) errorf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errs = append(c.errs, fmt.Errorf("storetest: "+format, args...))
}

// TestStore calls open for stores in which no key has been used, each with a limit for every key, and uses them as
// their contract says. The error joins everything that went wrong, and is nil if nothing did.
func TestStore(open func(ratelimit.Limit) (ratelimit.Store, error)) error {
	c := &checker{open: open}
	c.with(ratelimit.PerHour(5), c.burst)
	c.with(ratelimit.PerHour(5), c.amounts)
	c.with(ratelimit.PerHour(5), c.keys)
	c.with(ratelimit.PerHour(5), c.done)
	c.with(ratelimit.PerHour(100), c.together)
	c.with(ratelimit.Per(2, 400*time.Millisecond), c.refill)
	return errors.Join(c.errs...)
}

// with runs a check on a store of its own.
func (c *checker) with(limit ratelimit.Limit, check func(ratelimit.Store)) {
	store, err := c.open(limit)
	if err != nil {
		c.errorf("open with %v: %w", limit, err)
		return
	}
	check(store)
}

// take asks for n events and reports an error or a decision that contradicts itself.
func (c *checker) take(s ratelimit.Store, key string, n int64) ratelimit.Decision {
	d, err := s.TakeKey(context.Background(), key, n)
	if err != nil {
		c.errorf("TakeKey(%.20q, %d): %w", key, n, err)
		return d
	}
	if d.N != n || d.OK != (d.RetryAfter == 0) || d.RetryAfter < 0 || d.ResetAfter < 0 || d.Remaining < 0 {
		c.errorf("TakeKey(%.20q, %d): contradictory decision %+v", key, n, d)
	}
	return d
}

func (c *checker) burst(s ratelimit.Store) {
	for i := range int64(5) {
		if d := c.take(s, "a", 1); !d.OK || d.Remaining != 4-i {
			c.errorf("event %d of a burst of 5: OK %v, remaining %d, want true and %d", i+1, d.OK, d.Remaining, 4-i)
		}
	}
	for range 3 { // refusals must not put off the next event
		d := c.take(s, "a", 1)
		if d.OK || d.Remaining != 0 || d.RetryAfter > 12*time.Minute || d.RetryAfter < 11*time.Minute {
			c.errorf("sixth event of 5 per hour: OK %v, remaining %d, retry after %v, want false, 0 and 12m", d.OK, d.Remaining, d.RetryAfter)
		}
	}
}

func (c *checker) amounts(s ratelimit.Store) {
	for _, n := range []int64{6, 1 << 40, math.MaxInt64, -1, math.MinInt64} {
		if d := c.take(s, "a", n); d.OK || d.RetryAfter != ratelimit.Never {
			c.errorf("%d events of a burst of 5: OK %v, retry after %v, want false and Never", n, d.OK, d.RetryAfter)
		}
	}
	if d := c.take(s, "a", 0); !d.OK || d.Remaining != 5 {
		c.errorf("no events: OK %v, remaining %d, want true and 5: nothing was taken so far", d.OK, d.Remaining)
	}
	if d := c.take(s, "a", 3); !d.OK || d.Remaining != 2 {
		c.errorf("3 events of 5: OK %v, remaining %d, want true and 2", d.OK, d.Remaining)
	}
	if d := c.take(s, "a", 3); d.OK || d.Remaining != 2 {
		c.errorf("3 events of 2: OK %v, remaining %d, want false and 2: all or nothing", d.OK, d.Remaining)
	}
}

func (c *checker) keys(s ratelimit.Store) {
	keys := []string{"", "a", "A", "a ", "{a}", "}", "a\x00", "\xff", "ключ", strings.Repeat("k", 10_000)}
	for _, key := range keys {
		if d := c.take(s, key, 5); !d.OK {
			c.errorf("key %.20q shares the limit of another", key)
		}
		if d := c.take(s, key, 1); d.OK {
			c.errorf("key %.20q has no limit", key)
		}
	}
}

func (c *checker) done(s ratelimit.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.TakeKey(ctx, "a", 5); !errors.Is(err, context.Canceled) {
		c.errorf("with a cancelled context: error %v, want context.Canceled", err)
	}
	if d := c.take(s, "a", 5); !d.OK {
		c.errorf("a call with a cancelled context has taken events")
	}
}

func (c *checker) together(s ratelimit.Store) {
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 20 {
				if c.take(s, "a", 1).OK {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n < 100 || n > 101 { // one may have come back
		c.errorf("10 callers got %d events of 100", n)
	}
}

func (c *checker) refill(s ratelimit.Store) {
	c.take(s, "a", 2)
	d := c.take(s, "a", 1)
	if d.OK {
		return // a store so slow that the event is back already tells nothing
	}
	if d.RetryAfter > 200*time.Millisecond {
		c.errorf("2 per 400ms: retry after %v, want at most 200ms", d.RetryAfter)
	}
	time.Sleep(d.RetryAfter)
	if d := c.take(s, "a", 1); !d.OK {
		c.errorf("refused again after RetryAfter, for %v", d.RetryAfter)
	}
}
