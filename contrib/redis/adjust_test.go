package redoubtredis_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// Charges, credits, penalties and resets leave what package ratelimit leaves.
// Oracle: a ratelimit.Keyed in virtual time.
func TestProperty_Adjust(t *testing.T) {
	m, client := mini(t)
	n := 0
	type step struct {
		kind  int
		n     int64
		pause time.Duration
	}
	checkProperty(t, 40, func(r *rand.Rand) error {
		n++
		limit := ratelimit.Per(1+r.Int64N(9), time.Duration(1+r.IntN(9))*time.Second).WithBurst(1 + r.Int64N(20))
		rules := limits(limit)
		if r.IntN(2) == 0 {
			rules = append(rules, ratelimit.PerHour(1<<30))
		}
		steps := make([]step, 30)
		for i := range steps {
			steps[i] = step{r.IntN(6), r.Int64N(30) - 2, time.Duration(r.IntN(3000)) * time.Millisecond}
		}
		var want []ratelimit.Decision
		synctest.Test(t, func(*testing.T) {
			k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limits: rules})
			for _, s := range steps {
				time.Sleep(s.pause)
				switch s.kind {
				case 0:
					k.Charge("k", s.n)
				case 1:
					k.Credit("k", s.n)
				case 2:
					k.Penalize("k", time.Duration(s.n)*time.Second)
				case 3:
					if s.n == 5 {
						k.Reset("k")
					}
				default:
					k.Take("k", s.n)
				}
				want = append(want, k.Take("k", 1))
			}
		})
		l := redoubtredis.New(redoubtredis.Config{Client: client, Name: fmt.Sprint("a", n), Limits: rules, Denied: -1, Timeout: patient, Outage: redoubtredis.OutageRefuse})
		now, ctx := time.Unix(1_800_000_000, 0), context.Background()
		for i, s := range steps {
			now = now.Add(s.pause)
			m.SetTime(now)
			var err error
			switch s.kind {
			case 0:
				_, err = l.ChargeKey(ctx, "k", s.n)
			case 1:
				err = l.CreditKey(ctx, "k", s.n)
			case 2:
				err = l.PenalizeKey(ctx, "k", time.Duration(s.n)*time.Second)
			case 3:
				if s.n == 5 {
					err = l.ResetKey(ctx, "k")
				}
			default:
				_, err = l.TakeKey(ctx, "k", s.n)
			}
			got, err2 := l.TakeKey(ctx, "k", 1)
			if err != nil || err2 != nil || got.OK != want[i].OK || (got.RetryAfter-want[i].RetryAfter).Abs() > 2*time.Microsecond || got.Remaining != want[i].Remaining {
				return fmt.Errorf("limits %v, step %d %+v: got %+v, %v, %v, want %+v", rules, i, s, got, err, err2, want[i])
			}
		}
		return nil
	})
}

// A debt beyond the burst survives takes, and heals when a clock is behind: it
// is then as long as it was.
func TestAdjust_OtherClock(t *testing.T) {
	for name, rules := range map[string][]ratelimit.Limit{"one": limits(ratelimit.PerMinute(6)), "two": limits(ratelimit.PerMinute(6), ratelimit.PerHour(100000))} {
		t.Run(name, func(t *testing.T) {
			m, client := mini(t)
			l := newLimiter(t, redoubtredis.Config{Client: client, Denied: -1, Limits: rules})
			if err := l.PenalizeKey(t.Context(), "k", time.Hour); err != nil {
				t.Fatal(err)
			}
			start := time.Unix(1_800_000_000, 0)
			for _, tt := range []struct{ at, want time.Duration }{
				{30 * time.Minute, 30*time.Minute + 10*time.Second},
				{-2 * time.Hour, time.Hour + 10*time.Second},
				{-90 * time.Minute, 30*time.Minute + 10*time.Second},
			} {
				m.SetTime(start.Add(tt.at))
				if d := take(t, l, "k", 1); d.OK || d.RetryAfter != tt.want {
					t.Errorf("at %v: %+v, want refused for %v", tt.at, d, tt.want)
				}
			}
			for range 3 { // more than the longest debt
				if _, err := l.ChargeKey(t.Context(), "k", math.MaxInt64); err != nil {
					t.Fatal(err)
				}
			}
			if d := take(t, l, "k", 1); d.OK || d.RetryAfter < 30*365*24*time.Hour || d.RetryAfter > 36*365*24*time.Hour {
				t.Errorf("%+v, want refused for 35 years", d)
			}
			if err := l.ResetKey(t.Context(), "k"); err != nil || !take(t, l, "k", 6).OK {
				t.Errorf("%v: a reset key is refused", err)
			}
		})
	}
}

