package retry

import (
	"context"
	"math"
	"math/rand/v2"
	"time"
)

// A run is the state of a call that has failed at least once. It lives on the
// stack of that call.
type run struct {
	p       Policy          // a copy, since the fields of a run escape to the heap
	ctx     context.Context // of the call; a run lives no longer
	start   time.Time       // of the call, zero if nothing needs it; see clock
	began   time.Time       // of the attempt, set only with ResetAfter
	n       int             // failed attempts so far
	base    int             // failed attempts before the last healthy one
	cost    int             // paid to the budget for an attempt not yet settled
	step    Step            // last argument of the backoff
	prev    time.Duration   // last result of the backoff
	timer   *time.Timer     // made by the first pause that needs one
	marked  context.Context // ctx for attempts that must not retry, nil at first
	after   time.Duration   // asked for by the last error, 0 for none
	nested  bool            // a call inside an attempt retried and gave up
	paused  bool            // there was a pause
	looked  bool            // the pause of a Poll was shortened
	history history
}

// failed records the error of an attempt, with its meaning v, and decides. If
// it returns nil, the pause is over and the next attempt may start. Otherwise
// it returns the error of the call.
func (r *run) failed(v verdict, err error) error {
	r.n = inc(r.n)
	r.history.add(r.n, err)
	pause, stop := r.next(v, err)
	if stop != nil {
		return stop
	}
	if r.p.OnEvent != nil {
		r.announce(Event{Kind: KindRetry, Attempt: r.n, Err: err, Delay: pause})
		// The hook took time. The error is now older too.
		if stop := r.late(pause); stop != nil {
			return stop
		}
	}
	r.pause(pause)
	if r.ctx.Err() != nil {
		return r.stop(nil)
	}
	if stop := r.late(0); stop != nil {
		return stop
	}
	if r.p.ResetAfter > 0 {
		r.began = time.Now()
	}
	return nil
}

// next decides whether to retry after attempt r.n, which failed with err. It
// returns the pause before the next attempt, or the error of the call.
func (r *run) next(v verdict, err error) (time.Duration, error) {
	r.after = max(v.after, 0)
	r.nested = r.nested || v.nested
	if r.ctx.Err() != nil {
		if !v.rejected {
			r.cost = 0 // the attempt was made, but its outcome shows nothing
		}
		return 0, r.stop(nil)
	}
	r.settle(v, err)
	if !v.retry {
		return 0, r.stop(ErrPermanent)
	}
	if r.p.ResetAfter > 0 && time.Since(r.began) >= r.p.ResetAfter {
		r.base, r.step, r.prev = r.n-1, Step{}, 0
	}
	if reason := r.last(); reason != nil {
		return 0, r.stop(reason)
	}
	pause, reason := r.schedule(v, err)
	if reason != nil {
		return 0, r.stop(reason)
	}
	// The budget comes last: it is charged only if nothing else objects, and
	// not for an attempt that put no load on the other side.
	if b := r.p.Budget; b != nil && !v.rejected {
		cost, ok := b.Withdraw(err)
		if !ok {
			return 0, r.stop(ErrBudget)
		}
		r.cost = cost
	}
	return pause, nil
}

// last returns the reason why there must be no attempt after r.n, or nil.
func (r *run) last() error {
	if most := r.p.attempts(); most > 0 && r.n-r.base >= most {
		return ErrExhausted
	}
	if !r.p.poll && Nested(r.ctx) {
		return ErrNested
	}
	return nil
}

// schedule returns the pause before the next attempt, or the reason why there
// must be none.
func (r *run) schedule(v verdict, err error) (time.Duration, error) {
	if !r.obeys(v, err) {
		return 0, ErrRetryAfter
	}
	left, reason := r.left()
	d := r.delay(v, err, left)
	if d < left {
		return d, nil
	}
	if r.p.poll && !r.looked && left > 1 {
		// A wait has nothing to lose: look once more before the time is over.
		r.looked = true
		return left - max(left/10, 1), nil
	}
	return 0, reason
}

// obeys reports whether the pause that err asks for is short enough.
func (r *run) obeys(v verdict, err error) bool {
	limit := r.p.MaxRetryAfter
	switch {
	case v.after <= 0:
		return true
	case v.rejected && r.p.MaxRejected == 0:
		step := r.following(err)
		step.Rand = 1 - 1.0/(1<<53) // the largest draw, whose pause is just below its bound
		return v.after-1 <= r.p.backoff().Delay(step)
	case v.rejected:
		limit = r.p.MaxRejected
	case limit == 0:
		limit = defaultMaxRetryAfter
	}
	return limit < 0 || v.after <= limit
}

// left returns the time in which the next attempt must start, and the reason
// to stop if it cannot.
func (r *run) left() (time.Duration, error) {
	left, reason := time.Duration(math.MaxInt64), ErrDeadline
	if end, ok := r.ctx.Deadline(); ok {
		left = time.Until(end)
	}
	if r.p.MaxElapsed > 0 {
		if rest := r.p.MaxElapsed - r.elapsed(); rest <= left {
			left, reason = rest, ErrElapsed
		}
	}
	return left, reason
}

// late returns the error of a call that cannot start its next attempt in time
// after a pause, or nil.
func (r *run) late(pause time.Duration) error {
	if r.p.MaxElapsed <= 0 && r.p.OnEvent == nil {
		return nil
	}
	left, reason := r.left()
	if pause < left {
		return nil
	}
	return r.stop(reason)
}

