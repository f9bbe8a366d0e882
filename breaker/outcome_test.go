package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

func TestCallerGaveUp(t *testing.T) {
	const slow = time.Second
	errDriver := errors.New("driver: query interrupted")
	tests := []struct {
		name     string
		slowCall time.Duration
		deadline bool          // the context expires, else it is cancelled
		live     bool          // the context stays alive
		ran      time.Duration // how long the call runs
		err      error
		want     breaker.Outcome
	}{
		{name: "short, timed", slowCall: slow, ran: slow - 1, err: context.Canceled, want: breaker.OutcomeIgnored},
		{name: "long, timed", slowCall: slow, ran: slow, err: context.Canceled, want: breaker.OutcomeFailure},
		{name: "short, timed, the driver's own error", slowCall: slow, ran: slow / 2, err: errDriver, want: breaker.OutcomeIgnored},
		{name: "long, timed, the driver's own error", slowCall: slow, ran: 2 * slow, err: errDriver, want: breaker.OutcomeFailure},
		{name: "short deadline, timed", slowCall: slow, deadline: true, ran: slow / 2, err: context.DeadlineExceeded, want: breaker.OutcomeIgnored},
		{name: "cancelled", ran: time.Hour, err: context.Canceled, want: breaker.OutcomeIgnored},
		{name: "cancelled, the driver's own error", ran: slow, err: errDriver, want: breaker.OutcomeIgnored},
		{name: "deadline", deadline: true, ran: slow, err: context.DeadlineExceeded, want: breaker.OutcomeFailure},
		{name: "Canceled of a live context", live: true, ran: slow, err: context.Canceled, want: breaker.OutcomeFailure},
		{name: "no error", ran: slow, want: breaker.OutcomeSuccess},
		{name: "marked", ran: slow, err: breaker.Mark(errDriver, breaker.OutcomeFailure), want: breaker.OutcomeFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := steady()
				cfg.SlowCall = tt.slowCall
				b := breaker.New(cfg)
				ctx, cancel := context.WithCancel(bg)
				if tt.deadline {
					ctx, cancel = context.WithTimeout(bg, tt.ran)
				}
				defer cancel()
				b.Do(ctx, func(ctx context.Context) error {
					time.Sleep(tt.ran)
					if tt.deadline {
						<-ctx.Done()
					} else if !tt.live {
						cancel()
					}
					return tt.err
				})
				s := b.Stats()
				got := map[breaker.Outcome]uint64{breaker.OutcomeSuccess: s.Successes, breaker.OutcomeFailure: s.Failures, breaker.OutcomeIgnored: s.Ignored}
				if got[tt.want] != 1 || got[0]+got[1]+got[2] != 1 {
					t.Errorf("counted %v, want one %v", got, tt.want)
				}
			})
		})
	}
}

func TestInnerRefusalIsIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner, outer := breaker.New(steady()), halfOpen(t, steady())
		inner.ForceOpen()
		call := breaker.Wrap(outer, breaker.Wrap(inner, work))
		for range 100 {
			if _, err := call(bg); !errors.Is(err, breaker.ErrOpen) {
				t.Fatalf("error %v, want the inner refusal", err)
			}
		}
		checkState(t, outer, breaker.StateHalfOpen)
		if got := outer.Stats(); got.Ignored != 100 || got.Failures != 0 {
			t.Errorf("totals %+v, want 100 ignored", got)
		}
	})
}

type nilableError struct{}

func (e *nilableError) Error() string { return "nilable" }

func TestClassify(t *testing.T) {
	ignored := breaker.Mark(errDown, breaker.OutcomeIgnored)
	var typedNil *nilableError
	refusal := error(&breaker.OpenError{})
	tests := []struct {
		name string
		err  error
		want breaker.Outcome
	}{
		{"nil", nil, breaker.OutcomeSuccess},
		{"plain", errDown, breaker.OutcomeFailure},
		{"typed nil", typedNil, breaker.OutcomeFailure},
		{"marked", ignored, breaker.OutcomeIgnored},
		{"wrapped mark", fmt.Errorf("a: %w", fmt.Errorf("b: %w", ignored)), breaker.OutcomeIgnored},
		{"joined mark", errors.Join(errDown, errors.Join(errDown, ignored)), breaker.OutcomeIgnored},
		{"marked as success", breaker.Mark(errDown, breaker.OutcomeSuccess), breaker.OutcomeSuccess},
		{"nil marked as failure", breaker.Mark(nil, breaker.OutcomeFailure), breaker.OutcomeFailure},
		{"nil marked as ignored", breaker.Mark(nil, breaker.OutcomeIgnored), breaker.OutcomeIgnored},
		{"outer mark wins", breaker.Mark(ignored, breaker.OutcomeFailure), breaker.OutcomeFailure},
		{"refusal", fmt.Errorf("call: %w", refusal), breaker.OutcomeIgnored},
		{"mark beats refusal", breaker.Mark(refusal, breaker.OutcomeFailure), breaker.OutcomeFailure},
		{"typed nil in a join", errors.Join(typedNil, ignored), breaker.OutcomeIgnored},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := breaker.Classify(tt.err); got != tt.want {
				t.Errorf("Classify = %v, want %v", got, tt.want)
			}
		})
	}
	if err := breaker.Mark(nil, breaker.OutcomeSuccess); err != nil {
		t.Errorf("Mark(nil, Success) = %v, want nil", err)
	}
	if err := breaker.Mark(nil, breaker.OutcomeIgnored); err.Error() != "breaker: marked ignored" {
		t.Errorf("text %q, want one that says what it is", err)
	}
	if !errors.Is(ignored, errDown) || ignored.Error() != "down" {
		t.Errorf("%v, want the marked error to show through", ignored)
	}
}

func TestFallback(t *testing.T) {
	b := breaker.New(steady())
	f := breaker.Fallback(breaker.Wrap(b, func(context.Context) (int, error) { return 0, errDown }),
		func(_ context.Context, err error) (int, error) {
			if errors.Is(err, breaker.ErrOpen) {
				return 42, nil
			}
			return 0, err
		})
	for range 4 {
		if _, err := f(bg); err != errDown {
			t.Fatalf("error %v, want the one passed on", err)
		}
	}
	if v, err := f(bg); v != 42 || err != nil {
		t.Fatalf("%v, %v; want the fallback", v, err)
	}
	g := breaker.Fallback(work, func(context.Context, error) (int, error) { t.Error("alt was called"); return 0, nil })
	if v, err := g(bg); v != 1 || err != nil {
		t.Fatalf("%v, %v; want 1", v, err)
	}
}

// A selfishError calls the breaker back from its methods.
type selfishError struct{ b *breaker.Breaker }

func (e selfishError) Error() string { return "selfish" }

func (e selfishError) Unwrap() error { e.b.Stats(); return nil }

func (e selfishError) RetryAfter() time.Duration { return e.b.Stats().RetryAfter + 2*time.Second }

// No lock is held while methods of a foreign error run.
func TestErrorsMayCallBack(t *testing.T) {
	b := breaker.New(steady())
	for range 4 {
		b.Do(bg, func(context.Context) error { return errors.Join(errDown, selfishError{b}) })
	}
	if got := b.Stats().RetryAfter; got <= time.Second || got > 2*time.Second {
		t.Errorf("open for %v, want the 2s the error asks for", got)
	}
	b.Trip(0, selfishError{b})
}
