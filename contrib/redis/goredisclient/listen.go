package goredisclient

import (
	"context"
	"time"

	goredis "github.com/redis/go-redis/v9"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// quiet is the time without a message after which Listen sends a PING, and
// after which it gives up a connection that does not answer that.
const quiet = time.Second

// Listen calls changed, such as the result of [redoubtredis.Forget], with each
// key that a process deletes from the [redoubtredis.Cache] with the given name,
// or sets without a lease. It calls changed with nil if any key may have
// changed: when it has subscribed, at first and after each loss of its
// connection, and after a deletion of tags. changed must be fast. The changes
// of this process are included.
//
// Errors: Listen returns when ctx is done. The error matches ctx.Err and
// [context.Cause].
func Listen(ctx context.Context, c goredis.UniversalClient, name string, changed func(keys []string)) error {
	for ctx.Err() == nil {
		listen(ctx, c, name, changed)
		changed(nil)
		select {
		case <-ctx.Done():
		case <-time.After(quiet / 10):
		}
	}
	return ctxerr.New(ctx, "goredisclient: listen")
}

// listen listens on one connection.
func listen(ctx context.Context, c goredis.UniversalClient, name string, changed func(keys []string)) {
	tags := redoubtredis.TagChannel(name)
	sub := c.Subscribe(ctx, redoubtredis.Channel(name), tags)
	defer sub.Close()
	stop := context.AfterFunc(ctx, func() { _ = sub.Close() })
	defer stop()
	asked, subscribed := false, map[string]bool{}
	for ctx.Err() == nil {
		message, err := sub.ReceiveTimeout(ctx, quiet)
		late, _ := err.(interface{ Timeout() bool })
		switch {
		case err == nil:
			asked = false
		case asked || late == nil || !late.Timeout():
			return
		default:
			asked = true
			if sub.Ping(ctx) != nil {
				return
			}
		}
		switch m := message.(type) {
		case *goredis.Subscription:
			if subscribed[m.Channel] {
				return // on another connection
			}
			if subscribed[m.Channel] = true; len(subscribed) == 2 {
				changed(nil)
			}
		case *goredis.Message:
			if m.Channel == tags {
				changed(nil)
				continue
			}
			changed([]string{m.Payload})
		}
	}
}
