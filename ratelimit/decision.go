package ratelimit

import (
	"math"
	"time"
)

// A Decision is the answer of a limiter to a request for N events. With several
// limits it describes the limit that decided: if the events are refused, the
// limit that refuses them longest, otherwise the limit with the least left. Of
// two limits with equally little left, it is the limit that is whole later.
type Decision struct {
	OK         bool          // the events are allowed, and have been taken
	N          int64         // the events that were asked for
	Limit      Limit         // the limit that decided
	Remaining  int64         // the events that the limit still allows now; 0 while callers wait
	ResetAfter time.Duration // the time until the limit has its whole burst again; 0 if it has, or never will
	AtOnce     bool          // the events do not come back one by one at the rate of Limit; after ResetAfter all are back

	// Retryable reports of a refusal whether the events can be allowed later.
	Retryable bool
	// RetryAfter is the time until refused events can be allowed, if only the
	// callers that already wait take events before. It is exact to the
	// nanosecond, except that it is a lower bound while callers wait for
	// several limits, or while callers wait and reservations are not yet due.
	// It is 0 if OK is true or Retryable is false.
	RetryAfter time.Duration
}

// Err returns nil if d is OK, and a *[LimitedError] otherwise.
func (d Decision) Err() error {
	if d.OK {
		return nil
	}
	return &LimitedError{Decision: d}
}

// refuse makes d a refusal until the instant then; math.MaxInt64 is never.
// Both instants are in nanoseconds.
func (d *Decision) refuse(ns, then int64) {
	d.OK, d.Retryable, d.RetryAfter = false, then != math.MaxInt64, 0
	if d.Retryable {
		d.RetryAfter = time.Duration(max(1, then-ns)) // a waiting caller may be due but not gone yet
	}
}

// final reports whether d is the answer to a caller that waits for at most
// patience.
func (d *Decision) final(patience time.Duration) bool {
	return d.OK || !d.Retryable || d.RetryAfter >= patience
}

// wait returns RetryAfter, or the largest duration for never.
func (d *Decision) wait() time.Duration {
	if !d.OK && !d.Retryable {
		return math.MaxInt64
	}
	return d.RetryAfter
}

// stricter reports whether d refuses longer than e or, if both are equal in
// that, leaves less or, if both are equal in that too, leaves it for longer.
func (d *Decision) stricter(e *Decision) bool {
	if a, b := d.wait(), e.wait(); a != b {
		return a > b
	}
	if d.Remaining != e.Remaining {
		return d.Remaining < e.Remaining
	}
	return d.ResetAfter > e.ResetAfter
}

// unlimited returns the decision of an infinite limit.
func unlimited(l Limit, n int64) Decision {
	return Decision{OK: n >= 0, N: n, Limit: l, Remaining: math.MaxInt64}
}
