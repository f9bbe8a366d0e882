package redoubtgrpc

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
	"github.com/redoubt-go/redoubt/retry"
)

// A Server guards the methods of a gRPC server. Its functions may be called
// concurrently. A call passes MinLeft, Limit, Store, Bulkhead and Audit in this
// order, and then reaches its handler. A refusal has the code ResourceExhausted
// (a rate limit), Unavailable or DeadlineExceeded (MinLeft). It contains the
// time of the next attempt as google.rpc.RetryInfo and grpc-retry-pushback-ms.
// A handler's error with a method RetryAfter contains RetryInfo alone, because
// the handler may have had its effect; see [Status]. The zero Server refuses no
// call.
//
// A call that the client has made again is [retry.Nested]: the handler's own
// calls are not retried, so that retries do not multiply. Any client can state
// that by the metadata grpc-previous-rpc-attempts, and gets fewer retries. Work
// that several calls share needs retry.Unnest.
//
// A Server must not be copied or changed after its first use.
type Server struct {
	// Name names the server in Stats.
	Name string

	// Limit limits calls in this process. It never waits, so that Tap can
	// ask it. Nil means no limit.
	Limit *ratelimit.Keyed[string]

	// Store limits calls, usually for several processes. Tap does not ask
	// it, because it may wait. Nil means no limit.
	Store ratelimit.Store

	// Key returns the key that a call is counted under by Limit and Store,
	// and reports whether the call is limited at all. Tap calls it with the
	// peer and the metadata of the call, without the values of other
	// interceptors, and while the connection waits. Nil means [ByPeer].
	Key func(ctx context.Context, method string) (key string, limited bool)

	// ServeOnError serves calls when Store returns an error. By default
	// they are refused as Unavailable.
	ServeOnError bool

	// Bulkhead bounds the calls in progress. A stream holds its place until
	// it ends. Waiting calls with different keys take turns, as tenants do; see
	// bulkhead.WithTenant. Tap does not wait for a place. Nil means no bound.
	Bulkhead *bulkhead.Bulkhead

	// MinLeft is the time that a call needs at least. A call whose deadline
	// is nearer is refused. Zero or negative means that no call is refused.
	MinLeft time.Duration

	// Trusted reports whether the client may set the priority of its calls;
	// see Client.SendPriority. Nil means that no client may.
	Trusted func(ctx context.Context) bool

	// Audit records the calls. Nil means no records.
	Audit *Audit

	// OnError is called with each error of Store, and each error of Audit
	// that the client did not see. It may be nil. It must not block.
	OnError func(ctx context.Context, method string, err error)

	calls, limited, full, late, unrecorded, failed atomic.Uint64
}

// Stats are the figures of a Server since it was made.
type Stats struct {
	Name        string `json:"name"`         // of the server
	Calls       uint64 `json:"calls"`        // that reached their handler
	Limited     uint64 `json:"limited"`      // refused by Limit or Store
	Full        uint64 `json:"full"`         // refused by Bulkhead
	Late        uint64 `json:"late"`         // refused by MinLeft
	Unrecorded  uint64 `json:"unrecorded"`   // refused because Audit failed
	StoreErrors uint64 `json:"store_errors"` // errors of Store
}

// Stats returns the figures.
func (s *Server) Stats() Stats {
	return Stats{
		s.Name, s.calls.Load(), s.limited.Load(), s.full.Load(), s.late.Load(), s.unrecorded.Load(), s.failed.Load(),
	}
}

// Validate returns an error that joins all problems of s.
func (s *Server) Validate() error {
	if s.Audit != nil && s.Audit.Log == nil {
		return errors.New("grpc: Audit.Log is missing")
	}
	return nil
}

// ByPeer returns the IP address of the client for Server.Key, or its prefix of
// 64 bits for IPv6, because a client has all addresses of its prefix. Behind a
// proxy, that is the address of the proxy. A client without an IP address, such
// as a client of a Unix socket, is not limited.
func ByPeer(ctx context.Context, _ string) (key string, limited bool) {
	key = host(ctx)
	if ip, err := netip.ParseAddr(key); err == nil {
		p := ratelimithttp.IPKey(ip, 32, 64)
		if key = p.String(); p.IsSingleIP() {
			key = p.Addr().String()
		}
	}
	return key, key != ""
}

