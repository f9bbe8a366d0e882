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
// A call whose client sends a single message is retried until the caller has
// received a header or a message. The error of its first attempt appears when
// the caller receives. For all other calls only the opening is retried:
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
		s := &stream{plan: c.plan(ctx, method, cc), desc: desc, streamer: streamer, ready: make(chan struct{})}
		s.hook(opts)
		if !desc.ClientStreams {
			return s, nil
		}
		if err := s.retry(s.open); err != nil {
			s.finish(err)
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
	opts     []grpc.CallOption // without hooks
	finish   func(error)       // takes the end of the call

	mu      sync.Mutex // held until the server has answered; guards the fields below
	request any        // the single message of the client, or nil
	begun   bool       // the first attempt has begun, and its error is in first
	first   error      // of the first attempt
	opened  int        // attempts

	sent    atomic.Bool             // the client has sent request, or nothing
	ready   chan struct{}           // closed when the first attempt has begun
	current atomic.Pointer[attempt] // the latest
	live    atomic.Pointer[attempt] // the attempt that the server has answered
	over    atomic.Pointer[error]   // of the call, if it failed before an answer
}

var _ grpc.ClientStream = (*stream)(nil)

// hook takes the options of a call. The hooks of grpc.OnFinish run once, when
// the call ends, and not at the end of each attempt.
func (s *stream) hook(opts []grpc.CallOption) {
	var finish func(error)
	if s.opts, finish = once(opts); finish == nil {
		s.finish = func(error) {}
		return
	}
	var ended sync.Once
	end := func(err error) { ended.Do(func() { finish(err) }) }
	unwatch := context.AfterFunc(s.ctx, func() { end(status.FromContextError(s.ctx.Err()).Err()) })
	s.finish = func(err error) {
		unwatch()
		if err == io.EOF {
			err = nil
		}
		end(err)
	}
}

