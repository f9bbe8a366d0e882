package retry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
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
// latencies. Hedge only work that may be done twice, and set a Budget. A Hedge
// holds no state of a call and can be shared.
//
// See "The Tail at Scale", Dean and Barroso, 2013, and gRFC A6.
type Hedge[T any] struct {
	// Name names the hedge in events. It may be empty.
	Name string

	// Max is the number of attempts besides the first, at most 99. Zero means
	// 1. Negative means none.
	Max int

	// Delay is the time between the starts of two attempts. After a failure the
	// next attempt starts immediately. Zero means 100 ms. Negative
	// (AfterFailure) means that only a failure starts another attempt. AtOnce
	// starts all attempts together.
	Delay time.Duration

	// Latency learns the delay from the calls that share it. Until it has seen
	// enough calls Delay holds, and a positive Delay remains the longest
	// delay. Nil means that Delay holds.
	Latency *Latency

	// Fatal reports whether an error makes the other attempts pointless. Nil
	// means that an error which is not Retryable does.
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
// A panic or runtime.Goexit in fn passes to the caller, unless it happens after
// Do has returned.
//
// Errors: an error that is Fatal, as fn returned it. Otherwise an error that
// matches the errors of all attempts. If ctx ended the call, the error matches
// ctx.Err() and context.Cause(ctx) too.
func (h Hedge[T]) Do(ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	v, cancel, err := h.first(ctx, fn)
	if cancel != nil {
		cancel(nil)
	}
	return v, err
}

// DoCancel is like Do, for a value that needs its context longer, such as the
// body of an HTTP response. The context of the attempt that won lives until
// cancel is called, which the caller must do. cancel is never nil.
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
	r := &race[T]{h: h, ctx: ctx, fn: fn, most: 1 + h.further()}
	if h.OnEvent != nil {
		r.begin = time.Now()
	}
	if ctx.Err() != nil {
		err = ended(ctx, nil)
		r.event(Event{Kind: KindDone, Reason: err})
		return v, nil, err
	}
	r.cancels = r.space[:0]
	r.results = make(chan result[T], r.most)
	defer r.leave()
	win, err := r.run()
	if len(r.cancels) > 1 || err != nil {
		r.event(Event{Kind: KindDone, Attempt: win.attempt, Err: win.err, Reason: err})
	}
	if err == nil {
		// leave cancels the contexts in the list.
		keep, r.cancels[win.attempt-1] = r.cancels[win.attempt-1], nil
	}
	return win.v, keep, err
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

func (h *Hedge[T]) fatal(err error) bool {
	if h.Fatal != nil {
		return h.Fatal(err)
	}
	return !Retryable(err)
}

// A result is the end of an attempt.
type result[T any] struct {
	attempt int
	v       T
	err     error
	panicV  any  // of a panic
	exited  bool // by runtime.Goexit
}

// A race is the state of one call. Its attempts share results, mu and over; the
// rest belongs to the caller's goroutine.
type race[T any] struct {
	h     Hedge[T]
	ctx   context.Context // of the call; a race lives as long as its attempts
	fn    func(context.Context) (T, error)
	most  int       // attempts allowed
	begin time.Time // zero without OnEvent

	cancels []context.CancelCauseFunc // of the attempts started
	space   [2]context.CancelCauseFunc
	costs   []int       // of the further attempts, with a Budget
	errs    []error     // of the attempts that failed
	next    *time.Timer // for the next attempt, nil if none is due

	results chan result[T] // with room for all attempts
	mu      sync.Mutex
	over    bool // the caller no longer receives
}

// run starts attempts until one succeeds or none is left.
func (r *race[T]) run() (result[T], error) {
	r.start()
	for delay := r.h.delay(); delay == AtOnce && r.more(nil); {
	}
	r.arm()
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
			r.next = nil
			r.more(nil)
			r.arm()
		case <-r.ctx.Done():
			return result[T]{}, ended(r.ctx, r.errs)
		}
	}
}

// take receives the end of an attempt, and reports whether it ends the call.
func (r *race[T]) take(res result[T]) (done bool, err error) {
	switch {
	case res.exited:
		runtime.Goexit()
	case res.panicV != nil:
		panic(res.panicV)
	case res.err == nil:
		r.settle(OutcomeSuccess, res)
		return true, nil
	}
	r.errs = append(r.errs, res.err)
	if r.ctx.Err() != nil {
		return true, ended(r.ctx, r.errs)
	}
	if r.h.fatal(res.err) {
		r.settle(OutcomeVerdict, res)
		return true, res.err
	}
	r.settle(OutcomeFailure, res)
	if r.more(res.err) {
		r.arm()
	}
	if len(r.errs) < len(r.cancels) {
		return false, nil
	}
	return true, &hedgeError{fmt.Sprintf("retry: all %d hedged attempts failed", len(r.errs)), r.errs}
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
			return false
		}
		r.costs = append(r.costs, cost)
	}
	r.start()
	r.event(Event{Kind: KindHedged, Attempt: len(r.cancels), Err: cause})
	return true
}

// arm sets the timer for the next attempt, counted from now.
func (r *race[T]) arm() {
	if r.next != nil {
		r.next.Stop()
		r.next = nil
	}
	if len(r.cancels) >= r.most {
		return
	}
	if d := r.h.delay(); d >= 0 {
		r.next = time.NewTimer(d)
	}
}

// start starts an attempt.
func (r *race[T]) start() {
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
			res.panicV, res.exited = v, false
		}
		r.finish(res)
	}()
	latency := r.h.Latency
	if latency == nil {
		res.v, res.err = r.fn(ctx)
	} else {
		begin := time.Now()
		res.v, res.err = r.fn(ctx)
		// The latency of an attempt cut short is unknown: it is longer than
		// the measured time.
		if res.err == nil && ctx.Err() == nil {
			latency.Observe(time.Since(begin))
		}
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

// leave ends the attempts that still run.
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
	ok := res.err == nil && res.panicV == nil && !res.exited
	if ok && r.h.Discard != nil {
		r.h.Discard(res.v)
	}
}

// settle reports the outcome of an attempt to the budget.
func (r *race[T]) settle(o Outcome, res result[T]) {
	if r.h.Budget == nil {
		return
	}
	cost := 0
	if res.attempt > 1 {
		cost = r.costs[res.attempt-2]
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

// ended returns the error of a call that its context ended.
func ended(ctx context.Context, errs []error) error {
	err := ctxerr.New(ctx, "retry: hedge")
	if len(errs) == 0 {
		return err
	}
	return &hedgeError{err.Error(), append([]error{err}, errs...)}
}

// A hedgeError matches the errors of several attempts.
type hedgeError struct {
	text string
	errs []error // the text contains the last
}

func (e *hedgeError) Error() string   { return e.text + ": " + line(e.errs[len(e.errs)-1]) }
func (e *hedgeError) Unwrap() []error { return e.errs }
