package redoubtredis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// CacheConfig configures a [Cache].
type CacheConfig[V any] struct {
	Client Client // sends commands to the server; required

	// Name starts the names of all keys on the server: 1 to 64 letters, digits
	// or any of _.:-. All values under a Name should have the same type; change
	// the Name with the type. Zero means "cache".
	Name string
	// Encode encodes a value. Nil means JSON, if Decode is nil too.
	Encode func(V) ([]byte, error)
	// Decode decodes a value of Encode. A value that it returns an error for
	// counts as absent. Nil means JSON, if Encode is nil too.
	Decode func([]byte) (V, error)
	// Tags returns the tags of a value that is stored, at most 64. They are the
	// groups that [Cache.DeleteTags] deletes together. Nil means no tags.
	// Values are stored under other keys with Tags than without, so processes
	// without Tags neither share nor delete them.
	Tags func(key string, v V) []string
	// MaxValue is the largest size of a value in bytes. A larger value is
	// neither stored nor decoded. Zero means 1 MiB. Negative means no bound.
	MaxValue int
	// Timeout bounds the time that a call waits for the server. Zero means
	// 50 ms. Negative means no bound apart from the context of the call.
	Timeout time.Duration
	// LeaseFor is the time in which a loaded value can be stored. It should be
	// longer than a load. Zero means 10 seconds.
	LeaseFor time.Duration

	// OnEvent is called at the start and at the end of each outage of a server.
	// OnEvent may be nil. It is called synchronously, outside locks, after the
	// change that the event reports, in the order of the changes. It may call
	// back into this package and must not block.
	OnEvent func(context.Context, Event)
}

const (
	maxKey            = 1 << 10
	defaultMaxValue   = 1 << 20
	defaultCacheLease = 10 * time.Second
)

// Validate returns an error that joins all problems of c.
func (c CacheConfig[V]) Validate() error {
	p := problems{prefix: "redis: cache: "}
	c = c.withDefaults()
	p.add(c.Client == nil, "Client is missing")
	p.addName(c.Name)
	p.add(c.Encode == nil && c.Decode != nil, "Encode is missing, want it with Decode")
	p.add(c.Encode != nil && c.Decode == nil, "Decode is missing, want it with Encode")
	p.add(c.LeaseFor < time.Millisecond, "LeaseFor is %v, want at least 1ms", c.LeaseFor)
	return errors.Join(p.errs...)
}

func (c CacheConfig[V]) withDefaults() CacheConfig[V] {
	if c.Name == "" {
		c.Name = "cache"
	}
	if c.MaxValue == 0 {
		c.MaxValue = defaultMaxValue
	}
	c.MaxValue = int(min(uint(c.MaxValue), math.MaxInt-maxHeader)) // a negative number is a large uint
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.LeaseFor == 0 {
		c.LeaseFor = defaultCacheLease
	}
	return c
}

// A Cache is a [cache.Store] on a server, where many processes share it. All
// methods may be called concurrently.
type Cache[V any] struct {
	cfg  CacheConfig[V]
	link link

	hits, absent, misses, failures atomic.Uint64
}

// NewCache returns a Cache, without asking the server. It panics with the error
// of [CacheConfig.Validate] if any.
func NewCache[V any](cfg CacheConfig[V]) *Cache[V] {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	if cfg.Encode == nil {
		cfg.Encode = func(v V) ([]byte, error) { return json.Marshal(v) }
		cfg.Decode = func(text []byte) (v V, err error) { return v, json.Unmarshal(text, &v) }
	}
	c := &Cache[V]{cfg: cfg}
	c.link.open(cfg.Client, cfg.Name, cfg.OnEvent)
	return c
}

// The first byte of a value on the server.
const (
	markValue  = "V" // then the value
	markAbsent = "A" // the key does not exist at the origin
	markLease  = "L" // then the lease: the key has no record
)

// noLease is a lease that is never valid.
const noLease = "-"

// errDecode means that a record is in another form.
var errDecode = errors.New("record of another form")

// getScript returns the value of a key and its remaining milliseconds, -1 for
// none. If there is no value, it stores a lease. A server that is full, or a
// replica, gives none. The arguments are the lease, its milliseconds, and the
// largest size of a value.
const getScript = `
local size = redis.call('STRLEN', KEYS[1])
if size > tonumber(ARGV[3]) then return {'', 0} end
if size > 0 then return {redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1])} end
local r = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if r.err then return {'', 0} end
return {ARGV[1], 0}
`

