package retry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// The special values of Hedge.Delay.
const (
	// AtOnce starts all attempts together.
	AtOnce time.Duration = 1
	// AfterFailure starts a further attempt only after a failure.
	AfterFailure time.Duration = -1
)

// Defaults and bounds of a Hedge.
const (
	defaultHedgeDelay = 100 * time.Millisecond
	mostHedges        = 99
)

// A Hedge makes hedged requests: it starts a call again before it has failed
// and takes the first answer. A little more load buys a shorter tail of the
// latencies. Hedge only work that may be done twice at the same time, and set a
// Budget. A Hedge holds no state of a call and can be shared.
//
// A failed attempt decides about the further ones, as in gRFC A6:
//
//   - An error that is Fatal ends the call, and all other attempts.
//   - An error with a method Retryable() bool that returns false, and the
//     refusal of a guard, mean that no further attempt starts. The attempts
//     that run go on.
//   - An error with a method RetryAfter() time.Duration delays the next
//     attempt. A call without a running attempt waits for at most 1 minute.
//   - After any other error the next attempt starts immediately.
//
// If the context of a call is Nested, there is a single attempt.
//
// See "The Tail at Scale", Dean and Barroso, 2013, and gRFC A6.
type Hedge[T any] struct {
	// Name names the hedge in errors and events. It may be empty.
	Name string

	// Max is the number of attempts besides the first, at most 99. Zero means
	// 1. Negative means none.
	Max int

	// Delay is the time between the starts of two attempts. Zero means 100 ms.
	// Negative (AfterFailure) means that only a failure starts another
	// attempt. AtOnce starts all attempts together.
	Delay time.Duration

	// Latency learns the delay from the calls that share it. Until it has seen
	// enough calls Delay holds, and a positive Delay remains the longest
	// delay. Nil means that Delay holds.
	Latency *Latency

	// Fatal reports whether an error makes the other attempts pointless. Nil
	// means an error marked by Permanent, or a context.Canceled that the
	// caller did not cause.
	Fatal func(error) bool

	// Budget is asked before every further attempt. If it refuses, the call
	// goes on with the attempts it has. Nil means no bound: a service that
	// becomes slow then gets a multiple of its load.
	Budget Budget

	// Discard is called once with the value of each attempt that succeeded and
	// whose value Do does not return. It may be called from another goroutine,
	// and after Do has returned. Nil means that such values are dropped.
	Discard func(T)

	// OnEvent is called for every further attempt, and at the end of every call
	// that made several attempts or failed. OnEvent may be nil. It is called
	// synchronously, outside locks, after the change that the event reports, in
	// the order of the changes. It may call back into this package and must not
	// block.
	OnEvent func(context.Context, Event)
}

// Validate reports every field whose value is out of range, and every such
// setting of Latency and Budget.
func (h Hedge[T]) Validate() error {
	var err error
	if h.Max > mostHedges {
		err = fmt.Errorf("retry: Hedge.Max is %d, want at most %d", h.Max, mostHedges)
	}
	return errors.Join(err, h.Latency.Validate(), validate(h.Budget))
}

// Do calls fn, calls it again as h decides while there is no answer, and
// returns the first value. If an error ends the call, Do returns the value that
// came with it.
//
// Each attempt runs on its own goroutine. Do does not wait for attempts that it
// no longer needs: their contexts end with ErrLost as the cause, and their
// goroutines end when fn returns. The context of the winner ends as well.
//
// A panic in fn becomes the panic of Do with a *PanicError, and runtime.Goexit
// passes to the caller, unless they happen after Do has returned.
//
// Errors: *Error, whose Reason is ErrExhausted, ErrPermanent, ErrBudget,
// ErrNested, ErrRetryAfter, ErrDeadline or the error of ctx. Its methods All
// and Join return the errors of the attempts in the order of their ends.
func (h Hedge[T]) Do(ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	v, cancel, err := h.first(ctx, fn)
	if cancel != nil {
		cancel(nil)
	}
	return v, err
}

// DoCancel is like Do, for a value that needs its context longer, such as a
// stream. The context of the attempt that won lives until cancel is called,
// which the caller must do. cancel is never nil.
//
// Errors: as for Do.
func (h Hedge[T]) DoCancel(ctx context.Context, fn func(context.Context) (T, error)) (v T, cancel context.CancelFunc, err error) {
	v, keep, err := h.first(ctx, fn)
	if keep == nil {
		return v, func() {}, err
	}
	return v, func() { keep(nil) }, err
}

