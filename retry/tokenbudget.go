package retry

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// micro is the number of units in a token. Whole numbers keep fractions such
// as a third of a token from drifting.
const micro = 1e6

// Defaults of a TokenBudget.
const (
	defaultRatio     = 0.1
	defaultPerSecond = 1
	defaultBurst     = 100
)

// A TokenBudget is a Budget of tokens (token bucket). A retry costs a token. In
// a time t after its first use it grants at most
// Burst + Ratio*settled + PerSecond*t retries, where settled is the number of
// successes and verdicts. A retry that is not made returns its token.
//
// A TokenBudget begins full. Its fields must not change, and it must not be
// copied, after its first use. A nil *TokenBudget grants every retry.
type TokenBudget struct {
	_ [0]func() // not comparable

	// Name names the budget in its Stats. It may be empty.
	Name string

	// Ratio is the part of a token that each success or verdict adds: 0.1
	// allows one retry for ten calls. Zero means 0.1. Negative or NaN means
	// none.
	Ratio float64

	// PerSecond is the number of tokens added per second, up to a million, so
	// that a client finds its way back without any success. Zero means 1.
	// Negative or NaN means none. Without Ratio and PerSecond there are no
	// retries.
	PerSecond float64

	// Burst is the largest number of tokens, and the number at the start.
	// Zero means 100. Negative means none, and no retries.
	Burst int

	// missing is the distance from full, in millionths of a token. Counted
	// this way, a deposit into a full budget only reads it.
	missing atomic.Int64
	// accrued is the income from PerSecond since epoch, modulo 2^64.
	accrued atomic.Uint64
	epoch   atomic.Pointer[time.Time]

	granted, refused, returned atomic.Int64
}

var _ Budget = (*TokenBudget)(nil)

// BudgetStats are the figures of a TokenBudget. The counters grow
// monotonically.
type BudgetStats struct {
	Name     string  `json:"name"`     // of the budget
	Burst    int     `json:"burst"`    // largest number of tokens
	Tokens   float64 `json:"tokens"`   // available now
	Granted  int64   `json:"granted"`  // retries granted
	Refused  int64   `json:"refused"`  // retries refused
	Returned int64   `json:"returned"` // tokens of granted retries that were not made
}

// Stats returns the figures of b.
func (b *TokenBudget) Stats() BudgetStats {
	if b == nil {
		return BudgetStats{}
	}
	missing := b.missing.Load()
	if due, ok := b.due(); ok {
		missing = max(missing-b.income(due, b.accrued.Load()), 0)
	}
	return BudgetStats{
		Name:     b.Name,
		Burst:    int(b.size() / micro),
		Tokens:   float64(b.size()-missing) / micro,
		Granted:  b.granted.Load(),
		Refused:  b.refused.Load(),
		Returned: b.returned.Load(),
	}
}

// Validate reports every field whose value is out of range.
func (b *TokenBudget) Validate() error {
	if b == nil {
		return nil
	}
	var errs []error
	bad := func(field string, value, want any) {
		errs = append(errs, fmt.Errorf("retry: TokenBudget.%s is %v, want %v", field, value, want))
	}
	if r := b.Ratio; math.IsNaN(r) || r > 0 && r < 1/micro || r > micro {
		bad("Ratio", r, "1e-06 to 1e+06, 0 or less")
	}
	if r := b.PerSecond; math.IsNaN(r) || r > 0 && r < 1/micro || r > micro {
		bad("PerSecond", r, "1e-06 to 1e+06, 0 or less")
	}
	if b.Burst > math.MaxInt32 {
		bad("Burst", b.Burst, "at most 2147483647")
	}
	return errors.Join(errs...)
}

// Withdraw takes a token, and reports whether it could.
func (b *TokenBudget) Withdraw(error) (cost int, ok bool) {
	if b == nil {
		return 0, true
	}
	if b.ratio() == 0 && b.perSecond() == 0 || !b.take() {
		b.refused.Add(1)
		return 0, false
	}
	b.granted.Add(1)
	return 1, true
}

// take takes a token, and reports whether it could.
func (b *TokenBudget) take() bool {
	b.accrue()
	size := b.size()
	for {
		old := b.missing.Load()
		if old+micro > size {
			return false
		}
		if b.missing.CompareAndSwap(old, old+micro) {
			return true
		}
	}
}

// Settle adds Ratio tokens after a success or a verdict, and returns the cost
// of a retry that was not made. A full budget is only read, so that the calls
// of a healthy service write no shared memory.
func (b *TokenBudget) Settle(outcome Outcome, cost int, _ error) {
	if b == nil {
		return
	}
	switch outcome {
	case OutcomeSuccess, OutcomeVerdict:
		if b.missing.Load() != 0 {
			b.credit(b.share())
		}
	case OutcomeUnmade:
		b.returned.Add(int64(cost))
		b.credit(int64(cost) * micro)
	}
}

// share returns Ratio in millionths of a token, at least 1 if there is any.
func (b *TokenBudget) share() int64 {
	r := b.ratio()
	if r == 0 {
		return 0
	}
	return max(int64(math.Round(r*micro)), 1)
}

// accrue adds the income from PerSecond since the last call. It compares
// totals since the epoch, so that no fraction is lost however often it is
// called.
func (b *TokenBudget) accrue() {
	if b.perSecond() == 0 {
		return
	}
	due, ok := b.due()
	if !ok {
		now := time.Now()
		b.epoch.CompareAndSwap(nil, &now)
		return
	}
	old := b.accrued.Load()
	if n := b.income(due, old); n > 0 && b.accrued.CompareAndSwap(old, due) {
		b.credit(n)
	}
}

// due returns the income from PerSecond since epoch, in millionths of a token
// modulo 2^64, and whether there is an epoch.
func (b *TokenBudget) due() (due uint64, ok bool) {
	epoch := b.epoch.Load()
	if epoch == nil {
		return 0, false
	}
	// Units per nanosecond, times 2^52, rounded up: less than 2^62.
	const shift = 52
	rate := uint64(math.Ceil(b.perSecond() * micro / 1e9 * (1 << shift)))
	high, low := bits.Mul64(uint64(max(time.Since(*epoch), 0)), rate)
	return high<<(64-shift) | low>>shift, true
}

// income returns due-old, at most the size of the budget. A total that is a
// little behind belongs to a goroutine that read the clock earlier.
func (b *TokenBudget) income(due, old uint64) int64 {
	n := int64(due - old)
	if n < 0 && n > -1<<62 {
		return 0
	}
	if n < 0 {
		return b.size()
	}
	return min(n, b.size())
}

// credit adds n millionths of a token.
func (b *TokenBudget) credit(n int64) {
	for {
		old := b.missing.Load()
		if old == 0 || b.missing.CompareAndSwap(old, max(old-n, 0)) {
			return
		}
	}
}

// size returns Burst in millionths of a token, bounded to fit.
func (b *TokenBudget) size() int64 {
	if b.Burst == 0 {
		return defaultBurst * micro
	}
	return int64(min(max(b.Burst, 0), math.MaxInt32)) * micro
}

func (b *TokenBudget) ratio() float64     { return rate(b.Ratio, defaultRatio) }
func (b *TokenBudget) perSecond() float64 { return rate(b.PerSecond, defaultPerSecond) }

// rate returns x, or zero for 0, bounded so that products fit.
func rate(x, zero float64) float64 {
	switch {
	case x == 0:
		return zero
	case x > 0:
		return min(x, micro)
	}
	return 0 // negative or NaN
}
