package redoubtredis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// A lease is a number of events of a key that were taken from the server ahead,
// to be spent here. They are charged before they are used, so all processes
// together never admit more than the server did. The rest is returned after
// LeaseFor. The size of a lease starts at the first request. It doubles while
// the lease is used up in time, so that only busy keys have a lease.
type lease struct {
	name  string // the key on the server
	node  *node  // its server
	plan  *plan  // of the taking
	left  int64
	size  int64         // the events to take next time
	until int64         // when the rest is to be returned: LeaseFor after the request was sent
	at    int64         // when the reply came
	taken taking        // the reply
	busy  chan struct{} // closed when the caller that renews the lease is done; nil if there is none
}

const (
	stripes   = 32
	maxLeases = 1 << 14 / stripes // in each stripe; more busy keys have no lease
	maxBatch  = 128               // returns in one round trip
)

type leases struct {
	stripes [stripes]stripe
	stop    chan struct{}
	done    chan struct{}
	once    sync.Once
}

type stripe struct {
	mu     sync.Mutex
	of     map[uint64]*lease
	closed bool
}

func (ls *leases) stripe(hash uint64) *stripe { return &ls.stripes[hash%stripes] }

// start starts the goroutine that returns unused events.
func (ls *leases) start(l *Limiter, every time.Duration) {
	ls.stop, ls.done = make(chan struct{}), make(chan struct{})
	for i := range ls.stripes {
		ls.stripes[i].of = map[uint64]*lease{}
	}
	go func() {
		defer close(ls.done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = l.sweep(context.Background(), l.link.now())
			case <-ls.stop:
				return
			}
		}
	}()
}

// Close returns the events that were taken ahead, and ends the goroutine of a
// Limiter with a Lease. The Limiter remains usable, without leases. If the
// server does not answer, Close gives up after two times Timeout.
//
// Errors: the events of some keys could not be returned. They come back at the
// rate of the limit.
func (l *Limiter) Close() error {
	if l.leases.stop == nil {
		return nil
	}
	l.leases.once.Do(func() { close(l.leases.stop) })
	<-l.leases.done
	for i := range l.leases.stripes {
		s := &l.leases.stripes[i]
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
	}
	return l.sweep(context.Background(), 1<<63-1)
}

// spend takes n events from the lease of a key.
func (l *Limiter) spend(p *plan, hash uint64, n, now int64) (ratelimit.Decision, bool) {
	if l.leases.stop == nil || n <= 0 {
		return ratelimit.Decision{}, false
	}
	s := l.leases.stripe(hash)
	s.mu.Lock()
	e := s.of[hash]
	if e == nil || e.left < n || now >= e.until || e.plan != p {
		s.mu.Unlock()
		return ratelimit.Decision{}, false
	}
	e.left -= n
	left, at, t := e.left, e.at, e.taken
	s.mu.Unlock()
	d := p.quotas.decide(n, t.debts, t.now, (now-at)/1000, true)
	d.Remaining = min(d.Remaining+left, d.Limit.Burst)
	return d, true
}

// drop forgets the rest of the lease of a key.
func (ls *leases) drop(hash uint64) {
	if ls.stop == nil {
		return
	}
	s := ls.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.of[hash]; e != nil {
		e.left = 0
	}
}

// A claim is the exclusive right to renew a lease.
type claim struct {
	lease *lease
	size  int64
	rest  int64  // the events left of the old lease, too few or too old
	taken taking // of the old lease
	plan  *plan  // of the old lease
}

// claim returns the right to renew the lease of a key, or a channel to wait for
// if another caller has it, or neither if there is no room.
func (l *Limiter) claim(p *plan, hash uint64, key string, n, now int64) (c claim, wait <-chan struct{}) {
	s := l.leases.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of[hash]
	if e == nil {
		if s.closed || len(s.of) >= maxLeases {
			return claim{}, nil
		}
		name := l.key(key)
		e = &lease{name: name, node: l.link.outages.of(name)}
		s.of[hash] = e
	}
	if e.busy != nil {
		return claim{}, e.busy
	}
	switch {
	case now < e.until:
		e.size = min(2*e.size, p.cfg.Lease)
	case 2*e.left > e.size:
		e.size /= 2
	}
	e.size = max(e.size, n)
	if s.closed {
		e.size = n
	}
	c = claim{lease: e, size: e.size, rest: e.left, taken: e.taken, plan: e.plan}
	e.left, e.busy = 0, make(chan struct{})
	return c, nil
}

// settle ends a claim after t, in which n events are spent, or after no taking.
func (l *Limiter) settle(p *plan, hash uint64, c claim, n, sent int64, t taking) {
	s, e := l.leases.stripe(hash), c.lease
	s.mu.Lock()
	defer s.mu.Unlock()
	close(e.busy)
	e.busy = nil
	if t.events == 0 {
		e.size = max(1, e.size/2)
		return
	}
	e.size, e.left = t.events, t.events-n
	e.until, e.at, e.taken, e.plan = sent+int64(p.cfg.LeaseFor), l.link.now(), t, p
}

