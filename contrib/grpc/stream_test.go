package redoubtgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

type (
	outputRequest = grpc_testing.StreamingOutputCallRequest
	output        = grpc_testing.StreamingOutputCallResponse
	input         = grpc_testing.StreamingInputCallRequest
	sum           = grpc_testing.StreamingInputCallResponse
)

var (
	errDown = status.Error(codes.Unavailable, "down")
	send    = func(s outputStream, n int) error {
		for range n {
			if err := s.Send(new(output)); err != nil {
				return err
			}
		}
		return nil
	}
)

// A server stream is retried until its first message.
func TestServerStreams(t *testing.T) {
	header := metadata.Pairs("a", "b")
	tests := []struct {
		name     string
		output   func(n int, s outputStream) error
		messages int
		code     codes.Code
		attempts int
		judged   judged
	}{
		{"three messages", func(_ int, s outputStream) error { return send(s, 3) }, 3, codes.OK, 1, judged{1, 0, 0}},
		{"no message", func(int, outputStream) error { return nil }, 0, codes.OK, 1, judged{1, 0, 0}},
		{"two failures at first", func(n int, s outputStream) error {
			if n < 3 {
				return errDown
			}
			return send(s, 2)
		}, 2, codes.OK, 3, judged{1, 2, 0}},
		{"a failure after a header", func(n int, s outputStream) error {
			if n < 2 {
				return errors.Join(s.SendHeader(header), errDown)
			}
			return send(s, 1)
		}, 1, codes.OK, 2, judged{1, 1, 0}},
		{"a failure after a message", func(n int, s outputStream) error { return errors.Join(send(s, 1), errDown) }, 1, codes.Unavailable, 1, judged{0, 1, 0}},
		{"always down", func(int, outputStream) error { return errDown }, 0, codes.Unavailable, 3, judged{0, 3, 0}},
		{"not found", func(int, outputStream) error { return status.Error(codes.NotFound, "no") }, 0, codes.NotFound, 1, judged{1, 0, 0}},
		{"a pushback forbids", func(_ int, s outputStream) error {
			s.SetTrailer(metadata.Pairs("grpc-retry-pushback-ms", "-1"))
			return errDown
		}, 0, codes.Unavailable, 1, judged{0, 1, 0}},
	}
	for _, test := range tests {
		for _, first := range []string{"receive", "header"} {
			t.Run(test.name+"/"+first, func(t *testing.T) {
				s := &service{output: test.output}
				b, g := gate()
				cc := serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always})...)
				stream, err := grpc_testing.NewTestServiceClient(cc).StreamingOutputCall(t.Context(), new(outputRequest))
				checkCode(t, err, codes.OK)
				attempts, judged := test.attempts, test.judged
				messages, code := test.messages, test.code
				if first == "header" {
					_, err := stream.Header()
					checkCode(t, err, codes.OK)
					if test.name == "a failure after a header" { // the header is an answer
						messages, code, attempts, judged = 0, codes.Unavailable, 1, [3]uint64{0, 1, 0}
					}
				}
				n := 0
				for {
					if _, err = stream.Recv(); err != nil {
						break
					}
					n++
				}
				if err == io.EOF {
					err = nil
				}
				checkCode(t, err, code)
				checkEqual(t, n, messages)
				checkEqual(t, len(s.seen()), attempts)
				checkEqual(t, outcomes(b), judged)
				_, again := stream.Recv()
				if again == nil {
					t.Error("a message after the end")
				}
				_ = stream.Trailer()
				if stream.Context() == nil {
					t.Error("no context")
				}
			})
		}
	}
}

