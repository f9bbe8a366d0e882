package redoubtgrpc

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// The metadata of gRFC A6.
const (
	attemptsKey = "grpc-previous-rpc-attempts"
	pushbackKey = "grpc-retry-pushback-ms"
)

// A pushback is the wish of the server about further attempts.
type pushback struct {
	asked bool          // the server asks for another attempt after the pause
	info  bool          // RetryInfo names a pause, of this server or of a server behind it
	never bool          // the server forbids further attempts
	after time.Duration // 0 for a pause of the client's choice
}

// readPushback reads the trailer of a failed call and the details of its error.
// The trailer decides if it contains a pushback.
func readPushback(err error, trailer metadata.MD) (p pushback) {
	if values := trailer[pushbackKey]; len(values) > 0 {
		ms, err := strconv.ParseInt(values[0], 10, 32)
		if len(values) > 1 || err != nil || ms < 0 {
			return pushback{never: true} // gRFC A6
		}
		return pushback{asked: true, after: max(time.Duration(ms)*time.Millisecond, 1)}
	}
	s, ok := status.FromError(err)
	if !ok {
		return p
	}
	for _, d := range s.Proto().GetDetails() {
		info, why := new(errdetails.RetryInfo), new(errdetails.ErrorInfo)
		switch {
		case d.MessageIs(info) && d.UnmarshalTo(info) == nil:
			return pushback{info: true, after: max(info.GetRetryDelay().AsDuration(), 0)}
		case d.MessageIs(why) && d.UnmarshalTo(why) == nil && why.GetReason() == lateReason && why.GetDomain() == domain:
			return pushback{never: true}
		}
	}
	return p
}

// The detail google.rpc.ErrorInfo of a refusal by MinLeft. A refusal by Tap has
// no trailer.
const (
	domain     = "redoubt"
	lateReason = "DEADLINE_TOO_NEAR"
)

// A callError is an error of gRPC with the decision about further attempts.
type callError struct {
	err   error // of gRPC
	push  pushback
	again bool   // another attempt is allowed
	shed  bool   // the server refused the call and names a pause
	reply *reply // of a hedged attempt, or nil
}

func (e *callError) Error() string              { return e.err.Error() }
func (e *callError) Unwrap() error              { return e.err }
func (e *callError) GRPCStatus() *status.Status { return status.Convert(e.err) }

// Retryable reports whether the call may be made again.
func (e *callError) Retryable() bool { return e.again }

// RetryAfter returns the pause that the server asks for, 1 ns if it asks for an
// immediate attempt, and otherwise 0.
func (e *callError) RetryAfter() time.Duration {
	return e.push.after
}

// decision returns e for a retry policy.
func (e *callError) decision() error {
	if e.again {
		return e
	}
	return retry.Permanent(e) // RetryIf must not decide otherwise
}

// judge returns the error of an attempt that gRPC ended with err. ctx is the
// context of the attempt, which began at start. unsent means that no request
// left this process.
func (p *plan) judge(ctx context.Context, start time.Time, err error, trailer metadata.MD, unsent bool) (*callError, Verdict) {
	judge := p.client.Judge
	if judge == nil {
		judge = Judge
	}
	v := judge(err)
	e := &callError{err: err, push: readPushback(err, trailer)}
	switch {
	case e.push.never:
	case p.timedOut(ctx, start, err):
		e.again = unsent || p.idempotent()
	case v.Retry == RetryAsked:
		e.again = e.push.asked || e.push.info && p.idempotent()
	case v.Retry == RetrySafe:
		e.again = e.push.asked || unsent || p.idempotent()
	case v.Retry == RetryAlways:
		e.again = true
	}
	e.again = e.again && !p.left()
	e.shed = (e.push.asked || e.push.info) && v.Retry != RetryNever
	return e, v
}

// timedOut reports whether AttemptTimeout ended an attempt, here or at the
// server.
func (p *plan) timedOut(ctx context.Context, start time.Time, err error) bool {
	if cause := context.Cause(ctx); cause != nil {
		return errtree.Is(cause, retry.ErrAttemptTimeout)
	}
	return status.Code(err) == codes.DeadlineExceeded && near(ctx, start) && !near(p.ctx, start)
}

// bare returns the error of gRPC in an error of judge.
func bare(err error) error {
	if e, ok := errtree.Find[*callError](err); ok && !isRetry(err) {
		return e.err
	}
	return err
}

func isRetry(err error) bool {
	_, ok := err.(*retry.Error)
	return ok
}

