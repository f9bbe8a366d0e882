package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
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
func (ls *leases) start(l *Limiter) {
	ls.stop, ls.done = make(chan struct{}), make(chan struct{})
	for i := range ls.stripes {
		ls.stripes[i].of = map[uint64]*lease{}
	}
	go func() {
		defer close(ls.done)
		tick := time.NewTicker(l.cfg.LeaseFor)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_ = l.sweep(context.Background(), l.now())
			case <-ls.stop:
				return
			}
		}
	}()
}

// Close returns the events that were taken ahead, and ends the goroutine of a
// Limiter with a Lease. The Limiter remains usable, without leases.
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
func (l *Limiter) spend(hash uint64, n, now int64) (ratelimit.Decision, bool) {
	if l.leases.stop == nil || n <= 0 {
		return ratelimit.Decision{}, false
	}
	s := l.leases.stripe(hash)
	s.mu.Lock()
	e := s.of[hash]
	if e == nil || e.left < n || now >= e.until {
		s.mu.Unlock()
		return ratelimit.Decision{}, false
	}
	e.left -= n
	left, at, t := e.left, e.at, e.taken
	s.mu.Unlock()
	d := l.quotas.decide(n, t.debts, (now-at)/1000, true)
	d.Remaining = min(d.Remaining+left, d.Limit.Burst)
	return d, true
}

// A claim is the exclusive right to renew a lease.
type claim struct {
	lease *lease
	size  int64
	rest  int64  // the events left of the old lease, too few or too old
	taken taking // of the old lease
}

// claim returns the right to renew the lease of a key, or a channel to wait for
// if another caller has it, or neither if there is no room.
func (l *Limiter) claim(hash uint64, key string, n, now int64) (c claim, wait <-chan struct{}) {
	s := l.leases.stripe(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.of[hash]
	if e == nil {
		if s.closed || len(s.of) >= maxLeases {
			return claim{}, nil
		}
		e = &lease{name: l.key(key)}
		s.of[hash] = e
	}
	if e.busy != nil {
		return claim{}, e.busy
	}
	switch {
	case now < e.until:
		e.size = min(2*e.size, l.cfg.Lease)
	case 2*e.left > e.size:
		e.size /= 2
	}
	e.size = max(e.size, n)
	if s.closed {
		e.size = n
	}
	c = claim{lease: e, size: e.size, rest: e.left, taken: e.taken}
	e.left, e.busy = 0, make(chan struct{})
	return c, nil
}

// settle ends a claim after t, in which n events are spent, or after no taking.
func (l *Limiter) settle(hash uint64, c claim, n, sent int64, t taking) {
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
	e.until, e.at, e.taken = sent+int64(l.cfg.LeaseFor), l.now(), t
}

// lease decides by a lease, and renews it if no other caller does.
func (l *Limiter) lease(timely, whole context.Context, hash uint64, key string, n int64) (ratelimit.Decision, error) {
	for {
		if d, ok := l.nearby(hash, key, n, l.now()); ok {
			return d, nil
		}
		c, wait := l.claim(hash, key, n, l.now())
		switch {
		case c.lease != nil:
			return l.renew(timely, whole, hash, key, n, c)
		case wait == nil:
			return l.ask(timely, whole, hash, key, n)
		}
		select {
		case <-wait:
		case <-timely.Done():
			if whole.Err() != nil {
				return ratelimit.Decision{N: n}, cancelled(whole)
			}
			return l.fallback(key, n), nil
		}
	}
}

// renew takes the events of a claim, or half of them, and so on down to n. It
// returns the rest of the old lease in the same round trip.
func (l *Limiter) renew(timely, whole context.Context, hash uint64, key string, n int64, c claim) (ratelimit.Decision, error) {
	var t taking
	sent := l.now()
	defer func() { l.settle(hash, c, n, sent, t) }() // also when the Client panics
	if !l.outage.admits(sent) {
		return l.fallback(key, n), nil
	}
	var amounts []int64
	for a := c.size; a > n; a /= 2 {
		amounts = append(amounts, a)
	}
	amounts = append(amounts, n)
	calls := [][]string{l.take(c.lease.name, amounts...)}
	if c.rest > 0 {
		calls = [][]string{l.putBack(c.lease.name, c.rest, c.taken), calls[0]}
		l.figures.returned.Add(uint64(c.rest))
	}
	l.figures.roundTrips.Add(1)
	replies := run(timely, l.cfg.Client, calls...)
	t, err := l.taken(whole, replies[len(replies)-1])
	if err != nil && whole.Err() != nil {
		return ratelimit.Decision{N: n}, cancelled(whole)
	}
	if t.amount > 0 {
		t.events = amounts[t.amount-1]
	}
	d := l.conclude(hash, key, n, t, err)
	d.Remaining += max(0, t.events-n) // the lease belongs to this process
	return d, nil
}

// putBack returns the call that returns n events of an earlier take.
func (l *Limiter) putBack(name string, n int64, t taking) []string {
	args := append(slices.Clone(l.head), words(t.moved)...)
	for i := range l.quotas {
		debt, alone, cost := t.debts[i], l.quotas[i].cost(t.events), l.quotas[i].cost(n)
		args = append(args, words(t.now+debt.us, debt.fr, t.now+alone.us, alone.fr, cost.us, cost.fr)...)
	}
	return returns.call(args, name)
}

// sweep returns the rest of the leases that ended before now, and removes the
// leases of keys that are not busy.
func (l *Limiter) sweep(ctx context.Context, now int64) error {
	var calls [][]string
	var events uint64
	for i := range l.leases.stripes {
		s := &l.leases.stripes[i]
		s.mu.Lock()
		for hash, e := range s.of {
			if e.busy != nil || now < e.until {
				continue
			}
			if e.left > 0 {
				calls = append(calls, l.putBack(e.name, e.left, e.taken))
				events += uint64(e.left)
				e.left, e.size = 0, e.size/2
			} else if now-int64(l.cfg.LeaseFor) > e.until {
				delete(s.of, hash)
			}
		}
		s.mu.Unlock()
	}
	l.figures.returned.Add(events)
	var errs []error
	for batch := range slices.Chunk(calls, maxBatch) {
		errs = append(errs, l.send(ctx, batch))
	}
	return errors.Join(errs...)
}

// send sends returns.
func (l *Limiter) send(ctx context.Context, calls [][]string) error {
	if l.cfg.Timeout > 0 {
		timely, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
		defer cancel()
		ctx = timely
	}
	var errs []error
	for _, r := range run(ctx, l.cfg.Client, calls...) {
		if r.Err != nil {
			errs = append(errs, fmt.Errorf("redis: limiter: return: %w", r.Err))
		}
	}
	return errors.Join(errs...)
}
