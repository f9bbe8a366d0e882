package ratelimit

import (
	"math"
	"time"
)

// Never is the RetryAfter of what no waiting can make possible.
const Never time.Duration = math.MaxInt64

// A Decision is the answer of a limiter about N events, with what a caller may want to tell its own. Of several limits
// it describes the one that decided: the longest in the way or, of those that allow, the one with least left.
type Decision struct {
	OK         bool          // whether the events may happen; they are taken then
	N          int64         // the events asked for
	Limit      Limit         // the limit that decided
	Remaining  int64         // the events this limit would still allow now; 0 while callers wait
	ResetAfter time.Duration // the time until this limit has its whole burst again; [Never] if it will not

	// RetryAfter is 0 if OK, and otherwise the time until the events may happen if nobody else takes any but those who
	// wait already: to the nanosecond, or, while callers wait for several limits, at the earliest. It is [Never] if
	// they never may.
	RetryAfter time.Duration
}

// Err returns nil if d is OK, and otherwise a *[LimitedError].
func (d Decision) Err() error {
	if d.OK {
		return nil
	}
	return &LimitedError{Decision: d}
}
