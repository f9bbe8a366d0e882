package redoubtredis_test

import (
	"context"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/contrib/redis/rueidisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// patient is a Timeout that a loaded machine keeps to; tests that are not about
// time use it.
const patient = 20 * time.Second

func goClient(t testing.TB, addrs ...string) redoubtredis.Client {
	t.Helper()
	c := goredis.NewUniversalClient(&goredis.UniversalOptions{Addrs: addrs, ContextTimeoutEnabled: true, DisableIdentity: true})
	t.Cleanup(func() { c.Close() })
	return goredisclient.New(c)
}

func rueClient(t testing.TB, addrs ...string) redoubtredis.Client {
	t.Helper()
	c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: addrs, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return rueidisclient.New(c)
}

// clients are the ways to a real server.
var clients = map[string]func(testing.TB, ...string) redoubtredis.Client{"go-redis": goClient, "rueidis": rueClient}

// eachClient runs a test with each of them.
func eachClient(t *testing.T, test func(*testing.T, func(testing.TB, ...string) redoubtredis.Client)) {
	for name, client := range clients {
		t.Run(name, func(t *testing.T) { test(t, client) })
	}
}

// startMicros is the instant at which the time of mini stands still.
const startMicros = 1_800_000_000_000_000

// mini starts a server in this process, which needs no program and whose time
// stands still at a whole second.
func mini(t testing.TB) (*miniredis.Miniredis, redoubtredis.Client) {
	t.Helper()
	m := miniredis.RunT(t)
	m.SetTime(time.UnixMicro(startMicros))
	return m, goClient(t, m.Addr())
}

// newLimiter is redoubtredis.New for tests that are not about time or outages.
// An outage fails the test.
func newLimiter(t testing.TB, c redoubtredis.Config) *redoubtredis.Limiter {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = patient
	}
	if c.Nodes == 0 {
		c.Nodes = 1
	}
	if c.OnEvent == nil {
		c.OnEvent = func(_ context.Context, e redoubtredis.Event) { t.Errorf("unexpected %v: %v", e.Kind, e.Err) }
	}
	l := redoubtredis.New(c)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// take takes n events and wants an answer.
func take(t testing.TB, s ratelimit.Store, key string, n int64) ratelimit.Decision {
	t.Helper()
	d, err := s.TakeKey(context.Background(), key, n)
	if err != nil {
		t.Fatalf("TakeKey(%.20q, %d): %v", key, n, err)
	}
	return d
}

// until polls for a condition, with a bound that a loaded machine keeps to.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patient); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s within %v", what, patient)
		}
	}
}

func limits(l ...ratelimit.Limit) []ratelimit.Limit { return l }
