package redis_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// With any text as state, the scripts run, and no key takes more than a burst
// or is blocked for longer than a burst takes to come back.
func FuzzState(f *testing.F) {
	for _, s := range []string{"", "1800000000000000", "1800000000000001 1 5", "1800000000000000 2 0 1800000001000000", "99999999999999999999 9 9", "-1 x 1e9 nan inf"} {
		f.Add(s, int64(1))
	}
	m, client := mini(f)
	rules := limits(ratelimit.Per(3, time.Second), ratelimit.Per(7, time.Minute))
	both := newLimiter(f, redis.Config{Client: client, Limits: rules, Denied: -1})
	one := newLimiter(f, redis.Config{Client: client, Limits: rules[:1], Denied: -1})
	f.Fuzz(func(t *testing.T, state string, n int64) {
		for _, l := range []*redis.Limiter{both, one} {
			if err := m.Set(l.KeyOf("k"), state); err != nil {
				t.Fatal(err)
			}
			d := take(t, l, "k", n)
			if d.Retryable != (d.RetryAfter > 0) || d.OK && d.Retryable || d.Remaining < 0 || d.Remaining > d.Limit.Burst || d.ResetAfter > time.Minute {
				t.Errorf("state %q: %+v", state, d)
			}
			if d.RetryAfter > time.Minute {
				t.Errorf("state %q: blocked for %v", state, d.RetryAfter)
			}
			if s := l.Stats(); s.Errors > 0 {
				t.Fatalf("state %q: the script failed", state)
			}
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
	l := newLimiter(f, redis.Config{Client: client, Name: "n", Limits: limits(ratelimit.PerSecond(1))})
	f.Fuzz(func(t *testing.T, key string) {
		if name := l.KeyOf(key); !keyForm.MatchString(name) {
			t.Errorf("key %q is named %q", key, name)
		}
	})
}
