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
	"google.golang.org/grpc/peer"
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
			checkEqual(t, outcomes(b), judged{0, 0, 1}) // although the refusals of Tap have no trailer
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
// call again. But the handler may have had its effect: the server does not ask
// for another attempt.
func TestRefusalsOfHandlers(t *testing.T) {
	open := breaker.New(breaker.Config{Name: "database"})
	open.Trip(time.Minute, errors.New("secret of the database"))
	for _, test := range []struct {
		name     string
		err      func() error
		code     codes.Code
		info     bool
		pushback bool // of -1
	}{
		{"an open breaker", func() error { return open.Do(context.Background(), nil) }, codes.Unavailable, true, false},
		{"a rate limit", func() error { l := hourly(1); l.Allow("a"); return l.Take("a", 1).Err() }, codes.ResourceExhausted, true, false},
		{"a rate limit that never allows", func() error { return hourly(1).Take("a", 2).Err() }, codes.ResourceExhausted, false, true},
		{"a pause", func() error { return retry.After(time.Second, errors.New("busy")) }, codes.Unavailable, true, false},
		{"a status with a pause", func() error { return retry.After(time.Second, status.Error(codes.Aborted, "again")) }, codes.Aborted, true, false},
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
				want := "[]"
				if test.pushback {
					want = "[-1]"
				}
				checkEqual(t, fmt.Sprint(trailer.Get("grpc-retry-pushback-ms")), want)
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
	// A client has all addresses of its prefix.
	for addr, want := range map[string]string{
		"192.0.2.1:80":           "192.0.2.1",
		"[::ffff:192.0.2.1]:80":  "192.0.2.1",
		"[2001:db8::1:2:3:4]:80": "2001:db8::/64",
		"[2001:db8::ffff]:443":   "2001:db8::/64",
		"[2001:db8:0:1::1]:443":  "2001:db8:0:1::/64",
		"[fe80::1%eth0]:443":     "fe80::/64",
		"node-7.example:443":     "node-7.example",
		"/run/shop.sock":         "",
		":443":                   "",
	} {
		ctx := peer.NewContext(context.Background(), &peer.Peer{Addr: address(addr)})
		got, limited := redoubtgrpc.ByPeer(ctx, "")
		checkEqual(t, got, want)
		checkEqual(t, limited, want != "")
	}
}

// An address is the text of a net.Addr.
type address string

func (address) Network() string  { return "test" }
func (a address) String() string { return string(a) }

func TestServerValidates(t *testing.T) {
	defer func() {
		if err, ok := recover().(error); !ok || err.Error() != "grpc: Audit.Log is missing" {
			t.Errorf("Unary panics with %v", err)
		}
	}()
	(&redoubtgrpc.Server{Audit: new(redoubtgrpc.Audit)}).Unary()
}

// The refusal of a guard in front of another system does not name that system.
func TestRefusalsOfClientsInHandlers(t *testing.T) {
	down := func(context.Context, int) error { return asking(codes.Unavailable, time.Hour) }
	patient := func(string) retry.Policy { return retry.Policy{MaxAttempts: 1} }
	open := breaker.New(breaker.Config{Name: "secret"})
	open.Trip(time.Minute, errors.New("secret"))
	limited := func(string, string) ratelimit.Waiter { return refusal{} }
	for _, test := range []struct {
		name     string
		client   redoubtgrpc.Client
		code     codes.Code
		text     string
		info     bool
		pushback string
	}{
		{"an open breaker", redoubtgrpc.Client{Gate: func(string, string) breaker.Gate { return open }}, codes.Unavailable, "temporarily unavailable", false, "[-1]"},
		{"a rate limit", redoubtgrpc.Client{Limit: limited}, codes.ResourceExhausted, "rate limit exceeded", false, "[-1]"},
		{"a pause that is too long", redoubtgrpc.Client{Idempotent: always}, codes.Unavailable, "", false, "[-1]"},
		{"another server", redoubtgrpc.Client{Policy: patient}, codes.Unavailable, "", true, "[]"},
	} {
		t.Run(test.name, func(t *testing.T) {
			below := grpc_testing.NewTestServiceClient(serve(t, &service{unary: down})(guarded(test.client)...))
			s := &service{unary: func(ctx context.Context, _ int) error {
				_, err := below.UnaryCall(ctx, new(request))
				return fmt.Errorf("stock: %w", err)
			}}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(new(redoubtgrpc.Server), false)...)())
			var trailer metadata.MD
			_, err := stub.UnaryCall(t.Context(), new(request), grpc.Trailer(&trailer))
			checkCode(t, err, test.code)
			if test.text != "" {
				checkEqual(t, status.Convert(err).Message(), test.text)
			}
			checkEqual(t, retryInfo(err) > 0, test.info)
			checkEqual(t, fmt.Sprint(trailer.Get("grpc-retry-pushback-ms")), test.pushback)
		})
	}
}

