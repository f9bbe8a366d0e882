package redoubtgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// start starts a server in this process and returns a connection to it.
func start(s *service, opts []grpc.ServerOption, dialOpts ...grpc.DialOption) (*grpc.ClientConn, func()) {
	dialer, stop := local(s, opts...)
	dialOpts = append(dialOpts, dialer, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.NewClient("passthrough:///stock", dialOpts...)
	if err != nil {
		panic(err)
	}
	return conn, func() { conn.Close(); stop() }
}

// flaky is a service whose first two calls fail.
func flaky() *service {
	return &service{unary: func(_ context.Context, n int) error {
		if n < 3 {
			return status.Error(codes.Unavailable, "restarting")
		}
		return nil
	}}
}

// local dials a server in this process.
func local(s *service, opts ...grpc.ServerOption) (dialer grpc.DialOption, stop func()) {
	lis := bufconn.Listen(1 << 16)
	srv := grpc.NewServer(opts...)
	grpc_testing.RegisterTestServiceServer(srv, s)
	go func() { _ = srv.Serve(lis) }()
	return grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }), srv.Stop
}

func Example() {
	target, creds := "dns:///stock:443", insecure.NewCredentials()
	gates := breaker.NewGroup(breaker.GroupConfig[string]{})
	policy := retry.Policy{Budget: new(retry.TokenBudget)}
	latency, budget := new(retry.Latency), policy.Budget
	gate := func(method, target string) breaker.Gate { return gates.For(target) }

	client := redoubtgrpc.Client{
		Idempotent: redoubtgrpc.ReadOnly("/shop.Stock/Get"),
		Policy:     func(string) retry.Policy { return policy },
		Gate:       gate,
	}
	client.Hedge = func(string) *retry.Hedge[any] {
		return &retry.Hedge[any]{Latency: latency, Budget: budget}
	}
	conn, err := grpc.NewClient(target,
		grpc.WithChainUnaryInterceptor(client.Unary()),
		grpc.WithChainStreamInterceptor(client.Stream()),
		grpc.WithTransportCredentials(creds))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	fmt.Println(conn.Target())
	// Output: dns:///stock:443
}

func Example_server() {
	perClient := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerSecond(100), MaxKeys: 1024})
	places := bulkhead.New(bulkhead.Config{Limit: 100})
	log := audit.New(audit.Config{Sink: new(memory)})
	actor := func(context.Context) audit.Actor { return audit.Actor{ID: "ann"} }

	server := &redoubtgrpc.Server{
		Limit:    perClient,
		Bulkhead: places,
		MinLeft:  20 * time.Millisecond,
	}
	server.Audit = &redoubtgrpc.Audit{Log: log, Actor: actor}
	srv := grpc.NewServer(
		grpc.InTapHandle(server.Tap()),
		grpc.ChainUnaryInterceptor(server.Unary()),
		grpc.ChainStreamInterceptor(server.Stream()))
	defer srv.Stop()
	fmt.Println(server.Stats().Calls)
	// Output: 0
}

func ExampleClient() {
	dialer, stop := local(flaky())
	defer stop()

	gates := breaker.NewGroup(breaker.GroupConfig[string]{})
	policy := retry.Policy{Backoff: retry.Constant(time.Millisecond), Budget: new(retry.TokenBudget)}
	client := redoubtgrpc.Client{
		Idempotent: redoubtgrpc.ReadOnly(unaryMethod, "/shop.Stock/*"),
		Policy:     func(method string) retry.Policy { return policy },
		Gate:       func(method, target string) breaker.Gate { return gates.For(target) },
	}
	conn, err := grpc.NewClient("passthrough:///stock", dialer,
		grpc.WithChainUnaryInterceptor(client.Unary()),
		grpc.WithChainStreamInterceptor(client.Stream()),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		panic(err)
	}
	defer conn.Close()

	reply, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(context.Background(), new(request))
	fmt.Println(reply.GetHostname(), err)
	// Output: server <nil>
}

