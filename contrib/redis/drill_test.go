package redoubtredis_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

const (
	timeout = 200 * time.Millisecond // the Timeout of drills; a loaded machine mostly answers within it
	// slack is the time that a loaded machine may add. It is far less than the
	// 2 s of a stopped server, and than the 3 to 5 s after which clients give
	// up.
	slack = time.Second
)

// A drill asks for an event of one key again and again, in several goroutines,
// and keeps the longest time that a call has taken.
type drill struct {
	*testing.T
	limiter  *redoubtredis.Limiter
	longest  atomic.Int64
	stalled  func() time.Duration
	admitted atomic.Int64
	refused  atomic.Int64
	stop     chan struct{}
	wg       sync.WaitGroup
}

// startDrill starts to ask a limiter of 10 per hour, or of the Limits of c.
func startDrill(t *testing.T, c redoubtredis.Config) *drill {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = timeout
	}
	if c.Limits == nil {
		c.Limits = limits(ratelimit.PerHour(10))
	}
	c.OnEvent = func(_ context.Context, e redoubtredis.Event) { t.Log(e.Kind, e.Err, e.For) }
	d := &drill{T: t, limiter: newLimiter(t, c), stop: make(chan struct{}), stalled: stalls(t)}
	d.ask() // connected, and the script is known
	for range 4 {
		d.wg.Go(func() {
			for {
				select {
				case <-d.stop:
					return
				case <-time.After(time.Millisecond):
					d.ask()
				}
			}
		})
	}
	t.Cleanup(d.end)
	return d
}

// stalls returns a function that returns the longest time for which the machine
// has not run this process.
func stalls(t testing.TB) func() time.Duration {
	var longest atomic.Int64
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for last := time.Now(); ; last = time.Now() {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				longest.Store(max(longest.Load(), int64(time.Since(last)-5*time.Millisecond)))
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-done })
	return func() time.Duration { return time.Duration(longest.Load()) }
}

func (d *drill) ask() {
	begun := time.Now()
	decision, err := d.limiter.TakeKey(context.Background(), "k", 1)
	took := int64(time.Since(begun))
	for old := d.longest.Load(); took > old && !d.longest.CompareAndSwap(old, took); old = d.longest.Load() {
	}
	switch {
	case err != nil:
		d.Error(err)
	case decision.OK:
		d.admitted.Add(1)
	default:
		d.refused.Add(1)
	}
}

func (d *drill) end() {
	select {
	case <-d.stop:
		return
	default:
	}
	close(d.stop)
	d.wg.Wait()
	took := time.Duration(d.longest.Load())
	stalled := d.stalled()
	d.Logf("admitted %d, refused %d, no call took longer than %v, %v of that without the processor", d.admitted.Load(), d.refused.Load(), took, stalled)
	if took > timeout+slack+stalled {
		d.Errorf("a caller was blocked for %v, want %v at most", took, timeout)
	}
}

// usedUp waits until the server has refused, and the replies before that have
// come. It returns the admitted events, which are 10 unless replies were late.
func (d *drill) usedUp() int64 {
	d.Helper()
	refused := d.limiter.Stats().Refused
	until(d, "used up", func() bool { return d.limiter.Stats().Refused > refused+20 })
	return d.admitted.Load()
}

// down and up wait for an outage, and for its end.
func (d *drill) down() {
	d.Helper()
	until(d, "down", func() bool { return d.limiter.Stats().Down > 0 })
}

func (d *drill) up() {
	d.Helper()
	until(d, "up", func() bool { return d.limiter.Stats().Down == 0 })
	before := d.limiter.Stats().RoundTrips
	until(d, "asking the server", func() bool { return d.limiter.Stats().RoundTrips > before })
}

// A server that is stopped for 2 s, with a limiter of each policy.
func TestDrill_Stopped(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t)
		client := connect(t, server.Addr)
		var drills []*drill
		for _, policy := range []redoubtredis.Outage{redoubtredis.OutageLocal, redoubtredis.OutageRefuse, redoubtredis.OutageAdmit} {
			drills = append(drills, startDrill(t, redoubtredis.Config{Client: client, Name: string(rune('a' + policy)), Outage: policy, Nodes: 2, Denied: -1}))
		}
		for _, d := range drills {
			until(t, "used up", func() bool { return d.refused.Load() > 0 })
		}
		stopped := time.Now()
		server.Stop()
		admitted, refused := make([]int64, 3), make([]int64, 3)
		for i, d := range drills {
			d.down()
			admitted[i], refused[i] = d.admitted.Load(), d.refused.Load()
		}
		time.Sleep(time.Until(stopped.Add(2 * time.Second)))
		for i, d := range drills {
			admitted[i], refused[i] = d.admitted.Load()-admitted[i], d.refused.Load()-refused[i]
		}
		server.Continue()
		for _, d := range drills {
			d.up()
			d.end()
		}
		// The share of 2 nodes in 10 per hour is 5, all of it used before: the
		// local share is kept warm. Calls that were under way at the end may
		// count for either side.
		few, many := int64(4), int64(50)
		if admitted[redoubtredis.OutageLocal] > few || refused[redoubtredis.OutageLocal] < many ||
			admitted[redoubtredis.OutageRefuse] > few || refused[redoubtredis.OutageRefuse] < many ||
			admitted[redoubtredis.OutageAdmit] < many || refused[redoubtredis.OutageAdmit] > few {
			t.Errorf("while the server was stopped, Local, Closed and Open admitted %d and refused %d", admitted, refused)
		}
	})
}

