package retry_test

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	"github.com/redoubt-go/redoubt/retry"
)

// durations gives ordinary, extreme and meaningless durations.
func durations() gopter.Gen {
	return gen.OneGenOf(
		gen.Int64Range(0, int64(time.Minute)), gen.Int64(),
		gen.OneConstOf(int64(0), int64(-1), int64(1), int64(math.MaxInt64), int64(math.MinInt64), int64(math.MaxInt64-1)),
	).Map(func(n int64) time.Duration { return time.Duration(n) })
}

func floats() gopter.Gen {
	return gen.OneGenOf(
		gen.Float64Range(0, 1), gen.Float64Range(1, 4), gen.Float64(),
		gen.OneConstOf(0., 1., -1., math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.Nextafter(1, 0)),
	)
}

func retries() gopter.Gen {
	return gen.OneGenOf(gen.IntRange(1, 70), gen.Int(), gen.OneConstOf(0, 1000, 1024, 1025, math.MaxInt, math.MinInt))
}

// Oracle: the documented bounds.
func TestDelaysStayWithinBounds(t *testing.T) {
	checkProperty(t, 3000, withinBounds(func(b retry.Backoff) retry.Backoff { return b }))
	checkBites(t, withinBounds(func(b retry.Backoff) retry.Backoff {
		return retry.BackoffFunc(func(s retry.Step) time.Duration { return b.Delay(s) + 1 })
	}))
}

// withinBounds is the property of backoffs that change has changed.
func withinBounds(change func(retry.Backoff) retry.Backoff) gopter.Prop {
	return prop.ForAll(
		func(base, limit, low time.Duration, f, u float64, n int) string {
			top := limit
			if top <= 0 {
				top = math.MaxInt64
			}
			s := retry.Step{Retry: n, Rand: u, Prev: min(max(low, 0), top)}
			for _, b := range []retry.Backoff{
				retry.Exponential{Base: base, Max: limit, Min: low, Factor: f},
				retry.Exponential{Base: base, Max: limit, Factor: f, Jitter: retry.Equal},
				retry.Exponential{Base: base, Max: limit, Factor: f, Jitter: retry.None},
				retry.Exponential{Base: base, Max: limit, Jitter: retry.Spread(f)},
				retry.Exponential{Base: base, Max: limit, Jitter: retry.Jitter(f)},
				retry.Decorrelated{Base: base, Max: limit},
			} {
				if d := change(b).Delay(s); d < 0 || d > top {
					return fmt.Sprintf("%#v: Delay = %d", b, d)
				}
			}
			e := retry.Exponential{Base: max(base, 0), Max: limit, Min: low, Factor: f}
			if d := e.Delay(s); d < min(low, top) {
				return fmt.Sprintf("%#v: Delay = %d, want at least Min", e, d)
			}
			return ""
		},
		durations(), durations(), durations(), floats(), floats(), retries(),
	)
}

// Oracle: math/big, for whole factors.
func TestCeilingsAreExactAndMonotone(t *testing.T) {
	checkProperty(t, 500, exactCeilings(retry.None))
	checkBites(t, exactCeilings(retry.Equal))
}

func exactCeilings(j retry.Jitter) gopter.Prop {
	return prop.ForAll(
		func(base, limit int64, factor int) string {
			b := retry.Exponential{Base: time.Duration(base), Max: time.Duration(limit), Factor: float64(factor), Jitter: j}
			want, top := big.NewInt(base), big.NewInt(limit)
			prev := time.Duration(0)
			for n := 1; n < 80; n++ {
				got := b.Delay(retry.Step{Retry: n})
				exact := want
				if want.Cmp(top) > 0 {
					exact = top
				}
				// Factors besides 2 go through float64, good to 2^-50.
				diff := new(big.Int).Sub(exact, big.NewInt(int64(got)))
				slack := new(big.Int).Rsh(exact, 50)
				if factor == 2 {
					slack.SetInt64(0)
				}
				if diff.CmpAbs(slack) > 0 || got < prev {
					return fmt.Sprintf("retry %d: Delay = %d after %d, want %v", n, got, prev, exact)
				}
				prev = got
				want = new(big.Int).Mul(want, big.NewInt(int64(factor)))
			}
			return ""
		},
		gen.Int64Range(1, 1e12), gen.Int64Range(1, math.MaxInt64), gen.IntRange(1, 9),
	)
}

