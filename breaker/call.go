package breaker

import (
	"context"
	"sync/atomic"
)

// A Call is an admitted call, to be reported once by Done or Report; the first report counts and further ones do
// nothing. Its methods may be called from any goroutine.
type Call struct {
	gate   gate
	ctx    context.Context // kept only because its being done at the end decides the outcome
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

// Done reports the error of the call, which is judged like that of a function given to [Do].
func (c *Call) Done(err error) {
	if !c.done.Swap(true) {
		c.gate.leave(c.ctx, c.ticket, err)
	}
}

// Report reports the outcome of the call as it is.
func (c *Call) Report(o Outcome) {
	if !c.done.Swap(true) {
		c.gate.end(c.ctx, c.ticket, o, nil)
	}
}
