package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/redoubt-go/redoubt/retry"
)

func TestDoneContextCallsNothing(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errCause)
	p := failing(nil)
	var events []retry.Event
	policy := retry.Policy{OnEvent: func(_ context.Context, e retry.Event) { events = append(events, e) }}
	_, err := retry.Do(ctx, policy, p.call)
	checkIs(t, err, context.Canceled, errCause)
	checkEqual(t, len(p.starts), 0)
	if e := details(t, err); e.Attempts != 0 || e.Last() != nil {
		t.Errorf("Attempts, Last = %d, %v, want 0, nil", e.Attempts, e.Last())
	}
	if len(events) != 1 || events[0].Kind != retry.KindDone {
		t.Errorf("events = %v, want one Done", events)
	}
	var loopErr error
	for range policy.Attempts(ctx, &loopErr) {
		t.Error("Attempts ran its body")
	}
	checkIs(t, loopErr, context.Canceled, errCause)
}

func TestPauseIntoDeadlineIsNotBegun(t *testing.T) {
	for _, pause := range []time.Duration{3 * time.Second, 10 * time.Second} {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			p := failing(errBoom)
			_, err := retry.Do(ctx, constant(pause, 5), p.call)
			checkIs(t, err, context.DeadlineExceeded, retry.ErrDeadline, errBoom)
			if got := time.Since(p.begin); got != 0 {
				t.Errorf("pause of %v: returned after %v, want at once", pause, got)
			}
		})
	}
}

func TestNoAttemptOnceContextIsDone(t *testing.T) {
	t.Run("timer and cancellation tie", func(t *testing.T) {
		for range 1000 {
			inner, cancel := context.WithCancel(t.Context())
			p := failing(errBoom)
			_, err := retry.Do(tieContext{inner, cancel}, constant(1, 5), p.call)
			checkIs(t, err, context.Canceled)
			if len(p.starts) != 1 {
				t.Fatalf("attempts = %d, want 1", len(p.starts))
			}
		}
	})
	t.Run("hook cancels", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		policy := constant(0, 5)
		policy.OnEvent = func(context.Context, retry.Event) { cancel() }
		p := failing(errBoom)
		_, err := retry.Do(ctx, policy, p.call)
		checkIs(t, err, context.Canceled, errBoom)
		if len(p.starts) != 1 {
			t.Errorf("attempts = %d, want 1", len(p.starts))
		}
	})
}

// A tieContext is done as soon as a pause looks at it, when the pause's timer of
// a nanosecond has as good as fired too.
type tieContext struct {
	context.Context
	cancel context.CancelFunc
}

func (c tieContext) Done() <-chan struct{} {
	c.cancel()
	return c.Context.Done()
}

func TestOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var kinds []retry.Kind
		policy := constant(time.Second, 1)
		policy.OnEvent = func(_ context.Context, e retry.Event) { kinds = append(kinds, e.Kind) }
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrExhausted, errBoom)
		checkEqual(t, p.starts, []time.Duration{0})
		checkEqual(t, kinds, []retry.Kind{retry.KindDone})
		if got := time.Since(p.begin); got != 0 {
			t.Errorf("slept %v after the last attempt, want 0", got)
		}
	})
	t.Run("zero value calls", func(t *testing.T) {
		p := failing(nil)
		if v, err := retry.Do(t.Context(), retry.Policy{}, p.call); v != 1 || err != nil {
			t.Errorf("Do = %v, %v, want 1, nil", v, err)
		}
	})
}

func TestZeroPauseSeesCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := constant(-1, retry.Unlimited).Do(ctx, func(context.Context) error {
		if n++; n == 1000 {
			cancel()
		}
		return errBoom
	})
	checkIs(t, err, context.Canceled, errBoom)
	if n != 1000 {
		t.Errorf("attempts = %d, want 1000", n)
	}
}

