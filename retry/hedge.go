package retry

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// A Hedge starts a call again before it has failed, and takes the first answer:
// it trades a little more load for the slow tail of the latencies. Hedge only
// work that may be done twice. The zero value makes two attempts at once. A
// Hedge holds no state of any call, and is shared freely.
//
// See "The Tail at Scale", Dean and Barroso, 2013; the rules are those of gRFC
// A6.
type Hedge[T any] struct {
	// Max is the number of attempts besides the first.
	// 0 means 1; negative means none; more than 99 means 99.
	Max int

	// Delay is the time from the start of one attempt to that of the next. An
	// attempt that fails starts the next one without it. 0 means all at once;
	// negative means that only a failure starts another attempt.
	Delay time.Duration

	// Quantile learns the delay from the latencies of the calls that share it.
	// Until it has seen enough of them Delay holds, and a positive Delay
	// remains the longest one. nil means that Delay holds.
	Quantile *Quantile

	// Fatal reports whether an error makes the other attempts pointless. nil
	// means those that are not Retryable.
	Fatal func(error) bool

	// Budget is asked before every further attempt. When it refuses, the call
	// goes on with the attempts it has. nil means no bound: then a service
	// that becomes slow gets a multiple of its load.
	Budget Budget

	// Discard gets the value of each attempt that succeeded and is not what Do
	// returns, once, to close what it holds. It may be called after Do has
	// returned, from another goroutine. nil drops such values.
	Discard func(T)

	// OnEvent is told of every further attempt, and of the end of every call
	// that made one or failed. It may be nil. It is called synchronously,
	// outside locks, after the change it reports and in the order of the
	// changes; it may call back into this package and must not block.
	OnEvent func(context.Context, Event)
}

// Do calls fn, calls it again as h says while there is no answer, and returns
// the first value. With an error it returns the value of the attempt whose
// failure ended the call, if one did.
//
// Each attempt runs on a goroutine of its own. Do does not wait for those it no
// longer needs: their contexts end with ErrLost as the cause, and their
// goroutines when fn returns. The context of the winner ends as well.
//
// A panic or runtime.Goexit in fn is passed on to the caller, unless it comes
// after Do has returned: then nobody is left to hear of it.
//
// Errors: a fatal one as fn returned it; one that matches the errors of all
// attempts; or, when ctx ended the call, one that matches ctx.Err() and
// context.Cause(ctx) and the errors so far.
func (h Hedge[T]) Do(ctx context.Context, fn func(context.Context) (T, error)) (T, error) {
	v, cancel, err := h.first(ctx, fn)
	if cancel != nil {
		cancel(nil)
	}
	return v, err
}

// DoCancel is Do, but for a value that needs its context for longer, such as
// the body of an HTTP response: the context of the attempt that won lives until
// cancel is called, which must be done in the end. cancel is never nil.
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
// winner, nil if there is none.
func (h Hedge[T]) first(ctx context.Context, fn func(context.Context) (T, error)) (v T, keep context.CancelCauseFunc, err error) {
	r := &race[T]{h: h, ctx: ctx, fn: fn, limit: 1 + h.more()}
	if h.OnEvent != nil {
		r.begin = time.Now()
	}
	if ctx.Err() != nil {
		err = ended(ctx, nil)
		r.event(Event{Kind: Done, Reason: err})
		return v, nil, err
	}
	r.cancels = r.space[:0]
	r.results = make(chan result[T], r.limit)
	defer r.leave()
	win, err := r.run()
	if len(r.cancels) > 1 || err != nil {
		r.event(Event{Kind: Done, Attempt: win.attempt, Err: win.err, Reason: err})
	}
	if err == nil {
		// Taken out of the list, it is not among those that leave cancels.
		keep, r.cancels[win.attempt-1] = r.cancels[win.attempt-1], nil
	}
	return win.v, keep, err
}

