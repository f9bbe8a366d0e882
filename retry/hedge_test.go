package retry_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
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
			if got := <-ended; name == "panic" && got != errBoom {
				t.Errorf("recovered %v, want the value of the panic", got)
			}
		}
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
	t.Run("cancelled attempts are no samples", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			q := &retry.Latency{Warm: -1}
			policy := retry.Hedge[int]{Delay: s, Latency: q}
			stage := newStage(act{takes: time.Hour}, act{takes: 10 * time.Millisecond})
			policy.Do(t.Context(), stage.call)
			synctest.Wait()
			if got, ok := q.Value(); got != 10*time.Millisecond || !ok {
				t.Errorf("Value = %v, %t, want 10ms, true", got, ok)
			}
		})
	})
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
	if err != errBoom {
		t.Errorf("error = %v, want %v itself", err, errBoom)
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
		want := []string{"hedged 2 <nil> <nil>", "hedged 3 boom <nil>", "done 3 <nil> <nil>", "done 1 boom boom"}
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
