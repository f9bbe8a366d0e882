package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/cache/cachetest"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/contrib/redis/rueidisclient"
)

// raw stores strings as they are.
func raw(client redoubtredis.Client, name string) redoubtredis.CacheConfig[string] {
	return redoubtredis.CacheConfig[string]{
		Client: client, Name: name, Timeout: patient,
		Encode: func(s string) ([]byte, error) { return []byte(s), nil },
		Decode: func(text []byte) (string, error) { return string(text), nil },
	}
}

// The conformance kit, with each client, on one server and on a cluster.
func TestCache_Store(t *testing.T) {
	t.Parallel()
	server, nodes := redistest.Start(t), redistest.Cluster(t)
	var stores atomic.Int64
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		for name, client := range map[string]redoubtredis.Client{"server": connect(t, server.Addr), "cluster": connect(t, nodes[0].Addr, nodes[1].Addr)} {
			for _, tags := range []bool{false, true} {
				t.Run(fmt.Sprint(name, ", tags ", tags), func(t *testing.T) {
					cachetest.Run(t, func(*testing.T) cache.Store[string, string] {
						c := raw(client, fmt.Sprint("store", stores.Add(1))) // none sees the keys of another
						if tags {
							c.Tags = func(key, v string) []string { return []string{key, v, "all"} }
						}
						return redoubtredis.NewCache(c)
					})
				})
			}
		}
	})
}

// record returns the record of a value.
func record[V any](v V, ttl time.Duration) cache.Record[V] {
	return cache.Record[V]{Found: true, Value: v, TTL: ttl}
}

func TestCache(t *testing.T) {
	m, client := mini(t)
	type user struct{ Name string }
	c := redoubtredis.NewCache(redoubtredis.CacheConfig[user]{Client: client, Name: "users", MaxValue: 50, Timeout: patient})
	ctx := t.Context()
	if err := c.Set(ctx, "a", record(user{"Ann"}, 1500*time.Microsecond)); err != nil {
		t.Fatal(err)
	}
	if text, _ := m.Get("users/a"); text != `V{"Name":"Ann"}` || m.TTL("users/a") != 2*time.Millisecond {
		t.Errorf("stored %q for %v, want JSON for 2ms: rounded up", text, m.TTL("users/a"))
	}
	if r, err := c.Get(ctx, "a"); err != nil || r.Value.Name != "Ann" || r.TTL != 2*time.Millisecond {
		t.Errorf("got %v, %v", r, err)
	}
	for _, ttl := range []time.Duration{0, -1, -time.Hour} {
		if err := c.Set(ctx, "a", record(user{}, time.Hour)); err != nil {
			t.Fatal(err)
		}
		err := c.Set(ctx, "a", record(user{}, ttl))
		if r, getErr := c.Get(ctx, "a"); err != nil || getErr != nil || r.Found {
			t.Errorf("%v, %v; a value with the lifetime %v is there", err, getErr, ttl)
		}
	}
	for what, text := range map[string]string{"broken": `V{"Name":`, "of another version": `{"Name":"Ann"}`, "too large": `V{"Name":"` + strings.Repeat("x", 50) + `"}`} {
		if err := m.Set("users/b", text); err != nil {
			t.Fatal(err)
		}
		if r, err := c.Get(ctx, "b"); r.Found || err != nil {
			t.Errorf("%s: got %v, %v, want no record", what, r, err)
		}
	}
	for what, err := range map[string]error{
		"of 61 bytes, want at most 50": c.Set(ctx, "c", record(user{strings.Repeat("x", 50)}, time.Second)),
		"key of 2000 bytes":            c.Set(ctx, strings.Repeat("k", 2000), record(user{}, time.Second)),
		"at most 1024":                 c.Delete(ctx, "a", strings.Repeat("k", 1025)),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q in it", err, what)
		}
	}
	if s := c.Stats(); s.Hits != 1 || s.Misses != 6 || s.Errors != 0 {
		t.Errorf("%+v, want 1 hit and 6 misses", s)
	}
	m.SetError("LOADING")
	if _, err := c.Get(ctx, "a"); err == nil || !strings.Contains(err.Error(), "LOADING") {
		t.Errorf("%v, want what the server says", err)
	}
}

