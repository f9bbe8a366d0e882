package ctxerr_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// never is a foreign context that reports Done but no error.
type never struct{ context.Context }

func (never) Err() error { return nil }

// typedNil is an error whose method panics on a nil pointer.
type typedNil struct{ text string }

func (e *typedNil) Error() string { return e.text }

func TestNewMatchesTheErrorAndTheCauseOfTheContext(t *testing.T) {
	cause := errors.New("server is shutting down")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	caused, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(cause)
	wrapped, cancelCause := context.WithCancelCause(t.Context())
	cancelCause(fmt.Errorf("shutdown: %w", context.Canceled))
	expired, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancel()
	late, cancel := context.WithDeadlineCause(t.Context(), time.Unix(0, 0), cause)
	defer cancel()
	null, cancelCause := context.WithCancelCause(t.Context())
	cancelCause((*typedNil)(nil))

	for _, test := range []struct {
		name    string
		ctx     context.Context
		text    string
		matches []error
		not     []error
	}{
		{"canceled", canceled, "op: context canceled", []error{context.Canceled}, []error{context.DeadlineExceeded, cause}},
		{"canceled with a cause", caused, "op: context canceled: server is shutting down", []error{context.Canceled, cause}, []error{context.DeadlineExceeded}},
		{"a cause that wraps the error", wrapped, "op: context canceled: shutdown: context canceled", []error{context.Canceled}, nil},
		{"a deadline", expired, "op: context deadline exceeded", []error{context.DeadlineExceeded}, []error{context.Canceled}},
		{"a deadline with a cause", late, "op: context deadline exceeded: server is shutting down", []error{context.DeadlineExceeded, cause}, []error{context.Canceled}},
		{"a cause that is a nil pointer", null, "op: context canceled: <nil>", []error{context.Canceled}, []error{io.EOF}},
		{"not done", t.Context(), "op: context canceled", []error{context.Canceled}, nil},
		{"a foreign context without an error", never{canceled}, "op: context canceled", []error{context.Canceled}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := ctxerr.New(test.ctx, "op")
			if got := err.Error(); got != test.text {
				t.Errorf("text %q, want %q", got, test.text)
			}
			for _, target := range test.matches {
				if !errors.Is(err, target) {
					t.Errorf("does not match %v", target)
				}
			}
			for _, target := range test.not {
				if errors.Is(err, target) {
					t.Errorf("matches %v", target)
				}
			}
			if err := context.Cause(test.ctx); err != nil && !errors.Is(ctxerr.New(test.ctx, "op"), err) {
				t.Errorf("does not match the cause %v", err)
			}
		})
	}
}
