package redoubtredis_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// remaining returns the events of a key that the server has left, asked by a
// limiter without leases.
func remaining(t testing.TB, client redoubtredis.Client, key string, rules ...ratelimit.Limit) int64 {
	t.Helper()
	return take(t, newLimiter(t, redoubtredis.Config{Client: client, Limits: rules, Denied: -1}), key, 0).Remaining
}

// A busy key needs fewer and fewer round trips. Unused events are returned, in
// time and by Close.
func TestLease(t *testing.T) {
	_, client := mini(t)
	hour := ratelimit.PerHour(1000)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(hour), Lease: 100, LeaseFor: time.Minute})
	for i := range int64(500) {
		if d := take(t, l, "k", 1); !d.OK || d.Remaining != 999-i {
			t.Fatalf("event %d: %+v", i, d)
		}
	}
	s := l.Stats()
	if s.RoundTrips != 11 || s.Leased != 489 || s.Allowed != 11 { // 1 2 4 8 16 32 64 100 100 100 100
		t.Errorf("%+v, want 11 round trips for 500 events", s)
	}
	if n := remaining(t, client, "k", hour); n != 1000-527 {
		t.Errorf("the server has %d left, want 473: what is ahead is taken", n)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := remaining(t, client, "k", hour); n != 500 {
		t.Errorf("the server has %d left after Close, want 500", n)
	}
	if d := take(t, l, "k", 1); !d.OK || l.Stats().RoundTrips != 12 {
		t.Errorf("after Close: %+v, want a take like any other", d)
	}
	if n := remaining(t, client, "k", hour); n != 499 || l.Close() != nil {
		t.Errorf("the server has %d left, want 499: no leases after Close", n)
	}
}

// Events that are not spent in time are returned without a call, and not spent
// afterwards.
func TestLease_Ends(t *testing.T) {
	_, client := mini(t)
	hour := ratelimit.PerHour(1000)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(hour), Lease: 100, LeaseFor: 50 * time.Millisecond})
	for range 5 { // leases of 1, 2 and 4
		take(t, l, "k", 1)
	}
	until(t, "given back", func() bool { return remaining(t, client, "k", hour) == 995 })
	trips := l.Stats().RoundTrips
	if d := take(t, l, "k", 1); !d.OK || l.Stats().RoundTrips != trips+1 {
		t.Errorf("%+v without asking: a lease was spent after its end", d)
	}
}

// A lease is not spent after its end, even if it could not be given back yet.
func TestLease_NotSpentLate(t *testing.T) {
	_, good := mini(t)
	var takes atomic.Pointer[string]
	blocked, release := make(chan bool, 1000), make(chan bool)
	l := newLimiter(t, redoubtredis.Config{Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
		if takes.CompareAndSwap(nil, &cmds[0][1]); *takes.Load() != cmds[0][1] && cmds[0][0] == "EVALSHA" && len(cmds) == 1 {
			blocked <- true
			<-release
		}
		return good.Do(ctx, cmds...)
	}), Limits: limits(ratelimit.PerHour(100)), Lease: 50, LeaseFor: 50 * time.Millisecond})
	t.Cleanup(func() { close(release) })
	for range 5 { // leases of 1, 2 and 4
		take(t, l, "a", 1)
	}
	until(t, "about to give back", func() bool { return len(blocked) > 0 })
	take(t, l, "b", 1)
	take(t, l, "b", 1) // and one ahead
	time.Sleep(60 * time.Millisecond)
	trips := l.Stats().RoundTrips
	if d := take(t, l, "b", 1); !d.OK || l.Stats().RoundTrips != trips+1 {
		t.Errorf("%+v without asking: a lease was spent after its end", d)
	}
}

// Too little of a lease is given back with the request for more.
func TestLease_Rest(t *testing.T) {
	_, client := mini(t)
	hour := ratelimit.PerHour(1000)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(hour), Lease: 100, LeaseFor: time.Minute})
	for i := range int64(60) {
		take(t, l, "k", 1+i%5)
	}
	if s := l.Stats(); s.Returned == 0 {
		t.Errorf("%+v, want some given back on the way", s)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if n := remaining(t, client, "k", hour); n != 1000-180 {
		t.Errorf("the server has %d left, want 820", n)
	}
}

