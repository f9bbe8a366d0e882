package siem

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// defaultTimeout bounds one call of WriteEvents with all its tries.
const defaultTimeout = 30 * time.Second

// tries are the tries of one call of WriteEvents. The first pause is short,
// because a connection often only was idle too long.
type tries struct {
	ctx     context.Context
	end     context.CancelFunc
	op      string
	closing <-chan struct{} // nil if the sink cannot be closed
	pause   time.Duration
	unsure  bool  // a try may have stored events
	last    error // of a try that the end of the context did not stop
}

func newTries(ctx context.Context, timeout time.Duration, op string, closing <-chan struct{}) *tries {
	t := &tries{op: op, closing: closing, pause: 20 * time.Millisecond}
	if timeout < 0 {
		t.ctx, t.end = context.WithCancel(ctx)
	} else {
		t.ctx, t.end = context.WithTimeout(ctx, cmp.Or(timeout, defaultTimeout))
	}
	if closing != nil {
		go func() { // ends with the call
			select {
			case <-closing:
				t.end() // also a write that is blocked
			case <-t.ctx.Done():
			}
		}()
	}
	return t
}

// wait pauses after a failed try, at least for after. It returns the error of
// the call if there is no time for another try.
func (t *tries) wait(err error, after time.Duration) error {
	pause := max(after, t.pause/2+rand.N(t.pause))
	t.pause = min(2*t.pause, 4*time.Second)
	if t.ctx.Err() == nil {
		t.last = err
	}
	if end, ok := t.ctx.Deadline(); ok && time.Until(end) < pause {
		return t.failed(err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-t.ctx.Done():
		return t.failed(err)
	}
}

// failed returns the error of the call: err, its class, and the end of the
// context.
func (t *tries) failed(err error) error {
	if t.ctx.Err() != nil && t.last != nil && errors.Is(err, t.ctx.Err()) {
		err = t.last // says why there was no earlier success
	}
	select {
	case <-t.closing:
		err = fmt.Errorf("%w: %w", audit.ErrClosed, err)
	default:
	}
	class := &fault{t.op + ": event not recorded", audit.ErrFailed}
	if t.unsure {
		class = &fault{t.op + ": event may or may not be recorded", audit.ErrUncertain}
	}
	if t.ctx.Err() != nil {
		return fmt.Errorf("%w: %w: %w", class, ctxerr.New(t.ctx, "stopped"), err)
	}
	return fmt.Errorf("%w: %w", class, err)
}
