package redoubtgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
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