// first runs a call. It returns the function that ends the context of the
// winner, or nil if no attempt won.
func (h Hedge[T]) first(ctx context.Context, fn func(context.Context) (T, error)) (v T, keep context.CancelCauseFunc, err error) {
	r := &race[T]{h: h, ctx: ctx, fn: fn, most: 1 + h.further(), reason: ErrExhausted}
	if h.OnEvent != nil {
		r.begin = time.Now()
	}
	if ctx.Err() != nil {
		return v, nil, r.stop(nil)
	}
	if r.most > 1 && Nested(ctx) {
		r.most, r.reason = 1, ErrNested
	}
	r.cancels = r.space[:0]
	r.results = make(chan result[T], r.most)
	defer r.leave()
	win, err := r.run()
	if err != nil {
		return win.v, nil, err
	}
	if len(r.cancels) > 1 {
		r.event(Event{Kind: KindDone, Attempt: win.attempt})
	}
	// leave cancels the contexts in the list.
	keep, r.cancels[win.attempt-1] = r.cancels[win.attempt-1], nil
	return win.v, keep, nil
}

// further returns the largest number of further attempts.
func (h *Hedge[T]) further() int {
	if h.Max == 0 {
		return 1
	}
	return min(max(h.Max, 0), mostHedges)
}

// delay returns the time before the next attempt, negative for none.
func (h *Hedge[T]) delay() time.Duration {
	if h.Latency != nil {
		if d, ok := h.Latency.Value(); ok && (h.Delay <= 0 || d < h.Delay) {
			return d
		}
	}
	if h.Delay == 0 {
		return defaultHedgeDelay
	}
	return h.Delay
}

// fatal reports whether err ends the call. If it does not, last reports whether
// there must be no further attempt.
func (h *Hedge[T]) fatal(err error, v verdict) (fatal, last bool) {
	signs := errtree.Read(err)
	last = signs.HasRetryable && !signs.Retryable
	if h.Fatal != nil {
		return h.Fatal(err), last
	}
	_, permanent := errtree.Find[*permanentError](err)
	return permanent || !v.retry && !last, last
}

// A result is the end of an attempt.
type result[T any] struct {
	attempt int
	v       T
	err     error
	panic   *PanicError
	exited  bool // by runtime.Goexit
}

// A race is the state of one call. Its attempts share results, mu and over; the
// rest belongs to the caller's goroutine.
type race[T any] struct {
	h      Hedge[T]
	ctx    context.Context // of the call; a race lives as long as its attempts
	fn     func(context.Context) (T, error)
	most   int       // attempts allowed
	reason error     // why there are no more, as Error.Reason
	begin  time.Time // zero without OnEvent

	cancels []context.CancelCauseFunc // of the attempts started
	space   [2]context.CancelCauseFunc
	costs   []int       // of the further attempts, with a Budget
	next    *time.Timer // for the next attempt, nil if none is due
	cause   error       // that the next attempt waits after
	wait    time.Time   // the failures asked for no attempt before this time

	failed  int // attempts
	history history
	last    error // of an attempt that was not refused, if any
	ended   int   // the attempt that failed last
	after   time.Duration
	nested  bool // a call inside an attempt retried and gave up

	results chan result[T] // with room for all attempts
	mu      sync.Mutex
	over    bool // the caller no longer receives
}

// run starts attempts until one succeeds or none is left.
func (r *race[T]) run() (result[T], error) {
	r.start()
	for delay := r.h.delay(); delay == AtOnce && r.more(nil); {
	}
	r.arm(r.h.delay())
	for {
		var due <-chan time.Time
		if r.next != nil {
			due = r.next.C
		}
		select {
		case res := <-r.results:
			if done, err := r.take(res); done {
				return res, err
			}
		case <-due:
			r.more(r.cause)
			r.arm(r.h.delay())
			if err := r.idle(); err != nil {
				return result[T]{}, err
			}
		case <-r.ctx.Done():
			return result[T]{}, r.stop(nil)
		}
	}
}

// take receives the end of an attempt, and reports whether it ends the call.
func (r *race[T]) take(res result[T]) (done bool, err error) {
	switch {
	case res.exited:
		runtime.Goexit()
	case res.panic != nil:
		panic(res.panic)
	case res.err == nil:
		r.settle(OutcomeSuccess, res)
		return true, nil
	}
	var p Policy
	v := p.judge(res.err)
	r.record(res, v)
	if v.rejected {
		r.settle(OutcomeUnmade, res)
	}
	if r.ctx.Err() != nil {
		return true, r.stop(nil)
	}
	fatal, last := r.h.fatal(res.err, v)
	switch {
	case v.rejected:
		r.most = len(r.cancels)
	case fatal:
		r.settle(OutcomeVerdict, res)
		return true, r.stop(ErrPermanent)
	default:
		r.settle(OutcomeFailure, res)
	}
	if last {
		r.most, r.reason = len(r.cancels), ErrPermanent
	}
	r.advance(res.err, v)
	err = r.idle()
	return err != nil, err
}

// record remembers the failure of an attempt.
func (r *race[T]) record(res result[T], v verdict) {
	r.failed++
	r.history.add(r.failed, res.err)
	r.ended, r.after = res.attempt, max(v.after, 0)
	r.nested = r.nested || v.nested
	if r.last == nil || !v.rejected {
		r.last = res.err
	}
}