func TestElapsedDoesNotOverflow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(1<<63-1, 5)
		policy.MaxElapsed = time.Hour
		p := failing(errBoom)
		p.work = time.Second
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrElapsed, errBoom)
		checkEqual(t, p.starts, []time.Duration{0})
	})
}

func TestNoStartAtTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(5*time.Second, 10)
		policy.MaxElapsed = 10 * time.Second
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrElapsed)
		checkEqual(t, p.starts, []time.Duration{0, 5 * time.Second})
		if got := time.Since(p.begin); got != 5*time.Second {
			t.Errorf("returned after %v, want 5s", got)
		}
	})
}

func TestClockStartsWithTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(time.Second, 4)
		policy.MaxElapsed = 10 * time.Second
		time.Sleep(time.Minute)
		for range 2 {
			p := failing(errBoom)
			_, err := retry.Do(t.Context(), policy, p.call)
			checkIs(t, err, retry.ErrExhausted)
			checkEqual(t, p.starts, []time.Duration{0, time.Second, 2 * time.Second, 3 * time.Second})
		}
	})
}

func TestPermanentThroughWrapping(t *testing.T) {
	tests := []struct {
		name string
		err  error
		text string
	}{
		{"bare", retry.Permanent(errBoom), "boom"},
		{"wrapped", fmt.Errorf("outer: %w", retry.Permanent(errBoom)), "outer: boom"},
		{"joined", errors.Join(errEarly, retry.Permanent(errBoom)), "early\nboom"},
		{"deep", fmt.Errorf("a: %w", errors.Join(errEarly, fmt.Errorf("b: %w", retry.Permanent(errBoom)))), "a: early\nb: boom"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := failing(tt.err)
			policy := retry.Policy{RetryIf: func(error) bool { return true }}
			_, err := retry.Do(t.Context(), policy, p.call)
			checkIs(t, err, retry.ErrPermanent, errBoom)
			if e := details(t, err); e.Attempts != 1 || e.Last().Error() != tt.text {
				t.Errorf("Attempts, Last = %d, %q, want 1, %q", e.Attempts, e.Last(), tt.text)
			}
		})
	}
	if retry.Permanent(nil) != nil || retry.After(time.Second, nil) != nil {
		t.Error("marking nil does not give nil")
	}
	var typedNil *retry.Error
	_, err := retry.Do(t.Context(), constant(0, 2), failing(typedNil).call)
	checkIs(t, err, retry.ErrExhausted)
	_, err = retry.Do(t.Context(), constant(0, 2), failing(retry.Permanent(typedNil)).call)
	checkIs(t, err, retry.ErrPermanent)
}

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
	const attempts = 1e6
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
	if size := unsafe.Sizeof(retry.Error{}); size > 112 {
		t.Errorf("size of Error = %d, want at most 112 besides the history of eight", size)
	}
}

func TestPanicAndGoexitPassThrough(t *testing.T) {
	var attemptCtx context.Context
	var events, deposits int
	policy := constant(0, 3)
	policy.AttemptTimeout = time.Minute
	policy.Budget = budgetFunc(func() { deposits++ })
	policy.OnEvent = func(context.Context, retry.Event) { events++ }
	tests := map[string]func(){
		"panic":  func() { panic(errBoom) },
		"goexit": runtime.Goexit,
	}
	for name, leave := range tests {
		t.Run(name, func(t *testing.T) {
			ended := make(chan any, 1)
			go func() {
				defer func() { ended <- recover() }()
				policy.Do(t.Context(), func(ctx context.Context) error {
					attemptCtx = ctx
					leave()
					return nil
				})
				t.Error("Do returned")
			}()
			if got := <-ended; name == "panic" && got != errBoom {
				t.Errorf("recovered %v, want the value of the panic", got)
			}
			checkIs(t, attemptCtx.Err(), context.Canceled)
			if events != 0 || deposits != 0 {
				t.Errorf("events, deposits = %d, %d, want none", events, deposits)
			}
		})
	}
}

// budgetFunc is a budget that always has tokens and calls itself on deposits.
type budgetFunc func()

