package sim

import (
	"container/heap"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivethrottler"
	"github.com/go-kratos/aegis/circuitbreaker/sre"
	"github.com/zeromicro/go-zero/core/logx"

	gozero "github.com/zeromicro/go-zero/core/breaker"

	"github.com/redoubt-go/redoubt/breaker"
)

// A throttle admits calls in two steps: it returns the function that reports
// the end of a call, or nil.
type throttle func() (report func(ok bool))

var throttles = []struct {
	name string
	make func() throttle
}{
	{"redoubt", func() throttle {
		t := breaker.NewThrottle(breaker.ThrottleConfig{})
		return func() func(bool) {
			c, err := t.Allow(context.Background())
			if err != nil {
				return nil
			}
			return func(ok bool) {
				if ok {
					c.Report(breaker.OutcomeSuccess)
				} else {
					c.Report(breaker.OutcomeFailure)
				}
			}
		}
	}},
	{"go-zero", func() throttle {
		b := gozero.NewBreaker()
		return func() func(bool) {
			p, err := b.Allow()
			if err != nil {
				return nil
			}
			return func(ok bool) {
				if ok {
					p.Accept()
				} else {
					p.Reject("")
				}
			}
		}
	}},
	{"kratos", func() throttle {
		b := sre.NewBreaker()
		return func() func(bool) {
			if b.Allow() != nil {
				return nil
			}
			return func(ok bool) {
				if ok {
					b.MarkSuccess()
				} else {
					b.MarkFailed()
				}
			}
		}
	}},
	{"failsafe", func() throttle {
		b := adaptivethrottler.NewWithDefaults[int]()
		return func() func(bool) {
			if !b.TryAcquirePermit() {
				return nil
			}
			return func(ok bool) {
				if ok {
					b.RecordSuccess()
				} else {
					b.RecordFailure()
				}
			}
		}
	}},
}

// An arrivals makes calls at a fixed rate.
type arrivals struct {
	now    time.Duration
	flight flights
}

// flights is a heap of running calls by their ends.
type flights []flight

type flight struct {
	end    time.Duration
	ok     bool
	report func(bool)
}

func (f flights) Len() int           { return len(f) }
func (f flights) Less(i, j int) bool { return f[i].end < f[j].end }
func (f flights) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *flights) Push(x any)        { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := len(*f) - 1
	x := (*f)[last]
	*f = (*f)[:last]
	return x
}

// run makes rate calls a second for d, which end with ok after took. It returns
// how many are admitted and refused.
func (a *arrivals) run(t throttle, rate int, d time.Duration, ok bool, took time.Duration) (admitted, refused int) {
	pause := time.Second / time.Duration(rate)
	for end := a.now + d; a.now < end; a.now += pause {
		for len(a.flight) > 0 && a.flight[0].end <= a.now {
			f := heap.Pop(&a.flight).(flight)
			f.report(f.ok)
		}
		if report := t(); report != nil {
			admitted++
			heap.Push(&a.flight, flight{a.now + took, ok, report})
		} else {
			refused++
		}
		time.Sleep(pause)
	}
	return admitted, refused
}

// TestThrottles prints the life of a client: an idle hour, a healthy half
// minute, an outage of a minute, and the minute after it. In the outage, calls
// fail after as long as they take otherwise, at most 1 s. The test requires of
// redoubt:
//
//   - It refuses nothing in the healthy half minute.
//   - It sends at most as many calls into the outage as go-zero.
//   - If calls take less than 1 s, it loses less than 3 s of calls after the
//     outage.
func TestThrottles(t *testing.T) {
	logx.Disable() // go-zero's own
	t.Logf("%-22s %-10s %8s %8s %8s", "", "", "refused", "sent", "lost")
	for _, rate := range []int{10, 100, 1000, 10000} {
		if testing.Short() && rate > 100 {
			continue
		}
		for _, took := range []time.Duration{time.Millisecond, 300 * time.Millisecond, time.Second, 10 * time.Second} {
			var sentByRedoubt int
			for _, k := range throttles {
				var early, sent int
				var lost float64
				synctest.Test(t, func(*testing.T) {
					th := k.make()
					time.Sleep(time.Hour)
					var a arrivals
					_, early = a.run(th, rate, 30*time.Second, true, took)
					sent, _ = a.run(th, rate, time.Minute, false, min(took, time.Second))
					_, late := a.run(th, rate, time.Minute, true, took)
					lost = float64(late) / float64(rate)
				})
				t.Logf("%-22s %-10s %8d %8d %6.1f s", fmt.Sprintf("%d/s of %v", rate, took), k.name, early, sent, lost)
				switch k.name {
				case "redoubt":
					sentByRedoubt = sent
					if early > 0 || took < time.Second && lost >= 3 {
						t.Errorf("redoubt refused %d healthy calls and lost %.1f s", early, lost)
					}
				case "go-zero":
					if sentByRedoubt > sent {
						t.Errorf("redoubt sent %d calls into the outage, go-zero %d", sentByRedoubt, sent)
					}
				}
			}
		}
	}
}