// A server that does not answer costs three timeouts; then it is left alone for
// a while. Tier.Through never notices.
func TestCache_Outage(t *testing.T) {
	var asked atomic.Int64
	c := redoubtredis.NewCache(redoubtredis.CacheConfig[int]{Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
		asked.Add(1)
		return hanging{}.Do(ctx, cmds...)
	}), Timeout: 20 * time.Millisecond})
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("why")
	cancel(why)
	if _, err := c.Get(ctx, "k"); !errors.Is(err, context.Canceled) || !errors.Is(err, why) || asked.Load() != 0 {
		t.Errorf("%v, want that of the context and its cause", err)
	}
	load := cache.Tier[string, int]{Store: c, TTL: time.Minute}.Through(func(context.Context, string) (int, error) { return 7, nil })
	for range 100 {
		if v, err := load(t.Context(), "k"); v != 7 || err != nil {
			t.Errorf("%v, %v, want 7", v, err)
		}
	}
	if n := asked.Load(); n < 3 || n > 10 {
		t.Errorf("asked %d times, want 3 times and single tries", n)
	}
	if err := c.Delete(t.Context(), "k"); !errors.Is(err, redoubtredis.ErrDown) {
		t.Errorf("%v, want ErrDown", err)
	}
}

// tracked returns a first level that forgets keys that change on the server.
func tracked(t *testing.T, addr, name string) (*cache.Cache[string, string], *redoubtredis.Cache[string]) {
	first := cache.New(cache.Config[string, string]{Capacity: 100})
	o := rueidisclient.Track(rueidis.ClientOption{InitAddress: []string{addr}}, name, redoubtredis.Forget(first))
	c, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return first, redoubtredis.NewCache(raw(rueidisclient.New(c), name))
}

// A key that a process changes is forgotten by the others and kept by itself.
// After FLUSHALL, and when the connection is lost, all keys are forgotten.
func TestTrack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	mine, store := tracked(t, server.Addr, "values")
	theirs, other := tracked(t, server.Addr, "values")
	loads := 0
	load := cache.Tier[string, string]{Store: store, TTL: time.Minute}.Through(func(context.Context, string) (string, error) {
		loads++
		return fmt.Sprint("v", loads), nil
	})
	get := func(want string) {
		t.Helper()
		if v, err := mine.GetOrLoad(ctx, "k", load); v != want || err != nil {
			t.Errorf("got %q, %v, want %q", v, err, want)
		}
	}
	fill := func() {
		mine.Set("x", "1")
		theirs.Set("x", "1")
	}
	gone := func(c *cache.Cache[string, string], key string) func() bool {
		return func() bool { _, ok := c.Peek(key); return !ok }
	}
	get("v1")
	fill()
	theirs.Set("k", "old")
	if err := store.Set(ctx, "k", record("v1", time.Minute)); err != nil {
		t.Fatal(err)
	}
	until(t, "forgotten by others", gone(theirs, "k"))
	get("v1")
	if loads != 1 || gone(mine, "k")() || gone(mine, "x")() || gone(theirs, "x")() {
		t.Errorf("%d loads, want 1: a change of its own made the process forget, or a change of another key", loads)
	}
	if err := other.Delete(ctx, "k"); err != nil {
		t.Fatal(err)
	}
	until(t, "forgotten here", gone(mine, "k"))
	get("v2")
	server.MustDo("FLUSHALL")
	until(t, "all forgotten", func() bool { return mine.Len()+theirs.Len() == 0 })
	get("v3")
	fill()
	server.Restart()
	until(t, "all forgotten", func() bool { return mine.Len()+theirs.Len() == 0 })
}

func TestCache_Validate(t *testing.T) {
	bad := redoubtredis.CacheConfig[int]{Name: "a/b", Encode: func(int) ([]byte, error) { return nil, nil }}
	err := bad.Validate()
	for _, want := range []string{"Client", `Name: "a/b"`, "Decode is missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %q", err, want)
		}
	}
	defer func() {
		if got, ok := recover().(error); !ok || got.Error() != err.Error() {
			t.Errorf("NewCache panics with %v, want %v", got, err)
		}
	}()
	redoubtredis.NewCache(bad)
}
