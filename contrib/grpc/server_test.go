package redoubtgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/breaker"
	redoubtgrpc "github.com/redoubt-go/redoubt/contrib/grpc"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// options returns the options of a server that s guards, with or without Tap.
func options(s *redoubtgrpc.Server, tap bool) []grpc.ServerOption {
	opts := []grpc.ServerOption{grpc.UnaryInterceptor(s.Unary()), grpc.StreamInterceptor(s.Stream())}
	if tap {
		opts = append(opts, grpc.InTapHandle(s.Tap()))
	}
	return opts
}

// one returns a key for all calls.
func one(context.Context, string) (string, bool) { return "all", true }

// retryInfo returns the pause in the details of err, or -1.
func retryInfo(err error) time.Duration {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return -1
}

func hourly(n int64) *ratelimit.Keyed[string] {
	return ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(n), MaxKeys: 16})
}

type brokenStore struct{}

func (brokenStore) TakeKey(ctx context.Context, _ string, _ int64) (ratelimit.Decision, error) {
	if _, ok := ctx.Deadline(); ok || ctx.Err() != nil {
		panic("the store depends on the context of the client")
	}
	return ratelimit.Decision{}, errors.New("store down")
}

func TestServerLimits(t *testing.T) {
	for _, tap := range []bool{true, false} {
		t.Run(fmt.Sprintf("tap=%v", tap), func(t *testing.T) {
			guard := &redoubtgrpc.Server{Name: "api", Limit: hourly(3), Key: one}
			s := &service{}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, tap)...)())
			for range 2 {
				_, err := stub.UnaryCall(t.Context(), new(request))
				checkCode(t, err, codes.OK)
			}
			stream, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
			checkCode(t, err, codes.OK)
			_, err = stream.Recv()
			checkCode(t, err, codes.OK)

			var trailer metadata.MD
			_, err = stub.UnaryCall(t.Context(), new(request), grpc.Trailer(&trailer))
			checkCode(t, err, codes.ResourceExhausted)
			if d := retryInfo(err); d < 19*time.Minute || d > 20*time.Minute {
				t.Errorf("RetryInfo is %v, want 20 minutes", d)
			}
			if ms := trailer.Get("grpc-retry-pushback-ms"); tap != (len(ms) == 0) {
				t.Errorf("the pushback is %q", ms)
			}
			stream, err = stub.StreamingOutputCall(t.Context(), new(outputRequest))
			checkCode(t, err, codes.OK)
			_, err = stream.Recv()
			checkCode(t, err, codes.ResourceExhausted)
			checkEqual(t, len(s.seen()), 3)
			checkEqual(t, guard.Stats(), redoubtgrpc.Stats{Name: "api", Calls: 3, Limited: 2})
		})
	}
}

// A limit does not look at the context of a client.
func TestCanceledCallsCount(t *testing.T) {
	guard := &redoubtgrpc.Server{Store: ratelimit.Local(hourly(5)), Key: one}
	s := &service{}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)())
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(200*time.Microsecond, cancel)
		_, _ = stub.UnaryCall(ctx, new(request))
		cancel()
	}
	if n := len(s.seen()); n > 5 {
		t.Errorf("%d calls reached the handler, want at most 5", n)
	}
}

func TestServerStoreThatIsDown(t *testing.T) {
	for _, serveOnError := range []bool{true, false} {
		t.Run(fmt.Sprintf("ServeOnError=%v", serveOnError), func(t *testing.T) {
			var reported []string
			guard := &redoubtgrpc.Server{
				Store: brokenStore{}, Key: one, ServeOnError: serveOnError,
				OnError: func(_ context.Context, method string, err error) {
					reported = append(reported, fmt.Sprint(method, ": ", err))
				},
			}
			stub := grpc_testing.NewTestServiceClient(serve(t, &service{}, options(guard, false)...)())
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := stub.UnaryCall(ctx, new(request))
			want := codes.Unavailable
			if serveOnError {
				want = codes.OK
			}
			checkCode(t, err, want)
			checkEqual(t, fmt.Sprint(reported), "["+unaryMethod+": store down]")
			checkEqual(t, guard.Stats().StoreErrors, 1)
		})
	}
}

