package redoubtgrpc_test

import (
	"context"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// A storm of calls and streams that are canceled at any time leaves no
// goroutine, no place and no call behind, on either side.
func TestNothingIsLeftAfterCancels(t *testing.T) {
	places, servers := bulkhead.New(bulkhead.Config{Limit: 50}), bulkhead.New(bulkhead.Config{Limit: 20, MaxQueue: 1000})
	b, g := gate()
	client := redoubtgrpc.Client{
		Policy:     quick,
		Hedge:      func(method string) *retry.Hedge[any] { return &retry.Hedge[any]{Delay: time.Millisecond} },
		Idempotent: always,
		Gate:       g,
		Limit:      func(string, string) ratelimit.Waiter { return ratelimit.New(ratelimit.PerSecond(1e6)) },
		Bulkhead:   func(string, string) *bulkhead.Bulkhead { return places },
	}
	server := &redoubtgrpc.Server{Bulkhead: servers, MinLeft: time.Millisecond}
	s := &service{
		unary: func(_ context.Context, n int) error {
			time.Sleep(time.Duration(n%5) * time.Millisecond)
			if n%3 == 0 {
				return errDown
			}
			return nil
		},
		output: func(n int, s outputStream) error {
			if n%4 == 0 {
				return errDown
			}
			for range 5 {
				time.Sleep(time.Millisecond)
				if err := s.Send(new(output)); err != nil {
					return err
				}
			}
			return nil
		},
		duplex: func(s grpc_testing.TestService_FullDuplexCallServer) error {
			for {
				if _, err := s.Recv(); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if err := s.Send(new(output)); err != nil {
					return err
				}
			}
		},
	}
	connect := serve(t, s, grpc.InTapHandle(server.Tap()), grpc.UnaryInterceptor(server.Unary()), grpc.StreamInterceptor(server.Stream()))
	stub := grpc_testing.NewTestServiceClient(connect(guarded(client)...))
	_, _ = stub.UnaryCall(t.Context(), new(request)) // connects
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 40 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(8000))*time.Microsecond)
				switch rand.IntN(3) {
				case 0:
					_, _ = stub.UnaryCall(ctx, new(request))
				case 1:
					if stream, err := stub.StreamingOutputCall(ctx, new(outputRequest)); err == nil {
						for rand.IntN(4) > 0 && err == nil {
							_, err = stream.Recv()
						}
					}
				case 2:
					if stream, err := stub.FullDuplexCall(ctx); err == nil {
						for rand.IntN(4) > 0 && err == nil {
							if err = stream.Send(new(outputRequest)); err == nil {
								_, err = stream.Recv()
							}
						}
					}
				}
				cancel()
			}
		})
	}
	all.Wait()
	eventually(t, "the places of the client are free", func() bool { return places.Inflight() == 0 })
	eventually(t, "the places of the server are free", func() bool { return servers.Inflight() == 0 })
	eventually(t, "the goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	// A call that was never reported would count as running for ever.
	checkEqual(t, b.Stats().Overdue, 0)
	checkEqual(t, b.State(), breaker.StateClosed)
}
