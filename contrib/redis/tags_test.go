package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redoubt-go/redoubt/cache"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
)

// words are the tags of a value that consists of words.
func tagged(client redoubtredis.Client, name string) *redoubtredis.Cache[string] {
	c := raw(client, name)
	c.Tags = func(_, v string) []string { return strings.Fields(v) }
	return redoubtredis.NewCache(c)
}

// values returns the values of keys, "" for a key without a record.
func values(t *testing.T, c *redoubtredis.Cache[string], keys ...string) (all []string) {
	t.Helper()
	for _, key := range keys {
		r, err := c.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r.Value)
	}
	return all
}

// A deletion of tags removes the values that have any of them, also on a
// cluster, and what loads in progress have loaded before.
func TestTags(t *testing.T) {
	t.Parallel()
	server, nodes := redistest.Start(t), redistest.Cluster(t)
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		for name, client := range map[string]redoubtredis.Client{"server": connect(t, server.Addr), "cluster": connect(t, nodes[0].Addr, nodes[1].Addr)} {
			t.Run(name, func(t *testing.T) {
				ctx := t.Context()
				a, b := tagged(client, "tags:"+strings.ReplaceAll(t.Name()[9:], "/", ":")), tagged(client, "tags:"+strings.ReplaceAll(t.Name()[9:], "/", ":"))
				keys := []string{"1", "2", "3", "4", "5", "}/"}
				fill := func() {
					for i, v := range []string{"red big", "red", "blue big", "blue", "", "red\n1 2 green"} {
						if err := a.Set(ctx, keys[i], record(v, time.Hour)); err != nil {
							t.Fatal(err)
						}
					}
				}
				fill()
				if got := values(t, b, keys...); !slices.Equal(got, []string{"red big", "red", "blue big", "blue", "", "red\n1 2 green"}) {
					t.Errorf("stored %q", got)
				}
				loading, err := a.Get(ctx, "loading")
				late, err2 := a.Get(ctx, "late")
				if err != nil || err2 != nil {
					t.Fatal(err, err2)
				}
				if err := b.DeleteTags(ctx, "red", "none"); err != nil {
					t.Fatal(err)
				}
				if got := values(t, a, keys...); !slices.Equal(got, []string{"", "", "blue big", "blue", "", ""}) {
					t.Errorf("after a deletion: %q", got)
				}
				loading.Found, loading.Value, loading.TTL = true, "old red", time.Hour
				late.Found, late.Value, late.TTL = true, "old blue", time.Hour
				for key, r := range map[string]cache.Record[string]{"loading": loading, "late": late} {
					if err := a.Set(ctx, key, r); err != nil {
						t.Fatal(err)
					}
				}
				if got := values(t, b, "loading", "late"); !slices.Equal(got, []string{"", "old blue"}) {
					t.Errorf("loaded before the deletion: %q, want no value with a deleted tag", got)
				}
				again, err := a.Get(ctx, "loading")
				again.Found, again.Value, again.TTL = true, "new red", time.Hour
				if err != nil || a.Set(ctx, "loading", again) != nil {
					t.Fatal(err)
				}
				fill()
				if got := values(t, b, "loading", "1"); !slices.Equal(got, []string{"new red", "red big"}) {
					t.Errorf("stored after the deletion: %q", got)
				}
			})
		}
	})
}

