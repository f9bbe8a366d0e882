package redoubtredis_test

import (
	"fmt"
	"math/big"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/contrib/redis/redistest"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// states are states of a key, most of them damaged.
var states = []string{
	"", "1800000000000000", "1800000000000001 1 5", "1800000000000000 2 0 1800000001000000",
	"99999999999999999999 9 9", "-1 x 1e9 nan inf", "1800000070000000   0", "1800000000000000 07",
	"1800000070000000 0 0 1800000000000000", "1800000000000009 0 0 1800000000000010", "1800000000000000 0 0 1800000000000001",
	"1800000003000000 1 2 1800000001000000 x 9 9", "x1800000000100000,2;1800000000200000\x003", strings.Repeat("9", 400) + " 0 0 1",
	"9 0 0 " + strings.Repeat("9", 400), strings.Repeat("9", 400) + " 1 1 " + strings.Repeat("9", 400),
}

var number = regexp.MustCompile(`[0-9]+`)

// numbers returns the numbers of a state, as the server in memory reads them: a
// number of more than 63 bits is 0. Redis reads it as floating point.
func numbers(state string) (all []*big.Int) {
	for _, digits := range number.FindAllString(state, -1) {
		n, _ := new(big.Int).SetString(digits, 10)
		if !n.IsInt64() {
			n.SetInt64(0)
		}
		all = append(all, n)
	}
	return all
}

// longest returns the longest time in microseconds for which a state may block
// its key: a burst, or if the state contains the instant at which it was
// written, its debt of then, up to 2^50. The sum of the numbers' sizes and the
// rounding of Lua's numbers is far below the tolerance of a second.
func longest(state string, now int64, i, n int, burst time.Duration) time.Duration {
	all, at := numbers(state), big.NewInt(now)
	if len(all) < 2*n+2 {
		return burst
	}
	if written := all[2*n+1]; written.Cmp(at) > 0 {
		at = written
	}
	debt := new(big.Int).Sub(all[2*i], at)
	if debt.Cmp(big.NewInt(1<<50)) > 0 {
		return burst // no debt is that long
	}
	return max(burst, time.Duration(debt.Int64())*time.Microsecond+time.Second)
}

// With any text as state, the scripts run, and no key takes more than a burst
// or is blocked for longer than its state can mean.
func FuzzState(f *testing.F) {
	for _, s := range states {
		f.Add(s, int64(1))
	}
	m, client := mini(f)
	rules := limits(ratelimit.Per(3, time.Second), ratelimit.Per(7, time.Minute))
	both := newLimiter(f, redoubtredis.Config{Client: client, Limits: rules, Denied: -1})
	one := newLimiter(f, redoubtredis.Config{Client: client, Limits: rules[:1], Denied: -1})
	f.Fuzz(func(t *testing.T, state string, n int64) {
		for _, l := range []*redoubtredis.Limiter{both, one} {
			if err := m.Set(l.KeyOf("k"), state); err != nil {
				t.Fatal(err)
			}
			d := take(t, l, "k", n)
			i := slices.Index(l.Limits(), d.Limit)
			if d.Retryable != (d.RetryAfter > 0) || d.OK && d.Retryable || d.Remaining < 0 || d.Remaining > d.Limit.Burst || i < 0 {
				t.Errorf("state %q: %+v", state, d)
			}
			most := longest(state, startMicros, max(i, 0), len(l.Limits()), d.Limit.Per) // the bursts are of one Per
			if d.RetryAfter > most || d.ResetAfter > max(most, d.Limit.Per) {
				t.Errorf("state %q: %+v, want at most %v", state, d, most)
			}
			if s := l.Stats(); s.Errors > 0 {
				t.Fatalf("state %q: the script failed", state)
			}
		}
	})
}

// The script for a single limit is as the script for several limits: it reads
// any state alike, replies alike, and leaves a state that both read alike.
func FuzzScripts(f *testing.F) {
	for _, s := range states {
		for _, n := range []int64{0, 1, 2, 3} {
			f.Add(s, n)
		}
	}
	m, client := mini(f)
	l := newLimiter(f, redoubtredis.Config{Client: client, Limits: limits(ratelimit.Per(3, 700*time.Millisecond)), Denied: -1})
	type result struct {
		Reply redoubtredis.Reply
		State string
		TTL   time.Duration
	}
	name := l.KeyOf("k")
	try := func(t *testing.T, one bool, state string, n int64) (r result) {
		if err := m.Set(name, state); err != nil {
			t.Fatal(err)
		}
		r.Reply = l.TakeRaw(t.Context(), one, "k", n)
		if m.Exists(name) {
			text, err := m.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			r.State = strings.Trim(fmt.Sprint(numbers(text)), "[]")
			for strings.HasSuffix(r.State, " 0") { // zeros at the end may be missing
				r.State = r.State[:len(r.State)-2]
			}
			r.TTL = m.TTL(name)
		}
		return r
	}
	f.Fuzz(func(t *testing.T, state string, n int64) {
		if want, got := try(t, false, state, n), try(t, true, state, n); want.Reply.Err != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("state %q, %d events: %+v by one script, %+v by the other", state, n, got, want)
		}
	})
}

var keyForm = regexp.MustCompile(`^n:\{[0-9A-Za-z_-]{22}\}$`)

// Keys of any text have names of the same form.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"", "}", "a}b", "{}", "\xff"} {
		f.Add(s)
	}
	_, client := mini(f)
	l := newLimiter(f, redoubtredis.Config{Client: client, Name: "n", Limits: limits(ratelimit.PerSecond(1))})
	f.Fuzz(func(t *testing.T, key string) {
		if name := l.KeyOf(key); !keyForm.MatchString(name) {
			t.Errorf("key %q is named %q", key, name)
		}
	})
}

// Redis runs the scripts with any state too.
func TestStates_RealServer(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	rules := limits(ratelimit.Per(3, time.Second), ratelimit.Per(7, time.Minute))
	for _, rules := range [][]ratelimit.Limit{rules, rules[:1]} {
		l := newLimiter(t, redoubtredis.Config{Client: rueClient(t, server.Addr), Limits: rules, Denied: -1})
		for _, state := range states {
			for n := range int64(9) {
				server.MustDo("SET", l.KeyOf("k"), state)
				if d := take(t, l, "k", n); d.Remaining < 0 || d.Remaining > d.Limit.Burst || l.Stats().Errors > 0 {
					t.Fatalf("state %.60q, %d events: %+v, %+v", state, n, d, l.Stats())
				}
				if err := l.CreditKey(t.Context(), "k", n); err != nil {
					t.Fatalf("state %.60q, %d events: %v", state, n, err)
				}
			}
		}
	}
}
