package redoubtgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/retry"
)

// The outcomes of a breaker: successes, failures and ignored calls.
type judged = [3]uint64

// Each row is a failure of the server, with the judgement of a call that may be
// repeated and of a call that may not.
func TestFailuresAreJudged(t *testing.T) {
	code := func(c codes.Code) func(context.Context, int) error {
		return func(context.Context, int) error { return status.Error(c, "scripted") }
	}
	with := func(c codes.Code, values ...string) func(context.Context, int) error {
		return func(ctx context.Context, _ int) error {
			pushback(ctx, values...)
			return status.Error(c, "scripted")
		}
	}
	type want struct {
		attempts int
		judged   judged
	}
	tests := []struct {
		name             string
		unary            func(context.Context, int) error
		code             codes.Code
		idempotent, once want
	}{
		{"ok", nil, codes.OK, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"canceled", code(codes.Canceled), codes.Canceled, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"unknown", code(codes.Unknown), codes.Unknown, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"plain error", func(context.Context, int) error { return errors.New("boom") }, codes.Unknown, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"invalid argument", code(codes.InvalidArgument), codes.InvalidArgument, want{1, judged{0, 0, 1}}, want{1, judged{0, 0, 1}}},
		{"deadline exceeded", code(codes.DeadlineExceeded), codes.DeadlineExceeded, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"not found", code(codes.NotFound), codes.NotFound, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"already exists", code(codes.AlreadyExists), codes.AlreadyExists, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"permission denied", code(codes.PermissionDenied), codes.PermissionDenied, want{1, judged{0, 0, 1}}, want{1, judged{0, 0, 1}}},
		{"resource exhausted", code(codes.ResourceExhausted), codes.ResourceExhausted, want{1, judged{0, 0, 1}}, want{1, judged{0, 0, 1}}},
		{"failed precondition", code(codes.FailedPrecondition), codes.FailedPrecondition, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"aborted", code(codes.Aborted), codes.Aborted, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"out of range", code(codes.OutOfRange), codes.OutOfRange, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"unimplemented", code(codes.Unimplemented), codes.Unimplemented, want{1, judged{0, 0, 1}}, want{1, judged{0, 0, 1}}},
		{"internal", code(codes.Internal), codes.Internal, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"unavailable", code(codes.Unavailable), codes.Unavailable, want{3, judged{0, 3, 0}}, want{1, judged{0, 1, 0}}},
		{"data loss", code(codes.DataLoss), codes.DataLoss, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"unauthenticated", code(codes.Unauthenticated), codes.Unauthenticated, want{1, judged{0, 0, 1}}, want{1, judged{0, 0, 1}}},
		{"code 42", code(42), 42, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"a pushback asks", with(codes.Unavailable, "1"), codes.Unavailable, want{3, judged{0, 0, 3}}, want{3, judged{0, 0, 3}}},
		{"a pushback of 0 asks", with(codes.Unavailable, "0"), codes.Unavailable, want{3, judged{0, 0, 3}}, want{3, judged{0, 0, 3}}},
		{"a pushback forbids", with(codes.Unavailable, "-1"), codes.Unavailable, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"a pushback is no number", with(codes.Unavailable, "soon"), codes.Unavailable, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"a pushback is huge", with(codes.Unavailable, "4294967296"), codes.Unavailable, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"two pushbacks", with(codes.Unavailable, "1", "1"), codes.Unavailable, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"a pushback of a code that is never retried", with(codes.Internal, "1"), codes.Internal, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"retry info asks", func(context.Context, int) error { return asking(codes.Unavailable, time.Millisecond) }, codes.Unavailable, want{3, judged{0, 0, 3}}, want{1, judged{0, 0, 1}}},
		{"retry info of a quota", func(context.Context, int) error { return asking(codes.ResourceExhausted, time.Millisecond) }, codes.ResourceExhausted, want{3, judged{0, 0, 3}}, want{1, judged{0, 0, 1}}},
		{"a pushback of a quota", with(codes.ResourceExhausted, "1"), codes.ResourceExhausted, want{3, judged{0, 0, 3}}, want{3, judged{0, 0, 3}}},
		{"retry info of an aborted transaction", func(context.Context, int) error { return asking(codes.Aborted, time.Millisecond) }, codes.Aborted, want{1, judged{1, 0, 0}}, want{1, judged{1, 0, 0}}},
		{"a pushback wins over retry info", func(ctx context.Context, _ int) error {
			pushback(ctx, "-1")
			return asking(codes.Unavailable, time.Millisecond)
		}, codes.Unavailable, want{1, judged{0, 1, 0}}, want{1, judged{0, 1, 0}}},
		{"a pause longer than the policy allows", func(context.Context, int) error { return asking(codes.Unavailable, time.Hour) }, codes.Unavailable, want{1, judged{0, 0, 1}}, want{1, judged{0, 0, 1}}},
		{"the second attempt succeeds", func(ctx context.Context, n int) error {
			if n == 1 {
				pushback(ctx, "1")
				return errDown
			}
			return nil
		}, codes.OK, want{2, judged{1, 0, 1}}, want{2, judged{1, 0, 1}}},
	}
	for _, test := range tests {
		for _, row := range []struct {
			idempotent bool
			want       want
		}{{true, test.idempotent}, {false, test.once}} {
			t.Run(fmt.Sprintf("%s/idempotent=%v", test.name, row.idempotent), func(t *testing.T) {
				s := &service{unary: test.unary}
				b, g := gate()
				client := redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: func(string) bool { return row.idempotent }}
				cc := serve(t, s)(guarded(client)...)
				_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
				checkCode(t, err, test.code)
				checkEqual(t, len(s.seen()), row.want.attempts)
				checkEqual(t, outcomes(b), row.want.judged)
				for i, before := range s.seen() {
					if want := []string{"", "1", "2"}[i]; before != want {
						t.Errorf("attempt %d has grpc-previous-rpc-attempts %q, want %q", i+1, before, want)
					}
				}
			})
		}
	}
}

