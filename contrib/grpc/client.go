package redoubtgrpc

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// A Client guards the calls of a gRPC client. Its functions are called with the
// full name of the method, such as "/shop.Stock/Get", and with the target of
// the connection, such as "dns:///stock:443". They may be called concurrently.
// The zero Client retries by the zero [retry.Policy], and does no more.
//
// Each attempt passes Bulkhead, Gate and Limit in this order, and fails with
// the error of the first that refuses it. A stream holds its place in the
// Bulkhead and its call of the Gate until it ends.
type Client struct {
	// Policy returns the retry policy of a method. Its AttemptTimeout
	// covers an attempt until its reply, or the first message of its
	// stream. Its RetryIf is called only for errors that the Client would
	// retry. Nil means the zero Policy for all methods.
	Policy func(method string) retry.Policy

	// Hedge returns the hedge of a unary method, or nil. As in gRFC A6, a
	// method with a hedge is not retried by Policy. A method that is not
	// Idempotent is never hedged. Each attempt has a new reply of the same
	// type. An attempt that lost may still read the request, so the request
	// must not be changed after the call. Nil means no hedges.
	Hedge func(method string) *retry.Hedge[any]

	// Idempotent reports whether a call may be made again although it may
	// have had its effect. Nil means [Declared]. See [ReadOnly].
	Idempotent func(method string) bool

	// Gate returns the circuit breaker for a call, or nil. A server that
	// refuses a call and asks for another attempt is alive: a
	// *breaker.Breaker ignores that, and a *breaker.Throttle counts it as a
	// failure. A nil Gate guards no call.
	Gate func(method, target string) breaker.Gate

	// Limit returns the rate limit that an attempt waits for, or nil. A nil
	// Limit limits no call.
	Limit func(method, target string) ratelimit.Waiter

	// Bulkhead returns the bulkhead that bounds the calls in progress, or
	// nil. A nil Bulkhead bounds no call.
	Bulkhead func(method, target string) *bulkhead.Bulkhead

	// Judge returns the meaning of an error of gRPC. For an abandoned
	// stream it runs on another goroutine. Nil means [Judge].
	Judge func(err error) Verdict

	// SendPriority sends the priority of the context to the server; see
	// bulkhead.WithPriority. The server must trust the client to obey it.
	SendPriority bool

	// RetryDisabled states that the connection was made with
	// grpc.WithDisableRetry. Otherwise, a method whose service config has a
	// retryPolicy is retried by gRPC alone, and not by the Client, so that
	// retries do not multiply. The Client cannot see the retryPolicy of a
	// connection that xDS configures.
	RetryDisabled bool
}

// guards are the guards of one attempt. The zero guards are ready to enter.
type guards struct {
	call    breaker.Call
	permit  *bulkhead.Permit
	start   time.Time // of the attempt, zero before
	sheds   bool      // the gate is a Throttle
	entered bool      // all guards have admitted the attempt
}

// A plan is all that a Client decides about a call before its first attempt.
type plan struct {
	client *Client
	ctx    context.Context // of the caller; a plan lives as long as its call
	method string
	target string
	cc     *grpc.ClientConn // nil in a test of the interceptor alone
}

// plan returns the plan for a call.
func (c *Client) plan(ctx context.Context, method string, cc *grpc.ClientConn) plan {
	p := plan{client: c, ctx: ctx, method: method, cc: cc}
	if cc != nil {
		p.target = cc.Target()
	}
	if c.SendPriority {
		p.ctx = sendPriority(p.ctx)
	}
	return p
}

func (p *plan) idempotent() bool {
	if f := p.client.Idempotent; f != nil {
		return f(p.method)
	}
	return Declared(p.method)
}

// left reports whether the retries are left to gRPC. The service config is
// unknown until the first attempt of a connection.
func (p *plan) left() bool {
	return p.cc != nil && !p.client.RetryDisabled && p.cc.GetMethodConfig(p.method).RetryPolicy != nil
}

// policy returns the retry policy. Its RetryIf sees gRPC's own errors.
func (p *plan) policy() retry.Policy {
	var policy retry.Policy
	if p.client.Policy != nil {
		policy = p.client.Policy(p.method)
	}
	if user := policy.RetryIf; user != nil {
		policy.RetryIf = func(err error) bool { return user(bare(err)) }
	}
	if user := policy.OnEvent; user != nil {
		policy.OnEvent = p.named(user)
	}
	return policy
}

// named returns a hook whose events name the method and the target.
func (p *plan) named(hook func(context.Context, retry.Event)) func(context.Context, retry.Event) {
	return func(ctx context.Context, e retry.Event) {
		e.Op = p.method + " " + p.target
		e.Err = bare(e.Err)
		hook(ctx, e)
	}
}

// enter admits an attempt, or returns the error of the guard that refused it.
// Then the caller must call abandon.
func (g *guards) enter(ctx context.Context, p *plan) error {
	c := p.client
	g.start = time.Now()
	if c.Bulkhead != nil {
		if b := c.Bulkhead(p.method, p.target); b != nil {
			permit, err := b.Acquire(ctx)
			if err != nil {
				return err
			}
			g.permit = permit
		}
	}
	if c.Gate != nil {
		if gate := c.Gate(p.method, p.target); gate != nil {
			_, g.sheds = gate.(*breaker.Throttle)
			if err := g.call.Begin(ctx, gate); err != nil {
				return err
			}
		}
	}
	if c.Limit != nil {
		if w := c.Limit(p.method, p.target); w != nil {
			if err := w.Wait(ctx); err != nil {
				return err
			}
		}
	}
	g.entered = true
	return nil
}

// leave reports the end of an admitted attempt, by a nil e as a success.
func (g *guards) leave(p *plan, e *callError, o breaker.Outcome) {
	switch {
	case e == nil:
		g.call.Done(nil)
		g.exit(nil)
		return
	case e.shed && !g.sheds:
		g.call.Done(breaker.Mark(e, breaker.OutcomeIgnored))
	case e.shed:
		g.call.Done(breaker.Mark(e, breaker.OutcomeFailure))
	case o != breaker.OutcomeFailure:
		g.call.Done(breaker.Mark(e, o))
	case status.Code(e.err) != codes.DeadlineExceeded || p.ctx.Err() != nil:
		g.call.Done(e)
	case e.push.never: // the server refused a call with too little time
		g.call.Done(breaker.Mark(e, breaker.OutcomeIgnored))
	case near(p.ctx, g.start):
		// The server saw the deadline of the caller first. The breaker
		// judges the patience of the caller when the deadline has
		// passed here too.
		context.AfterFunc(p.ctx, func() { g.call.Done(e) })
	default:
		g.call.Done(e)
	}
	g.exit(drop(e.err))
}

// exit returns the place of an attempt that was made.
func (g *guards) exit(err error) {
	if g.permit != nil {
		g.permit.Done(err)
	}
}

// abandon reports an attempt that was refused or panicked. Without a request,
// the server is not to blame.
func (g *guards) abandon() {
	o := breaker.OutcomeIgnored
	if g.entered {
		o = breaker.OutcomeFailure
	}
	g.call.Report(o)
	if g.permit != nil {
		g.permit.Release()
	}
}
