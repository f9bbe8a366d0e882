package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/internal/errtree"
)

// A PoolConfig configures a [Pool].
type PoolConfig[K comparable] struct {
	// Name is the name of the pool in errors and statistics.
	Name string
	// Endpoints are the keys of the endpoints. At least 1, all different.
	Endpoints []K
	// Group guards each endpoint under its key. Nil means a group of the pool's
	// own, whose breakers have the zero Config.
	Group *Group[K]
	// Ordered means that a call goes to the first endpoint that is well, so
	// that the others are in reserve. Otherwise the calls are balanced: of two
	// random endpoints, a call goes to the endpoint with fewer running calls.
	Ordered bool
	// MaxEjected is the share of the endpoints, in (0, 1], that may be ejected
	// at once, rounded up. If the breakers of more endpoints are open, the pool
	// sends calls to them in spite of that: the fault is probably not theirs,
	// or the rest would break down under all the load. 1 means that the pool
	// refuses a call if all endpoints are ejected. Zero means 0.5. Negative
	// means that no endpoint is ejected.
	MaxEjected float64
}

// Validate reports all problems of c, joined by errors.Join, or nil.
func (c PoolConfig[K]) Validate() error {
	var errs []error
	if len(c.Endpoints) == 0 {
		errs = append(errs, errors.New("breaker: Endpoints is empty, want at least one"))
	}
	seen := make(map[K]bool, len(c.Endpoints))
	for _, k := range c.Endpoints {
		if seen[k] {
			errs = append(errs, fmt.Errorf("breaker: Endpoints contains %v twice, want different keys", k))
		}
		if seen[k] = true; !seen[k] {
			errs = append(errs, fmt.Errorf("breaker: Endpoints contains %v, want keys that equal themselves", k))
		}
	}
	if !(c.MaxEjected <= 1) {
		errs = append(errs, fmt.Errorf("breaker: MaxEjected is %v, want a share in (0, 1], or a negative number", c.MaxEjected))
	}
	return errors.Join(errs...)
}

// A Pool distributes calls for one purpose over several endpoints, such as the
// replicas of a service or the regions of a provider. An endpoint is ejected
// while its breaker is open or half-open; then it gets only probes.
//
// A Pool repeats no call. But after a failure, calls go to other endpoints
// until a call has succeeded there. So a retry around the pool goes elsewhere,
// even before a breaker opens.
//
// Make a Pool with [NewPool], and call its endpoints by [Over]. It needs no
// Close.
type Pool[K comparable] struct {
	table      atomic.Pointer[table[K]]
	failedOpen atomic.Uint64
	diverted   atomic.Uint64
	mu         sync.Mutex // serializes Set
}

// A table is a configuration of a pool.
type table[K comparable] struct {
	cfg   PoolConfig[K]
	most  int // endpoints that may be ejected at once
	seats []*seat[K]
}

// A seat is an endpoint of a pool.
type seat[K comparable] struct {
	key     K
	running atomic.Int64
	owes    atomic.Int32 // calls that failed here and have not succeeded elsewhere
}

const (
	maxOwed   = 16 // with more failures, the breaker of the endpoint opens
	maxPassed = 64 // endpoints of which a visit remembers that it passed them
)

// NewPool returns a pool. It panics with the error of [PoolConfig.Validate] if
// that is not nil.
func NewPool[K comparable](cfg PoolConfig[K]) *Pool[K] {
	p := new(Pool[K])
	if err := p.Set(cfg); err != nil {
		panic(err)
	}
	return p
}

// Set replaces the configuration of p, from the next call on.
//
//	kept:  the counters, running calls, endpoints that stay
//	kept:  the breakers, if Group is nil or the same group
//	reset: endpoints that are new
//
// Errors: the error of [PoolConfig.Validate]; p is unchanged then.
func (p *Pool[K]) Set(cfg PoolConfig[K]) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	stay := make(map[K]*seat[K])
	if t := p.table.Load(); t != nil {
		for _, s := range t.seats {
			stay[s.key] = s
		}
		if cfg.Group == nil {
			cfg.Group = t.cfg.Group
		}
	}
	if cfg.Group == nil {
		cfg.Group = NewGroup(GroupConfig[K]{Name: cfg.Name})
	}
	orDefault(&cfg.MaxEjected, 0.5)
	cfg.Endpoints = slices.Clone(cfg.Endpoints)
	t := &table[K]{cfg: cfg, most: int(math.Ceil(max(0, cfg.MaxEjected) * float64(len(cfg.Endpoints))))}
	for _, k := range cfg.Endpoints {
		s := stay[k]
		if s == nil {
			s = &seat[K]{key: k}
		}
		t.seats = append(t.seats, s)
	}
	p.table.Store(t)
	return nil
}