func TestServerBulkhead(t *testing.T) {
	for _, tap := range []bool{true, false} {
		t.Run(fmt.Sprintf("tap=%v", tap), func(t *testing.T) {
			places := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: -1})
			guard := &redoubtgrpc.Server{Bulkhead: places}
			begun := make(chan struct{}, 1)
			s := &service{
				unary:  func(ctx context.Context, _ int) error { begun <- struct{}{}; <-ctx.Done(); return nil },
				output: func(_ int, ss outputStream) error { begun <- struct{}{}; <-ss.Context().Done(); return nil },
			}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, tap)...)())
			for _, hold := range []func(ctx context.Context){
				func(ctx context.Context) { _, _ = stub.UnaryCall(ctx, new(request)) },
				func(ctx context.Context) {
					if stream, err := stub.StreamingOutputCall(ctx, new(outputRequest)); err == nil {
						_, _ = stream.Recv()
					}
				},
			} {
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() { defer close(done); hold(ctx) }()
				<-begun
				_, err := stub.EmptyCall(t.Context(), new(grpc_testing.Empty))
				checkCode(t, err, codes.Unavailable)
				checkEqual(t, places.Inflight(), 1)
				cancel()
				<-done
				eventually(t, "the place is free", func() bool { return places.Inflight() == 0 })
			}
			// A method that does not exist and a request that cannot be decoded
			// never reach a handler.
			cc := serve(t, s, options(guard, tap)...)()
			checkCode(t, cc.Invoke(t.Context(), "/grpc.testing.TestService/Nothing", new(request), new(response)), codes.Unimplemented)
			eventually(t, "the place is free", func() bool { return places.Inflight() == 0 })
			checkEqual(t, guard.Stats().Full, 2)
		})
	}
}

func TestMinLeft(t *testing.T) {
	for _, tap := range []bool{true, false} {
		t.Run(fmt.Sprintf("tap=%v", tap), func(t *testing.T) {
			guard := &redoubtgrpc.Server{MinLeft: time.Second}
			s := &service{}
			b, g := gate()
			client := redoubtgrpc.Client{Policy: quick, Gate: g, Idempotent: always}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, tap)...)(guarded(client)...))
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			_, err := stub.UnaryCall(ctx, new(request))
			checkCode(t, err, codes.DeadlineExceeded)
			if !tap { // the refusals of Tap have no trailer
				checkEqual(t, outcomes(b), judged{0, 0, 1})
			}
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err = stub.UnaryCall(ctx, new(request))
			checkCode(t, err, codes.OK)
			_, err = stub.UnaryCall(t.Context(), new(request))
			checkCode(t, err, codes.OK)
			checkEqual(t, len(s.seen()), 2)
			checkEqual(t, guard.Stats().Late, 1)
		})
	}
}

func TestPriorities(t *testing.T) {
	for _, test := range []struct {
		name    string
		trusted func(context.Context) bool
		value   string
		want    bulkhead.Priority
	}{
		{"nobody is trusted", nil, "2", bulkhead.Normal},
		{"not trusted", func(context.Context) bool { return false }, "2", bulkhead.Normal},
		{"trusted", func(context.Context) bool { return true }, "2", bulkhead.Critical},
		{"no number", func(context.Context) bool { return true }, "high", bulkhead.Normal},
		{"out of range", func(context.Context) bool { return true }, "3", bulkhead.Normal},
		{"from the client", func(context.Context) bool { return true }, "", bulkhead.Low},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got bulkhead.Priority
			s := &service{unary: func(ctx context.Context, _ int) error { got = bulkhead.PriorityFrom(ctx); return nil }}
			guard := &redoubtgrpc.Server{Trusted: test.trusted}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)(guarded(redoubtgrpc.Client{SendPriority: true})...))
			ctx := t.Context()
			if test.value != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, "redoubt-priority", test.value)
			} else {
				ctx = bulkhead.WithPriority(ctx, bulkhead.Low)
			}
			_, err := stub.UnaryCall(ctx, new(request))
			checkCode(t, err, codes.OK)
			checkEqual(t, got, test.want)
		})
	}
}

