package redis

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
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
	// MaxValue is the largest size of a value in bytes. A larger value is
	// neither stored nor decoded. Zero means 1 MiB. Negative means no bound.
	MaxValue int
	// Timeout bounds the time that a call waits for the server. Zero means
	// 50 ms. Negative means no bound apart from the context of the call.
	Timeout time.Duration
	// Pause is the time after a failed call in which calls fail immediately,
	// without asking the server. Zero means 1 second. Negative means no pause.
	Pause time.Duration
}

const (
	maxKey          = 1 << 10
	defaultMaxValue = 1 << 20
	defaultPause    = time.Second
)

// Validate returns an error that joins all problems of c.
func (c CacheConfig[V]) Validate() error {
	p := problems{prefix: "redis: cache: "}
	c = c.withDefaults()
	p.add(c.Client == nil, "Client is missing")
	p.addName(c.Name)
	p.add(c.Encode == nil && c.Decode != nil, "Encode is missing, want it with Decode")
	p.add(c.Encode != nil && c.Decode == nil, "Decode is missing, want it with Encode")
	return errors.Join(p.errs...)
}

func (c CacheConfig[V]) withDefaults() CacheConfig[V] {
	if c.Name == "" {
		c.Name = "cache"
	}
	if c.MaxValue == 0 {
		c.MaxValue = defaultMaxValue
	}
	if c.MaxValue < 0 {
		c.MaxValue = math.MaxInt
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.Pause == 0 {
		c.Pause = defaultPause
	}
	return c
}

// A Cache is a [cache.Store]: a second level behind the caches of many
// processes. All methods may be called concurrently.
type Cache[V any] struct {
	cfg    CacheConfig[V]
	epoch  time.Time
	paused atomic.Int64 // the end of the pause, in nanoseconds since epoch

	hits, misses, failures atomic.Uint64
}

var _ cache.Store[string, int] = (*Cache[int])(nil)

// ErrPaused matches the error of a call of a [Cache] during a Pause.
var ErrPaused = errors.New("redis: cache: paused after a failure")

// NewCache returns a Cache, without asking the server. It panics with the error
// of [CacheConfig.Validate], if any.
func NewCache[V any](cfg CacheConfig[V]) *Cache[V] {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	if cfg.Encode == nil {
		cfg.Encode = func(v V) ([]byte, error) { return json.Marshal(v) }
		cfg.Decode = func(text []byte) (v V, err error) { return v, json.Unmarshal(text, &v) }
	}
	return &Cache[V]{cfg: cfg, epoch: time.Now()}
}

// A record on the server is the encoded value, or begins with a zero byte and
// one of these letters.
const (
	markValue   = "\x00v" // a value that begins with a zero byte follows
	markAbsent  = "\x00a" // the origin has no such key
	markDeleted = "\x00d" // the mark of a deletion follows
)

// keepDeleted is the time for which the server remembers a deletion. A lease
// lives half as long.
const keepDeleted = time.Minute

// stores sets a key if it is still in the state that the lease names: absent,
// or with this mark of a deletion. A record that would not live as long as the
// other leases does not replace the mark.
var stores = newScript(`local now = redis.call('GET', KEYS[1]) or ''
if now ~= ARGV[1] then return 0 end
if now ~= '' and ARGV[3] ~= '' and tonumber(ARGV[3]) < 30000 then return 0 end
if ARGV[3] == '' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`)

// Get returns the record of key. A value that Decode does not accept counts as
// no record.
//
// Errors: [ErrPaused]; ctx.Err and [context.Cause] if ctx is done; otherwise it
// wraps the error of the client.
func (c *Cache[V]) Get(ctx context.Context, key string) (cache.Record[V], error) {
	var r cache.Record[V]
	replies, err := c.do(ctx, []string{key, key}, func(i int, k string) []string {
		return [][]string{{"GET", k}, {"PTTL", k}}[i]
	})
	if err != nil {
		c.failures.Add(1)
		return r, err
	}
	text, ok := replies[0].Value.(string)
	r.TTL = cache.NoExpiry
	if left, _ := replies[1].Value.(int64); left >= 0 {
		r.TTL = time.Duration(left) * time.Millisecond
	}
	deleted := ""
	switch {
	case !ok || len(text) > c.cfg.MaxValue+len(markValue):
	case text == markAbsent:
		r.Found, r.Absent = true, true
	case strings.HasPrefix(text, markDeleted):
		deleted = text
	default:
		if r.Value, err = c.cfg.Decode([]byte(strings.TrimPrefix(text, markValue))); err == nil {
			r.Found = true
		}
	}
	if r.Found {
		c.hits.Add(1)
		return r, nil
	}
	c.misses.Add(1)
	return cache.Record[V]{Lease: fmt.Sprintf("%d %s", time.Since(c.epoch), deleted)}, nil
}

// Set stores r under key for r.TTL, rounded up to a millisecond. A TTL of
// [cache.NoExpiry] means forever. If r.TTL <= 0, Set deletes the key. If r has
// a Lease, Set does nothing after a deletion of the key, and nothing if the
// lease is older than 30 seconds.
//
// Errors: the value is larger than MaxValue, or the key longer than 1 KiB; the
// errors of Encode; see also [Cache.Delete].
func (c *Cache[V]) Set(ctx context.Context, key string, r cache.Record[V]) error {
	if r.TTL <= 0 {
		return c.Delete(ctx, key)
	}
	text := markAbsent
	if !r.Absent {
		value, err := c.cfg.Encode(r.Value)
		if err != nil {
			return fmt.Errorf("redis: cache %s: encode: %w", c.cfg.Name, err)
		}
		if len(value) > c.cfg.MaxValue {
			return fmt.Errorf("redis: cache %s: value of %d bytes, want at most %d", c.cfg.Name, len(value), c.cfg.MaxValue)
		}
		if text = string(value); strings.HasPrefix(text, "\x00") {
			text = markValue + text
		}
	}
	ms := ""
	if r.TTL != cache.NoExpiry {
		ms = strconv.FormatInt(int64((r.TTL-1)/time.Millisecond+1), 10)
	}
	if r.Lease != "" {
		given, deleted, _ := strings.Cut(r.Lease, " ")
		at, err := strconv.ParseInt(given, 10, 64)
		if err != nil || time.Since(c.epoch)-time.Duration(at) > keepDeleted/2 {
			return nil
		}
		_, err = c.do(ctx, []string{key}, func(_ int, k string) []string {
			return stores.call([]string{deleted, text, ms}, k)
		})
		return err
	}
	_, err := c.do(ctx, []string{key}, func(_ int, k string) []string {
		if ms == "" {
			return []string{"SET", k, text}
		}
		return []string{"SET", k, text, "PX", ms}
	})
	return err
}

// Delete deletes keys, in one round trip per server. It ends the leases of
// keys.
//
// Errors: the error matches [ErrPaused], or ctx.Err and [context.Cause] if ctx
// is done; otherwise it wraps the error of the client. Some keys may then be
// deleted.
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	mark := markDeleted + rand.Text()
	_, err := c.do(ctx, keys, func(_ int, k string) []string {
		return []string{"SET", k, mark, "PX", strconv.FormatInt(keepDeleted.Milliseconds(), 10)}
	})
	return err
}