// host returns the address of the client without its port, or "".
func host(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return ""
	}
	return host
}

// Unary returns the interceptor for unary methods; see
// grpc.ChainUnaryInterceptor. It panics with the error of Validate, if any.
func (s *Server) Unary() grpc.UnaryServerInterceptor {
	s.check()
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		ctx, c, err := s.admit(ctx, info.FullMethod)
		if err == nil {
			err = c.serve(ctx, func(ctx context.Context) (err error) {
				resp, err = handler(ctx, req)
				return err
			})
		}
		if err == nil {
			return resp, nil
		}
		if md := c.pushback(err); md != nil {
			_ = grpc.SetTrailer(ctx, md) // an error means that the call is over
		}
		return resp, Status(err).Err()
	}
}

// Stream returns the interceptor for streams; see grpc.ChainStreamInterceptor.
// It panics with the error of Validate, if any.
func (s *Server) Stream() grpc.StreamServerInterceptor {
	s.check()
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, c, err := s.admit(ss.Context(), info.FullMethod)
		if err == nil {
			err = c.serve(ctx, func(ctx context.Context) error {
				return handler(srv, serverStream{ss, ctx})
			})
		}
		if err == nil {
			return nil
		}
		if md := c.pushback(err); md != nil {
			ss.SetTrailer(md)
		}
		return Status(err).Err()
	}
}

// Tap returns the handle that refuses calls before their message is read and
// decoded; see grpc.InTapHandle. It asks MinLeft, Limit and Bulkhead, and never
// waits: it fills the places of Bulkhead and leaves its queue to calls without
// Tap. The interceptors do not ask again for a call that has passed Tap. Its
// refusals have no grpc-retry-pushback-ms, only RetryInfo.
//
// A call holds its place while its message arrives, so a client that sends
// slowly holds places. If such clients are possible, bound the calls in the
// interceptors: use Tap with a second Server that has no Bulkhead.
//
// It panics with the error of Validate, if any.
func (s *Server) Tap() tap.ServerInHandle {
	s.check()
	return func(ctx context.Context, info *tap.Info) (context.Context, error) {
		c := &call{server: s, method: info.FullMethodName, tapped: true}
		err := c.early(ctx)
		if err == nil && s.Bulkhead != nil {
			var ok bool
			if c.permit, ok = s.Bulkhead.TryAcquire(); !ok {
				s.full.Add(1)
				err = errFull
			}
		}
		if err != nil {
			return ctx, Status(err).Err()
		}
		if c.permit != nil {
			// The handler of a call may never run. Its context ends
			// always.
			c.unwatch = context.AfterFunc(ctx, c.permit.Release)
		}
		return context.WithValue(ctx, s, c), nil
	}
}

// errFull is the refusal of Tap.
var errFull = &refused{errors.New("grpc: full")}

// A refused is a refusal of this package.
type refused struct{ error }

func (*refused) Rejected() bool { return true }

func (s *Server) check() {
	if err := s.Validate(); err != nil {
		panic(err)
	}
}

// A call is a call of a client.
type call struct {
	server  *Server
	method  string
	tapped  bool
	served  atomic.Bool // by an interceptor
	handled bool        // by the handler
	permit  *bulkhead.Permit
	unwatch func() bool // keeps the end of the context from returning permit
}

