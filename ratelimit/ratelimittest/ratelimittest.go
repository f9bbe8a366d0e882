package ratelimittest

import (
	"context"
	"errors"
	"fmt"
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
// for every key. If open cannot make a store, it should call t.Fatal. If the
// store is a [ratelimit.Adjuster], Run tests that contract too.
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
	{"larger burst", ratelimit.PerHour(2).WithBurst(5), (*checker).otherBurst},
	{"smaller burst", ratelimit.PerHour(50).WithBurst(5), (*checker).otherBurst},
	{"refill", ratelimit.Per(2, 400*time.Millisecond), (*checker).refill},
	{"adjust", ratelimit.PerHour(5), (*checker).adjust},
	{"reserve", ratelimit.PerHour(5), (*checker).reserve},
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
	if d := c.take("a", 0); !d.OK || d.Remaining != 5 || d.ResetAfter != 0 {
		c.errorf("0 events of an unused key: %+v, want OK, 5 remaining and no ResetAfter", d)
	}
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
	if d := c.take("a", 2); !d.OK || d.Remaining != 0 {
		c.errorf("2 events of 2: OK is %v, Remaining %d, want true and 0: a refusal takes nothing", d.OK, d.Remaining)
	}
	c.take("a", -3)
	if d := c.take("a", 1); d.OK {
		c.errorf("-3 events have returned events")
	}
	if d := c.take("a", 0); !d.OK || d.Remaining != 0 {
		c.errorf("0 events of 0 left: OK is %v, Remaining %d, want true and 0", d.OK, d.Remaining)
	}
}

