package goredisclient_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	goredis "github.com/redis/go-redis/v9"

	"github.com/redoubt-go/redoubt/contrib/redis"
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
	config := redis.Config{
		Client: goredisclient.New(rdb),
		Limits: limits,
		Nodes:  4,
	}
	config.Timeout = 10 * time.Second // for an example that never fails
	limiter := redis.New(config)
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
