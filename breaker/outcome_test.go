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

// patient is a context that can be canceled but is not.
func patient(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(bg)
	t.Cleanup(cancel)
	return ctx
}

// teach makes 40 successes that take d each.
func teach(t *testing.T, b *breaker.Breaker, d time.Duration) {
	for range 40 {
		b.Do(patient(t), func(context.Context) error { time.Sleep(d); return nil })
	}
}

func TestCallerGaveUp(t *testing.T) {
	errDriver := errors.New("driver: query interrupted")
	const second = time.Second
	tests := []struct {
		name     string
		usual    time.Duration // what successes took before; 0 means that there were none
		slowCall time.Duration
		deadline bool          // the context expires, else it is canceled
		live     bool          // the context stays alive
		ran      time.Duration // how long the call runs
		err      error
		want     breaker.Outcome
	}{
		{name: "deadline", deadline: true, ran: second, err: context.DeadlineExceeded, want: breaker.OutcomeFailure},
		{name: "deadline, shorter than a success", usual: second, deadline: true, ran: second - 1, err: context.DeadlineExceeded, want: breaker.OutcomeIgnored},
		{name: "deadline, as long as a success", usual: second, deadline: true, ran: second, err: context.DeadlineExceeded, want: breaker.OutcomeFailure},
		{name: "deadline, the driver's own error", usual: second, deadline: true, ran: second, err: errDriver, want: breaker.OutcomeFailure},
		{name: "deadline below SlowCall", slowCall: 3 * second, usual: second, deadline: true, ran: 2 * second, err: context.DeadlineExceeded, want: breaker.OutcomeFailure},
		{name: "deadline below SlowCall, nothing known", slowCall: 3 * second, deadline: true, ran: 2 * second, err: context.DeadlineExceeded, want: breaker.OutcomeFailure},
		{name: "canceled", usual: second, ran: 2 * second, err: context.Canceled, want: breaker.OutcomeIgnored},
		{name: "canceled, the driver's own error", usual: second, ran: second, err: errDriver, want: breaker.OutcomeIgnored},
		{name: "canceled after three times a success", usual: second, ran: 3 * second, err: context.Canceled, want: breaker.OutcomeFailure},
		{name: "canceled, nothing known", ran: 10*second - 1, err: context.Canceled, want: breaker.OutcomeIgnored},
		{name: "canceled after a window, nothing known", ran: 10 * second, err: context.Canceled, want: breaker.OutcomeFailure},
		{name: "canceled before SlowCall", slowCall: second, ran: second - 1, err: context.Canceled, want: breaker.OutcomeIgnored},
		{name: "canceled after SlowCall", slowCall: second, ran: second, err: errDriver, want: breaker.OutcomeFailure},
		{name: "Canceled of a live context", live: true, ran: second, err: context.Canceled, want: breaker.OutcomeFailure},
		{name: "no error", ran: second, want: breaker.OutcomeSuccess},
		{name: "marked", ran: second, err: breaker.Mark(errDriver, breaker.OutcomeFailure), want: breaker.OutcomeFailure},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := steady()
				cfg.SlowCall = tt.slowCall
				b := breaker.New(cfg)
				if tt.usual > 0 {
					teach(t, b, tt.usual)
				}
				before := b.Stats()
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
				got := [3]uint64{s.Successes - before.Successes, s.Failures - before.Failures, s.Ignored - before.Ignored}
				if got[tt.want] != 1 || got[0]+got[1]+got[2] != 1 {
					t.Errorf("counted %v successes, failures and ignored, want one %v", got, tt.want)
				}
			})
		})
	}
}

// Calls that hang until the deadlines of their callers open the breaker,
// wherever SlowCall lies, also if nothing has ever succeeded.
func TestDeadlinesOpen(t *testing.T) {
	for _, slowCall := range []time.Duration{-1, 0, time.Second, 2 * time.Second, 3 * time.Second, time.Minute} {
		for _, known := range []bool{false, true} {
			t.Run(fmt.Sprint("SlowCall ", slowCall, ", known ", known), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := breaker.New(breaker.Config{SlowCall: slowCall})
					if known {
						teach(t, b, 20*time.Millisecond)
					}
					before := b.Stats()
					for range 20 * 600 { // 10 minutes, 20 calls a second
						go func() {
							ctx, cancel := context.WithTimeout(bg, 2*time.Second)
							defer cancel()
							b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
						}()
						time.Sleep(50 * time.Millisecond)
					}
					time.Sleep(2 * time.Second)
					s := b.Stats()
					if sent := s.Failures + s.Ignored + s.Late - before.Failures; sent > 400 {
						t.Errorf("%d calls sent in 10 minutes, %d openings; want at most 400", sent, s.Openings)
					}
				})
			})
		}
	}
}

// Callers with deadlines that no success meets do not open a breaker whose
// dependency is well.
func TestImpatientCallersDoNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{})
		teach(t, b, 20*time.Millisecond)
		for i := range 1000 {
			ctx, cancel := context.WithTimeout(bg, time.Millisecond)
			b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
			cancel()
			if i%100 == 99 {
				teach(t, b, 20*time.Millisecond)
			}
		}
		checkState(t, b, breaker.StateClosed)
		if s := b.Stats(); s.Ignored != 1000 || s.Failures != 0 {
			t.Errorf("%d ignored and %d failures, want 1000 and 0", s.Ignored, s.Failures)
		}
	})
}

// If callers give up all calls and nothing succeeds for a window, that counts.
func TestNothingButCallsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var reasons []string
		b := breaker.New(breaker.Config{OnEvent: func(_ context.Context, e breaker.Event) { reasons = append(reasons, e.Reason) }})
		teach(t, b, time.Second)
		giveUp := func() {
			ctx, cancel := context.WithCancel(bg)
			time.AfterFunc(500*time.Millisecond, cancel)
			if b.Do(ctx, func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }); ctx.Err() == nil {
				time.Sleep(500 * time.Millisecond) // refused
			}
		}
		begun := time.Now()
		for b.State() == breaker.StateClosed && time.Since(begun) < time.Minute {
			giveUp()
		}
		if got := time.Since(begun); got < 10*time.Second || got > 12*time.Second {
			t.Errorf("opened after %v, want little more than Window", got)
		}
		time.Sleep(6 * time.Second)
		for range 600 { // half-open: probes that decide nothing do not go on for ever
			giveUp()
		}
		if s := b.Stats(); s.Openings < 10 {
			t.Errorf("%d openings in 300 s, want at least 10", s.Openings)
		}
		if reasons[0] != "calls given up" {
			t.Errorf("opened by %q, want calls given up", reasons[0])
		}
	})
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

// answer is an error by which a dependency answers, such as cache.ErrNotFound.
type answer struct{}

func (answer) Error() string  { return "not found" }
func (answer) Answered() bool { return true }

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
		{"answer", errors.Join(errDown, answer{}), breaker.OutcomeSuccess},
		{"refusal with an answer", errors.Join(refusal, answer{}), breaker.OutcomeIgnored},
		{"mark beats answer", breaker.Mark(answer{}, breaker.OutcomeFailure), breaker.OutcomeFailure},
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
