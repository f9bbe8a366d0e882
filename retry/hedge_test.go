package retry_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/retry"
)

// An act is the work of an attempt: it takes a time, unless it is canceled and
// looks at its context, and ends with err or its number.
type act struct {
	takes time.Duration
	err   error
	blind bool // does not look at its context
}

// A stage holds an act for each attempt. The last act repeats.
type stage struct {
	acts  []act
	begin time.Time

	mu     sync.Mutex
	starts []time.Duration
	causes []error // by which contexts ended, of those that looked
	ctxs   []context.Context
}

func newStage(acts ...act) *stage { return &stage{acts: acts, begin: time.Now()} }

func (s *stage) call(ctx context.Context) (int, error) {
	s.mu.Lock()
	s.starts = append(s.starts, time.Since(s.begin))
	s.ctxs = append(s.ctxs, ctx)
	n := len(s.starts)
	s.mu.Unlock()
	a := s.acts[min(n, len(s.acts))-1]
	if a.blind {
		time.Sleep(a.takes)
		return n, a.err
	}
	timer := time.NewTimer(a.takes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return n, a.err
	case <-ctx.Done():
		s.mu.Lock()
		s.causes = append(s.causes, context.Cause(ctx))
		s.mu.Unlock()
		return 0, ctx.Err()
	}
}

const s = time.Second

func TestWhenAttemptsStart(t *testing.T) {
	fail := func(d time.Duration) act { return act{takes: d, err: errBoom} }
	ok := func(d time.Duration) act { return act{takes: d} }
	fatal := act{takes: s, err: retry.Permanent(errBoom)}
	empty := &retry.TokenBudget{Burst: -1}
	tests := []struct {
		name   string
		policy retry.Hedge[int]
		acts   []act
		starts []time.Duration
		end    time.Duration
		want   int // 0 for an error
	}{
		{"fast", retry.Hedge[int]{Delay: 2 * s}, []act{ok(s)}, []time.Duration{0}, s, 1},
		{"after the delay", retry.Hedge[int]{Delay: 2 * s}, []act{ok(9 * s), ok(s)}, []time.Duration{0, 2 * s}, 3 * s, 2},
		{"first is first", retry.Hedge[int]{Delay: 2 * s}, []act{ok(3 * s), ok(9 * s)}, []time.Duration{0, 2 * s}, 3 * s, 1},
		{"failure starts the next, later ones count from it", retry.Hedge[int]{Delay: 10 * s, Max: 2}, []act{fail(s), ok(30 * s), ok(s)}, []time.Duration{0, s, 11 * s}, 12 * s, 3},
		{"zero is a real delay", retry.Hedge[int]{Max: 2}, []act{ok(9 * s), ok(9 * s), ok(s)}, []time.Duration{0, s / 10, s / 5}, s + s/5, 3},
		{"all at once", retry.Hedge[int]{Delay: retry.AtOnce, Max: 3}, []act{ok(9 * s), ok(9 * s), ok(s), ok(9 * s)}, []time.Duration{0, 0, 0, 0}, s, 3},
		{"after a failure only", retry.Hedge[int]{Delay: retry.AfterFailure}, []act{fail(5 * s), ok(s)}, []time.Duration{0, 5 * s}, 6 * s, 2},
		{"fatal ends all", retry.Hedge[int]{Delay: 2 * s}, []act{ok(30 * s), fatal}, []time.Duration{0, 2 * s}, 3 * s, 0},
		{"all failed", retry.Hedge[int]{Delay: 2 * s}, []act{fail(3 * s), fail(4 * s)}, []time.Duration{0, 2 * s}, 6 * s, 0},
		{"budget keeps those in flight", retry.Hedge[int]{Delay: 2 * s, Budget: empty}, []act{ok(30 * s)}, []time.Duration{0}, 30 * s, 1},
		{"budget and failure", retry.Hedge[int]{Delay: 2 * s, Budget: empty}, []act{fail(s)}, []time.Duration{0}, s, 0},
		{"too many", retry.Hedge[int]{Max: math.MaxInt, Delay: s}, []act{{takes: s / 2, err: errBoom}}, halves(100), 50 * s, 0},
		{"no more", retry.Hedge[int]{Max: -1}, []act{ok(30 * s)}, []time.Duration{0}, 30 * s, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				stage := newStage(tt.acts...)
				got, err := tt.policy.Do(t.Context(), stage.call)
				if took := time.Since(stage.begin); err == nil && got != tt.want || (err == nil) != (tt.want > 0) || took != tt.end {
					t.Errorf("Do = %d, %v after %v, want %d after %v", got, err, took, tt.want, tt.end)
				}
				if tt.want == 0 {
					checkIs(t, err, errBoom)
				}
				checkEqual(t, stage.starts, tt.starts)
			})
		})
	}
}