func ExampleClient_Unary() {
	client := redoubtgrpc.Client{
		Idempotent: redoubtgrpc.ReadOnly(unaryMethod),
		Policy: func(string) retry.Policy {
			return retry.Policy{Backoff: retry.Constant(time.Millisecond), OnEvent: func(_ context.Context, e retry.Event) {
				fmt.Println(e.Kind, e.Attempt, e.Op, status.Code(e.Err))
			}}
		},
	}
	conn, stop := start(flaky(), nil, grpc.WithUnaryInterceptor(client.Unary()))
	defer stop()

	_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(context.Background(), new(request))
	fmt.Println(err)
	// Output:
	// retry 1 /grpc.testing.TestService/UnaryCall passthrough:///stock Unavailable
	// retry 2 /grpc.testing.TestService/UnaryCall passthrough:///stock Unavailable
	// done 3 /grpc.testing.TestService/UnaryCall passthrough:///stock OK
	// <nil>
}

func ExampleClient_Stream() {
	s := &service{output: func(n int, s outputStream) error {
		if n < 3 {
			return status.Error(codes.Unavailable, "restarting")
		}
		return send(s, 2)
	}}
	client := redoubtgrpc.Client{Idempotent: redoubtgrpc.ReadOnly(outputMethod), Policy: quick}
	conn, stop := start(s, nil, grpc.WithStreamInterceptor(client.Stream()))
	defer stop()

	stream, err := grpc_testing.NewTestServiceClient(conn).StreamingOutputCall(context.Background(), new(outputRequest))
	for err == nil {
		if _, err = stream.Recv(); err == nil {
			fmt.Println("a message")
		}
	}
	fmt.Println(err)
	// Output:
	// a message
	// a message
	// EOF
}

func ExampleServer() {
	perClient := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(2), MaxKeys: 1024})
	places := bulkhead.New(bulkhead.Config{Limit: 100})
	server := &redoubtgrpc.Server{
		Name:     "stock",
		Limit:    perClient,
		Bulkhead: places,
		MinLeft:  20 * time.Millisecond,
		Key: func(ctx context.Context, method string) (string, bool) {
			user := metadata.ValueFromIncomingContext(ctx, "user")
			return fmt.Sprint(user), true
		},
	}
	conn, stop := start(new(service), []grpc.ServerOption{
		grpc.InTapHandle(server.Tap()),
		grpc.ChainUnaryInterceptor(server.Unary()),
		grpc.ChainStreamInterceptor(server.Stream()),
	})
	defer stop()

	for range 3 {
		_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(context.Background(), new(request))
		fmt.Println(status.Code(err), retryInfo(err) > 0)
	}
	fmt.Println(server.Stats().Calls, server.Stats().Limited)
	// Output:
	// OK false
	// OK false
	// ResourceExhausted true
	// 2 1
}

func ExampleServer_Unary() {
	server := &redoubtgrpc.Server{Store: ratelimit.Local(hourly(1)), Key: one}
	conn, stop := start(new(service), []grpc.ServerOption{grpc.UnaryInterceptor(server.Unary())})
	defer stop()

	for range 2 {
		_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(context.Background(), new(request))
		fmt.Println(status.Code(err))
	}
	// Output:
	// OK
	// ResourceExhausted
}

func ExampleServer_Stream() {
	server := &redoubtgrpc.Server{Limit: hourly(1), Key: one}
	conn, stop := start(new(service), []grpc.ServerOption{grpc.StreamInterceptor(server.Stream())})
	defer stop()

	for range 2 {
		stream, err := grpc_testing.NewTestServiceClient(conn).StreamingOutputCall(context.Background(), new(outputRequest))
		if err == nil {
			_, err = stream.Recv()
		}
		fmt.Println(status.Code(err))
	}
	// Output:
	// OK
	// ResourceExhausted
}

func ExampleServer_Tap() {
	server := &redoubtgrpc.Server{Limit: hourly(1), Key: one}
	conn, stop := start(new(service), []grpc.ServerOption{grpc.InTapHandle(server.Tap()), grpc.UnaryInterceptor(server.Unary())})
	defer stop()

	large := &request{Payload: &grpc_testing.Payload{Body: make([]byte, 1<<20)}}
	for range 2 {
		_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(context.Background(), large)
		fmt.Println(status.Code(err))
	}
	// Output:
	// OK
	// ResourceExhausted
}

