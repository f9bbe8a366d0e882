package redoubtgrpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A panic of a function of the Client, or of an interceptor inside, passes on.
// The place and the call of the guards are returned.
func TestPanicsInsideAClient(t *testing.T) {
	tests := []struct {
		name   string
		change func(*redoubtgrpc.Client)
		inner  bool // an interceptor inside panics
		judged judged
	}{
		{"Gate", func(c *redoubtgrpc.Client) { c.Gate = func(string, string) breaker.Gate { panic("boom") } }, false, judged{}},
		{"Limit", func(c *redoubtgrpc.Client) { c.Limit = func(string, string) ratelimit.Waiter { panic("boom") } }, false, judged{0, 0, 1}},
		{"Judge", func(c *redoubtgrpc.Client) { c.Judge = func(error) redoubtgrpc.Verdict { panic("boom") } }, false, judged{0, 1, 0}},
		{"an interceptor", func(*redoubtgrpc.Client) {}, true, judged{0, 1, 0}},
	}
	for _, test := range tests {
		for _, kind := range []string{"unary", "server stream", "client stream"} {
			t.Run(test.name+"/"+kind, func(t *testing.T) {
				down := func(context.Context, int) error { return errDown }
				s := &service{
					unary:  down,
					output: func(int, outputStream) error { return errDown },
					duplex: func(grpc_testing.TestService_FullDuplexCallServer) error { return errDown },
				}
				b, g := gate()
				places := bulkhead.New(bulkhead.Config{Limit: 1})
				client := redoubtgrpc.Client{Policy: quick, Gate: g, Bulkhead: func(string, string) *bulkhead.Bulkhead { return places }}
				test.change(&client)
				opts := guarded(client)
				if test.inner {
					opts = []grpc.DialOption{
						grpc.WithChainUnaryInterceptor(client.Unary(), func(context.Context, string, any, any, *grpc.ClientConn, grpc.UnaryInvoker, ...grpc.CallOption) error {
							panic("boom")
						}),
						grpc.WithChainStreamInterceptor(client.Stream(), func(context.Context, *grpc.StreamDesc, *grpc.ClientConn, string, grpc.Streamer, ...grpc.CallOption) (grpc.ClientStream, error) {
							panic("boom")
						}),
					}
				}
				stub := grpc_testing.NewTestServiceClient(serve(t, s)(opts...))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				func() {
					defer func() {
						if v := recover(); v != "boom" {
							t.Errorf("the panic is %v", v)
						}
					}()
					switch kind {
					case "unary":
						_, _ = stub.UnaryCall(ctx, new(request))
					case "server stream":
						if stream, err := stub.StreamingOutputCall(ctx, new(outputRequest)); err == nil {
							_, _ = stream.Recv()
						}
					case "client stream":
						if stream, err := stub.FullDuplexCall(ctx); err == nil {
							_, _ = stream.Recv()
						}
					}
				}()
				checkEqual(t, places.Inflight(), 0)
				checkEqual(t, outcomes(b), test.judged)
			})
		}
	}
}

// A call that a guard refuses leaves nothing in the guards before it.
func TestRefusedCallsLeaveNothing(t *testing.T) {
	b, g := gate()
	open := breaker.New(breaker.Config{Name: "stock"})
	open.Trip(time.Hour, errDown)
	for name, change := range map[string]func(*redoubtgrpc.Client){
		"Gate":  func(c *redoubtgrpc.Client) { c.Gate = func(string, string) breaker.Gate { return open } },
		"Limit": func(c *redoubtgrpc.Client) { c.Limit = func(string, string) ratelimit.Waiter { return refusal{} } },
	} {
		t.Run(name, func(t *testing.T) {
			places := bulkhead.New(bulkhead.Config{Limit: 1})
			client := redoubtgrpc.Client{Policy: quick, Gate: g, Bulkhead: func(string, string) *bulkhead.Bulkhead { return places }}
			change(&client)
			before := b.Stats().Ignored
			s := &service{}
			stub := grpc_testing.NewTestServiceClient(serve(t, s)(guarded(client)...))
			_, err := stub.UnaryCall(t.Context(), new(request))
			checkEqual(t, err != nil, true)
			checkEqual(t, places.Inflight(), 0)
			_, err = stub.FullDuplexCall(t.Context())
			checkEqual(t, err != nil, true)
			checkEqual(t, places.Inflight(), 0)
			stream, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
			checkCode(t, err, codes.OK)
			_, err = stream.Recv()
			checkEqual(t, err != nil, true)
			checkEqual(t, places.Inflight(), 0)
			if name == "Limit" {
				checkEqual(t, b.Stats().Ignored-before, 3)
			}
			checkEqual(t, len(s.seen()), 0)
		})
	}
}