// verdict is an error that an attempt may be told by a server or a guard.
type verdict struct {
	retryable, rejected bool
	after               time.Duration
}

func (v verdict) Error() string             { return "verdict" }
func (v verdict) Retryable() bool           { return v.retryable }
func (v verdict) Rejected() bool            { return v.rejected }
func (v verdict) RetryAfter() time.Duration { return v.after }

// The rules of gRFC A6: a failure starts the next attempt, the other side may
// delay or forbid it, and the attempts in flight go on.
func TestHedgeObeysPushback(t *testing.T) {
	fail := func(d time.Duration, err error) act { return act{takes: d, err: err} }
	ok := func(d time.Duration) act { return act{takes: d} }
	after := func(d time.Duration) error { return verdict{retryable: true, after: d} }
	never, refused := verdict{}, verdict{retryable: true, rejected: true, after: 5 * s}
	hedge := retry.Hedge[int]{Delay: 2 * s, Max: 4}
	broke := retry.Hedge[int]{Delay: 2 * s, Budget: &retry.TokenBudget{Burst: -1}}
	lazy := retry.Hedge[int]{Delay: retry.AfterFailure, Max: 4}
	tests := []struct {
		name   string
		policy retry.Hedge[int]
		acts   []act
		starts []time.Duration
		end    time.Duration
		reason error // nil for a success
	}{
		{"delayed, then the usual delay", hedge, []act{fail(s, after(10*s)), ok(30 * s), ok(s)}, []time.Duration{0, 11 * s, 13 * s}, 14 * s, nil},
		{"delayed while others run", hedge, []act{ok(20 * s), fail(s, after(10*s)), ok(s)}, []time.Duration{0, 2 * s, 13 * s}, 14 * s, nil},
		{"delayed less than the usual delay", hedge, []act{ok(30 * s), fail(s, after(s)), ok(s)}, []time.Duration{0, 2 * s, 4 * s}, 5 * s, nil},
		{"the longest pause holds", hedge, []act{fail(3*s, after(10*s)), fail(3*s, after(s)), ok(s)}, []time.Duration{0, 2 * s, 13 * s}, 14 * s, nil},
		{"delayed after failures only", lazy, []act{fail(s, after(10*s)), ok(s)}, []time.Duration{0, 11 * s}, 12 * s, nil},
		{"no more, those in flight go on", hedge, []act{ok(20 * s), fail(s, never)}, []time.Duration{0, 2 * s}, 20 * s, nil},
		{"no more, and those in flight fail", hedge, []act{fail(20*s, errBoom), fail(s, never)}, []time.Duration{0, 2 * s}, 20 * s, retry.ErrPermanent},
		{"no more, and none in flight", hedge, []act{fail(s, never)}, []time.Duration{0}, s, retry.ErrPermanent},
		{"refused", hedge, []act{fail(s, refused)}, []time.Duration{0}, s, retry.ErrExhausted},
		{"refused, those in flight go on", hedge, []act{ok(20 * s), fail(s, refused)}, []time.Duration{0, 2 * s}, 20 * s, nil},
		{"asked to wait too long", hedge, []act{fail(s, after(61*s))}, []time.Duration{0}, s, retry.ErrRetryAfter},
		{"long, while others run", hedge, []act{ok(99 * s), fail(s, after(61*s))}, []time.Duration{0, 2 * s, 64 * s}, 99 * s, nil},
		{"beyond the deadline", hedge, []act{fail(50*s, after(59*s))}, []time.Duration{0, 2 * s, 4 * s, 6 * s, 8 * s}, 58 * s, retry.ErrExhausted},
		{"beyond the deadline, none in flight", lazy, []act{fail(50*s, after(59*s))}, []time.Duration{0}, 50 * s, retry.ErrDeadline},
		{"no budget after a failure", broke, []act{fail(s, errBoom)}, []time.Duration{0}, s, retry.ErrBudget},
		{"no budget after the delay", broke, []act{fail(3*s, errBoom)}, []time.Duration{0}, 3 * s, retry.ErrExhausted},
		{"fatal", hedge, []act{ok(20 * s), fail(s, retry.Permanent(after(s)))}, []time.Duration{0, 2 * s}, 3 * s, retry.ErrPermanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 100*s)
				defer cancel()
				stage := newStage(tt.acts...)
				_, err := tt.policy.Do(ctx, stage.call)
				if took := time.Since(stage.begin); took != tt.end {
					t.Errorf("took %v, want %v", took, tt.end)
				}
				checkEqual(t, stage.starts, tt.starts)
				if tt.reason == nil {
					checkEqual(t, err, nil)
					return
				}
				if e := details(t, err); e.Reason != tt.reason || e.Attempts != len(tt.starts) {
					t.Errorf("error = %v, want %v after %d attempts", err, tt.reason, len(tt.starts))
				}
			})
		})
	}
}

func TestHedgeErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		h := retry.Hedge[int]{Name: "billing", Delay: retry.AfterFailure, Max: 8}
		_, err := h.Do(t.Context(), func(context.Context) (int, error) {
			n++
			return 0, fmt.Errorf("line %d\nof two", n)
		})
		checkEqual(t, err.Error(), "retry: billing: exhausted after 9 attempts: line 9; of two")
		var numbers []int
		for i, err := range details(t, err).All() {
			checkEqual(t, err.Error(), fmt.Sprintf("line %d\nof two", i))
			numbers = append(numbers, i)
		}
		checkEqual(t, numbers, []int{1, 3, 4, 5, 6, 7, 8, 9})
		// An attempt that is still running has no error.
		ctx, cancel := context.WithTimeout(t.Context(), 3*s)
		defer cancel()
		_, err = retry.Hedge[int]{Delay: s}.Do(ctx, newStage(act{takes: 2 * s, err: errBoom}, act{takes: time.Hour}).call)
		checkEqual(t, err.Error(), "retry: context deadline exceeded after 2 attempts: boom")
		for n, err := range details(t, err).All() {
			if n != 1 || err != errBoom {
				t.Errorf("All yields %d, %v, want 1, %v only", n, err, errBoom)
			}
		}
		// The error of an attempt that was made explains more than a refusal.
		_, err = retry.Hedge[int]{Delay: s}.Do(t.Context(), newStage(act{takes: 2 * s, err: errBoom}, act{takes: 2 * s, err: verdict{retryable: true, rejected: true}}).call)
		checkEqual(t, err.Error(), "retry: exhausted after 2 attempts: boom")
	})
}

func TestNestedHedgeMakesOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		stage := newStage(act{takes: 9 * s, err: errBoom})
		_, err := retry.Hedge[int]{Delay: s}.Do(retry.Nest(t.Context()), stage.call)
		checkIs(t, err, retry.ErrNested, errBoom)
		checkEqual(t, len(stage.starts), 1)
		// Retries and hedges do not multiply.
		p := failing(errBoom)
		_, err = retry.Do(t.Context(), constant(s, 4), func(ctx context.Context) (int, error) {
			return retry.Hedge[int]{Delay: retry.AfterFailure, Max: 3}.Do(ctx, p.call)
		})
		checkIs(t, err, retry.ErrExhausted)
		checkEqual(t, len(p.starts), 7)
	})
}

