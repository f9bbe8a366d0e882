package audit_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
)

type traceKey struct{}

// inWrite calls f in a sink, with the context of a log whose timeout is a
// second. It returns that context after the write.
func inWrite(caller context.Context, f func(context.Context)) context.Context {
	var kept context.Context
	l := audit.New(audit.Config{Timeout: time.Second, Sink: audit.SinkFunc(func(ctx context.Context, _ []*audit.Event) error {
		kept = ctx
		f(ctx)
		return nil
	})})
	_ = l.Record(caller, audit.Event{Action: "a", Outcome: "b"})
	return kept
}

// Except for its late timer, the context of a sink behaves like
// context.WithTimeout. Oracle: context.WithTimeout.
func TestSinkContextIsLikeWithTimeout(t *testing.T) {
	type seen struct {
		early, late, derived, cause error
		left, waited                time.Duration
		value                       any
	}
	look := func(ctx context.Context) (s seen) {
		start := time.Now()
		at, _ := ctx.Deadline()
		s.left, s.early, s.value = time.Until(at), ctx.Err(), ctx.Value(traceKey{})
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		<-child.Done()
		s.waited = time.Since(start)
		synctest.Wait()
		s.late, s.derived, s.cause = ctx.Err(), child.Err(), context.Cause(ctx)
		return s
	}
	synctest.Test(t, func(t *testing.T) {
		caller, cancel := context.WithCancelCause(context.WithValue(alice(), traceKey{}, "t-1"))
		defer cancel(nil)
		plain, stop := context.WithTimeout(context.WithoutCancel(caller), time.Second)
		defer stop()
		want := look(plain)
		inWrite(caller, func(ctx context.Context) {
			if got := look(ctx); got != want {
				t.Errorf("seen %+v, want %+v", got, want)
			}
		})
	})
}

func TestSinkContextWithoutATimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("client went away")
		caller, cancel := context.WithCancelCause(alice())
		cancelled := func(ctx context.Context) { // the end of the caller does not end the write
			cancel(cause)
			if ctx.Err() != nil || context.Cause(ctx) != nil {
				t.Errorf("during the write: %v, %v", ctx.Err(), context.Cause(ctx))
			}
		}
		after := inWrite(caller, cancelled)
		if after.Err() != context.Canceled || context.Cause(after) != context.Canceled {
			t.Errorf("after the write: %v, %v, want both cancelled", after.Err(), context.Cause(after))
		}
		select {
		case <-after.Done():
		default:
			t.Error("after the write: not done")
		}
		inWrite(alice(), func(ctx context.Context) {
			time.Sleep(time.Second)
			if ctx.Err() != context.DeadlineExceeded {
				t.Errorf("after a second: %v, want the deadline exceeded", ctx.Err())
			}
		})
	})
}

// A context that a sink derives from its context ends with the write and needs
// no goroutine.
func TestSinkContextHasNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var child context.Context
		inWrite(alice(), func(ctx context.Context) {
			_ = ctx.Done()
			before := runtime.NumGoroutine()
			var cancel context.CancelFunc
			child, cancel = context.WithTimeout(ctx, time.Hour)
			context.AfterFunc(t.Context(), cancel)
			if n := runtime.NumGoroutine(); n != before {
				t.Errorf("a derived context has started %d goroutines", n-before)
			}
		})
		synctest.Wait()
		if child.Err() != context.Canceled {
			t.Errorf("a derived context outlives the write: %v", child.Err())
		}
	})
}
