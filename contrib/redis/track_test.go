package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	"github.com/redoubt-go/redoubt/cache"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/contrib/redis/rueidisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// Changes while the connection is lost are not missed: the first level is empty
// once the server reports changes again.
func TestTrack_Reconnect(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := server.Slow()
	first := cache.New(cache.Config[string, string]{Capacity: 100})
	var clears atomic.Int64
	forget := redoubtredis.Forget(first)
	o := rueidisclient.Track(rueidis.ClientOption{InitAddress: []string{proxy.Addr}}, "v", func(keys []string) {
		if forget(keys); keys == nil {
			clears.Add(1)
		}
	})
	c, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	until(t, "tracking", func() bool { return clears.Load() == 1 })
	proxy.SetCut(true)
	until(t, "lost", func() bool { return clears.Load() == 2 })
	first.Set("k", "old") // loaded from the origin, while another process changes it
	proxy.SetCut(false)
	until(t, "forgotten", func() bool { _, ok := first.Peek("k"); return !ok })
	store, other := redoubtredis.NewCache(raw(rueidisclient.New(c), "v")), redoubtredis.NewCache(raw(rueClient(t, server.Addr), "v"))
	first.Set("k", "old")
	before := clears.Load()
	until(t, "connected", func() bool { _, err := store.Get(t.Context(), "x"); return err == nil })
	if _, ok := first.Peek("k"); ok || clears.Load() == before {
		t.Error("a value from before the connection is kept")
	}
	first.Set("k", "new")
	if err := other.Delete(t.Context(), "k"); err != nil {
		t.Fatal(err)
	}
	until(t, "forgotten by a report", func() bool { _, ok := first.Peek("k"); return !ok })
}

// Two caches on one client hear of their own keys.
func TestTrack_Twice(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	var mu sync.Mutex
	heard := map[string]string{}
	hear := func(name string) func([]string) {
		return func(keys []string) {
			mu.Lock()
			defer mu.Unlock()
			for _, key := range keys {
				heard[name] += key
			}
		}
	}
	o := rueidis.ClientOption{InitAddress: []string{server.Addr}}
	for _, name := range []string{"users", "orders", "users"} {
		o = rueidisclient.Track(o, name, hear(name))
	}
	c, err := rueidis.NewClient(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	server.MustDo("SET", "orders/o", "1")
	server.MustDo("SET", "users/u", "1")
	until(t, "heard of both", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return heard["users"] == "uu" && heard["orders"] == "o"
	})
}

// With go-redis, a first level hears of deletions by other processes, and is
// empty after a loss of the connection.
func TestListen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := server.Slow()
	rdb := goredis.NewClient(&goredis.Options{Addr: proxy.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	other := redoubtredis.NewCache(raw(rueClient(t, server.Addr), "v"))
	first := cache.New(cache.Config[string, string]{Capacity: 100})
	var clears atomic.Int64
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	forget := redoubtredis.Forget(first)
	go func() {
		done <- goredisclient.Listen(ctx, rdb, "v", func(keys []string) {
			if forget(keys); keys == nil {
				clears.Add(1)
			}
		})
	}()
	gone := func(key string) func() bool {
		return func() bool { _, ok := first.Peek(key); return !ok }
	}
	until(t, "subscribed", func() bool { return clears.Load() > 0 })
	first.Set("a", "1")
	first.Set("b", "1")
	first.Set("c", "1")
	if err := errors.Join(other.Delete(ctx, "a"), other.Set(ctx, "b", record("2", time.Hour))); err != nil {
		t.Fatal(err)
	}
	until(t, "forgotten", func() bool { return gone("a")() && gone("b")() })
	if gone("c")() {
		t.Error("a key that did not change was forgotten")
	}
	clears.Store(0)
	proxy.SetCut(true)
	until(t, "lost", func() bool { return clears.Load() > 0 })
	first.Set("k", "old")
	proxy.SetCut(false)
	until(t, "forgotten after the loss", gone("k"))
	server.Stop() // keeps the connection
	first.Set("k", "old")
	until(t, "forgotten while the server hangs", gone("k"))
	server.Continue()
	why := errors.New("why")
	cancel(why)
	if err := <-done; !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("%v, want the error of the context and its cause", err)
	}
}

// An address that moves to a new master is followed, although the old master
// keeps its connections and answers READONLY.
func TestDrill_MovedMaster(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		before, after := redistest.Start(t), redistest.Start(t)
		proxy := before.Slow()
		l := redoubtredis.New(redoubtredis.Config{Client: connect(t, proxy.Addr), Limits: limits(ratelimit.PerHour(10)), Outage: redoubtredis.OutageRefuse, Timeout: timeout, Denied: -1})
		n := 0
		fresh := func() bool { n++; return take(t, l, fmt.Sprint("k", n), 1).OK }
		until(t, "served", fresh)
		proxy.MoveTo(after)
		before.MustDo("REPLICAOF", "127.0.0.1", "1")
		moved := time.Now()
		until(t, "served by the new master", func() bool { return fresh() && after.MustDo("DBSIZE") != "0" })
		t.Logf("after %v", time.Since(moved))
	})
}

// After a time in which all packets were lost, the client connects again soon,
// with the options that rueidisclient advises. No caller waits for that.
func TestDrill_Blackhole(t *testing.T) {
	t.Parallel()
	connect := map[string]func(testing.TB, ...string) redoubtredis.Client{"go-redis": goClient, "rueidis": func(t testing.TB, addrs ...string) redoubtredis.Client {
		o := rueidis.ClientOption{InitAddress: addrs, DisableCache: true, ConnWriteTimeout: time.Second, AlwaysPipelining: true}
		o.Dialer.KeepAlive, o.Dialer.Timeout = time.Second, time.Second
		c, err := rueidis.NewClient(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return rueidisclient.New(c)
	}}
	for name, connect := range connect {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := redistest.Start(t).Slow()
			d := startDrill(t, redoubtredis.Config{Client: connect(t, proxy.Addr), Outage: redoubtredis.OutageRefuse, Denied: -1, Limits: limits(ratelimit.PerHour(1 << 30))})
			proxy.SetHung(true)
			d.down()
			proxy.SetHung(false)
			begun := time.Now()
			d.up()
			d.end()
			t.Logf("up again after %v, %d outages", time.Since(begun), d.limiter.Stats().Outages)
		})
	}
}

// Hooks of go-redis see the words of a command.
func TestHooksSeeWords(t *testing.T) {
	m, _ := mini(t)
	rdb := goredis.NewClient(&goredis.Options{Addr: m.Addr(), ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	h := &hook{}
	rdb.AddHook(h)
	goredisclient.New(rdb).Do(t.Context(), []string{"SET", "k", "v"})
	if h.last != "SET k v: OK" {
		t.Errorf("hook sees %q", h.last)
	}
}

type hook struct{ last string }

func (h *hook) DialHook(next goredis.DialHook) goredis.DialHook { return next }
func (h *hook) ProcessPipelineHook(next goredis.ProcessPipelineHook) goredis.ProcessPipelineHook {
	return next
}

func (h *hook) ProcessHook(next goredis.ProcessHook) goredis.ProcessHook {
	return func(ctx context.Context, cmd goredis.Cmder) error {
		err := next(ctx, cmd)
		h.last = cmd.String()
		return err
	}
}