// Only a number of attempts nests a call.
func TestMetadataOfAttempts(t *testing.T) {
	for value, want := range map[string]bool{"0": false, "1": true, "7": true, "": false, "many": false, "-1": false, "1.5": false} {
		t.Run(value, func(t *testing.T) {
			var nested bool
			s := &service{unary: func(ctx context.Context, _ int) error { nested = retry.Nested(ctx); return nil }}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(new(redoubtgrpc.Server), false)...)())
			_, err := stub.UnaryCall(metadata.AppendToOutgoingContext(t.Context(), "grpc-previous-rpc-attempts", value), new(request))
			checkCode(t, err, codes.OK)
			checkEqual(t, nested, want)
		})
	}
}

// A client that goes while it waits for a place was not refused.
func TestCallsThatAreGivenUpAreNotFull(t *testing.T) {
	places := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: 10})
	guard := &redoubtgrpc.Server{Bulkhead: places}
	begun := make(chan struct{})
	s := &service{unary: func(ctx context.Context, _ int) error { close(begun); <-ctx.Done(); return nil }}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _, _ = stub.UnaryCall(ctx, new(request)) }()
	<-begun
	waiting, leave := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer leave()
	_, err := stub.UnaryCall(waiting, new(request))
	checkCode(t, err, codes.DeadlineExceeded)
	cancel()
	<-done
	eventually(t, "the place is free", func() bool { return places.Inflight() == 0 })
	checkEqual(t, guard.Stats().Full, 0)
}

// A call of the same server inside a handler passes the guards by itself.
func TestCallsInsideTheProcess(t *testing.T) {
	guard := &redoubtgrpc.Server{Limit: hourly(1), Key: one}
	var inside error
	s := &service{unary: func(ctx context.Context, _ int) error {
		_, inside = guard.Unary()(ctx, nil, &grpc.UnaryServerInfo{FullMethod: "/a.B/C"},
			func(context.Context, any) (any, error) { return nil, nil })
		return nil
	}}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, true)...)())
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.OK)
	checkCode(t, inside, codes.ResourceExhausted)
}

// Behind a proxy, the address of the client is in the metadata.
func TestSourceOfAnAudit(t *testing.T) {
	sink := new(memory)
	guard := &redoubtgrpc.Server{Audit: &redoubtgrpc.Audit{
		Log:    audit.New(audit.Config{Sink: sink}),
		Actor:  func(context.Context) audit.Actor { return audit.Actor{ID: "ann"} },
		Source: func(context.Context) string { return "192.0.2.7" },
	}}
	stub := grpc_testing.NewTestServiceClient(serve(t, new(service), options(guard, false)...)())
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.OK)
	checkEqual(t, sink.all()[0].Source, "192.0.2.7")
}

// A call with an effect is made once, even if a guard after the effect refuses.
func TestEffectsHappenOnce(t *testing.T) {
	s := &service{unary: func(_ context.Context, n int) error {
		if n > 1 {
			return nil
		}
		return retry.After(time.Millisecond, errors.New("busy")) // as an open breaker
	}}
	client := redoubtgrpc.Client{Policy: quick, Idempotent: never}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(new(redoubtgrpc.Server), false)...)(guarded(client)...))
	_, err := stub.UnaryCall(t.Context(), new(request))
	checkCode(t, err, codes.Unavailable)
	checkEqual(t, len(s.seen()), 1)
}

// A refusal before the handler asks for another attempt, whatever the method.
func TestRefusedCallsAreRepeated(t *testing.T) {
	s := &service{}
	guard := &redoubtgrpc.Server{Key: one, Limit: ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.Limit{N: 20, Per: time.Second, Burst: 1}, MaxKeys: 16})}
	client := redoubtgrpc.Client{Policy: quick, Idempotent: never}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)(guarded(client)...))
	for range 3 {
		_, err := stub.UnaryCall(t.Context(), new(request))
		checkCode(t, err, codes.OK)
	}
	checkEqual(t, len(s.seen()), 3)
}