// The handler of a repeated call does not retry its own calls.
func TestRepeatedCallsAreNested(t *testing.T) {
	var nested []bool
	s := &service{unary: func(ctx context.Context, n int) error {
		nested = append(nested, retry.Nested(ctx))
		if n == 1 {
			return errDown
		}
		return nil
	}}
	client := redoubtgrpc.Client{Policy: quick, Idempotent: always}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(new(redoubtgrpc.Server), false)...)(guarded(client)...))
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.OK)
	checkEqual(t, fmt.Sprint(nested), "[false true]")
}

// A guard in the handler refuses, and the client of the server learns when to
// call again.
func TestRefusalsOfHandlers(t *testing.T) {
	open := breaker.New(breaker.Config{Name: "database"})
	open.Trip(time.Minute, errors.New("secret of the database"))
	for _, test := range []struct {
		name     string
		err      func() error
		code     codes.Code
		info     bool
		pushback bool
	}{
		{"an open breaker", func() error { return open.Do(context.Background(), nil) }, codes.Unavailable, true, true},
		{"a rate limit", func() error { l := hourly(1); l.Allow("a"); return l.Take("a", 1).Err() }, codes.ResourceExhausted, true, true},
		{"a rate limit that never allows", func() error { return hourly(1).Take("a", 2).Err() }, codes.ResourceExhausted, false, true},
		{"a pause", func() error { return retry.After(time.Second, errors.New("busy")) }, codes.Unavailable, true, true},
		{"a status with a pause", func() error { return retry.After(time.Second, status.Error(codes.Aborted, "again")) }, codes.Aborted, true, true},
		{"a status", func() error { return status.Error(codes.NotFound, "no") }, codes.NotFound, false, false},
		{"an error", func() error { return errors.New("boom") }, codes.Unknown, false, false},
		{"the end of a context", func() error { return context.DeadlineExceeded }, codes.DeadlineExceeded, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &service{
				unary:  func(context.Context, int) error { return test.err() },
				output: func(int, outputStream) error { return test.err() },
			}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(new(redoubtgrpc.Server), false)...)())
			var trailer metadata.MD
			_, err := stub.UnaryCall(t.Context(), new(request), grpc.Trailer(&trailer))
			check := func(err error, trailer metadata.MD) {
				t.Helper()
				checkCode(t, err, test.code)
				checkEqual(t, retryInfo(err) > 0, test.info)
				checkEqual(t, len(trailer.Get("grpc-retry-pushback-ms")) == 1, test.pushback)
			}
			check(err, trailer)
			if test.name == "an open breaker" {
				checkEqual(t, status.Convert(err).Message(), "temporarily unavailable")
			}
			stream, err := stub.StreamingOutputCall(t.Context(), new(outputRequest))
			checkCode(t, err, codes.OK)
			_, err = stream.Recv()
			check(err, stream.Trailer())
		})
	}
}

func TestAudit(t *testing.T) {
	sink := new(memory)
	log := audit.New(audit.Config{Sink: sink})
	guard := &redoubtgrpc.Server{Audit: &redoubtgrpc.Audit{
		Log: log,
		Actor: func(ctx context.Context) audit.Actor {
			if v := metadata.ValueFromIncomingContext(ctx, "user"); len(v) > 0 {
				return audit.Actor{Type: "user", ID: v[0]}
			}
			return audit.Actor{}
		},
		Skip: func(_ context.Context, method string) bool { return method == "/grpc.testing.TestService/EmptyCall" },
	}}
	s := &service{
		unary:  func(context.Context, int) error { return status.Error(codes.PermissionDenied, "no") },
		output: func(_ int, s outputStream) error { return send(s, 1) },
	}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)())
	ctx := metadata.AppendToOutgoingContext(t.Context(), "user", "ann")

	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Unauthenticated)
	_, err = stub.UnaryCall(ctx, new(request))
	checkCode(t, err, codes.PermissionDenied)
	stream, err := stub.StreamingOutputCall(ctx, new(outputRequest))
	checkCode(t, err, codes.OK)
	for err == nil {
		_, err = stream.Recv()
	}
	if err != io.EOF {
		t.Errorf("the stream ends with %v", err)
	}
	_, err = stub.EmptyCall(ctx, new(grpc_testing.Empty))
	checkCode(t, err, codes.Unimplemented)

	var got []string
	for _, e := range sink.all() {
		got = append(got, fmt.Sprintf("%s %s %s %s %s", e.Action, e.Actor.ID, e.Outcome, e.Code, e.Target.ID))
	}
	want := []string{
		"grpc.UnaryCall  denied no_actor " + unaryMethod,
		"grpc.UnaryCall ann attempt  " + unaryMethod,
		"grpc.UnaryCall ann denied grpc_permission_denied " + unaryMethod,
		"grpc.StreamingOutputCall ann attempt  " + outputMethod,
		"grpc.StreamingOutputCall ann success  " + outputMethod,
	}
	checkEqual(t, fmt.Sprint(got), fmt.Sprint(want))
	checkEqual(t, len(s.seen()), 2)
}

