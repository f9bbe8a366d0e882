package goredisclient

import (
	"context"
	"errors"

	goredis "github.com/redis/go-redis/v9"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
)

// New returns a client that sends its commands by c: to a server, to a cluster
// or, with Sentinel, to the current master. It panics if the options of c lack
// ContextTimeoutEnabled. It does not close c.
func New(c goredis.UniversalClient) redoubtredis.Client {
	obeys := true
	switch c := c.(type) {
	case *goredis.Client:
		obeys = c.Options().ContextTimeoutEnabled
	case *goredis.ClusterClient:
		obeys = c.Options().ContextTimeoutEnabled
	case *goredis.Ring:
		obeys = c.Options().ContextTimeoutEnabled
	}
	if !obeys {
		panic(errors.New("goredisclient: ContextTimeoutEnabled is not set, so calls could outlast their contexts"))
	}
	switch c := c.(type) {
	case *goredis.ClusterClient:
		return sharded{client{c}, func(key string) (*goredis.Client, error) { return c.MasterForKey(known, key) }}
	case *goredis.Ring:
		return sharded{client{c}, c.GetShardClientForKey}
	}
	return client{c}
}

type client struct{ c goredis.UniversalClient }

// sharded is a client of several servers.
type sharded struct {
	client
	of func(key string) (*goredis.Client, error)
}

// known is a context that has ended, with which a ClusterClient does not ask
// for the servers.
var known = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// Shard implements [redoubtredis.Sharded].
func (c sharded) Shard(key string) string {
	server, err := c.of(key)
	if err != nil {
		return ""
	}
	return server.Options().Addr
}

// A command is a Cmd that is sent once.
type command struct{ *goredis.Cmd }

func (command) NoRetry() bool { return true }

func (c client) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	replies := make([]redoubtredis.Reply, len(cmds))
	if len(cmds) == 1 {
		cmd := newCommand(ctx, cmds[0])
		_ = c.c.Process(ctx, cmd) // the error is in the command
		replies[0] = cmd.reply()
		return replies
	}
	pipe, sent := c.c.Pipeline(), make([]command, len(cmds))
	for i, words := range cmds {
		sent[i] = newCommand(ctx, words)
		_ = pipe.Process(ctx, sent[i]) // only queues
	}
	_, _ = pipe.Exec(ctx) // the errors are in the commands
	for i, cmd := range sent {
		replies[i] = cmd.reply()
	}
	return replies
}

func newCommand(ctx context.Context, words []string) command {
	args := make([]any, len(words))
	for i := range words {
		args[i] = words[i]
	}
	return command{goredis.NewCmd(ctx, args...)}
}

func (c command) reply() redoubtredis.Reply {
	v, err := c.Result()
	if errors.Is(err, goredis.Nil) {
		return redoubtredis.Reply{}
	}
	return redoubtredis.Reply{Value: v, Err: err}
}
