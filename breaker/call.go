package breaker

import (
	"context"
	"sync/atomic"
)

// A Call is an admitted call. Report its end once, by Done or by Report. The
// first report counts, further reports do nothing. So do reports of a nil
// *Call. The methods may be called
// from any goroutine.
type Call struct {
	gate   gate
	ctx    context.Context // whether it is done at the end decides the outcome
	ticket ticket
	done   atomic.Bool
}

func allow(ctx context.Context, g gate) (*Call, error) {
	t, err := g.enter(ctx)
	if err != nil {
		return nil, err
	}
	return &Call{gate: g, ctx: ctx, ticket: t}, nil
}

// Done reports the error of the call, which is judged as in [Do].
func (c *Call) Done(err error) {
	if c != nil && !c.done.Swap(true) {
		c.gate.leave(c.ctx, c.ticket, err)
	}
}

// Report reports the outcome of the call.
func (c *Call) Report(o Outcome) {
	if c != nil && !c.done.Swap(true) {
		c.gate.end(c.ctx, c.ticket, o, nil)
	}
}