func (f budgetFunc) Withdraw(error) (int, bool) { return 1, true }
func (f budgetFunc) Settle(o retry.Outcome, _ int, _ error) {
	if o <= retry.OutcomeVerdict {
		f()
	}
}

func TestHooksMayDoAnything(t *testing.T) {
	t.Run("RetryIf once per failure", func(t *testing.T) {
		asked := 0
		policy := constant(0, 4)
		policy.RetryIf = func(error) bool { asked++; return true }
		policy.Do(t.Context(), func(context.Context) error { return errBoom })
		if asked != 4 {
			t.Errorf("RetryIf asked %d times, want 4", asked)
		}
	})
	t.Run("panic in the hook", func(t *testing.T) {
		policy := constant(0, 4)
		policy.OnEvent = func(context.Context, retry.Event) { panic(errBoom) }
		defer func() {
			if got := recover(); got != errBoom {
				t.Errorf("recovered %v, want %v", got, errBoom)
			}
		}()
		policy.Do(t.Context(), func(context.Context) error { return errBoom })
	})
	t.Run("hook blocks past the deadline", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			policy := constant(0, 4)
			policy.OnEvent = func(context.Context, retry.Event) { time.Sleep(time.Minute) }
			p := failing(errBoom)
			_, err := retry.Do(ctx, policy, p.call)
			checkIs(t, err, context.DeadlineExceeded, errBoom)
			checkEqual(t, p.starts, []time.Duration{0})
		})
	})
	t.Run("hook calls back", func(t *testing.T) {
		policy := constant(0, 2)
		inner := 0
		policy.OnEvent = func(ctx context.Context, _ retry.Event) {
			constant(0, 2).Do(ctx, func(context.Context) error { inner++; return errBoom })
		}
		policy.Do(t.Context(), func(context.Context) error { return errBoom })
		if inner != 4 {
			t.Errorf("inner attempts = %d, want 4", inner)
		}
	})
}

func TestLastValueComesWithTheError(t *testing.T) {
	v, err := retry.Do(t.Context(), constant(0, 3), failing(errBoom).call)
	if v != 3 || err == nil {
		t.Errorf("Do = %d, %v, want 3 and an error", v, err)
	}
}

func TestHints(t *testing.T) {
	hint := func(d time.Duration) error { return retry.After(d, errBoom) }
	zero, top := func() float64 { return 0 }, func() float64 { return 2 }
	const s, h = time.Second, time.Hour
	type times = []time.Duration
	tests := []struct {
		name   string
		policy retry.Policy // four attempts, pauses of 1s, 2s and 4s
		errs   []error
		reason error
		starts times
	}{
		{"exact without luck", retry.Policy{Rand: zero}, []error{hint(10 * s), nil}, nil, times{0, 10 * s}},
		{"jitter is added", retry.Policy{Rand: top}, []error{hint(10 * s), nil}, nil, times{0, 11*s - 1}},
		{"backoff begins anew", retry.Policy{Rand: zero}, []error{errBoom, hint(10 * s), errBoom, nil}, nil, times{0, s, 11 * s, 12 * s}},
		{"zero and negative are none", retry.Policy{}, []error{hint(0), hint(-5), nil}, nil, times{0, s, 3 * s}},
		{"too long stops", retry.Policy{}, []error{hint(61 * s)}, retry.ErrRetryAfter, times{0}},
		{"own limit", retry.Policy{MaxRetryAfter: s}, []error{hint(2 * s)}, retry.ErrRetryAfter, times{0}},
		{"no limit", retry.Policy{MaxRetryAfter: -1, Rand: zero}, []error{hint(10 * h), nil}, nil, times{0, 10 * h}},
		{"past MaxElapsed", retry.Policy{MaxElapsed: s}, []error{hint(2 * s)}, retry.ErrElapsed, times{0}},
		{"largest", retry.Policy{MaxRetryAfter: -1, MaxElapsed: 1}, []error{hint(1<<63 - 1)}, retry.ErrElapsed, times{0}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				tt.policy.MaxAttempts = 4
				tt.policy.Backoff = retry.Exponential{Base: s, Jitter: retry.None}
				p := failing(tt.errs...)
				_, err := retry.Do(t.Context(), tt.policy, p.call)
				checkEqual(t, p.starts, tt.starts)
				if tt.reason == nil {
					if err != nil {
						t.Errorf("error = %v, want nil", err)
					}
					return
				}
				checkIs(t, err, tt.reason)
				if e := details(t, err); e.RetryAfter <= s {
					t.Errorf("Hint = %v, want what was asked for", e.RetryAfter)
				}
			})
		})
	}
}

