package redoubtredis

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// ErrDown means that the server of a key is down.
var ErrDown = errors.New("redis: server down")

// ReserveKey is [Limiter.TakeKey] without a lease, for work whose number of
// events is known only afterwards. settle replaces n by the actual number: it
// charges additional events, and returns unused events as far as the limits are
// certain to hold. Only its first call has an effect, and none if d is a
// refusal. If [Config.Outage] made the decision, settle changes only the share
// of this process.
//
// Errors: see [Limiter.TakeKey]. The errors of settle are the errors of
// [Limiter.ChargeKey].
func (l *Limiter) ReserveKey(ctx context.Context, key string, n int64) (d ratelimit.Decision, settle func(ctx context.Context, actual int64) error, err error) {
	nothing := func(context.Context, int64) error { return nil }
	if ctx.Err() != nil {
		return ratelimit.Decision{N: n}, nothing, cancelled(ctx)
	}
	p, hash := l.plan.Load(), maphash.String(l.seed, key)
	d, ok := l.denied(p, hash, n, l.link.now())
	var t *taking
	if !ok {
		d, t, err = l.ask(ctx, p, hash, key, n)
	}
	if !d.OK || err != nil {
		return d, nothing, err
	}
	var settled atomic.Bool
	return d, func(ctx context.Context, actual int64) error {
		if settled.Swap(true) {
			return nil
		}
		actual = max(0, actual)
		switch {
		case t == nil:
			p.settleLocal(key, n, actual)
			return nil
		case actual > n:
			_, err := l.ChargeKey(ctx, key, actual-n)
			return err
		case actual < n:
			p.settleLocal(key, n, actual)
			_, err := l.change(ctx, p, "settle", key, p.putBack(l.node(key), l.key(key), n-actual, *t))
			return err
		}
		return nil
	}, nil
}

// ChargeKey takes n events of key, allowed or not, and returns the decision on
// an event that it does not take. If n <= 0, it takes nothing.
//
// Errors: the error matches [ErrDown] if the server of the key is down, or
// ctx.Err and [context.Cause] if ctx is done; otherwise it wraps the error of
// the client. The share of this process is changed in any case.
func (l *Limiter) ChargeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	p := l.plan.Load()
	if ctx.Err() == nil {
		for _, k := range p.local {
			k.Charge(key, n)
		}
	}
	node := l.node(key)
	r, err := l.change(ctx, p, "charge", key, p.change(node, "charge", l.key(key), p.most(n)))
	if err != nil {
		return ratelimit.Decision{N: 1}, err
	}
	t, err := l.taken(p, node, r)
	if err != nil {
		return ratelimit.Decision{N: 1}, fmt.Errorf("redis: limiter: charge: %w", err)
	}
	return p.quotas.decide(1, t.debts, t.now, 0, p.quotas.fit(1, t.debts, t.now, 0)), nil
}

// CreditKey returns n events to key. The key never has more than its burst. If
// n <= 0, CreditKey returns nothing.
//
// Errors: see [Limiter.ChargeKey].
func (l *Limiter) CreditKey(ctx context.Context, key string, n int64) error {
	p := l.plan.Load()
	if ctx.Err() == nil {
		for _, k := range p.local {
			k.Credit(key, n)
		}
	}
	_, err := l.change(ctx, p, "credit", key, p.change(l.node(key), "credit", l.key(key), p.most(n)))
	return err
}

// PenalizeKey takes all events of key and keeps it empty for d, and until the
// end of the period of a quota. It does not shorten a longer debt. If d < 0, it
// changes nothing.
//
// Errors: see [Limiter.ChargeKey].
func (l *Limiter) PenalizeKey(ctx context.Context, key string, d time.Duration) error {
	if d < 0 && ctx.Err() == nil {
		return nil
	}
	p, node := l.plan.Load(), l.node(key)
	debts, periods := make([]span, len(p.quotas)), []span(nil)
	for i, q := range p.quotas {
		if debts[i] = q.burst; q.calendar == nil {
			debts[i].us = min(maxBurst, debts[i].us+d.Microseconds())
			continue
		}
		last := q.calendar.at(node.clock() + d.Microseconds())
		debts[i] = span{last.index, d.Microseconds()}
		periods = append(periods, span{last.start, last.end})
	}
	if ctx.Err() == nil {
		for _, k := range p.local {
			k.Penalize(key, d)
		}
	}
	l.leases.drop(maphash.String(l.seed, key))
	_, err := l.change(ctx, p, "penalize", key, p.change(node, "empty", l.key(key), append(debts, periods...)))
	return err
}

// ResetKey makes the whole burst of key available again.
//
// Errors: see [Limiter.ChargeKey].
func (l *Limiter) ResetKey(ctx context.Context, key string) error {
	p := l.plan.Load()
	if ctx.Err() == nil {
		for _, k := range p.local {
			k.Reset(key)
		}
	}
	l.leases.drop(maphash.String(l.seed, key))
	_, err := l.change(ctx, p, "reset", key, []string{"DEL", l.key(key)})
	return err
}

// change sends a command that changes key. It forgets a refusal of
// the key, which were decided before.
func (l *Limiter) change(ctx context.Context, p *plan, op, key string, cmd []string) (Reply, error) {
	fail := func(err error) (Reply, error) { return Reply{}, fmt.Errorf("redis: limiter: %s: %w", op, err) }
	if ctx.Err() != nil {
		return Reply{}, cancelled(ctx)
	}
	hash, node := maphash.String(l.seed, key), l.node(key)
	defer p.denials.forget(hash)
	if !node.admits(l.link.now()) {
		return fail(ErrDown)
	}
	l.figures.roundTrips.Add(1)
	replies, ok := l.link.one(ctx, p.cfg.Timeout, p.quotas, node, cmd)
	if !ok {
		l.figures.errors.Add(1)
		return Reply{}, cancelled(ctx)
	}
	if err := replies[0].Err; err != nil {
		l.figures.errors.Add(1)
		return fail(err)
	}
	return replies[0], nil
}

// change returns the call of a change by parts.
func (p *plan) change(node *node, kind, name string, parts []span) []string {
	args := append(p.begin(node), kind)
	for _, s := range parts {
		args = append(args, words(s.us, s.fr)...)
	}
	return changes.call(args, name)
}

// settleLocal replaces n events by the actual number in the share of this
// process.
func (p *plan) settleLocal(key string, n, actual int64) {
	for _, k := range p.local {
		k.Charge(key, actual-n)
		k.Credit(key, n-actual)
	}
}

// node returns the state of the server of a key.
func (l *Limiter) node(key string) *node { return l.link.outages.of(l.key(key)) }

// most returns the costs of n events, 0 if n <= 0.
func (p *plan) most(n int64) []span {
	costs := make([]span, len(p.quotas))
	for i := range costs {
		costs[i] = p.quotas[i].most(max(0, n))
	}
	return costs
}

// most returns the time of n events, or the longest time that a debt can have.
func (q *quota) most(n int64) span {
	hi, lo := bits.Mul64(uint64(n), q.num)
	if hi >= q.den {
		return span{us: maxBurst}
	}
	us, fr := bits.Div64(hi, lo, q.den)
	if us >= maxBurst {
		return span{us: maxBurst}
	}
	return span{int64(us), int64(fr)}
}