// Oracle: the same calls, alone.
func TestSharedPolicyIsStateless(t *testing.T) {
	checkProperty(t, 30, stateless(retry.Exponential{Base: 5, Max: 50}))
	checkProperty(t, 30, stateless(retry.Decorrelated{Base: 5, Max: 50}))
	var calls atomic.Int64
	checkBites(t, stateless(retry.BackoffFunc(func(retry.Step) time.Duration { return time.Duration(calls.Add(1)) })))
}

// stateless is the property that goroutines with the same policy do not see
// each other.
func stateless(b retry.Backoff) gopter.Prop {
	return prop.ForAll(
		func(seed uint64) string {
			shared := retry.Policy{MaxAttempts: 20, Backoff: b}
			const callers = 8
			var got, want [callers][]time.Duration
			for i := range callers {
				want[i] = pauses(shared, seed+uint64(i))
			}
			var all sync.WaitGroup
			for i := range callers {
				all.Go(func() { got[i] = pauses(shared, seed+uint64(i)) })
			}
			all.Wait()
			return cmp.Diff(want, got)
		},
		gen.UInt64(),
	)
}

// pauses returns the pauses of a failing call by a copy of p with its own Rand.
func pauses(p retry.Policy, seed uint64) []time.Duration {
	var ds []time.Duration
	p.Rand = rand.New(rand.NewPCG(seed, 0)).Float64
	p.OnEvent = func(_ context.Context, e retry.Event) { ds = append(ds, e.Delay) }
	p.Do(context.Background(), func(context.Context) error { return errBoom })
	return ds
}

// A scene is a call of Do: its outcomes and its policy. Times are in
// milliseconds. Times that must not tie with each other have different last
// digits; the last digit of attempts is 0.
type scene struct {
	outcomes []int // see outcome; the last repeats
	attempts int   // MaxAttempts
	elapsed  int   // MaxElapsed
	deadline int   // of the context, 0 for none
	cancel   int   // of the context, 0 for never
	tokens   int   // of the budget
	flat     bool  // all pauses are equal
}

// asks reports whether an outcome asks for a pause.
func (s scene) asks() bool {
	return slices.ContainsFunc(s.outcomes, func(kind int) bool { return kind > 6 })
}

const (
	sceneWork  = 10 * time.Millisecond // of each attempt
	scenePause = 20 * time.Millisecond // Base of the backoff, doubled each time
	sceneLimit = 300 * time.Millisecond
)

// outcome returns the error of an attempt: nil, plain, permanent, or with a
// hint of some milliseconds.
func outcome(kind int) (hint time.Duration, err error) {
	switch {
	case kind == 0:
		return 0, nil
	case kind == 1:
		return 0, retry.Permanent(errBoom)
	case kind > 6:
		hint = time.Duration(kind) * 50 * time.Millisecond
		return hint, retry.After(hint, errBoom)
	}
	return 0, errBoom
}

func (s scene) outcome(n int) (time.Duration, error) {
	return outcome(s.outcomes[min(n, len(s.outcomes))-1])
}

// A run is the record of a call.
type run struct {
	Starts []time.Duration
	Pauses []time.Duration // as passed to the hook
	Reason string
	Last   string
}

