package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// errReply is an error reply of a server.
type errReply string

func (e errReply) Error() string { return string(e) }
func (errReply) RedisError()     {}

// A script of a client: each call waits, then returns an error or an answer
// that allows the events of a single limit.
type scripted struct {
	mu      sync.Mutex
	wait    time.Duration
	err     error
	begun   []time.Time
	running int
	most    int // at the same time
}

func (s *scripted) set(wait time.Duration, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wait, s.err = wait, err
}

func (s *scripted) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	s.mu.Lock()
	wait, err := s.wait, s.err
	s.begun = append(s.begun, time.Now())
	s.running++
	s.most = max(s.most, s.running)
	s.mu.Unlock()
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		err = ctx.Err()
	}
	s.mu.Lock()
	s.running--
	s.mu.Unlock()
	replies := make([]redoubtredis.Reply, len(cmds))
	for i := range replies {
		replies[i] = redoubtredis.Reply{Value: []any{int64(1), int64(0), int64(0), int64(0), int64(0)}, Err: err}
	}
	return replies
}

const scriptedTimeout = 50 * time.Millisecond // the default

// scriptedLimiter returns a Limiter with a Timeout of 50 ms.
func scriptedLimiter(s *scripted) *redoubtredis.Limiter {
	return redoubtredis.New(redoubtredis.Config{Client: s, Limits: limits(ratelimit.PerHour(1000)), Outage: redoubtredis.OutageRefuse, Denied: -1})
}

// Only the server can start an outage, by several calls in a row that have no
// answer.
func TestOutage_Evidence(t *testing.T) {
	const hang = time.Hour
	ctx := context.Background()
	together := func(l *redoubtredis.Limiter, n int) {
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() { _, _ = l.TakeKey(ctx, "k", 1) })
		}
		wg.Wait()
	}
	within := func(l *redoubtredis.Limiter, d time.Duration) {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		_, _ = l.TakeKey(ctx, "k", 1)
	}
	for name, tt := range map[string]struct {
		want uint64
		do   func(*redoubtredis.Limiter, *scripted)
	}{
		"many calls that fail at once": {0, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			together(l, 1000)
		}},
		"calls after others failed": {1, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			together(l, 1000)
			together(l, 1)
			together(l, 10)
		}},
		"two calls": {0, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			together(l, 1000)
			together(l, 1000)
		}},
		"an answer between": {0, func(l *redoubtredis.Limiter, s *scripted) {
			for range 5 {
				s.set(hang, nil)
				together(l, 1)
				together(l, 1)
				s.set(time.Millisecond, nil)
				together(l, 1)
			}
		}},
		"answers to other calls meanwhile": {0, func(l *redoubtredis.Limiter, s *scripted) {
			for range 10 {
				var wg sync.WaitGroup
				s.set(hang, nil)
				wg.Go(func() { together(l, 20) })
				time.Sleep(time.Millisecond)
				s.set(time.Millisecond, nil)
				together(l, 1)
				wg.Wait()
			}
		}},
		"a call that began before an answer, and two more": {0, func(l *redoubtredis.Limiter, s *scripted) {
			var wg sync.WaitGroup
			s.set(hang, nil)
			wg.Go(func() { together(l, 1) })
			time.Sleep(time.Millisecond)
			s.set(time.Millisecond, nil)
			together(l, 1)
			s.set(hang, nil)
			wg.Wait()
			together(l, 1)
			together(l, 1)
		}},
		"hasty callers": {0, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			for range 20 {
				within(l, 49*time.Millisecond)
			}
		}},
		"hasty callers, a client that fails early": {0, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(time.Millisecond, context.DeadlineExceeded)
			for range 20 {
				within(l, 2*time.Millisecond)
			}
		}},
		"hasty callers, a server that refuses connections": {1, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(time.Millisecond, errors.New("connection refused"))
			for range 3 {
				within(l, 2*time.Millisecond)
			}
		}},
		"patient callers": {1, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			for range 3 {
				within(l, 51*time.Millisecond)
			}
		}},
		"callers that give up": {0, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			for range 20 {
				ctx, cancel := context.WithCancel(ctx)
				time.AfterFunc(time.Millisecond, cancel)
				_, _ = l.TakeKey(ctx, "k", 1)
			}
		}},
		"errors of commands": {0, func(l *redoubtredis.Limiter, s *scripted) {
			for _, text := range []string{"WRONGTYPE Operation", "OOM command", "READONLY You", "ERR", "NOAUTH"} {
				s.set(time.Millisecond, errReply(text))
				for range 5 {
					together(l, 2)
				}
			}
		}},
		"a server that loads": {1, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(time.Millisecond, errReply("LOADING Redis is loading"))
			for range 3 {
				together(l, 1)
			}
		}},
		"many keys in one call": {0, func(l *redoubtredis.Limiter, s *scripted) {
			s.set(hang, nil)
			begun := time.Now()
			ds, err := l.TakeKeys(ctx, make([]string, 5000), 1)
			if took := time.Since(begun); len(ds) != 5000 || err != nil || took != scriptedTimeout {
				panic(fmt.Sprint(len(ds), err, took))
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{wait: time.Millisecond}
				l := scriptedLimiter(s)
				together(l, 1)
				time.Sleep(time.Second)
				tt.do(l, s)
				if got := l.Stats(); got.Outages != tt.want || got.Down != int(tt.want) {
					t.Errorf("%+v, want %d outages", got, tt.want)
				}
			})
		})
	}
}

