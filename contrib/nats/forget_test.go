package redoubtnats_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/redoubt-go/redoubt/cache"
	redoubtnats "github.com/redoubt-go/redoubt/contrib/nats"
	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
)

type user struct {
	Name string
	Team string
}

func teams(u user) []string { return []string{"team:" + u.Team} }

// A process has a cache and listens to the others.
type process struct {
	users  *cache.Cache[string, user]
	news   *redoubtnats.Forgetter
	result chan error
	cancel context.CancelFunc
}

func newProcess(t testing.TB, nc *nats.Conn, check time.Duration) *process {
	t.Helper()
	p := &process{
		users:  cache.New(cache.Config[string, user]{Capacity: 1000}),
		news:   redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{Conn: nc, Subject: "forget.users", Check: check}),
		result: make(chan error, 1),
	}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	go func() { p.result <- p.news.Listen(ctx, redoubtnats.Forget(p.users, teams)) }()
	t.Cleanup(func() {
		p.cancel()
		<-p.result
		p.result <- nil
	})
	clears := uint64(2)
	if check > time.Minute { // the second never comes
		clears = 1
	}
	eventually(t, "the process listens", func() bool { return p.news.Stats().Clears >= clears })
	return p
}

// often is a Check that keeps tests short.
const often = 100 * time.Millisecond

func TestForgetKeysAndTags(t *testing.T) {
	noLeak(t)
	s := natstest.Start(t, natstest.Config{})
	a, b := newProcess(t, s.Client(t), time.Hour), newProcess(t, s.Client(t), time.Hour)
	fill := func() {
		for _, p := range []*process{a, b} {
			p.users.Set("alice", user{"Alice", "red"})
			p.users.Set("bob", user{"Bob", "blue"})
			p.users.Set("caf\xe9", user{"Café", "blue"})
		}
	}
	for _, tt := range []struct {
		news redoubtnats.News
		left int
	}{
		{redoubtnats.News{Keys: []string{"alice", "absent"}}, 2},
		{redoubtnats.News{Keys: []string{"caf\xe9"}}, 2},
		{redoubtnats.News{Tags: []string{"team:blue"}}, 1},
		{redoubtnats.News{Tags: []string{"team:blue", "team:red"}}, 0},
		{redoubtnats.News{All: true}, 0},
		{redoubtnats.News{Keys: []string{strings.Repeat("x", 40_000), "alice", strings.Repeat("y", 40_000), "bob"}}, 1},
	} {
		fill()
		must(t, a.news.Announce(patient(t), tt.news))
		eventually(t, "the other process forgets", func() bool { return b.users.Len() == tt.left })
		// The process that announces has changed its own cache already.
		checkEqual(t, a.users.Len(), 3)
	}
	checkEqual(t, a.news.Stats().Received, uint64(0))
	checkEqual(t, a.news.Stats().Sent, b.news.Stats().Received)
}

// While the connection is lost, no value may stay that was loaded meanwhile.
func TestLostConnectionClears(t *testing.T) {
	noLeak(t)
	s := natstest.Start(t, natstest.Config{})
	for name, fault := range map[string]func(*natstest.Proxy, bool){
		"cut":  (*natstest.Proxy).SetCut,
		"hung": (*natstest.Proxy).SetHung,
	} {
		t.Run(name, func(t *testing.T) {
			p := natstest.NewProxy(t, s.Addr)
			a := newProcess(t, s.Client(t), often)
			b := newProcess(t, natstest.Connect(t, p.URL(), nats.IgnoreDiscoveredServers(), nats.PingInterval(100*time.Millisecond), nats.Timeout(time.Second)), often)
			for round := range 3 {
				b.users.Set("alice", user{"old", "red"})
				fault(p, true)
				must(t, a.news.Announce(patient(t), redoubtnats.News{Keys: []string{"alice"}})) // b does not hear it
				eventually(t, "the old value leaves", func() bool { return b.users.Len() == 0 })
				b.users.Set("alice", user{"loaded while deaf", "red"})
				must(t, a.news.Announce(patient(t), redoubtnats.News{Keys: []string{"alice"}}))
				eventually(t, "the deaf value leaves", func() bool { return b.users.Len() == 0 })
				fault(p, false)
				eventually(t, fmt.Sprint("news arrive again in round ", round), func() bool {
					b.users.Set("bob", user{"Bob", "blue"})
					before := b.news.Stats()
					must(t, a.news.Announce(patient(t), redoubtnats.News{Keys: []string{"bob"}}))
					time.Sleep(5 * time.Millisecond)
					return b.news.Stats().Received > before.Received
				})
				eventually(t, "no more clears", func() bool {
					before := b.news.Stats().Clears
					time.Sleep(5 * often)
					return b.news.Stats().Clears == before
				})
			}
		})
	}
}

