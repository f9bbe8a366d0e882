package rueidisclient

import (
	"context"
	"strings"

	"github.com/redis/rueidis"

	"github.com/redoubt-go/redoubt/contrib/redis"
)

// New returns a client that sends its commands by c: to a server, to a cluster or, with Sentinel, to the master of the
// moment. It does not close c.
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

// build tells the client which word is the key, by the rule of redis.Client.
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

// Track returns o with the server telling this client which keys under name, the Name of a [redis.Cache], others have
// changed or have expired. The function changed, such as one of [redis.Forget], is called with the keys, or with nil when
// any may have changed: after FLUSHALL, and when the connection is lost, since messages are lost with it. It must
// be fast. The client has one connection to each server then, so that it is not told of its own changes.
// OnInvalidations, if it is set in o, is still called.
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