// more returns the largest number of further attempts.
func (h *Hedge[T]) more() int {
	if h.Max == 0 {
		return 1
	}
	return min(max(h.Max, 0), 99)
}

// delay returns the time before the next attempt, negative for none.
func (h *Hedge[T]) delay() time.Duration {
	if h.Quantile != nil {
		if d, ok := h.Quantile.Value(); ok && (h.Delay <= 0 || d < h.Delay) {
			return d
		}
	}
	return h.Delay
}

func (h *Hedge[T]) fatal(err error) bool {
	if h.Fatal != nil {
		return h.Fatal(err)
	}
	return !Retryable(err)
}

// A result is the end of one attempt.
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
	limit int       // attempts allowed
	begin time.Time // zero without OnEvent

	cancels []context.CancelCauseFunc // of the attempts started
	space   [2]context.CancelCauseFunc
	errs    []error     // of the attempts failed
	next    *time.Timer // for the next attempt, nil if none is due

	results chan result[T] // with room for all attempts
	mu      sync.Mutex
	over    bool // nobody receives any more
}

// run starts attempts until one succeeds or none is left.
func (r *race[T]) run() (result[T], error) {
	r.start()
	for delay := r.h.delay(); delay == 0 && r.more(nil); {
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

// take receives the end of an attempt, and reports whether it ends the call
// too.
func (r *race[T]) take(res result[T]) (done bool, err error) {
	switch {
	case res.exited:
		runtime.Goexit()
	case res.panicV != nil:
		panic(res.panicV)
	case res.err == nil:
		r.deposit()
		return true, nil
	}
	r.errs = append(r.errs, res.err)
	if r.ctx.Err() != nil {
		return true, ended(r.ctx, r.errs)
	}
	if r.h.fatal(res.err) {
		r.deposit()
		return true, res.err
	}
	if r.more(res.err) {
		r.arm()
	}
	if len(r.errs) < len(r.cancels) {
		return false, nil
	}
	return true, fmt.Errorf("retry: all %d hedged attempts failed: %w", len(r.errs), errors.Join(r.errs...))
}

// more starts a further attempt, if the policy and the budget allow it.
func (r *race[T]) more(cause error) bool {
	if len(r.cancels) >= r.limit {
		return false
	}
	if b := r.h.Budget; b != nil && !b.Withdraw() {
		r.limit = len(r.cancels)
		return false
	}
	r.start()
	r.event(Event{Kind: Hedged, Attempt: len(r.cancels), Err: cause})
	return true
}

// arm sets the timer for the next attempt, counted from now.
func (r *race[T]) arm() {
	if r.next != nil {
		r.next.Stop()
		r.next = nil
	}
	if len(r.cancels) >= r.limit {
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
	q := r.h.Quantile
	if q == nil {
		res.v, res.err = r.fn(ctx)
	} else {
		begin := time.Now()
		res.v, res.err = r.fn(ctx)
		// The latency of an attempt cut short is unknown; what was measured
		// says only that it is longer.
		if res.err == nil && ctx.Err() == nil {
			q.Observe(time.Since(begin))
		}
	}
	res.exited = false
}

// finish hands a result to the caller, or discards it if nobody waits.
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

// leave ends what the call still has going on.
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

func (r *race[T]) deposit() {
	if r.h.Budget != nil {
		r.h.Budget.Deposit()
	}
}

// event completes and reports an event.
func (r *race[T]) event(e Event) {
	if r.h.OnEvent != nil {
		e.Elapsed = time.Since(r.begin)
		r.h.OnEvent(r.ctx, e)
	}
}

// ended returns the error of a call that its context ended.
func ended(ctx context.Context, errs []error) error {
	all := []error{ctx.Err()}
	if cause := context.Cause(ctx); !errors.Is(cause, ctx.Err()) {
		all = append(all, cause)
	}
	return fmt.Errorf("retry: hedge: %w", errors.Join(append(all, errs...)...))
}