// A refusal is remembered for a few seconds, and with leases for LeaseFor. A
// Reset ends it.
func TestDenied_Forgiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		full := int64(time.Hour / time.Microsecond)
		asked := 0
		c := client(func(_ context.Context, cmds ...[]string) []redoubtredis.Reply {
			asked++
			replies := make([]redoubtredis.Reply, len(cmds))
			for i := range replies {
				replies[i].Value = []any{int64(0), int64(0), int64(0), full, int64(0)}
			}
			return replies
		})
		for lease, remembered := range map[int64]time.Duration{0: 5 * time.Second, 5: 100 * time.Millisecond} {
			asked = 0
			l := redoubtredis.New(redoubtredis.Config{Client: c, Limits: limits(ratelimit.PerHour(10)), Lease: lease, Outage: redoubtredis.OutageRefuse})
			for _, after := range []time.Duration{0, 0, remembered - time.Millisecond, 2 * time.Millisecond} {
				time.Sleep(after)
				if take(t, l, "k", 9).OK {
					t.Error("admitted")
				}
			}
			if asked != 2 {
				t.Errorf("lease %d: asked %d times, want twice", lease, asked)
			}
			if err := l.ResetKey(t.Context(), "k"); err != nil {
				t.Error(err)
			}
			take(t, l, "k", 9)
			if asked != 4 {
				t.Errorf("lease %d: asked %d times, want 4 after a reset", lease, asked)
			}
			_ = l.Close()
		}
	})
}

// More events than a burst are refused without asking the server.
func TestImpossibleIsNotAsked(t *testing.T) {
	_, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(ratelimit.PerHour(5), ratelimit.PerHour(50))})
	for _, n := range []int64{6, 51, math.MaxInt64, -1} {
		if d := take(t, l, "k", n); d.OK || d.Retryable || d.N != n {
			t.Errorf("%d events: %+v, want a refusal forever", n, d)
		}
	}
	if s := l.Stats(); s.RoundTrips != 0 || s.Denied != 4 {
		t.Errorf("%+v, want no round trip", s)
	}
}

// While the server is down, changes are errors, and change the share of this
// process.
func TestAdjust_Outage(t *testing.T) {
	l := newLimiter(t, redoubtredis.Config{Client: lost{}, Limits: limits(ratelimit.PerHour(10)), OnEvent: func(context.Context, redoubtredis.Event) {}})
	for range 3 {
		take(t, l, "other", 1)
	}
	if _, err := l.ChargeKey(t.Context(), "k", 4); !errors.Is(err, redoubtredis.ErrDown) {
		t.Errorf("%v, want ErrDown", err)
	}
	if d := take(t, l, "k", 1); d.Remaining != 5 {
		t.Errorf("%+v, want 5 left of the share", d)
	}
	d, settle, err := l.ReserveKey(t.Context(), "k", 5)
	if err != nil || !d.OK || settle(t.Context(), 2) != nil {
		t.Errorf("%+v, %v, want a reservation from the share", d, err)
	}
	if d := take(t, l, "k", 0); d.Remaining != 3 {
		t.Errorf("%+v, want 3 left", d)
	}
	if err := errors.Join(l.CreditKey(t.Context(), "k", 1)); !errors.Is(err, redoubtredis.ErrDown) {
		t.Errorf("%v, want ErrDown", err)
	}
	if d := take(t, l, "k", 0); d.Remaining != 4 {
		t.Errorf("%+v, want 4 left", d)
	}
}

