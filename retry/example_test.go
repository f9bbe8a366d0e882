package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

var (
	ctx     = context.Background()
	ErrBusy = errors.New("busy")
)

// flaky returns a function that fails with err n times, and then succeeds.
func flaky(n int, err error) func(context.Context) (string, error) {
	return func(context.Context) (string, error) {
		if n--; n >= 0 {
			return "", err
		}
		return "a page", nil
	}
}

// noPause keeps the examples quick.
var noPause = retry.Constant(0)

// Example is the use in the package documentation.
func Example() {
	fetch := flaky(0, ErrBusy)
	policy := retry.Policy{
		MaxAttempts: 5,
		Backoff:     retry.Exponential{Base: time.Second, Max: time.Minute},
	}
	page, err := retry.Do(ctx, policy, fetch)
	fmt.Println(page, err)
	// Output: a page <nil>
}

func ExampleDo() {
	page, err := retry.Do(ctx, retry.Policy{Backoff: noPause}, flaky(9, ErrBusy))
	fmt.Printf("%q %v\n", page, err)
	fmt.Println(errors.Is(err, retry.ErrExhausted), errors.Is(err, ErrBusy))
	// Output:
	// "" retry: exhausted after 3 attempts: busy
	// true true
}

// The decorator form: the same function, with retries.
func ExampleWrap() {
	deploy := retry.Wrap(retry.Policy{MaxAttempts: 5, Backoff: noPause}, flaky(3, ErrBusy))
	fmt.Println(deploy(ctx))
	// Output: a page <nil>
}

// Stacked wrappers: outside the retries a log line for the call, inside them a
// timer that sees each attempt.
func ExampleWrap_stacked() {
	logged := func(name string, fn func(context.Context) (string, error)) func(context.Context) (string, error) {
		return func(ctx context.Context) (string, error) {
			fmt.Println("begin", name)
			defer fmt.Println("end", name)
			return fn(ctx)
		}
	}
	timed := func(fn func(context.Context) (string, error)) func(context.Context) (string, error) {
		attempt := 0
		return func(ctx context.Context) (string, error) {
			attempt++
			begin := time.Now()
			defer func() { fmt.Println("attempt", attempt, "measured:", time.Since(begin) >= 0) }()
			return fn(ctx)
		}
	}
	fetch := logged("fetch", retry.Wrap(retry.Policy{Backoff: noPause}, timed(flaky(2, ErrBusy))))
	fmt.Println(fetch(ctx))
	// Output:
	// begin fetch
	// attempt 1 measured: true
	// attempt 2 measured: true
	// attempt 3 measured: true
	// end fetch
	// a page <nil>
}

func ExampleWrapArg() {
	size := retry.WrapArg(retry.Policy{}, func(_ context.Context, name string) (int, error) {
		return len(name), nil
	})
	fmt.Println(size(ctx, "report.txt"))
	// Output: 10 <nil>
}

// A callback before each retry, here with a metric.
func ExamplePolicy() {
	var retries, failures int
	policy := retry.Policy{
		MaxAttempts:    4,
		AttemptTimeout: time.Second,
		MaxElapsed:     10 * time.Second,
		Backoff:        noPause,
		OnEvent: func(_ context.Context, e retry.Event) {
			switch {
			case e.Kind == retry.KindRetry:
				retries++
			case e.Reason != nil:
				failures++
			}
		},
	}
	retry.Do(ctx, policy, flaky(2, ErrBusy))
	retry.Do(ctx, policy, flaky(9, ErrBusy))
	fmt.Println("retries:", retries, "failures:", failures)
	// Output: retries: 5 failures: 1
}

func ExamplePolicy_Do() {
	n := 0
	err := retry.Policy{Backoff: noPause}.Do(ctx, func(context.Context) error {
		if n++; n < 3 {
			return ErrBusy
		}
		return nil
	})
	fmt.Println(n, err)
	// Output: 3 <nil>
}

func ExamplePolicy_Attempts() {
	fetch := flaky(1, ErrBusy)
	var page string
	var err error
	for n, ctx := range (retry.Policy{Backoff: noPause}).Attempts(ctx, &err) {
		page, err = fetch(ctx)
		fmt.Println("attempt", n, err)
	}
	fmt.Println(page, err)
	// Output:
	// attempt 1 busy
	// attempt 2 <nil>
	// a page <nil>
}

func ExamplePoll() {
	states := []string{"queued", "running", "finished"}
	state, err := retry.Poll(ctx, retry.Interval(time.Millisecond), func(context.Context) (string, bool, error) {
		s := states[0]
		states = states[1:]
		return s, s == "finished", nil
	})
	fmt.Println(state, err)
	// Output: finished <nil>
}

