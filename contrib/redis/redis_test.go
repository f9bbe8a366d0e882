package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimittest"
)

// The conformance kit, plain and with leases, with each client on a real
// server.
func TestStore(t *testing.T) {
	server := redistest.Start(t)
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		client := connect(t, server.Addr)
		for name, lease := range map[string]int64{"plain": 0, "leased": 20} {
			t.Run(name, func(t *testing.T) {
				n := 0
				ratelimittest.Run(t, func(t *testing.T, l ratelimit.Limit) ratelimit.Store {
					n++
					name := fmt.Sprint("store:", strings.ReplaceAll(t.Name()[len("TestStore/"):], "/", ":"), ":", n)
					return newLimiter(t, redoubtredis.Config{Client: client, Name: name, Limits: limits(l), Lease: lease, LeaseFor: time.Minute})
				})
			})
		}
	})
}

// One state for all who use the same Name and Limits; another for other ones.
func TestShared(t *testing.T) {
	_, client := mini(t)
	five := limits(ratelimit.PerHour(5))
	a := newLimiter(t, redoubtredis.Config{Client: client, Limits: five})
	b := newLimiter(t, redoubtredis.Config{Client: client, Limits: five})
	if d := take(t, a, "k", 3); !d.OK || d.Remaining != 2 {
		t.Errorf("3 of 5: %+v", d)
	}
	if d := take(t, b, "k", 3); d.OK || d.Remaining != 2 || d.RetryAfter != 12*time.Minute || d.ResetAfter != 36*time.Minute {
		t.Errorf("3 of 5 more elsewhere: %+v, want refused for 12m with 2 left, full in 36m", d)
	}
	for _, other := range []redoubtredis.Config{{Client: client, Limits: five, Name: "other"}, {Client: client, Limits: limits(ratelimit.PerHour(6))}} {
		if d := take(t, newLimiter(t, other), "k", 5); !d.OK {
			t.Errorf("limiter %q with %v shares the state", other.Name, other.Limits)
		}
	}
}

// All limits must agree. If a limit refuses, the others do not change.
func TestSeveralLimits(t *testing.T) {
	m, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Denied: -1, Limits: limits(ratelimit.PerSecond(3), ratelimit.PerHour(5))})
	for i, want := range []struct {
		n         int64
		ok        bool
		limit     string
		remaining int64
		retry     time.Duration
	}{
		{3, true, "3/s", 0, 0},
		{1, false, "3/s", 0, 333334 * time.Microsecond},
		{4, false, "3/s", 0, 0},
		{2, false, "3/s", 0, 666667 * time.Microsecond},
	} {
		if d := take(t, l, "k", want.n); d.OK != want.ok || d.Limit.String() != want.limit || d.Remaining != want.remaining || d.RetryAfter != want.retry || d.Retryable != (want.retry > 0) {
			t.Errorf("take %d of %d events: %+v, want %+v", i, want.n, d, want)
		}
	}
	m.SetTime(time.Unix(1_800_000_001, 0))
	if d := take(t, l, "k", 3); d.OK || d.Limit.String() != "5/h" || d.Remaining != 2 || d.RetryAfter != 12*time.Minute-time.Second {
		t.Errorf("3 of 2 left in the hour: %+v, want 5/h to refuse them for 11m59s", d)
	}
	if d := take(t, l, "k", 2); !d.OK || d.Limit.String() != "5/h" || d.Remaining != 0 {
		t.Errorf("2 of 2 left in the hour: %+v, want them: the refusal took nothing", d)
	}
}

// A take writes a single key with a hash tag, which expires when the bucket is
// full. A refusal writes nothing.
func TestWrites(t *testing.T) {
	m, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Denied: -1, Name: "api", Limits: limits(ratelimit.Per(2, 3*time.Second))})
	take(t, l, "}{secret", 0)
	if keys := m.Keys(); len(keys) != 0 {
		t.Fatalf("a look has written %q", keys)
	}
	take(t, l, "}{secret", 2)
	keys := m.Keys()
	if len(keys) != 1 || !strings.HasPrefix(keys[0], "api:{") || !strings.HasSuffix(keys[0], "}") || strings.Contains(keys[0], "secret") {
		t.Fatalf("keys %q, want one of the form api:{hash}", keys)
	}
	if ttl := m.TTL(keys[0]); ttl != 3*time.Second {
		t.Errorf("expires in %v, want 3s", ttl)
	}
	before, _ := m.Get(keys[0])
	m.FastForward(time.Second) // the expiry only; the clock stands still
	if d := take(t, l, "}{secret", 1); d.OK {
		t.Error("admitted more than the burst")
	}
	after, _ := m.Get(keys[0])
	if ttl := m.TTL(keys[0]); ttl != 2*time.Second || before != after {
		t.Errorf("a refusal has written %q over %q, or put off the expiry, now in %v", after, before, ttl)
	}
}

// A clock that is behind, after a failover, blocks no key for longer than a
// burst takes to come back. A malformed state counts as a full bucket.
func TestHeals(t *testing.T) {
	for name, rules := range map[string][]ratelimit.Limit{"one": limits(ratelimit.PerMinute(6)), "two": limits(ratelimit.PerHour(1000), ratelimit.PerMinute(6))} {
		t.Run(name, func(t *testing.T) {
			m, client := mini(t)
			l := newLimiter(t, redoubtredis.Config{Client: client, Denied: -1, Limits: rules})
			take(t, l, "k", 6)
			start := time.Unix(1_800_000_000, 0)
			m.SetTime(start.Add(-2 * time.Hour))
			if d := take(t, l, "k", 1); d.OK || d.RetryAfter != 10*time.Second || d.ResetAfter != time.Minute {
				t.Errorf("two hours earlier: %+v, want refused for 10s", d)
			}
			m.SetTime(start.Add(-2*time.Hour + 10*time.Second))
			if d := take(t, l, "k", 1); !d.OK {
				t.Errorf("10s later: %+v, want admitted", d)
			}
			for _, state := range []string{"", "x", "99999999999999999999999 1", "-5", "1e99", "1800000000000000"} {
				if err := m.Set(l.KeyOf("k"), state); err != nil {
					t.Fatal(err)
				}
				if d := take(t, l, "k", 1); d.OK == (d.RetryAfter > 0) || d.RetryAfter > 10*time.Second {
					t.Errorf("state %q: %+v", state, d)
				}
			}
		})
	}
}