// otherBurst checks that the burst is not N.
func (c *checker) otherBurst() {
	if d := c.take("a", 5); !d.OK || d.Remaining != 0 {
		c.errorf("5 events of %v: OK is %v, Remaining %d, want true and 0", c.limit, d.OK, d.Remaining)
	}
	interval := c.limit.Per / time.Duration(c.limit.N)
	if d := c.take("a", 1); d.OK || d.RetryAfter > interval || d.RetryAfter < interval-time.Minute {
		c.errorf("sixth event of %v: OK is %v, RetryAfter %v, want false and %v", c.limit, d.OK, d.RetryAfter, interval)
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
	keys := []string{
		"", "a", "A", "a ", " a", "{a}", "}", "{a}b", "a\x00", "a\x00b", "a\n", "a:b", "a%", "\xff", "\xfe", "ключ",
		long, long + "1", long[:5000] + "1" + long[5000:], "1" + long, long[:64], long[:65],
	}
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
	late, cancel := context.WithTimeout(context.Background(), -1)
	defer cancel()
	if _, err := c.store.TakeKey(late, "a", 5); !errors.Is(err, context.DeadlineExceeded) {
		c.errorf("after the deadline: error %v, want context.DeadlineExceeded", err)
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
	start := time.Now()
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
	if d := c.take("a", 1); d.OK && time.Since(start) < 390*time.Millisecond {
		c.errorf("2 events after %v, want 1: events come back one by one", time.Since(start))
	}
}

// adjust checks the changes of an Adjuster.
func (c *checker) adjust() {
	s, ok := c.store.(ratelimit.Adjuster)
	if !ok {
		return
	}
	ctx := context.Background()
	charge := func(n int64) ratelimit.Decision {
		d, err := s.ChargeKey(ctx, "a", n)
		if err != nil {
			c.errorf("ChargeKey(%d): error %v", n, err)
		}
		return d
	}
	check := func(err error, what string, remaining int64) {
		if err != nil {
			c.errorf("%s: error %v", what, err)
		}
		if d := c.take("a", 0); d.Remaining != remaining {
			c.errorf("%s: %d remaining, want %d", what, d.Remaining, remaining)
		}
	}
	if d := charge(3); !d.OK || d.N != 1 || d.Remaining != 2 {
		c.errorf("ChargeKey(3) of 5: %+v, want OK, N 1 and 2 remaining", d)
	}
	charge(-3)
	check(nil, "ChargeKey(-3)", 2)
	if d := charge(4); d.OK || d.RetryAfter > 36*time.Minute || d.RetryAfter < 35*time.Minute {
		c.errorf("ChargeKey(4) of 2: OK is %v, RetryAfter %v, want false and 36m, because the debt is 2", d.OK, d.RetryAfter)
	}
	check(s.CreditKey(ctx, "a", -3), "CreditKey(-3)", 0)
	check(s.CreditKey(ctx, "a", 3), "CreditKey(3) of a debt of 2", 1)
	check(s.CreditKey(ctx, "a", 100), "CreditKey(100)", 5)
	check(s.PenalizeKey(ctx, "a", -1), "PenalizeKey(-1ns)", 5)
	check(s.PenalizeKey(ctx, "a", time.Hour), "PenalizeKey(1h)", 0)
	check(s.PenalizeKey(ctx, "a", time.Minute), "PenalizeKey(1m)", 0)
	if d := c.take("a", 1); d.OK || d.RetryAfter > 72*time.Minute || d.RetryAfter < 71*time.Minute {
		c.errorf("penalized for 1h: OK is %v, RetryAfter %v, want false and 1h12m", d.OK, d.RetryAfter)
	}
	check(s.ResetKey(ctx, "a"), "ResetKey", 5)
	if d := c.take("b", 0); d.Remaining != 5 {
		c.errorf("changes of a key have changed another key")
	}
	c.take("a", 2)
	done, cancel := context.WithCancel(ctx)
	cancel()
	_, err := s.ChargeKey(done, "a", 1)
	_, _, err2 := s.ReserveKey(done, "a", 1)
	for i, err := range []error{err, err2, s.CreditKey(done, "a", 1), s.PenalizeKey(done, "a", 1), s.ResetKey(done, "a")} {
		if !errors.Is(err, context.Canceled) {
			c.errorf("%s with a cancelled context: error %v, want context.Canceled", [...]string{"ChargeKey", "ReserveKey", "CreditKey", "PenalizeKey", "ResetKey"}[i], err)
		}
	}
	check(nil, "calls with a cancelled context", 3)
}

// reserve checks the reservations of an Adjuster.
func (c *checker) reserve() {
	s, ok := c.store.(ratelimit.Adjuster)
	if !ok {
		return
	}
	ctx := context.Background()
	for _, tt := range []struct{ reserved, actual, again, remaining int64 }{
		{4, 1, 4, 4},
		{4, 0, 4, 5},
		{4, -3, 4, 5},
		{4, 4, 0, 1},
		{4, 5, 0, 0},
		{0, 3, 0, 2}, // 0 events are a reservation too
	} {
		key := fmt.Sprint(tt)
		d, settle, err := s.ReserveKey(ctx, key, tt.reserved)
		if err != nil || !d.OK || d.N != tt.reserved || d.Remaining != 5-tt.reserved {
			c.errorf("ReserveKey(%d) of 5: %+v, error %v", tt.reserved, d, err)
			continue
		}
		for _, n := range []int64{tt.actual, tt.again} {
			if err := settle(ctx, n); err != nil {
				c.errorf("settle(%d): error %v", n, err)
			}
		}
		if got := c.take(key, 0).Remaining; got != tt.remaining {
			c.errorf("reserved %d, settled %d, then %d: %d remaining, want %d", tt.reserved, tt.actual, tt.again, got, tt.remaining)
		}
	}
	c.take("a", 3)
	d, settle, err := s.ReserveKey(ctx, "a", 3)
	if err != nil || d.OK || !d.Retryable {
		c.errorf("ReserveKey(3) of 2: %+v, error %v, want a refusal", d, err)
	}
	if settle != nil {
		_ = settle(ctx, 0)
	}
	if got := c.take("a", 0).Remaining; got != 2 {
		c.errorf("a refused reservation was settled: %d remaining, want 2", got)
	}
}