// SendMsg sends a message. The single message of a client starts the call.
func (s *stream) SendMsg(m any) error {
	if !s.desc.ClientStreams {
		return s.start(m)
	}
	a := s.live.Load()
	err := a.ClientStream.SendMsg(m)
	if err != nil && err != io.EOF { // RecvMsg returns the status after io.EOF
		_ = a.end(err)
		s.finish(err)
	}
	return err
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
	if s.sent.Swap(true) {
		return status.Error(codes.Internal, "grpc: a second message for a call with a single message")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.request, s.begun = request, true
	defer close(s.ready)
	s.first = s.attempt(s.ctx)
	return nil
}

// RecvMsg receives a message.
func (s *stream) RecvMsg(m any) error {
	err := s.receive(m)
	if err != nil || !s.desc.ServerStreams {
		s.finish(err)
	}
	return err
}

func (s *stream) receive(m any) error {
	if a := s.live.Load(); a != nil {
		err, _ := a.receive(m, s.desc)
		return err
	}
	var end error
	err := s.answer(func(a *attempt) (failure error) {
		end, failure = a.receive(m, s.desc)
		return failure
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
	err := s.answer(func(a *attempt) (failure error) {
		var err error
		if md, err = a.ClientStream.Header(); err != nil {
			return a.end(err)
		}
		if md == nil {
			// The server has sent a status and no header. There is no message.
			if _, failure = a.receive(new(struct{}), s.desc); failure != nil {
				return failure
			}
		}
		a.arrived()
		return nil
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
	err := s.retry(func(ctx context.Context) error {
		err := s.first
		if !s.begun {
			err = s.attempt(ctx)
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
func (s *stream) retry(fn func(context.Context) error) error {
	p := s.policy()
	p.AttemptTimeout = 0 // of an attempt until the answer, see open
	return result(p.Do(s.ctx, fn))
}

// attempt opens a stream and sends the single message of the client. The errors
// of gRPC after that appear when it receives.
func (s *stream) attempt(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	a := s.current.Load()
	if s.request != nil {
		if err := a.ClientStream.SendMsg(s.request); err != nil && err != io.EOF {
			return a.end(err)
		}
	}
	_ = a.ClientStream.CloseSend() // its error is the error of the stream
	return nil
}

// open opens a stream. ctx lives as long as the context of the caller.
func (s *stream) open(ctx context.Context) error {
	if s.opened++; s.opened > 1 || retry.Nested(ctx) {
		ctx = withAttempts(ctx, max(s.opened-1, 1))
	}
	a := &attempt{plan: &s.plan}
	a.ctx, a.cancel = context.WithCancelCause(ctx)
	if d := s.policy().AttemptTimeout; d > 0 {
		a.timer = time.AfterFunc(d, func() { a.cancel(retry.ErrAttemptTimeout) })
	}
	opened := false
	defer func() {
		if !opened { // also a panic of another interceptor, or of a function of the Client
			a.leave(a.guards.abandon)
		}
	}()
	if err := a.guards.enter(a.ctx, &s.plan); err != nil {
		return err
	}
	cs, err := s.streamer(a.ctx, s.desc, s.cc, s.method, s.opts...)
	if err != nil {
		return a.end(err)
	}
	opened = true
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
	message      bool        // the server has sent a message
	ended        sync.Once
}

// receive receives a message. failure is err for the retry policy, and nil if
// the server has answered.
func (a *attempt) receive(m any, desc *grpc.StreamDesc) (err, failure error) {
	err = a.ClientStream.RecvMsg(m)
	if err == io.EOF && a.lost(desc) {
		err = errLost
	}
	switch {
	case err == nil:
		a.message = true
		a.arrived()
		if !desc.ServerStreams {
			_ = a.end(nil)
		}
	case err == io.EOF:
		_ = a.end(nil)
	default:
		failure = a.end(err)
	}
	return err, failure
}

// lost reports whether a stream that seems to have ended well was lost. The end
// of a call has at least a header or a trailer.
func (a *attempt) lost(desc *grpc.StreamDesc) bool {
	if !desc.ServerStreams {
		return true // without a message
	}
	if a.message || a.plan.cc == nil {
		return false
	}
	header, err := a.ClientStream.Header()
	return err == nil && header == nil && len(a.ClientStream.Trailer()) == 0
}

// arrived takes the answer of the server.
func (a *attempt) arrived() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.guards.call.Answered()
}

// end takes the end of the stream, and returns err for the retry policy.
func (a *attempt) end(err error) error {
	if a.unwatch != nil {
		a.unwatch()
	}
	defer a.leave(a.guards.abandon) // after a panic of a function of the Client
	if err == nil {
		a.leave(func() { a.guards.leave(a.plan, nil, breaker.OutcomeSuccess) })
		return nil
	}
	var trailer metadata.MD
	unsent := true
	if a.ClientStream != nil {
		trailer = a.ClientStream.Trailer()
		_, sent := peer.FromContext(a.ClientStream.Context())
		unsent = !sent
	}
	if status.Code(err) == codes.Canceled && context.Cause(a.ctx) == retry.ErrAttemptTimeout {
		err = status.Error(codes.DeadlineExceeded, retry.ErrAttemptTimeout.Error()) // as of a unary call
	}
	e, v := a.plan.judge(a.ctx, a.guards.start, err, trailer, unsent)
	a.leave(func() { a.guards.leave(a.plan, e, v.Outcome) })
	return e.decision()
}

// abandon takes the end of the caller's context. The stream may be in use.
func (a *attempt) abandon() {
	a.leave(func() {
		e, v := a.plan.judge(a.ctx, a.guards.start, status.FromContextError(a.plan.ctx.Err()).Err(), nil, false)
		a.guards.leave(a.plan, e, v.Outcome)
	})
}

// leave reports the end of the stream to its guards by fn, once.
func (a *attempt) leave(fn func()) {
	a.ended.Do(func() {
		defer a.stop()
		fn()
	})
}

// stop ends the context of a.
func (a *attempt) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
	a.cancel(nil)
}