// Config returns the configuration of p, with the defaults in place of zeros.
func (p *Pool[K]) Config() PoolConfig[K] {
	cfg := p.table.Load().cfg
	cfg.Endpoints = slices.Clone(cfg.Endpoints)
	return cfg
}

// Over calls fn with an endpoint of p and records how it ended, as [Do] does
// with the breaker of the endpoint.
//
// Errors: the error of fn; an [*OpenError] if p refuses; an error that matches
// ctx.Err() and context.Cause(ctx) if ctx is already done. In the last two
// cases fn is not called. The OpenError is from the endpoint that ends its open
// period first.
func Over[K comparable, T any](ctx context.Context, p *Pool[K], fn func(context.Context, K) (T, error)) (v T, err error) {
	at, err := p.enter(ctx)
	if err != nil {
		return v, err
	}
	err = errGone // stays so if fn panics or exits the goroutine
	defer func() { at.leave(ctx, at.ticket, err) }()
	v, err = fn(ctx, at.seat.key)
	return v, err
}

// Do is the function [Over] for a function without a result.
//
// Errors: as for Over.
func (p *Pool[K]) Do(ctx context.Context, fn func(context.Context, K) error) error {
	_, err := Over(ctx, p, func(ctx context.Context, k K) (struct{}, error) { return struct{}{}, fn(ctx, k) })
	return err
}

// Allow admits a call to the endpoint that it returns. The call is reported by
// [Call.Done] or [Call.Report].
//
// Errors: as for [Over], except the errors of fn.
func (p *Pool[K]) Allow(ctx context.Context) (K, *Call, error) {
	at, err := p.enter(ctx)
	if err != nil {
		var none K
		return none, nil, err
	}
	c, err := allow(ctx, &at)
	return at.seat.key, c, err
}

// A visit is a call to an endpoint. It is the gate of that call.
type visit[K comparable] struct {
	table  *table[K]
	seat   *seat[K]
	gate   Gate // nil if the pool failed open
	ticket ticket
	passed uint64 // indexes of endpoints that had failed last
	again  bool   // the endpoint itself had failed last

	counted, tooMany bool // whether more endpoints are ejected than may be
}

// enter chooses the endpoint of a call. First it looks for an endpoint that has
// not failed last, then for any endpoint that admits the call.
func (p *Pool[K]) enter(ctx context.Context) (v visit[K], err error) {
	t := p.table.Load()
	if ctx.Err() != nil {
		return v, ctxerr.New(ctx, op(t.cfg.Name))
	}
	v.table = t
	var refusal error
	first, next := t.choose()
	for _, v.again = range [...]bool{false, true} {
		for i := range t.seats {
			k := t.index(first, next, i)
			s, bit := t.seats[k], uint64(1)<<(k%maxPassed)
			if k >= maxPassed {
				bit = 0
			}
			if !v.again && bit != 0 && s.owes.Load() > 0 {
				v.passed |= bit
				continue
			}
			if v.again && v.passed&bit == 0 {
				continue // the loop has tried it before
			}
			if err := v.sit(ctx, s); err == nil {
				if v.passed &^= bit; v.passed != 0 {
					p.diverted.Add(1)
				}
				return v, nil
			} else if ctx.Err() != nil {
				return v, err
			} else {
				refusal = sooner(refusal, err)
			}
			if !t.cfg.Ordered && v.open(p, s) {
				return v, nil
			}
		}
	}
	for i := range t.seats {
		if v.open(p, t.seats[t.index(first, next, i)]) {
			return v, nil
		}
	}
	return v, refusal
}

// choose returns the index of the endpoint to try first, and an offset. The
// offset is random if the pool is balanced. So the calls of an ejected endpoint
// are balanced too.
func (t *table[K]) choose() (first, next int) {
	n := len(t.seats)
	if t.cfg.Ordered || n == 1 {
		return 0, 0
	}
	a, b := rand.IntN(n), rand.IntN(n-1)
	if b >= a {
		b++
	}
	if t.seats[b].running.Load() < t.seats[a].running.Load() {
		a = b
	}
	return a, rand.IntN(n - 1)
}

// index returns the index of the endpoint to try after i others.
func (t *table[K]) index(first, next, i int) int {
	if i == 0 {
		return first
	}
	n := len(t.seats)
	return (first + 1 + (next+i-1)%(n-1)) % n
}

