package goredisclient_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redoubt-go/redoubt/cache"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/goredisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func ExampleNew() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	addr, limits := server.Addr(), []ratelimit.Limit{ratelimit.PerMinute(1)}

	rdb := goredis.NewClient(&goredis.Options{
		Addr:                  addr,
		ContextTimeoutEnabled: true,
	})
	config := redoubtredis.Config{
		Client: goredisclient.New(rdb),
		Limits: limits,
		Nodes:  4,
	}
	config.Timeout = 10 * time.Second // for an example that never fails
	limiter := redoubtredis.New(config)
	defer rdb.Close()
	for range 2 {
		d, err := limiter.TakeKey(context.Background(), "alice", 1)
		fmt.Println(d.OK, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

// A client that would not obey its contexts is refused.
func TestNew_ContextTimeout(t *testing.T) {
	for _, c := range []goredis.UniversalClient{
		goredis.NewClient(&goredis.Options{}),
		goredis.NewClusterClient(&goredis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}}),
		goredis.NewRing(&goredis.RingOptions{}),
	} {
		func() {
			defer c.Close()
			defer func() {
				if err := fmt.Sprint(recover()); !strings.Contains(err, "ContextTimeoutEnabled is not set") {
					t.Errorf("%T: recovered %s", c, err)
				}
			}()
			goredisclient.New(c)
		}()
	}
}

func ExampleListen() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	rdb := goredis.NewClient(&goredis.Options{Addr: server.Addr(), ContextTimeoutEnabled: true})
	defer rdb.Close()
	second := redoubtredis.NewCache(redoubtredis.CacheConfig[string]{Client: goredisclient.New(rdb), Name: "users", Timeout: 10 * time.Second})

	users := cache.New(cache.Config[string, string]{Capacity: 1000})
	forget := redoubtredis.Forget(users)
	ctx, cancel := context.WithCancel(context.Background())
	heard := make(chan []string)
	go func() {
		_ = goredisclient.Listen(ctx, rdb, "users", func(keys []string) { forget(keys); heard <- keys })
		close(heard)
	}()
	fmt.Println(<-heard) // any key may have changed before
	users.Set("7", "Alice")
	_ = second.Delete(ctx, "7") // by any process
	fmt.Println(<-heard, users.Len())

	cancel()
	for range heard {
	}
	// Output:
	// []
	// [7] 0
}