// A memory is a sink that keeps its events.
type memory struct {
	mu     sync.Mutex
	events []audit.Event
}

func (m *memory) WriteEvents(_ context.Context, events []*audit.Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.events = append(m.events, *e)
	}
	return nil
}

func (m *memory) all() []audit.Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.events)
}

// failingSink fails all events from a given number on.
type failingSink struct{ left int }

func (f *failingSink) WriteEvents(context.Context, []*audit.Event) error {
	if f.left--; f.left < 0 {
		return errors.New("disk full")
	}
	return nil
}

func TestAuditThatFails(t *testing.T) {
	for _, test := range []struct {
		name    string
		records int
		code    codes.Code
		calls   int
	}{
		{"before the call", 0, codes.Unavailable, 0},
		{"after the call", 1, codes.OK, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			reported := make(chan error, 4)
			guard := &redoubtgrpc.Server{
				Audit: &redoubtgrpc.Audit{
					Log:   audit.New(audit.Config{Sink: &failingSink{test.records}}),
					Actor: func(context.Context) audit.Actor { return audit.Actor{ID: "ann"} },
				},
				OnError: func(_ context.Context, _ string, err error) { reported <- err },
			}
			s := &service{}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)())
			_, err := stub.UnaryCall(t.Context(), new(request))
			checkCode(t, err, test.code)
			checkEqual(t, len(s.seen()), test.calls)
			if err := <-reported; err == nil {
				t.Error("no error is reported")
			}
		})
	}
}

func TestPanicsOfHandlers(t *testing.T) {
	sink := new(memory)
	places := bulkhead.New(bulkhead.Config{Limit: 1})
	guard := &redoubtgrpc.Server{Bulkhead: places, Audit: &redoubtgrpc.Audit{
		Log: audit.New(audit.Config{Sink: sink}), Actor: func(context.Context) audit.Actor { return audit.Actor{ID: "ann"} },
	}}
	recovered := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if v := recover(); v != nil {
				err = status.Error(codes.Internal, fmt.Sprint(v))
			}
		}()
		return handler(ctx, req)
	}
	s := &service{unary: func(context.Context, int) error { panic("boom") }}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, grpc.ChainUnaryInterceptor(recovered, guard.Unary()))())
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Internal)
	checkEqual(t, places.Inflight(), 0)
	events := sink.all()
	checkEqual(t, string(events[len(events)-1].Code), "panic")
}

func TestByPeer(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var key string
	guard := &redoubtgrpc.Server{Limit: hourly(1), Key: func(ctx context.Context, method string) (string, bool) {
		k, limited := redoubtgrpc.ByPeer(ctx, method)
		key = k
		return k, limited
	}}
	srv := grpc.NewServer(options(guard, true)...)
	grpc_testing.RegisterTestServiceServer(srv, &service{})
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(lis) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	cc, err := grpc.NewClient("passthrough:///"+lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	_, err = grpc_testing.NewTestServiceClient(cc).UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.OK)
	checkEqual(t, key, "127.0.0.1")
	if _, limited := redoubtgrpc.ByPeer(context.Background(), ""); limited {
		t.Error("a call without a peer is limited")
	}
}

func TestServerValidates(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || err.Error() != "grpc: Audit.Log is missing" {
			t.Errorf("Unary panics with %v", err)
		}
	}()
	(&redoubtgrpc.Server{Audit: new(redoubtgrpc.Audit)}).Unary()
}