func ExampleInterval() {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	// The last state is returned when the time is over.
	state, err := retry.Poll(ctx, retry.Interval(time.Millisecond), func(context.Context) (string, bool, error) {
		return "running", false, nil
	})
	fmt.Println(state, errors.Is(err, context.DeadlineExceeded), errors.Is(err, retry.ErrPending))
	// Output: running true true
}

func ExamplePermanent() {
	_, err := retry.Do(ctx, retry.Policy{}, func(context.Context) (string, error) {
		return "", fmt.Errorf("login: %w", retry.Permanent(errors.New("wrong password")))
	})
	fmt.Println(err)
	// Output: retry: not retryable after 1 attempt: login: wrong password
}

// Four layers of four attempts each: the two inner layers retry, and the error
// names the layer that gave up.
func ExampleErrNested() {
	calls := 0
	call := func(context.Context) (string, error) { calls++; return "", ErrBusy }
	for _, name := range []string{"store", "client", "service", "gateway"} {
		call = retry.Wrap(retry.Policy{Name: name, MaxAttempts: 4, Backoff: noPause}, call)
	}
	_, err := call(ctx)
	fmt.Println("calls:", calls)
	fmt.Println(strings.ReplaceAll(err.Error(), ": retry", ":\nretry"))
	// Output:
	// calls: 7
	// retry: gateway: not retryable after 1 attempt:
	// retry: service: not retryable after 1 attempt:
	// retry: client: exhausted after 4 attempts:
	// retry: store: left to the outer retry after 1 attempt: busy
}

func ExampleNest() {
	// The handler of a request that its client has sent again.
	ctx := retry.Nest(ctx)
	_, err := retry.Do(ctx, retry.Policy{}, flaky(9, ErrBusy))
	fmt.Println(err)
	// Output: retry: left to the outer retry after 1 attempt: busy
}

func ExampleNested() {
	fmt.Println(retry.Nested(ctx), retry.Nested(retry.Nest(ctx)))
	// Output: false true
}

func ExampleUnnest() {
	ctx := retry.Nest(ctx)
	// A batch that is tried again consists of many calls: each may be retried.
	_, err := retry.Do(retry.Unnest(ctx), retry.Policy{Backoff: noPause}, flaky(2, ErrBusy))
	fmt.Println(err)
	// Output: <nil>
}

// A message handler that leaves the pause to its queue.
func ExamplePolicy_Next() {
	policy := retry.Policy{Name: "orders", MaxAttempts: 5, MaxElapsed: time.Hour, Rand: func() float64 { return 0.5 }}
	settle := func(deliveries int, first time.Time, err error) string {
		if err == nil {
			return "acknowledge"
		}
		pause, stop := policy.Next(deliveries, first, err)
		if stop != nil {
			return "dead letter: " + stop.Error()
		}
		return "deliver again in " + pause.String()
	}
	now := time.Now()
	fmt.Println(settle(1, now, nil))
	fmt.Println(settle(1, now, ErrBusy))
	fmt.Println(settle(2, now, ErrBusy))
	fmt.Println(settle(2, now, retry.Permanent(ErrBusy)))
	fmt.Println(settle(3, now.Add(-2*time.Hour), ErrBusy))
	// Output:
	// acknowledge
	// deliver again in 50ms
	// deliver again in 100ms
	// dead letter: retry: orders: not retryable after 2 attempts: busy
	// dead letter: retry: orders: time limit reached after 3 attempts: busy
}

// Conditions can be combined.
func ExampleCondition() {
	gone := errors.New("gone")
	policy := retry.Policy{RetryIf: retry.On(gone).Not().And(retry.Retryable), Backoff: noPause}
	_, err := retry.Do(ctx, policy, flaky(2, gone))
	fmt.Println(err)
	_, err = retry.Do(ctx, policy, flaky(2, ErrBusy))
	fmt.Println(err)
	// Output:
	// retry: not retryable after 1 attempt: gone
	// <nil>
}

// The attempts run on the caller's goroutine, so a variable can count them:
// here each attempt asks another replica.
func ExampleDo_attemptNumber() {
	replicas, n := []string{"a", "b", "c"}, 0
	answer, err := retry.Do(ctx, retry.Policy{Backoff: noPause}, func(context.Context) (string, error) {
		replica := replicas[n%len(replicas)]
		if n++; replica != "c" {
			return "", ErrBusy
		}
		return "from replica " + replica, nil
	})
	fmt.Println(answer, err)
	// Output: from replica c <nil>
}

// A value that comes with an error may hold a resource. The next attempt
// releases it; the caller gets the last value.
func ExampleDo_discard() {
	var last *os.File
	file, err := retry.Do(ctx, retry.Policy{Backoff: noPause}, func(context.Context) (*os.File, error) {
		if last != nil {
			last.Close()
		}
		var err error
		if last, err = os.Open(os.DevNull); err != nil {
			return nil, err
		}
		return last, ErrBusy // opened, but not usable
	})
	fmt.Println(file != nil, errors.Is(err, ErrBusy), file.Close())
	// Output: true true <nil>
}