// setScript stores a value for some milliseconds, or forever if they are 0. If
// a lease is given, it does so only if the key still has that lease. Without a
// lease it publishes the key on a channel.
const setScript = `
if ARGV[1] ~= '' and redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then
  redis.call('SET', KEYS[1], ARGV[2])
else
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
end
if ARGV[1] == '' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
`

// deleteScript deletes a value or a lease, and publishes the key. A key that
// does not exist changes for a moment, since the server reports only changes to
// clients that track keys. Their first levels can have a value all the same.
const deleteScript = `
if redis.call('DEL', KEYS[1]) == 0 then redis.pcall('SET', KEYS[1], '', 'PX', 1) end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return 1
`

var gets, sets, deletes = newScript(getScript), newScript(setScript), newScript(deleteScript)

// Get returns the record of key. A record that Decode does not accept is
// deleted. A record that is larger than MaxValue counts as no record. Lease
// permits a [Cache.Set] within LeaseFor.
//
// Errors: the error matches [ErrDown] if the server of the key is down, or
// ctx.Err and [context.Cause] if ctx is done; otherwise it wraps the error of
// the client.
func (c *Cache[V]) Get(ctx context.Context, key string) (cache.Record[V], error) {
	r, err := c.get(ctx, key)
	if errors.Is(err, errDecode) {
		if err = c.Delete(ctx, key); err == nil {
			r, err = c.get(ctx, key)
		}
		if errors.Is(err, errDecode) {
			err = nil
		}
	}
	switch {
	case err != nil:
	case r.Absent:
		c.absent.Add(1)
	case r.Found:
		c.hits.Add(1)
	default:
		c.misses.Add(1)
	}
	return r, err
}

func (c *Cache[V]) get(ctx context.Context, key string) (r cache.Record[V], err error) {
	lease := markLease + rand.Text()
	args := append([]string{lease}, words(c.cfg.LeaseFor.Milliseconds(), int64(c.cfg.MaxValue)+1)...)
	s := &gets
	if c.cfg.Tags != nil {
		s = &getsTagged
		args[2] = strconv.FormatInt(int64(c.cfg.MaxValue)+maxHeader, 10)
		args = append(args, rand.Text())
	}
	replies, err := c.doKeys(ctx, []string{key}, s, func(string) []string { return args })
	if err != nil {
		return r, err
	}
	fields, _ := replies[0].Value.([]any)
	if len(fields) != 2 {
		c.failures.Add(1)
		return r, c.fail(errReply)
	}
	text, _ := fields[0].(string)
	ms, _ := fields[1].(int64)
	switch mark := text[:min(1, len(text))]; mark {
	case markLease:
		return cache.Record[V]{Lease: text}, nil
	case markValue, markAbsent:
		if len(text)-1 > c.cfg.MaxValue {
			break
		}
		if r.Found, r.TTL = true, time.Duration(ms)*time.Millisecond; ms < 0 {
			r.TTL = cache.NoExpiry
		}
		if r.Absent = mark == markAbsent; r.Absent {
			return r, nil
		}
		if r.Value, err = c.cfg.Decode([]byte(text[1:])); err == nil {
			return r, nil
		}
		return cache.Record[V]{Lease: noLease}, errDecode
	case "":
	default:
		return cache.Record[V]{Lease: noLease}, errDecode
	}
	return cache.Record[V]{Lease: noLease}, nil
}

// Set stores r under key for r.TTL, rounded up to a millisecond. A TTL of
// [cache.NoExpiry] means forever. If r.TTL <= 0, Set removes the key. If r has
// a lease that has ended, Set changes nothing.
//
// Errors: the value is larger than MaxValue, or the key longer than 1 KiB; the
// errors of Encode; see also [Cache.Get].
func (c *Cache[V]) Set(ctx context.Context, key string, r cache.Record[V]) error {
	if r.TTL <= 0 && r.Lease == "" {
		return c.Delete(ctx, key)
	}
	text, fields := []byte(markAbsent), ""
	if !r.Absent {
		value, err := c.cfg.Encode(r.Value)
		if err != nil {
			return fmt.Errorf("redis: cache %s: encode: %w", c.cfg.Name, err)
		}
		if len(value) > c.cfg.MaxValue {
			return fmt.Errorf("redis: cache %s: value of %d bytes, want at most %d", c.cfg.Name, len(value), c.cfg.MaxValue)
		}
		text = append([]byte(markValue), value...)
		if c.cfg.Tags != nil {
			if fields, err = c.fieldsOf(key, r.Value); err != nil {
				return err
			}
		}
	}
	ms := int64(0)
	if r.TTL <= 0 {
		return nil // the lease says that there is no record
	} else if r.TTL != cache.NoExpiry {
		ms = int64((r.TTL-1)/time.Millisecond + 1)
	}
	args := []string{r.Lease, string(text), strconv.FormatInt(ms, 10), Channel(c.cfg.Name), key}
	s := &sets
	if c.cfg.Tags != nil {
		s, args = &setsTagged, append(args, fields, rand.Text())
	}
	_, err := c.doKeys(ctx, []string{key}, s, func(string) []string { return args })
	return err
}

