package redoubtgrpc_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/retry"
)

func hedge(delay time.Duration, furthers int) func(string) *retry.Hedge[any] {
	return func(string) *retry.Hedge[any] { return &retry.Hedge[any]{Delay: delay, Max: furthers} }
}

func TestHedges(t *testing.T) {
	hang := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	tests := []struct {
		name     string
		hedge    func(string) *retry.Hedge[any]
		safe     bool
		unary    func(ctx context.Context, n int) error
		code     codes.Code
		attempts int
	}{
		{"the second attempt wins", hedge(5*time.Millisecond, 1), true, func(ctx context.Context, n int) error {
			if n == 1 {
				return hang(ctx)
			}
			return nil
		}, codes.OK, 2},
		{"not idempotent", hedge(1, 3), false, func(context.Context, int) error { return nil }, codes.OK, 1},
		{"a failure starts the next attempt", hedge(retry.AfterFailure, 2), true, func(_ context.Context, n int) error {
			if n < 3 {
				return errDown
			}
			return nil
		}, codes.OK, 3},
		{"a fatal code ends the call", hedge(time.Hour, 2), true, func(context.Context, int) error { return status.Error(codes.NotFound, "no") }, codes.NotFound, 1},
		{"a pushback delays the next attempt", hedge(time.Hour, 1), true, func(ctx context.Context, n int) error {
			if n == 1 {
				pushback(ctx, "10")
				return errDown
			}
			return nil
		}, codes.OK, 2},
		{"a pushback forbids further attempts", hedge(time.Hour, 2), true, func(ctx context.Context, _ int) error {
			pushback(ctx, "-1")
			return errDown
		}, codes.Unavailable, 1},
		{"all fail", hedge(retry.AfterFailure, 2), true, func(context.Context, int) error { return errDown }, codes.Unavailable, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := &service{unary: test.unary}
			client := redoubtgrpc.Client{Policy: quick, Hedge: test.hedge, Idempotent: func(string) bool { return test.safe }}
			stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
			r, err := stub.UnaryCall(t.Context(), new(request))
			checkCode(t, err, test.code)
			checkEqual(t, len(s.seen()), test.attempts)
			if err == nil && r.GetHostname() != "server" {
				t.Errorf("the reply is %v", r)
			}
		})
	}
}

// While a forbidden hedge fails, an attempt that runs may still win.
func TestHedgeForbiddenWhileAnotherRuns(t *testing.T) {
	release := make(chan struct{})
	var n atomic.Int32
	s := &service{unary: func(ctx context.Context, _ int) error {
		if n.Add(1) == 1 {
			<-release
			return nil
		}
		pushback(ctx, "-1")
		time.AfterFunc(20*time.Millisecond, func() { close(release) })
		return errDown
	}}
	client := redoubtgrpc.Client{Hedge: hedge(5*time.Millisecond, 5), Idempotent: always}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.OK)
	checkEqual(t, len(s.seen()), 2)
}

// The header, the trailer and the peer are those of the attempt that won.
func TestOptionsOfAHedgedCall(t *testing.T) {
	s := &service{unary: func(ctx context.Context, n int) error {
		name := map[bool]string{true: "first", false: "second"}[n == 1]
		_ = grpc.SetHeader(ctx, metadata.Pairs("attempt", name))
		_ = grpc.SetTrailer(ctx, metadata.Pairs("attempt", name))
		if n == 1 {
			<-ctx.Done()
		}
		return nil
	}}
	client := redoubtgrpc.Client{Hedge: hedge(5*time.Millisecond, 1), Idempotent: always}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
	var header, trailer metadata.MD
	var from peer.Peer
	finished := 0
	_, err := stub.UnaryCall(t.Context(), new(request), grpc.Header(&header), grpc.Trailer(&trailer), grpc.Peer(&from),
		grpc.OnFinish(func(error) { finished++ }))
	checkCode(t, err, codes.OK)
	checkEqual(t, header.Get("attempt")[0], "second")
	checkEqual(t, trailer.Get("attempt")[0], "second")
	checkEqual(t, from.Addr != nil, true)
	checkEqual(t, finished, 1)
	checkEqual(t, slices.Contains(s.seen(), "1"), true)
}

