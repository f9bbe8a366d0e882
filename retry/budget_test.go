package retry_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retrytest"
)

// withdrawals counts the tokens there are to take now.
func withdrawals(b retry.Budget) int {
	n := 0
	for n < 1e6 {
		if _, ok := b.Withdraw(nil); !ok {
			break
		}
		n++
	}
	return n
}

func TestExhaustedBudgetKeepsTheError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		policy := constant(time.Minute, 5)
		policy.Budget = &retry.TokenBudget{Burst: -1}
		p := failing(errBoom)
		_, err := retry.Do(t.Context(), policy, p.call)
		checkIs(t, err, retry.ErrBudget, errBoom)
		checkEqual(t, p.starts, []time.Duration{0})
		if got := time.Since(p.begin); got != 0 {
			t.Errorf("returned after %v, want at once", got)
		}
	})
}

func TestBudgetComesBack(t *testing.T) {
	t.Run("by time", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			b := &retry.TokenBudget{Burst: 10, PerSecond: 2, Ratio: -1}
			for _, want := range []int{10, 0} {
				if got := withdrawals(b); got != want {
					t.Errorf("tokens = %d, want %d", got, want)
				}
			}
			// Asked often, the fractions must add up all the same.
			for range 999 {
				time.Sleep(time.Millisecond)
				if withdrawals(b) > 0 && time.Now().Nanosecond() < 400e6 {
					t.Fatal("a token came too early")
				}
			}
			time.Sleep(time.Hour)
			if got := withdrawals(b); got != 10 {
				t.Errorf("tokens after an hour = %d, want 10", got)
			}
		})
	})
	t.Run("by verdicts that are not retried", func(t *testing.T) {
		b := &retry.TokenBudget{Burst: 5, PerSecond: -1, Ratio: .5}
		withdrawals(b)
		policy := retry.Policy{Budget: b}
		for range 4 {
			retry.Do(t.Context(), policy, failing(retry.Permanent(errBoom)).call)
			retry.Do(t.Context(), policy, failing(nil).call)
		}
		if got := withdrawals(b); got != 4 {
			t.Errorf("tokens after 8 deposits of a half = %d, want 4", got)
		}
	})
	t.Run("not by cancelled calls", func(t *testing.T) {
		bubble(t, func(t *testing.T) {
			deposits := 0
			policy := constant(time.Minute, 2)
			policy.Budget = budgetFunc(func() { deposits++ })
			p := failing(errBoom)
			p.work = time.Hour
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			_, err := retry.Do(ctx, policy, p.call)
			if err == nil || deposits != 0 {
				t.Errorf("error, deposits = %v, %d, want an error, 0", err, deposits)
			}
		})
	})
}

func TestNoIncomeNoRetries(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		name string
		b    retry.TokenBudget
		want int
	}{
		{"no income", retry.TokenBudget{Ratio: -1, PerSecond: -1}, 0},
		{"no income, NaN", retry.TokenBudget{Ratio: nan, PerSecond: nan}, 0},
		{"no burst", retry.TokenBudget{Burst: -1}, 0},
		{"default", retry.TokenBudget{}, 100},
		{"infinite income", retry.TokenBudget{Ratio: math.Inf(1), PerSecond: math.Inf(1), Burst: 7}, 7},
		{"huge burst", retry.TokenBudget{Burst: math.MaxInt}, 1e6},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				if got := withdrawals(&tt.b); got != tt.want {
					t.Errorf("tokens = %d, want %d", got, tt.want)
				}
			})
		})
	}
	t.Run("thirds do not drift", func(t *testing.T) {
		b := &retry.TokenBudget{Ratio: 1. / 3, PerSecond: -1, Burst: 1000}
		withdrawals(b)
		for range 2700 {
			b.Settle(retry.OutcomeSuccess, 0, nil)
		}
		if got := withdrawals(b); got != 899 && got != 900 {
			t.Errorf("tokens after 2700 thirds = %d, want 899 or 900", got)
		}
	})
	t.Run("withdraw is one step", func(t *testing.T) {
		b := &retry.TokenBudget{Ratio: 1, PerSecond: -1, Burst: 1000}
		var taken atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() { taken.Add(int64(withdrawals(b))) })
		}
		all.Wait()
		if got := taken.Load(); got != 1000 {
			t.Errorf("tokens taken = %d, want 1000", got)
		}
	})
	var none *retry.TokenBudget
	none.Settle(retry.OutcomeUnmade, 1, nil)
	if _, ok := none.Withdraw(nil); !ok {
		t.Error("a nil budget refuses")
	}
}

