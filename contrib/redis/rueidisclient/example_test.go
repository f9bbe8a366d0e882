package rueidisclient_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/rueidis"

	"github.com/redoubt-go/redoubt/cache"
	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/rueidisclient"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func ExampleNew() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	limits := []ratelimit.Limit{ratelimit.PerMinute(1)}

	option := rueidis.ClientOption{InitAddress: []string{server.Addr()}}
	option.DisableCache = true            // this server in memory has no client-side caching
	option.ConnWriteTimeout = time.Second // notices a dead connection
	option.Dialer.KeepAlive = time.Second // by a PING this often
	option.Dialer.Timeout = time.Second   // connects again soon
	option.AlwaysPipelining = true        // keeps it when a reply is late
	client, err := rueidis.NewClient(option)
	if err != nil {
		panic(err)
	}
	config := redoubtredis.Config{
		Client: rueidisclient.New(client),
		Limits: limits,
		Nodes:  4,
	}
	defer client.Close()
	config.Timeout = 10 * time.Second // for an example that never fails
	limiter := redoubtredis.New(config)
	for range 2 {
		d, err := limiter.TakeKey(context.Background(), "alice", 1)
		fmt.Println(d.OK, err)
	}
	// Output:
	// true <nil>
	// false <nil>
}

func ExampleTrack() {
	users := cache.New(cache.Config[string, string]{Capacity: 1000})
	option := rueidis.ClientOption{InitAddress: []string{"127.0.0.1:6379"}}
	option = rueidisclient.Track(option, "users", redoubtredis.Forget(users)) // "users" is the Name of the redoubtredis.Cache
	fmt.Println(option.ClientTrackingOptions)
	// Output: [BCAST NOLOOP PREFIX users/ PREFIX users#{]
}

// A hook of the user's goes on to be called.
func TestTrack_Hook(t *testing.T) {
	var calls, all int
	o := rueidis.ClientOption{OnInvalidations: func([]rueidis.RedisMessage) { calls++ }}
	o = rueidisclient.Track(o, "users", func(keys []string) {
		if keys == nil {
			all++
		}
	})
	o.OnInvalidations(nil)
	o.OnInvalidations([]rueidis.RedisMessage{})
	if calls != 2 || all != 1 {
		t.Errorf("%d calls, %d of all, want 2 and 1", calls, all)
	}
}
