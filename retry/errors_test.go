package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
	"unsafe"

	"github.com/redoubt-go/redoubt/retry"
)

func TestOnlyTheOutcomeMatches(t *testing.T) {
	_, err := retry.Do(t.Context(), constant(0, 3), failing(errEarly, errEarly, errBoom).call)
	checkIs(t, err, retry.ErrExhausted, errBoom)
	if errors.Is(err, errEarly) {
		t.Errorf("%v matches an error of attempt 1", err)
	}
	checkIs(t, details(t, err).Join(), errEarly, errBoom)
}

func TestCanceledAndItsCause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(errCause) })
		_, err := retry.Do(ctx, constant(time.Minute, 3), failing(errBoom).call)
		checkIs(t, err, context.Canceled, errCause, errBoom)
		const want = "retry: context canceled (the cause) after 1 attempt: boom"
		if err.Error() != want {
			t.Errorf("text = %q, want %q", err, want)
		}
	})
}

func TestHistoryIsBounded(t *testing.T) {
	const attempts = 1e5
	n := 0
	err := constant(0, attempts).Do(t.Context(), func(context.Context) error {
		n++
		return fmt.Errorf("error %d", n)
	})
	got := map[int]string{}
	for n, err := range details(t, err).All() {
		got[n] = err.Error()
	}
	want := map[int]string{1: "error 1"}
	for n := attempts - 6; n <= attempts; n++ {
		want[int(n)] = fmt.Sprintf("error %d", int(n))
	}
	checkEqual(t, got, want)
	if size := unsafe.Sizeof(retry.Error{}); size > 80 {
		t.Errorf("size of Error = %d, want at most 80 besides the history of eight", size)
	}
}

func TestErrorTexts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		budget := constant(0, 3)
		budget.Budget = &retry.TokenBudget{Burst: -1}
		elapsed := constant(time.Second, 3)
		elapsed.MaxElapsed = 1
		deadline, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		tests := []struct {
			ctx    context.Context
			policy retry.Policy
			err    error
			want   string
		}{
			{t.Context(), constant(0, 3), errBoom, "retry: exhausted after 3 attempts: boom"},
			{t.Context(), constant(0, 3), retry.Permanent(errBoom), "retry: not retryable after 1 attempt: boom"},
			{t.Context(), budget, errBoom, "retry: budget exhausted after 1 attempt: boom"},
			{t.Context(), elapsed, errBoom, "retry: time limit reached after 1 attempt: boom"},
			{deadline, constant(time.Minute, 3), errBoom, "retry: deadline too near after 1 attempt: boom"},
			{t.Context(), retry.Policy{}, retry.After(time.Hour+1600*time.Microsecond, errBoom), "retry: asked to wait too long after 1 attempt, retry after 1h0m0.002s: boom"},
		}
		for _, tt := range tests {
			_, err := retry.Do(tt.ctx, tt.policy, failing(tt.err).call)
			if err.Error() != tt.want {
				t.Errorf("text = %q, want %q", err, tt.want)
			}
		}
	})
	var none *retry.Error
	if got := none.Error(); got != "retry: failed" || none.Unwrap() != nil || none.Join() != nil {
		t.Errorf("nil *Error: text %q, want \"retry: failed\" and nothing in it", got)
	}
}

func TestLogValues(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, lines := logger()
		policy := retry.Policy{MaxElapsed: time.Minute, Rand: func() float64 { return 0 }}
		p := failing(retry.After(time.Second, errEarly), retry.After(time.Hour, errBoom))
		_, err := retry.Do(t.Context(), policy, p.call)
		l.Info("long", "err", err)
		_, err = retry.Do(t.Context(), retry.Policy{}, failing(retry.Permanent(errBoom)).call)
		l.Info("short", "err", err)
		l.Info("nil", "err", (*retry.Error)(nil))
		l.Info("event", "e", retry.Event{Kind: retry.KindDone, Attempt: 2, Err: errBoom, Reason: retry.ErrBudget})
		l.Info("kind", "k", retry.Kind(7).String())
		want := []string{
			`level=INFO msg=long err.reason="retry: asked to wait too long" err.attempts=2 err.elapsed=1s err.retry_after=1h0m0s err.last=boom`,
			`level=INFO msg=short err.reason="retry: not retryable" err.attempts=1 err.last=boom`,
			`level=INFO msg=nil err=<nil>`,
			`level=INFO msg=event e.kind=done e.attempt=2 e.elapsed=0s e.reason="retry: budget exhausted" e.error=boom`,
			`level=INFO msg=kind k=Kind(7)`,
		}
		checkEqual(t, lines(), want)
	})
}

func TestHistoryEndsEarly(t *testing.T) {
	for _, attempts := range []int{1, 5} {
		_, err := retry.Do(t.Context(), constant(0, attempts), failing(errBoom).call)
		for stop := 1; stop <= attempts; stop++ {
			n := 0
			for range details(t, err).All() {
				if n++; n == stop {
					break
				}
			}
			if n != stop {
				t.Errorf("All of %d attempts, left at %d: ran %d times", attempts, stop, n)
			}
		}
	}
}