func TestHintThroughTheChain(t *testing.T) {
	first, second := retry.After(time.Second, errBoom), retry.After(2*time.Second, errEarly)
	tests := map[string]error{
		"wrapped":     fmt.Errorf("outer: %w", first),
		"joined":      errors.Join(errBoom, first, second),
		"outer first": retry.After(time.Second, second),
		"pre-order":   errors.Join(errBoom, fmt.Errorf("a: %w", errors.Join(errBoom, first)), second),
	}
	for name, err := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				policy := retry.Policy{MaxAttempts: 2, Rand: func() float64 { return 0 }}
				p := failing(err)
				_, err := retry.Do(t.Context(), policy, p.call)
				checkIs(t, err, retry.ErrExhausted)
				checkEqual(t, p.starts, []time.Duration{0, time.Second})
			})
		})
	}
	t.Run("budget still applies", func(t *testing.T) {
		policy := retry.Policy{Budget: &retry.TokenBudget{Burst: -1}}
		_, err := retry.Do(t.Context(), policy, failing(first).call)
		checkIs(t, err, retry.ErrBudget)
	})
}

func TestNothingIsSharedWithABubble(t *testing.T) {
	// The same policy, budget included, serves calls in bubbles and outside
	// one. A timer kept from the first bubble would end the process here.
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

func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []string
		policy := constant(time.Second, 3)
		policy.OnEvent = func(_ context.Context, e retry.Event) {
			got = append(got, fmt.Sprint(e.Kind, e.Attempt, e.Err, e.Delay, e.Elapsed, e.Reason))
		}
		retry.Do(t.Context(), policy, failing(nil).call)
		retry.Do(t.Context(), policy, failing(errBoom, nil).call)
		retry.Do(t.Context(), policy, failing(errBoom, errEarly, errBoom).call)
		want := []string{
			"retry 1 boom 1s 0s <nil>",
			"done 2 <nil> 0s 1s <nil>",
			"retry 1 boom 1s 0s <nil>",
			"retry 2 early 1s 1s <nil>",
			"done 3 boom 0s 2s retry: exhausted",
		}
		checkEqual(t, got, want)
	})
}

func TestRejectedAttemptsAreFree(t *testing.T) {
	policy := constant(0, 5)
	policy.Budget = &retry.TokenBudget{Burst: 1}
	p := failing(fmt.Errorf("guard: %w", rejected{}), rejected{}, errBoom, nil)
	_, err := retry.Do(t.Context(), policy, p.call)
	if err != nil || len(p.starts) != 4 {
		t.Errorf("attempts, error = %d, %v, want 4, nil", len(p.starts), err)
	}
}

func TestRejectedVerdictsAreNoDeposits(t *testing.T) {
	deposits := 0
	policy := constant(0, 5)
	policy.Budget = budgetFunc(func() { deposits++ })
	_, err := retry.Do(t.Context(), policy, failing(retry.Permanent(rejected{})).call)
	if checkIs(t, err, retry.ErrPermanent); deposits != 0 {
		t.Errorf("deposits = %d, want 0: the other side was not asked", deposits)
	}
}

type rejected struct{}

