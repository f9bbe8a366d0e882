package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// ErrQuorum is the cause of an opening that other processes have brought about.
var ErrQuorum = errors.New("redis: enough other processes have opened this breaker")

// OpeningsConfig configures [Openings].
type OpeningsConfig struct {
	Client Client // the way to the server; required

	// Name begins the names of all keys on the server: 1 to 64 letters, digits or any of _.:-. Default "breaker".
	Name string
	// Quorum is the share of the processes that must have opened a breaker themselves before the others open theirs, in
	// (0, 1]. Default 0.5.
	Quorum float64
	// MinOpen is the number of processes that must have, whatever their share. Default 3.
	MinOpen int
	// Every is how often the processes tell each other. Default 1 s, at least 10 ms.
	Every time.Duration
	// Instance names this process among the others, in at most 64 bytes. Default: a random name.
	Instance string

	_ [0]func()
}

// maxBreakers bounds what one Openings shares. It is advice, and breakers beyond do without it.
const maxBreakers = 1 << 10

// Validate returns everything that is wrong with c, joined.
func (c OpeningsConfig) Validate() error {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf("redis: openings: "+format, args...)) }
	c = c.withDefaults()
	if c.Client == nil {
		wrong("Client is missing")
	}
	if err := checkName(c.Name); err != nil {
		wrong("Name: %w", err)
	}
	if !(c.Quorum > 0 && c.Quorum <= 1) {
		wrong("Quorum is %v, want more than 0 and at most 1", c.Quorum)
	}
	if c.MinOpen < 1 {
		wrong("MinOpen is %d, want at least 1", c.MinOpen)
	}
	if c.Every < 10*time.Millisecond {
		wrong("Every is %v, want at least 10ms", c.Every)
	}
	if len(c.Instance) > 64 {
		wrong("Instance has %d bytes, at most 64 are allowed", len(c.Instance))
	}
	return errors.Join(errs...)
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

// Openings tell other processes which breakers have opened here, and open breakers here that enough of the others have
// opened. All of it is advice, and none of it is in the way of a call: breakers decide by themselves and at once, a
// goroutine exchanges the news every now and then, and while the server is down each process is on its own.
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
	until time.Time // to when it has opened by itself
}

// NewOpenings starts the exchange, which ends with [Openings.Close]. It panics with the error of
// [OpeningsConfig.Validate] if there is one.
func NewOpenings(cfg OpeningsConfig) *Openings {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	o := &Openings{cfg: cfg.withDefaults(), stop: stop, done: make(chan struct{})}
	go o.loop(ctx)
	return o
}

// Breaker returns a breaker as [breaker.New] makes it of cfg, whose openings are shared with the breakers of the same
// Name elsewhere. It is for breakers that live as long as the Openings. It panics with the error of
// [breaker.Config.Validate] if there is one.
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

// note remembers an opening that was this process's own: what others have brought about must not come back to them as
// news, or nothing would ever close again.
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

// left returns how long the breaker is still open by itself.
func (s *sharedBreaker) left() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(0, time.Until(s.until))
}

// Close ends the exchange. The breakers go on by themselves, and the others forget this process.
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

// exchangeScript keeps two sorted sets: the processes, by when they are forgotten, and those that have opened the breaker,
// by when they close it; both in milliseconds by the clock of the server. Its arguments are the name of this process, how
// long it is to be remembered, and how long its breaker is still open. The reply is the number of processes, and how
// long each of those that have opened the breaker will keep it so, the longest first.
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

// exchange tells what is open here, and opens what is open elsewhere. Errors are ignored: the next time will do.
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

// quorum returns for how long there is a quorum of processes that have opened a breaker: as long as the last of so many
// as it takes keeps it open.
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
