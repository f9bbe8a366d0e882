package redoubtredis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash/maphash"
	"math"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/ratelimit"
)

var takes, takesOne, returns, changes = newScript(takeScript), newScript(takeOneScript), newScript(returnScript), newScript(changeScript)

// A Limiter is a [ratelimit.Store] whose keys are on a server, where many
// processes share them. It is a [ratelimit.Adjuster] too. All methods may be
// called concurrently.
type Limiter struct {
	link    link
	seed    maphash.Seed
	salt    string // hashed before a key, so that other limits of the key have another state
	plan    atomic.Pointer[plan]
	set     sync.Mutex // held by Set
	leases  leases
	figures figures
}

var _ ratelimit.Adjuster = (*Limiter)(nil)

// A plan is a configuration and its consequences. Only the refusals in it
// change.
type plan struct {
	cfg     Config
	quotas  quotas
	head    []string // the first arguments of all calls, before the calendars
	takes   *script
	single  []string // the arguments that take one event, if there is no calendar
	denials denials
	local   []*ratelimit.Keyed[string] // the share of this process in each limit
}

// batch is the number of keys that TakeKeys sends together.
const batch = 512

// New returns a Limiter, without asking the server. It panics with the error of
// [Config.Validate] if any. With a Lease it starts a goroutine, which
// ends with [Limiter.Close].
func New(cfg Config) *Limiter {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	l := &Limiter{seed: maphash.MakeSeed()}
	p := newPlan(cfg.withDefaults(), nil)
	l.salt = p.salt(cfg.Name != "")
	l.plan.Store(p)
	l.link.open(cfg.Client, p.cfg.Name, cfg.OnEvent)
	if p.cfg.Lease > 1 {
		l.leases.start(l, p.cfg.LeaseFor)
	}
	return l
}

// salt returns the text that distinguishes the keys of other limits. With a
// Name, the limits may change, but not their number nor the units of quotas.
func (p *plan) salt(named bool) string {
	text := ""
	if named {
		text = strconv.Itoa(len(p.cfg.Limits)) + "\n"
	}
	for _, q := range p.quotas {
		switch {
		case q.calendar != nil && named:
			text += q.calendar.quota.Unit.String() + "\n"
		case q.calendar != nil:
			text += q.calendar.quota.String() + "\n"
		case !named:
			text += q.limit.String() + "\n"
		}
	}
	return text
}

// newPlan returns the plan of a valid configuration, with the shares of an
// earlier plan.
func newPlan(cfg Config, before *plan) *plan {
	cfg.Limits, cfg.Quotas = slices.Clone(cfg.Limits), slices.Clone(cfg.Quotas)
	p := &plan{denials: newDenials(cfg)}
	for i, limit := range cfg.Limits {
		q, _ := newQuota(limit)
		cfg.Limits[i] = q.limit
		p.quotas = append(p.quotas, q)
	}
	for i, quota := range cfg.Quotas {
		q, _ := newCalendar(quota)
		cfg.Quotas[i] = q.calendar.quota
		p.quotas = append(p.quotas, q)
	}
	p.head = words(int64(len(p.quotas)), int64(len(cfg.Quotas)))
	for i, q := range p.quotas {
		cfg.Lease = min(cfg.Lease, q.limit.Burst)
		p.head = append(p.head, words(int64(q.den), q.burst.us, q.burst.fr)...)
		if cfg.Outage != OutageLocal {
			continue
		}
		share := ratelimit.KeyedConfig{MaxKeys: cfg.LocalKeys}
		if q.calendar != nil {
			share.Quotas = []ratelimit.Quota{q.calendar.share(int64(cfg.Nodes))}
		} else {
			share.Limit = shareOf(q.limit, int64(cfg.Nodes))
		}
		var k *ratelimit.Keyed[string]
		if before != nil && before.local != nil {
			k = before.local[i]
		}
		if k == nil || k.Set(share) != nil {
			k = ratelimit.NewKeyed[string](share)
		}
		p.local = append(p.local, k)
	}
	if p.takes = &takes; len(cfg.Limits) == 1 && len(cfg.Quotas) == 0 {
		p.takes = &takesOne
	}
	p.cfg = cfg
	if len(cfg.Quotas) == 0 {
		p.single = p.amounts(p.begin(nil), 1)
	}
	return p
}

