package redis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/internal/ctxerr"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// A Limiter is a [ratelimit.Store] whose keys are on a server, where many
// processes share them. All methods may be called concurrently.
type Limiter struct {
	cfg    Config
	epoch  time.Time
	seed   maphash.Seed
	quotas quotas
	salt   string   // hashed before a key, so that other limits of the key have another state
	head   []string // the first arguments of all calls
	takes  *script
	single []string // the arguments that take one event

	denials denials
	leases  leases
	outage  outage
	local   []*ratelimit.Keyed[string] // the share of this process in each limit
	figures figures
}

var _ ratelimit.Store = (*Limiter)(nil)

var takes, takesOne, returns = newScript(takeScript), newScript(takeOneScript), newScript(returnScript)

// New returns a Limiter, without asking the server. It panics with the error of
// [Config.Validate] if any. With a Lease it starts a goroutine, which
// ends with [Limiter.Close].
func New(cfg Config) *Limiter {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	cfg.Limits = slices.Clone(cfg.Limits)
	l := &Limiter{cfg: cfg, epoch: time.Now(), seed: maphash.MakeSeed(), denials: newDenials(cfg.Denied)}
	l.outage.hook, l.outage.name = cfg.OnEvent, cfg.Name
	l.head = words(int64(len(cfg.Limits)))
	for _, limit := range cfg.Limits {
		q, _ := newQuota(limit)
		limit = q.limit
		l.quotas = append(l.quotas, q)
		l.salt += limit.String() + "\n"
		cfg.Lease = min(cfg.Lease, limit.Burst)
		l.head = append(l.head, words(int64(q.den), q.burst.us, q.burst.fr)...)
		if cfg.Outage == OutageLocal {
			share := ratelimit.KeyedConfig{Limit: shareOf(limit, int64(cfg.Nodes)), MaxKeys: cfg.LocalKeys}
			l.local = append(l.local, ratelimit.NewKeyed[string](share))
		}
	}
	if l.takes = &takes; len(l.quotas) == 1 {
		l.takes = &takesOne
	}
	l.single = l.amounts(1)
	l.cfg.Lease = cfg.Lease
	if cfg.Lease > 1 {
		l.leases.start(l)
	}
	return l
}

// TakeKey takes n events of key if all of them may happen now, otherwise none,
// and returns the decision. It returns within Timeout. It asks the server at
// most once, and a second time only for a script that the server does not know.
// If n < 0, or n exceeds a burst, the events are refused forever. While the
// server is down, [Config.Outage] decides.
//
// Errors: only if ctx is done. The error matches ctx.Err and [context.Cause],
// and the events may have been taken.
func (l *Limiter) TakeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	if ctx.Err() != nil {
		return ratelimit.Decision{N: n}, cancelled(ctx)
	}
	hash, now := maphash.String(l.seed, key), l.now()
	if d, ok := l.nearby(hash, key, n, now); ok {
		return d, nil
	}
	if l.cfg.Timeout > 0 {
		whole := ctx
		timely, cancel := context.WithTimeout(ctx, l.cfg.Timeout)
		defer cancel()
		return l.far(timely, whole, hash, key, n)
	}
	return l.far(ctx, ctx, hash, key, n)
}

// TakeKeys is TakeKey for each of keys, without leases, in one round trip. The
// decisions are independent: a refused key costs the other keys nothing.
//
// Errors: see [Limiter.TakeKey].
func (l *Limiter) TakeKeys(ctx context.Context, keys []string, n int64) ([]ratelimit.Decision, error) {
	if ctx.Err() != nil {
		return nil, cancelled(ctx)
	}
	timely := ctx
	if l.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		timely, cancel = context.WithTimeout(ctx, l.cfg.Timeout)
		defer cancel()
	}
	decisions, now := make([]ratelimit.Decision, len(keys)), l.now()
	var asked []int
	var calls [][]string
	up := l.outage.admits(now)
	for i, key := range keys {
		d, ok := l.denied(maphash.String(l.seed, key), key, n, now)
		switch {
		case ok:
			decisions[i] = d
		case up:
			asked, calls = append(asked, i), append(calls, l.take(l.key(key), n))
		default:
			decisions[i] = l.fallback(key, n)
		}
	}
	if len(calls) == 0 {
		if up {
			l.outage.unused(now)
		}
		return decisions, nil
	}
	l.figures.roundTrips.Add(1)
	for j, r := range run(timely, l.cfg.Client, calls...) {
		i := asked[j]
		t, err := l.taken(ctx, r)
		if ctx.Err() != nil && err != nil {
			return nil, cancelled(ctx)
		}
		decisions[i] = l.conclude(maphash.String(l.seed, keys[i]), keys[i], n, t, err)
	}
	return decisions, nil
}

// nearby decides without the server, if a lease or a remembered refusal
// suffices.
func (l *Limiter) nearby(hash uint64, key string, n, now int64) (ratelimit.Decision, bool) {
	if d, ok := l.spend(hash, n, now); ok {
		l.figures.leased.Add(1)
		l.warm(key, n)
		return d, true
	}
	return l.denied(hash, key, n, now)
}

// denied refuses events that an earlier refusal still excludes.
func (l *Limiter) denied(hash uint64, key string, n, now int64) (ratelimit.Decision, bool) {
	if n <= 0 || !l.quotas.possible(n) {
		return ratelimit.Decision{}, false
	}
	d, ok := l.denials.find(l.quotas, hash, n, now)
	if ok {
		l.figures.denied.Add(1)
	}
	return d, ok
}

// far decides by asking the server, unless it is down. The context timely ends
// with the timeout, whole with the call.
func (l *Limiter) far(timely, whole context.Context, hash uint64, key string, n int64) (ratelimit.Decision, error) {
	if n > 0 && n < l.cfg.Lease && l.quotas.possible(n) {
		return l.lease(timely, whole, hash, key, n)
	}
	return l.ask(timely, whole, hash, key, n)
}