// Events that the server has admitted, from leases or not, count in an outage
// too. More events than the share of a burst have to wait for the server. More
// events than the burst are refused forever.
func TestDrill_Share(t *testing.T) {
	_, good := mini(t)
	for _, lease := range []int64{0, 4} {
		var fail atomic.Bool
		l := newLimiter(t, redoubtredis.Config{
			Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
				if fail.Load() {
					return []redoubtredis.Reply{{Err: context.DeadlineExceeded}}
				}
				return good.Do(ctx, cmds...)
			}),
			Name: string(rune('a' + lease)), Limits: limits(ratelimit.PerHour(10), ratelimit.PerHour(20)), Nodes: 2, Lease: lease, LeaseFor: time.Minute,
			OnEvent: func(context.Context, redoubtredis.Event) {},
		})
		for range 5 {
			take(t, l, "used", 1)
		}
		fail.Store(true)
		for range 5 {
			if d := take(t, l, "new", 1); !d.OK {
				t.Errorf("%+v, want the share of 5", d)
			}
		}
		if d := take(t, l, "new", 1); d.OK || d.Limit.String() != "10/2h burst 5" {
			t.Errorf("%+v, want the share used up", d)
		}
		if d := take(t, l, "used", 3); d.OK || l.Stats().Alone < 7 {
			t.Errorf("%+v, want the share used up before the outage", d)
		}
		if d := take(t, l, "other", 6); d.OK || d.RetryAfter <= 0 || d.RetryAfter > maxPause {
			t.Errorf("%+v, want the next try of the server", d)
		}
		if d := take(t, l, "other", 11); d.OK || d.Retryable {
			t.Errorf("%+v, want a refusal forever", d)
		}
	}
}

// maxPause is the longest pause between tries of a server that is down.
const maxPause = 2 * time.Second

// A server that is killed, and comes back empty: without state and without
// scripts.
func TestDrill_Killed(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t)
		d := startDrill(t, redoubtredis.Config{Client: connect(t, server.Addr), Outage: redoubtredis.OutageRefuse, Denied: -1})
		used := d.usedUp()
		server.Kill()
		d.down()
		server.Restart()
		d.up()
		until(t, "admitting again", func() bool { return d.admitted.Load() > used })
		refused := d.refused.Load()
		until(t, "refusing again", func() bool { return d.refused.Load() > refused+10 })
		d.end()
		if n := d.admitted.Load(); n > used+10 {
			t.Errorf("admitted %d, want the burst of 10 of each life of the server", n)
		}
	})
}

// SCRIPT FLUSH is not noticed. FLUSHALL gives every key its burst back.
func TestDrill_Flushed(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t)
		l := newLimiter(t, redoubtredis.Config{Client: connect(t, server.Addr), Denied: -1, Limits: limits(ratelimit.PerHour(10))})
		for i := range int64(10) {
			if i%3 == 0 {
				server.MustDo("SCRIPT", "FLUSH")
			}
			if d := take(t, l, "k", 1); !d.OK || d.Remaining != 9-i {
				t.Errorf("event %d: %+v", i, d)
			}
		}
		if d := take(t, l, "k", 1); d.OK {
			t.Error("11th event of 10 admitted")
		}
		server.MustDo("FLUSHALL")
		if d := take(t, l, "k", 1); !d.OK || d.Remaining != 9 {
			t.Errorf("after FLUSHALL: %+v", d)
		}
		if s := l.Stats(); s.Errors != 0 || s.Outages != 0 || s.RoundTrips != 12 {
			t.Errorf("%+v, want 12 round trips and no error", s)
		}
	})
}

// A replica refuses to write, which is no outage: it answers, and still refuses
// keys that are used up. When it becomes the master, the limiter goes on.
func TestDrill_Replica(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t)
		d := startDrill(t, redoubtredis.Config{Client: connect(t, server.Addr), Outage: redoubtredis.OutageAdmit, Denied: -1, Timeout: patient})
		until(t, "used up", func() bool { return d.refused.Load() > 0 })
		server.MustDo("REPLICAOF", "127.0.0.1", "1") // there is no such master
		until(t, "admitting other keys by its policy", func() bool {
			d.other()
			return d.limiter.Stats().Alone > 0
		})
		refused, alone := d.refused.Load(), d.limiter.Stats().Alone
		until(t, "refusing the used key", func() bool { return d.refused.Load() > refused+10 })
		// A client that closes the connection may lose the calls of the drill.
		if s := d.limiter.Stats(); s.Outages > 0 || s.Alone > alone+4 {
			t.Errorf("%+v, want no outage, and %d decisions alone", s, alone)
		}
		server.MustDo("REPLICAOF", "NO", "ONE")
		until(t, "writing again", func() bool {
			alone := d.limiter.Stats().Alone
			d.other()
			return d.limiter.Stats().Alone == alone
		})
	})
}

