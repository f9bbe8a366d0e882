package retry

import (
	"context"
	"math/rand/v2"
	"time"
)

// Unlimited, as Policy.MaxAttempts, sets no limit on the number of attempts.
const Unlimited = -1

// What the zero fields of a Policy mean.
const (
	defaultAttempts      = 3
	defaultMaxRetryAfter = time.Minute
)

// A Policy says when a failed call is made again. The zero value is ready to
// use. A Policy holds no state of any call: it is passed by value, copied to
// be varied, and shared freely between goroutines.
type Policy struct {
	// MaxAttempts is the largest number of calls, the first included.
	// 0 means 3; a negative number (Unlimited) means no limit.
	MaxAttempts int

	// MaxElapsed is the time, from the start of the call, from which on no
	// attempt starts; a pause that would reach it is not begun. An attempt
	// already running is not cut short, and MaxAttempts still applies.
	// 0 or negative means no limit.
	MaxElapsed time.Duration

	// AttemptTimeout bounds each attempt: its context ends after this time with
	// ErrAttemptTimeout as its cause, and the attempt may be retried.
	// 0 or negative means no limit.
	AttemptTimeout time.Duration

	// Backoff gives the pause after each failed attempt. nil means
	// Exponential{Base: 100 * time.Millisecond, Max: 10 * time.Second}.
	Backoff Backoff

	// MaxRetryAfter is the longest pause the other side may ask for (see
	// After). A longer one ends the call with ErrRetryAfter.
	// 0 means one minute; negative means that any is obeyed.
	MaxRetryAfter time.Duration

	// RetryIf reports whether another attempt after this error can help. It
	// is asked once per failed attempt, except for errors marked with
	// Permanent, which are never retried. nil means Retryable.
	RetryIf func(error) bool

	// Budget bounds the retries of all calls which share it. nil means no
	// bound.
	Budget Budget

	// OnEvent is told of every retry before its pause, and of the end of every
	// call that retried or failed. It may be nil. It is called
	// synchronously, outside locks, after the change it reports and in the
	// order of the changes; it may call back into this package and must not
	// block.
	OnEvent func(context.Context, Event)

	// Rand gives the randomness of the pauses, in [0,1). It is called at most
	// once per failed attempt, by every goroutine that uses the policy. nil
	// means math/rand/v2.Float64; tests set it to get the same pauses always.
	Rand func() float64
}

// Do calls fn until it succeeds, fails for good, or p allows no more attempts.
// It returns the value of the last attempt, with nil or a *Error.
//
// A context that is done stops the call: no attempt starts then, the pause
// ends at once, and the error matches both ctx.Err() and context.Cause(ctx). A
// pause that would outlast the deadline of ctx is not begun.
//
// Errors: *Error, whose Reason is ErrExhausted, ErrPermanent, ErrElapsed,
// ErrDeadline, ErrRetryAfter, ErrBudget or the error of ctx.
func Do[T any](ctx context.Context, p Policy, fn func(context.Context) (T, error)) (v T, err error) {
	// The first attempt stands apart from the loop, and calls fn from here: a
	// call that succeeds at once, which is most of them, neither sets up nor
	// clears the loop's state.
	if ctx.Err() != nil {
		return v, p.refuse(ctx)
	}
	start := p.clock()
	if p.AttemptTimeout <= 0 {
		v, err = fn(ctx)
	} else {
		v, err = attempt(ctx, &p, fn)
	}
	if err != nil {
		return again(ctx, &p, fn, start, v, err)
	}
	if p.Budget != nil {
		p.Budget.Deposit()
	}
	return v, nil
}

// Do is the function Do for work that has no value.
//
// Errors: as for the function Do.
func (p Policy) Do(ctx context.Context, fn func(context.Context) error) error {
	_, err := Do(ctx, p, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, fn(ctx)
	})
	return err
}

// Wrap returns fn as a function that retries by p: the decorator form of Do.
func Wrap[T any](p Policy, fn func(context.Context) (T, error)) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) { return Do(ctx, p, fn) }
}

// WrapArg is Wrap for a function with an argument, which every attempt gets.
func WrapArg[A, T any](p Policy, fn func(context.Context, A) (T, error)) func(context.Context, A) (T, error) {
	return func(ctx context.Context, arg A) (T, error) {
		return Do(ctx, p, func(ctx context.Context) (T, error) { return fn(ctx, arg) })
	}
}

// again is the loop of Do, entered after a first attempt that failed.
func again[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error), start time.Time, v T, err error) (T, error) {
	r := run{p: *p, ctx: ctx, start: start}
	for {
		if e := r.failed(err); e != nil {
			return v, e
		}
		if v, err = attempt(ctx, p, fn); err == nil {
			r.succeeded()
			return v, nil
		}
	}
}

// attempt calls fn once, within the time that p gives an attempt.
func attempt[T any](ctx context.Context, p *Policy, fn func(context.Context) (T, error)) (T, error) {
	if p.AttemptTimeout <= 0 {
		return fn(ctx)
	}
	ctx, cancel := p.limit(ctx)
	defer cancel()
	v, err := fn(ctx)
	return v, blame(ctx, err)
}

// limit returns the context of one attempt. p has an AttemptTimeout.
func (p *Policy) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, p.AttemptTimeout, ErrAttemptTimeout)
}

// clock returns the start of a call, or the zero time when nothing will ask
// for it: reading the clock would be most of the cost of a call that succeeds.
func (p *Policy) clock() time.Time {
	if p.MaxElapsed > 0 || p.OnEvent != nil {
		return time.Now()
	}
	return time.Time{}
}

// refuse returns the error of a call whose context was done before it began.
func (p *Policy) refuse(ctx context.Context) error {
	r := run{p: *p, ctx: ctx}
	return r.stop(nil, 0)
}

