package retry

import (
	"math"
	"sync/atomic"
	"time"
)

// A Budget bounds the retries of all calls that share it, so that an outage
// does not multiply the load of the service that has it. Implementations are
// safe for concurrent use.
type Budget interface {
	// Withdraw takes the price of one retry, in one step, and reports whether
	// it was there. It is asked before the pause of every retry, except after
	// an attempt that another guard refused.
	Withdraw() bool
	// Deposit is told of every call that ended with a verdict of the other
	// side: success, or an error that is not retried.
	Deposit()
}

// micro is the number of units a token is counted in. Whole numbers keep
// fractions such as a third of a token from drifting.
const micro = 1e6

// What the zero fields of a TokenBudget mean.
const (
	defaultRatio     = 0.1
	defaultPerSecond = 1
	defaultBurst     = 100
)

// A TokenBudget is a Budget of tokens, one for each retry. In a time t from its
// first use it allows no more than Burst + Ratio*deposits + PerSecond*t
// retries. It begins full, holds its fields' values from the first use on, and
// must not be copied after that.
//
// This is the retry budget of Finagle: a ratio that follows the traffic, and a
// floor in time by which a client without any success finds its way back.
type TokenBudget struct {
	_ [0]func() // not comparable

	// Ratio is the part of a token that each deposit adds: 0.1 allows one
	// retry for ten calls. 0 means 0.1; negative or NaN means none.
	Ratio float64
	// PerSecond is the number of tokens added per second whatever happens.
	// 0 means 1; negative or NaN means none. Without both Ratio and PerSecond
	// there are no retries.
	PerSecond float64
	// Burst is the largest number of tokens, and the number at the start.
	// 0 means 100; negative means none, and no retries.
	Burst int

	// missing is the distance from full, in millionths of a token. Counted this
	// way round, a deposit into a full budget only reads it.
	missing atomic.Int64
	// granted is what PerSecond has added since epoch, lost or not.
	granted atomic.Int64
	epoch   atomic.Pointer[time.Time]
}

var _ Budget = (*TokenBudget)(nil)

// Withdraw takes one token and reports whether there was one. A nil budget
// always has one.
func (b *TokenBudget) Withdraw() bool {
	if b == nil {
		return true
	}
	size, ratio, rate := b.size(), rate(b.Ratio, defaultRatio), rate(b.PerSecond, defaultPerSecond)
	if ratio == 0 && rate == 0 {
		return false
	}
	if rate > 0 {
		b.accrue(rate)
	}
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

// Deposit adds Ratio tokens, up to Burst. A full budget is only read, so that
// the calls of a healthy service share no written memory.
func (b *TokenBudget) Deposit() {
	if b == nil || b.missing.Load() == 0 {
		return
	}
	b.credit(int64(rate(b.Ratio, defaultRatio) * micro))
}

// accrue adds what PerSecond gave since the last time. It compares totals
// since the epoch, so that no fraction is lost however often it is called.
func (b *TokenBudget) accrue(perSecond float64) {
	epoch := b.epoch.Load()
	if epoch == nil {
		now := time.Now()
		b.epoch.CompareAndSwap(nil, &now)
		return
	}
	// A total beyond 2^62 is reached after 146 years at 1000 a second.
	due := int64(min(time.Since(*epoch).Seconds()*perSecond*micro, 1<<62))
	old := b.granted.Load()
	if due > old && b.granted.CompareAndSwap(old, due) {
		b.credit(due - old)
	}
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

// rate returns x with its default for zero and nothing below it, bounded so
// that products fit.
func rate(x, zero float64) float64 {
	switch {
	case x == 0:
		return zero
	case x > 0:
		return min(x, micro)
	}
	return 0 // negative or NaN
}
