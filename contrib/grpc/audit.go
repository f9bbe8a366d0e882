package redoubtgrpc

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/audit"
)

// An Audit records calls. Each call leaves an event with the outcome Attempt
// before its handler runs, and an event with its outcome afterwards. The second
// event has the attributes attempt, the ID of the first, and code. If the
// handler panics, the code is "panic", and the panic continues. A call that
// cannot be recorded is not served: it fails as Unavailable, or as
// Unauthenticated without an actor. Messages and metadata are never recorded.
type Audit struct {
	// Log records the events. Required.
	Log *audit.Log
	// Actor returns the actor of a call. If the result has no ID, the actor of
	// the context is used. Nil means the actor of the context.
	Actor func(ctx context.Context) audit.Actor
	// Source returns the source of a call. Nil means the IP address of the
	// client, which is the address of the proxy behind a proxy.
	Source func(ctx context.Context) string
	// Action returns the action of a method. Nil means "grpc." and the name of
	// the method without its service, such as "grpc.GetOrder".
	Action func(method string) audit.Action
	// Target returns the object of a call. Nil means the type "method" and the
	// full name of the method.
	Target func(ctx context.Context, method string) audit.Target
	// Skip serves a call without a record by returning true. Nil records every
	// call.
	Skip func(ctx context.Context, method string) bool
}

// AuditOutcome returns the outcome of a call that ended with err: Success for
// OK, Denied for PermissionDenied and Unauthenticated, otherwise Failure. The
// code of the audit is "grpc_" and the code of gRPC in lower case, such as
// "grpc_not_found".
func AuditOutcome(err error) (audit.Outcome, audit.Code) {
	c := status.Code(err)
	code := audit.Code("grpc_" + snake(c.String()))
	switch c {
	case codes.OK:
		return audit.Success, ""
	case codes.PermissionDenied, codes.Unauthenticated:
		return audit.Denied, code
	}
	return audit.Failure, code
}

// snake returns a name such as NotFound as not_found.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		switch {
		case 'A' <= r && r <= 'Z':
			if i > 0 {
				b.WriteByte('_')
			}
			b.WriteRune(r + 'a' - 'A')
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			b.WriteRune(r)
		}
	}
	return b.String()
}

// serve records a call and calls its handler.
func (a *Audit) serve(ctx context.Context, c *call, handler func(context.Context) error) (err error) {
	s := c.server
	if a.Skip != nil && a.Skip(ctx, c.method) {
		return c.handle(ctx, handler)
	}
	ctx = a.context(ctx)
	e := audit.Event{ID: rand.Text(), Action: a.action(c.method), Outcome: audit.Attempt, Target: a.target(ctx, c.method)}
	if err := a.Log.Record(ctx, e); err != nil {
		s.unrecorded.Add(1)
		if !errors.Is(err, audit.ErrNoActor) {
			s.report(ctx, c.method, err)
			return &refused{errors.New("grpc: call not recorded")}
		}
		e.Outcome, e.Code = audit.Denied, "no_actor"
		if err := a.Log.Record(ctx, e); err != nil {
			s.report(ctx, c.method, err)
		}
		return status.Error(codes.Unauthenticated, "not authenticated")
	}
	done := false
	defer func() {
		attempt := e.ID
		e.ID, e.Outcome, e.Code = "", audit.Failure, "panic"
		code := "panic"
		if done {
			answer := Status(err).Err()
			e.Outcome, e.Code = AuditOutcome(answer)
			code = snake(status.Code(answer).String())
		}
		e.Attrs = []slog.Attr{slog.String("attempt", attempt), slog.String("code", code)}
		if err := a.Log.Record(context.WithoutCancel(ctx), e); err != nil {
			s.report(ctx, c.method, err)
		}
	}()
	err = c.handle(ctx, handler)
	done = true
	return err
}

// context returns the context of the handler.
func (a *Audit) context(ctx context.Context) context.Context {
	if a.Actor != nil {
		if actor := a.Actor(ctx); actor.ID != "" {
			ctx = audit.WithActor(ctx, actor)
		}
	}
	source := host(ctx)
	if a.Source != nil {
		source = a.Source(ctx)
	}
	if source != "" {
		ctx = audit.WithSource(ctx, source)
	}
	return ctx
}

func (a *Audit) action(method string) audit.Action {
	if a.Action != nil {
		return a.Action(method)
	}
	return audit.Action("grpc." + method[strings.LastIndexByte(method, '/')+1:])
}

func (a *Audit) target(ctx context.Context, method string) audit.Target {
	if a.Target != nil {
		return a.Target(ctx, method)
	}
	return audit.Target{Type: "method", ID: method}
}
