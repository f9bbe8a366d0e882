// Package ctxerr makes the error of a call whose context ended first.
package ctxerr

import (
	"context"
	"errors"
	"fmt"
)

// New returns an error for an operation that ended because ctx is done. It
// matches both ctx.Err() and context.Cause(ctx). Its text is op, such as
// "ratelimit: wait", then the error of ctx, then the cause, if any:
// "ratelimit: wait: context canceled: server is shutting down". If ctx is not
// done, New reports context.Canceled.
func New(ctx context.Context, op string) error {
	e := &ended{op: op, err: ctx.Err()}
	if e.err == nil {
		e.err = context.Canceled
		return e
	}
	if cause := context.Cause(ctx); !errors.Is(e.err, cause) {
		e.cause = cause
	}
	return e
}

type ended struct {
	op         string
	err, cause error
}

func (e *ended) Error() string {
	text := e.op + ": " + e.err.Error()
	if e.cause != nil {
		text += fmt.Sprint(": ", e.cause) // Sprint survives a nil pointer
	}
	return text
}

func (e *ended) Unwrap() []error {
	if e.cause == nil {
		return []error{e.err}
	}
	return []error{e.err, e.cause}
}