// lease decides by a lease, and renews it if no other caller does.
func (l *Limiter) lease(ctx context.Context, p *plan, hash uint64, key string, n int64) (ratelimit.Decision, error) {
	timely, cancel, _ := limit(ctx, p.cfg.Timeout)
	defer cancel()
	for {
		if d, ok := l.nearby(p, hash, key, n, l.link.now()); ok {
			return d, nil
		}
		c, wait := l.claim(p, hash, key, n, l.link.now())
		switch {
		case c.lease != nil:
			return l.renewDetached(ctx, p, hash, key, n, c)
		case wait == nil:
			d, _, err := l.ask(ctx, p, hash, key, n)
			return d, err
		}
		select {
		case <-wait:
		case <-timely.Done():
			if ctx.Err() != nil {
				return ratelimit.Decision{N: n}, cancelled(ctx)
			}
			name := l.key(key)
			return l.fallback(p, l.link.outages.of(name), key, n), nil
		}
	}
}

// renewDetached is renew, which goes on if ctx ends, so that an impatient
// caller does not cost a whole lease.
func (l *Limiter) renewDetached(ctx context.Context, p *plan, hash uint64, key string, n int64, c claim) (ratelimit.Decision, error) {
	if ctx.Done() == nil {
		return l.renew(ctx, p, hash, key, n, c), nil
	}
	type result struct {
		d        ratelimit.Decision
		panicked any
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			done <- r
		}()
		r.d = l.renew(context.WithoutCancel(ctx), p, hash, key, n, c)
	}()
	select {
	case r := <-done:
		if r.panicked != nil {
			panic(r.panicked)
		}
		return r.d, nil
	case <-ctx.Done():
		return ratelimit.Decision{N: n}, cancelled(ctx)
	}
}

// renew takes the events of a claim, or half of them, and so on down to n. It
// returns the rest of the old lease in the same round trip.
func (l *Limiter) renew(ctx context.Context, p *plan, hash uint64, key string, n int64, c claim) ratelimit.Decision {
	var t taking
	sent := l.link.now()
	defer func() { l.settle(p, hash, c, n, sent, t) }() // also when the Client panics
	node := c.lease.node
	if !node.admits(sent) {
		return l.fallback(p, node, key, n)
	}
	var amounts []int64
	for a := c.size; a > n; a /= 2 {
		amounts = append(amounts, a)
	}
	amounts = append(amounts, n)
	calls := [][]string{p.take(node, c.lease.name, amounts...)}
	if c.rest > 0 {
		calls = [][]string{c.plan.putBack(node, c.lease.name, c.rest, c.taken), calls[0]}
		l.figures.returned.Add(uint64(c.rest))
	}
	l.figures.roundTrips.Add(1)
	replies, _ := l.link.one(ctx, p.cfg.Timeout, p.quotas, node, calls...)
	t, err := l.taken(p, node, replies[len(replies)-1])
	if t.amount > 0 {
		t.events = amounts[t.amount-1]
	}
	d := l.conclude(p, node, hash, key, n, t, err)
	d.Remaining += max(0, t.events-n) // the lease belongs to this process
	return d
}

// putBack returns the call that returns n events of an earlier take.
func (p *plan) putBack(node *node, name string, n int64, t taking) []string {
	args := append(p.begin(node), words(t.moved)...)
	for i, q := range p.quotas {
		debt, alone, cost := t.debts[i], q.cost(t.events), q.cost(n)
		if q.calendar != nil {
			args = append(args, words(q.calendar.at(t.now).index, 0, 0, 0, cost.us, 0)...)
			continue
		}
		args = append(args, words(t.now+debt.us, debt.fr, t.now+alone.us, alone.fr, cost.us, cost.fr)...)
	}
	return returns.call(args, name)
}

// sweep returns the rest of the leases that ended before now, and removes the
// leases of keys that are not busy.
func (l *Limiter) sweep(ctx context.Context, now int64) error {
	var calls [][]string
	var nodes []*node
	p := l.plan.Load()
	for i := range l.leases.stripes {
		s := &l.leases.stripes[i]
		s.mu.Lock()
		for hash, e := range s.of {
			if e.busy != nil || now < e.until {
				continue
			}
			if e.left > 0 {
				calls, nodes = append(calls, e.plan.putBack(e.node, e.name, e.left, e.taken)), append(nodes, e.node)
				l.figures.returned.Add(uint64(e.left))
				e.left, e.size = 0, e.size/2
			} else if now-int64(p.cfg.LeaseFor) > e.until {
				delete(s.of, hash)
			}
		}
		s.mu.Unlock()
	}
	var errs []error
	for len(calls) > 0 {
		n := min(maxBatch, len(calls))
		err := l.send(ctx, p, nodes[:n], calls[:n])
		errs, calls, nodes = append(errs, err), calls[n:], nodes[n:]
		if err != nil && len(calls) > 0 { // the others would wait as long
			errs = append(errs, fmt.Errorf("redis: limiter: return: %d more keys not sent", len(calls)))
			break
		}
	}
	return errors.Join(errs...)
}

// send sends returns, to servers that are up or not.
func (l *Limiter) send(ctx context.Context, p *plan, nodes []*node, calls [][]string) error {
	replies, _ := l.link.many(ctx, p.cfg.Timeout, p.quotas, nodes, calls)
	var errs []error
	for _, r := range replies {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("redis: limiter: return: %w", r.Err))
		}
	}
	return errors.Join(errs...)
}