func TestExhaustedBudgetAddsNoLoad(t *testing.T) {
	// A caller in a loop gets a single attempt per call and its error
	// immediately. The loop sets the load, and should pause, as the package
	// documentation states.
	bubble(t, func(t *testing.T) {
		policy := constant(0, 10)
		policy.Budget = &retry.TokenBudget{PerSecond: 1, Burst: 5}
		attempts := 0
		const calls = 600
		for range calls {
			policy.Do(t.Context(), func(context.Context) error { attempts++; return errBoom })
			time.Sleep(100 * time.Millisecond)
		}
		if extra := attempts - calls; extra > 5+60 {
			t.Errorf("retries in a minute of outage = %d, want at most 5 and one a second", extra)
		}
	})
}

func TestBudgetDepositWhenFullOnlyReads(t *testing.T) {
	b := &retry.TokenBudget{}
	success := func() { b.Settle(retry.OutcomeSuccess, 0, nil) }
	if got := testing.AllocsPerRun(100, success); got != 0 {
		t.Errorf("Settle: %v allocations, want 0", got)
	}
	if got := withdrawals(b); got != 100 {
		t.Errorf("tokens after deposits into a full budget = %d, want 100", got)
	}
}

// A ledger is a Budget that grants every retry, for the cost of its number, and
// records the outcomes.
type ledger struct {
	granted int
	settled []string
}

func (l *ledger) Withdraw(error) (cost int, ok bool) { l.granted++; return l.granted, true }
func (l *ledger) Settle(o retry.Outcome, cost int, err error) {
	l.settled = append(l.settled, fmt.Sprint(o, cost, err))
}

func TestBudgetIsToldEveryOutcome(t *testing.T) {
	cancelled, cancel := context.WithCancel(t.Context())
	endless, end := context.WithCancel(t.Context())
	panics := constant(0, 3)
	panics.OnEvent = func(context.Context, retry.Event) { panic(errBoom) }
	tests := []struct {
		name   string
		ctx    context.Context
		policy retry.Policy
		errs   []error
		want   []string
	}{
		{"success", t.Context(), constant(0, 3), []error{nil}, []string{"success 0 <nil>"}},
		{"retried", t.Context(), constant(0, 3), []error{errBoom, errEarly, nil}, []string{"failure 0 boom", "failure 1 early", "success 2 <nil>"}},
		{"exhausted", t.Context(), constant(0, 2), []error{errBoom, errEarly}, []string{"failure 0 boom", "failure 1 early"}},
		{"verdict", t.Context(), constant(0, 2), []error{errBoom, retry.Permanent(errEarly)}, []string{"failure 0 boom", "verdict 1 early"}},
		{"refused at first", t.Context(), constant(0, 3), []error{rejected{}, errBoom, nil}, []string{"failure 0 boom", "success 1 <nil>"}},
		{"refused in between", t.Context(), constant(0, 3), []error{errBoom, rejected{}, nil}, []string{"failure 0 boom", "success 1 <nil>"}},
		{"refused at last", t.Context(), constant(0, 2), []error{errBoom, rejected{}}, []string{"failure 0 boom", "unmade 1 <nil>"}},
		{"cancelled in the pause", cancelled, retry.Policy{Backoff: retry.Constant(time.Hour), OnEvent: func(context.Context, retry.Event) { cancel() }}, []error{errBoom}, []string{"failure 0 boom", "unmade 1 <nil>"}},
		{"cancelled in a retry", endless, constant(0, 5), []error{errBoom, stopping{end}, nil}, []string{"failure 0 boom"}},
		{"panic in the hook", t.Context(), panics, []error{errBoom}, []string{"failure 0 boom", "unmade 1 <nil>"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outcomes := &ledger{}
			tt.policy.Budget = outcomes
			func() {
				defer func() { _ = recover() }()
				retry.Do(tt.ctx, tt.policy, failing(tt.errs...).call)
			}()
			checkEqual(t, outcomes.settled, tt.want)
		})
	}
}

// A stopping error cancels a context when it is looked at.
type stopping struct{ cancel context.CancelFunc }

func (s stopping) Error() string   { return "stopping" }
func (s stopping) Retryable() bool { s.cancel(); return true }

func TestCancelledPausesCostNothing(t *testing.T) {
	b := &retry.TokenBudget{PerSecond: -1, Burst: 10}
	for range 100 {
		ctx, cancel := context.WithCancel(t.Context())
		policy := retry.Policy{Budget: b, Backoff: retry.Constant(time.Hour), OnEvent: func(context.Context, retry.Event) { cancel() }}
		retry.Do(ctx, policy, failing(errBoom).call)
	}
	if got := b.Stats(); got.Tokens != 10 || got.Returned != 100 {
		t.Errorf("%+v, want 10 tokens, 100 returned", got)
	}
}

// A refusing error is a refusal that cancels a context when it is looked at.
type refusing struct{ cancel context.CancelFunc }

func (r refusing) Error() string  { return "refusing" }
func (r refusing) Rejected() bool { r.cancel(); return true }