// TakeKeys asks for all in one go, also where the server knows no script yet;
// the keys do not depend on each other.
func TestTakeKeys(t *testing.T) {
	server := redistest.Start(t)
	eachClient(t, func(t *testing.T, connect func(testing.TB, ...string) redoubtredis.Client) {
		l := newLimiter(t, redoubtredis.Config{Client: connect(t, server.Addr), Name: "keys:" + t.Name()[13:], Limits: limits(ratelimit.PerHour(2))})
		for round := range 4 {
			if round%2 == 0 {
				server.MustDo("SCRIPT", "FLUSH")
			}
			ds, err := l.TakeKeys(t.Context(), []string{"a", "b", "a", "c"}, 1)
			if err != nil || len(ds) != 4 {
				t.Fatalf("round %d: %v, %v", round, ds, err)
			}
			a, b := round == 0, round < 2
			if ds[0].OK != a || ds[2].OK != a || ds[1].OK != b || ds[3].OK != b {
				t.Errorf("round %d: %+v, want a %v and b, c %v", round, ds, a, b)
			}
		}
		if s := l.Stats(); s.RoundTrips != 3 || s.Denied != 6 {
			t.Errorf("%+v, want 3 round trips, and none in the last round", s)
		}
	})
}

// A call with a context that is done takes nothing. A context that ends during
// the call is no outage.
func TestContext(t *testing.T) {
	m, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(ratelimit.PerHour(2))})
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := l.TakeKey(ctx, "k", 1); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("error %v, want that of the context and its cause", err)
	}
	if _, err := l.TakeKeys(ctx, []string{"k"}, 1); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
		t.Errorf("error %v, want that of the context and its cause", err)
	}
	if len(m.Keys()) != 0 {
		t.Error("taken with a context that was done")
	}
	slow := newLimiter(t, redoubtredis.Config{Client: hanging{}, Limits: limits(ratelimit.PerHour(2))}) // waits for long
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer stop()
	if _, err := slow.TakeKey(ctx, "k", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want that of the context", err)
	}
	if s := slow.Stats(); s.Outages != 0 || s.Down > 0 {
		t.Errorf("%+v: the caller's haste was taken for an outage", s)
	}
}

// hanging is a client whose server never answers.
type hanging struct{}

func (hanging) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	<-ctx.Done()
	replies := make([]redoubtredis.Reply, len(cmds))
	for i := range replies {
		replies[i].Err = ctx.Err()
	}
	return replies
}

func TestValidate(t *testing.T) {
	bad := redoubtredis.Config{
		Name: "{}", Limits: limits(ratelimit.Limit{}, ratelimit.Inf(), ratelimit.Per(1, 1<<62).WithBurst(1<<20)), Lease: -1, LeaseFor: 1,
		Denied: 1 << 30, Outage: 7, LocalKeys: -1,
	}
	err := bad.Validate()
	for _, want := range []string{"Client", "Name: \"{}\"", "Limits[0]: N is 0, want 1 to 1e12", "Limits[1]: N is 9223372036854775807", "Limits[2]: Burst is 1048576, want at most 35 years", "Lease is", "LeaseFor", "Denied", "Outage", "LocalKeys"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: lacks %q", err, want)
		}
	}
	if err := (redoubtredis.Config{Client: hanging{}, Limits: limits(ratelimit.PerSecond(1))}).Validate(); err == nil || !strings.Contains(err.Error(), "Nodes is 0") {
		t.Errorf("%v, want Nodes to be required", err)
	}
	defer func() {
		if got, ok := recover().(error); !ok || got.Error() != err.Error() {
			t.Errorf("New panics with %v, want %v", got, err)
		}
	}()
	redoubtredis.New(bad)
}

// Where CI=true nothing may be skipped: the server must be there.
func TestServerInstalled(t *testing.T) {
	if os.Getenv("CI") != "true" {
		t.Skip("CI is not set: tests that need redis-server are skipped where it is missing")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Fatalf("%v; install the Debian package redis-server", err)
	}
}

// A hook that panics passes its panic on, and the Limiter goes on.
func TestPanickingHook(t *testing.T) {
	calls := 0
	l := redoubtredis.New(redoubtredis.Config{
		Client: lost{}, Limits: limits(ratelimit.PerHour(1)), Outage: redoubtredis.OutageRefuse,
		OnEvent: func(context.Context, redoubtredis.Event) { calls++; panic("hook") },
	})
	take(t, l, "k", 1)
	take(t, l, "k", 1)
	func() {
		defer func() {
			if got := recover(); got != "hook" {
				t.Errorf("recovered %v, want the panic of the hook", got)
			}
		}()
		take(t, l, "k", 1)
	}()
	if d := take(t, l, "k", 1); d.OK || !d.Retryable || calls != 1 || l.Stats().Down != 1 {
		t.Errorf("after the panic: %+v, %d calls, %+v", d, calls, l.Stats())
	}
}