// A single failed attempt leaves the error of gRPC as it is.
func TestErrorOfASingleAttempt(t *testing.T) {
	s := &service{unary: func(context.Context, int) error { return status.Error(codes.NotFound, "no such order") }}
	cc := serve(t, s)(guarded(redoubtgrpc.Client{})...)
	_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
	if got, want := err.Error(), "rpc error: code = NotFound desc = no such order"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestErrorOfARetriedCall(t *testing.T) {
	s := &service{unary: func(context.Context, int) error { return status.Error(codes.Unavailable, "down") }}
	cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Idempotent: always})...)
	_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
	e, ok := errors.AsType[*retry.Error](err)
	if !ok || e.Attempts != 3 || !errors.Is(err, retry.ErrExhausted) {
		t.Errorf("the error is %v", err)
	}
	checkCode(t, err, codes.Unavailable)
}

func TestDeadlines(t *testing.T) {
	slow := func(ctx context.Context, _ int) error {
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
		return ctx.Err()
	}
	t.Run("the caller's deadline ends the call", func(t *testing.T) {
		s := &service{unary: slow}
		b, g := gate()
		cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always})...)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request))
		checkCode(t, err, codes.DeadlineExceeded)
		checkEqual(t, len(s.seen()), 1)
		eventually(t, "the call is a failure", func() bool { return outcomes(b) == judged{0, 1, 0} })
	})
	t.Run("the caller cancels", func(t *testing.T) {
		s := &service{unary: slow}
		b, g := gate()
		cc := connected(t, serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always})...))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request))
		checkCode(t, err, codes.Canceled)
		checkEqual(t, len(s.seen()), 1)
		checkEqual(t, outcomes(b), judged{0, 0, 1})
	})
	t.Run("the context is done before", func(t *testing.T) {
		s := &service{}
		cc := serve(t, s)(guarded(redoubtgrpc.Client{})...)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request))
		checkCode(t, err, codes.Canceled)
		checkEqual(t, len(s.seen()), 0)
	})
	t.Run("the caller cancels in a pause", func(t *testing.T) {
		s := &service{unary: func(context.Context, int) error { return status.Error(codes.Unavailable, "down") }}
		policy := func(string) retry.Policy { return retry.Policy{Backoff: retry.Constant(time.Hour)} }
		cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: policy, Idempotent: always})...)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request))
		checkCode(t, err, codes.Canceled)
		checkEqual(t, len(s.seen()), 1)
	})
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprintf("an attempt times out/idempotent=%v", idempotent), func(t *testing.T) {
			s := &service{unary: func(ctx context.Context, n int) error {
				if n == 1 {
					return slow(ctx, n)
				}
				return nil
			}}
			policy := func(string) retry.Policy {
				return retry.Policy{Backoff: retry.Constant(1), AttemptTimeout: 200 * time.Millisecond}
			}
			b, g := gate()
			cc := connected(t, serve(t, s)(guarded(redoubtgrpc.Client{Policy: policy, Gate: g, Idempotent: func(string) bool { return idempotent }})...))
			_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
			if idempotent {
				checkCode(t, err, codes.OK)
				checkEqual(t, len(s.seen()), 2)
				checkEqual(t, outcomes(b), judged{1, 1, 0})
			} else {
				checkCode(t, err, codes.DeadlineExceeded)
				checkEqual(t, len(s.seen()), 1)
				checkEqual(t, outcomes(b), judged{0, 1, 0})
			}
		})
	}
	t.Run("the server has another deadline", func(t *testing.T) {
		s := &service{unary: func(context.Context, int) error { return status.Error(codes.DeadlineExceeded, "mine") }}
		b, g := gate()
		cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always})...)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, new(request))
		checkCode(t, err, codes.DeadlineExceeded)
		checkEqual(t, outcomes(b), judged{0, 1, 0})
	})
	t.Run("the server sees the caller's deadline first", func(t *testing.T) {
		// A deadline shorter than a success takes is impatience,
		// whoever notices.
		fast := true
		s := &service{unary: func(ctx context.Context, _ int) error {
			if fast {
				time.Sleep(100 * time.Millisecond)
				return nil
			}
			end, _ := ctx.Deadline()
			time.Sleep(time.Until(end) - time.Millisecond)
			return status.Error(codes.DeadlineExceeded, "yours")
		}}
		b, g := gate()
		stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Gate: g})...))
		for range 20 {
			if _, err := stub.UnaryCall(t.Context(), new(request)); err != nil {
				t.Fatal(err)
			}
		}
		fast = false
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		_, err := stub.UnaryCall(ctx, new(request))
		checkCode(t, err, codes.DeadlineExceeded)
		eventually(t, "the call is ignored", func() bool { return outcomes(b) == judged{20, 0, 1} })
	})
}