// In an outage a single call at a time tries the server, after pauses that grow
// to 2 s and are random.
func TestOutage_Tries(t *testing.T) {
	tries := func() (begun []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			s := &scripted{wait: time.Hour}
			l := scriptedLimiter(s)
			for range 3 {
				take(t, l, "k", 1)
			}
			if l.Stats().Down != 1 {
				t.Fatalf("%+v, want an outage", l.Stats())
			}
			start := time.Now()
			s.most, s.begun = 0, nil
			for time.Since(start) < 20*time.Second {
				var wg sync.WaitGroup
				for range 5 {
					wg.Go(func() { take(t, l, "k", 1) })
				}
				wg.Wait()
				time.Sleep(5 * time.Millisecond)
			}
			if s.most != 1 {
				t.Errorf("%d tries at the same time, want 1", s.most)
			}
			for i, at := range s.begun {
				begun = append(begun, at.Sub(start))
				if i > 0 {
					pause := at.Sub(s.begun[i-1]) - scriptedTimeout
					low := min(100*time.Millisecond<<i, 2*time.Second) / 2
					if pause < low-time.Millisecond || pause > 2*low+60*time.Millisecond {
						t.Errorf("pause %d is %v, want %v to %v", i, pause, low, 2*low)
					}
				}
			}
			s.set(0, nil)
			time.Sleep(2 * time.Second)
			if d := take(t, l, "k", 1); !d.OK || l.Stats().Down != 0 {
				t.Errorf("%+v, %+v, want the end of the outage", d, l.Stats())
			}
		})
		return begun
	}
	if a, b := tries(), tries(); slices.Equal(a, b) {
		t.Errorf("tries of two processes at the same instants: %v", a)
	}
}

// A try whose caller gives up leaves room for another try at once. The recovery
// contains the length of the outage.
func TestOutage_LostTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, lasted := &scripted{wait: time.Hour}, time.Duration(0)
		l := redoubtredis.New(redoubtredis.Config{
			Client: s, Limits: limits(ratelimit.PerHour(1000)), Outage: redoubtredis.OutageRefuse, Denied: -1,
			OnEvent: func(_ context.Context, e redoubtredis.Event) { lasted += e.For },
		})
		time.Sleep(time.Hour)
		for range 3 {
			take(t, l, "k", 1)
		}
		began := time.Now()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Millisecond)
		defer cancel()
		if _, err := l.TakeKey(ctx, "k", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want a try that ends with its context", err)
		}
		s.set(0, nil)
		if d := take(t, l, "k", 1); !d.OK || l.Stats().Down != 0 || lasted != time.Since(began) {
			t.Errorf("%+v, %+v, an outage of %v, want its end after %v", d, l.Stats(), lasted, time.Since(began))
		}
	})
}

// moving is a client of servers whose names change.
type moving struct {
	redoubtredis.Client
	shard func(key string) string
}

func (m moving) Shard(key string) string { return m.shard(key) }

// An outage of a server that no key belongs to any more ends.
func TestOutage_Moved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, name := &scripted{wait: time.Hour}, "old"
		var events []string
		l := redoubtredis.New(redoubtredis.Config{
			Client: moving{s, func(string) string { return name }}, Limits: limits(ratelimit.PerHour(1000)), Outage: redoubtredis.OutageRefuse, Denied: -1,
			OnEvent: func(_ context.Context, e redoubtredis.Event) { events = append(events, e.Kind.String()+" of "+e.Shard) },
		})
		for range 3 {
			take(t, l, "k", 1)
		}
		for range 20 { // is met all the time
			time.Sleep(time.Second)
			take(t, l, "k", 1)
		}
		if l.Stats().Down != 1 {
			t.Errorf("%+v, want an outage", l.Stats())
		}
		name = "new"
		s.set(0, nil)
		for i := range 12 {
			take(t, l, "k", 1)
			if down := l.Stats().Down; down != 1 && i < 10 || down != 0 && i == 11 {
				t.Errorf("after %d s %d servers are down", i, down)
			}
			time.Sleep(time.Second)
		}
		if got := fmt.Sprint(events); got != "[outage of old recovery of old]" {
			t.Errorf("events %s", got)
		}
	})
}