// After its first message, a stream is an answered call: it may last.
func TestLongStreamsAreNotSlow(t *testing.T) {
	more := make(chan struct{})
	s := &service{
		output: func(_ int, s outputStream) error {
			if err := send(s, 1); err != nil {
				return err
			}
			<-more
			return send(s, 1)
		},
		input: func(s grpc_testing.TestService_StreamingInputCallServer) error {
			for {
				if _, err := s.Recv(); err == io.EOF {
					return s.SendAndClose(new(sum))
				} else if err != nil {
					return err
				}
			}
		},
	}
	b := breaker.New(breaker.Config{Name: "stock", SlowCall: 50 * time.Millisecond})
	client := redoubtgrpc.Client{Gate: func(string, string) breaker.Gate { return b }}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
	down, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
	checkCode(t, err, codes.OK)
	_, err = down.Recv()
	checkCode(t, err, codes.OK)
	up, err := stub.StreamingInputCall(t.Context())
	checkCode(t, err, codes.OK)
	for range 4 {
		time.Sleep(25 * time.Millisecond)
		checkCode(t, up.Send(new(input)), codes.OK)
	}
	_, err = up.CloseAndRecv()
	checkCode(t, err, codes.OK)
	close(more)
	_, err = down.Recv()
	checkCode(t, err, codes.OK)
	if _, err = down.Recv(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	st := b.Stats()
	checkEqual(t, st.Slow, 0)
	checkEqual(t, st.Successes, 2)
}

// A stream holds its place and its call until it ends, however it ends.
func TestStreamsHoldTheirGuards(t *testing.T) {
	wait := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	s := &service{
		output: func(_ int, s outputStream) error { return errors.Join(send(s, 1), wait(s.Context())) },
		duplex: func(s grpc_testing.TestService_FullDuplexCallServer) error {
			if _, err := s.Recv(); err != nil {
				return nil
			}
			return status.Error(codes.NotFound, "no")
		},
	}
	places := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
	b, g := gate()
	client := redoubtgrpc.Client{
		Policy:   func(string) retry.Policy { return retry.Policy{MaxAttempts: 1} },
		Gate:     g,
		Bulkhead: func(string, string) *bulkhead.Bulkhead { return places },
	}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))

	ctx, cancel := context.WithCancel(t.Context())
	stream, err := stub.StreamingOutputCall(ctx, new(outputRequest))
	checkCode(t, err, codes.OK)
	_, err = stream.Recv()
	checkCode(t, err, codes.OK)
	checkEqual(t, places.Inflight(), 1)
	_, err = stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Unavailable)
	if !errors.Is(err, bulkhead.ErrFull) {
		t.Errorf("the error is %v, want %v", err, bulkhead.ErrFull)
	}
	cancel() // without another call of the stream
	eventually(t, "an abandoned stream returns its place", func() bool { return places.Inflight() == 0 })
	eventually(t, "an abandoned stream is reported", func() bool { return outcomes(b) == judged{0, 0, 1} })

	duplex, err := stub.FullDuplexCall(t.Context())
	checkCode(t, err, codes.OK)
	checkEqual(t, places.Inflight(), 1)
	checkCode(t, duplex.Send(new(outputRequest)), codes.OK)
	_, err = duplex.Recv()
	checkCode(t, err, codes.NotFound)
	checkEqual(t, places.Inflight(), 0)

	duplex, err = stub.FullDuplexCall(t.Context())
	checkCode(t, err, codes.OK)
	checkCode(t, duplex.CloseSend(), codes.OK)
	if _, err = duplex.Recv(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	checkEqual(t, places.Inflight(), 0)
	checkEqual(t, outcomes(b), judged{2, 0, 1})
}