// sit enters the breaker of an endpoint.
func (v *visit[K]) sit(ctx context.Context, s *seat[K]) error {
	g := v.table.cfg.Group.For(s.key)
	t, err := g.enter(ctx)
	if err == nil {
		s.running.Add(1)
		v.seat, v.gate, v.ticket = s, g, t
	}
	return err
}

// open takes s in spite of its breaker if more endpoints are ejected than may
// be. A breaker that is forced open is obeyed.
func (v *visit[K]) open(p *Pool[K], s *seat[K]) bool {
	if !v.counted {
		v.counted, v.tooMany = true, v.table.ejected() > v.table.most
	}
	if !v.tooMany || v.table.state(s) == StateForcedOpen {
		return false
	}
	p.failedOpen.Add(1)
	s.running.Add(1)
	v.seat, v.gate = s, nil
	return true
}

// ejected counts the endpoints that their breakers eject. It does not count
// breakers that are forced open, because that is a decision and no evidence.
func (t *table[K]) ejected() (n int) {
	for _, s := range t.seats {
		if state := t.state(s); state == StateOpen || state == StateHalfOpen {
			n++
		}
	}
	return n
}

func (t *table[K]) state(s *seat[K]) State { return t.cfg.Group.State(s.key) }

// sooner returns the refusal of a and b that ends first, if that is known.
func sooner(a, b error) error {
	if a == nil {
		return b
	}
	x, y := errtree.Read(a).RetryAfter, errtree.Read(b).RetryAfter
	if y > 0 && (x == 0 || y < x) {
		return b
	}
	return a
}

func (v *visit[K]) enter(context.Context) (ticket, error) { return v.ticket, nil }

func (v *visit[K]) leave(ctx context.Context, t ticket, err error) {
	if v.gate != nil {
		defer v.gate.leave(ctx, t, err)
	}
	o := OutcomeFailure // if Classify panics
	defer func() { v.left(o) }()
	o = v.outcome(ctx, err)
}

func (v *visit[K]) end(ctx context.Context, t ticket, o Outcome, err error) {
	v.left(o)
	if v.gate != nil {
		v.gate.end(ctx, t, o, err)
	}
}

func (v *visit[K]) answered(p *period, n int64) time.Duration {
	if v.gate == nil {
		return 0
	}
	return v.gate.answered(p, n)
}

// outcome judges err for the choice of endpoints. How long the call took does
// not matter here.
func (v *visit[K]) outcome(ctx context.Context, err error) Outcome {
	classify := Classify
	switch g := v.gate.(type) {
	case *Breaker:
		classify = g.cfg.Load().Classify
	case *brief:
		classify = g.cfg.Classify
	}
	return untimed(ctx, classify, err)
}

// left ends the visit.
func (v *visit[K]) left(o Outcome) {
	v.seat.running.Add(-1)
	switch o {
	case OutcomeFailure:
		if v.seat.owes.Load() < maxOwed {
			v.seat.owes.Add(1)
		}
	case OutcomeSuccess:
		if v.again {
			v.seat.owes.Store(0)
		}
		for rest := v.passed; rest != 0; rest &= rest - 1 {
			v.table.seats[bits.TrailingZeros64(rest)].pay()
		}
	}
}

// pay takes a success elsewhere.
func (s *seat[K]) pay() {
	if n := s.owes.Load(); n > 0 {
		s.owes.CompareAndSwap(n, n-1)
	}
}

// PoolStats is a snapshot of a pool. The counters count since NewPool and only
// grow.
type PoolStats struct {
	Name       string `json:"name"`        // PoolConfig.Name
	Endpoints  int    `json:"endpoints"`   // endpoints of the pool
	Ejected    int    `json:"ejected"`     // endpoints whose breakers are open, half-open or forced open
	Running    int64  `json:"running"`     // running calls
	Diverted   uint64 `json:"diverted"`    // calls that avoided an endpoint that had failed last
	FailedOpen uint64 `json:"failed_open"` // calls sent to an endpoint in spite of its breaker
}

// Stats returns a snapshot.
func (p *Pool[K]) Stats() PoolStats {
	t := p.table.Load()
	s := PoolStats{Name: t.cfg.Name, Endpoints: len(t.seats), Diverted: p.diverted.Load(), FailedOpen: p.failedOpen.Load()}
	for _, seat := range t.seats {
		s.Running += seat.running.Load()
		switch t.state(seat) {
		case StateOpen, StateHalfOpen, StateForcedOpen:
			s.Ejected++
		}
	}
	return s
}