// An adaptive bulkhead knows the errors of contexts. It gets them for the codes
// of gRPC, on both sides.
func TestErrorsForABulkhead(t *testing.T) {
	for code, want := range map[codes.Code]error{
		codes.OK:               nil,
		codes.DeadlineExceeded: context.DeadlineExceeded,
		codes.Canceled:         context.Canceled,
		codes.NotFound:         status.Error(codes.NotFound, "scripted"),
	} {
		t.Run(code.String(), func(t *testing.T) {
			var mu sync.Mutex
			var got []error
			classify := func(err error) bulkhead.Outcome {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, err)
				return bulkhead.Classify(err)
			}
			guard := &redoubtgrpc.Server{Bulkhead: adaptive(classify)}
			places := adaptive(classify)
			client := redoubtgrpc.Client{Bulkhead: func(string, string) *bulkhead.Bulkhead { return places }}
			s := &service{unary: func(context.Context, int) error { return status.Error(code, "scripted") }}
			stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)(guarded(client)...))
			_, err := stub.UnaryCall(t.Context(), new(request))
			checkCode(t, err, code)
			mu.Lock()
			defer mu.Unlock()
			if want == nil {
				checkEqual(t, len(got), 0)
				return
			}
			checkEqual(t, len(got), 2)
			for _, err := range got {
				checkEqual(t, errors.Is(err, want), true)
			}
		})
	}
}

// A strict is a sink that writes nothing for a client that has gone.
type strict struct{ memory }

func (s *strict) WriteEvents(ctx context.Context, events []*audit.Event) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return s.memory.WriteEvents(ctx, events)
}

// The end of a call is recorded although its client has gone, and its time is
// no measure for a bulkhead.
func TestClientsThatHaveGone(t *testing.T) {
	sink := new(strict)
	classified := make(chan error, 1)
	guard := &redoubtgrpc.Server{
		Audit: &redoubtgrpc.Audit{
			Log:   audit.New(audit.Config{Sink: sink}),
			Actor: func(context.Context) audit.Actor { return audit.Actor{ID: "ann"} },
		},
		Bulkhead: adaptive(func(err error) bulkhead.Outcome { classified <- err; return bulkhead.OutcomeIgnored }),
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{unary: func(ctx context.Context, _ int) error { cancel(); <-ctx.Done(); return nil }}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)())
	_, err := stub.UnaryCall(ctx, new(request))
	checkCode(t, err, codes.Canceled)
	checkEqual(t, errors.Is(<-classified, context.Canceled), true)
	checkEqual(t, len(sink.all()), 2)
}

// A client with many waiting calls delays another client by one of them.
func TestKeysTakeTurns(t *testing.T) {
	places := bulkhead.New(bulkhead.Config{Limit: 1, MaxQueue: 10})
	guard := &redoubtgrpc.Server{Bulkhead: places, Key: func(ctx context.Context, _ string) (string, bool) {
		return metadata.ValueFromIncomingContext(ctx, "user")[0], true
	}}
	release := make(chan struct{})
	var mu sync.Mutex
	var order []string
	s := &service{unary: func(ctx context.Context, _ int) error {
		mu.Lock()
		order = append(order, metadata.ValueFromIncomingContext(ctx, "user")[0])
		mu.Unlock()
		<-release
		return nil
	}}
	stub := grpc_testing.NewTestServiceClient(serve(t, s, options(guard, false)...)())
	var calls sync.WaitGroup
	for i, user := range []string{"a", "a", "a", "a", "b"} {
		calls.Go(func() {
			_, err := stub.UnaryCall(metadata.AppendToOutgoingContext(t.Context(), "user", user), new(request))
			checkCode(t, err, codes.OK)
		})
		eventually(t, "the call waits", func() bool { return places.Inflight()+places.Queued() == i+1 })
	}
	for range 5 {
		release <- struct{}{}
	}
	calls.Wait()
	if turn := slices.Index(order, "b"); turn < 1 || turn > 2 {
		t.Errorf("the order is %v, want b second or third", order)
	}
}