// delay returns the pause before the next attempt, with left as the time in
// which it must start. A pause that err asks for replaces the backoff, which
// then begins again. Up to a tenth is added to it at random: callers that were
// asked for the same pause would otherwise return together.
func (r *run) delay(v verdict, err error, left time.Duration) time.Duration {
	if v.after > 0 {
		r.step, r.prev = Step{}, 0
		extra := min(v.after/10, max(left-v.after, 0))
		return add(v.after, between(0, extra, r.p.random()))
	}
	r.step = r.following(err)
	r.step.Rand = r.p.random()
	r.prev = max(r.p.backoff().Delay(r.step), 0)
	return r.prev
}

// following returns the argument of the backoff for the next pause, without
// its draw.
func (r *run) following(err error) Step {
	return Step{Retry: inc(r.step.Retry), Prev: r.prev, Err: err}
}

// announce calls OnEvent before a pause. If the hook panics, the retry is not
// made.
func (r *run) announce(e Event) {
	returned := false
	defer func() {
		if !returned {
			r.refund()
		}
	}()
	r.event(e)
	returned = true
}

// event completes and reports an event.
func (r *run) event(e Event) {
	e.Name, e.Elapsed = r.p.Name, r.elapsed()
	r.p.OnEvent(r.ctx, e)
}

// pause waits for d or until the context is done. The timer belongs to the
// call and is never pooled: a timer made in a testing/synctest bubble must not
// be used outside it.
func (r *run) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	r.paused = true
	done := r.ctx.Done()
	if done == nil {
		time.Sleep(d)
		return
	}
	if r.timer == nil {
		r.timer = time.NewTimer(d)
	} else {
		r.timer.Reset(d)
	}
	select {
	case <-r.timer.C:
	case <-done:
		r.timer.Stop()
	}
}

// attemptContext returns the context of the next attempt, without its timeout.
func (r *run) attemptContext() context.Context {
	if r.marked == nil {
		if r.p.poll || !r.nested && !r.paused {
			return r.ctx
		}
		r.marked = nest(r.ctx, r.p.Budget)
	}
	return r.marked
}

// settle reports the end of attempt r.n to the budget. If a guard refused the
// attempt, its cost pays for the next attempt instead.
func (r *run) settle(v verdict, err error) {
	if r.p.Budget == nil || v.rejected {
		return
	}
	outcome, cost := OutcomeVerdict, r.cost
	if v.retry || v.failed {
		outcome = OutcomeFailure
	}
	r.cost = 0
	r.p.settle(r.ctx, outcome, cost, err)
}

// refund returns the cost of a retry that is not made.
func (r *run) refund() {
	if cost := r.cost; cost != 0 {
		r.cost = 0
		r.p.settle(r.ctx, OutcomeUnmade, cost, nil)
	}
}

// settle reports the end of an attempt to the budget, which is not nil. If the
// call belongs to an attempt of a call with the same budget, that call reports
// it.
func (p *Policy) settle(ctx context.Context, o Outcome, cost int, err error) {
	if cost == 0 && sharesBudget(ctx, p.Budget) {
		return
	}
	p.Budget.Settle(o, cost, err)
}

// succeeded ends a call whose last attempt succeeded.
func (r *run) succeeded() {
	if r.p.Budget != nil {
		r.p.settle(r.ctx, OutcomeSuccess, r.cost, nil)
	}
	if r.p.OnEvent != nil && r.n > 0 {
		r.event(Event{Kind: KindDone, Attempt: inc(r.n)})
	}
}

// abandoned ends a call whose loop body left after an attempt that failed.
func (r *run) abandoned(err error) {
	r.n = inc(r.n)
	if r.p.Budget != nil && r.ctx.Err() == nil {
		r.settle(r.p.judge(err), err)
		r.refund()
	}
	if r.p.OnEvent != nil {
		r.event(Event{Kind: KindDone, Attempt: r.n, Err: err, Reason: err})
	}
}

// stop ends a call that failed, and returns its error. A nil reason stands for
// the error of the context.
func (r *run) stop(reason error) error {
	r.refund()
	e := &Error{
		Name: r.p.Name, Reason: reason, Attempts: r.n, Elapsed: r.elapsed(), RetryAfter: r.after,
	}
	if r.n > 0 {
		e.last = r.history[slot(r.n)]
	}
	if reason == nil || r.n > 1 || r.nested {
		e.more = &more{history: r.history, failed: r.n, nested: r.nested}
	}
	if reason == nil {
		e.Reason, e.more.cause = r.ctx.Err(), context.Cause(r.ctx)
	}
	if r.p.OnEvent != nil {
		r.p.OnEvent(r.ctx, Event{
			Kind: KindDone, Name: e.Name, Attempt: r.n, Err: e.last, Elapsed: e.Elapsed, Reason: e.Reason,
		})
	}
	return e
}

// refuse returns the error of a call whose context was done before it began.
func (p *Policy) refuse(ctx context.Context) error {
	r := run{p: *p, ctx: ctx}
	return r.stop(nil)
}

// inc returns n+1, saturating: 32 bits do not suffice for every call without a
// limit.
func inc(n int) int {
	if n == math.MaxInt {
		return n
	}
	return n + 1
}

// elapsed returns the time since the call began, or 0 if it is not measured.
func (r *run) elapsed() time.Duration {
	if r.start.IsZero() {
		return 0
	}
	return max(time.Since(r.start), 0)
}

// attempts returns the largest number of attempts, or 0 for no limit.
func (p *Policy) attempts() int {
	if p.MaxAttempts == 0 {
		return defaultAttempts
	}
	return max(p.MaxAttempts, 0)
}

// backoff returns the Backoff in force.
func (p *Policy) backoff() Backoff {
	if p.Backoff == nil {
		return defaultBackoff
	}
	return p.Backoff
}

// random returns a draw from [0, 1), or the result of a faulty Rand, which
// each use corrects; see between.
func (p *Policy) random() float64 {
	if p.Rand != nil {
		return p.Rand()
	}
	return rand.Float64()
}
