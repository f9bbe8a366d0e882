package ratelimit_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

// The Store of a Keyed or of Tiers knows all limits of a key, and the present
// lengths of the periods of its quotas.
func TestLocalLimits(t *testing.T) {
	limits := func(k interface {
		For(key string) ratelimit.Key[string]
	},
	) []ratelimit.Limit {
		return ratelimit.Local(k).(interface {
			LimitsOf(key string) []ratelimit.Limit
		}).LimitsOf("a")
	}
	synctest.Test(t, func(t *testing.T) {
		c := ratelimit.KeyedConfig{
			Name: "api", MaxKeys: 8, Limit: ratelimit.PerSecond(5),
			Limits: []ratelimit.Limit{ratelimit.PerHour(100).WithName("hour")},
			Quotas: []ratelimit.Quota{{N: 1000, Unit: ratelimit.Month, Name: "month"}},
		}
		k := ratelimit.NewKeyed[string](c)
		want := []ratelimit.Limit{
			ratelimit.PerSecond(5).WithName("api"), ratelimit.PerHour(100).WithName("hour"), ratelimit.Per(1000, 31*24*time.Hour).WithName("month"),
		}
		checkEqual(t, limits(k), want)
		time.Sleep(31 * 24 * time.Hour) // the February of 2000
		want[2].Per = 29 * 24 * time.Hour
		checkEqual(t, limits(k), want)
		c.Limit = ratelimit.PerSecond(7)
		if err := k.Set(c); err != nil {
			t.Fatal(err)
		}
		want[0] = ratelimit.PerSecond(7).WithName("api")
		checkEqual(t, limits(k), want)

		one := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{MaxKeys: 8, Limit: ratelimit.PerSecond(5)})
		checkEqual(t, limits(one), []ratelimit.Limit{ratelimit.PerSecond(5)})
		checkEqual(t, limits(ratelimit.NewTiers(func(string) int { return 1 }, one, k)), want)
	})
}

// A number that is no tier means tier 0.
func TestTierOutOfRange(t *testing.T) {
	keyed := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(3), MaxKeys: 8})
	tiers := ratelimit.NewTiers(func(i int) int { return i }, keyed)
	for _, i := range []int{-1, 0, 1, 1 << 30} {
		if !tiers.For(i).Allow() || keyed.Peek(i).Remaining != 2 {
			t.Errorf("tier %d is not tier 0", i)
		}
	}
}
