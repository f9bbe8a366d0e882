package redoubtgrpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/breaker"
)

// A Verdict is the meaning of the end of a call.
type Verdict struct {
	Outcome breaker.Outcome // for the circuit breaker
	Retry   Retry           // for the retry policy and the hedge
}

// Retry is the condition on which a failed call may be made again. The first
// two hold only if the server does not forbid it: a grpc-retry-pushback-ms that
// is negative or no number ends every call.
type Retry uint8

// The conditions, from the strictest to the weakest.
const (
	// RetryNever means that another attempt would fail too, or do harm.
	RetryNever Retry = iota
	// RetryAsked means that the call is made again only if the server asks
	// for it by grpc-retry-pushback-ms, or by RetryInfo if the method is
	// idempotent. A server may pass on the RetryInfo of a server behind it,
	// after half of its work.
	RetryAsked
	// RetrySafe means that the call is made again if the server asks for it
	// by grpc-retry-pushback-ms, if the method is idempotent, or if the
	// request was not sent.
	RetrySafe
	// RetryAlways means that the server has not processed the call.
	RetryAlways
)

// String returns the name of the condition in lower case.
func (r Retry) String() string {
	if names := [...]string{"never", "asked", "safe", "always"}; int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("Retry(%d)", uint8(r))
}

// Judge is the default judgement of an error of gRPC, by its code:
//
//   - OK, NotFound, AlreadyExists, FailedPrecondition, OutOfRange and Aborted
//     are successes: the server has looked at its data. They are never retried.
//     An aborted transaction must be repeated as a whole, even if the server
//     asks for it.
//   - InvalidArgument, PermissionDenied, Unauthenticated and Unimplemented are
//     ignored, because a proxy can answer them. They are never retried.
//   - ResourceExhausted is ignored: the client exceeds its quota, or a message
//     its size. It is RetryAsked.
//   - Unavailable is a failure, and RetrySafe.
//   - Canceled, Unknown, DeadlineExceeded, Internal, DataLoss and every other
//     code are failures, and never retried.
//
// A call that its caller canceled, or whose deadline has passed, has the code
// Canceled or DeadlineExceeded too. The breaker knows the context of the call,
// and ignores it as everywhere.
func Judge(err error) Verdict {
	switch status.Code(err) {
	case codes.OK, codes.NotFound, codes.AlreadyExists, codes.FailedPrecondition, codes.OutOfRange, codes.Aborted:
		return Verdict{breaker.OutcomeSuccess, RetryNever}
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated, codes.Unimplemented:
		return Verdict{breaker.OutcomeIgnored, RetryNever}
	case codes.ResourceExhausted:
		return Verdict{breaker.OutcomeIgnored, RetryAsked}
	case codes.Unavailable:
		return Verdict{breaker.OutcomeFailure, RetrySafe}
	}
	return Verdict{breaker.OutcomeFailure, RetryNever}
}

// near reports whether the deadline of ctx, for a call that began at start, is
// over or almost over: a server that has the same deadline may answer first.
func near(ctx context.Context, start time.Time) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) < end.Sub(start)/10
}

// drop returns err for a bulkhead, whose algorithm knows the errors of contexts
// and not the codes of gRPC.
func drop(err error) error {
	switch status.Code(err) {
	case codes.DeadlineExceeded:
		return context.DeadlineExceeded
	case codes.Canceled:
		return context.Canceled
	}
	return err
}
