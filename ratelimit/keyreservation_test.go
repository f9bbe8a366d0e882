package ratelimit_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestKeyReservation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(60)})
		r := k.Reserve("a", 50)
		if !r.OK() || r.Err() != nil || r.Decision().Remaining != 10 {
			t.Errorf("reserved 50 of 60: %+v", r.Decision())
		}
		if late := k.Reserve("a", 11); late.OK() || late.Decision().RetryAfter != time.Second {
			t.Errorf("reserved 11 of 10: %+v", late.Decision())
		} else {
			checkIs(t, late.Err(), ratelimit.ErrLimited)
			late.Cancel() // has nothing to return
		}
		r.Settle(20)
		r.Settle(0)
		r.Cancel()
		if d := k.Peek("a"); d.Remaining != 40 {
			t.Errorf("settled 20 of 60: %d remaining", d.Remaining)
		}
		k.Reserve("a", 1).Settle(100)
		if d := k.Peek("a"); d.OK || d.RetryAfter != 61*time.Second {
			t.Errorf("settled 120 of 60: %+v, want an event after 61s", d)
		}
		k.Reset("a")
		r = k.Reserve("a", 60)
		time.Sleep(30 * time.Second)
		r.Settle(-5)
		if d := k.Peek("a"); d.Remaining != 60 {
			t.Errorf("cancelled: %d remaining", d.Remaining)
		}
		if r := k.Reserve("a", 61); r.OK() || r.Decision().Retryable {
			t.Errorf("61 of 60: %+v", r.Decision())
		}
		if r := k.Reserve("a", 0); !r.OK() {
			t.Errorf("0: %+v", r.Decision())
		}
		r = k.Reserve("a", 60)
		c := k.Config()
		c.Limit.Name = "another" // with the same units
		if err := k.Set(c); err != nil {
			t.Error(err)
		}
		r.Cancel()
		if d := k.Peek("a"); d.Remaining != 0 || d.Limit.Name != "another" {
			t.Errorf("cancelled after Set: %d remaining, want 0", d.Remaining)
		}
	})
}

// A use is an admission of n events of a key.
type use struct{ at, n int64 }

// over returns by how much the uses exceed l in the worst interval, in events.
// Times are whole milliseconds, and l has a whole number of milliseconds per
// event, so that the result is exact.
func over(l ratelimit.Limit, uses []use) (worst float64) {
	interval := int64(l.Per/time.Millisecond) / l.N
	var full int64 // the instant at which the bucket is full again
	for _, u := range uses {
		full = max(full, u.at) + u.n*interval
		worst = max(worst, float64(full-u.at)/float64(interval)-float64(l.Burst))
	}
	return worst
}

// Oracle: the events that were really used, each at the instant of its Take or
// Reserve. They never exceed burst + rate × time in any interval, in whatever
// order reservations are settled.
func TestPropertySettlementsConform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 1000, prop.ForAll(func(seed int64) string { return settle(seed, 1) }, gen.Int64()))
	})
}

// The oracle bites: if reservations return an event too much, it reports that.
func TestSettlementsBite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		found := 0
		for seed := range int64(20) {
			if settle(seed, 0) != "" {
				found++
			}
		}
		if found < 15 {
			t.Errorf("%d of 20 runs are reported, want most", found)
		}
	})
}

// settle runs random reservations and returns by how much they exceed the
// limit, if they do. If used is 0, all events are counted double.
func settle(seed, used int64) string {
	random := rand.New(rand.NewPCG(uint64(seed), 7))
	limit := ratelimit.Per(1, 10*time.Millisecond).WithBurst(1 + random.Int64N(20))
	k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: limit, MaxKeys: 8})
	type open struct {
		r   *ratelimit.KeyReservation[int]
		use int
	}
	var uses []use
	var opened []open
	start, returned := time.Now(), 0
	for range 300 {
		time.Sleep(time.Duration(random.Int64N(40)*random.Int64N(2)) * time.Millisecond)
		at, n := time.Since(start).Milliseconds(), 1+random.Int64N(limit.Burst)
		switch random.IntN(6) {
		case 0:
			if k.AllowN(1, n) {
				uses = append(uses, use{at, n})
			}
		case 1, 2:
			if r := k.Reserve(1, n); r.OK() {
				opened = append(opened, open{r, len(uses)})
				uses = append(uses, use{at, n})
			}
		case 3:
			k.AllowN(2+random.IntN(40), n) // other keys, so that 1 may be an extra
		default:
			if len(opened) == 0 {
				continue
			}
			i := random.IntN(len(opened))
			o := opened[i]
			opened = append(opened[:i], opened[i+1:]...)
			actual := random.Int64N(uses[o.use].n + 1)
			o.r.Settle(actual)
			uses[o.use].n = actual
			returned++
		}
	}
	for i := range uses {
		uses[i].n *= 2 - used
	}
	if got := over(limit, uses); got > 0.001 {
		return fmt.Sprintf("%d uses exceed %v by %v events", len(uses), limit, got)
	}
	if returned < 10 {
		return fmt.Sprintf("only %d reservations were settled", returned)
	}
	return ""
}

// Oracle: a Limiter that took the actual number at the instant of Reserve. If
// no other events were taken meanwhile, nothing is lost. Otherwise nothing is
// gained.
func TestPropertySettleReturnsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checkProperty(t, 300, prop.ForAll(func(seed int64) string {
			random := rand.New(rand.NewPCG(uint64(seed), 8))
			limit := ratelimit.Per(1, 10*time.Millisecond).WithBurst(1 + random.Int64N(20))
			k := ratelimit.NewKeyed[int](ratelimit.KeyedConfig{Limit: limit, MaxKeys: 8})
			oracle := ratelimit.New(limit)
			type used struct {
				at time.Time
				n  int64
			}
			pause := func() { time.Sleep(time.Duration(random.Int64N(60)) * time.Millisecond) }
			for i := range 10 {
				time.Sleep(time.Second)
				n := 1 + random.Int64N(limit.Burst)
				r, at := k.Reserve(1, n), time.Now()
				var others []used
				for range random.IntN(5) {
					pause()
					if n := 1 + random.Int64N(3); k.AllowN(1, n) {
						others = append(others, used{time.Now(), n})
					}
				}
				pause()
				if actual := random.Int64N(n + 1); r.OK() {
					r.Settle(actual)
					oracle.AllowAt(at, actual)
				}
				for _, u := range others {
					oracle.AllowAt(u.at, u.n)
				}
				got, want := k.Peek(1), oracle.Peek()
				if got.ResetAfter < want.ResetAfter-2 || len(others) == 0 && got.ResetAfter > want.ResetAfter+2 {
					return fmt.Sprintf("round %d: got %+v, want %+v", i, got, want)
				}
			}
			return ""
		}, gen.Int64()))
	})
}