// A process that is too slow for the news clears its cache.
func TestSlowListenerClears(t *testing.T) {
	s := natstest.Start(t, natstest.Config{})
	slow := redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{
		Conn: s.Client(t, nats.SyncQueueLen(4)), Subject: "forget.users", Check: time.Hour,
	})
	var mu sync.Mutex
	var all, keys int
	gate := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		result <- slow.Listen(ctx, func(n redoubtnats.News) {
			mu.Lock()
			defer mu.Unlock()
			if n.All {
				all++
				return
			}
			keys++
			mu.Unlock()
			<-gate
			mu.Lock()
		})
	}()
	count := func(n *int) int { mu.Lock(); defer mu.Unlock(); return *n }
	eventually(t, "it listens", func() bool { return count(&all) == 1 })
	fast := redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{Conn: s.Client(t), Subject: "forget.users"})
	for i := range 100 {
		must(t, fast.Announce(patient(t), redoubtnats.News{Keys: []string{fmt.Sprint(i)}}))
	}
	close(gate)
	eventually(t, "it clears", func() bool { return count(&all) >= 2 })
	if n := count(&keys); n >= 100 {
		t.Errorf("%d keys arrived, want a loss", n)
	}
	cancel()
	checkIs(t, <-result, context.Canceled)
}

func TestForeignMessageClears(t *testing.T) {
	s := natstest.Start(t, natstest.Config{})
	nc := s.Client(t)
	p := newProcess(t, nc, time.Hour)
	p.users.Set("alice", user{})
	must(t, nc.Publish("forget.users", []byte("hello")))
	eventually(t, "the cache is empty", func() bool { return p.users.Len() == 0 && p.news.Stats().Malformed == 1 })
}

// A listener that may not subscribe hears no news.
func TestListenWithoutPermission(t *testing.T) {
	s := natstest.Start(t, natstest.Config{Lines: `authorization { users: [
		{ user: admin, password: a }
		{ user: deaf, password: d, permissions: { publish: [">"], subscribe: ["_INBOX.>"] } }
	] }`, User: "admin", Password: "a"})
	nc := natstest.Connect(t, s.URL(), nats.UserInfo("deaf", "d"))
	f := redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{Conn: nc, Subject: "forget.users", Check: often})
	cleared := 0
	checkIs(t, f.Listen(patient(t), func(redoubtnats.News) { cleared++ }), nats.ErrPermissionViolation)
	checkEqual(t, cleared, 1)
}

func TestForgetterEndsWithItsConnection(t *testing.T) {
	noLeak(t)
	s := natstest.Start(t, natstest.Config{})
	nc := s.Client(t)
	p := newProcess(t, nc, often)
	p.users.Set("alice", user{})
	nc.Close()
	err := <-p.result
	p.result <- nil
	if !errors.Is(err, nats.ErrConnectionClosed) && !errors.Is(err, nats.ErrBadSubscription) {
		t.Errorf("error %v, want that the connection is closed", err)
	}
	checkEqual(t, p.users.Len(), 0)
	checkIs(t, p.news.Announce(patient(t), redoubtnats.News{All: true}), nats.ErrConnectionClosed)
	checkIs(t, p.news.Listen(patient(t), func(redoubtnats.News) {}), nats.ErrConnectionClosed)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	checkIs(t, p.news.Announce(ctx, redoubtnats.News{All: true}), context.Canceled)
}

func TestForgetterConfigReportsEveryProblem(t *testing.T) {
	err := redoubtnats.ForgetterConfig{Subject: "a..b", Check: -1}.Validate()
	checkText(t, err, "nats: forgetter: Conn is missing", `Subject is "a..b"`, "Check is -1ns, want at least 0")
	defer func() { checkText(t, recover().(error), "Conn is missing") }()
	redoubtnats.NewForgetter(redoubtnats.ForgetterConfig{})
}

func TestSubjectsOfAFilter(t *testing.T) {
	for _, tt := range []struct {
		filter, subject string
		want            bool
	}{
		{"a.b", "a.b", true},
		{"a.b", "a", false},
		{"a", "a.b", false},
		{"a.*", "a.b", true},
		{"a.*", "a.b.c", false},
		{"*.b", "a.b", true},
		{"*", "a.b", false},
		{">", "a", true},
		{"a.>", "a", false},
		{"a.>", "a.b.c", true},
		{"a.*.c", "a.b.d", false},
	} {
		checkEqual(t, fmt.Sprint(tt.filter, tt.subject, redoubtnats.Covers(tt.filter, tt.subject)), fmt.Sprint(tt.filter, tt.subject, tt.want))
	}
}

// FuzzDecode checks that news of any form do not panic, and that news that are
// accepted stay the same when they are sent on.
func FuzzDecode(f *testing.F) {
	for _, n := range []redoubtnats.News{{All: true}, {Keys: []string{"a", ""}, Tags: []string{"\xff"}}} {
		f.Add(n.Encode([12]byte{1})[0])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		n, origin, err := redoubtnats.Decode(b)
		if err != nil {
			return
		}
		if n.All {
			n.Keys, n.Tags = nil, nil
		}
		var again redoubtnats.News
		for _, message := range n.Encode(origin) {
			part, from, err := redoubtnats.Decode(message)
			if err != nil || from != origin {
				t.Fatalf("error %v, origin %x, want %x", err, from, origin)
			}
			again.All = again.All || part.All
			again.Keys = append(again.Keys, part.Keys...)
			again.Tags = append(again.Tags, part.Tags...)
		}
		if !reflect.DeepEqual(again, n) {
			t.Errorf("got %+v, want %+v", again, n)
		}
	})
}