// Delete removes keys, and ends the leases of them, in one round trip per
// server.
//
// Errors: see [Cache.Get]. Some keys may then be removed.
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	_, err := c.doKeys(ctx, keys, &deletes, func(key string) []string { return []string{Channel(c.cfg.Name), key} })
	return err
}

// Channel returns the channel on which a [Cache] with a name publishes each key
// that it deletes, or sets without a lease.
func Channel(name string) string { return name + "/" }

// doKeys runs a script for each of keys, on the servers that are up.
func (c *Cache[V]) doKeys(ctx context.Context, keys []string, s *script, args func(key string) []string) ([]Reply, error) {
	names, cmds := make([]string, len(keys)), make([][]string, len(keys))
	for i, key := range keys {
		if len(key) > maxKey {
			return nil, c.fail(fmt.Errorf("key of %d bytes, want at most %d", len(key), maxKey))
		}
		all := c.names(key)
		names[i], cmds[i] = all[0], s.call(args(key), all...)
	}
	return c.do(ctx, names, cmds)
}

// do sends commands for keys with the given names, to the servers that are up.
func (c *Cache[V]) do(ctx context.Context, names []string, all [][]string) ([]Reply, error) {
	if ctx.Err() != nil {
		return nil, ctxerr.New(ctx, "redis: cache "+c.cfg.Name)
	}
	var cmds [][]string
	var nodes []*node
	var failed error
	for i, name := range names {
		n := c.link.outages.of(name)
		if !slices.Contains(nodes, n) && !n.admits(c.link.now()) {
			failed = ErrDown
			continue
		}
		cmds, nodes = append(cmds, all[i]), append(nodes, n)
	}
	var replies []Reply
	if len(cmds) > 0 {
		var ok bool
		if replies, ok = c.link.many(ctx, c.cfg.Timeout, nil, nodes, cmds); !ok {
			c.failures.Add(1)
			return nil, ctxerr.New(ctx, "redis: cache "+c.cfg.Name)
		}
	}
	for _, r := range replies {
		if r.Err != nil {
			failed = r.Err
		}
	}
	if failed != nil {
		c.failures.Add(1)
		return nil, c.fail(failed)
	}
	return replies, nil
}

func (c *Cache[V]) fail(err error) error { return fmt.Errorf("redis: cache %s: %w", c.cfg.Name, err) }

// CacheStats are figures of a [Cache] since NewCache.
type CacheStats struct {
	Name    string `json:"name"`    // CacheConfig.Name
	Hits    uint64 `json:"hits"`    // values that Get found
	Absent  uint64 `json:"absent"`  // records that Get found of keys that do not exist
	Misses  uint64 `json:"misses"`  // records that Get did not find or could not decode
	Errors  uint64 `json:"errors"`  // calls that failed
	Outages uint64 `json:"outages"` // outages of servers that have started
	Down    int    `json:"down"`    // servers that are down
}

// Stats returns the figures.
func (c *Cache[V]) Stats() CacheStats {
	o := &c.link.outages
	return CacheStats{
		Name: c.cfg.Name, Hits: c.hits.Load(), Absent: c.absent.Load(), Misses: c.misses.Load(),
		Errors: c.failures.Load(), Outages: o.count.Load(), Down: int(o.down.Load()),
	}
}

// Forget returns a function that removes keys from c, or all keys if keys is
// nil, for a client that reports changes on the server, such as
// rueidisclient.Track and goredisclient.Listen.
func Forget[V any](c *cache.Cache[string, V]) func(keys []string) {
	return func(keys []string) {
		if keys == nil {
			c.Clear()
			return
		}
		for _, key := range keys {
			c.Delete(key)
		}
	}
}
