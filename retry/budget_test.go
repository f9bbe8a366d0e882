package retry_test

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
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
	// A caller in a loop gets one attempt per call and its error at once: the
	// load is that of the loop, and pausing is left to it, as the package
	// documentation says.
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