// other asks for an event of a key that has not been used.
func (d *drill) other() { _, _ = d.limiter.TakeKey(context.Background(), time.Now().String(), 1) }

// An answer after 50 ms is too late with a Timeout of 20 ms, and in time with a
// longer Timeout.
func TestDrill_Slow(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		server := redistest.Start(t)
		proxy := server.Slow()
		client := connect(t, proxy.Addr)
		hasty := redoubtredis.New(redoubtredis.Config{Client: client, Timeout: 20 * time.Millisecond, Outage: redoubtredis.OutageAdmit, Limits: limits(ratelimit.PerHour(1)), Denied: -1})
		relaxed := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(ratelimit.PerHour(1000))})
		until(t, "used up", func() bool { return !take(t, hasty, "k", 1).OK })
		take(t, relaxed, "k", 1)
		before := hasty.Stats().Outages // of a machine that is slow itself
		proxy.SetDelay(50 * time.Millisecond)
		for range 20 {
			begun := time.Now()
			if d := take(t, hasty, "k", 1); !d.OK {
				t.Errorf("%+v, want the policy to admit: 50 ms are too slow", d)
			}
			if took := time.Since(begun); took > 20*time.Millisecond+slack {
				t.Errorf("blocked for %v, want 20ms", took)
			}
		}
		if s := hasty.Stats(); s.Down == 0 || s.Outages != before+1 {
			t.Errorf("%+v, want one outage more than %d", s, before)
		}
		until(t, "answered in time", func() bool { // the other calls may have closed its connection
			alone := relaxed.Stats().Alone
			return take(t, relaxed, "k", 1).OK && relaxed.Stats().Alone == alone
		})
		proxy.SetDelay(0)
		until(t, "recovered", func() bool { return !take(t, hasty, "k", 1).OK })
	})
}

// On a cluster every key has a slot, whatever its text, and all of a key's
// limits are in it.
func TestDrill_Cluster(t *testing.T) {
	t.Parallel()
	nodes := redistest.Cluster(t)
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		client := connect(t, nodes[0].Addr, nodes[1].Addr, nodes[2].Addr)
		rules := limits(ratelimit.PerHour(3), ratelimit.Per(4, 24*time.Hour))
		l := newLimiter(t, redoubtredis.Config{Client: client, Name: strings.ReplaceAll(t.Name(), "/", ":"), Limits: rules, Lease: 2, LeaseFor: time.Minute})
		keys := []string{"", "}", "a}b", "{a", "{}", "{a}b", "a{b}c", strings.Repeat("}", 1000)}
		for _, key := range keys {
			if d := take(t, l, key, 3); !d.OK || d.Remaining != 0 {
				t.Errorf("key %.9q: %+v", key, d)
			}
			if d := take(t, l, key, 1); d.OK {
				t.Errorf("key %.9q is not limited", key)
			}
		}
		// Many keys in one go, on all nodes, also where these do not know the
		// script yet.
		for _, n := range nodes {
			n.MustDo("SCRIPT", "FLUSH")
		}
		for _, admitted := range []bool{true, false} {
			many := make([]string, 60)
			for i := range many {
				many[i] = strings.Repeat("k", i)[:i] + "}"
			}
			many = many[2:]
			ds, err := l.TakeKeys(t.Context(), many, 3)
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range ds {
				if d.OK != admitted {
					t.Errorf("key %q: %+v, want admitted %v", many[i], d, admitted)
				}
			}
		}
		for _, n := range nodes {
			if size := n.MustDo("DBSIZE"); size == "0" {
				t.Errorf("node %s has no key: names do not spread", n.Addr)
			}
		}
	})
}

// An answer that is lost on the way is not asked for again: the server has
// executed the command, once.
func TestDrill_NeverTwice(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		server := redistest.Start(t)
		proxy := server.Slow()
		l := redoubtredis.New(redoubtredis.Config{Client: connect(t, proxy.Addr), Timeout: patient, Outage: redoubtredis.OutageRefuse, Limits: limits(ratelimit.PerHour(100)), Denied: -1})
		take(t, l, "k", 1) // the script is known
		before := server.Calls("evalsha")
		proxy.Lose()
		if d := take(t, l, "k", 1); d.OK || l.Stats().Alone != 1 || l.Stats().Outages > 0 {
			t.Errorf("%+v, %+v, want a decision of the policy and no outage", d, l.Stats())
		}
		executed := server.Calls("evalsha") - before // 0 if the proxy lost the answer to a command of the client itself
		if executed > 1 {
			t.Errorf("executed %d times, want once", executed)
		}
		until(t, "connected", func() bool { alone := l.Stats().Alone; take(t, l, "k", 0); return l.Stats().Alone == alone })
		if d := take(t, l, "k", 0); d.Remaining != int64(99-executed) {
			t.Errorf("%d left, want %d", d.Remaining, 99-executed)
		}
	})
}
