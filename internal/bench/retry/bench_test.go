package retry_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	retrygo "github.com/avast/retry-go/v5"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	awsretry "github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/cenkalti/backoff/v7"
	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/budget"
	"github.com/failsafe-go/failsafe-go/hedgepolicy"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"github.com/failsafe-go/failsafe-go/timeout"
	sethvargo "github.com/sethvargo/go-retry"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/redoubt-go/redoubt/retry"
)

var errBusy = errors.New("busy")

// A job is the work under retry: it fails with err so many times, and then
// succeeds, over and over.
type job struct {
	fails, calls int
	err          error
}

func (j *job) do() (int, error) {
	if j.calls++; j.calls%(j.fails+1) != 0 {
		return 0, j.err
	}
	return 1, nil
}

func (j *job) doContext(context.Context) (int, error) { return j.do() }

// An impl makes, of the job and the number of attempts allowed, the call to
// measure. What can be made once and used for many calls is made once. No impl
// pauses: where a pause of zero cannot be had otherwise it is a backoff of
// zero.
type impl struct {
	name string
	make func(ctx context.Context, j *job, attempts int) func() (int, error)
}

var impls = []impl{
	{"redoubt", redoubt},
	{"backoff", cenkalti},
	{"retry-go", avast},
	{"sethvargo", vargo},
	{"failsafe", failsafes},
}

func redoubt(ctx context.Context, j *job, attempts int) func() (int, error) {
	policy := retry.Policy{MaxAttempts: attempts, Backoff: retry.Constant(0)}
	return func() (int, error) { return retry.Do(ctx, policy, j.doContext) }
}

// cenkalti's BackOff is stateful, but this one has no state.
func cenkalti(ctx context.Context, j *job, attempts int) func() (int, error) {
	return func() (int, error) {
		return backoff.Retry(ctx, j.do, backoff.WithBackOff(&backoff.ZeroBackOff{}), backoff.WithMaxTries(uint(attempts)))
	}
}

func avast(ctx context.Context, j *job, attempts int) func() (int, error) {
	r := retrygo.NewWithData[int](retrygo.Context(ctx), retrygo.Attempts(uint(attempts)), retrygo.Delay(0),
		retrygo.DelayType(retrygo.FixedDelay))
	return func() (int, error) { return r.Do(j.do) }
}

// vargo's errors must be marked to be retried, and its backoff counts: both
// belong to the call.
func vargo(ctx context.Context, j *job, attempts int) func() (int, error) {
	zero := sethvargo.BackoffFunc(func() (time.Duration, bool) { return 0, false })
	return func() (int, error) {
		return sethvargo.DoValue(ctx, sethvargo.WithMaxRetries(uint64(attempts-1), zero), func(context.Context) (int, error) {
			v, err := j.do()
			if err == errBusy {
				err = sethvargo.RetryableError(err)
			}
			return v, err
		})
	}
}

func failsafes(ctx context.Context, j *job, attempts int) func() (int, error) {
	policy := retrypolicy.NewBuilder[int]().WithMaxAttempts(attempts).AbortOnErrors(errGone).Build()
	exec := failsafe.With(policy).WithContext(ctx)
	return func() (int, error) { return exec.Get(j.do) }
}

// floor is the call without retries.
func floor(ctx context.Context, j *job, _ int) func() (int, error) {
	return func() (int, error) { return j.doContext(ctx) }
}

// run measures each impl, after it has shown that it makes the calls it should
// and ends as it should.
func run(b *testing.B, impls []impl, fails, attempts, calls int, wantErr bool) {
	for _, i := range impls {
		b.Run("impl="+i.name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			j := &job{fails: fails, err: errBusy}
			call := i.make(ctx, j, attempts)
			verify(b, j, call, calls, wantErr)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}

func verify(b *testing.B, j *job, call func() (int, error), calls int, wantErr bool) {
	b.Helper()
	for range 2 {
		j.calls = 0
		if _, err := call(); j.calls != calls || (err != nil) != wantErr {
			b.Fatalf("%d calls, error %v, want %d, error %t", j.calls, err, calls, wantErr)
		}
	}
	j.calls = 0
}

// Held fixed: a call that succeeds at once under a cancellable context; at most
// 3 attempts.
func BenchmarkSuccess(b *testing.B) {
	run(b, append([]impl{{"floor-direct", floor}}, impls...), 0, 3, 1, false)
}

// Held fixed: as Success, with work that shares no memory, from all processors
// at once.
func BenchmarkSuccessParallel(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, i := range impls {
		b.Run("impl="+i.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				call := i.make(ctx, &job{}, 3)
				for pb.Next() {
					call()
				}
			})
		})
	}
}