func TestHedgeSettles(t *testing.T) {
	refused := verdict{retryable: true, rejected: true}
	for _, tt := range []struct {
		acts []act
		want []string
	}{
		{[]act{{}}, []string{"success 0 <nil>"}},
		{[]act{{err: errBoom}, {}}, []string{"failure 0 boom", "success 1 <nil>"}},
		{[]act{{err: retry.Permanent(errBoom)}}, []string{"verdict 0 boom"}},
		{[]act{{err: refused}}, nil},
		{[]act{{err: errBoom}, {err: refused}}, []string{"failure 0 boom", "unmade 1 verdict"}},
	} {
		b := &ledger{}
		retry.Hedge[int]{Delay: retry.AfterFailure, Budget: b}.Do(t.Context(), newStage(tt.acts...).call)
		checkEqual(t, b.settled, tt.want)
	}
}

// halves returns n times, half a second apart.
func halves(n int) []time.Duration {
	ds := make([]time.Duration, n)
	for i := range ds {
		ds[i] = time.Duration(i) * s / 2
	}
	return ds
}

func TestLosers(t *testing.T) {
	t.Run("contexts end with ErrLost", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			stage := newStage(act{takes: 10 * s}, act{takes: s})
			retry.Hedge[int]{Delay: s}.Do(t.Context(), stage.call)
			synctest.Wait()
			checkEqual(t, texts(stage.causes), []string{retry.ErrLost.Error()})
		})
	})
	t.Run("late values are discarded once, without waiting", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			var mu sync.Mutex
			var discarded []int
			policy := retry.Hedge[int]{Max: 3, Delay: s, Discard: func(n int) {
				mu.Lock()
				defer mu.Unlock()
				discarded = append(discarded, n)
			}}
			blind := act{takes: 10 * s, blind: true}
			stage := newStage(blind, act{takes: 20 * s, err: errBoom, blind: true}, blind, act{takes: s})
			got, err := policy.Do(t.Context(), stage.call)
			if took := time.Since(stage.begin); got != 4 || err != nil || took != 4*s {
				t.Errorf("Do = %d, %v after %v, want 4, nil after 4s", got, err, took)
			}
			time.Sleep(time.Minute)
			mu.Lock()
			defer mu.Unlock()
			slices.Sort(discarded)
			checkEqual(t, discarded, []int{1, 3})
		})
	})
	t.Run("winner's context lives until cancel", func(t *testing.T) {
		stage := newStage(act{})
		_, cancel, err := retry.Hedge[int]{Delay: time.Hour}.DoCancel(t.Context(), stage.call)
		ctx := stage.ctxs[0]
		if err != nil || ctx.Err() != nil {
			t.Errorf("DoCancel: error %v, winner's context %v, want nil, nil", err, ctx.Err())
		}
		cancel()
		cancel()
		checkIs(t, ctx.Err(), context.Canceled)
		retry.Hedge[int]{Delay: time.Hour}.Do(t.Context(), stage.call)
		checkIs(t, stage.ctxs[1].Err(), context.Canceled)
	})
}

func texts(errs []error) []string {
	var ss []string
	for _, err := range errs {
		ss = append(ss, fmt.Sprint(err))
	}
	return ss
}

func TestPanicsSurfaceInTheCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		tests := map[string]func(){"panic": func() { panic(errBoom) }, "goexit": runtime.Goexit}
		for name, leave := range tests {
			ended := make(chan any)
			go func() {
				defer func() { ended <- recover() }()
				var n atomic.Int32
				retry.Hedge[int]{Delay: s}.Do(t.Context(), func(ctx context.Context) (int, error) {
					if n.Add(1) == 2 {
						leave()
					}
					<-ctx.Done()
					return 0, ctx.Err()
				})
				t.Errorf("%s: Do returned", name)
			}()
			got := <-ended
			if name != "panic" {
				checkEqual(t, got, nil)
				continue
			}
			p, ok := got.(*retry.PanicError)
			if !ok || p.Value != errBoom || !errors.Is(p, errBoom) {
				t.Fatalf("recovered %v, want a *PanicError with %v", got, errBoom)
			}
			if !strings.Contains(string(p.Stack), "TestPanicsSurfaceInTheCaller") {
				t.Errorf("the stack is not the attempt's:\n%s", p.Stack)
			}
			if want := "retry: attempt panicked: \"boom\"\n\ngoroutine "; !strings.HasPrefix(p.Error(), want) {
				t.Errorf("text = %q, want the prefix %q", p.Error(), want)
			}
		}
		func() { // a nil *PanicError is a panic too
			defer func() {
				if p, ok := recover().(*retry.PanicError); !ok || p == nil {
					t.Errorf("recovered %v, want a *PanicError", p)
				}
			}()
			retry.Hedge[int]{}.Do(t.Context(), func(context.Context) (int, error) { panic((*retry.PanicError)(nil)) })
		}()
		// A panic after Do has returned ends nothing.
		stage := newStage(act{takes: s})
		policy := retry.Hedge[int]{Discard: func(int) { t.Error("discarded the value of a panic") }}
		policy.Do(t.Context(), func(ctx context.Context) (int, error) {
			if n, err := stage.call(ctx); err == nil && n == 1 {
				return n, nil
			}
			time.Sleep(time.Minute)
			panic(errBoom)
		})
		time.Sleep(time.Hour)
	})
}

func TestPanicOfAHedgeInAHedge(t *testing.T) {
	defer func() {
		p, ok := recover().(*retry.PanicError)
		if !ok || p.Name != "inner" || p.Value != "a bug" || p.Unwrap() != nil {
			t.Fatalf("recovered %v, want the inner panic", p)
		}
		text, _, _ := strings.Cut(p.LogValue().String(), " stack=")
		checkEqual(t, text, `[msg=retry: inner: attempt panicked: "a bug"`)
	}()
	retry.Hedge[int]{Name: "outer"}.Do(t.Context(), func(ctx context.Context) (int, error) {
		return retry.Hedge[int]{Name: "inner"}.Do(ctx, func(context.Context) (int, error) { panic("a bug") })
	})
}

func TestLearnedDelay(t *testing.T) {
	t.Run("slow primaries are hedged within the budget", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			// One primary in five takes 100 times as long as it should.
			rnd := rand.New(rand.NewPCG(1, 2))
			budget := &retry.TokenBudget{Ratio: .1, PerSecond: -1, Burst: 10}
			q := &retry.Latency{P: .95}
			hedges := 0
			policy := retry.Hedge[int]{
				Delay: 100 * time.Millisecond, Latency: q, Budget: budget,
				OnEvent: func(_ context.Context, e retry.Event) {
					if e.Kind == retry.KindHedged {
						hedges++
					}
				},
			}
			const calls = 5000
			for range calls {
				first := 9*time.Millisecond + time.Duration(rnd.IntN(2_000_000))
				if rnd.IntN(5) == 0 {
					first = s
				}
				policy.Do(t.Context(), newStage(act{takes: first}, act{takes: 10 * time.Millisecond}).call)
			}
			if hedges < calls/20 || hedges > 10+calls/10 {
				t.Errorf("hedges = %d, want at least %d and at most %d", hedges, calls/20, 10+calls/10)
			}
		})
	})
	t.Run("a positive Delay is the longest", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			for delay, want := range map[time.Duration]time.Duration{2 * s: 2 * s, 9 * s: 5 * s, -1: 5 * s, 0: 5 * s} {
				q := &retry.Latency{Warm: -1}
				q.Observe(5 * s)
				stage := newStage(act{takes: time.Hour}, act{takes: s})
				retry.Hedge[int]{Delay: delay, Latency: q}.Do(t.Context(), stage.call)
				if d := cmp.Diff([]time.Duration{0, want}, stage.starts); d != "" {
					t.Errorf("Delay %v, starts (-want +got):\n%s", delay, d)
				}
			}
		})
	})
	t.Run("the first attempt counts, as far as it is known", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			for _, tt := range []struct {
				name  string
				first act
				up    bool
			}{
				{"cut short above the estimate", act{takes: time.Hour}, true},
				{"failed above the estimate", act{takes: 2 * s, err: errBoom}, true},
				{"failed below the estimate", act{takes: s / 2, err: errBoom}, false},
			} {
				q := &retry.Latency{Warm: -1}
				q.Observe(s)
				policy := retry.Hedge[int]{Latency: q}
				policy.Do(t.Context(), newStage(tt.first, act{takes: 3 * s}).call)
				synctest.Wait()
				if got, _ := q.Value(); got > s != tt.up || got < s {
					t.Errorf("%s: Value = %v, want more than 1s: %t", tt.name, got, tt.up)
				}
			}
		})
	})
	t.Run("a failure is no first latency", func(t *testing.T) {
		q := &retry.Latency{Warm: -1}
		retry.Hedge[int]{Latency: q}.Do(t.Context(), newStage(act{err: errBoom}).call)
		if got, ok := q.Value(); ok {
			t.Errorf("Value = %v, want none", got)
		}
	})
}