// model is the oracle: the rules of Do, written naively with a clock of its
// own.
func (s scene) model() run {
	var r run
	now, step, tokens := time.Duration(0), 0, s.tokens
	end := func(reason error) run {
		r.Reason = fmt.Sprint(reason)
		return r
	}
	for n := 1; ; n++ {
		r.Starts = append(r.Starts, now)
		now += sceneWork
		hint, err := s.outcome(n)
		r.Last = fmt.Sprint(err)
		if err == nil {
			return r
		}
		if e := s.done(now); e != nil {
			return end(e)
		}
		if err != errBoom && hint == 0 {
			return end(retry.ErrPermanent)
		}
		if s.attempts > 0 && n >= s.attempts {
			return end(retry.ErrExhausted)
		}
		pause := scenePause << step
		step++
		if hint > 0 {
			pause, step = hint, 0
		}
		switch tokens--; {
		case hint > sceneLimit:
			return end(retry.ErrRetryAfter)
		case now+pause >= time.Duration(s.elapsed)*time.Millisecond:
			return end(retry.ErrElapsed)
		case s.deadline > 0 && now+pause >= time.Duration(s.deadline)*time.Millisecond:
			return end(retry.ErrDeadline)
		case tokens < 0:
			return end(retry.ErrBudget)
		}
		r.Pauses = append(r.Pauses, pause)
		if now += pause; s.done(now) != nil {
			return end(s.done(now))
		}
	}
}

// done returns the error of the context at a time.
func (s scene) done(now time.Duration) error {
	cancel, deadline := time.Duration(s.cancel)*time.Millisecond, time.Duration(s.deadline)*time.Millisecond
	switch {
	case cancel > 0 && now >= cancel && (deadline == 0 || cancel < deadline):
		return context.Canceled
	case deadline > 0 && now >= deadline:
		return context.DeadlineExceeded
	}
	return nil
}

// context returns the context of the scene, from now on.
func (s scene) context(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if s.cancel > 0 {
		time.AfterFunc(time.Duration(s.cancel)*time.Millisecond, cancel)
	}
	if s.deadline == 0 {
		return ctx, cancel
	}
	ctx, end := context.WithTimeout(ctx, time.Duration(s.deadline)*time.Millisecond)
	return ctx, func() { end(); cancel() }
}

func (s scene) policy(r *run) retry.Policy {
	b := retry.TokenBudget{Burst: s.tokens, PerSecond: -1}
	if s.tokens == 0 {
		b.Burst = -1
	}
	var backoff retry.Backoff = retry.Exponential{Base: scenePause, Jitter: retry.None}
	if s.flat {
		backoff = retry.Constant(scenePause)
	}
	return retry.Policy{
		MaxAttempts:   s.attempts,
		MaxElapsed:    time.Duration(s.elapsed) * time.Millisecond,
		MaxRetryAfter: sceneLimit,
		Backoff:       backoff,
		Budget:        &b,
		Rand:          func() float64 { return 0 },
		OnEvent: func(_ context.Context, e retry.Event) {
			if e.Kind == retry.KindRetry {
				r.Pauses = append(r.Pauses, e.Delay)
			}
		},
	}
}

// play makes the call in any of the forms of this package.
func (s scene) play(t *testing.T, form func(context.Context, retry.Policy, func(context.Context) error) error) (r run) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := s.context(t.Context())
		defer cancel()
		begin := time.Now()
		err := form(ctx, s.policy(&r), func(context.Context) error {
			r.Starts = append(r.Starts, time.Since(begin))
			time.Sleep(sceneWork)
			_, err := s.outcome(len(r.Starts))
			return err
		})
		r.Last = "<nil>"
		if err != nil {
			e := details(t, err)
			r.Reason, r.Last = fmt.Sprint(e.Reason), fmt.Sprint(e.Last())
		}
	})
	return r
}

// forms are the ways to make the same call.
var forms = map[string]func(context.Context, retry.Policy, func(context.Context) error) error{
	"Policy.Do": func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		return p.Do(ctx, f)
	},
	"Do": func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		_, err := retry.Do(ctx, p, func(ctx context.Context) (int, error) { return 0, f(ctx) })
		return err
	},
	"Wrap": func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		_, err := retry.Wrap(p, func(ctx context.Context) (int, error) { return 0, f(ctx) })(ctx)
		return err
	},
	"WrapArg": func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		_, err := retry.WrapArg(p, func(ctx context.Context, x int) (int, error) { return x, f(ctx) })(ctx, 7)
		return err
	},
	"Attempts": func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		var err error
		for _, ctx := range p.Attempts(ctx, &err) {
			err = f(ctx)
		}
		return err
	},
	"Poll": func(ctx context.Context, p retry.Policy, f func(context.Context) error) error {
		_, err := retry.Poll(ctx, p, func(ctx context.Context) (int, bool, error) {
			err := f(ctx)
			return 0, err == nil, err
		})
		return err
	},
}

