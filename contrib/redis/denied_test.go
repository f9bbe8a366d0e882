package redoubtredis_test

import (
	"fmt"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// A refused key costs the server nothing until it may go on, by the server's
// own count; then it may.
func TestDenied_NoRoundTrip(t *testing.T) {
	server := redistest.Start(t)
	l := newLimiter(t, redoubtredis.Config{Client: goClient(t, server.Addr), Limits: limits(ratelimit.Per(2, 2*time.Second))})
	take(t, l, "k", 2)
	first := take(t, l, "k", 1)
	if first.OK {
		t.Skip("the event is back already: the machine is too slow for this test")
	}
	end := time.Now().Add(first.RetryAfter)
	calls := server.Calls("evalsha")
	asked := 0
	for time.Until(end) > 300*time.Millisecond {
		before := time.Until(end)
		d := take(t, l, "k", 1)
		if after := time.Until(end); !d.OK && (d.RetryAfter > before+time.Millisecond || d.RetryAfter < after-slack) {
			t.Fatalf("retry after %v, want %v to %v", d.RetryAfter, after, before)
		}
		asked++
	}
	if n := server.Calls("evalsha"); n != calls || asked == 0 {
		t.Errorf("%d refusals, %d commands executed, want none", asked, n-calls)
	}
	if d := take(t, l, "k", 2); d.OK || server.Calls("evalsha") != calls {
		t.Errorf("two events: %+v, want refused without asking: one would be", d)
	}
	time.Sleep(time.Until(end.Add(50 * time.Millisecond)))
	if d := take(t, l, "k", 1); !d.OK || server.Calls("evalsha") != calls+1 {
		t.Errorf("after RetryAfter: %+v, want admitted by the server", d)
	}
}

// The memory of refusals has a fixed size: with more refused keys than places,
// some cost a round trip again, and all are refused.
func TestDenied_Bounded(t *testing.T) {
	_, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Denied: 8, Limits: limits(ratelimit.PerHour(1))})
	for round := range 3 {
		for i := range 50 {
			if d := take(t, l, fmt.Sprint("k", i), 1); d.OK != (round == 0) || round > 0 && d.RetryAfter < 59*time.Minute {
				t.Errorf("round %d, key %d: %+v", round, i, d)
			}
		}
	}
	s := l.Stats()
	if s.Denied > 16 || s.Denied+s.Refused != 100 {
		t.Errorf("%+v, want at most 8 of the refusals of a round without asking", s)
	}
}

// A decision without the server costs no allocation.
func TestCost(t *testing.T) {
	_, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Lease: 1000, LeaseFor: time.Hour, Limits: limits(ratelimit.PerHour(2000))})
	for range 1100 { // up to a lease of 512
		take(t, l, "leased", 1)
	}
	take(t, l, "denied", 2000)
	take(t, l, "denied", 1)
	before := l.Stats()
	for _, key := range []string{"leased", "denied"} {
		if n := testing.AllocsPerRun(100, func() { take(t, l, key, 1) }); n != 0 {
			t.Errorf("%s: %v allocations, want none", key, n)
		}
	}
	if after := l.Stats(); after.RoundTrips != before.RoundTrips {
		t.Errorf("%+v after %+v: asked the server", after, before)
	}
}
