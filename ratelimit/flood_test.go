package ratelimit_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// refused returns how many of the keys from first to last are refused an event.
func refused(k *ratelimit.Keyed[int], first, last int) (n int) {
	for key := first; key <= last; key++ {
		if !k.Allow(key) {
			n++
		}
	}
	return n
}

// A ban never touches another key, whatever the share of the slots that bans
// take.
func TestBansTouchNoOtherKey(t *testing.T) {
	for _, policy := range []ratelimit.OnFull{ratelimit.InheritDebt, ratelimit.ForgiveDebt} {
		for _, bans := range []int{102, 256, 512, 700, 1024, 2048} {
			t.Run(fmt.Sprint(policy, "/", bans), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					pushed := 0
					k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{
						Limit: ratelimit.PerMinute(60), MaxKeys: 1024, OnFull: policy,
						OnEvent: func(_ context.Context, e ratelimit.Event) {
							if e.Kind == ratelimit.KindPushedOut {
								pushed += 1 + e.Dropped
							}
						},
					})
					if n := refused(k, 1, 100); n != 0 {
						t.Errorf("%d of 100 known keys refused before the bans", n)
					}
					for i := range bans {
						switch i % 2 {
						case 0:
							k.Penalize(-1-i, 24*time.Hour)
						default:
							k.Charge(-1-i, 24*3600)
						}
					}
					time.Sleep(2 * time.Minute) // a ban that was forgotten may leave a burst of debt
					if n := refused(k, 1, 100); n != 0 {
						t.Errorf("%d of 100 known keys refused", n)
					}
					if n := refused(k, 1001, 2000); n != 0 {
						t.Errorf("%d of 1000 new keys refused", n)
					}
					banned := refused(k, -bans, -1)
					if banned+pushed < bans || bans <= 256 && banned < bans*97/100 || banned < min(bans, 1024)*6/10 {
						t.Errorf("%d of %d bans hold, %d pushed out", banned, bans, pushed)
					}
					if got := k.Stats().PushedOut; got != uint64(pushed) {
						t.Errorf("Stats has %d keys pushed out, OnEvent %d", got, pushed)
					}
				})
			})
		}
	}
}

// A flood of keys that use their bursts takes nothing from known keys, and
// little from new keys.
func TestFloodTakesNothingFromKnownKeys(t *testing.T) {
	for _, policy := range []ratelimit.OnFull{ratelimit.InheritDebt, ratelimit.ForgiveDebt} {
		for _, flood := range []int{128, 256, 512, 12_800} {
			synctest.Test(t, func(t *testing.T) {
				k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(10), MaxKeys: 256, OnFull: policy})
				for client := range 32 {
					k.Allow(client)
				}
				time.Sleep(3 * time.Minute) // their bursts are back, and they are known
				for i := range flood {
					for range 10 {
						k.Allow(-1 - i)
					}
				}
				if n := refused(k, 0, 31); n != 0 {
					t.Errorf("policy %d, %d keys: %d of 32 known keys refused", policy, flood, n)
				}
				const fresh = 30_000
				n := 0
				for client := range fresh {
					if !k.Peek(1000 + client).OK {
						n++
					}
				}
				if most := fresh / 1000; n > most && (flood <= 256 || policy == ratelimit.ForgiveDebt) {
					t.Errorf("policy %d, %d keys: %d of %d new keys refused, want at most %d", policy, flood, n, fresh, most)
				}
			})
		}
	}
}

// Oracle: a Limiter for each key, with exact arithmetic and without a bound of
// its memory. Whatever a Keyed with few slots admits, the oracle admits too.
func TestPropertyNoKeyGains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 200, prop.ForAll(func(seed int64) string { return gains(seed, ratelimit.InheritDebt) }, gen.Int64()))
	})
}

// The oracle bites: it reports a table that forgets.
func TestNoKeyGainsBites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := 0
		for seed := range int64(20) {
			if gains(seed, ratelimit.ForgiveDebt) != "" {
				found++
			}
		}
		if found < 10 {
			t.Errorf("ForgiveDebt gains in %d of 20 floods, want most", found)
		}
	})
}

// gains runs a random flood over few slots and returns a description of the
// first event that the exact oracle refuses.
func gains(seed int64, policy ratelimit.OnFull) string {
	random := rand.New(rand.NewPCG(uint64(seed), 3))
	limit := ratelimit.PerSecond(1 + random.Int64N(50)).WithBurst(1 + random.Int64N(30))
	scale := int64(1) // many events in a grain
	if random.IntN(2) == 0 {
		scale = 1 << 16
	}
	limit.N, limit.Burst = limit.N*scale, limit.Burst*scale
	keys := 8 << random.IntN(8)
	k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: limit, MaxKeys: 8 << random.IntN(2), OnFull: policy})
	all := make(map[int]*ratelimit.Limiter)
	pace := time.Duration(random.Int64N(2_000_000))
	for i := range 1500 {
		key, n := random.IntN(keys), 1+random.Int64N(limit.Burst)
		if all[key] == nil {
			all[key] = ratelimit.New(limit)
		}
		time.Sleep(time.Duration(random.Int64N(int64(pace) + 1)))
		if random.IntN(200) == 0 {
			time.Sleep(time.Duration(random.Int64N(int64(2 * time.Second))))
		}
		switch random.IntN(20) {
		case 0: // within the burst: more may be forgotten, as a ban
			if d := all[key].Peek(); d.Remaining >= n {
				k.Charge(key, n)
				all[key].Charge(n)
			}
		case 1:
			n := random.Int64N(3) * scale
			k.Credit(key, n)
			all[key].Credit(n)
		default:
			if k.AllowN(key, n) && !all[key].AllowN(n) {
				return fmt.Sprintf("step %d: key %d of %d gets %d of %v more than without eviction", i, key, keys, n, limit)
			}
		}
	}
	return ""
}
