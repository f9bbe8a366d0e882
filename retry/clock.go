package retry

import (
	"context"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// limit returns the context of an attempt. p.AttemptTimeout is positive.
func (p *Policy) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.AttemptTimeout, ErrAttemptTimeout)
}

// blame returns the error of an attempt whose context was ctx and that
// returned err. If AttemptTimeout ended the context, and err is the error of an
// ended context, the result matches ErrAttemptTimeout and is retryable. A
// client that merges contexts may report context.Canceled in this case.
func blame(ctx context.Context, err error) error {
	if err == nil || context.Cause(ctx) != ErrAttemptTimeout {
		return err
	}
	canceled := errtree.Is(err, context.Canceled)
	if canceled || errtree.Is(err, context.DeadlineExceeded) && !errtree.Is(err, ErrAttemptTimeout) {
		return &timeoutError{err}
	}
	return err
}

// A timeoutError is the error of an attempt that AttemptTimeout ended.
type timeoutError struct{ err error }

func (e *timeoutError) Error() string   { return ErrAttemptTimeout.Error() + ": " + line(e.err) }
func (e *timeoutError) Unwrap() []error { return []error{ErrAttemptTimeout, e.err} }
func (e *timeoutError) Retryable() bool { return true }

// clock returns the start of a call, or the zero time if nothing needs it:
// reading the clock would be most of the cost of a call that succeeds.
func (p *Policy) clock() time.Time {
	if p.MaxElapsed > 0 || p.OnEvent != nil || p.ResetAfter > 0 {
		return time.Now()
	}
	return time.Time{}
}
