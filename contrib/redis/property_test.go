package redoubtredis_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// checkProperty checks a property with n random seeds, which gopter reports if
// it fails.
func checkProperty(t *testing.T, n int, property func(r *rand.Rand) error) {
	t.Helper()
	p := gopter.DefaultTestParameters()
	p.MinSuccessfulTests = n
	properties := gopter.NewProperties(p)
	properties.Property(t.Name(), prop.ForAllNoShrink(func(seed uint64) (bool, error) {
		err := property(rand.New(rand.NewPCG(seed, 1)))
		return err == nil, err
	}, gen.UInt64()))
	properties.TestingRun(t)
}

// An event asks for n events of a key, after a pause.
type event struct {
	pause time.Duration // whole microseconds, as the clock of a server
	key   string
	n     int64
}

// randomLimits returns limits at which an event takes a fraction of a
// microsecond that ratelimit does not round away: its clock has units of up to
// 2 ns, and the scripts are exact.
func randomLimits(r *rand.Rand) (all []ratelimit.Limit) {
	for range 1 + r.IntN(3) {
		per := time.Duration(1+r.IntN(5000)) * time.Millisecond
		all = append(all, ratelimit.Per(1+r.Int64N(60), per).WithBurst(1+r.Int64N(20)))
	}
	return all
}

func randomEvents(r *rand.Rand, n int, longest time.Duration) []event {
	events := make([]event, n)
	for i := range events {
		events[i] = event{key: string(rune('a' + r.IntN(3))), n: []int64{1, 1, 1, 2, 5, 0, 21, -1}[r.IntN(8)]}
		if r.IntN(3) > 0 {
			events[i].pause = time.Duration(r.Int64N(int64(longest/time.Microsecond))) * time.Microsecond
		}
	}
	return events
}

// Oracle: package ratelimit, in virtual time. The same list of events has the
// same decisions.
func TestProperty_SameAsInProcess(t *testing.T) {
	m, client := mini(t)
	n := 0
	checkProperty(t, 60, func(r *rand.Rand) error {
		n++
		rules, events := randomLimits(r), randomEvents(r, 60, 300*time.Millisecond)
		want := inProcess(t, rules, events)
		l := redoubtredis.New(redoubtredis.Config{Client: client, Name: fmt.Sprint("p", n), Limits: rules, Denied: -1, Timeout: patient, Outage: redoubtredis.OutageRefuse})
		now := time.Unix(1_800_000_000, 0)
		for i, e := range events {
			now = now.Add(e.pause)
			m.SetTime(now)
			got, err := l.TakeKey(context.Background(), e.key, e.n)
			if err != nil || !same(got, want[i]) {
				return fmt.Errorf("limits %v, event %d %+v: got %+v, %v, want %+v", rules, i, e, got, err, want[i])
			}
		}
		return nil
	})
}

func inProcess(t *testing.T, rules []ratelimit.Limit, events []event) (decisions []ratelimit.Decision) {
	synctest.Test(t, func(*testing.T) {
		limiters := map[string]*ratelimit.Limiter{}
		for _, e := range events {
			time.Sleep(e.pause)
			if limiters[e.key] == nil {
				limiters[e.key] = ratelimit.New(rules...)
			}
			decisions = append(decisions, limiters[e.key].Take(e.n))
		}
	})
	return decisions
}

// same allows for the resolution of a server's clock, to which times are
// rounded up, and for units of ratelimit. Of two limits whose times agree to
// that, either may be named.
func same(got, want ratelimit.Decision) bool {
	near := func(a, b time.Duration) bool { return a == b || a-b > -3 && a-b < time.Microsecond+3 }
	if got.OK != want.OK || got.N != want.N || !near(got.RetryAfter, want.RetryAfter) {
		return false
	}
	if !got.OK && !got.Retryable { // the server is not asked
		return !want.Retryable
	}
	return got.Limit != want.Limit && !got.OK || got.Remaining == want.Remaining && near(got.ResetAfter, want.ResetAfter)
}

// A recorder remembers the instants in the replies of a server.
type recorder struct {
	redoubtredis.Client
	mu   sync.Mutex
	last int64
}