func (rejected) Error() string  { return "rejected" }
func (rejected) Rejected() bool { return true }

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
			{t.Context(), retry.Policy{}, retry.After(time.Hour+1, errBoom), "retry: asked to wait too long after 1 attempt, retry after 1h0m0.001s: boom"},
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

// logger returns a logger without times, and what it has written.
func logger() (*slog.Logger, func() []string) {
	var out bytes.Buffer
	l := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	return l, func() []string { return strings.Split(strings.TrimSpace(out.String()), "\n") }
}

func TestLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, lines := logger()
		policy := constant(time.Second, 2)
		policy.OnEvent = retry.Log(l)
		retry.Do(t.Context(), policy, failing(errBoom, nil).call)
		retry.Do(t.Context(), policy, failing(retry.Permanent(errBoom)).call)
		h := retry.Hedge[int]{Delay: -1, OnEvent: retry.Log(l)}
		h.Do(t.Context(), failing(errBoom, nil).call)
		want := []string{
			`level=WARN msg="attempt failed, will retry" kind=retry attempt=1 elapsed=0s delay=1s error=boom`,
			`level=INFO msg="succeeded after retry" kind=done attempt=2 elapsed=1s`,
			`level=ERROR msg="gave up" kind=done attempt=1 elapsed=0s reason="retry: not retryable" error=boom`,
			`level=INFO msg=hedged kind=hedged attempt=2 elapsed=0s error=boom`,
			`level=INFO msg="succeeded after retry" kind=done attempt=2 elapsed=0s`,
		}
		checkEqual(t, lines(), want)
	})
}

func TestLogDefault(t *testing.T) {
	l, lines := logger()
	old := slog.Default()
	defer slog.SetDefault(old)
	hook := retry.Log(nil)
	slog.SetDefault(l)
	hook(t.Context(), retry.Event{Kind: retry.KindRetry, Attempt: 1})
	want := []string{`level=WARN msg="attempt failed, will retry" kind=retry attempt=1 elapsed=0s delay=0s`}
	checkEqual(t, lines(), want)
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

func TestZeroPolicy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), retry.Policy{Rand: func() float64 { return .5 }}, p.call)
		checkIs(t, err, retry.ErrExhausted, errBoom)
		checkEqual(t, p.starts, []time.Duration{0, 50 * time.Millisecond, 150 * time.Millisecond})
	})
}

func TestRetryable(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want bool
	}{
		{"nil", nil, false},
		{"plain", errBoom, true},
		{"canceled", fmt.Errorf("x: %w", context.Canceled), false},
		{"deadline", context.DeadlineExceeded, true},
		{"permanent", retry.Permanent(errBoom), false},
		{"says no", says(false), false},
		{"says yes", says(true), true},
		{"outer says first", errors.Join(says(true), says(false)), true},
		{"says yes, canceled", errors.Join(context.Canceled, says(true)), true},
		{"says yes, permanent", errors.Join(says(true), retry.Permanent(errBoom)), false},
	}
	for _, tt := range tests {
		if got := retry.Retryable(tt.err); got != tt.want {
			t.Errorf("%s: Retryable = %t, want %t", tt.name, got, tt.want)
		}
	}
}

// says is an error with an opinion.
type says bool

func (s says) Error() string   { return "says " + fmt.Sprint(bool(s)) }
func (s says) Retryable() bool { return bool(s) }

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

