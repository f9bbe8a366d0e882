package rueidisclient

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
)

// New returns a client that sends its commands by c: to a server, to a cluster
// or, with Sentinel, to the current master. It does not close c.
//
// A call returns when its context is done, even while c connects to a server.
// If a server answers READONLY, the client closes that connection, so that c
// connects to the present master.
func New(c rueidis.Client) redoubtredis.Client {
	if c.Mode() != rueidis.ClientModeCluster {
		return client{c, new(atomic.Int64)}
	}
	s := &sharded{client: client{c, new(atomic.Int64)}}
	s.refresh()
	return s
}

type client struct {
	c      rueidis.Client
	hangUp *atomic.Int64 // when a connection may be closed again, in nanoseconds since 1970
}

func (c client) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	if ctx.Done() == nil {
		return c.do(ctx, cmds)
	}
	done := make(chan result, 1)
	go func() {
		var r result
		defer func() {
			r.panicked = recover()
			done <- r
		}()
		r.replies = c.do(ctx, cmds)
	}()
	select {
	case r := <-done:
		return r.value()
	case <-ctx.Done():
	}
	select { // mostly it returns too, with a better error
	case r := <-done:
		return r.value()
	case <-time.After(grace):
		replies := make([]redoubtredis.Reply, len(cmds))
		for i := range replies {
			replies[i].Err = ctx.Err()
		}
		return replies
	}
}

// grace is the time after the end of a context in which a call may return by
// itself.
const grace = 5 * time.Millisecond

type result struct {
	replies  []redoubtredis.Reply
	panicked any
}

func (r result) value() []redoubtredis.Reply {
	if r.panicked != nil {
		panic(r.panicked)
	}
	return r.replies
}

func (c client) do(ctx context.Context, cmds [][]string) []redoubtredis.Reply {
	replies := make([]redoubtredis.Reply, len(cmds))
	if len(cmds) == 1 {
		replies[0] = reply(c.c.Do(ctx, c.build(cmds[0])))
	} else {
		built := make([]rueidis.Completed, len(cmds))
		for i, words := range cmds {
			built[i] = c.build(words)
		}
		for i, r := range c.c.DoMulti(ctx, built...) {
			replies[i] = reply(r)
		}
	}
	for i, r := range replies {
		if r.Err != nil && strings.HasPrefix(r.Err.Error(), "READONLY") {
			c.leave(ctx, keyOf(cmds[i]))
			break
		}
	}
	return replies
}

// leave closes the connection that the commands for a key use, at most once a
// second, because the other commands on that connection fail too.
func (c client) leave(ctx context.Context, key string) {
	now := time.Now()
	next := c.hangUp.Load()
	if now.UnixNano() < next || !c.hangUp.CompareAndSwap(next, now.Add(time.Second).UnixNano()) {
		return
	}
	_ = c.c.Do(ctx, c.c.B().Arbitrary("QUIT").Keys(key).Build()).Error()
}

// keyAt returns the position of the key, by the rule of redoubtredis.Client.
func keyAt(words []string) int {
	if words[0] == "EVAL" || words[0] == "EVALSHA" {
		return 3
	}
	return 1
}

func keyOf(words []string) string { return words[keyAt(words)] }

// build marks the key among the words.
func (c client) build(words []string) rueidis.Completed {
	at := keyAt(words)
	return c.c.B().Arbitrary(words[:at]...).Keys(words[at]).Args(words[at+1:]...).Build()
}

func reply(r rueidis.RedisResult) redoubtredis.Reply {
	v, err := r.ToAny()
	if rueidis.IsRedisNil(err) {
		return redoubtredis.Reply{}
	}
	if _, ok := rueidis.IsRedisErr(err); ok {
		err = errorReply{err}
	}
	return redoubtredis.Reply{Value: v, Err: err}
}

// An errorReply is an error reply of a server.
type errorReply struct{ error }

func (e errorReply) Unwrap() error { return e.error }

// RedisError marks the error, as redoubtredis.Reply requires.
func (errorReply) RedisError() {}

