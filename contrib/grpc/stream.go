package redoubtgrpc

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/retry"
)

// Stream returns the interceptor for streams; see
// grpc.WithChainStreamInterceptor. c must not be changed afterwards.
//
// A call whose client sends a single message is retried until the first header
// or message of the server has arrived. The error of its first attempt appears
// when the caller receives. For all other calls only the opening is retried:
// once the client may have sent messages, a failure ends the call. Streams are
// not hedged.
//
// The Gate learns the time until the first message of the server, so that a
// long stream is not a slow call. If the client sends several messages, it is
// the time to open the stream. A caller that abandons a stream must cancel its
// context, as gRPC requires.
//
// Errors: as for Unary. After the first message, they are the errors of gRPC.
func (c Client) Stream() grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		s := &stream{plan: c.plan(ctx, method, cc), desc: desc, streamer: streamer, opts: opts, ready: make(chan struct{})}
		if !desc.ClientStreams {
			return s, nil
		}
		if err := s.retry(s.open); err != nil {
			return nil, err
		}
		a := s.current.Load()
		a.arrived()
		s.live.Store(a)
		return s, nil
	}
}

// A stream is a stream of the caller. Until the server answers, it replaces
// attempts that fail.
type stream struct {
	plan
	desc     *grpc.StreamDesc
	streamer grpc.Streamer
	opts     []grpc.CallOption

	mu      sync.Mutex // held until the server has answered; guards the fields below
	request any        // the single message of the client, or nil
	sent    bool       // the client has sent request, or nothing
	begun   bool       // the first attempt has begun, and its error is in first
	first   error      // of the first attempt
	opened  int        // attempts

	ready   chan struct{}           // closed when sent
	current atomic.Pointer[attempt] // the latest
	live    atomic.Pointer[attempt] // the attempt that the server has answered
	over    atomic.Pointer[error]   // of the call, if it failed before an answer
}

var _ grpc.ClientStream = (*stream)(nil)

// SendMsg sends a message. The single message of a client starts the call.
func (s *stream) SendMsg(m any) error {
	if a := s.live.Load(); s.desc.ClientStreams {
		err := a.ClientStream.SendMsg(m)
		if err != nil && err != io.EOF { // RecvMsg returns the status after io.EOF
			a.end(err)
		}
		return err
	}
	return s.start(m)
}

// CloseSend ends the messages of the client.
func (s *stream) CloseSend() error {
	if s.desc.ClientStreams {
		return s.live.Load().ClientStream.CloseSend()
	}
	select {
	case <-s.ready:
		return nil
	default:
		return s.start(nil)
	}
}

// start begins the first attempt, whose error is up to the receiver.
func (s *stream) start(request any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sent {
		return status.Error(codes.Internal, "grpc: a second message for a call with a single message")
	}
	s.request, s.sent, s.begun = request, true, true
	defer close(s.ready)
	s.first = s.attempt()
	return nil
}

// RecvMsg receives a message.
func (s *stream) RecvMsg(m any) error {
	if a := s.live.Load(); a != nil {
		return a.receive(m, s.desc)
	}
	var end error
	err := s.answer(func(a *attempt) error {
		end = a.receive(m, s.desc)
		if end == nil || end == io.EOF {
			return nil
		}
		return a.failure
	})
	if err != nil {
		return err
	}
	return end
}

// Header waits for the header.
func (s *stream) Header() (metadata.MD, error) {
	if a := s.live.Load(); a != nil {
		return a.ClientStream.Header()
	}
	var md metadata.MD
	err := s.answer(func(a *attempt) (err error) {
		if md, err = a.ClientStream.Header(); err == nil && md == nil {
			// The server has sent a status and no header. There is no message.
			err = a.receive(new(struct{}), s.desc)
		} else if err != nil {
			a.end(err)
		}
		if err == nil || err == io.EOF {
			a.arrived()
			return nil
		}
		return a.failure
	})
	if err != nil {
		return nil, nil // as gRPC does: RecvMsg returns the error
	}
	return md, nil
}