func scenes(f func(scene) string) gopter.Prop {
	odd := func(n, digit int) int { return n/10*10 + digit }
	orNever := func(n, digit int) int {
		if n > 500 {
			return 0
		}
		return odd(n, digit)
	}
	return prop.ForAll(
		func(outcomes []int, attempts, elapsed, deadline, cancel, tokens int) string {
			outcomes = slices.Concat(outcomes, []int{2})
			return f(scene{outcomes, attempts, odd(elapsed, 5), orNever(deadline, 7), orNever(cancel, 5), tokens, false})
		},
		gen.SliceOf(gen.IntRange(0, 8)), gen.IntRange(1, 9), gen.IntRange(20, 3000),
		gen.IntRange(0, 1000), gen.IntRange(0, 1000), gen.IntRange(0, 9),
	)
}

// Oracle: scene.model.
func TestDoFollowsTheModel(t *testing.T) {
	checkProperty(t, 500, scenes(func(s scene) string {
		return cmp.Diff(s.model(), s.play(t, forms["Policy.Do"]))
	}))
	checkBites(t, scenes(func(s scene) string {
		wrong := s
		wrong.tokens++
		return cmp.Diff(s.model(), wrong.play(t, forms["Policy.Do"]))
	}))
}

// Oracle: the bound in the documentation of TokenBudget.
func TestBudgetBound(t *testing.T) {
	checkProperty(t, 200, withinBudget(t, func(b *retry.TokenBudget) retry.Budget { return b }))
	checkBites(t, withinBudget(t, func(b *retry.TokenBudget) retry.Budget { return generous{b} }))
}

// A generous budget settles everything a hundred times.
type generous struct{ *retry.TokenBudget }

func (g generous) Settle(o retry.Outcome, cost int, err error) {
	for range 100 {
		g.TokenBudget.Settle(o, cost, err)
	}
}

// withinBudget is the property of budgets that change has changed.
func withinBudget(t *testing.T, change func(*retry.TokenBudget) retry.Budget) gopter.Prop {
	return prop.ForAll(
		func(burst int, ratio, perSecond float64, ops []int) (failure string) {
			bubble(t, func(t *testing.T) {
				b := change(&retry.TokenBudget{Burst: burst, Ratio: ratio, PerSecond: perSecond})
				taken, deposits := 0, 0
				begin := time.Now()
				for i, op := range ops {
					switch {
					case op < 50:
						deposits++
						b.Settle(retry.Outcome(op%2), 0, nil)
					case op < 60 && taken > 0:
						taken--
						b.Settle(retry.OutcomeUnmade, 1, nil)
					case op < 70:
						time.Sleep(time.Duration(op) * 10 * time.Millisecond)
					default:
						// A withdrawal counts if it was granted, and the bound
						// holds after each.
						if _, ok := b.Withdraw(nil); ok {
							taken++
						}
					}
					bound := float64(burst) + ratio*float64(deposits) + perSecond*time.Since(begin).Seconds()
					if float64(taken) > bound+1e-3 {
						failure = fmt.Sprintf("op %d: %d retries, bound %.3f", i, taken, bound)
						return
					}
				}
				if got := withdrawals(b); got > burst {
					failure = fmt.Sprintf("%d tokens in a budget of %d", got, burst)
				}
			})
			return failure
		},
		gen.IntRange(1, 20), gen.Float64Range(.01, 2), gen.Float64Range(.01, 5), gen.SliceOf(gen.IntRange(0, 99)),
	)
}