// Track returns o changed so that the server reports the keys under name, the
// Name of a [redoubtredis.Cache], that other clients change or that expire. It
// calls changed, such as the result of [redoubtredis.Forget], with these keys.
// It calls changed with nil if any key may have changed: after FLUSHALL and
// after a deletion of tags, and when a connection is lost. Then it does so each
// second, for a minute or until the client has connected again, and once more
// after that. changed must be fast.
//
// The client uses a single connection to each server, so that its own changes
// are not reported. Track can be called again for another name, and
// OnInvalidations of o is called too.
func Track(o rueidis.ClientOption, name string, changed func(keys []string)) rueidis.ClientOption {
	prefix, tagged := name+"/", name+"#{" // with tags, keys are named name#{00}/key
	if !slices.Contains(o.ClientTrackingOptions, "BCAST") {
		o.ClientTrackingOptions = []string{"BCAST", "NOLOOP"}
	}
	if !slices.Contains(o.ClientTrackingOptions, prefix) {
		o.ClientTrackingOptions = append(slices.Clone(o.ClientTrackingOptions), "PREFIX", prefix, "PREFIX", tagged)
	}
	o.PipelineMultiplex = -1
	before := o.OnInvalidations
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
			text, err := m.ToString()
			if err != nil {
				continue
			}
			if key, ok := strings.CutPrefix(text, prefix); ok {
				keys = append(keys, key)
			} else if strings.HasPrefix(text, tagged) {
				_, key, ok := strings.Cut(text, "}/")
				if !ok { // a deletion of tags
					changed(nil)
					continue
				}
				keys = append(keys, key)
			}
		}
		if len(keys) > 0 {
			changed(keys)
		}
	}
	dial := o.DialCtxFn
	if old := o.DialFn; dial == nil && old != nil {
		dial = func(_ context.Context, addr string, d *net.Dialer, c *tls.Config) (net.Conn, error) {
			return old(addr, d, c)
		}
	}
	if dial == nil {
		dial = connect
	}
	w := &watch{changed: changed}
	o.DialCtxFn = func(ctx context.Context, addr string, d *net.Dialer, c *tls.Config) (net.Conn, error) {
		conn, err := dial(ctx, addr, d, c)
		if err != nil {
			w.lost()
			return nil, err
		}
		return &trackedConn{Conn: conn, watch: w}, nil
	}
	return o
}

func connect(ctx context.Context, addr string, d *net.Dialer, c *tls.Config) (net.Conn, error) {
	if c == nil {
		return d.DialContext(ctx, "tcp", addr)
	}
	return (&tls.Dialer{NetDialer: d, Config: c}).DialContext(ctx, "tcp", addr)
}

// A watch reports each second that any key may have changed. It begins when a
// connection is lost, and ends when the server tracks keys for a new
// connection, or after a minute. An idle client does not connect again by
// itself. It does so for a command, and a first level that is empty needs the
// second. A connection that fails begins another minute.
type watch struct {
	changed func(keys []string)
	mu      sync.Mutex
	left    int  // reports left
	running bool // a timer is running
}

const reports = 60

func (w *watch) lost() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left = reports
	w.start()
}

// start starts a timer, unless it runs. The caller holds w.mu.
func (w *watch) start() {
	if !w.running && w.left > 0 {
		w.running = true
		time.AfterFunc(time.Second, w.tick)
	}
}

func (w *watch) tick() {
	w.mu.Lock()
	w.running = false
	due := w.left > 0
	w.left--
	w.start()
	w.mu.Unlock()
	if due {
		w.changed(nil)
	}
}

func (w *watch) ready() {
	w.mu.Lock()
	w.left = 0
	w.mu.Unlock()
	w.changed(nil)
}

// A trackedConn notices when the server tracks keys for the connection. The
// client asks for that in its first commands, and waits for the replies before
// it sends another command. So the next command shows that the server has
// replied.
type trackedConn struct {
	net.Conn
	asked atomic.Bool
	once  sync.Once
	watch *watch
}

func (c *trackedConn) Write(b []byte) (int, error) {
	if c.asked.Load() {
		c.once.Do(c.watch.ready)
	} else if bytes.Contains(b, []byte("TRACKING")) {
		c.asked.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *trackedConn) Close() error {
	c.watch.lost()
	return c.Conn.Close()
}
