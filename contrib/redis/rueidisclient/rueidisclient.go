package rueidisclient

import (
	"context"
	"strings"

	"github.com/redis/rueidis"

	"github.com/redoubt-go/redoubt/contrib/redis"
)

// New returns a client that sends its commands by c: to a server, to a cluster
// or, with Sentinel, to the current master. It does not close c.
func New(c rueidis.Client) redis.Client { return client{c} }

type client struct{ c rueidis.Client }

func (c client) Do(ctx context.Context, cmds ...[]string) []redis.Reply {
	if len(cmds) == 1 {
		return []redis.Reply{reply(c.c.Do(ctx, c.build(cmds[0])))}
	}
	built := make([]rueidis.Completed, len(cmds))
	for i, words := range cmds {
		built[i] = c.build(words)
	}
	replies := make([]redis.Reply, len(cmds))
	for i, r := range c.c.DoMulti(ctx, built...) {
		replies[i] = reply(r)
	}
	return replies
}

// build marks the key among the words, by the rule of redis.Client.
func (c client) build(words []string) rueidis.Completed {
	at := 1
	if words[0] == "EVAL" || words[0] == "EVALSHA" {
		at = 3
	}
	return c.c.B().Arbitrary(words[:at]...).Keys(words[at]).Args(words[at+1:]...).Build()
}

func reply(r rueidis.RedisResult) redis.Reply {
	v, err := r.ToAny()
	if rueidis.IsRedisNil(err) {
		return redis.Reply{}
	}
	return redis.Reply{Value: v, Err: err}
}

// Track returns o changed so that the server reports the keys under name, the
// Name of a [redis.Cache], that other clients change or that expire. It calls
// changed, such as the result of [redis.Forget], with these keys. It calls
// changed with nil if any key may have changed: after FLUSHALL, and when the
// connection is lost. changed must be fast.
//
// The client uses a single connection to each server, so that its own changes
// are not reported. Track calls OnInvalidations of o too. It replaces
// ClientTrackingOptions of o, so that a second Track of another name ends the
// reports of the first.
func Track(o rueidis.ClientOption, name string, changed func(keys []string)) rueidis.ClientOption {
	prefix := name + "/"
	before := o.OnInvalidations
	o.ClientTrackingOptions = []string{"BCAST", "NOLOOP", "PREFIX", prefix}
	o.PipelineMultiplex = -1
	o.OnInvalidations = func(messages []rueidis.RedisMessage) {
		if before != nil {
			before(messages)
		}
		if messages == nil {
			changed(nil)
			return
		}
		keys := make([]string, 0, len(messages))
		for _, m := range messages {
			if text, err := m.ToString(); err == nil && strings.HasPrefix(text, prefix) {
				keys = append(keys, text[len(prefix):])
			}
		}
		if len(keys) > 0 {
			changed(keys)
		}
	}
	return o
}
