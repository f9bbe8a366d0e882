package breaker

import (
	"context"
	"sync/atomic"
	"time"
)

// A Call is an admitted call. Report its end once, by Done or by Report. The
// first report counts, further reports do nothing. The methods may be called
// from any goroutine. The zero Call is ready for [Call.Begin]; its other
// methods do nothing. The methods of a nil *Call, except Begin, do nothing.
type Call struct {
	gate   gate
	ctx    context.Context // whether it is done at the end decides the outcome
	period *period
	cell   *cell
	start  time.Duration
	state  atomic.Int64 // running, the time of the answer, or done
}

const (
	running = 0
	done    = -1 // no time since the start of a guard is negative
)

func allow(ctx context.Context, g gate) (*Call, error) {
	c := new(Call)
	if err := c.begin(ctx, g); err != nil {
		return nil, err
	}
	return c, nil
}

// Begin is g.Allow(ctx) for a Call that is a field of a larger value. So it
// allocates nothing. Call Begin once.
//
// Errors: as for g.Allow.
func (c *Call) Begin(ctx context.Context, g Gate) error { return c.begin(ctx, g) }

func (c *Call) begin(ctx context.Context, g gate) error {
	t, err := g.enter(ctx)
	if err != nil {
		return err
	}
	c.gate, c.ctx, c.period, c.cell, c.start = g, ctx, t.period, t.cell, t.start
	return nil
}

// Answered reports that the dependency has answered, while the call goes on,
// for example to read a body. The time until then is the duration of the call:
// a Breaker takes the rest neither for slow nor for hanging. The call still
// needs a report.
func (c *Call) Answered() {
	if c == nil || c.gate == nil || c.state.Load() != running {
		return
	}
	now := c.gate.answered(c.period, 1)
	if now <= 0 || !c.state.CompareAndSwap(running, int64(now)) {
		c.gate.answered(c.period, -1)
	}
}

// Done reports the error of the call, which is judged as in [Do].
func (c *Call) Done(err error) {
	if t, ok := c.end(); ok {
		c.gate.leave(c.ctx, t, err)
	}
}

// Report reports the outcome of the call.
func (c *Call) Report(o Outcome) {
	if t, ok := c.end(); ok {
		c.gate.end(c.ctx, t, o, nil)
	}
}

// end returns the ticket for the first report, and false for further reports.
func (c *Call) end() (ticket, bool) {
	if c == nil || c.gate == nil {
		return ticket{}, false
	}
	state := c.state.Swap(done)
	if state == done {
		return ticket{}, false
	}
	t := ticket{period: c.period, cell: c.cell, start: c.start}
	if state != running {
		c.gate.answered(c.period, -1)
		t.answered = time.Duration(state)
	}
	return t, true
}

// answered implements gate.
func (b *Breaker) answered(p *period, n int64) time.Duration {
	if b == nil {
		return 0
	}
	p.answers.Add(n)
	return b.now()
}

// answered implements gate.
func (t *Throttle) answered(*period, int64) time.Duration {
	if t == nil {
		return 0
	}
	return t.now()
}

// answered implements gate. A sketch does not measure calls.
func (*brief) answered(*period, int64) time.Duration { return 0 }