// A server that has its keys still, and is called once a minute, stays down
// until it answers.
func TestOutage_Rare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up, down := &scripted{}, &scripted{wait: time.Hour}
		var events []string
		shard := func(key string) string { return strings.SplitN(key, ":", 2)[0] }
		for range 2 {
			c := redoubtredis.NewCache(redoubtredis.CacheConfig[string]{
				Client:  moving{split{up, down}, func(key string) string { return shard(strings.TrimPrefix(key, "cache/")) }},
				OnEvent: func(_ context.Context, e redoubtredis.Event) { events = append(events, e.Kind.String()+" of "+e.Shard) },
			})
			for range 3 {
				_ = c.Delete(t.Context(), "down:1")
			}
			for range 3 {
				for range 60 {
					time.Sleep(time.Second)
					_ = c.Delete(t.Context(), "up:1")
				}
				if err := c.Delete(t.Context(), "down:2"); c.Stats().Down != 1 || err == nil {
					t.Errorf("%v, %+v, want an outage", err, c.Stats())
				}
			}
			down.set(0, nil)
			time.Sleep(time.Minute)
			if err := c.Delete(t.Context(), "down:2"); err != nil || fmt.Sprint(events) != "[outage of down recovery of down]" {
				t.Errorf("%v, events %s", err, events)
			}
			events = nil
			down.set(time.Hour, nil)
		}
	})
}

// split sends the keys of a server that is down to another client.
type split struct{ up, down redoubtredis.Client }

func (s split) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	if strings.Contains(strings.Join(cmds[0], " "), "down:") {
		return s.down.Do(ctx, cmds...)
	}
	return s.up.Do(ctx, cmds...)
}

// One dead server of three leaves the keys of the other two shared.
func TestOutage_PartOfCluster(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		t.Parallel()
		nodes := redistest.Cluster(t)
		client := connect(t, nodes[0].Addr, nodes[1].Addr, nodes[2].Addr)
		var events sync.Map
		l := redoubtredis.New(redoubtredis.Config{
			Client: client, Limits: limits(ratelimit.PerHour(1 << 30)), Outage: redoubtredis.OutageRefuse, Denied: -1, Timeout: timeout,
			OnEvent: func(_ context.Context, e redoubtredis.Event) { events.Store(e.Shard, e.Kind) },
		})
		sharded, ready := client.(redoubtredis.Sharded), newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(ratelimit.PerHour(1 << 30)), Denied: -1})
		keys := map[string][]string{}
		for i := range 300 {
			key := fmt.Sprint("k", i)
			take(t, ready, key, 1) // connected, and the script is known
			keys[sharded.Shard(l.KeyOf(key))] = append(keys[sharded.Shard(l.KeyOf(key))], key)
		}
		if len(keys) != 3 {
			t.Fatalf("servers %q, want 3", keys)
		}
		for addr, some := range keys {
			if len(some) < 50 {
				t.Errorf("%d keys on %q", len(some), addr)
			}
		}
		dead, stalled := nodes[2].Addr, stalls(t)
		nodes[2].Stop()
		var stop atomic.Bool
		var longest, refused, healthy, alone atomic.Int64
		var wg sync.WaitGroup
		defer wg.Wait()
		defer stop.Store(true)
		for worker := range 6 {
			wg.Go(func() {
				for i := worker; !stop.Load(); i++ {
					key := fmt.Sprint("k", i%300)
					begun := time.Now()
					d := take(t, l, key, 1)
					took := int64(time.Since(begun))
					for old := longest.Load(); took > old && !longest.CompareAndSwap(old, took); old = longest.Load() {
					}
					switch down := sharded.Shard(l.KeyOf(key)) == dead; {
					case down && !d.OK:
						refused.Add(1)
					case !down && d.OK:
						healthy.Add(1)
					case !down:
						alone.Add(1)
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		until(t, "down", func() bool { return l.Stats().Down == 1 })
		defer func() { t.Log(refused.Load(), healthy.Load(), alone.Load(), l.Stats()) }()
		until(t, "decided", func() bool { return refused.Load() > 50 && healthy.Load() > 150 })
		nodes[2].Continue()
		until(t, "up", func() bool { return l.Stats().Down == 0 })
		stop.Store(true)
		wg.Wait()
		s := l.Stats()
		t.Logf("%d decisions for healthy servers, %d of them alone; %d refused; longest call %v; %d outages",
			healthy.Load()+alone.Load(), alone.Load(), refused.Load(), time.Duration(longest.Load()), s.Outages)
		if alone.Load() > healthy.Load()/20 || s.Outages > 3 {
			t.Errorf("%d of %d decisions of healthy servers were made alone, %d outages", alone.Load(), alone.Load()+healthy.Load(), s.Outages)
		}
		if took := time.Duration(longest.Load()); took > timeout+slack+stalled() {
			t.Errorf("a caller was blocked for %v, want %v, and %v without the processor", took, timeout, stalled())
		}
		if kind, ok := events.Load(dead); !ok || kind != redoubtredis.KindRecovery {
			t.Errorf("last event of %s is %v, %v, want a recovery", dead, kind, ok)
		}
	})
}

// A key of another type, and a full server, leave the other keys alone.
func TestOutage_ErrorsOfKeys(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		server := redistest.Start(t)
		l := newLimiter(t, redoubtredis.Config{Client: connect(t, server.Addr), Limits: limits(ratelimit.PerHour(2)), Outage: redoubtredis.OutageAdmit, Denied: -1})
		take(t, l, "used", 2)
		server.MustDo("LPUSH", l.KeyOf("odd"), "x")
		server.MustDo("CONFIG", "SET", "maxmemory", "1")
		for range 5 {
			if d := take(t, l, "odd", 1); !d.OK {
				t.Errorf("%+v, want the policy to admit a key of another type", d)
			}
			if d := take(t, l, "new", 1); !d.OK || d.Remaining != 2 {
				t.Errorf("%+v, want the policy to admit on a full server", d)
			}
			if d := take(t, l, "used", 1); d.OK {
				t.Errorf("%+v, want the server to refuse", d)
			}
		}
		if s := l.Stats(); s.Outages != 0 || s.Errors != 10 || s.Alone != 10 {
			t.Errorf("%+v, want 10 errors and no outage", s)
		}
	})
}

