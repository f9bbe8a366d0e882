package redis_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	redisrate "github.com/go-redis/redis_rate/v10"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/contrib/redis/rueidisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
)

var bg = context.Background()

// patient is longer than a loaded machine delays an answer, so that no outage
// gets into a figure.
const patient = 10 * time.Second

// keys are the same for all, made beforehand.
var keys = func() []string {
	all := make([]string, 64)
	for i := range all {
		all[i] = "user-" + strconv.Itoa(i)
	}
	return all
}()

// An impl is one implementation: make returns a function that takes an event of
// key i within n per second, and says whether it may happen.
type impl struct {
	name string
	make func(b testing.TB, addr string, n int64) func(i int) bool
}

// newGoRedis is the client that both are given, so that the same connections
// carry the same number of commands.
func newGoRedis(b testing.TB, addr string) *goredis.Client {
	c := goredis.NewClient(&goredis.Options{Addr: addr, ContextTimeoutEnabled: true})
	b.Cleanup(func() { c.Close() })
	return c
}

func newRueidis(b testing.TB, addr string) redoubtredis.Client {
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{addr}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	return rueidisclient.New(c)
}

func limiter(b testing.TB, client redoubtredis.Client, n, lease int64) func(int) bool {
	l := redoubtredis.New(redoubtredis.Config{
		Client: client, Limits: []ratelimit.Limit{ratelimit.PerSecond(n)}, Lease: lease, LeaseFor: time.Second,
		Timeout: patient, Nodes: 1, OnEvent: func(_ context.Context, e redoubtredis.Event) { b.Error(e.Kind, e.Err) },
	})
	b.Cleanup(func() { _ = l.Close() })
	return func(i int) bool {
		d, err := l.TakeKey(bg, keys[i%len(keys)], 1)
		return err == nil && d.OK
	}
}

var impls = []impl{
	{"redis_rate", func(b testing.TB, addr string, n int64) func(int) bool {
		l := redisrate.NewLimiter(newGoRedis(b, addr))
		limit := redisrate.PerSecond(int(n))
		return func(i int) bool {
			r, err := l.Allow(bg, keys[i%len(keys)], limit)
			return err == nil && r.Allowed == 1
		}
	}},
	{"redoubt", func(b testing.TB, addr string, n int64) func(int) bool {
		return limiter(b, goredisclient.New(newGoRedis(b, addr)), n, 0)
	}},
	{"redoubt+rueidis", func(b testing.TB, addr string, n int64) func(int) bool {
		return limiter(b, newRueidis(b, addr), n, 0)
	}},
}

var leased = impl{"redoubt+leases", func(b testing.TB, addr string, n int64) func(int) bool {
	return limiter(b, goredisclient.New(newGoRedis(b, addr)), n, 100)
}}

const (
	plenty = 10_000_000 // per second: not reached
	little = 1
)

// run benchmarks each implementation on a server of its own, after it has shown
// that it admits what it should.
func run(b *testing.B, impls []impl, n int64, want bool, parallel bool) {
	for _, im := range impls {
		b.Run("impl="+im.name, func(b *testing.B) {
			server := redistest.Start(b)
			take := im.make(b, server.Addr, n)
			for i := range keys {
				if !take(i) {
					b.Fatalf("key %d refused its first event", i)
				}
			}
			b.ReportAllocs()
			var wrong atomic.Int64
			if !parallel {
				for i := 0; b.Loop(); i++ {
					if take(i) != want {
						wrong.Add(1)
					}
				}
			} else {
				b.SetParallelism(16)
				b.RunParallel(func(pb *testing.PB) {
					for i := 0; pb.Next(); i++ {
						if take(i) != want {
							wrong.Add(1)
						}
					}
				})
			}
			if n := wrong.Load(); n > int64(b.N)/10 {
				b.Errorf("%d of %d decisions were not %v", n, b.N, want)
			}
		})
	}
}

// One event at a time, one caller: the same client, server, keys and limit;
// every event is admitted.
func BenchmarkTake(b *testing.B) { run(b, append(slices.Clone(impls), leased), plenty, true, false) }

// The same with 16 callers for each processor.
func BenchmarkTakeParallel(b *testing.B) {
	run(b, append(slices.Clone(impls), leased), plenty, true, true)
}

// Keys that are over their limit of one per second, one caller: now and then
// one event is admitted.
func BenchmarkDenied(b *testing.B) { run(b, impls, little, false, false) }

// Throughput as a ratio: each implementation in turn makes 1600 takes, by 1 and
// by 32 callers at a time, on one server, in changing order. The metrics are
// the medians of its rate divided by that of redis_rate in the same round. This
// is the figure to quote, since a busy machine slows down all of a round alike.
func BenchmarkRatio(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			server := redistest.Start(b)
			all := append(slices.Clone(impls), leased)
			var takes []func(int) bool
			for _, im := range all {
				take := im.make(b, server.Addr, plenty)
				batch(take, callers) // connections, scripts, leases
				takes = append(takes, take)
			}
			ratios := make([][]float64, len(all))
			for round := 0; b.Loop(); round++ {
				took := make([]time.Duration, len(all))
				for i := range all {
					i = (i + round) % len(all)
					took[i] = batch(takes[i], callers)
				}
				for i := range all {
					ratios[i] = append(ratios[i], float64(took[0])/float64(took[i]))
				}
			}
			for i, im := range all[1:] {
				slices.Sort(ratios[i+1])
				b.ReportMetric(ratios[i+1][len(ratios[i+1])/2], im.name+"/redis_rate")
			}
		})
	}
}

// batch makes 1600 takes and returns the time they took.
func batch(take func(int) bool, callers int) time.Duration {
	begun := time.Now()
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for i := range 1600 / callers {
				take(i)
			}
		})
	}
	wg.Wait()
	return time.Since(begun)
}

// What a refused key costs the server, by its own count.
func TestDenied_Commands(t *testing.T) {
	for _, im := range impls {
		server := redistest.Start(t)
		take := im.make(t, server.Addr, little)
		begun := time.Now()
		take(0)
		take(0)
		before := server.Calls("evalsha")
		refused := 0
		for refused < 500 && !take(0) {
			refused++
		}
		executed := server.Calls("evalsha") - before
		t.Logf("impl=%s: %d refusals, %d commands", im.name, refused, executed)
		if im.name == "redis_rate" {
			continue
		}
		if executed > 0 && time.Since(begun) < 500*time.Millisecond {
			t.Errorf("impl=%s: %d refusals cost %d commands, want none", im.name, refused, executed)
		}
	}
}

// Both admit the same burst.
func TestSameBurst(t *testing.T) {
	for _, im := range append(slices.Clone(impls), leased) {
		take, admitted := im.make(t, redistest.Start(t).Addr, 50), 0
		begun := time.Now()
		for range 100 {
			if take(0) {
				admitted++
			}
		}
		if back := int(time.Since(begun)/(20*time.Millisecond)) + 1; admitted < 50 || admitted > 50+back {
			t.Errorf("impl=%s: admitted %d of a burst of 50 and at most %d more", im.name, admitted, back)
		}
	}
}

// Where CI=true nothing may be skipped: the server must be there.
func TestServerInstalled(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("CI is not set: tests that need redis-server are skipped where it is missing")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("%v; install the Debian package redis-server", err)
	}
}
