package ratelimit

import (
	"context"
	"math"
	"time"
)

// poll calls take for a caller that waits until the deadline of ctx, if any,
// and again each time when the events can be allowed.
func poll(ctx context.Context, take func(patience time.Duration) Decision) error {
	for {
		if ctx.Err() != nil {
			return cancelled(ctx)
		}
		patience := time.Duration(math.MaxInt64)
		if deadline, ok := ctx.Deadline(); ok {
			patience = time.Until(deadline)
		}
		d := take(patience)
		if d.OK || !d.Retryable {
			return d.Err()
		}
		if d.final(patience) {
			return &LimitedError{Decision: d, Late: true}
		}
		timer := time.NewTimer(d.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return cancelled(ctx)
		}
	}
}

// since returns the nanoseconds from epoch to t, within bounds that leave room
// for sums.
func since(epoch, t time.Time) int64 { return min(max(int64(t.Sub(epoch)), -maxUnits), maxUnits) }
