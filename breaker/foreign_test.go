package breaker_test

import (
	"context"
	"errors"
	"net/url"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
)

// A badError panics in the methods that guards look for.
type badError struct{}

func (badError) Error() string             { return "bad" }
func (badError) Unwrap() error             { panic("unwrap") }
func (badError) RetryAfter() time.Duration { panic("retry after") }
func (badError) Rejected() bool            { panic("rejected") }

// A silentError panics in Error, too.
type silentError struct{ badError }

func (silentError) Error() string { panic("error") }

// Errors of others may be nil pointers, cyclic or broken. Each call counts, no
// probe is lost, and refusals, events and logs still have a text.
func TestBrokenErrorsLoseNoCall(t *testing.T) {
	var noURL *url.Error
	loop := &cycle{}
	loop.next = []error{loop, loop}
	for name, err := range map[string]error{"panics": badError{}, "panics in Error": silentError{}, "typed nil": noURL, "cyclic": loop} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := steady()
				cfg.OnEvent = func(_ context.Context, e breaker.Event) { _ = e.LogValue().String() }
				b := halfOpen(t, cfg)
				if got := b.Do(bg, func(context.Context) error { return err }); got != err {
					t.Errorf("error %T, want it unchanged", got)
				}
				s := b.Stats()
				if s.Failures != 1 || s.Probes != 0 || s.State != breaker.StateOpen {
					t.Errorf("%d failures, %d probes, %v; want 1, 0 and open", s.Failures, s.Probes, s.State)
				}
				refusal := checkRefused(t, b)
				if refusal.Error() == "" || refusal.LogValue().String() == "" {
					t.Error("the refusal has no text")
				}
				b.Trip(time.Hour, err)
			})
		})
	}
}

// A hook that panics or exits while a call is admitted does not cost a probe,
// nor a call that counts as running for ever.
func TestHookThatPanicsCostsNoProbe(t *testing.T) {
	for name, end := range map[string]func(){"panics": func() { panic("hook") }, "exits": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := steady()
				cfg.Probes = 1
				var bad atomic.Bool
				cfg.OnEvent = func(_ context.Context, e breaker.Event) {
					if e.To == breaker.StateHalfOpen && bad.Swap(false) {
						end()
					}
				}
				b := halfOpen(t, cfg)
				bad.Store(true)
				go func() {
					defer func() { recover() }()
					b.Do(bg, func(context.Context) error { t.Error("fn was called"); return nil })
				}()
				synctest.Wait()
				if s := b.Stats(); s.Probes != 0 || s.Ignored != 1 {
					t.Errorf("%d probes and %d ignored, want 0 and 1", s.Probes, s.Ignored)
				}
				succeed(b)
				checkState(t, b, breaker.StateClosed)
			})
		})
	}
}

// A slow hook under a flood of transitions holds no caller for more than its
// share, and the events that are dropped are counted.
func TestSlowHookUnderAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events, dropped int
		cfg := steady()
		cfg.OnEvent = func(_ context.Context, e breaker.Event) {
			time.Sleep(time.Millisecond)
			events++
			dropped += e.Dropped
		}
		b := breaker.New(cfg)
		var longest atomic.Int64
		for range 8 {
			go func() {
				for range 250 {
					begun := time.Now()
					b.ForceOpen()
					b.Reset()
					if d := int64(time.Since(begun)); d > longest.Load() {
						longest.Store(d)
					}
					time.Sleep(10 * time.Microsecond)
				}
			}()
		}
		time.Sleep(time.Minute)
		b.Reset() // delivers events that were left behind
		if got := time.Duration(longest.Load()); got > 200*time.Millisecond {
			t.Errorf("a caller was held for %v", got)
		}
		if events+dropped < 1000 || dropped == 0 {
			t.Errorf("%d events and %d dropped", events, dropped)
		}
	})
}

func TestNilCall(t *testing.T) {
	var c *breaker.Call
	c.Done(errors.New("ignored"))
	c.Report(breaker.OutcomeFailure)
}
