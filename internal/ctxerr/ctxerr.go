// Package ctxerr makes the error of a call whose context ended first.
package ctxerr

import (
	"context"
	"errors"
)

// New returns an error for an operation that ended because ctx is done. It
// matches both ctx.Err() and context.Cause(ctx). Its text is op, such as
// "ratelimit: wait", then the error of ctx, then the cause if there is one:
// "ratelimit: wait: context canceled: server is shutting down".
func New(ctx context.Context, op string) error {
	e := &ended{op: op, err: ctx.Err()}
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
		text += ": " + e.cause.Error()
	}
	return text
}

func (e *ended) Unwrap() []error {
	if e.cause == nil {
		return []error{e.err}
	}
	return []error{e.err, e.cause}
}
