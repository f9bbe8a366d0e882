package retry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

// An error is foreign code. It must neither hang a call nor end it by a panic.

// cyclic wraps itself.
type cyclic struct{}

func (cyclic) Error() string        { return "cyclic" }
func (e cyclic) Unwrap() error      { return e }
func (cyclic) Is(target error) bool { return target == errBoom }

// broad joins itself twice, so that a walk without a bound never ends.
type broad struct{}

func (broad) Error() string     { return "broad" }
func (e broad) Unwrap() []error { return []error{e, e} }

// panicking panics in each method that a guard could call.
type panicking struct{}

func (panicking) Error() string             { panic("Error") }
func (panicking) Unwrap() error             { panic("Unwrap") }
func (panicking) Is(error) bool             { panic("Is") }
func (panicking) Retryable() bool           { panic("Retryable") }
func (panicking) Rejected() bool            { panic("Rejected") }
func (panicking) RetryAfter() time.Duration { panic("RetryAfter") }

// pointer has methods that read through a nil pointer.
type pointer struct{ retryable bool }

func (p *pointer) Error() string   { return fmt.Sprint(p.retryable) }
func (p *pointer) Retryable() bool { return p.retryable }

func TestHostileErrors(t *testing.T) {
	var nilPointer *pointer
	for name, err := range map[string]error{
		"cyclic":          cyclic{},
		"broad":           broad{},
		"panicking":       panicking{},
		"nil pointer":     nilPointer,
		"wrapped":         fmt.Errorf("x: %w", panicking{}),
		"joined":          errors.Join(errBoom, nilPointer),
		"nil retry.Error": (*retry.Error)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			for _, policy := range []retry.Policy{constant(0, 2), {MaxAttempts: 2, Backoff: retry.Constant(0), RetryIf: func(err error) bool {
				return !retry.On(errEarly)(err)
			}}} {
				p := failing(err)
				_, got := retry.Do(t.Context(), policy, p.call)
				e := details(t, got)
				if e.Reason != retry.ErrExhausted || len(p.starts) != 2 {
					t.Errorf("reason, attempts = %v, %d, want exhausted, 2", e.Reason, len(p.starts))
				}
				if e.Error() == "" || e.LogValue().String() == "" || e.Timeout() {
					t.Error("no text, or a timeout")
				}
			}
			_, got := retry.Hedge[int]{Delay: time.Hour}.Do(t.Context(), failing(err).call)
			if got == nil || got.Error() == "" {
				t.Error("Hedge: no error")
			}
			p := constant(0, 2)
			p.AttemptTimeout = time.Nanosecond
			p.Do(t.Context(), func(ctx context.Context) error { <-ctx.Done(); return err })
			if retry.Retryable(err) != true {
				t.Error("Retryable = false, want true")
			}
		})
	}
}
