package redis

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// An Outage says what a [Limiter] decides while the server does not answer in time.
type Outage uint8

const (
	// Local admits a share of the limits: 1/Nodes of each, for each key, in this process.
	Local Outage = iota
	// Closed refuses everything.
	Closed
	// Open admits everything.
	Open
)

// Config configures a [Limiter].
type Config struct {
	Client Client            // the way to the server; required
	Limits []ratelimit.Limit // what each key is limited to, 1 to 8; required: an event needs all of them

	// Name begins the names of all keys on the server: 1 to 64 letters, digits or any of _.:-. Limiters of one Name and
	// the same Limits share what they admit. Default "ratelimit".
	Name string
	// Timeout is how long a call waits for the server at most, after which it is taken for down. Default 50 ms.
	// Negative: as long as the context of the call lasts.
	Timeout time.Duration

	// Lease is the largest number of events that are taken ahead of their use, to be spent without asking the server.
	// Default: none.
	Lease int64
	// LeaseFor is how long what was taken ahead may be spent; after that it is given back. Default 100 ms.
	LeaseFor time.Duration
	// Denied is the number of refused keys that are remembered, so that they are refused again without asking the server
	// until they may go on: about 150 bytes each, at most 2^24. Default 4096. Negative: off.
	Denied int

	// Outage says what is decided while the server is down. Default Local.
	Outage Outage
	// Nodes is the number of processes that share the limits, at least about; required with Local.
	Nodes int
	// LocalKeys is the number of keys that Local can tell apart, see [ratelimit.KeyedConfig]. Default 65536.
	LocalKeys int

	// OnEvent is told when an outage begins and when it is over.
	// It may be nil. It is called synchronously, outside locks, after the change it reports and in the order of the
	// changes; it may call back into this package and must not block.
	OnEvent func(context.Context, Event)
}

const (
	defaultTimeout  = 50 * time.Millisecond
	defaultLeaseFor = 100 * time.Millisecond
	defaultDenied   = 1 << 12
	maxDenied       = 1 << 24
	maxNodes        = 1 << 20
	maxLease        = 1 << 40
	maxLocalKeys    = 1 << 27
)