// do sends a command for each of keys, unless calls are paused.
func (c *Cache[V]) do(ctx context.Context, keys []string, command func(i int, key string) []string) ([]Reply, error) {
	fail := func(err error) ([]Reply, error) { return nil, fmt.Errorf("redis: cache %s: %w", c.cfg.Name, err) }
	if ctx.Err() != nil {
		return nil, ctxerr.New(ctx, "redis: cache "+c.cfg.Name)
	}
	if int64(time.Since(c.epoch)) < c.paused.Load() {
		return fail(ErrPaused)
	}
	cmds := make([][]string, len(keys))
	for i, key := range keys {
		if len(key) > maxKey {
			return fail(fmt.Errorf("key of %d bytes, want at most %d", len(key), maxKey))
		}
		cmds[i] = command(i, c.cfg.Name+"/"+key)
	}
	timely := ctx
	if c.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		timely, cancel = context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
	}
	replies := run(timely, c.cfg.Client, cmds...)
	for _, r := range replies {
		if r.Err != nil {
			if ctx.Err() != nil {
				return nil, ctxerr.New(ctx, "redis: cache "+c.cfg.Name)
			}
			if c.cfg.Pause > 0 {
				c.paused.Store(int64(time.Since(c.epoch) + c.cfg.Pause))
			}
			return fail(r.Err)
		}
	}
	return replies, nil
}

// CacheStats are figures of a [Cache] since NewCache.
type CacheStats struct {
	Name   string `json:"name"`   // CacheConfig.Name
	Hits   uint64 `json:"hits"`   // values that Get found
	Misses uint64 `json:"misses"` // values that Get did not find or could not decode
	Errors uint64 `json:"errors"` // calls of Get that failed
}

// Stats returns the figures.
func (c *Cache[V]) Stats() CacheStats {
	return CacheStats{Name: c.cfg.Name, Hits: c.hits.Load(), Misses: c.misses.Load(), Errors: c.failures.Load()}
}

// Forget returns a function that removes keys from c, or all keys if keys is
// nil, for a client that reports changes on the server, such as
// rueidisclient.Track.
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