// A server that sees the caller's deadline first is not asked again.
func TestDeadlineOfTheCallerIsNotRetried(t *testing.T) {
	s := &service{unary: func(ctx context.Context, _ int) error {
		end, _ := ctx.Deadline()
		time.Sleep(time.Until(end) - 10*time.Millisecond)
		return status.Error(codes.DeadlineExceeded, "yours")
	}}
	policy := func(string) retry.Policy {
		return retry.Policy{Backoff: retry.Constant(1), AttemptTimeout: time.Minute}
	}
	stub := grpc_testing.NewTestServiceClient(connected(t, serve(t, s)(guarded(redoubtgrpc.Client{Policy: policy, Idempotent: always})...)))
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := stub.UnaryCall(ctx, new(request))
	checkCode(t, err, codes.DeadlineExceeded)
	checkEqual(t, len(s.seen()), 1)
}

// RetryIf and OnEvent get the errors of gRPC. RetryIf can forbid a retry that
// the Client allows, and cannot allow another.
func TestRetryIf(t *testing.T) {
	for _, test := range []struct {
		name              string
		idempotent, retry bool
		asked, attempts   int
	}{
		{"allowed", true, true, 3, 3},
		{"forbidden", true, false, 1, 1},
		{"not idempotent", false, true, 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &service{unary: func(context.Context, int) error { return errDown }}
			asked := 0
			policy := func(string) retry.Policy {
				return retry.Policy{
					Backoff: retry.Constant(1),
					RetryIf: func(err error) bool {
						asked++
						checkEqual(t, fmt.Sprintf("%T", err), "*status.Error")
						return test.retry
					},
					OnEvent: func(_ context.Context, e retry.Event) {
						checkEqual(t, e.Op, unaryMethod+" passthrough:///bufconn")
						if e.Kind == retry.KindRetry {
							checkEqual(t, fmt.Sprintf("%T", e.Err), "*status.Error")
						}
					},
				}
			}
			client := redoubtgrpc.Client{Policy: policy, Idempotent: func(string) bool { return test.idempotent }}
			_, err := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...)).UnaryCall(t.Context(), new(request))
			checkCode(t, err, codes.Unavailable)
			checkEqual(t, len(s.seen()), test.attempts)
			checkEqual(t, asked, test.asked)
		})
	}
}