// begin returns the first arguments of a call to a server.
func (p *plan) begin(node *node) []string {
	args := slices.Clone(p.head)
	if len(p.cfg.Quotas) > 0 {
		args = append(args, p.quotas.calendars(node.clock())...)
	}
	return args
}

// Config returns the configuration in force, with the defaults.
func (l *Limiter) Config() Config {
	c := l.plan.Load().cfg
	c.Limits, c.Quotas = slices.Clone(c.Limits), slices.Clone(c.Quotas)
	return c
}

// Set changes Limits, Quotas, Timeout, Denied, Outage and Nodes. The other
// fields of cfg have no effect. Limits must have as many elements as before,
// and Quotas the same units. New must have had a Name, since otherwise the
// limits are a part of it.
//
//	kept:    the instant at which a key has its burst again, or a full debt
//	         of the new burst if that is less; the used events of a quota;
//	         Stats; outages
//	applied: the limits, to the next call of this process
//	reset:   remembered refusals
//
// Other processes need the same Set, or New with the same Name.
//
// Errors: see [Config.Validate]; nothing changes.
func (l *Limiter) Set(cfg Config) error {
	l.set.Lock()
	defer l.set.Unlock()
	before := l.plan.Load()
	old := before.cfg
	cfg.Client, cfg.Name, cfg.OnEvent, cfg.LocalKeys = old.Client, old.Name, old.OnEvent, old.LocalKeys
	cfg.Lease, cfg.LeaseFor = old.Lease, old.LeaseFor
	p := problems{prefix: "redis: limiter: "}
	p.add(len(cfg.Limits) != len(old.Limits), "Limits has %d elements, want %d as before", len(cfg.Limits), len(old.Limits))
	p.add(!slices.EqualFunc(cfg.Quotas, old.Quotas, func(a, b ratelimit.Quota) bool { return a.Unit == b.Unit }), "Quotas is %v, want the units of %v as before", cfg.Quotas, old.Quotas)
	if err := errors.Join(append(p.errs, cfg.Validate())...); err != nil {
		return err
	}
	next := newPlan(cfg.withDefaults(), before)
	if salt := next.salt(true); salt != l.salt && next.salt(false) != l.salt {
		return errors.New(p.prefix + "Name was missing in New, want it for a Set of Limits or Quotas")
	}
	l.plan.Store(next)
	return nil
}

// Limits returns the limits of each key, and its quotas as limits with the
// lengths of their present periods.
func (l *Limiter) Limits() (limits []ratelimit.Limit) {
	now := time.Now().UnixMicro()
	for _, q := range l.plan.Load().quotas {
		limits = append(limits, q.present(now))
	}
	return limits
}

// TakeKey takes n events of key if all of them may happen now, otherwise none,
// and returns the decision. It returns within Timeout. It asks the server at
// most once. It does so again only if the server does not know the script, or
// if another period of a quota has begun. If n < 0, or n exceeds a burst, the
// events are refused forever, without asking the server. While the server of
// the key is down, [Config.Outage] decides.
//
// Errors: only if ctx is done. The error matches ctx.Err and [context.Cause],
// and the events may have been taken.
func (l *Limiter) TakeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	if ctx.Err() != nil {
		return ratelimit.Decision{N: n}, cancelled(ctx)
	}
	p, hash, now := l.plan.Load(), maphash.String(l.seed, key), l.link.now()
	if d, ok := l.nearby(p, hash, key, n, now); ok {
		return d, nil
	}
	if n > 0 && n < p.cfg.Lease {
		return l.lease(ctx, p, hash, key, n)
	}
	d, _, err := l.ask(ctx, p, hash, key, n)
	return d, err
}

// TakeKeys is TakeKey for each of keys, without leases. It sends up to 512 keys
// in a round trip, and Timeout applies to each of these. The decisions are
// independent: a refused key costs the other keys nothing.
//
// Errors: see [Limiter.TakeKey].
func (l *Limiter) TakeKeys(ctx context.Context, keys []string, n int64) ([]ratelimit.Decision, error) {
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	p, decisions := l.plan.Load(), make([]ratelimit.Decision, len(keys))
	silent := map[*node]bool{} // did not answer the keys before
	for from := 0; from < len(keys); from += batch {
		some := keys[from:min(from+batch, len(keys))]
		if !l.takeSome(ctx, p, some, n, decisions[from:], silent) {
			return nil, cancelled(ctx)
		}
	}
	return decisions, nil
}