// A connection that is kept for hours: after a healthy run the pauses begin
// again with the shortest.
func ExamplePolicy_reconnect() {
	policy := retry.Policy{
		MaxAttempts: retry.Unlimited,
		Backoff:     retry.Exponential{Base: 100 * time.Millisecond, Max: time.Minute},
		ResetAfter:  10 * time.Minute,
	}
	ctx, cancel := context.WithCancel(ctx)
	err := policy.Do(ctx, func(ctx context.Context) error {
		cancel() // the program ends
		return ErrBusy
	})
	fmt.Println(err)
	// Output: retry: context canceled after 1 attempt: busy
}

func ExampleAfter() {
	n := 0
	policy := retry.Policy{OnEvent: func(_ context.Context, e retry.Event) {
		if e.Kind == retry.KindRetry {
			fmt.Println("asked for a pause:", e.Delay >= 5*time.Millisecond)
		}
	}}
	policy.Do(ctx, func(context.Context) error {
		if n++; n == 1 {
			return retry.After(5*time.Millisecond, ErrBusy)
		}
		return nil
	})
	// Output: asked for a pause: true
}

func ExampleRetryable() {
	fmt.Println(retry.Retryable(ErrBusy))
	fmt.Println(retry.Retryable(fmt.Errorf("job: %w", context.Canceled)))
	// Output:
	// true
	// false
}

// Filters for the errors to retry.
func ExampleOn() {
	policy := retry.Policy{RetryIf: retry.On(ErrBusy, os.ErrDeadlineExceeded), Backoff: noPause}
	_, err := retry.Do(ctx, policy, flaky(2, ErrBusy))
	fmt.Println(err)
	_, err = retry.Do(ctx, policy, flaky(2, fs.ErrNotExist))
	fmt.Println(err)
	// Output:
	// <nil>
	// retry: not retryable after 1 attempt: file does not exist
}

func ExampleOnType() {
	policy := retry.Policy{RetryIf: retry.OnType[*fs.PathError](), Backoff: noPause}
	_, err := retry.Do(ctx, policy, flaky(2, &fs.PathError{Op: "open", Path: "x", Err: ErrBusy}))
	fmt.Println(err)
	// Output: <nil>
}

func ExampleBackoff() {
	// Longer pauses for one kind of error.
	var b retry.Backoff = retry.BackoffFunc(func(s retry.Step) time.Duration {
		if errors.Is(s.Err, ErrBusy) {
			return time.Minute
		}
		return retry.Exponential{}.Delay(s)
	})
	fmt.Println(b.Delay(retry.Step{Retry: 1, Err: ErrBusy}))
	// Output: 1m0s
}

func ExampleBackoffFunc() {
	squares := retry.BackoffFunc(func(s retry.Step) time.Duration {
		return time.Duration(s.Retry*s.Retry) * time.Second
	})
	fmt.Println(squares.Delay(retry.Step{Retry: 3}))
	// Output: 9s
}

func ExampleStep() {
	full := retry.Exponential{Base: time.Second}
	fmt.Println(full.Delay(retry.Step{Retry: 3, Rand: 0.5}))
	// Output: 2s
}

// print prints the first five delays of b, each from the middle of its range.
func print(b retry.Backoff) {
	var ds []time.Duration
	s := retry.Step{Rand: 0.5}
	for s.Retry = 1; s.Retry <= 5; s.Retry++ {
		s.Prev = b.Delay(s)
		ds = append(ds, s.Prev.Round(time.Millisecond))
	}
	fmt.Println(ds)
}

func ExampleExponential() {
	print(retry.Exponential{Base: time.Second, Max: 5 * time.Second})
	print(retry.Exponential{Base: time.Second, Max: 5 * time.Second, Jitter: retry.Equal})
	print(retry.Exponential{Base: time.Second, Factor: 3, Jitter: retry.None})
	// Output:
	// [500ms 1s 2s 2.5s 2.5s]
	// [750ms 1.5s 3s 3.75s 3.75s]
	// [1s 3s 9s 27s 1m21s]
}

func ExampleConstant() {
	print(retry.Constant(time.Second))
	// Output: [1s 1s 1s 1s 1s]
}

func ExampleSequence() {
	print(retry.Sequence{time.Second, 5 * time.Second, time.Minute})
	// Output: [1s 5s 1m0s 1m0s 1m0s]
}

func ExampleDecorrelated() {
	print(retry.Decorrelated{Base: time.Second, Max: 10 * time.Second})
	// Output: [2s 3.5s 5.5s 5.5s 5.5s]
}