// Validate returns everything that is wrong with c, joined.
func (c Config) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("redis: limiter: "+format, args...)) }
	c = c.withDefaults()
	if c.Client == nil {
		wrong("Client is missing")
	}
	if len(c.Limits) == 0 || len(c.Limits) > maxLimits {
		wrong("%d Limits, want 1 to %d", len(c.Limits), maxLimits)
	}
	for _, l := range c.Limits {
		if _, err := newQuota(l); err != nil {
			wrong("limit of %d events per %d ns, burst %d: %w", l.N, int64(l.Per), l.Burst, err)
		}
	}
	if err := checkName(c.Name); err != nil {
		wrong("Name: %w", err)
	}
	if c.Lease < 0 || c.Lease > maxLease {
		wrong("Lease is %d, want 0 to 2^40", c.Lease)
	}
	if c.LeaseFor < time.Millisecond {
		wrong("LeaseFor is %v, want at least 1ms", c.LeaseFor)
	}
	if c.Denied > maxDenied {
		wrong("Denied is %d, want at most %d", c.Denied, maxDenied)
	}
	if c.Outage > Open {
		wrong("Outage is %d, want Local, Closed or Open", c.Outage)
	}
	if c.Outage == Local && (c.Nodes < 1 || c.Nodes > maxNodes) {
		wrong("Nodes is %d, want 1 to %d with Local", c.Nodes, maxNodes)
	}
	if c.LocalKeys < 0 || c.LocalKeys > maxLocalKeys {
		wrong("LocalKeys is %d, want 0 to %d", c.LocalKeys, maxLocalKeys)
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Name == "" {
		c.Name = "ratelimit"
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.LeaseFor == 0 {
		c.LeaseFor = defaultLeaseFor
	}
	if c.Denied == 0 {
		c.Denied = defaultDenied
	}
	return c
}

// A Limiter is a [ratelimit.Store] whose keys are on a server, where many processes share them. All methods may be called
// at the same time.
type Limiter struct {
	cfg    Config
	epoch  time.Time
	seed   maphash.Seed
	quotas quotas
	salt   string   // what is hashed before a key, so that other limits of the same key have another
	head   []string // the arguments that all calls share
	takes  *script
	single []string // the arguments that take one event

	denials denials
	leases  leases
	outage  outage
	local   []*ratelimit.Keyed[string] // one for each limit
	figures figures
}

var _ ratelimit.Store = (*Limiter)(nil)

var takes, takesOne, returns = newScript(takeScript), newScript(takeOneScript), newScript(returnScript)

// New returns a Limiter, without asking the server for anything. It panics with the error of [Config.Validate] if there is
// one. With a Lease it starts a goroutine, which ends with [Limiter.Close].
func New(cfg Config) *Limiter {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	cfg.Limits = slices.Clone(cfg.Limits)
	l := &Limiter{cfg: cfg, epoch: time.Now(), seed: maphash.MakeSeed(), denials: newDenials(cfg.Denied)}
	l.outage.hook = cfg.OnEvent
	l.outage.name = cfg.Name
	l.head = words(int64(len(cfg.Limits)))
	for _, limit := range cfg.Limits {
		q, _ := newQuota(limit)
		limit = q.limit
		l.quotas = append(l.quotas, q)
		l.salt += limit.String() + "\n"
		cfg.Lease = min(cfg.Lease, limit.Burst)
		l.head = append(l.head, words(int64(q.den), q.burst.us, q.burst.fr)...)
		if cfg.Outage == Local {
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

// TakeKey takes n events of key if they may all happen now, none otherwise, and says which. It returns within
// Timeout, and asks the server once at most, except for a script that the server does not know. A negative n, and more
// events than a burst, are refused for good. While the server is down the decision is that of [Config.Outage].
//
// The error is nil, or that of a context that is done, with its cause; the events may then have been taken.
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

// TakeKeys is TakeKey for each of keys, without leases, and with one round trip for all that need one. The decisions are
// independent of each other: a key that is refused costs the others nothing.
//
// The error is nil, or that of a context that is done, with its cause; the events may then have been taken.
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

// nearby decides without the server, if what is known here suffices.
func (l *Limiter) nearby(hash uint64, key string, n, now int64) (ratelimit.Decision, bool) {
	if d, ok := l.spend(hash, n, now); ok {
		l.figures.leased.Add(1)
		l.warm(key, n)
		return d, true
	}
	return l.denied(hash, key, n, now)
}

// denied refuses what a refusal of a moment ago still excludes.
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

// far decides by asking the server, unless that is down. The context timely ends with the timeout, whole with the call.
func (l *Limiter) far(timely, whole context.Context, hash uint64, key string, n int64) (ratelimit.Decision, error) {
	if n > 0 && n < l.cfg.Lease && l.quotas.possible(n) {
		return l.lease(timely, whole, hash, key, n)
	}
	return l.ask(timely, whole, hash, key, n)
}

// ask decides by a take of n events and no more.
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

// A taking is what the script replies.
type taking struct {
	amount int   // the number of the amount that was taken, 0 for none
	events int64 // that amount, of a lease
	now    int64 // by the clock of the server
	moved  int64 // by give-backs, until then
	debts  []span
}

// taken reads a reply and tells l.outage how it went, unless it is the context of the caller that is done.
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

// conclude turns the reply about n events of key into a decision, and remembers what is worth it.
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

// take returns the call that takes the first of amounts that fits. What can never fit takes nothing and asks for
// nothing but the state.
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

// key returns the name of key on the server. Its hash is the hash tag, so that no key can choose its slot or be without
// one, and so that all names have one length.
func (l *Limiter) key(key string) string { return tagged(l.cfg.Name, l.salt, key) }

// tagged returns name and, in braces, 128 bits of the hash of salt and key.
func tagged(name, salt, key string) string {
	var room [256]byte // keys are mostly short
	text := append(append(append(room[:0], salt...), 0), key...)
	sum := sha256.Sum256(text)
	tag := append(append(room[:0], name...), ":{"...)
	return string(append(base64.RawURLEncoding.AppendEncode(tag, sum[:16]), '}'))
}

// fallback decides without the server while that is down.
func (l *Limiter) fallback(key string, n int64) ratelimit.Decision {
	l.figures.alone.Add(1)
	d := ratelimit.Decision{OK: true, N: n, Limit: l.quotas[0].limit}
	switch {
	case !l.quotas.possible(n):
		d.OK = false
	case l.cfg.Outage == Local:
		return l.takeLocal(key, n)
	case l.cfg.Outage == Open:
		d.Remaining = d.Limit.Burst
	case n > 0:
		d.OK, d.Retryable, d.RetryAfter = false, true, max(time.Millisecond, l.outage.left(l.now()))
		d.ResetAfter = d.RetryAfter
	}
	return d
}

// takeLocal takes n events from the share of this process: from all limits or, if one refuses, from none. More than the
// share of a burst at once has to wait for the server.
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

// warm charges the share of this process with what the server has admitted, so that an outage finds no full bursts.
func (l *Limiter) warm(key string, n int64) {
	for _, k := range l.local {
		k.AllowN(key, n)
	}
}

// shareOf returns 1/nodes of a limit, of the burst at least one event.
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
func cancelled(ctx context.Context) error { return fmt.Errorf("redis: limiter: %w", ended(ctx)) }

// ended returns the error of a context that is done, with its cause.
func ended(ctx context.Context) error {
	err, cause := ctx.Err(), context.Cause(ctx)
	if errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", err, cause)
}
