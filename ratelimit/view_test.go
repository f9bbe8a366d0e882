package ratelimit_test

import (
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestLowPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, limits := range [][]ratelimit.Limit{{ratelimit.PerSecond(10)}, {ratelimit.PerSecond(10), ratelimit.PerHour(1000)}} {
			lim := ratelimit.New(limits...)
			low := lim.LowPriority(0.6)
			n := 0
			for low.Allow() {
				n++
			}
			if n != 4 || low.AllowN(0) != true {
				t.Errorf("got %d above 0.6 of 10, want 4", n)
			}
			if d := low.Take(1); d.OK || d.RetryAfter != 100*time.Millisecond || d.Remaining != 0 {
				t.Errorf("got %+v, want a retry after 100ms", d)
			}
			if d := low.Take(5); !refusedForever(d) {
				t.Errorf("5 above 0.6 of 10: %+v, want never", d)
			}
			if !lim.AllowN(6) || lim.Allow() {
				t.Error("want 6 left for others")
			}
			if lim.LowPriority(1).Allow() || !lim.LowPriority(-3).AllowN(0) || lim.LowPriority(2).Allow() || lim.LowPriority(math.NaN()).Allow() {
				t.Error("parts out of range")
			}
		}
	})
}

// All round parts of round bursts are exact.
func TestLowPriorityIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, burst := range []int64{10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 1_000_000} {
			for percent := range int64(101) {
				if burst*percent%100 != 0 {
					continue
				}
				lim := ratelimit.New(ratelimit.PerSecond(burst))
				d := lim.LowPriority(float64(percent) / 100).Take(0)
				if want := burst - burst*percent/100; d.Remaining != want {
					t.Errorf("a reserve of %d %% of %d leaves %d, want %d", percent, burst, d.Remaining, want)
				}
			}
		}
	})
}
