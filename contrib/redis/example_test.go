package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redoubt-go/redoubt/cache"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// exampleServer starts a server in this process, so that the examples need no
// real server.
func exampleServer() (rdb *goredis.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	server.SetTime(time.Unix(1_800_000_000, 0))
	rdb = goredis.NewClient(&goredis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	return rdb, func() { rdb.Close(); server.Close() }
}

// exampleTimeout is too long for real programs. It keeps the examples from
// failing on a busy machine.
const exampleTimeout = 10 * time.Second

func Example() {
	rdb, stop := exampleServer()
	defer stop()
	ctx, user := context.Background(), "alice"

	limiter := redoubtredis.New(redoubtredis.Config{
		Client: goredisclient.New(rdb),
		Limits: []ratelimit.Limit{ratelimit.PerSecond(5)}, // of each user
		Nodes:  4,                                         // processes
	})
	if d, err := limiter.TakeKey(ctx, user, 1); err == nil && !d.OK {
		fmt.Println("too many requests, retry after", d.RetryAfter)
	}

	fmt.Println("served")
	// Output: served
}

func ExampleNew() {
	rdb, stop := exampleServer()
	defer stop()
	limiter := redoubtredis.New(redoubtredis.Config{
		Client:  goredisclient.New(rdb),
		Limits:  []ratelimit.Limit{ratelimit.PerMinute(3)},
		Outage:  redoubtredis.OutageRefuse,
		Timeout: exampleTimeout,
	})
	for range 5 {
		d, err := limiter.TakeKey(context.Background(), "alice", 1)
		fmt.Println(d.OK, d.Remaining, err)
	}
	s := limiter.Stats()
	fmt.Println(s.RoundTrips, "round trips,", s.Denied, "refused without one")
	// Output:
	// true 2 <nil>
	// true 1 <nil>
	// true 0 <nil>
	// false 0 <nil>
	// false 0 <nil>
	// 4 round trips, 1 refused without one
}

func ExampleNew_quotas() {
	rdb, stop := exampleServer()
	defer stop()

	limiter := redoubtredis.New(redoubtredis.Config{
		Client: goredisclient.New(rdb),
		Limits: []ratelimit.Limit{ratelimit.PerSecond(5)},
		Quotas: []ratelimit.Quota{{N: 10_000, Unit: ratelimit.Month}},
		Nodes:  4,
	})

	for _, l := range limiter.Limits() {
		fmt.Println(l.N, l.Per < time.Hour)
	}
	// Output:
	// 5 true
	// 10000 false
}

func ExampleLimiter_Close() {
	rdb, stop := exampleServer()
	defer stop()
	config := redoubtredis.Config{
		Client: goredisclient.New(rdb), Limits: []ratelimit.Limit{ratelimit.PerHour(1000)},
		Nodes: 4, Timeout: exampleTimeout, Lease: 100, LeaseFor: time.Minute,
	}
	a, b := redoubtredis.New(config), redoubtredis.New(config)
	for range 300 {
		_, _ = a.TakeKey(context.Background(), "k", 1)
	}
	fmt.Println(a.Stats().RoundTrips, "round trips for 300 events")
	d, _ := b.TakeKey(context.Background(), "k", 0)
	fmt.Println(d.Remaining, "left while some are taken ahead")
	fmt.Println(a.Close())
	d, _ = b.TakeKey(context.Background(), "k", 0)
	fmt.Println(d.Remaining, "left after Close")
	// Output:
	// 9 round trips for 300 events
	// 673 left while some are taken ahead
	// <nil>
	// 700 left after Close
}

func ExampleEvent() {
	limiter := redoubtredis.New(redoubtredis.Config{
		Client: lost{}, Limits: []ratelimit.Limit{ratelimit.PerMinute(40)}, Nodes: 20,
		OnEvent: func(_ context.Context, e redoubtredis.Event) { fmt.Println(e.Kind, "of", e.Name, "because of:", e.Err) },
	})
	for range 3 {
		d, _ := limiter.TakeKey(context.Background(), "alice", 1)
		fmt.Println(d.OK, d.Limit)
	}
	fmt.Println("down:", limiter.Stats().Down)
	// Output:
	// true 40/20m burst 2
	// true 40/20m burst 2
	// outage of ratelimit because of: connection refused
	// false 40/20m burst 2
	// down: 1
}

// lost is a Client without a server. Each Client has one method.
type lost struct{}

func (lost) Do(_ context.Context, cmds ...[]string) []redoubtredis.Reply {
	replies := make([]redoubtredis.Reply, len(cmds))
	for i := range replies {
		replies[i].Err = errors.New("connection refused")
	}
	return replies
}

func ExampleClient() {
	var c redoubtredis.Client = lost{}
	replies := c.Do(context.Background(), []string{"GET", "k"}, []string{"DEL", "k"})
	fmt.Println(len(replies), replies[0].Err)
	// Output: 2 connection refused
}

func ExampleNewCache() {
	rdb, stop := exampleServer()
	defer stop()
	type user struct{ Name string }
	find := func(_ context.Context, id string) (user, error) {
		fmt.Println("asking the database")
		return user{"Alice"}, nil
	}
	second := redoubtredis.NewCache(redoubtredis.CacheConfig[user]{Client: goredisclient.New(rdb), Name: "users", Timeout: exampleTimeout})
	for range 2 { // two processes, each with a first level of its own
		users := cache.Memoize(cache.Config[string, user]{Capacity: 1000, TTL: time.Minute}, cache.Tier[string, user]{Store: second, TTL: time.Hour}.Through(find))
		u, err := users.Get(context.Background(), "7")
		fmt.Println(u.Name, err)
	}
	// Output:
	// asking the database
	// Alice <nil>
	// Alice <nil>
}

func Example_cache() {
	rdb, stop := exampleServer()
	defer stop()
	type user struct{ Name string }

	second := redoubtredis.NewCache(redoubtredis.CacheConfig[user]{
		Client: goredisclient.New(rdb),
		Name:   "users",
	})

	fmt.Println(second.Stats().Hits)
	// Output: 0
}

func ExampleCache_DeleteTags() {
	rdb, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	type page struct {
		Text   string
		Topics []string
	}

	pages := redoubtredis.NewCache(redoubtredis.CacheConfig[page]{
		Client: goredisclient.New(rdb),
		Name:   "pages",
		Tags:   func(_ string, p page) []string { return p.Topics },
	})
	err := pages.DeleteTags(ctx, "sports")

	_ = err // the server of an example may be slow
	pages = redoubtredis.NewCache(redoubtredis.CacheConfig[page]{
		Client: goredisclient.New(rdb), Name: "pages", Timeout: exampleTimeout, Tags: func(_ string, p page) []string { return p.Topics },
	})
	_ = pages.Set(ctx, "1", cache.Record[page]{Value: page{"3:0", []string{"sports", "local"}}, TTL: time.Hour})
	before, _ := pages.Get(ctx, "1")
	_ = pages.DeleteTags(ctx, "local")
	after, _ := pages.Get(ctx, "1")
	fmt.Println(before.Found, after.Found)
	// Output: true false
}

func ExampleTagChannel() {
	fmt.Println(redoubtredis.TagChannel("users"))
	// Output: users#
}

func ExampleForget() {
	users := cache.New(cache.Config[string, int]{Capacity: 10})
	users.Set("alice", 1)
	users.Set("bob", 2)
	changed := redoubtredis.Forget(users) // for rueidisclient.Track
	changed([]string{"alice"})
	fmt.Println(users.Len())
	changed(nil) // the connection is lost
	fmt.Println(users.Len())
	// Output:
	// 1
	// 0
}

func ExampleLimiter_ReserveKey() {
	rdb, stop := exampleServer()
	defer stop()
	ctx, user := context.Background(), "alice"
	limiter := redoubtredis.New(redoubtredis.Config{
		Client: goredisclient.New(rdb), Name: "tokens", Limits: []ratelimit.Limit{ratelimit.PerHour(5000)},
		Nodes: 4, Timeout: exampleTimeout,
	})

	d, settle, err := limiter.ReserveKey(ctx, user, 1000) // tokens, estimated
	if err == nil && d.OK {
		err = settle(ctx, 640) // used
	}

	left, _ := limiter.TakeKey(ctx, user, 0)
	fmt.Println(d.Remaining, left.Remaining, err)
	// Output: 4000 4360 <nil>
}

func ExampleLimiter_PenalizeKey() {
	rdb, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	limiter := redoubtredis.New(redoubtredis.Config{
		Client: goredisclient.New(rdb), Name: "logins", Limits: []ratelimit.Limit{ratelimit.PerHour(60)},
		Nodes: 4, Timeout: exampleTimeout,
	})
	fmt.Println(limiter.PenalizeKey(ctx, "mallory", time.Hour))
	d, _ := limiter.TakeKey(ctx, "mallory", 1)
	fmt.Println(d.OK, d.RetryAfter)
	fmt.Println(limiter.ResetKey(ctx, "mallory"))
	d, _ = limiter.ChargeKey(ctx, "mallory", 50)
	fmt.Println(d.OK, d.Remaining)
	fmt.Println(limiter.CreditKey(ctx, "mallory", 20))
	d, _ = limiter.TakeKey(ctx, "mallory", 1)
	fmt.Println(d.OK, d.Remaining)
	// Output:
	// <nil>
	// false 1h1m0s
	// <nil>
	// true 10
	// <nil>
	// true 29
}

func ExampleLimiter_Set() {
	rdb, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	limiter := redoubtredis.New(redoubtredis.Config{
		Client: goredisclient.New(rdb), Name: "api", Limits: []ratelimit.Limit{ratelimit.PerHour(60)},
		Nodes: 4, Timeout: exampleTimeout,
	})
	_, _ = limiter.TakeKey(ctx, "alice", 30) // half an hour
	c := limiter.Config()
	c.Limits[0] = ratelimit.PerHour(120)
	err := limiter.Set(c)
	d, _ := limiter.TakeKey(ctx, "alice", 0)
	fmt.Println(err, limiter.Limits(), d.Remaining)
	// Output: <nil> [120/h] 60
}

func ExampleErrDown() {
	limiter := redoubtredis.New(redoubtredis.Config{Client: lost{}, Limits: []ratelimit.Limit{ratelimit.PerMinute(1)}, Outage: redoubtredis.OutageRefuse})
	for range 3 {
		_, _ = limiter.TakeKey(context.Background(), "alice", 1)
	}
	err := limiter.ResetKey(context.Background(), "alice")
	fmt.Println(errors.Is(err, redoubtredis.ErrDown))
	// Output: true
}

func ExampleSharded() {
	rdb := goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"127.0.0.1:7000"}, ContextTimeoutEnabled: true})
	defer rdb.Close()
	client, ok := goredisclient.New(rdb).(redoubtredis.Sharded)
	fmt.Printf("%v %q\n", ok, client.Shard("key")) // no server has been asked yet
	// Output: true ""
}

func ExampleChannel() {
	fmt.Println(redoubtredis.Channel("users"))
	// Output: users/
}