func ExampleJitter() {
	for _, j := range []retry.Jitter{retry.Full, retry.Equal, retry.None} {
		b := retry.Exponential{Base: time.Second, Jitter: j}
		fmt.Println(b.Delay(retry.Step{Retry: 1, Rand: 0}), b.Delay(retry.Step{Retry: 1, Rand: 0.999}))
	}
	// Output:
	// 0s 999ms
	// 500ms 999.5ms
	// 1s 1s
}

func ExampleSpread() {
	b := retry.Exponential{Base: time.Second, Jitter: retry.Spread(0.2)}
	fmt.Println(b.Delay(retry.Step{Retry: 1, Rand: 0}), b.Delay(retry.Step{Retry: 1, Rand: 0.5}))
	// Output: 800ms 1s
}

func ExampleError() {
	_, err := retry.Do(ctx, retry.Policy{Backoff: noPause}, flaky(9, ErrBusy))
	if e, ok := errors.AsType[*retry.Error](err); ok {
		fmt.Println(e.Reason, e.Attempts, e.Last())
		for n, err := range e.All() {
			fmt.Println(n, err)
		}
	}
	// Output:
	// retry: exhausted 3 busy
	// 1 busy
	// 2 busy
	// 3 busy
}

func ExampleKind() {
	fmt.Println(retry.KindRetry, retry.KindHedged, retry.KindDone)
	// Output: retry hedged done
}

func ExampleEvent() {
	policy := retry.Policy{Backoff: noPause, OnEvent: func(_ context.Context, e retry.Event) {
		fmt.Println(e.Kind, e.Attempt, e.Err, e.Reason)
	}}
	retry.Do(ctx, policy, flaky(1, ErrBusy))
	retry.Do(ctx, policy, flaky(1, retry.Permanent(ErrBusy)))
	// Output:
	// retry 1 busy <nil>
	// done 2 <nil> <nil>
	// done 1 busy retry: not retryable
}

func ExampleLog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "elapsed" {
				return slog.Attr{}
			}
			return a
		},
	}))
	policy := retry.Policy{Backoff: noPause, OnEvent: retry.Log(logger)}
	retry.Do(ctx, policy, flaky(1, ErrBusy))
	// Output:
	// level=WARN msg="attempt failed, will retry" kind=retry attempt=1 delay=0s error=busy
	// level=INFO msg="succeeded after retry" kind=done attempt=2
}

func ExampleTokenBudget() {
	// Shared by all calls to one service: a retry for ten calls, three at once.
	budget := &retry.TokenBudget{Ratio: 0.1, PerSecond: -1, Burst: 3}
	policy := retry.Policy{MaxAttempts: 9, Backoff: noPause, Budget: budget}
	for range 2 {
		_, err := retry.Do(ctx, policy, flaky(99, ErrBusy))
		fmt.Println(err)
	}
	// Output:
	// retry: budget exhausted after 4 attempts: busy
	// retry: budget exhausted after 1 attempt: busy
}

func ExampleHedge() {
	// The first replica does not answer; the second does.
	replicas := make(chan string, 2)
	replicas <- "slow"
	replicas <- "fast"
	h := retry.Hedge[string]{Delay: time.Millisecond, Budget: &retry.TokenBudget{}}
	v, err := h.Do(ctx, func(ctx context.Context) (string, error) {
		name := <-replicas
		if name == "slow" {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "from the " + name + " replica", nil
	})
	fmt.Println(v, err)
	// Output: from the fast replica <nil>
}

// A call that fails as a whole is made again, hedged again.
func ExampleHedge_retried() {
	h := retry.Hedge[string]{Delay: time.Second}
	fetch := flaky(3, ErrBusy)
	page, err := retry.Do(ctx, retry.Policy{Backoff: noPause}, func(ctx context.Context) (string, error) {
		return h.Do(ctx, fetch)
	})
	fmt.Println(page, err)
	// Output: a page <nil>
}

func ExampleHedge_DoCancel() {
	var attempt context.Context
	_, cancel, err := retry.Hedge[string]{Delay: time.Hour}.DoCancel(ctx, func(ctx context.Context) (string, error) {
		attempt = ctx
		return "a stream", nil
	})
	fmt.Println(err, attempt.Err())
	cancel()
	fmt.Println(attempt.Err())
	// Output:
	// <nil> <nil>
	// context canceled
}

func ExamplePanicError() {
	defer func() {
		p := recover().(*retry.PanicError)
		fmt.Println(p.Value, len(p.Stack) > 0)
	}()
	retry.Hedge[string]{}.Do(ctx, func(context.Context) (string, error) { panic("a bug") })
	// Output: a bug true
}

func ExampleLatency() {
	q := &retry.Latency{P: .5}
	for n := range 1000 {
		q.Observe(time.Duration(90+n%21) * time.Millisecond)
	}
	d, ok := q.Value()
	fmt.Println(d.Round(20*time.Millisecond), ok)
	// Output: 100ms true
}