// advance starts the next attempt after a failure, or sets the timer for it.
func (r *race[T]) advance(err error, v verdict) {
	if v.after > 0 {
		if until := time.Now().Add(v.after); until.After(r.wait) {
			r.wait = until
		}
	}
	if time.Until(r.wait) > 0 {
		r.cause = err
		r.arm(0)
		return
	}
	r.more(err)
	r.arm(r.h.delay())
}

// idle returns the error of a call without a running attempt, unless the next
// attempt is near.
func (r *race[T]) idle() error {
	if r.failed < len(r.cancels) {
		return nil
	}
	if r.next == nil {
		return r.stop(r.reason)
	}
	wait := time.Until(r.wait)
	if end, ok := r.ctx.Deadline(); ok && wait >= time.Until(end) {
		return r.stop(ErrDeadline)
	}
	if wait > defaultMaxRetryAfter {
		return r.stop(ErrRetryAfter)
	}
	return nil
}

// more starts a further attempt if the hedge and the budget allow it.
func (r *race[T]) more(cause error) bool {
	if len(r.cancels) >= r.most {
		return false
	}
	if b := r.h.Budget; b != nil {
		cost, ok := b.Withdraw(cause)
		if !ok {
			r.most = len(r.cancels)
			if cause != nil {
				r.reason = ErrBudget
			}
			return false
		}
		r.costs = append(r.costs, cost)
	}
	r.start()
	r.event(Event{Kind: KindHedged, Attempt: len(r.cancels), Err: cause})
	return true
}

// arm sets the timer for the next attempt if the call may have a further
// attempt: after d, and not before the time that failures asked for. A negative
// d stops the timer.
func (r *race[T]) arm(d time.Duration) {
	if r.next != nil {
		r.next.Stop()
		r.next = nil
	}
	if len(r.cancels) < r.most && d >= 0 {
		r.next = time.NewTimer(max(d, time.Until(r.wait)))
	}
}

// start starts an attempt.
func (r *race[T]) start() {
	r.cause = nil
	ctx, cancel := context.WithCancelCause(r.ctx)
	r.cancels = append(r.cancels, cancel)
	go r.attempt(ctx, len(r.cancels))
}

// attempt runs fn on a goroutine of its own. A panic becomes a result, since
// here it would end the process.
func (r *race[T]) attempt(ctx context.Context, n int) {
	res := result[T]{attempt: n, exited: true}
	defer func() {
		if v := recover(); v != nil {
			res.panic, res.exited = newPanicError(r.h.Name, v), false
		}
		r.finish(res)
	}()
	latency := r.h.Latency
	if latency == nil || n > 1 {
		res.v, res.err = r.fn(ctx)
	} else {
		begin := time.Now()
		res.v, res.err = r.fn(ctx)
		latency.observe(time.Since(begin), res.err == nil && ctx.Err() == nil)
	}
	res.exited = false
}

// finish passes a result to the caller, or discards it if the caller no longer
// receives.
func (r *race[T]) finish(res result[T]) {
	r.mu.Lock()
	over := r.over
	if !over {
		r.results <- res // has room: never blocks
	}
	r.mu.Unlock()
	if over {
		r.discard(res)
	}
}

// leave ends the attempts.
func (r *race[T]) leave() {
	r.mu.Lock()
	r.over = true
	r.mu.Unlock()
	if r.next != nil {
		r.next.Stop()
	}
	for _, cancel := range r.cancels {
		if cancel != nil {
			cancel(ErrLost)
		}
	}
	for len(r.results) > 0 {
		r.discard(<-r.results)
	}
}

func (r *race[T]) discard(res result[T]) {
	ok := res.err == nil && res.panic == nil && !res.exited
	if ok && r.h.Discard != nil {
		r.h.Discard(res.v)
	}
}

// settle reports the outcome of an attempt to the budget. Without a cost there
// is nothing to return.
func (r *race[T]) settle(o Outcome, res result[T]) {
	cost := 0
	if res.attempt > 1 && r.h.Budget != nil {
		cost = r.costs[res.attempt-2]
	}
	if r.h.Budget == nil || o == OutcomeUnmade && cost == 0 {
		return
	}
	p := Policy{Budget: r.h.Budget}
	p.settle(r.ctx, o, cost, res.err)
}

// event completes and reports an event.
func (r *race[T]) event(e Event) {
	if r.h.OnEvent != nil {
		e.Name, e.Elapsed = r.h.Name, time.Since(r.begin)
		r.h.OnEvent(r.ctx, e)
	}
}

// stop ends a call that failed, and returns its error. A nil reason stands for
// the error of the context.
func (r *race[T]) stop(reason error) error {
	e := &Error{
		Name: r.h.Name, Reason: reason, Attempts: len(r.cancels), RetryAfter: r.after, last: r.last,
		more: &more{history: r.history, failed: r.failed, nested: r.nested},
	}
	if !r.begin.IsZero() {
		e.Elapsed = time.Since(r.begin)
	}
	if reason == nil {
		e.Reason, e.more.cause = r.ctx.Err(), context.Cause(r.ctx)
	}
	r.event(Event{Kind: KindDone, Attempt: r.ended, Err: r.last, Reason: e.Reason})
	return e
}