// A burst of callers, and callers with short deadlines, start no outage of a
// healthy server. Many keys in one call are no outage either.
func TestOutage_Healthy(t *testing.T) {
	t.Parallel()
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		server := redistest.Start(t)
		proxy := server.Slow()
		var wg sync.WaitGroup
		for try := 1; ; try++ { // a loaded machine can really not answer for three Timeouts
			l := redoubtredis.New(redoubtredis.Config{Client: connect(t, server.Addr), Limits: limits(ratelimit.PerHour(1 << 30)), Outage: redoubtredis.OutageRefuse, Denied: -1})
			take(t, l, "k", 1)
			for range 1000 {
				wg.Go(func() { take(t, l, "k", 1) })
			}
			wg.Wait()
			t.Logf("burst: %+v", l.Stats())
			if l.Stats().Outages == 0 {
				break
			}
			if try == 10 {
				t.Errorf("an outage in each of %d bursts, want none", try)
				break
			}
		}
		slow := newLimiter(t, redoubtredis.Config{Client: connect(t, proxy.Addr), Name: "slow", Limits: limits(ratelimit.PerHour(1 << 30)), Outage: redoubtredis.OutageAdmit, Denied: -1})
		take(t, slow, "k", 1)
		proxy.SetDelay(20 * time.Millisecond)
		for range 40 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
				defer cancel()
				if d, err := slow.TakeKey(ctx, "k", 1); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%+v, %v, want the error of the context", d, err)
				}
			})
		}
		wg.Wait()
		if s := slow.Stats(); s.Outages != 0 || s.Alone != 0 {
			t.Errorf("%+v: callers with short deadlines switched the limit off", s)
		}
		keys := make([]string, 5000)
		for i := range keys {
			keys[i] = strings.Repeat("x", 1+i%50) + fmt.Sprint(i)
		}
		many := newLimiter(t, redoubtredis.Config{Client: connect(t, server.Addr), Name: "many", Limits: limits(ratelimit.PerHour(1)), Denied: -1})
		ds, err := many.TakeKeys(context.Background(), keys, 1)
		if err != nil || slices.ContainsFunc(ds, func(d ratelimit.Decision) bool { return !d.OK }) || many.Stats().RoundTrips != 10 || many.Stats().Alone != 0 {
			t.Errorf("%v, %+v, want 5000 keys in 10 round trips", err, many.Stats())
		}
	})
}
