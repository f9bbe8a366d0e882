package redoubtredis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/redoubt-go/redoubt/cache"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
)

// Two processes load values of an origin through a second level, change them
// there, and delete them, by their keys or by a tag. The server is killed, and
// each process loses its connections. A read that begins after a deletion was
// acknowledged never returns a value from before. Oracle: the versions of the
// origin. Without leases, the oracle finds old values.
func TestHistory(t *testing.T) {
	if os.Getenv("REDOUBT_TEST_HISTORY") != "" {
		playHistory(t)
		return
	}
	t.Parallel()
	for name, mode := range map[string]history{"leases": {lease: true}, "no leases": {}, "tags": {lease: true, tags: true}, "tags, no leases": {tags: true}} {
		t.Run(name, func(t *testing.T) {
			lease := mode.lease
			t.Parallel()
			origin, server := redistest.Start(t), redistest.Start(t)
			proxies := []*redistest.Proxy{server.Slow(), server.Slow()}
			var reads, hits, stale, writes, failed atomic.Int64
			var wg sync.WaitGroup
			done := make(chan bool)
			for i, p := range proxies {
				wg.Go(func() {
					cmd := exec.Command(os.Args[0], "-test.run=^TestHistory$", "-test.v")
					cmd.Env = append(os.Environ(), fmt.Sprintf("REDOUBT_TEST_HISTORY=%s %s %d %t %t", origin.Addr, p.Addr, i, mode.lease, mode.tags))
					out, err := cmd.CombinedOutput()
					var n [5]int64
					_, figures, _ := strings.Cut(string(out), "figures: ")
					if _, scan := fmt.Sscan(figures, &n[0], &n[1], &n[2], &n[3], &n[4]); err != nil || scan != nil {
						t.Errorf("%v, %v:\n%s", err, scan, out)
					}
					for j, sum := range []*atomic.Int64{&reads, &hits, &stale, &writes, &failed} {
						sum.Add(n[j])
					}
				})
			}
			go func() { wg.Wait(); close(done) }()
			for round := 0; ; round++ {
				select {
				case <-done:
					t.Logf("%d reads, %d hits, %d stale; %d changes, %d deletions not acknowledged at first; %d faults",
						reads.Load(), hits.Load(), stale.Load(), writes.Load(), failed.Load(), round)
					if lease == (stale.Load() > 0) {
						t.Errorf("%d stale reads of %d, with leases %v", stale.Load(), reads.Load(), lease)
					}
					if hits.Load() == 0 || writes.Load() == 0 || failed.Load() == 0 {
						t.Error("nothing was tested")
					}
					return
				case <-time.After(300 * time.Millisecond):
				}
				switch p := proxies[round%2]; round % 4 {
				case 0, 1:
					p.SetCut(true)
					time.AfterFunc(100*time.Millisecond, func() { p.SetCut(false) })
				case 2:
					server.Restart()
				case 3:
					p.SetDelay(200 * time.Millisecond)
					time.AfterFunc(200*time.Millisecond, func() { p.SetDelay(0) })
				}
			}
		})
	}
}

// A history says how values are deleted, and whether a store observes leases.
type history struct{ lease, tags bool }

// stubborn stores values whether their leases have ended or not.
type stubborn struct{ *redoubtredis.Cache[string] }

func (s stubborn) Set(ctx context.Context, key string, r cache.Record[string]) error {
	r.Lease = ""
	return s.Cache.Set(ctx, key, r)
}

// playHistory is a process of TestHistory. It changes its own keys, and reads
// all keys.
func playHistory(t *testing.T) {
	var origin, server string
	var me int
	var mode history
	if _, err := fmt.Sscan(os.Getenv("REDOUBT_TEST_HISTORY"), &origin, &server, &me, &mode.lease, &mode.tags); err != nil {
		t.Fatal(err)
	}
	truth := goredis.NewClient(&goredis.Options{Addr: origin, PoolSize: 20})
	defer truth.Close()
	config := raw(rueClient(t, server), "h")
	config.Timeout = 50 * time.Millisecond
	group := func(key string) string { return key }
	if mode.tags { // keys 10, 11 and 12 are one group
		group = func(key string) string { return key[:1] }
		config.Tags = func(key, _ string) []string { return []string{"some", group(key)} }
	}
	second := redoubtredis.NewCache(config)
	remove := func(ctx context.Context, key string) error { return second.Delete(ctx, key) }
	if mode.tags {
		remove = func(ctx context.Context, key string) error { return second.DeleteTags(ctx, group(key)) }
	}
	var store cache.Store[string, string] = second
	if !mode.lease {
		store = stubborn{second}
	}
	ctx := context.Background()
	version := func(kind, key string) int {
		n, err := truth.Get(ctx, kind+group(key)).Int()
		if err != nil && err != goredis.Nil {
			t.Error(err)
		}
		return n
	}
	load := cache.Tier[string, string]{Store: store, TTL: time.Minute}.Through(func(_ context.Context, key string) (string, error) {
		v := version("v", key)
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		return fmt.Sprint(v), nil
	})
	var reads, stale, writes, failed atomic.Int64
	var wg sync.WaitGroup
	end := time.Now().Add(4 * time.Second)
	for worker := range 6 {
		wg.Go(func() {
			for time.Now().Before(end) {
				if worker == 0 {
					key := fmt.Sprint(me, rand.IntN(3))
					v, err := truth.Incr(ctx, "v"+group(key)).Result()
					for err == nil && remove(ctx, key) != nil {
						failed.Add(1)
						time.Sleep(5 * time.Millisecond)
					}
					if err := truth.Set(ctx, "acked"+group(key), v, 0).Err(); err != nil {
						t.Error(err)
					}
					writes.Add(1)
					time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
					continue
				}
				key := fmt.Sprint(rand.IntN(2), rand.IntN(3))
				before := version("acked", key)
				text, err := load(ctx, key)
				var got int
				if _, scan := fmt.Sscan(text, &got); err != nil || scan != nil {
					t.Error(err, scan)
				}
				if reads.Add(1); got < before {
					stale.Add(1)
				}
			}
		})
	}
	wg.Wait()
	fmt.Println("figures:", reads.Load(), second.Stats().Hits, stale.Load(), writes.Load(), failed.Load())
}