// result returns the error of a call for its caller: an error with a status of
// gRPC. It is the error of gRPC itself if a single attempt failed for good.
func result(err error) error {
	e, ok := err.(*retry.Error)
	if ok && e.Attempts == 1 && e.Reason == retry.ErrPermanent {
		err = bare(e.Last())
	}
	if err == nil {
		return nil
	}
	if ok && (e.Reason == context.Canceled || e.Reason == context.DeadlineExceeded) {
		return &statusError{err, status.FromContextError(e.Reason)}
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return &statusError{err, refusal(err)}
}

// A statusError gives an error without a status of gRPC the status of its
// meaning.
type statusError struct {
	err    error
	status *status.Status
}

func (e *statusError) Error() string              { return e.err.Error() }
func (e *statusError) Unwrap() error              { return e.err }
func (e *statusError) GRPCStatus() *status.Status { return e.status }

// refusal returns the status for an error that has none.
func refusal(err error) *status.Status {
	signs := errtree.Read(err)
	code := codes.Unknown
	switch {
	case signs.Rejected && errtree.Is(err, ratelimit.ErrLimited) && !errtree.Is(err, bulkhead.ErrFull):
		code = codes.ResourceExhausted
	case signs.Rejected, signs.RetryAfter > 0:
		code = codes.Unavailable
	case errtree.Is(err, context.DeadlineExceeded):
		code = codes.DeadlineExceeded
	case errtree.Is(err, context.Canceled):
		code = codes.Canceled
	}
	return status.New(code, err.Error())
}

// pause returns the pause before another attempt that may succeed. It is
// negative if no attempt can succeed, and 0 if err is no refusal.
func pause(signs errtree.Signs) time.Duration {
	switch {
	case !signs.Rejected && signs.RetryAfter <= 0:
		return 0
	case signs.HasRetryable && !signs.Retryable:
		return -1
	case signs.RetryAfter > 0:
		return signs.RetryAfter
	}
	return shortly
}

// shortly is the pause after a refusal that does not know when it ends.
const shortly = 100 * time.Millisecond

// Status returns the status that a server answers for err.
//
//   - An error that has a status keeps it, as in package status. So a handler
//     that returns the error of a call passes on the code, the text and the
//     details of the other server.
//   - A refusal by a rate limiter is ResourceExhausted. A refusal by another
//     guard, and every other error with a method RetryAfter() time.Duration
//     that returns more than 0, is Unavailable.
//   - An error of a context is Canceled or DeadlineExceeded.
//   - Every other error is Unknown, as in package status.
//
// The detail google.rpc.RetryInfo contains the RetryAfter of the error, and
// 100 ms if a refusal has none. It is absent if the error is not Retryable. The
// text of a refusal is not sent: it could name other systems. Status returns
// nil for a nil error.
func Status(err error) *status.Status {
	if err == nil {
		return nil
	}
	signs := errtree.Read(err)
	after := pause(signs)
	s, ok := status.FromError(err)
	if first, _ := errtree.Find[withStatus](err); ok {
		_, own := first.(*statusError)
		ok = !own
	}
	if !ok {
		s = refusal(err)
		if after != 0 {
			s = status.New(s.Code(), texts[s.Code()])
		}
	}
	if after == 0 || s.Code() == codes.OK {
		return s
	}
	p := s.Proto()
	has := slices.ContainsFunc(p.GetDetails(), isRetryInfo)
	switch {
	case after < 0 && has:
		p.Details = slices.DeleteFunc(p.Details, isRetryInfo)
	case after > 0 && !has:
		info, err := anypb.New(&errdetails.RetryInfo{RetryDelay: durationpb.New(after)})
		if err != nil {
			return s
		}
		p.Details = append(p.Details, info)
	default:
		return s
	}
	return status.FromProto(p)
}

// withStatus is the interface of package status.
type withStatus interface{ GRPCStatus() *status.Status }

func isRetryInfo(d *anypb.Any) bool { return d.MessageIs((*errdetails.RetryInfo)(nil)) }

// texts are the texts of refusals.
var texts = map[codes.Code]string{
	codes.ResourceExhausted: "rate limit exceeded",
	codes.Unavailable:       "temporarily unavailable",
}

// pushback returns the metadata for the trailer of a call that ends with err:
// -1 if no attempt can succeed. For a call that its handler has not seen, it is
// a pause in milliseconds, rounded up. A handler may have had its effect before
// a guard in it refused. It returns nil if err is no refusal.
func (c *call) pushback(err error) metadata.MD {
	after := pause(errtree.Read(err))
	switch {
	case after < 0:
		return metadata.Pairs(pushbackKey, "-1")
	case after == 0 || c.handled:
		return nil
	}
	ms := min((after-1)/time.Millisecond+1, math.MaxInt32)
	return metadata.Pairs(pushbackKey, strconv.FormatInt(int64(ms), 10))
}
