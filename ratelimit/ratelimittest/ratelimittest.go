package ratelimittest

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// Run tests the contract of [ratelimit.Store], with a subtest for each rule. It
// calls open for a store in which no key has been used, with the given limit
// for every key. If open cannot make a store, it should call t.Fatal.
func Run(t *testing.T, open func(t *testing.T, limit ratelimit.Limit) ratelimit.Store) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			r.check(&checker{t.Errorf, open(t, r.limit), r.limit})
		})
	}
}

// A rule is a part of the contract, with the limit that its check needs.
type rule struct {
	name  string
	limit ratelimit.Limit
	check func(*checker)
}

var rules = []rule{
	{"burst", ratelimit.PerHour(5), (*checker).burst},
	{"amounts", ratelimit.PerHour(5), (*checker).amounts},
	{"refusals", ratelimit.PerHour(5), (*checker).refusals},
	{"keys", ratelimit.PerHour(5), (*checker).keys},
	{"done context", ratelimit.PerHour(5), (*checker).done},
	{"concurrent", ratelimit.PerHour(100), (*checker).concurrent},
	{"refill", ratelimit.Per(2, 400*time.Millisecond), (*checker).refill},
}

// A checker checks one store.
type checker struct {
	errorf func(format string, args ...any)
	store  ratelimit.Store
	limit  ratelimit.Limit
}

// take takes n events and checks that there is no error and that the decision
// does not contradict itself.
func (c *checker) take(key string, n int64) ratelimit.Decision {
	d, err := c.store.TakeKey(context.Background(), key, n)
	if err != nil {
		c.errorf("TakeKey(%.20q, %d): error %v", key, n, err)
		return d
	}
	if d.N != n || d.OK && d.Retryable || d.Retryable != (d.RetryAfter > 0) || d.RetryAfter < 0 || d.ResetAfter < 0 || d.Remaining < 0 {
		c.errorf("TakeKey(%.20q, %d): contradictory decision %+v", key, n, d)
	}
	if d.Limit.String() != c.limit.String() {
		c.errorf("TakeKey(%.20q, %d): Limit is %v, want %v", key, n, d.Limit, c.limit)
	}
	return d
}

func (c *checker) burst() {
	for i := range int64(5) {
		d := c.take("a", 1)
		if !d.OK || d.Remaining != 4-i {
			c.errorf("event %d of a burst of 5: OK is %v, Remaining %d, want true and %d", i+1, d.OK, d.Remaining, 4-i)
		}
		// A store that takes events ahead may report a longer time.
		if full := time.Duration(i+1) * 12 * time.Minute; d.ResetAfter < full-time.Minute || d.ResetAfter > time.Hour {
			c.errorf("event %d of 5 per hour: ResetAfter is %v, want %v to 1h", i+1, d.ResetAfter, full)
		}
	}
	d := c.take("a", 1)
	if d.OK || d.Remaining != 0 || d.RetryAfter > 12*time.Minute || d.RetryAfter < 11*time.Minute {
		c.errorf("sixth event of 5 per hour: OK is %v, Remaining %d, RetryAfter %v, want false, 0 and 12m", d.OK, d.Remaining, d.RetryAfter)
	}
}

func (c *checker) amounts() {
	for _, n := range []int64{6, 1 << 40, math.MaxInt64, -1, math.MinInt64} {
		if d := c.take("a", n); d.OK || d.Retryable {
			c.errorf("%d events of a burst of 5: OK is %v, Retryable %v, want false and false", n, d.OK, d.Retryable)
		}
	}
	if d := c.take("a", 0); !d.OK || d.Remaining != 5 {
		c.errorf("0 events: OK is %v, Remaining %d, want true and 5, because nothing was taken", d.OK, d.Remaining)
	}
	if d := c.take("a", 3); !d.OK || d.Remaining != 2 {
		c.errorf("3 events of 5: OK is %v, Remaining %d, want true and 2", d.OK, d.Remaining)
	}
	if d := c.take("a", 3); d.OK || d.Remaining != 2 {
		c.errorf("3 events of 2: OK is %v, Remaining %d, want false and 2: all or nothing", d.OK, d.Remaining)
	}
}

// refusals checks that a refusal takes nothing, also of several events.
func (c *checker) refusals() {
	c.take("a", 5)
	for _, n := range []int64{1, 1, 4, 4, 1} {
		most := time.Duration(n) * 12 * time.Minute
		if d := c.take("a", n); d.OK || d.RetryAfter > most || d.RetryAfter < most-time.Minute {
			c.errorf("%d events of 0 left: OK is %v, RetryAfter %v, want false and %v: refusals must not delay the next event", n, d.OK, d.RetryAfter, most)
		}
	}
}

func (c *checker) keys() {
	long := strings.Repeat("k", 10_000)
	keys := []string{"", "a", "A", "a ", "{a}", "}", "a\x00", "\xff", "ключ", long, long + "1", long[:64], long[:65]}
	for _, key := range keys {
		if d := c.take(key, 5); !d.OK {
			c.errorf("key %.20q of %d bytes shares the limit of another key", key, len(key))
		}
		if d := c.take(key, 1); d.OK {
			c.errorf("key %.20q of %d bytes has no limit", key, len(key))
		}
	}
}

func (c *checker) done() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.store.TakeKey(ctx, "a", 5); !errors.Is(err, context.Canceled) {
		c.errorf("with a cancelled context: error %v, want context.Canceled", err)
	}
	if d := c.take("a", 5); !d.OK {
		c.errorf("a call with a cancelled context has taken events")
	}
}

func (c *checker) concurrent() {
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			for range 20 {
				if c.take("a", 1).OK {
					admitted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := admitted.Load(); n < 100 || n > 101 { // an event may have come back
		c.errorf("10 callers took %d events of 100", n)
	}
}

func (c *checker) refill() {
	c.take("a", 2)
	d := c.take("a", 1)
	if d.OK {
		return // the store is so slow that the event has come back: no result
	}
	if d.RetryAfter > 200*time.Millisecond {
		c.errorf("2 per 400ms: RetryAfter is %v, want at most 200ms", d.RetryAfter)
	}
	time.Sleep(d.RetryAfter)
	if d := c.take("a", 1); !d.OK {
		c.errorf("refused again after RetryAfter, for %v", d.RetryAfter)
	}
}