func TestServiceConfig(t *testing.T) {
	const config = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 2, "initialBackoff": "0.001s",
		"maxBackoff": "0.001s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`
	down := func(context.Context, int) error { return status.Error(codes.Unavailable, "down") }
	for _, test := range []struct {
		name     string
		client   redoubtgrpc.Client
		opts     []grpc.DialOption
		attempts int
	}{
		{"gRPC retries", redoubtgrpc.Client{Policy: quick, Idempotent: always}, nil, 2},
		{"gRPC must not retry", redoubtgrpc.Client{Policy: quick, Idempotent: always, RetryDisabled: true}, []grpc.DialOption{grpc.WithDisableRetry()}, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &service{unary: down}
			opts := append(guarded(test.client), grpc.WithDefaultServiceConfig(config))
			cc := serve(t, s)(append(opts, test.opts...)...)
			_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
			checkCode(t, err, codes.Unavailable)
			checkEqual(t, len(s.seen()), test.attempts)
		})
	}
}

func TestNestedCallsAreMadeOnce(t *testing.T) {
	s := &service{unary: func(context.Context, int) error { return status.Error(codes.Unavailable, "down") }}
	cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Idempotent: always})...)
	_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(retry.Nest(t.Context()), new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, fmt.Sprint(s.seen()), "[1]")
	if !errors.Is(err, retry.ErrNested) {
		t.Errorf("the error is %v, want %v", err, retry.ErrNested)
	}
}

func TestOptionsOfARetriedCall(t *testing.T) {
	s := &service{unary: func(ctx context.Context, n int) error {
		pushback(ctx, "1")
		if n < 3 {
			return status.Error(codes.Unavailable, "down")
		}
		return nil
	}}
	cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Idempotent: always})...)
	finished := 0
	_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request), grpc.OnFinish(func(err error) {
		finished++
		checkCode(t, err, codes.OK)
	}))
	checkCode(t, err, codes.OK)
	checkEqual(t, finished, 1)
}

// A pushback of 0 asks for an immediate attempt. RetryInfo is a minimum.
func TestPausesOfZero(t *testing.T) {
	for _, test := range []struct {
		name  string
		unary func(context.Context, int) error
		want  time.Duration
	}{
		{"pushback", func(ctx context.Context, _ int) error { pushback(ctx, "0"); return errDown }, 1},
		{"retry info", func(context.Context, int) error { return asking(codes.Unavailable, 0) }, 7 * time.Millisecond},
		{"negative retry info", func(context.Context, int) error { return asking(codes.Unavailable, -time.Hour) }, 7 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []time.Duration
			policy := func(string) retry.Policy {
				return retry.Policy{MaxAttempts: 2, Backoff: retry.Constant(7 * time.Millisecond), OnEvent: func(_ context.Context, e retry.Event) {
					if e.Kind == retry.KindRetry {
						got = append(got, e.Delay)
					}
				}}
			}
			client := redoubtgrpc.Client{Policy: policy, Idempotent: always}
			stub := grpc_testing.NewTestServiceClient(serve(t, &service{unary: test.unary})(guarded(client)...))
			_, err := stub.UnaryCall(t.Context(), new(request))
			checkCode(t, err, codes.Unavailable)
			checkEqual(t, fmt.Sprint(got), fmt.Sprint([]time.Duration{test.want}))
		})
	}
}