// A message that cannot be sent ends the stream.
func TestMessageOfAStreamThatIsTooLarge(t *testing.T) {
	s := &service{
		input:  func(s grpc_testing.TestService_StreamingInputCallServer) error { return s.Context().Err() },
		output: func(_ int, s outputStream) error { return send(s, 1) },
	}
	places := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
	client := redoubtgrpc.Client{Policy: quick, Idempotent: always, Bulkhead: func(string, string) *bulkhead.Bulkhead { return places }}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
	up, err := stub.StreamingInputCall(t.Context(), grpc.MaxCallSendMsgSize(1))
	checkCode(t, err, codes.OK)
	checkCode(t, up.Send(&input{Payload: &grpc_testing.Payload{Body: make([]byte, 100)}}), codes.ResourceExhausted)
	checkEqual(t, places.Inflight(), 0)

	down, err := stub.StreamingOutputCall(t.Context(), &outputRequest{Payload: &grpc_testing.Payload{Body: make([]byte, 100)}}, grpc.MaxCallSendMsgSize(1))
	checkCode(t, err, codes.OK)
	_, err = down.Recv()
	checkCode(t, err, codes.ResourceExhausted)
	checkEqual(t, places.Inflight(), 0)
}

// The order of calls that generated code never has.
func TestStreamsUsedByHand(t *testing.T) {
	s := &service{output: func(_ int, s outputStream) error { return send(s, 1) }}
	cc := serve(t, s)(guarded(redoubtgrpc.Client{})...)
	desc := &grpc.StreamDesc{StreamName: "StreamingOutputCall", ServerStreams: true}

	t.Run("receive before send", func(t *testing.T) {
		stream, err := cc.NewStream(t.Context(), desc, outputMethod)
		checkCode(t, err, codes.OK)
		received := make(chan error)
		go func() { received <- stream.RecvMsg(new(output)) }()
		checkCode(t, stream.SendMsg(new(outputRequest)), codes.OK)
		checkCode(t, stream.CloseSend(), codes.OK)
		checkCode(t, <-received, codes.OK)
		checkCode(t, stream.SendMsg(new(outputRequest)), codes.Internal)
		for stream.RecvMsg(new(output)) == nil {
		}
	})
	t.Run("receive, and never send", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		stream, err := cc.NewStream(ctx, desc, outputMethod)
		checkCode(t, err, codes.OK)
		checkCode(t, stream.RecvMsg(new(output)), codes.DeadlineExceeded)
		md, err := stream.Header()
		checkEqual(t, fmt.Sprint(md, err), "map[] <nil>")
		checkEqual(t, stream.Trailer() == nil, true)
		checkEqual(t, stream.Context(), ctx)
	})
	t.Run("close without a message", func(t *testing.T) {
		stream, err := cc.NewStream(t.Context(), desc, outputMethod)
		checkCode(t, err, codes.OK)
		checkCode(t, stream.CloseSend(), codes.OK)
		if err := stream.RecvMsg(new(output)); err == nil {
			t.Error("a call without a request has an answer")
		}
	})
}

// A failing is a stream that fails on both sides.
type failing struct{ grpc.ClientStream }

func (failing) SendMsg(any) error        { return errDown }
func (failing) RecvMsg(any) error        { return errDown }
func (failing) Trailer() metadata.MD     { return nil }
func (failing) Context() context.Context { return context.Background() }

// SendMsg and RecvMsg may fail at the same time.
func TestBothSidesOfAStreamFail(t *testing.T) {
	b, g := gate()
	client := redoubtgrpc.Client{Policy: quick, Gate: g}
	open := client.Stream()
	for range 50 {
		stream, err := open(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, nil, "/a.B/C",
			func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, ...grpc.CallOption) (grpc.ClientStream, error) {
				return failing{}, nil
			})
		checkCode(t, err, codes.OK)
		done := make(chan struct{})
		go func() { defer close(done); _ = stream.RecvMsg(nil) }()
		_ = stream.SendMsg(nil)
		<-done
	}
	checkEqual(t, outcomes(b), judged{0, 50, 0})
}

