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
)

// CacheConfig configures a [Cache].
type CacheConfig[V any] struct {
	Client Client // the way to the server; required

	// Name begins the names of all keys on the server: 1 to 64 letters, digits or any of _.:-. Default "cache". The values
	// of one Name should be of one type; change the Name with the type.
	Name string
	// Encode and Decode turn a value into bytes and back. Default: JSON.
	Encode func(V) ([]byte, error)
	// Decode is the inverse of Encode. A value that it refuses counts as absent.
	Decode func([]byte) (V, error)
	// MaxValue is the size in bytes beyond which a value is not stored, and not decoded. Default 1 MiB; negative: none.
	MaxValue int
	// Timeout is how long a call waits for the server at most. Default 50 ms. Negative: as long as its context lasts.
	Timeout time.Duration
	// Pause is how long the server is left alone after a call that got no answer in time: calls fail at once then.
	// Default 1 s. Negative: off.
	Pause time.Duration
}

const (
	maxKey          = 1 << 10
	defaultMaxValue = 1 << 20
	defaultPause    = time.Second
)

// Validate returns everything that is wrong with c, joined.
func (c CacheConfig[V]) Validate() error {
	var errs []error
	c = c.withDefaults()
	if c.Client == nil {
		errs = append(errs, errors.New("redis: cache: Client is missing"))
	}
	if err := checkName(c.Name); err != nil {
		errs = append(errs, fmt.Errorf("redis: cache: Name: %w", err))
	}
	if (c.Encode == nil) != (c.Decode == nil) {
		errs = append(errs, errors.New("redis: cache: one of Encode and Decode is missing"))
	}
	return errors.Join(errs...)
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

// A Cache is a [cache.Store], a second level behind the caches of many processes. All methods may be called at the same
// time.
type Cache[V any] struct {
	cfg    CacheConfig[V]
	epoch  time.Time
	paused atomic.Int64 // until when the server is left alone, in nanoseconds since epoch

	hits, misses, failures atomic.Uint64
}

var _ cache.Store[string, int] = (*Cache[int])(nil)

// ErrPaused is what calls of a [Cache] match while the server is left alone.
var ErrPaused = errors.New("redis: cache: server left alone after a failure")

// NewCache returns a Cache, without asking the server for anything. It panics with the error of [CacheConfig.Validate] if
// there is one.
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

// Get returns the value of key. The error matches [cache.ErrNotFound] if there is none, or none that can be decoded;
// [ErrPaused]; the context's; or is that of the client.
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

// Set stores v under key for the time ttl, rounded up to a millisecond; [cache.NoExpiry] is for good. If ttl <= 0, the value
// has expired already, and Set deletes key. The error matches [ErrPaused] or the context's, or is that of Encode or of the client; or
// it says that the value is larger than MaxValue or the key longer than 1 KiB.
func (c *Cache[V]) Set(ctx context.Context, key string, v V, ttl time.Duration) error {
	if ttl <= 0 {
		return c.Delete(ctx, key)
	}
	text, err := c.cfg.Encode(v)
	if err != nil {
		return fmt.Errorf("redis: cache %s: encode: %w", c.cfg.Name, err)
	}
	if len(text) > c.cfg.MaxValue {
		return fmt.Errorf("redis: cache %s: value of %d bytes, at most %d are stored", c.cfg.Name, len(text), c.cfg.MaxValue)
	}
	args := []string{string(text)}
	if ttl != cache.NoExpiry {
		ms := (ttl-1)/time.Millisecond + 1
		args = append(args, "PX", strconv.FormatInt(int64(ms), 10))
	}
	_, err = c.do(ctx, []string{key}, "SET", args...)
	return err
}

// Delete removes keys, in one go where they are on one server. The error matches [ErrPaused] or the context's, or is
// that of the client; some keys may then be removed.
func (c *Cache[V]) Delete(ctx context.Context, keys ...string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := c.do(ctx, keys, "DEL")
	return err
}

// do sends a command for each of keys, unless the server is left alone.
func (c *Cache[V]) do(ctx context.Context, keys []string, name string, args ...string) ([]Reply, error) {
	fail := func(err error) ([]Reply, error) { return nil, fmt.Errorf("redis: cache %s: %w", c.cfg.Name, err) }
	if ctx.Err() != nil {
		return fail(ended(ctx))
	}
	if int64(time.Since(c.epoch)) < c.paused.Load() {
		return fail(ErrPaused)
	}
	cmds := make([][]string, len(keys))
	for i, key := range keys {
		if len(key) > maxKey {
			return fail(fmt.Errorf("key of %d bytes, at most %d are allowed", len(key), maxKey))
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
			if ctx.Err() == nil && c.cfg.Pause > 0 {
				c.paused.Store(int64(time.Since(c.epoch) + c.cfg.Pause))
			}
			return fail(r.Err)
		}
	}
	return replies, nil
}

// CacheStats are the figures of a [Cache] since it was made.
type CacheStats struct {
	Hits   uint64 `json:"hits"`   // values that were found
	Misses uint64 `json:"misses"` // values that were not, or could not be decoded
	Errors uint64 `json:"errors"` // values that the server could not be asked for
}

// Stats returns the figures.
func (c *Cache[V]) Stats() CacheStats {
	return CacheStats{Hits: c.hits.Load(), Misses: c.misses.Load(), Errors: c.failures.Load()}
}

// Forget returns a function that removes keys from c, and everything if keys is nil: what a client that is told of
// changes on the server calls, such as rueidisclient.Track.
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