// The share of hedged calls is 1-P, also where the latencies have a heavy tail,
// and hedging goes on when a fifth of the calls is slow.
func TestShareOfHedges(t *testing.T) {
	const ms = float64(time.Millisecond)
	fast := func(rnd *rand.Rand) float64 { return 9*ms + 2*ms*rnd.Float64() }
	slow := func(share float64) func(*rand.Rand) float64 {
		return func(rnd *rand.Rand) float64 {
			if rnd.Float64() < share {
				return 100 * fast(rnd)
			}
			return fast(rnd)
		}
	}
	tests := []struct {
		name    string
		latency func(*rand.Rand) float64
	}{
		{"uniform", fast},
		{"exponential", func(rnd *rand.Rand) float64 { return 10 * ms * rnd.ExpFloat64() }},
		{"log-normal, sigma 1", func(rnd *rand.Rand) float64 { return 10 * ms * math.Exp(rnd.NormFloat64()) }},
		{"log-normal, sigma 2", func(rnd *rand.Rand) float64 { return 10 * ms * math.Exp(2*rnd.NormFloat64()) }},
		{"Pareto 1.5", func(rnd *rand.Rand) float64 { return 10 * ms * math.Pow(1-rnd.Float64(), -1/1.5) }},
		{"a twentieth slow", slow(.05)},
		{"a fifth slow", slow(.2)},
	}
	for _, tt := range tests {
		for _, p := range []float64{.9, .95, .99} {
			if raceEnabled && (p != .9 || tt.name != "uniform") {
				continue
			}
			bubble(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(7, 8))
				next := func() act { return act{takes: time.Duration(tt.latency(rnd))} }
				hedges := 0
				policy := retry.Hedge[int]{Latency: &retry.Latency{P: p}, OnEvent: func(_ context.Context, e retry.Event) {
					if e.Kind == retry.KindHedged {
						hedges++
					}
				}}
				const warm, calls = 1000, 20_000
				for i := range warm + calls {
					if i == warm {
						hedges = 0
					}
					policy.Do(t.Context(), newStage(next(), next()).call)
				}
				share, want := float64(hedges)/calls, 1-p
				if share < .9*want || share > 1.1*want {
					t.Errorf("%s, P = %v: share of hedged calls = %.4f, want %.4f and at most a tenth of it off", tt.name, p, share, want)
				}
			})
		}
	}
}

// TestLatency compares the estimate with the quantile of the distribution.
func TestLatency(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, p := range []float64{.5, .9, .95, .99} {
		q := &retry.Latency{P: p}
		below, n := 0, 0
		for i := range 50_000 {
			x := time.Duration(rnd.ExpFloat64() * float64(time.Millisecond) * 20)
			if est, ok := q.Value(); ok && i > 5000 {
				n++
				if x < est {
					below++
				}
			}
			q.Observe(x)
		}
		if got := float64(below) / float64(n); got < p-.02 || got > p+.02 {
			t.Errorf("part below the estimate of quantile %v = %.3f", p, got)
		}
	}
	q := &retry.Latency{P: 7}
	for range 19 {
		q.Observe(-5)
	}
	if d, ok := q.Value(); ok || d != time.Microsecond {
		t.Errorf("Value after 19 latencies = %v, %t, want 1µs, false", d, ok)
	}
	q.Observe(1<<63 - 1)
	if _, ok := q.Value(); !ok {
		t.Error("no Value after 20 latencies")
	}
}