// takeSome is TakeKeys for one round trip. It reports false if ctx is done.
func (l *Limiter) takeSome(ctx context.Context, p *plan, keys []string, n int64, decisions []ratelimit.Decision, silent map[*node]bool) bool {
	var asked []int
	var nodes []*node
	var calls [][]string
	now := l.link.now()
	for i, key := range keys {
		if d, ok := l.denied(p, maphash.String(l.seed, key), n, now); ok {
			decisions[i] = d
			continue
		}
		name := l.key(key)
		node := l.link.outages.of(name)
		if silent[node] || !node.admits(now) {
			decisions[i] = l.fallback(p, node, key, n)
			continue
		}
		asked, nodes, calls = append(asked, i), append(nodes, node), append(calls, p.take(node, name, n))
	}
	if len(calls) == 0 {
		return true
	}
	l.figures.roundTrips.Add(1)
	replies, ok := l.link.many(ctx, p.cfg.Timeout, p.quotas, nodes, calls)
	if !ok {
		return false
	}
	for j, r := range replies {
		i := asked[j]
		t, err := l.taken(p, nodes[j], r)
		if err != nil && !isAnswer(err) {
			silent[nodes[j]] = true
		}
		decisions[i] = l.conclude(p, nodes[j], maphash.String(l.seed, keys[i]), keys[i], n, t, err)
	}
	return true
}

// nearby decides without the server, if a lease or a remembered refusal
// suffices.
func (l *Limiter) nearby(p *plan, hash uint64, key string, n, now int64) (ratelimit.Decision, bool) {
	if d, ok := l.spend(p, hash, n, now); ok {
		l.figures.leased.Add(1)
		p.warm(key, n)
		return d, true
	}
	return l.denied(p, hash, n, now)
}

// denied refuses events that can never be allowed, and events that an earlier
// refusal still excludes.
func (l *Limiter) denied(p *plan, hash uint64, n, now int64) (ratelimit.Decision, bool) {
	var d ratelimit.Decision
	ok := !p.quotas.possible(n)
	switch {
	case ok:
		d = p.quotas.decide(n, make([]span, len(p.quotas)), time.Now().UnixMicro(), 0, false)
		d.Remaining = 0 // unknown
	case n > 0:
		d, ok = p.denials.find(p.quotas, hash, n, now)
	}
	if ok {
		l.figures.denied.Add(1)
	}
	return d, ok
}

// ask decides by taking n events, without a lease. It also returns the reply,
// if the server has allowed the events.
func (l *Limiter) ask(ctx context.Context, p *plan, hash uint64, key string, n int64) (ratelimit.Decision, *taking, error) {
	name := l.key(key)
	node := l.link.outages.of(name)
	if !node.admits(l.link.now()) {
		return l.fallback(p, node, key, n), nil, nil
	}
	l.figures.roundTrips.Add(1)
	replies, ok := l.link.one(ctx, p.cfg.Timeout, p.quotas, node, p.take(node, name, n))
	if !ok {
		l.figures.errors.Add(1)
		return ratelimit.Decision{N: n}, nil, cancelled(ctx)
	}
	t, err := l.taken(p, node, replies[0])
	d := l.conclude(p, node, hash, key, n, t, err)
	if err != nil {
		return d, nil, nil
	}
	t.events = n
	return d, &t, nil
}

// A taking is the reply of a take script.
type taking struct {
	amount int    // the number of the amount that was taken, 0 for none
	events int64  // the amount of a lease or a reservation
	now    int64  // the instant by the clock of the server
	moved  int64  // the microseconds by which returns had moved the state until then
	debts  []span // of each limit
}

// taken parses a reply of a server.
func (l *Limiter) taken(p *plan, node *node, r Reply) (taking, error) {
	v, err := r.integers(3 + 2*len(p.quotas))
	if err != nil {
		l.figures.errors.Add(1)
		return taking{}, err
	}
	t := taking{amount: int(v[0]), now: v[1], moved: v[2], debts: make([]span, len(p.quotas))}
	for i := range p.quotas {
		t.debts[i] = span{v[3+2*i], v[4+2*i]}
	}
	node.skew.Store(t.now - time.Now().UnixMicro())
	return t, nil
}

