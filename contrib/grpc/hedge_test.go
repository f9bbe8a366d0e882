package redoubtgrpc_test

import (
	"context"
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
	checkEqual(t, s.seen()[1], "1")
}