// Held fixed: two failures and a success, no pauses, a cancellable context.
func BenchmarkFlaky2(b *testing.B) { run(b, impls, 2, 3, 3, false) }

// Held fixed: five failures, no pauses, and the error that says so.
func BenchmarkExhaust5(b *testing.B) { run(b, impls, 1<<40, 5, 5, true) }

// errGone is the error that failsafe is told about by its policy, where the
// others mark it in the call.
var errGone = errors.New("gone")

// Held fixed: a first attempt that fails with a permanent error, marked by the
// work itself where that is the way.
func BenchmarkPermanent(b *testing.B) {
	marks := map[string]func(error) error{
		"redoubt":   retry.Permanent,
		"backoff":   backoff.Permanent,
		"retry-go":  retrygo.Unrecoverable,
		"sethvargo": func(err error) error { return err }, // unmarked errors are permanent
		"failsafe":  func(err error) error { return err },
	}
	for _, i := range impls {
		b.Run("impl="+i.name, func(b *testing.B) {
			mark, calls := marks[i.name], 0
			j := &job{fails: 1 << 40}
			call := i.make(context.Background(), j, 3)
			// The job has one error; a fresh mark for each call is part of the
			// work.
			once := func() (int, error) { j.err = mark(errGone); return call() }
			if _, err := once(); !errors.Is(err, errGone) || j.calls != 1 {
				b.Fatalf("%d calls, error %v, want 1, %v", j.calls, err, errGone)
			}
			b.ReportAllocs()
			for b.Loop() {
				once()
				calls++
			}
			if j.calls != calls+1 {
				b.Fatalf("%d calls, want %d", j.calls, calls+1)
			}
		})
	}
}

// Held fixed: the next pause of an exponential backoff with factor 1.5 and a
// spread of half, at the tenth retry, well below the limit. backoff draws its
// own randomness, redoubt is given a draw by the same generator.
func BenchmarkNextDelay(b *testing.B) {
	b.Run("impl=redoubt", func(b *testing.B) {
		var x retry.Backoff = retry.Exponential{Base: 500 * time.Millisecond, Max: time.Hour, Factor: 1.5, Jitter: retry.Spread(.5)}
		b.ReportAllocs()
		for b.Loop() {
			x.Delay(retry.Step{Retry: 10, Rand: rand.Float64()})
		}
	})
	b.Run("impl=redoubt-factor2", func(b *testing.B) {
		var x retry.Backoff = retry.Exponential{Base: 500 * time.Millisecond, Max: time.Hour}
		b.ReportAllocs()
		for b.Loop() {
			x.Delay(retry.Step{Retry: 10, Rand: rand.Float64()})
		}
	})
	b.Run("impl=backoff", func(b *testing.B) {
		x := backoff.NewExponentialBackOff()
		x.MaxInterval = time.Hour
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			if n++; n%20 == 0 {
				x.Reset()
			}
			x.NextBackOff()
		}
	})
}

// Held fixed: a call that succeeds at once within an attempt timeout of an
// hour. The floor is the standard library's context with a timeout.
func BenchmarkAttemptTimeout(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	j := &job{}
	b.Run("impl=floor-context", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeoutCause(ctx, time.Hour, errBusy)
			j.doContext(ctx)
			cancel()
		}
	})
	b.Run("impl=redoubt", func(b *testing.B) {
		policy := retry.Policy{AttemptTimeout: time.Hour}
		b.ReportAllocs()
		for b.Loop() {
			retry.Do(ctx, policy, j.doContext)
		}
	})
	b.Run("impl=failsafe", func(b *testing.B) {
		exec := failsafe.With[int](retrypolicy.NewWithDefaults[int](), timeout.New[int](time.Hour)).WithContext(ctx)
		b.ReportAllocs()
		for b.Loop() {
			exec.Get(j.do)
		}
	})
}