// ask decides by taking n events, without a lease.
func (l *Limiter) ask(timely, whole context.Context, hash uint64, key string, n int64) (ratelimit.Decision, error) {
	if !l.outage.admits(l.now()) {
		return l.fallback(key, n), nil
	}
	l.figures.roundTrips.Add(1)
	t, err := l.taken(whole, run(timely, l.cfg.Client, l.take(l.key(key), n))[0])
	if err != nil && whole.Err() != nil {
		return ratelimit.Decision{N: n}, cancelled(whole)
	}
	return l.conclude(hash, key, n, t, err), nil
}

// A taking is the reply of a take script.
type taking struct {
	amount int    // the number of the amount that was taken, 0 for none
	events int64  // the amount of a lease
	now    int64  // the instant by the clock of the server
	moved  int64  // the microseconds by which returns had moved the state until then
	debts  []span // of each limit
}

// taken parses a reply and reports to l.outage, unless the context of the
// caller is done.
func (l *Limiter) taken(whole context.Context, r Reply) (taking, error) {
	v, err := r.integers(3 + 2*len(l.quotas))
	if err != nil {
		l.figures.errors.Add(1)
		if whole.Err() == nil {
			l.outage.failed(whole, l.now(), err)
		} else {
			l.outage.unused(l.now())
		}
		return taking{}, err
	}
	l.outage.answered(whole, l.now())
	t := taking{amount: int(v[0]), now: v[1], moved: v[2], debts: make([]span, len(l.quotas))}
	for i := range l.quotas {
		t.debts[i] = span{v[3+2*i], v[4+2*i]}
	}
	return t, nil
}

// conclude returns the decision of a reply about n events of key, and remembers
// a refusal.
func (l *Limiter) conclude(hash uint64, key string, n int64, t taking, err error) ratelimit.Decision {
	if err != nil {
		return l.fallback(key, n)
	}
	d := l.quotas.decide(n, t.debts, 0, t.amount > 0 || n == 0)
	switch {
	case n == 0:
	case d.OK:
		l.figures.allowed.Add(1)
		l.warm(key, n)
	default:
		l.figures.refused.Add(1)
		if d.Retryable {
			l.denials.add(hash, l.now(), t.debts)
		}
	}
	return d
}

// take returns the call that takes the first of amounts that fits. An amount
// that can never fit only asks for the state.
func (l *Limiter) take(name string, amounts ...int64) []string {
	args := l.single
	if len(amounts) > 1 || amounts[0] != 1 {
		args = l.amounts(amounts...)
	}
	return l.takes.call(args, name)
}

// amounts returns the arguments of a take.
func (l *Limiter) amounts(amounts ...int64) []string {
	args := slices.Clone(l.head)
	if l.takes == &takesOne {
		args = args[1:]
	}
	for _, n := range amounts {
		if n <= 0 || !l.quotas.possible(n) {
			continue
		}
		for i := range l.quotas {
			cost := l.quotas[i].cost(n)
			args = append(args, words(cost.us, cost.fr)...)
		}
	}
	return args
}

// key returns the name of key on the server. Its hash tag is a hash, so that no
// client can choose the slot of a key, and all names have the same length.
func (l *Limiter) key(key string) string { return tagged(l.cfg.Name, l.salt, key) }

// tagged returns name followed by 128 bits of the hash of salt and key in
// braces.
func tagged(name, salt, key string) string {
	var room [256]byte // keys are mostly short
	text := append(append(append(room[:0], salt...), 0), key...)
	sum := sha256.Sum256(text)
	tag := append(append(room[:0], name...), ":{"...)
	return string(append(base64.RawURLEncoding.AppendEncode(tag, sum[:16]), '}'))
}

// fallback decides while the server is down.
func (l *Limiter) fallback(key string, n int64) ratelimit.Decision {
	l.figures.alone.Add(1)
	d := ratelimit.Decision{OK: true, N: n, Limit: l.quotas[0].limit}
	switch {
	case !l.quotas.possible(n):
		d.OK = false
	case l.cfg.Outage == OutageLocal:
		return l.takeLocal(key, n)
	case l.cfg.Outage == OutageAdmit:
		d.Remaining = d.Limit.Burst
	case n > 0:
		d.OK, d.Retryable, d.RetryAfter = false, true, max(time.Millisecond, l.outage.left(l.now()))
		d.ResetAfter = d.RetryAfter
	}
	return d
}

// takeLocal takes n events from the share of this process: from all limits or,
// if one refuses, from none. Events that exceed the share of a burst have to
// wait for the server.
func (l *Limiter) takeLocal(key string, n int64) ratelimit.Decision {
	var least ratelimit.Decision
	for i, k := range l.local {
		d := k.Take(key, n)
		if d.OK && i > 0 && d.Remaining >= least.Remaining {
			continue
		}
		if least = d; d.OK {
			continue
		}
		for _, earlier := range l.local[:i] {
			earlier.Credit(key, n)
		}
		break
	}
	if !least.OK && !least.Retryable {
		least.Retryable, least.RetryAfter = true, max(time.Millisecond, l.outage.left(l.now()))
	}
	return least
}

// warm takes events that the server admitted from the share of this process, so
// that an outage finds no full bursts.
func (l *Limiter) warm(key string, n int64) {
	for _, k := range l.local {
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

// now is the time since New, in nanoseconds.
func (l *Limiter) now() int64 { return int64(time.Since(l.epoch)) }

// cancelled returns the error of a take whose context is done.
func cancelled(ctx context.Context) error { return ctxerr.New(ctx, "redis: limiter: take") }