// Tags take bounded memory. If the server loses their hash, the values are not
// valid either. A full server deletes tags too.
func TestTags_Server(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	c := tagged(goClient(t, server.Addr), "c")
	lease, err := c.Get(ctx, "before")
	if err := c.Set(ctx, "a", record("red", time.Hour)); err != nil {
		t.Fatal(err)
	}
	many := make([]string, 100_000)
	for i := range many {
		many[i] = fmt.Sprint("tag", i)
	}
	for tags := range slices.Chunk(many, 2000) {
		if err := c.DeleteTags(ctx, tags...); err != nil {
			t.Fatal(err)
		}
	}
	if got := values(t, c, "a"); got[0] != "" {
		t.Errorf("%q is left of all tags", got)
	}
	keys := strings.Fields(server.MustDo("KEYS", "c#{??}"))
	memory := 0
	for _, key := range keys {
		if n := server.MustDo("HLEN", key); n != "1026" {
			t.Errorf("%s has %s fields, want 1026", key, n)
		}
		n, err := strconv.Atoi(server.MustDo("MEMORY", "USAGE", key, "SAMPLES", "0"))
		if err != nil {
			t.Fatal(err)
		}
		memory += n
	}
	t.Logf("%d bytes for 100,000 tags", memory)
	if len(keys) != 32 || memory > 3<<20 {
		t.Errorf("%d hashes of %d bytes, want 32 of less than 3 MiB", len(keys), memory)
	}
	if err := c.Set(ctx, "a", record("red", time.Hour)); err != nil {
		t.Fatal(err)
	}
	server.MustDo(append([]string{"DEL"}, keys...)...) // evicted
	if got := values(t, c, "a"); got[0] != "" {
		t.Errorf("%q is valid without its tags", got)
	}
	lease.Found, lease.Value, lease.TTL = true, "old", time.Hour
	if err != nil || c.Set(ctx, "before", lease) != nil || values(t, c, "before")[0] != "" {
		t.Errorf("%v: a lease is valid without its tags", err)
	}
	for _, key := range []string{"a", "b"} {
		if err := c.Set(ctx, key, record("red", time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	server.MustDo("CONFIG", "SET", "maxmemory", "1")
	if err := c.DeleteTags(ctx, "red"); err != nil {
		t.Errorf("on a full server: %v", err)
	}
	if got := values(t, c, "a", "b"); got[0]+got[1] != "" {
		t.Errorf("on a full server: %q", got)
	}
	server.MustDo("CONFIG", "SET", "maxmemory", "0")
	server.MustDo("SET", "c#{00}", "of another type")
	if err := c.DeleteTags(ctx, "red"); err != nil {
		t.Errorf("with a key of another type: %v", err)
	}
	if err := c.DeleteTags(ctx); err != nil {
		t.Errorf("no tags: %v", err)
	}
	for what, err := range map[string]error{
		"65 tags":                  c.Set(ctx, "a", record(strings.Repeat("x ", 65), time.Hour)),
		"without CacheConfig.Tags": redoubtredis.NewCache(raw(goClient(t, server.Addr), "c")).DeleteTags(ctx, "red"),
	} {
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want %q in it", err, what)
		}
	}
}

// Values of any size are stored and found, with and without tags.
func TestTags_MaxValue(t *testing.T) {
	_, client := mini(t)
	for _, size := range []int{-1, math.MaxInt, math.MaxInt - 1, 100} {
		for name, tags := range map[string]func(string, string) []string{"tags": func(_, v string) []string { return make([]string, 64) }, "none": nil} {
			config := raw(client, fmt.Sprint(name, size))
			config.MaxValue, config.Tags = size, tags
			c, v := redoubtredis.NewCache(config), strings.Repeat("x", 100)
			if r, err := c.Get(t.Context(), "k"); err != nil || len(r.Lease) < 10 {
				t.Errorf("%s, %d: %+v, %v, want a lease", name, size, r, err)
			}
			if err := c.Set(t.Context(), "k", record(v, time.Hour)); err != nil {
				t.Fatal(err)
			}
			if got := values(t, c, "k"); got[0] != v {
				t.Errorf("%s, %d: got %q", name, size, got)
			}
		}
	}
}

// A deletion of tags that reaches only some partitions returns an error, and
// can be repeated. A value without a header, from another program, is absent.
func TestTags_Part(t *testing.T) {
	m, client := mini(t)
	p := &partial{Client: client}
	c, ctx := tagged(p, "c"), t.Context()
	var keys []string
	for i := range 100 {
		keys = append(keys, fmt.Sprint(i))
		if err := c.Set(ctx, keys[i], record("red", time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	left := func() int { return len(strings.Join(values(t, c, keys...), "")) / len("red") }
	if left() != 100 {
		t.Errorf("%d of 100 values", left())
	}
	p.lost = true
	if err := c.DeleteTags(ctx, "red"); !errors.Is(err, errLost) {
		t.Errorf("%v, want the error of a partition", err)
	}
	if p.lost = false; p.told != 1 {
		t.Error("the first levels keep the values that were removed")
	}
	if n := left(); n == 0 || n > 20 {
		t.Errorf("%d values left, want a few", n)
	}
	if err := c.DeleteTags(ctx, "red"); err != nil || left() != 0 {
		t.Errorf("%v, %d values left", err, left())
	}
	r, err := c.Get(ctx, "k")
	if err != nil || c.DeleteTags(ctx, "red") != nil {
		t.Fatal(err)
	}
	stored := m.Keys()
	leased := stored[slices.IndexFunc(stored, func(name string) bool { return strings.HasSuffix(name, "/k") })]
	r.Found, r.Value, r.TTL = true, "red", time.Hour
	if err := c.Set(ctx, "k", r); err != nil || m.Exists(leased) {
		t.Errorf("%v: a lease from before the deletion, or its value, remains", err)
	}
	if err := m.Set(leased, "Vforeign"); err != nil {
		t.Fatal(err)
	}
	if got := values(t, c, "k"); got[0] != "" {
		t.Errorf("%q has no tags", got)
	}
}

// A partial client loses the commands for partition 7.
type partial struct {
	redoubtredis.Client
	lost bool
	told int // messages published
}

var errLost = errors.New("lost")

func (p *partial) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	var sent [][]string
	for _, cmd := range cmds {
		if cmd[0] == "PUBLISH" {
			p.told++
		}
		if !p.lost || !strings.Contains(strings.Join(cmd, " "), "#{07}") {
			sent = append(sent, cmd)
		}
	}
	var replies, all []redoubtredis.Reply
	if len(sent) > 0 {
		replies = p.Client.Do(ctx, sent...)
	}
	for _, cmd := range cmds {
		if len(sent) > 0 && &cmd[0] == &sent[0][0] {
			all, sent, replies = append(all, replies[0]), sent[1:], replies[1:]
			continue
		}
		all = append(all, redoubtredis.Reply{Err: errLost})
	}
	return all
}

// The first levels of other processes forget all keys after a deletion of tags,
// and a key that is deleted, with each client.
func TestTags_FirstLevels(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	first, _ := tracked(t, server.Addr, "c")
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { rdb.Close() })
	second := cache.New(cache.Config[string, string]{Capacity: 100})
	done, begun := make(chan error, 1), make(chan bool, 100)
	ctx, cancel := context.WithCancel(ctx)
	forget := redoubtredis.Forget(second)
	go func() {
		done <- goredisclient.Listen(ctx, rdb, "c", func(keys []string) { forget(keys); begun <- true })
	}()
	<-begun
	other := tagged(goClient(t, server.Addr), "c")
	fill := func() {
		for _, l := range []*cache.Cache[string, string]{first, second} {
			l.Set("1", "red")
			l.Set("2", "blue")
		}
	}
	if err := other.Set(ctx, "1", record("red", time.Hour)); err != nil {
		t.Fatal(err)
	}
	fill()
	until(t, "deleted by its key", func() bool {
		if err := other.Delete(ctx, "1"); err != nil {
			t.Error(err)
		}
		_, a := first.Peek("1")
		_, b := second.Peek("1")
		return !a && !b
	})
	fill()
	if err := other.DeleteTags(ctx, "red"); err != nil {
		t.Fatal(err)
	}
	until(t, "all forgotten", func() bool { return first.Len()+second.Len() == 0 })
	cancel()
	<-done
}