// answer calls fn with attempts until fn returns nil. That attempt is live from
// then on.
func (s *stream) answer(fn func(*attempt) error) error {
	select {
	case <-s.ready:
	case <-s.ctx.Done():
		return status.FromContextError(s.ctx.Err()).Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.over.Load(); err != nil {
		return *err
	}
	if a := s.live.Load(); a != nil {
		return fn(a)
	}
	err := s.retry(func() error {
		err := s.first
		if !s.begun {
			err = s.attempt()
		}
		if s.begun, s.first = false, nil; err != nil {
			return err
		}
		return fn(s.current.Load())
	})
	if err != nil {
		s.over.Store(&err)
		return err
	}
	s.live.Store(s.current.Load())
	return nil
}

// Trailer returns the trailer of the latest attempt.
func (s *stream) Trailer() metadata.MD {
	if a := s.current.Load(); a != nil {
		return a.ClientStream.Trailer()
	}
	return nil
}

// Context returns the context of the latest attempt.
func (s *stream) Context() context.Context {
	if a := s.current.Load(); a != nil {
		return a.ClientStream.Context()
	}
	return s.ctx
}

// retry calls fn as the policy decides.
func (s *stream) retry(fn func() error) error {
	p := s.policy()
	p.AttemptTimeout = 0 // of an attempt until the answer, see open
	return result(p.Do(s.ctx, func(context.Context) error { return fn() }))
}

// attempt opens a stream and sends the single message of the client. The errors
// of gRPC after that appear when it receives.
func (s *stream) attempt() error {
	if err := s.open(); err != nil {
		return err
	}
	a := s.current.Load()
	if s.request != nil {
		if err := a.ClientStream.SendMsg(s.request); err != nil && err != io.EOF {
			a.end(err)
			return a.failure
		}
	}
	_ = a.ClientStream.CloseSend() // its error is the error of the stream
	return nil
}

// open opens a stream.
func (s *stream) open() error {
	ctx := s.ctx
	if s.opened++; s.opened > 1 || retry.Nested(ctx) {
		ctx = withAttempts(ctx, max(s.opened-1, 1))
	}
	a := &attempt{plan: &s.plan}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	if d := s.policy().AttemptTimeout; d > 0 {
		a.timer = time.AfterFunc(d, func() { a.cancel(retry.ErrAttemptTimeout) })
	}
	if err := a.guards.enter(a.ctx, &s.plan); err != nil {
		a.stop()
		return err
	}
	returned := false
	defer func() {
		if !returned { // a panic of another interceptor
			a.guards.abandon()
			a.stop()
		}
	}()
	cs, err := s.streamer(a.ctx, s.desc, s.cc, s.method, s.opts...)
	returned = true
	if err != nil {
		a.end(err)
		return a.failure
	}
	a.ClientStream = cs
	a.unwatch = context.AfterFunc(s.ctx, a.abandon)
	s.current.Store(a)
	return nil
}

// An attempt is a stream of gRPC with its guards.
type attempt struct {
	ClientStream grpc.ClientStream // nil if it was not opened
	plan         *plan
	guards       guards
	ctx          context.Context // an attempt lives as long as its stream
	cancel       context.CancelCauseFunc
	timer        *time.Timer // of AttemptTimeout, or nil
	unwatch      func() bool // ends the watch of the caller's context
	ended        sync.Once
	failure      error // for the retry policy, set by end
}

// receive receives a message.
func (a *attempt) receive(m any, desc *grpc.StreamDesc) error {
	err := a.ClientStream.RecvMsg(m)
	switch {
	case err == nil:
		a.arrived()
		if !desc.ServerStreams {
			a.end(nil)
		}
	case err == io.EOF:
		a.end(nil)
	default:
		a.end(err)
	}
	return err
}

// arrived takes the answer of the server.
func (a *attempt) arrived() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.guards.call.Answered()
}

// end takes the end of the stream.
func (a *attempt) end(err error) {
	var e *callError
	o := breaker.OutcomeSuccess
	if err != nil {
		var trailer metadata.MD
		unsent := true
		if a.ClientStream != nil {
			trailer = a.ClientStream.Trailer()
			_, sent := peer.FromContext(a.ClientStream.Context())
			unsent = !sent
		}
		var v Verdict
		e, v = a.plan.judge(a.ctx, a.guards.start, err, trailer, unsent)
		o = v.Outcome
		a.failure = e.decision()
	}
	a.leave(e, o)
	if a.unwatch != nil {
		a.unwatch()
	}
}

// abandon takes the end of the caller's context. The stream may be in use.
func (a *attempt) abandon() {
	e, v := a.plan.judge(a.ctx, a.guards.start, status.FromContextError(a.plan.ctx.Err()).Err(), nil, false)
	a.leave(e, v.Outcome)
}

// leave reports the end of the stream to its guards.
func (a *attempt) leave(e *callError, o breaker.Outcome) {
	a.ended.Do(func() {
		a.guards.leave(a.plan, e, o)
		a.stop()
	})
}

// stop ends the context of a.
func (a *attempt) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.cancel(nil)
}