func TestHedgeAsksTheBudgetUntilItRefuses(t *testing.T) {
	bubble(t, func(t *testing.T) {
		left := &retry.TokenBudget{Burst: 1, PerSecond: -1}
		h := retry.Hedge[int]{Max: 9, Delay: s, Budget: left}
		stage := newStage(act{takes: 30 * s})
		if _, err := h.Do(t.Context(), stage.call); err != nil || len(stage.starts) != 2 || left.Stats().Refused != 1 {
			t.Errorf("error %v, %d attempts, %+v, want nil, 2, one refusal", err, len(stage.starts), left.Stats())
		}
	})
}

func TestHedgeDiscardsWhatNobodyReceives(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var discarded []int
		h := retry.Hedge[int]{Discard: func(n int) { discarded = append(discarded, n) }}
		h.OnEvent = func(_ context.Context, e retry.Event) {
			if e.Kind == retry.KindDone {
				time.Sleep(time.Minute) // the second value arrives meanwhile
			}
		}
		h.Do(t.Context(), newStage(act{takes: s}, act{takes: 2 * s, blind: true}).call)
		checkEqual(t, discarded, []int{2})
	})
}

func TestHedgeFatal(t *testing.T) {
	h := retry.Hedge[int]{Delay: -1, Fatal: func(err error) bool { return err == errBoom }}
	_, cancel, err := h.DoCancel(t.Context(), newStage(act{err: errBoom}).call)
	cancel()
	checkIs(t, err, retry.ErrPermanent)
	if got := details(t, err).Last(); got != errBoom {
		t.Errorf("Last = %v, want %v itself", got, errBoom)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	attempts := 0
	_, err = h.Do(ctx, func(context.Context) (int, error) { attempts++; stop(errCause); return 0, errEarly })
	checkIs(t, err, context.Canceled, errCause)
	if attempts != 1 {
		t.Errorf("attempts = %d, want none once the context is done", attempts)
	}
}

func TestHedgeContextEndsTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*s, func() { cancel(errCause) })
		stage := newStage(act{takes: s, err: errBoom}, act{takes: time.Hour})
		_, err := retry.Hedge[int]{Delay: time.Minute}.Do(ctx, stage.call)
		checkIs(t, err, context.Canceled, errCause, errBoom)
		if got := time.Since(stage.begin); got != 5*s {
			t.Errorf("returned after %v, want 5s", got)
		}
		_, err = retry.Hedge[int]{}.Do(ctx, stage.call)
		checkIs(t, err, context.Canceled, errCause)
		if got := len(stage.starts); got != 2 {
			t.Errorf("attempts = %d, want 2: none after the context is done", got)
		}
	})
}

func TestHedgeEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []string
		policy := retry.Hedge[int]{Delay: s, Max: 2, OnEvent: func(_ context.Context, e retry.Event) {
			got = append(got, fmt.Sprint(e.Kind, e.Attempt, e.Err, e.Reason))
		}}
		policy.Do(t.Context(), newStage(act{}).call)
		policy.Do(t.Context(), newStage(act{takes: 3 * s}, act{err: errBoom}, act{takes: s / 2}).call)
		policy.Do(t.Context(), newStage(act{err: retry.Permanent(errBoom)}).call)
		want := []string{"hedged 2 <nil> <nil>", "hedged 3 boom <nil>", "done 3 <nil> <nil>", "done 1 boom retry: not retryable"}
		checkEqual(t, got, want)
	})
}

func TestHedgeCosts(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	policy := retry.Hedge[int]{Delay: time.Hour}
	ok := func(context.Context) (int, error) { return 1, nil }
	if got := testing.AllocsPerRun(200, func() { policy.Do(ctx, ok) }); got > 10 {
		t.Errorf("Do without a hedge: %v allocations, want at most 10", got)
	}
}