// A hook of grpc.OnFinish runs once for a call, with its error.
func TestOnFinishOfStreams(t *testing.T) {
	s := &service{
		output: func(n int, s outputStream) error {
			if n < 3 {
				return errDown
			}
			return send(s, 1)
		},
		input: func(s grpc_testing.TestService_StreamingInputCallServer) error { return s.SendAndClose(new(sum)) },
	}
	var mu sync.Mutex
	var got []codes.Code
	finish := grpc.OnFinish(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, status.Code(err))
	})
	check := func(want ...codes.Code) {
		t.Helper()
		eventually(t, "the hook runs", func() bool { mu.Lock(); defer mu.Unlock(); return len(got) > 0 })
		mu.Lock()
		defer mu.Unlock()
		checkEqual(t, fmt.Sprint(got), fmt.Sprint(want))
		got = nil
	}
	drain := func(stub grpc_testing.TestServiceClient, ctx context.Context) {
		t.Helper()
		stream, err := stub.StreamingOutputCall(ctx, new(outputRequest), finish)
		checkCode(t, err, codes.OK)
		for err == nil {
			_, err = stream.Recv()
		}
	}
	stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Idempotent: always})...))
	drain(stub, t.Context()) // with two retries
	check(codes.OK)

	up, err := stub.StreamingInputCall(t.Context(), finish)
	checkCode(t, err, codes.OK)
	_, err = up.CloseAndRecv()
	checkCode(t, err, codes.OK)
	check(codes.OK)

	ctx, cancel := context.WithCancel(t.Context()) // abandoned
	_, err = stub.StreamingOutputCall(ctx, new(outputRequest), finish)
	checkCode(t, err, codes.OK)
	cancel()
	check(codes.Canceled)

	s = &service{output: func(int, outputStream) error { return errDown }}
	stub = grpc_testing.NewTestServiceClient(serve(t, s)(guarded(redoubtgrpc.Client{Policy: quick, Idempotent: always})...))
	drain(stub, t.Context())
	check(codes.Unavailable)

	for range 20 { // done before
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		stream, err := stub.StreamingOutputCall(ctx, new(outputRequest), finish)
		checkCode(t, err, codes.OK)
		_, err = stream.Recv()
		checkCode(t, err, codes.Canceled)
		check(codes.Canceled)
	}

	refusing := redoubtgrpc.Client{Policy: quick, Limit: func(string, string) ratelimit.Waiter { return refusal{} }}
	stub = grpc_testing.NewTestServiceClient(serve(t, s)(guarded(refusing)...))
	drain(stub, t.Context())
	check(codes.ResourceExhausted)
	_, err = stub.FullDuplexCall(t.Context(), finish)
	checkCode(t, err, codes.ResourceExhausted)
	check(codes.ResourceExhausted)
}

// A refusal is a rate limit that refuses every call.
type refusal struct{}

func (refusal) Wait(context.Context) error {
	l := hourly(1)
	l.Allow("a")
	return l.Take("a", 1).Err()
}

// The retries of a stream are nested, as those of a unary call.
func TestRetriesOfAStreamAreNested(t *testing.T) {
	s := &service{output: func(n int, s outputStream) error {
		if n < 2 {
			return errDown
		}
		return send(s, 1)
	}}
	var nested []bool
	client := redoubtgrpc.Client{Policy: quick, Idempotent: always}
	cc := serve(t, s)(grpc.WithChainStreamInterceptor(client.Stream(),
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			nested = append(nested, retry.Nested(ctx))
			return streamer(ctx, desc, cc, method, opts...)
		}))
	stream, err := grpc_testing.NewTestServiceClient(cc).StreamingOutputCall(t.Context(), new(outputRequest))
	checkCode(t, err, codes.OK)
	_, err = stream.Recv()
	checkCode(t, err, codes.OK)
	checkEqual(t, fmt.Sprint(nested), "[false true]")
}