// A Set of limits keeps what is used, here and in processes that start with
// them.
func TestSet(t *testing.T) {
	_, client := mini(t)
	config := redoubtredis.Config{Client: client, Name: "api", Limits: limits(ratelimit.PerHour(60)), Denied: 10}
	l := newLimiter(t, config)
	take(t, l, "k", 30) // half an hour
	c := l.Config()
	c.Limits[0] = ratelimit.PerHour(120)
	if got := l.Limits()[0]; got.N != 60 {
		t.Errorf("Limits is %v: Config is no copy", got)
	}
	if err := l.Set(c); err != nil {
		t.Fatal(err)
	}
	if d := take(t, l, "k", 1); !d.OK || d.Remaining != 59 || d.Limit.N != 120 {
		t.Errorf("%+v, want 59 of 120 left: half an hour was used", d)
	}
	started := newLimiter(t, c)
	if d := take(t, started, "k", 0); d.Remaining != 59 {
		t.Errorf("%+v, want the same in a new process", d)
	}
	c.Limits[0] = ratelimit.PerHour(4)
	if err := l.Set(c); err != nil {
		t.Fatal(err)
	}
	if d := take(t, l, "k", 3); d.OK || d.Remaining != 1 {
		t.Errorf("%+v, want 1 of 4 left", d)
	}
	c.Limits[0] = ratelimit.PerHour(60)
	if err := l.Set(c); err != nil {
		t.Fatal(err)
	}
	if d := take(t, l, "k", 3); !d.OK {
		t.Errorf("%+v, want the refusal forgotten", d)
	}
	before := l.Config()
	for _, bad := range []redoubtredis.Config{{Limits: limits(ratelimit.Limit{}), Nodes: 1}, {Limits: append(c.Limits, c.Limits...), Nodes: 1}, {Limits: c.Limits, Outage: 9}} {
		if err := l.Set(bad); err == nil || l.Config().Limits[0] != before.Limits[0] || l.Config().Outage != before.Outage {
			t.Errorf("Set(%+v): %v, want an error and no change", bad, err)
		}
	}
	config.Name = ""
	nameless := newLimiter(t, config)
	if err := nameless.Set(c); err != nil {
		t.Errorf("%v, want a Set of the same limits", err)
	}
	c.Limits = limits(ratelimit.PerHour(7))
	if err := nameless.Set(c); err == nil || !strings.Contains(err.Error(), "Name was missing") {
		t.Errorf("%v, want a Name for other limits", err)
	}
}

// A caller that gives up does not cost the lease that it has begun to renew.
func TestLease_Detached(t *testing.T) {
	_, good := mini(t)
	var slow atomic.Bool
	release, begun := make(chan bool), make(chan bool, 10)
	l := newLimiter(t, redoubtredis.Config{Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
		replies := good.Do(ctx, cmds...)
		if slow.Load() {
			begun <- true
			select {
			case <-release:
			case <-ctx.Done():
				return []redoubtredis.Reply{{Err: ctx.Err()}, {Err: ctx.Err()}}[:len(cmds)]
			}
		}
		return replies
	}), Limits: limits(ratelimit.PerHour(10000)), Lease: 1000, LeaseFor: time.Hour})
	for range 1023 { // leases of 1 to 512
		take(t, l, "k", 1)
	}
	slow.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-begun; cancel() }()
	if _, err := l.TakeKey(ctx, "k", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the error of the context", err)
	}
	slow.Store(false)
	close(release)
	trips := l.Stats().RoundTrips
	for range 900 {
		take(t, l, "k", 1)
	}
	if s := l.Stats(); s.RoundTrips != trips {
		t.Errorf("%d round trips for 900 events of a lease, want none", s.RoundTrips-trips)
	}
}

// Close gives up soon if the server hangs.
func TestLease_CloseIsBounded(t *testing.T) {
	_, good := mini(t)
	var hang atomic.Bool
	l := newLimiter(t, redoubtredis.Config{Client: client(func(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
		if hang.Load() {
			return hanging{}.Do(ctx, cmds...)
		}
		return good.Do(ctx, cmds...)
	}), Limits: limits(ratelimit.PerHour(100)), Lease: 50, LeaseFor: time.Hour, Timeout: 300 * time.Millisecond, Outage: redoubtredis.OutageRefuse, OnEvent: func(context.Context, redoubtredis.Event) {}})
	for i := range 2000 {
		take(t, l, fmt.Sprint(i), 1)
		take(t, l, fmt.Sprint(i), 1) // and one ahead
	}
	hang.Store(true)
	begun := time.Now()
	err := l.Close()
	if took := time.Since(begun); err == nil || took > 300*time.Millisecond+slack {
		t.Errorf("%v after %v, want an error after 300ms", err, took)
	}
}