// conclude returns the decision of a reply about n events of key, and remembers
// a refusal.
func (l *Limiter) conclude(p *plan, node *node, hash uint64, key string, n int64, t taking, err error) ratelimit.Decision {
	if err != nil {
		return l.fallback(p, node, key, n)
	}
	d := p.quotas.decide(n, t.debts, t.now, 0, t.amount > 0 || n == 0)
	switch {
	case n == 0:
	case d.OK:
		l.figures.allowed.Add(1)
		p.warm(key, n)
	default:
		l.figures.refused.Add(1)
		if d.Retryable {
			p.denials.add(hash, l.link.now(), t)
		}
	}
	return d
}

// take returns the call that takes the first of amounts that fits. An amount
// that can never fit only asks for the state.
func (p *plan) take(node *node, name string, amounts ...int64) []string {
	args := p.single
	if args == nil || len(amounts) > 1 || amounts[0] != 1 {
		args = p.amounts(p.begin(node), amounts...)
	}
	return p.takes.call(args, name)
}

// amounts returns the arguments of a take that begin with args.
func (p *plan) amounts(args []string, amounts ...int64) []string {
	if p.takes == &takesOne {
		args = args[2:]
	}
	for _, n := range amounts {
		if n <= 0 || !p.quotas.possible(n) {
			continue
		}
		for i := range p.quotas {
			cost := p.quotas[i].cost(n)
			args = append(args, words(cost.us, cost.fr)...)
		}
	}
	return args
}

// key returns the name of key on the server. Its hash tag is a hash, so that no
// client can choose the slot of a key, and all names have the same length.
func (l *Limiter) key(key string) string { return tagged(l.link.outages.name, l.salt, key) }

// tagged returns name followed by 128 bits of the hash of salt and key in
// braces.
func tagged(name, salt, key string) string {
	var room [256]byte // keys are mostly short
	text := append(append(append(room[:0], salt...), 0), key...)
	sum := sha256.Sum256(text)
	tag := append(append(room[:0], name...), ":{"...)
	return string(append(base64.RawURLEncoding.AppendEncode(tag, sum[:16]), '}'))
}

// fallback decides without the server of the key.
func (l *Limiter) fallback(p *plan, node *node, key string, n int64) ratelimit.Decision {
	l.figures.alone.Add(1)
	wait := max(time.Millisecond, node.left(l.link.now()))
	d := ratelimit.Decision{OK: true, N: n, Limit: p.quotas[0].present(node.clock())}
	switch {
	case !p.quotas.possible(n):
		d.OK = false
	case p.cfg.Outage == OutageLocal:
		return p.takeLocal(key, n, wait)
	case p.cfg.Outage == OutageAdmit:
		d.Remaining = d.Limit.Burst
	case n > 0:
		d.OK, d.Retryable, d.RetryAfter = false, true, wait
		d.ResetAfter = d.RetryAfter
	}
	return d
}

// takeLocal takes n events from the share of this process: from all limits or,
// if one refuses, from none. Events that exceed the share of a burst have to
// wait for the server, at least for the given time.
func (p *plan) takeLocal(key string, n int64, wait time.Duration) ratelimit.Decision {
	var least ratelimit.Decision
	for i, k := range p.local {
		d := k.Take(key, n)
		if d.OK && i > 0 && d.Remaining >= least.Remaining {
			continue
		}
		if least = d; d.OK {
			continue
		}
		for _, earlier := range p.local[:i] {
			earlier.Credit(key, n)
		}
		break
	}
	if !least.OK && !least.Retryable {
		least.Retryable, least.RetryAfter = true, wait
	}
	return least
}

// warm takes events that the server admitted from the share of this process, so
// that an outage finds no full bursts.
func (p *plan) warm(key string, n int64) {
	for _, k := range p.local {
		k.AllowN(key, n)
	}
}

// shareOf returns 1/nodes of a limit, with a burst of at least 1.
func shareOf(l ratelimit.Limit, nodes int64) ratelimit.Limit {
	l.Burst = max(1, l.Burst/nodes)
	if int64(l.Per) <= math.MaxInt64/nodes {
		l.Per *= time.Duration(nodes)
	} else {
		l.N = max(1, l.N/nodes)
	}
	return l
}

// cancelled returns the error of a take whose context is done.
func cancelled(ctx context.Context) error { return ctxerr.New(ctx, "redis: limiter: take") }