// If a whole lease does not fit, half of it may fit, and so on, down to the
// events asked for.
func TestLease_Short(t *testing.T) {
	_, client := mini(t)
	hour, day := ratelimit.PerHour(100), ratelimit.Per(90, 24*time.Hour)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(hour, day), Lease: 1000, LeaseFor: time.Minute})
	admitted := 0
	for take(t, l, "k", 2).OK {
		admitted += 2
	}
	if s := l.Stats(); admitted != 90 || s.RoundTrips > 12 {
		t.Errorf("admitted %d with %+v, want 90", admitted, s)
	}
	if d := take(t, l, "k", 200); d.OK || d.Retryable {
		t.Errorf("200 of 90: %+v", d)
	}
}

// If many callers find a lease used up, a single caller asks the server, and
// the others wait for it, at most Timeout.
func TestLease_OneAsks(t *testing.T) {
	var asked atomic.Int64
	l := redoubtredis.New(redoubtredis.Config{Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
		asked.Add(1)
		return hanging{}.Do(ctx, cmds...)
	}), Limits: limits(ratelimit.PerHour(100)), Lease: 50, Timeout: 300 * time.Millisecond, Outage: redoubtredis.OutageRefuse})
	defer l.Close()
	begun := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if d := take(t, l, "k", 1); d.OK || d.RetryAfter <= 0 {
				t.Errorf("%+v, want a refusal of the policy", d)
			}
		})
	}
	wg.Wait()
	if took := time.Since(begun); asked.Load() > 2 || took > 300*time.Millisecond+slack {
		t.Errorf("asked %d times, in %v", asked.Load(), took)
	}
}

// A Client that panics leaves nothing locked.
func TestLease_Panic(t *testing.T) {
	_, good := mini(t)
	var fail atomic.Bool
	l := newLimiter(t, redoubtredis.Config{Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
		if fail.Load() {
			panic("client")
		}
		return good.Do(ctx, cmds...)
	}), Limits: limits(ratelimit.PerHour(100)), Lease: 50, LeaseFor: time.Minute})
	fail.Store(true)
	func() {
		defer func() {
			if got := recover(); got != "client" {
				t.Errorf("recovered %v, want the panic of the client", got)
			}
		}()
		take(t, l, "k", 1)
	}()
	fail.Store(false)
	if d := take(t, l, "k", 1); !d.OK || d.Remaining != 99 {
		t.Errorf("after the panic: %+v", d)
	}
}

// A client is a Client made of a function.
type client func(context.Context, ...[]string) []redoubtredis.Reply

func (c client) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	return c(ctx, cmds...)
}

// Eight processes that use a key together admit no more than the limit, and
// their unused events are returned when they have ended.
func TestLease_EightProcesses(t *testing.T) {
	if addr := os.Getenv("REDOUBT_TEST_HAMMER"); addr != "" {
		hammer(t, addr)
		return
	}
	server := redistest.Start(t)
	begun := time.Now()
	var admitted, leased atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
			cmd.Env = append(os.Environ(), "REDOUBT_TEST_HAMMER="+server.Addr)
			out, err := cmd.Output()
			var a, ahead int64
			_, figures, _ := strings.Cut(string(out), "figures: ")
			if _, scan := fmt.Sscan(figures, &a, &ahead); err != nil || scan != nil {
				t.Errorf("%v, %v:\n%s", err, scan, out)
			}
			admitted.Add(a)
			leased.Add(ahead)
		})
	}
	wg.Wait()
	left := remaining(t, goClient(t, server.Addr), "k", hammered)
	took := time.Since(begun)
	bound := hammered.Burst + int64(float64(hammered.N)*took.Seconds()) + 1
	t.Logf("admitted %d of %d, %d of them leased, %d left, after %v", admitted.Load(), bound, leased.Load(), left, took)
	if admitted.Load()+left > bound {
		t.Errorf("admitted %d and %d left, the limit is %d", admitted.Load(), left, bound)
	}
	if admitted.Load() < hammered.Burst {
		t.Errorf("admitted %d, want the burst of %d at least", admitted.Load(), hammered.Burst)
	}
	if leased.Load() == 0 {
		t.Error("nothing was spent from a lease")
	}
}

// hammered is the limit of eight processes, who want more.
var hammered = ratelimit.PerSecond(20_000).WithBurst(5000)

func hammer(t *testing.T, addr string) {
	l := newLimiter(t, redoubtredis.Config{Client: rueClient(t, addr), Limits: limits(hammered), Lease: 100})
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for end := time.Now().Add(time.Second / 2); time.Now().Before(end); {
				if d := take(t, l, "k", 1); d.OK {
					admitted.Add(1)
				} else {
					time.Sleep(min(d.RetryAfter, time.Millisecond))
				}
			}
		})
	}
	wg.Wait()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	fmt.Println("figures:", admitted.Load(), l.Stats().Leased)
}