// A stream whose attempt timed out has the code of a deadline, whatever the
// code of gRPC is.
func TestAttemptTimeoutOfAStream(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		t.Run(fmt.Sprintf("idempotent=%v", idempotent), func(t *testing.T) {
			s := &service{output: func(_ int, s outputStream) error { <-s.Context().Done(); return nil }}
			policy := func(string) retry.Policy {
				return retry.Policy{Backoff: retry.Constant(1), AttemptTimeout: 200 * time.Millisecond}
			}
			b, g := gate()
			client := redoubtgrpc.Client{Policy: policy, Gate: g, Idempotent: func(string) bool { return idempotent }}
			stub := grpc_testing.NewTestServiceClient(connected(t, serve(t, s)(guarded(client)...)))
			stream, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
			checkCode(t, err, codes.OK)
			_, err = stream.Recv()
			checkCode(t, err, codes.DeadlineExceeded)
			want := 1
			if idempotent {
				want = 3
			}
			checkEqual(t, len(s.seen()), want)
			checkEqual(t, outcomes(b), judged{0, uint64(want), 0})
		})
	}
}

// A second message of a call with a single message is an error, also while the
// call waits for its answer.
func TestSecondMessageWhileReceiving(t *testing.T) {
	more := make(chan struct{})
	s := &service{output: func(_ int, s outputStream) error { <-more; return send(s, 1) }}
	cc := serve(t, s)(guarded(redoubtgrpc.Client{})...)
	stream, err := cc.NewStream(t.Context(), &grpc.StreamDesc{StreamName: "StreamingOutputCall", ServerStreams: true}, outputMethod)
	checkCode(t, err, codes.OK)
	checkCode(t, stream.SendMsg(new(outputRequest)), codes.OK)
	received := make(chan error)
	go func() { received <- stream.RecvMsg(new(output)) }()
	eventually(t, "the server has the call", func() bool { return len(s.seen()) == 1 })
	time.Sleep(5 * time.Millisecond)
	sent := make(chan error, 1)
	go func() { sent <- stream.SendMsg(new(outputRequest)) }()
	select {
	case err := <-sent:
		checkCode(t, err, codes.Internal)
	case <-time.After(5 * time.Second):
		t.Error("SendMsg waits for the answer")
	}
	close(more)
	checkCode(t, <-received, codes.OK)
	for stream.RecvMsg(new(output)) == nil {
	}
}

// The attempt timeout does not end a stream that the server has answered. The
// context of a stream ends with it.
func TestContextOfAStream(t *testing.T) {
	s := &service{
		output: func(n int, s outputStream) error {
			if n == 1 {
				return errDown
			}
			if err := send(s, 1); err != nil {
				return err
			}
			time.Sleep(600 * time.Millisecond)
			return send(s, 1)
		},
		duplex: func(s grpc_testing.TestService_FullDuplexCallServer) error {
			time.Sleep(600 * time.Millisecond)
			return s.Send(new(output))
		},
	}
	policy := func(string) retry.Policy {
		return retry.Policy{Backoff: retry.Constant(1), AttemptTimeout: 300 * time.Millisecond}
	}
	var used []context.Context
	client := redoubtgrpc.Client{Policy: policy, Idempotent: always}
	cc := serve(t, s)(grpc.WithChainStreamInterceptor(client.Stream(),
		func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			used = append(used, ctx)
			return streamer(ctx, desc, cc, method, opts...)
		}))
	stub := grpc_testing.NewTestServiceClient(connected(t, cc))
	duplex, err := stub.FullDuplexCall(t.Context())
	checkCode(t, err, codes.OK)
	_, err = duplex.Recv()
	checkCode(t, err, codes.OK)
	checkEqual(t, used[0].Err(), nil)
	if _, err = duplex.Recv(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}

	s.mu.Lock()
	s.attempts = nil
	s.mu.Unlock()
	down, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
	checkCode(t, err, codes.OK)
	for range 2 {
		_, err = down.Recv()
		checkCode(t, err, codes.OK)
	}
	if _, err = down.Recv(); err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	checkEqual(t, len(used), 3)
	for _, ctx := range used {
		checkEqual(t, ctx.Err(), context.Canceled)
	}
}
