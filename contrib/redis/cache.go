package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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

// Get returns the value of key.
//
// Errors: the error matches [cache.ErrNotFound] if there is no value that
// Decode accepts; [ErrPaused]; ctx.Err and [context.Cause] if ctx is done;
// otherwise it wraps the error of the client.
func (c *Cache[V]) Get(ctx context.Context, key string) (V, error) {
	var zero V
	replies, err := c.do(ctx, []string{key}, "GET")
	if err != nil {
		c.failures.Add(1)
		return zero, err
	}
	if text, ok := replies[0].Value.(string); ok && len(text) <= c.cfg.MaxValue {
		if v, err := c.cfg.Decode([]byte(text)); err == nil {
			c.hits.Add(1)
			return v, nil
		}
	}
	c.misses.Add(1)
	return zero, fmt.Errorf("redis: cache %s: %w", c.cfg.Name, cache.ErrNotFound)
}

// Set stores v under key for ttl, rounded up to a millisecond. A ttl of
// [cache.NoExpiry] means forever. If ttl <= 0, Set removes the key.
//
// Errors: the value is larger than MaxValue, or the key longer than 1 KiB; the
// errors of Encode; see also [Cache.Delete].
func (c *Cache[V]) Set(ctx context.Context, key string, v V, ttl time.Duration) error {
	if ttl <= 0 {
		return c.Delete(ctx, key)
	}
	text, err := c.cfg.Encode(v)
	if err != nil {
		return fmt.Errorf("redis: cache %s: encode: %w", c.cfg.Name, err)
	}
	if len(text) > c.cfg.MaxValue {
		return fmt.Errorf("redis: cache %s: value of %d bytes, want at most %d", c.cfg.Name, len(text), c.cfg.MaxValue)
	}
	args := []string{string(text)}
	if ttl != cache.NoExpiry {
		ms := (ttl-1)/time.Millisecond + 1
		args = append(args, "PX", strconv.FormatInt(int64(ms), 10))
	}
	_, err = c.do(ctx, []string{key}, "SET", args...)
	return err
}

// Delete removes keys, in one round trip per server.
//
// Errors: the error matches [ErrPaused], or ctx.Err and [context.Cause] if ctx
// is done; otherwise it wraps the error of the client. Some keys may then be
// removed.
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := c.do(ctx, keys, "DEL")
	return err
}

// do sends a command for each of keys, unless calls are paused.
func (c *Cache[V]) do(ctx context.Context, keys []string, name string, args ...string) ([]Reply, error) {
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
		cmds[i] = append([]string{name, c.cfg.Name + "/" + key}, args...)
	}
	timely := ctx
	if c.cfg.Timeout > 0 {
		var cancel context.CancelFunc
		timely, cancel = context.WithTimeout(ctx, c.cfg.Timeout)
		defer cancel()
	}
	replies := c.cfg.Client.Do(timely, cmds...)
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
