package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"math"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// ErrQuorum is the cause of an opening that other processes have caused.
var ErrQuorum = errors.New("redis: enough other processes have opened this breaker")

// OpeningsConfig configures [Openings].
type OpeningsConfig struct {
	Client Client // sends commands to the server; required

	// Name starts the names of all keys on the server: 1 to 64 letters, digits
	// or any of _.:-. Zero means "breaker".
	Name string
	// Quorum is the share of the processes that must have opened a breaker
	// themselves before the others open theirs, more than 0 and at most 1. Zero
	// means 0.5.
	Quorum float64
	// MinOpen is the least number of such processes, whatever their share. Zero
	// means 3.
	MinOpen int
	// Every is the time between two exchanges with the server, at least 10 ms.
	// Zero means 1 second.
	Every time.Duration
	// Instance names this process, in at most 64 bytes. Zero means a random
	// name.
	Instance string

	_ [0]func()
}

// maxBreakers bounds the breakers that an Openings shares. Further breakers
// work alone.
const maxBreakers = 1 << 10

// Validate returns an error that joins all problems of c.
func (c OpeningsConfig) Validate() error {
	p := problems{prefix: "redis: openings: "}
	c = c.withDefaults()
	p.add(c.Client == nil, "Client is missing")
	p.addName(c.Name)
	p.add(!(c.Quorum > 0 && c.Quorum <= 1), "Quorum is %v, want more than 0 and at most 1", c.Quorum)
	p.add(c.MinOpen < 1, "MinOpen is %d, want at least 1", c.MinOpen)
	p.add(c.Every < 10*time.Millisecond, "Every is %v, want at least 10ms", c.Every)
	p.add(len(c.Instance) > 64, "Instance has %d bytes, want at most 64", len(c.Instance))
	return errors.Join(p.errs...)
}

func (c OpeningsConfig) withDefaults() OpeningsConfig {
	if c.Name == "" {
		c.Name = "breaker"
	}
	if c.Quorum == 0 {
		c.Quorum = 0.5
	}
	if c.MinOpen == 0 {
		c.MinOpen = 3
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	if c.Instance == "" {
		c.Instance = rand.Text()
	}
	return c
}

// Openings share the openings of circuit breakers with other processes, and
// open breakers here that enough other processes have opened. Openings never
// delay a call: breakers decide by themselves, and a goroutine exchanges
// openings once in Every. While the server is down, each process is on its own.
type Openings struct {
	cfg  OpeningsConfig
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex
	shared []*sharedBreaker
}

type sharedBreaker struct {
	breaker *breaker.Breaker
	key     string

	mu    sync.Mutex
	until time.Time // the end of its own opening
}

// NewOpenings starts the exchange, which ends with [Openings.Close]. It panics
// with the error of [OpeningsConfig.Validate], if any.
func NewOpenings(cfg OpeningsConfig) *Openings {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	o := &Openings{cfg: cfg.withDefaults(), stop: stop, done: make(chan struct{})}
	go o.loop(ctx)
	return o
}

// Breaker returns a breaker made by [breaker.New] that shares its openings with
// the breakers of the same Name in other processes. It should live as long as
// the Openings. Beyond 1024 breakers it works alone. Breaker panics with the
// error of [breaker.Config.Validate], if any.
func (o *Openings) Breaker(cfg breaker.Config) *breaker.Breaker {
	s := &sharedBreaker{key: tagged(o.cfg.Name, "", cfg.Name)}
	hook := cfg.OnEvent
	cfg.OnEvent = func(ctx context.Context, e breaker.Event) {
		s.note(e)
		if hook != nil {
			hook(ctx, e)
		}
	}
	s.breaker = breaker.New(cfg)
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.shared) < maxBreakers {
		o.shared = append(o.shared, s)
	}
	return s.breaker
}

// note remembers an opening of this process. An opening that other processes
// caused is not shared, because otherwise no breaker would ever close again.
func (s *sharedBreaker) note(e breaker.Event) {
	if e.Kind != breaker.KindTransition {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.until = time.Time{}
	if e.To == breaker.StateOpen && !errors.Is(e.Err, ErrQuorum) {
		s.until = time.Now().Add(e.OpenFor)
	}
}

// left returns the rest of the breaker's own opening.
func (s *sharedBreaker) left() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.until))
}

// Close ends the exchange. The breakers continue to work alone, and the other
// processes forget this process.
func (o *Openings) Close() {
	o.stop()
	<-o.done
}

func (o *Openings) loop(ctx context.Context) {
	defer close(o.done)
	tick := time.NewTicker(o.cfg.Every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			o.exchange(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// exchangeScript keeps two sorted sets: the processes with the instants when
// they are forgotten, and the processes that have opened the breaker with the
// instants when they close it. Instants are milliseconds by the clock of the
// server.
//
// The arguments are the name of this process, the time for which it is
// remembered, and the rest of its own opening. The reply is the number of
// processes, and the rest of each opening, the longest first.
const exchangeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local me, keep, open = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
for i = 1, 2 do redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', string.format('%.0f', now)) end
redis.call('ZADD', KEYS[1], string.format('%.0f', now + keep), me)
redis.call('PEXPIRE', KEYS[1], keep)
if open > 0 then
  redis.call('ZADD', KEYS[2], string.format('%.0f', now + open), me)
else
  redis.call('ZREM', KEYS[2], me)
end
local reply = {redis.call('ZCARD', KEYS[1])}
local openers = redis.call('ZREVRANGE', KEYS[2], 0, 999, 'WITHSCORES')
for i = 2, #openers, 2 do reply[#reply + 1] = openers[i] - now end
if reply[2] and redis.call('PTTL', KEYS[2]) < reply[2] then redis.call('PEXPIRE', KEYS[2], reply[2]) end
return reply
`

var exchanges = newScript(exchangeScript)

// exchange sends the openings of this process, and opens the breakers that a
// quorum has opened. It ignores errors: the next exchange repeats everything.
func (o *Openings) exchange(ctx context.Context) {
	o.mu.Lock()
	shared := o.shared[:len(o.shared):len(o.shared)]
	o.mu.Unlock()
	if len(shared) == 0 {
		return
	}
	keep := max(3*o.cfg.Every, time.Second)
	calls := make([][]string, len(shared))
	for i, s := range shared {
		args := append([]string{o.cfg.Instance}, words(keep.Milliseconds(), s.left().Milliseconds())...)
		calls[i] = exchanges.call(args, s.key+"n", s.key+"o")
	}
	ctx, cancel := context.WithTimeout(ctx, o.cfg.Every)
	defer cancel()
	for i, r := range run(ctx, o.cfg.Client, calls...) {
		b := shared[i].breaker
		if d := o.quorum(r); d > 0 && b.Stats().RetryAfter < d {
			b.Trip(d, ErrQuorum)
		}
	}
}

// quorum returns the time for which a quorum of processes keeps a breaker open.
func (o *Openings) quorum(r Reply) time.Duration {
	values, ok := r.Value.([]any)
	if r.Err != nil || !ok || len(values) == 0 {
		return 0
	}
	processes, ok := values[0].(int64)
	need := max(o.cfg.MinOpen, int(math.Ceil(o.cfg.Quorum*float64(processes))))
	if !ok || len(values)-1 < need {
		return 0
	}
	ms, _ := values[need].(int64)
	return time.Duration(ms) * time.Millisecond
}