// Held fixed: calls that succeed at once and tell a full budget, shared by all
// processors. aws and redoubt-deposit are the budget alone; the others are
// whole calls.
func BenchmarkBudgetSuccessParallel(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	policy := retry.Policy{Budget: &retry.TokenBudget{}}
	throttled := retrygo.NewWithData[int](retrygo.Context(ctx),
		retrygo.WithFixedTokenBucketThrottle(retrygo.FixedTokenBucketThrottleConfig{}))
	budgeted := failsafe.With(retrypolicy.NewBuilder[int]().WithBudget(budget.New()).Build()).WithContext(ctx)
	quota, deposits := awsretry.NewStandard(), &retry.TokenBudget{}
	calls := []struct {
		name string
		make func(j *job) func()
	}{
		{"redoubt", func(j *job) func() { return func() { retry.Do(ctx, policy, j.doContext) } }},
		{"retry-go", func(j *job) func() { return func() { throttled.Do(j.do) } }},
		{"failsafe", func(j *job) func() { return func() { budgeted.Get(j.do) } }},
		{"redoubt-deposit", func(*job) func() { return func() { deposits.Settle(retry.OutcomeSuccess, 0, nil) } }},
		{"aws", func(*job) func() {
			return func() {
				if release, err := quota.GetAttemptToken(ctx); err == nil {
					release(nil)
				}
			}
		}},
	}
	for _, c := range calls {
		b.Run("impl="+c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				call := c.make(&job{})
				for pb.Next() {
					call()
				}
			})
		})
	}
}

// Held fixed: one token from a shared budget that has enough for all. redoubt
// also adds what time has given since the last one, which the others do not do;
// redoubt-no-time has that turned off.
func BenchmarkBudgetWithdrawParallel(b *testing.B) {
	// As much as there is of each: a run stays far below 2^31 withdrawals.
	timed := &retry.TokenBudget{Burst: 1 << 31}
	untimed := &retry.TokenBudget{Burst: 1 << 31, PerSecond: -1}
	throttle := retrygo.NewFixedTokenBucketThrottle(retrygo.FixedTokenBucketThrottleConfig{MaxCapacity: 1 << 40, ThrottleCost: 1})
	bucket := ratelimit.NewTokenBucket(1 << 40)
	for _, w := range []struct {
		name string
		take func() bool
	}{
		{"redoubt", func() bool { _, ok := timed.Withdraw(nil); return ok }},
		{"redoubt-no-time", func() bool { _, ok := untimed.Withdraw(nil); return ok }},
		{"retry-go", func() bool { return throttle.AllowRetry(0, nil) }},
		{"aws", func() bool { _, ok := bucket.Retrieve(1); return ok }},
	} {
		b.Run("impl="+w.name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if !w.take() {
						b.Error("no token")
						return
					}
				}
			})
		})
	}
}

// Held fixed: a first attempt that answers at once, and a hedge due after an
// hour. The floor is what any hedge needs: a context to cancel, a goroutine, a
// channel and a timer.
func BenchmarkHedgeFast(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	j := &job{}
	b.Run("impl=floor-goroutine", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithCancelCause(ctx)
			results := make(chan int, 2)
			go func() {
				v, _ := j.doContext(ctx)
				results <- v
			}()
			timer := time.NewTimer(time.Hour)
			select {
			case <-results:
			case <-timer.C:
			case <-ctx.Done():
			}
			timer.Stop()
			cancel(nil)
		}
	})
	b.Run("impl=redoubt", func(b *testing.B) {
		h := retry.Hedge[int]{Delay: time.Hour}
		b.ReportAllocs()
		for b.Loop() {
			h.Do(ctx, j.doContext)
		}
	})
	b.Run("impl=failsafe", func(b *testing.B) {
		exec := failsafe.With(hedgepolicy.NewWithDelay[int](time.Hour)).WithContext(ctx)
		b.ReportAllocs()
		for b.Loop() {
			exec.Get(j.do)
		}
	})
}

// Held fixed: a condition that holds at the first look, an interval of an hour,
// a cancellable context. k8s returns no value.
func BenchmarkPollImmediate(b *testing.B) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b.Run("impl=redoubt", func(b *testing.B) {
		policy := retry.Interval(time.Hour)
		b.ReportAllocs()
		for b.Loop() {
			retry.Poll(ctx, policy, func(context.Context) (int, bool, error) { return 1, true, nil })
		}
	})
	b.Run("impl=k8s", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			wait.PollUntilContextCancel(ctx, time.Hour, true, func(context.Context) (bool, error) { return true, nil })
		}
	})
}
