package grpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/failsafegrpc"
	"github.com/failsafe-go/failsafe-go/ratelimiter"
	"github.com/failsafe-go/failsafe-go/retrypolicy"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/test/bufconn"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit"
	redoubtbulkhead "github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

type service struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (service) UnaryCall(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{Hostname: "server"}, nil
}

const fast = 1e9 // events a second: the limit never refuses

// impls are the interceptors of the client and the options of the server. All
// of them, except floor, retry, break, limit the rate and bound the
// concurrency.
var impls = []struct {
	name   string
	client func() []grpc.DialOption
	server func() []grpc.ServerOption
}{
	{"redoubt", func() []grpc.DialOption {
		b := breaker.New(breaker.Config{Name: "b"})
		l := ratelimit.New(ratelimit.PerSecond(fast))
		h := redoubtbulkhead.New(redoubtbulkhead.Config{Limit: 100})
		c := redoubtgrpc.Client{
			Policy:   func(string) retry.Policy { return retry.Policy{} },
			Gate:     func(string, string) breaker.Gate { return b },
			Limit:    func(string, string) ratelimit.Waiter { return l },
			Bulkhead: func(string, string) *redoubtbulkhead.Bulkhead { return h },
		}
		return []grpc.DialOption{grpc.WithUnaryInterceptor(c.Unary())}
	}, nil},
	{"failsafe", func() []grpc.DialOption {
		return []grpc.DialOption{grpc.WithUnaryInterceptor(failsafegrpc.NewUnaryClientInterceptor[any](
			retrypolicy.NewWithDefaults[any](),
			circuitbreaker.NewWithDefaults[any](),
			ratelimiter.NewSmooth[any](fast, time.Second),
			bulkhead.New[any](100),
		))}
	}, nil},
	{"floor-none", func() []grpc.DialOption { return nil }, nil},
}

// Unary is a call that succeeds, over an in-memory connection.
func BenchmarkUnary(b *testing.B) {
	for _, impl := range impls {
		b.Run("impl="+impl.name, func(b *testing.B) {
			lis := bufconn.Listen(1 << 20)
			srv := grpc.NewServer()
			grpc_testing.RegisterTestServiceServer(srv, service{})
			go func() { _ = srv.Serve(lis) }()
			defer srv.Stop()
			opts := append(impl.client(), grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
			conn, err := grpc.NewClient("passthrough:///bufconn", opts...)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			stub := grpc_testing.NewTestServiceClient(conn)
			b.ReportAllocs()
			for b.Loop() {
				r, err := stub.UnaryCall(context.Background(), &grpc_testing.SimpleRequest{})
				if err != nil || r.GetHostname() != "server" {
					b.Fatal(r, err)
				}
			}
		})
	}
}