func ExampleServer_Stats() {
	server := &redoubtgrpc.Server{Name: "stock", MinLeft: time.Minute}
	conn, stop := start(new(service), []grpc.ServerOption{grpc.UnaryInterceptor(server.Unary())})
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(ctx, new(request))
	fmt.Println(status.Code(err), server.Stats().Late)
	// Output: DeadlineExceeded 1
}

func ExampleServer_Validate() {
	server := &redoubtgrpc.Server{Audit: new(redoubtgrpc.Audit)}
	fmt.Println(server.Validate())
	// Output: grpc: Audit.Log is missing
}

func ExampleAudit() {
	sink := new(memory)
	server := &redoubtgrpc.Server{Audit: &redoubtgrpc.Audit{
		Log:   audit.New(audit.Config{Sink: sink}),
		Actor: func(context.Context) audit.Actor { return audit.Actor{Type: "user", ID: "ann"} },
	}}
	conn, stop := start(new(service), []grpc.ServerOption{grpc.UnaryInterceptor(server.Unary())})
	defer stop()

	_, err := grpc_testing.NewTestServiceClient(conn).UnaryCall(context.Background(), new(request))
	for _, e := range sink.all() {
		fmt.Println(e.Actor.ID, e.Action, e.Outcome)
	}
	fmt.Println(err)
	// Output:
	// ann grpc.UnaryCall attempt
	// ann grpc.UnaryCall success
	// <nil>
}

func ExampleAuditOutcome() {
	fmt.Println(redoubtgrpc.AuditOutcome(status.Error(codes.NotFound, "no such order")))
	fmt.Println(redoubtgrpc.AuditOutcome(status.Error(codes.Unauthenticated, "who are you?")))
	// Output:
	// failure grpc_not_found
	// denied grpc_unauthenticated
}

func ExampleByPeer() {
	server := &redoubtgrpc.Server{
		Limit: hourly(1000),
		Key: func(ctx context.Context, method string) (string, bool) {
			if method == "/grpc.health.v1.Health/Check" {
				return "", false // not limited
			}
			return redoubtgrpc.ByPeer(ctx, method)
		},
	}
	fmt.Println(server.Validate())
	// Output: <nil>
}

func ExampleJudge() {
	// This server answers Internal while it has no leader.
	client := redoubtgrpc.Client{Judge: func(err error) redoubtgrpc.Verdict {
		v := redoubtgrpc.Judge(err)
		if status.Code(err) == codes.Internal && status.Convert(err).Message() == "no leader" {
			v.Retry = redoubtgrpc.RetryAlways
		}
		return v
	}}
	fmt.Println(client.Judge(status.Error(codes.Internal, "no leader")).Retry)
	fmt.Println(client.Judge(status.Error(codes.Internal, "bug")).Retry)
	// Output:
	// always
	// never
}

func ExampleVerdict() {
	v := redoubtgrpc.Judge(status.Error(codes.Unavailable, "down"))
	fmt.Println(v.Outcome, v.Retry)
	// Output: failure safe
}

func ExampleRetry() {
	for _, c := range []codes.Code{codes.NotFound, codes.ResourceExhausted, codes.Unavailable} {
		fmt.Println(c, redoubtgrpc.Judge(status.Error(c, "")).Retry)
	}
	// Output:
	// NotFound never
	// ResourceExhausted asked
	// Unavailable safe
}

func ExampleReadOnly() {
	idempotent := redoubtgrpc.ReadOnly("/shop.Stock/Get", "/shop.Catalog/*")
	fmt.Println(idempotent("/shop.Stock/Get"), idempotent("/shop.Stock/Set"), idempotent("/shop.Catalog/List"))
	// Output: true false true
}

func ExampleDeclared() {
	fmt.Println(redoubtgrpc.Declared("/grpc.testing.TestService/UnaryCall"))
	// Output: false
}

func ExampleStatus() {
	database := breaker.New(breaker.Config{Name: "database"})
	database.Trip(time.Minute, errors.New("disk full"))
	err := database.Do(context.Background(), func(context.Context) error { return nil })

	s := redoubtgrpc.Status(err)
	fmt.Println(s.Code(), s.Message())
	slog.Debug("refused", "err", err) // the text that the client does not see
	// Output: Unavailable temporarily unavailable
}
