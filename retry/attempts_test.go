package retry_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

func TestAttemptsLoop(t *testing.T) {
	t.Run("unassigned", func(t *testing.T) {
		var err error
		n := 0
		for range constant(0, 5).Attempts(t.Context(), &err) {
			n++
		}
		if err != retry.ErrUnassigned || n != 1 {
			t.Errorf("error, turns = %v, %d, want ErrUnassigned, 1", err, n)
		}
	})
	t.Run("break keeps the body's error", func(t *testing.T) {
		var err error
		for n := range constant(0, 5).Attempts(t.Context(), &err) {
			if err = errBoom; n == 2 {
				break
			}
		}
		if err != errBoom {
			t.Errorf("error = %v, want %v", err, errBoom)
		}
	})
	t.Run("return of a named result", func(t *testing.T) {
		f := func() (v int, err error) {
			for n := range constant(0, 5).Attempts(t.Context(), &err) {
				return n, nil
			}
			return 0, err
		}
		if v, err := f(); v != 1 || err != nil {
			t.Errorf("f = %d, %v, want 1, nil", v, err)
		}
	})
	t.Run("timeout of a turn", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			policy := constant(0, 2)
			policy.AttemptTimeout = time.Second
			var err error
			var turn context.Context
			for n, ctx := range policy.Attempts(t.Context(), &err) {
				if n == 2 {
					checkIs(t, context.Cause(turn), retry.ErrAttemptTimeout)
				}
				<-ctx.Done()
				turn, err = ctx, ctx.Err()
			}
			checkIs(t, err, retry.ErrExhausted, retry.ErrAttemptTimeout)
			for _, turn = range policy.Attempts(t.Context(), &err) {
				err = nil
			}
			checkIs(t, turn.Err(), context.Canceled)
		})
	})
}

// A body that returns or breaks with a nil error has succeeded.
func TestAttemptsBodyThatReturnsHasSucceeded(t *testing.T) {
	outcomes := &ledger{}
	var kinds []string
	policy := constant(0, 5)
	policy.Budget = outcomes
	policy.OnEvent = func(_ context.Context, e retry.Event) { kinds = append(kinds, fmt.Sprint(e.Kind, e.Attempt, e.Err)) }
	p := failing(errBoom, nil)
	f := func() (int, error) {
		var err error
		for _, ctx := range policy.Attempts(t.Context(), &err) {
			var v int
			if v, err = p.call(ctx); err == nil {
				return v, nil
			}
		}
		return 0, err
	}
	if v, err := f(); v != 2 || err != nil {
		t.Errorf("f = %d, %v, want 2, nil", v, err)
	}
	checkEqual(t, kinds, []string{"retry 1 boom", "done 2 <nil>"})
	checkEqual(t, outcomes.settled, []string{"failure 0 boom", "success 1 <nil>"})
}

func TestAttemptsBodyThatGivesUpIsReported(t *testing.T) {
	var got []string
	policy := constant(0, 5)
	policy.OnEvent = func(_ context.Context, e retry.Event) {
		got = append(got, fmt.Sprint(e.Kind, e.Attempt, e.Err, e.Reason))
	}
	var err error
	for range policy.Attempts(t.Context(), &err) {
		err = errBoom
		break
	}
	checkEqual(t, got, []string{"done 1 boom boom"})
}

func TestAttemptsBodyThatGivesUpIsSettled(t *testing.T) {
	refused := verdict{retryable: true, rejected: true}
	for _, tt := range []struct {
		last error
		want string
	}{{errEarly, "failure 1 early"}, {retry.Permanent(errEarly), "verdict 1 early"}, {refused, "unmade 1 <nil>"}} {
		outcomes := &ledger{}
		policy := constant(0, 3)
		policy.Budget = outcomes
		var err error
		for n := range policy.Attempts(t.Context(), &err) {
			if err = errBoom; n == 2 {
				err = tt.last
				break
			}
		}
		checkEqual(t, outcomes.settled, []string{"failure 0 boom", tt.want})
	}
}

func TestAttemptsBreakKeepsTheErrorOfATimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(0, 5)
		policy.AttemptTimeout = time.Second
		var err error
		for _, ctx := range policy.Attempts(t.Context(), &err) {
			<-ctx.Done()
			err = ctx.Err()
			break
		}
		if err != context.DeadlineExceeded {
			t.Errorf("error = %v, want %v itself", err, context.DeadlineExceeded)
		}
	})
}