// The hooks of a hedged call get the error of the caller, and its messages.
func TestHooksOfAHedgedCall(t *testing.T) {
	t.Run("OnFinish", func(t *testing.T) {
		s := &service{unary: func(ctx context.Context, _ int) error { <-ctx.Done(); return nil }}
		client := redoubtgrpc.Client{Hedge: hedge(time.Millisecond, 1), Idempotent: always}
		stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		var finished error
		_, err := stub.UnaryCall(ctx, new(request), grpc.OnFinish(func(err error) { finished = err }))
		checkCode(t, err, codes.Canceled)
		checkCode(t, finished, codes.Canceled)
	})
	t.Run("Discard", func(t *testing.T) {
		both := make(chan struct{}, 2)
		s := &service{unary: func(context.Context, int) error {
			both <- struct{}{}
			for len(both) < 2 {
				time.Sleep(time.Millisecond)
			}
			return nil
		}}
		discarded := make(chan any, 1)
		release := make(chan struct{})
		client := redoubtgrpc.Client{Idempotent: always, Hedge: func(string) *retry.Hedge[any] {
			return &retry.Hedge[any]{Delay: retry.AtOnce, Discard: func(v any) { discarded <- v }}
		}}
		var n atomic.Int32
		late := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			err := invoker(context.WithoutCancel(ctx), method, req, reply, cc, opts...)
			if n.Add(1) == 2 {
				<-release
			}
			return err
		}
		cc := serve(t, s)(grpc.WithChainUnaryInterceptor(client.Unary(), late))
		_, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
		close(release)
		checkCode(t, err, codes.OK)
		if r, ok := (<-discarded).(*response); !ok || r.GetHostname() != "server" {
			t.Errorf("the value is %v", r)
		}
	})
}

// A reply that cannot be made again is not hedged.
func TestReplyThatIsNoPointer(t *testing.T) {
	client := redoubtgrpc.Client{Hedge: hedge(1, 1), Idempotent: always}
	for _, reply := range []any{nil, map[string]int{}, (*int)(nil), (*response)(nil)} {
		calls := 0
		err := client.Unary()(t.Context(), "/a.B/C", nil, reply, nil,
			func(_ context.Context, _ string, _, got any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
				calls++
				if fmt.Sprintf("%T", got) != fmt.Sprintf("%T", reply) {
					t.Errorf("the reply is a %T, want a %T", got, reply)
				}
				return nil
			})
		checkCode(t, err, codes.OK)
		checkEqual(t, calls, 1)
	}
	type plain struct{ n int }
	reply := &plain{1}
	err := client.Unary()(t.Context(), "/a.B/C", nil, reply, nil,
		func(_ context.Context, _ string, _, got any, _ *grpc.ClientConn, _ ...grpc.CallOption) error {
			got.(*plain).n = 2
			return nil
		})
	checkCode(t, err, codes.OK)
	checkEqual(t, reply.n, 2)
}

// A failed call has the trailer of the attempt whose error it has.
func TestTrailerOfAFailedHedge(t *testing.T) {
	s := &service{unary: func(ctx context.Context, n int) error {
		if n == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		_ = grpc.SetTrailer(ctx, metadata.Pairs("attempt", "second"))
		return status.Error(codes.NotFound, "no")
	}}
	client := redoubtgrpc.Client{Hedge: hedge(time.Millisecond, 1), Idempotent: always}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
	var trailer metadata.MD
	var from peer.Peer
	_, err := stub.UnaryCall(t.Context(), new(request), grpc.Trailer(&trailer), grpc.Peer(&from))
	checkCode(t, err, codes.NotFound)
	checkEqual(t, fmt.Sprint(trailer.Get("attempt")), "[second]")
	checkEqual(t, from.Addr != nil, true)
}

// A call that was not sent leaves the variable of grpc.Peer as it is.
func TestPeerOfAnUnsentHedge(t *testing.T) {
	client := redoubtgrpc.Client{Hedge: hedge(time.Millisecond, 1), Idempotent: always}
	stub := grpc_testing.NewTestServiceClient(dial(t, "passthrough:///"+unused(t), guarded(client)...))
	var from peer.Peer
	_, err := stub.UnaryCall(t.Context(), new(request), grpc.Peer(&from))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, from.Addr, nil)
}

// Fatal and OnEvent of a hedge get the errors of gRPC.
func TestFatalOfAHedge(t *testing.T) {
	s := &service{unary: func(context.Context, int) error { return errDown }}
	client := redoubtgrpc.Client{Idempotent: always, Hedge: func(string) *retry.Hedge[any] {
		return &retry.Hedge[any]{
			Delay: retry.AfterFailure, Max: 5,
			Fatal: func(err error) bool {
				checkEqual(t, fmt.Sprintf("%T", err), "*status.Error")
				return true
			},
			OnEvent: func(_ context.Context, e retry.Event) { checkEqual(t, e.Op, unaryMethod+" passthrough:///bufconn") },
		}
	}}
	_, err := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...)).UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, len(s.seen()), 1)
}

// The attempts of a nested call do not multiply, and count.
func TestNestedHedge(t *testing.T) {
	s := &service{unary: func(context.Context, int) error { return errDown }}
	client := redoubtgrpc.Client{Idempotent: always, Hedge: hedge(retry.AfterFailure, 3)}
	_, err := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...)).UnaryCall(retry.Nest(t.Context()), new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, fmt.Sprint(s.seen()), "[1]")
}
