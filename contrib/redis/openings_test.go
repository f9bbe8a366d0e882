package redis_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
)

// fleet makes breakers of one name in n processes, so to speak.
func fleet(t *testing.T, n int, c redis.OpeningsConfig) []*breaker.Breaker {
	t.Helper()
	c.Every = 20 * time.Millisecond
	all := make([]*breaker.Breaker, n)
	for i := range all {
		o := redis.NewOpenings(c)
		t.Cleanup(o.Close)
		all[i] = o.Breaker(breaker.Config{Name: "billing", OpenFor: time.Minute})
	}
	return all
}

// fail opens a breaker as its own calls do.
func fail(b *breaker.Breaker) {
	for range 5 {
		_ = b.Do(context.Background(), func(context.Context) error { return errors.New("down") })
	}
}

func count(all []*breaker.Breaker, s breaker.State) (n int) {
	for _, b := range all {
		if b.State() == s {
			n++
		}
	}
	return n
}

// Half of the processes, and three at least, open all the others, for as long
// as so many of them stay open.
func TestOpenings(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redis.Client) {
		all := fleet(t, 6, redis.OpeningsConfig{Client: connect(t, server.Addr), Name: t.Name()[13:]})
		fail(all[0])
		fail(all[1])
		calls := server.Calls("evalsha")
		until(t, "exchanged ten times each", func() bool { return server.Calls("evalsha") > calls+60 })
		if n := count(all, breaker.StateOpen); n != 2 {
			t.Fatalf("%d are open, want the 2 of 6 that have failed", n)
		}
		fail(all[2])
		until(t, "open everywhere", func() bool { return count(all, breaker.StateOpen) == 6 })
		err := all[5].Do(t.Context(), func(context.Context) error { return nil })
		var open *breaker.OpenError
		if !errors.As(err, &open) || !errors.Is(open.Cause, redis.ErrQuorum) || open.RetryAfter() > 72*time.Second {
			t.Errorf("refused with %v because of %v, want ErrQuorum", err, open)
		}
		// Breakers that others opened do not count: when a breaker of the three
		// has closed, no breaker is held open.
		for _, b := range all {
			b.Reset()
		}
		fail(all[0])
		fail(all[1])
		calls = server.Calls("evalsha")
		until(t, "exchanged ten times each", func() bool { return server.Calls("evalsha") > calls+60 })
		for _, b := range all[2:] {
			b.Reset()
		}
		calls = server.Calls("evalsha")
		until(t, "exchanged ten times each", func() bool { return server.Calls("evalsha") > calls+60 })
		if n := count(all, breaker.StateOpen); n != 2 {
			t.Errorf("%d are open, want the 2 that have failed: the others hold each other open", n)
		}
	})
}

// Processes that have ended are forgotten, so that the quorum counts running
// processes. Shared openings expire.
func TestOpenings_Forgets(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := goClient(t, server.Addr)
	gone := redis.NewOpenings(redis.OpeningsConfig{Client: client, Every: 20 * time.Millisecond})
	gone.Breaker(breaker.Config{Name: "billing"})
	all := fleet(t, 3, redis.OpeningsConfig{Client: client, Quorum: 1, MinOpen: 1})
	seen := func(n string) func() bool {
		return func() bool {
			keys := server.MustDo("KEYS", "*n")
			return keys != "" && server.MustDo("ZCARD", keys) == n
		}
	}
	until(t, "four processes", seen("4"))
	gone.Close()
	gone.Close()
	until(t, "three processes", seen("3"))
	for _, b := range all {
		fail(b)
	}
	if ttl := server.MustDo("PTTL", server.MustDo("KEYS", "*n")); strings.HasPrefix(ttl, "-") {
		t.Errorf("the processes never expire: PTTL %s", ttl)
	}
}

// While the server does not answer, each process is on its own: its calls do
// not wait, nothing is opened for others.
func TestOpenings_Outage(t *testing.T) {
	t.Parallel()
	all := fleet(t, 3, redis.OpeningsConfig{Client: hanging{}, MinOpen: 1, Quorum: 0.1})
	begun := time.Now()
	fail(all[0])
	time.Sleep(100 * time.Millisecond)
	if n := count(all, breaker.StateOpen); n != 1 || time.Since(begun) > 100*time.Millisecond+slack {
		t.Errorf("%d open after %v, want the 1 that has failed", n, time.Since(begun))
	}
}

// The hook of a breaker goes on to be called.
func TestOpenings_Hook(t *testing.T) {
	o := redis.NewOpenings(redis.OpeningsConfig{Client: hanging{}})
	defer o.Close()
	var events []breaker.Event
	b := o.Breaker(breaker.Config{OnEvent: func(_ context.Context, e breaker.Event) { events = append(events, e) }})
	fail(b)
	if len(events) != 1 || events[0].To != breaker.StateOpen {
		t.Errorf("events %v, want one opening", events)
	}
}

func TestOpenings_Validate(t *testing.T) {
	bad := redis.OpeningsConfig{Name: " ", Quorum: math.NaN(), MinOpen: -1, Every: 1, Instance: strings.Repeat("x", 65)}
	err := bad.Validate()
	for _, want := range []string{"Client", "Name", "Quorum", "MinOpen", "Every", "Instance"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %q", err, want)
		}
	}
	defer func() {
		if got, ok := recover().(error); !ok || got.Error() != err.Error() {
			t.Errorf("NewOpenings panics with %v, want %v", got, err)
		}
	}()
	redis.NewOpenings(bad)
}