// A retry that a guard refuses costs nothing, also if its call then ends.
func TestCancelledRefusalsCostNothing(t *testing.T) {
	do := func(ctx context.Context, b retry.Budget, fn func(context.Context) (int, error)) {
		retry.Do(ctx, retry.Policy{Budget: b, Backoff: retry.Constant(0)}, fn)
	}
	hedge := func(ctx context.Context, b retry.Budget, fn func(context.Context) (int, error)) {
		retry.Hedge[int]{Budget: b, Delay: retry.AfterFailure}.Do(ctx, fn)
	}
	for _, tt := range []struct {
		call func(context.Context, retry.Budget, func(context.Context) (int, error))
		last string
	}{{do, "unmade 1 <nil>"}, {hedge, "unmade 1 refusing"}} {
		b := &ledger{}
		ctx, cancel := context.WithCancel(t.Context())
		tt.call(ctx, b, failing(errBoom, refusing{cancel}).call)
		checkEqual(t, b.settled, []string{"failure 0 boom", tt.last})
	}
}

// No rate loses its income, however long the budget lives.
func TestBudgetLivesLong(t *testing.T) {
	for _, rate := range []float64{.5, 1, 1e3, 1e6, math.Inf(1)} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				b := &retry.TokenBudget{Ratio: -1, PerSecond: rate, Burst: 5}
				for year := range 70 {
					for _, sleep := range []time.Duration{10 * time.Second, 53 * 24 * time.Hour, 150 * 24 * time.Hour, 312 * 24 * time.Hour} {
						if got := withdrawals(b); got != 5 {
							t.Fatalf("year %d: tokens = %d, want 5", year, got)
						}
						time.Sleep(sleep)
					}
				}
			})
		})
	}
}

func TestBudgetCountsSmallRates(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &retry.TokenBudget{Ratio: 1e-7, PerSecond: -1, Burst: 1}
		withdrawals(b)
		for range 1_000_000 {
			b.Settle(retry.OutcomeSuccess, 0, nil)
		}
		if got := withdrawals(b); got != 1 {
			t.Errorf("tokens = %d, want 1: a ratio below a millionth counts as one", got)
		}
		b = &retry.TokenBudget{Ratio: -1, PerSecond: 1. / 86400, Burst: 1}
		withdrawals(b)
		time.Sleep(24*time.Hour - time.Second)
		checkEqual(t, withdrawals(b), 0)
		time.Sleep(time.Second)
		checkEqual(t, withdrawals(b), 1)
	})
}

func TestBudgetStats(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := &retry.TokenBudget{Name: "b", Ratio: .5, PerSecond: 1, Burst: 4}
		checkEqual(t, b.Stats(), retry.BudgetStats{Name: "b", Burst: 4, Tokens: 4})
		checkEqual(t, withdrawals(b), 4)
		b.Settle(retry.OutcomeVerdict, 0, errBoom)
		b.Settle(retry.OutcomeFailure, 0, errBoom)
		b.Settle(retry.OutcomeUnmade, 1, nil)
		time.Sleep(time.Second)
		for range 2 { // a snapshot changes nothing
			checkEqual(t, b.Stats(), retry.BudgetStats{Name: "b", Burst: 4, Tokens: 2.5, Granted: 4, Refused: 1, Returned: 1})
		}
		checkEqual(t, (*retry.TokenBudget)(nil).Stats(), retry.BudgetStats{})
	})
}

// Budgets of users are as right under concurrency as alone. Oracle: the bounds
// of each, and a sum.
func TestBudgetsOfUsersInParallel(t *testing.T) {
	t.Run("quota", func(t *testing.T) {
		q := &quota{tokens: 100}
		policy := constant(0, 9)
		policy.Budget = q
		var attempts atomic.Int64
		var all sync.WaitGroup
		const callers, each = 8, 50
		for range callers {
			all.Go(func() {
				for range each {
					policy.Do(t.Context(), func(context.Context) error { attempts.Add(1); return errThrottled })
				}
			})
		}
		all.Wait()
		if got := attempts.Load() - callers*each; got != 20 || q.tokens != 0 {
			t.Errorf("retries, tokens = %d, %d, want 20, 0", got, q.tokens)
		}
	})
	t.Run("throttle", func(t *testing.T) {
		g := &throttle{tenths: 100, max: 100}
		policy := constant(0, 9)
		policy.Budget = g
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 100 {
					policy.Do(t.Context(), func(context.Context) error { return errBoom })
				}
			})
		}
		all.Wait()
		checkEqual(t, g.tenths, 0)
		for range 60 {
			policy.Do(t.Context(), func(context.Context) error { return nil })
		}
		checkEqual(t, g.tenths, 60)
	})
}

func TestBudgetsOfUsersConform(t *testing.T) {
	retrytest.Run(t, func(*testing.T) retry.Budget { return &quota{tokens: 500} })
	retrytest.Run(t, func(*testing.T) retry.Budget { return &throttle{tenths: 100, max: 100} })
}
