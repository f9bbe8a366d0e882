package breaker_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// hang makes a call each interval, which hangs for ten minutes or until its
// timeout, until the breaker opens. It returns how long that takes.
func hang(b *breaker.Breaker, interval, timeout time.Duration) time.Duration {
	begun := time.Now()
	for b.State() == breaker.StateClosed && time.Since(begun) < 10*time.Minute {
		go b.Do(bg, func(context.Context) error { time.Sleep(min(timeout, 10*time.Minute)); return errDown })
		time.Sleep(interval)
	}
	return time.Since(begun)
}

// A dependency that hangs opens the zero Config long before the calls return.
func TestHangOpensWithoutASetting(t *testing.T) {
	for _, tt := range []struct{ interval, timeout, want time.Duration }{
		{time.Millisecond, time.Hour, 4 * time.Second},
		{10 * time.Millisecond, time.Hour, 4 * time.Second},
		{100 * time.Millisecond, time.Hour, 4 * time.Second},
		{500 * time.Millisecond, 10 * time.Second, 8 * time.Second},
		{time.Second, 10 * time.Second, 12 * time.Second},
		{2 * time.Second, 30 * time.Second, 20 * time.Second},
		{5 * time.Second, time.Minute, 55 * time.Second},
	} {
		t.Run(fmt.Sprint(tt.interval), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(breaker.Config{})
				for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(tt.interval) {
					b.Do(bg, func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil })
				}
				if got := hang(b, tt.interval, tt.timeout); got > tt.want {
					t.Errorf("opened after %v, want at most %v", got, tt.want)
				}
				if s := b.Stats(); s.Failures > 4 {
					t.Errorf("%d calls had returned by then", s.Failures)
				}
				time.Sleep(10 * time.Minute)
			})
		})
	}
}

// A process that is stopped for a while, with calls in flight, does not take
// its own pause for a hang.
func TestPauseIsNoHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{})
		for i := range 10 * 60 * 10 {
			var calls []*breaker.Call
			for range 10 {
				calls = append(calls, mustAllow(t, b))
			}
			time.Sleep(10 * time.Millisecond)
			if i%600 == 599 {
				time.Sleep(time.Duration(i) * 5 * time.Millisecond) // stopped
			}
			for range 3 {
				mustAllow(t, b).Done(nil)
			}
			for _, c := range calls {
				c.Done(nil)
			}
			time.Sleep(90 * time.Millisecond)
		}
		if s := b.Stats(); s.Openings != 0 {
			t.Errorf("%d openings", s.Openings)
		}
	})
}

// Healthy streams do not open the breaker, whether or not short calls succeed
// beside them.
func TestLongStreamsAreNoHang(t *testing.T) {
	for name, short := range map[string]time.Duration{"beside 3 calls a second": time.Second / 3, "beside a call a minute": time.Minute, "alone": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(breaker.Config{})
				done := time.Now().Add(time.Hour)
				go func() {
					for time.Now().Before(done) {
						b.Do(bg, func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil })
						time.Sleep(short)
					}
				}()
				refused := 0
				for time.Now().Before(done) {
					if c, err := b.Allow(bg); err != nil {
						refused++
					} else {
						time.AfterFunc(5*time.Minute, func() { c.Done(nil) })
					}
					time.Sleep(time.Second)
				}
				time.Sleep(time.Hour)
				if s := b.Stats(); s.Openings != 0 || refused > 0 {
					t.Errorf("%d openings, %d streams refused", s.Openings, refused)
				}
			})
		})
	}
}

// A rule of the user sees calls that hang, too.
func TestHangAsksTripIf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{TripIf: func(s breaker.Stats) bool { return s.Overdue >= 5 }})
		for range 600 {
			succeed(b)
			time.Sleep(100 * time.Millisecond)
		}
		if got := hang(b, 100*time.Millisecond, time.Hour); got > 5*time.Second {
			t.Errorf("opened after %v", got)
		}
		time.Sleep(10 * time.Minute)
	})
}

// With SlowCall negative nothing hangs.
func TestHangOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{SlowCall: -1})
		for range 600 {
			succeed(b)
			time.Sleep(100 * time.Millisecond)
		}
		if got := hang(b, 100*time.Millisecond, time.Hour); got < 10*time.Minute {
			t.Errorf("opened after %v", got)
		}
		time.Sleep(10 * time.Minute)
	})
}

// Calls of which the breaker knows that they do not hang do not hide calls that
// do: answered calls of an earlier state, such as bodies that are never closed,
// and calls that ran when Set began a new window.
func TestHangBesideOtherCalls(t *testing.T) {
	for name, set := range map[string]bool{"answered in an earlier state": false, "running at Set": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := breaker.New(breaker.Config{})
				teach(t, b, 20*time.Millisecond)
				calls := make([]*breaker.Call, 1000)
				for i := range calls {
					calls[i] = mustAllow(t, b)
				}
				if set {
					b.Set(breaker.Config{Window: 11 * time.Second})
					for _, c := range calls {
						c.Done(nil)
					}
				} else {
					for _, c := range calls {
						c.Answered()
					}
					b.Reset()
				}
				for range 600 {
					b.Do(bg, func(context.Context) error { time.Sleep(20 * time.Millisecond); return nil })
					time.Sleep(80 * time.Millisecond)
				}
				if got := hang(b, 100*time.Millisecond, time.Hour); got > 5*time.Second {
					t.Errorf("opened after %v, want at most 5s", got)
				}
				time.Sleep(10 * time.Minute)
			})
		})
	}
}