// Oracle, with every interleaving that the scheduler finds: the same bound.
func TestBudgetBoundInParallel(t *testing.T) {
	b := &retry.TokenBudget{Burst: 50, Ratio: .25, PerSecond: -1}
	const callers, each = 8, 2000
	var taken [callers]int
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() {
			for range each {
				b.Settle(retry.OutcomeSuccess, 0, nil)
				if _, ok := b.Withdraw(nil); ok {
					taken[i]++
				}
			}
		})
	}
	all.Wait()
	sum := 0
	for _, n := range taken {
		sum += n
	}
	if bound := 50 + callers*each/4; sum > bound {
		t.Errorf("retries = %d, want at most %d", sum, bound)
	}
	if got := withdrawals(b); got > 50 {
		t.Errorf("tokens left = %d, want at most 50", got)
	}
}

// Oracle: counts that hold for every script: starts are at most 1+Max,
// there is one winner or an error, and each other success is discarded once.
func TestOneWinner(t *testing.T) {
	checkProperty(t, 300, winners(t, 0))
	checkBites(t, winners(t, 1))
}

// winners is the property of a Hedge that makes extra attempts too many.
func winners(t *testing.T, extra int) gopter.Prop {
	return prop.ForAll(
		func(kinds []int, more, delay int) (failure string) {
			bubble(t, func(t *testing.T) {
				failure = oneWinner(t, script(kinds), more, extra, time.Duration(delay)*time.Millisecond)
			})
			return failure
		},
		gen.SliceOfN(6, gen.IntRange(0, 199)), gen.IntRange(1, 5), gen.IntRange(-1, 30),
	)
}

// script makes acts from numbers: a time, and whether it fails or is blind.
func script(kinds []int) []act {
	acts := []act{{takes: time.Second}}
	for i, k := range kinds {
		a := act{takes: time.Duration(k%50) * time.Millisecond, blind: k >= 100}
		if k/50%2 == 1 {
			a.err = errBoom
		}
		acts = append(acts[:i], a)
	}
	return acts
}

// oneWinner runs the script and returns a problem with it, or "".
func oneWinner(t *testing.T, acts []act, more, extra int, delay time.Duration) string {
	var mu sync.Mutex
	discarded := map[int]int{}
	h := retry.Hedge[int]{Max: more + extra, Delay: delay, Discard: func(n int) {
		mu.Lock()
		defer mu.Unlock()
		discarded[n]++
	}}
	stage := newStage(acts...)
	won, err := h.Do(t.Context(), stage.call)
	time.Sleep(time.Hour)
	mu.Lock()
	defer mu.Unlock()
	stage.mu.Lock()
	defer stage.mu.Unlock()
	if len(stage.starts) > 1+more {
		return fmt.Sprintf("%d attempts, want at most %d", len(stage.starts), 1+more)
	}
	if err != nil {
		won = 0
	} else if won == 0 {
		return "no winner and no error"
	}
	for n := 1; n <= len(stage.starts); n++ {
		a := acts[min(n, len(acts))-1]
		want := 0
		if n != won && a.blind && a.err == nil {
			want = 1 // it ends well whatever happens
		}
		if got := discarded[n]; got != want && (a.blind || a.err != nil || n == won) {
			return fmt.Sprintf("value %d discarded %d times, want %d", n, got, want)
		}
		if discarded[n] > 1 {
			return fmt.Sprintf("value %d discarded %d times", n, discarded[n])
		}
	}
	return ""
}

// Oracle: each other.
func TestAllFormsAgree(t *testing.T) {
	checkProperty(t, 60, scenes(func(s scene) string {
		want := s.play(t, forms["Policy.Do"])
		for name, form := range forms {
			if name == "Poll" && (want.Reason == retry.ErrDeadline.Error() || want.Reason == retry.ErrElapsed.Error()) {
				continue // it looks once more
			}
			if d := cmp.Diff(want, s.play(t, form)); d != "" {
				return name + ":\n" + d
			}
		}
		return ""
	}))
}
