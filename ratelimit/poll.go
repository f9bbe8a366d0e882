package ratelimit

import (
	"context"
	"time"
)

// poll takes n events, trying again each time when the events can be allowed.
func poll(ctx context.Context, n int64, take func(n int64) Decision) error {
	for {
		if ctx.Err() != nil {
			return cancelled(ctx)
		}
		d := take(n)
		if d.OK || !d.Retryable {
			return d.Err()
		}
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d.RetryAfter {
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
