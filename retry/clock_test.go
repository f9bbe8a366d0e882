package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

func TestAttemptTimeoutIsNotTheCallersDeadline(t *testing.T) {
	hang := func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}
	t.Run("attempt timeout is retried", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			n := 0
			policy := constant(time.Second, 3)
			policy.AttemptTimeout = time.Second
			begin := time.Now()
			err := policy.Do(t.Context(), func(ctx context.Context) error {
				n++
				defer func() { checkIs(t, context.Cause(ctx), retry.ErrAttemptTimeout) }()
				return hang(ctx)
			})
			checkIs(t, err, retry.ErrExhausted, retry.ErrAttemptTimeout, context.DeadlineExceeded)
			if got := time.Since(begin); n != 3 || got != 5*time.Second {
				t.Errorf("attempts, time = %d, %v, want 3, 5s", n, got)
			}
		})
	})
	t.Run("a function may return the cause", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			policy := constant(0, 2)
			policy.AttemptTimeout = time.Second
			err := policy.Do(t.Context(), func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			})
			if got := details(t, err).Last(); got != retry.ErrAttemptTimeout {
				t.Errorf("Last = %v, want %v itself", got, retry.ErrAttemptTimeout)
			}
		})
	})
	t.Run("caller's deadline is not", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errCause)
			defer cancel()
			policy := constant(0, 3)
			policy.AttemptTimeout = time.Minute
			err := policy.Do(ctx, hang)
			checkIs(t, err, context.DeadlineExceeded, errCause)
			if errors.Is(err, retry.ErrAttemptTimeout) {
				t.Errorf("%v matches ErrAttemptTimeout", err)
			}
			if e := details(t, err); e.Attempts != 1 || !e.Timeout() {
				t.Errorf("Attempts, Timeout = %d, %t, want 1, true", e.Attempts, e.Timeout())
			}
		})
	})
	t.Run("canceled with a live parent", func(t *testing.T) {
		p := failing(context.Canceled)
		_, err := retry.Do(t.Context(), constant(0, 3), p.call)
		checkIs(t, err, retry.ErrPermanent, context.Canceled)
		if len(p.starts) != 1 {
			t.Errorf("attempts = %d, want 1", len(p.starts))
		}
	})
}

func TestNothingIsSharedWithABubble(t *testing.T) {
	// The same policy and budget serve calls in bubbles and outside. A timer
	// kept from the first bubble would end the process here.
	policy := retry.Policy{
		MaxAttempts: 2, Backoff: retry.Constant(time.Millisecond), AttemptTimeout: time.Minute,
		MaxElapsed: time.Hour, Budget: &retry.TokenBudget{},
	}
	use := func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := retry.Do(ctx, policy, failing(errBoom).call)
		checkIs(t, err, retry.ErrExhausted)
	}
	for range 3 {
		bubble(t, use)
		use(t)
	}
}

func TestClockIsReadOnlyOnDemand(t *testing.T) {
	// Elapsed shows whether the clock was read at the start of the call.
	for _, measured := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			policy := constant(time.Second, 2)
			if measured {
				policy.MaxElapsed = time.Hour
			}
			_, err := retry.Do(t.Context(), policy, failing(errBoom).call)
			if got := details(t, err).Elapsed; (got != 0) != measured {
				t.Errorf("Elapsed = %v with MaxElapsed %v", got, policy.MaxElapsed)
			}
		})
	}
}

// A client that merges contexts reports context.Canceled when the time of its
// attempt is up: the caller's context alone decides whether that is an end.
func TestTimeoutOfAMergedContextIsRetried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(0, 3)
		policy.AttemptTimeout = time.Second
		n := 0
		err := policy.Do(t.Context(), func(ctx context.Context) error {
			n++
			merged, cancel := context.WithCancel(context.Background())
			defer context.AfterFunc(ctx, cancel)()
			<-merged.Done()
			return fmt.Errorf("client: %w", merged.Err())
		})
		checkIs(t, err, retry.ErrExhausted, retry.ErrAttemptTimeout, context.DeadlineExceeded)
		checkEqual(t, n, 3)
		checkEqual(t, details(t, err).Last().Error(), "retry: attempt timed out: client: context canceled")
	})
}
