package redoubtgrpc_test

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/durationpb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

const (
	unaryMethod  = "/grpc.testing.TestService/UnaryCall"
	outputMethod = "/grpc.testing.TestService/StreamingOutputCall"
)

type (
	request      = grpc_testing.SimpleRequest
	response     = grpc_testing.SimpleResponse
	outputStream = grpc_testing.TestService_StreamingOutputCallServer
)

// A service is a server whose answers are functions. Attempts count from 1.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	unary  func(ctx context.Context, n int) error
	output func(n int, s outputStream) error
	input  func(s grpc_testing.TestService_StreamingInputCallServer) error
	duplex func(s grpc_testing.TestService_FullDuplexCallServer) error

	mu       sync.Mutex
	attempts []string // the grpc-previous-rpc-attempts of each call, "" without
}

// begin counts a call.
func (s *service) begin(ctx context.Context) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := ""
	if v := metadata.ValueFromIncomingContext(ctx, "grpc-previous-rpc-attempts"); len(v) > 0 {
		before = v[0]
	}
	s.attempts = append(s.attempts, before)
	return len(s.attempts)
}

func (s *service) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.attempts)
}

func (s *service) UnaryCall(ctx context.Context, req *request) (*response, error) {
	n := s.begin(ctx)
	if s.unary != nil {
		if err := s.unary(ctx, n); err != nil {
			return nil, err
		}
	}
	return &response{Username: req.GetResponseStatus().GetMessage(), Hostname: "server"}, nil
}

func (s *service) StreamingOutputCall(_ *grpc_testing.StreamingOutputCallRequest, ss outputStream) error {
	n := s.begin(ss.Context())
	if s.output == nil {
		return ss.Send(new(grpc_testing.StreamingOutputCallResponse))
	}
	return s.output(n, ss)
}

func (s *service) StreamingInputCall(ss grpc_testing.TestService_StreamingInputCallServer) error {
	s.begin(ss.Context())
	return s.input(ss)
}

func (s *service) FullDuplexCall(ss grpc_testing.TestService_FullDuplexCallServer) error {
	s.begin(ss.Context())
	return s.duplex(ss)
}

// serve starts s in this process and returns a dialer of connections to it.
func serve(t testing.TB, s *service, opts ...grpc.ServerOption) func(...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	srv := grpc.NewServer(opts...)
	grpc_testing.RegisterTestServiceServer(srv, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(lis) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	return func(opts ...grpc.DialOption) *grpc.ClientConn {
		return dial(t, "passthrough:///bufconn", append(opts, grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return lis.DialContext(ctx)
		}))...)
	}
}

func dial(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpc.NewClient(target, append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// connected waits until cc has a connection. An attempt without a connection is
// not sent.
func connected(t *testing.T, cc *grpc.ClientConn) *grpc.ClientConn {
	t.Helper()
	cc.Connect()
	eventually(t, "the connection is ready", func() bool { return cc.GetState() == connectivity.Ready })
	return cc
}

// guarded returns the options of a connection that c guards.
func guarded(c redoubtgrpc.Client) []grpc.DialOption {
	return []grpc.DialOption{grpc.WithUnaryInterceptor(c.Unary()), grpc.WithStreamInterceptor(c.Stream())}
}

// quick is a policy with short pauses.
func quick(string) retry.Policy {
	return retry.Policy{Backoff: retry.Constant(time.Millisecond)}
}

func always(string) bool { return true }
func never(string) bool  { return false }

// gate returns a breaker that does not open, and a function for Client.Gate.
func gate() (*breaker.Breaker, func(string, string) breaker.Gate) {
	b := breaker.New(breaker.Config{Name: "test", Consecutive: -1, FailureRatio: -1, MinCalls: -1, TripIf: func(breaker.Stats) bool { return false }})
	return b, func(string, string) breaker.Gate { return b }
}

// adaptive returns a bulkhead that measures, and passes errors to classify.
func adaptive(classify func(error) bulkhead.Outcome) *bulkhead.Bulkhead {
	return bulkhead.New(bulkhead.Config{Limit: 10, Adaptive: true, Classify: classify})
}

// outcomes returns how often b has seen each outcome.
func outcomes(b *breaker.Breaker) [3]uint64 {
	s := b.Stats()
	return [3]uint64{s.Successes, s.Failures, s.Ignored}
}

// pushback sets the trailer of a unary call.
func pushback(ctx context.Context, values ...string) {
	for _, v := range values {
		_ = grpc.SetTrailer(ctx, metadata.Pairs("grpc-retry-pushback-ms", v))
	}
}

// asking returns an error with google.rpc.RetryInfo.
func asking(code codes.Code, pause time.Duration) error {
	s, err := status.New(code, "later").WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(pause)})
	if err != nil {
		panic(err)
	}
	return s.Err()
}

func checkCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("the code is %v, want %v: %v", got, want, err)
	}
}

func checkEqual[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// eventually waits until ok returns true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(2 * time.Millisecond)
	}
	t.Errorf("never: %s", what)
}