// admit asks all guards. It returns the context for the handler.
func (s *Server) admit(ctx context.Context, method string) (context.Context, *call, error) {
	c, ok := ctx.Value(s).(*call)
	if !ok || c.served.Swap(true) { // or a call inside the process, of a handler
		c = &call{server: s, method: method}
		if err := c.early(ctx); err != nil {
			return ctx, c, err
		}
	}
	if err := c.store(ctx); err != nil {
		return ctx, c, err
	}
	if s.Trusted != nil && s.Trusted(ctx) {
		ctx = takePriority(ctx)
	}
	if attempts := metadata.ValueFromIncomingContext(ctx, attemptsKey); len(attempts) > 0 {
		if n, err := strconv.ParseUint(attempts[0], 10, 32); err == nil && n > 0 {
			ctx = retry.Nest(ctx)
		}
	}
	if s.Bulkhead != nil && !c.tapped {
		queue := ctx
		if key, limited := s.key(ctx, c.method); limited {
			queue = bulkhead.WithTenant(ctx, key)
		}
		permit, err := s.Bulkhead.Acquire(queue)
		if err != nil {
			if errtree.Read(err).Rejected {
				s.full.Add(1)
			}
			return ctx, c, err
		}
		c.permit = permit
	}
	return ctx, c, nil
}

// early asks the guards that never wait.
func (c *call) early(ctx context.Context) error {
	s := c.server
	if end, ok := ctx.Deadline(); ok && s.MinLeft > 0 && time.Until(end) < s.MinLeft {
		s.late.Add(1)
		return errLate
	}
	if s.Limit == nil {
		return nil
	}
	key, limited := s.key(ctx, c.method)
	if !limited {
		return nil
	}
	return c.decided(s.Limit.Take(key, 1))
}

// errLate is the refusal by MinLeft. Its pushback is -1.
var errLate = func() *lateError {
	s := status.New(codes.DeadlineExceeded, "not enough time left")
	if with, err := s.WithDetails(&errdetails.ErrorInfo{Reason: lateReason, Domain: domain}); err == nil {
		s = with
	}
	return &lateError{s}
}()

type lateError struct{ status *status.Status }

func (e *lateError) Error() string              { return "grpc: " + e.status.Message() }
func (e *lateError) GRPCStatus() *status.Status { return e.status }
func (*lateError) Rejected() bool               { return true }
func (*lateError) Retryable() bool              { return false }

// store asks Store. The call has arrived and counts, whatever becomes of its
// context.
func (c *call) store(ctx context.Context) error {
	s := c.server
	if s.Store == nil {
		return nil
	}
	key, limited := s.key(ctx, c.method)
	if !limited {
		return nil
	}
	d, err := s.Store.TakeKey(context.WithoutCancel(ctx), key, 1)
	if err == nil {
		return c.decided(d)
	}
	s.failed.Add(1)
	s.report(ctx, c.method, err)
	if s.ServeOnError {
		return nil
	}
	return errStore
}

// errStore is the refusal of a call that cannot be counted.
var errStore = &refused{errors.New("grpc: limit unavailable")}

func (c *call) decided(d ratelimit.Decision) error {
	if !d.OK {
		c.server.limited.Add(1)
	}
	return d.Err()
}

func (s *Server) key(ctx context.Context, method string) (string, bool) {
	if s.Key == nil {
		return ByPeer(ctx, method)
	}
	return s.Key(ctx, method)
}

func (s *Server) report(ctx context.Context, method string, err error) {
	if s.OnError != nil {
		s.OnError(ctx, method, err)
	}
}

// serve calls the handler and returns the place in the bulkhead.
func (c *call) serve(ctx context.Context, handler func(context.Context) error) (err error) {
	if c.unwatch != nil {
		c.unwatch()
	}
	returned := false
	defer func() {
		switch {
		case c.permit == nil:
		case !returned:
			c.permit.Release()
		case ctx.Err() != nil:
			c.permit.Done(ctx.Err()) // the time of a client that has gone is no measure
		default:
			c.permit.Done(drop(err))
		}
	}()
	if c.server.Audit == nil {
		err = c.handle(ctx, handler)
	} else {
		err = c.server.Audit.serve(ctx, c, handler)
	}
	returned = true
	return err
}

// handle calls the handler.
func (c *call) handle(ctx context.Context, handler func(context.Context) error) error {
	c.handled = true
	c.server.calls.Add(1)
	return handler(ctx)
}

// A serverStream is a stream with another context.
type serverStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context returns the context.
func (s serverStream) Context() context.Context { return s.ctx }