func (c *recorder) Do(ctx context.Context, cmds ...[]string) []redoubtredis.Reply {
	replies := c.Client.Do(ctx, cmds...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if numbers, ok := replies[0].Value.([]any); ok {
		c.last, _ = numbers[1].(int64)
	}
	return replies
}

// On a real server, ratelimit has the same decisions at the instants that the
// server went by.
func TestProperty_SameOnRealServer(t *testing.T) {
	server := redistest.Start(t)
	client := &recorder{Client: rueClient(t, server.Addr)}
	n := 0
	checkProperty(t, 5, func(r *rand.Rand) error {
		n++
		rules := limits(ratelimit.Per(1+r.Int64N(9), time.Duration(1+r.IntN(9))*time.Millisecond).WithBurst(1 + r.Int64N(9)))
		l := redoubtredis.New(redoubtredis.Config{Client: client, Name: fmt.Sprint("p", n), Limits: rules, Denied: -1, Timeout: patient, Outage: redoubtredis.OutageRefuse})
		oracle := map[string]*ratelimit.Limiter{"a": ratelimit.New(rules...), "b": ratelimit.New(rules...), "c": ratelimit.New(rules...)}
		for i, e := range randomEvents(r, 150, 2*time.Millisecond) {
			time.Sleep(e.pause)
			got, err := l.TakeKey(context.Background(), e.key, e.n)
			want := oracle[e.key].AllowAt(time.UnixMicro(client.last), e.n)
			if err != nil || got.OK != want {
				return fmt.Errorf("limit %v, event %d %+v: got %+v, %v, want %v", rules, i, e, got, err, want)
			}
		}
		return nil
	})
}

// A bucket is the naive model of a limit, in floating point over small numbers:
// when it will be full again.
type bucket struct{ full float64 }

func (b *bucket) charge(at, cost float64) { b.full = max(b.full, at) + cost }

// Returned events are as if they had never been taken, or fewer. Oracle: a
// model in which only the kept events were taken. Without a pause both are
// equal.
func TestProperty_GiveBack(t *testing.T) {
	m, client := mini(t)
	n := 0
	checkProperty(t, 200, func(r *rand.Rand) error {
		n++
		const burst = 30
		limit := ratelimit.PerSecond(1).WithBurst(burst)
		l := redoubtredis.New(redoubtredis.Config{Client: client, Name: fmt.Sprint("g", n), Limits: limits(limit), Denied: -1, Timeout: patient, Outage: redoubtredis.OutageRefuse})
		start := time.Unix(1_800_000_000, 0)
		now, pauses := 0.0, r.IntN(2) == 0
		type held struct {
			giveBack func(int64) error
			rest     int64
		}
		var all []held
		var kept []struct{ at, cost float64 }
		for range 20 {
			if pauses && r.IntN(3) == 0 {
				now += float64(r.IntN(8))
			}
			m.SetTime(start.Add(time.Duration(now) * time.Second))
			if k := 1 + r.Int64N(8); len(all) == 0 || r.IntN(2) == 0 {
				if ok, giveBack := l.TakeAhead(context.Background(), "k", k); ok {
					rest := r.Int64N(k + 1)
					all = append(all, held{giveBack, rest})
					kept = append(kept, struct{ at, cost float64 }{now, float64(k - rest)})
				}
				continue
			}
			i := r.IntN(len(all))
			if err := all[i].giveBack(all[i].rest); err != nil {
				return err
			}
			all = append(all[:i], all[i+1:]...)
		}
		for _, h := range all {
			if err := h.giveBack(h.rest); err != nil {
				return err
			}
		}
		var model bucket
		for _, k := range kept {
			model.charge(k.at, k.cost)
		}
		d, err := l.TakeKey(context.Background(), "k", 0)
		got, want := d.ResetAfter.Seconds(), max(0, model.full-now)
		if err != nil || got < want || !pauses && got != want {
			return fmt.Errorf("owes %v s (%v), want %v; with pauses %v", got, err, want, pauses)
		}
		return nil
	})
}