// attempts returns the largest number of attempts, or 0 for no limit.
func (p *Policy) attempts() int {
	if p.MaxAttempts == 0 {
		return defaultAttempts
	}
	return max(p.MaxAttempts, 0)
}

// random returns one draw from [0,1), or whatever a faulty Rand gives: each
// use puts it right, see between.
func (p *Policy) random() float64 {
	if p.Rand != nil {
		return p.Rand()
	}
	return rand.Float64()
}

// obeys reports whether a pause of d, asked for by the other side, is short
// enough.
func (p *Policy) obeys(d time.Duration) bool {
	if p.MaxRetryAfter == 0 {
		return d <= defaultMaxRetryAfter
	}
	return p.MaxRetryAfter < 0 || d <= p.MaxRetryAfter
}

// A run is the state of one call that has failed at least once. It lives on
// the stack of that call.
type run struct {
	p       Policy          // a copy, since what a run points to escapes to the heap
	ctx     context.Context // of the call; a run lives no longer
	start   time.Time       // zero when nothing asks for the time, see clock
	n       int             // attempts that failed so far
	step    Step            // what the backoff was last told
	prev    time.Duration   // what it answered
	timer   *time.Timer     // made by the first pause that needs one
	history history
}

// failed records an attempt's error and decides. With nil the pause is over
// and the next attempt may start; anything else is the error of the call.
func (r *run) failed(err error) error {
	r.n++
	r.history.add(r.n, err)
	retry, s := r.p.judge(err)
	if r.ctx.Err() != nil {
		return r.stop(nil, s.hint)
	}
	if !retry {
		// The other side is well enough to say no, which is what the budget
		// wants to know, unless a guard said it.
		if r.p.Budget != nil && !s.rejected {
			r.p.Budget.Deposit()
		}
		return r.stop(ErrPermanent, s.hint)
	}
	if limit := r.p.attempts(); limit > 0 && r.n >= limit {
		return r.stop(ErrExhausted, s.hint)
	}
	d := r.delay(err, s.hint)
	elapsed := r.elapsed()
	if reason := r.forbids(d, elapsed, s); reason != nil {
		return r.stop(reason, s.hint)
	}
	if r.p.OnEvent != nil {
		r.p.OnEvent(r.ctx, Event{Kind: Retry, Attempt: r.n, Err: err, Delay: d, Elapsed: elapsed})
	}
	r.pause(d)
	// Both the hook and the pause may end with the context done, even when the
	// timer fired in the same instant.
	if r.ctx.Err() != nil {
		return r.stop(nil, s.hint)
	}
	return nil
}

// delay returns the pause before the next attempt. A hint replaces the
// backoff, which then begins anew: up to a tenth is added at random, since
// callers told the same time would otherwise come back together.
func (r *run) delay(err error, hint time.Duration) time.Duration {
	u := r.p.random()
	if hint > 0 {
		r.step, r.prev = Step{}, 0
		return add(hint, between(0, hint/10, u))
	}
	r.step = Step{Retry: r.step.Retry + 1, Prev: r.prev, Rand: u, PrevRand: r.step.Rand, Err: err}
	b := r.p.Backoff
	if b == nil {
		b = defaultBackoff
	}
	r.prev = max(b.Delay(r.step), 0)
	return r.prev
}

// forbids returns why there must be no retry after a pause of d, or nil. The
// budget comes last: a token is spent only when nothing else objects, and
// none when the attempt that failed put no load on the other side.
func (r *run) forbids(d, elapsed time.Duration, s signs) error {
	if !r.p.obeys(s.hint) {
		return ErrRetryAfter
	}
	if limit := r.p.MaxElapsed; limit > 0 && d >= limit-elapsed {
		return ErrElapsed
	}
	if end, ok := r.ctx.Deadline(); ok && d >= time.Until(end) {
		return ErrDeadline
	}
	if b := r.p.Budget; b != nil && !s.rejected && !b.Withdraw() {
		return ErrBudget
	}
	return nil
}

// pause waits for d or for the end of the context. The timer belongs to the
// call and is never pooled: one made inside a testing/synctest bubble must not
// be seen outside it.
func (r *run) pause(d time.Duration) {
	if d <= 0 {
		return
	}
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

// succeeded ends a call whose last attempt succeeded.
func (r *run) succeeded() {
	if r.p.Budget != nil {
		r.p.Budget.Deposit()
	}
	if r.p.OnEvent != nil && r.n > 0 {
		r.p.OnEvent(r.ctx, Event{Kind: Done, Attempt: r.n + 1, Elapsed: r.elapsed()})
	}
}

// stop ends a call that failed, and returns its error. A nil reason stands for
// that of the context.
func (r *run) stop(reason error, hint time.Duration) error {
	e := &Error{
		Reason:   reason,
		Attempts: r.n,
		Elapsed:  r.elapsed(),
		Hint:     max(hint, 0),
	}
	if reason == nil {
		e.Reason, e.cause = r.ctx.Err(), context.Cause(r.ctx)
	}
	switch {
	case r.n > 1:
		older := r.history
		e.last, e.older = older[slot(r.n)], &older
	case r.n == 1:
		e.last = r.history[0]
	}
	if r.p.OnEvent != nil {
		r.p.OnEvent(r.ctx, Event{Kind: Done, Attempt: r.n, Err: e.last, Elapsed: e.Elapsed, Reason: e.Reason})
	}
	return e
}

// elapsed returns the time since the call began, or 0 when it is not measured.
func (r *run) elapsed() time.Duration {
	if r.start.IsZero() {
		return 0
	}
	return time.Since(r.start)
}