func TestPoll(t *testing.T) {
	type state struct {
		v    string
		done bool
		err  error
	}
	pending, ready := state{v: "pending"}, state{v: "ready", done: true}
	tests := []struct {
		name   string
		policy retry.Policy
		states []state
		want   string
		errs   []error
		checks int
	}{
		{"done at once", retry.Interval(time.Second), []state{ready}, "ready", nil, 1},
		{"done at last", retry.Interval(time.Second), []state{pending, {err: errBoom}, pending, ready}, "ready", nil, 4},
		{"more than the attempts of Do", constant(time.Second, 0), []state{pending, pending, pending, pending, ready}, "ready", nil, 5},
		{"failed for good", retry.Interval(time.Second), []state{{"broken", true, errBoom}}, "broken", []error{retry.ErrPermanent, errBoom}, 1},
		{"not worth a retry", retry.Interval(time.Second), []state{{"?", false, retry.Permanent(errBoom)}}, "?", []error{errBoom}, 1},
		{"over time", retry.Interval(time.Second), []state{pending}, "pending", []error{context.DeadlineExceeded, retry.ErrPending}, 11},
		{"over time with an error", retry.Interval(time.Second), []state{pending, {"?", false, errBoom}}, "?", []error{context.DeadlineExceeded, errBoom}, 11},
		{"RetryIf is not asked about pending", retry.Policy{RetryIf: retry.On(errEarly), Backoff: retry.Constant(1)}, []state{pending, {err: errEarly}, ready}, "ready", nil, 3},
		{"pending costs no budget", retry.Policy{Budget: &retry.TokenBudget{Burst: -1}, Backoff: retry.Constant(1)}, []state{pending, pending, ready}, "ready", nil, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 9500*time.Millisecond)
				defer cancel()
				n := 0
				got, err := retry.Poll(ctx, tt.policy, func(context.Context) (string, bool, error) {
					s := tt.states[min(n, len(tt.states)-1)]
					n++
					return s.v, s.done, s.err
				})
				if got != tt.want || n != tt.checks || (err != nil) != (tt.errs != nil) {
					t.Errorf("Poll = %q, %v after %d checks, want %q after %d", got, err, n, tt.want, tt.checks)
				}
				checkIs(t, err, tt.errs...)
			})
		})
	}
}

func TestCosts(t *testing.T) {
	if size := unsafe.Sizeof(retry.Policy{}); size > 160 {
		t.Errorf("size of Policy = %d, want at most 160", size)
	}
	if size := unsafe.Sizeof(retry.TokenBudget{}); size > 96 {
		t.Errorf("size of TokenBudget = %d, want at most 96", size)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ok := func(context.Context) (int, error) { return 1, nil }
	n := 0
	thirdTime := func(context.Context) (int, error) {
		if n++; n%3 != 0 {
			return 0, errBoom
		}
		return n, nil
	}
	fails := func(context.Context) (int, error) { return 0, errBoom }
	policy := constant(0, 5)
	full := constant(0, 3)
	full.Budget, full.MaxElapsed = &retry.TokenBudget{}, time.Hour
	timeout := retry.Policy{AttemptTimeout: time.Hour}
	tests := []struct {
		name string
		want float64
		f    func()
	}{
		{"success", 0, func() { retry.Do(ctx, retry.Policy{}, ok) }},
		{"two retries", 0, func() { retry.Do(ctx, policy, thirdTime) }},
		{"two retries, budget and clock", 0, func() { retry.Do(ctx, full, thirdTime) }},
		{"exponential pause on Background", 1, func() {
			p := retry.Policy{Backoff: retry.Exponential{Base: 2}}
			retry.Do(context.Background(), p, thirdTime)
		}},
		{"two pauses under a context", 4, func() { retry.Do(ctx, constant(1, 3), thirdTime) }},
		{"loop", 0, func() {
			var err error
			for range policy.Attempts(ctx, &err) {
				_, err = thirdTime(ctx)
			}
		}},
		{"poll", 0, func() {
			retry.Poll(ctx, retry.Interval(time.Hour), func(context.Context) (int, bool, error) { return 1, true, nil })
		}},
		{"exhausted", 2, func() { retry.Do(ctx, policy, fails) }},
		{"permanent", 2, func() {
			retry.Do(ctx, policy, func(context.Context) (int, error) { return 0, retry.Permanent(errBoom) })
		}},
		{"attempt timeout", 4, func() { retry.Do(ctx, timeout, ok) }},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.f); got > tt.want {
			t.Errorf("%s: %v allocations, want at most %v", tt.name, got, tt.want)
		}
	}
}
