package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/cache"
)

func TestRememberedErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(err error) time.Duration {
			if errors.Is(err, cache.ErrNotFound) {
				return time.Minute
			}
			return 0
		}})
		(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 0, io.EOF) // not remembered
		(<-ask(t.Context(), c, "k", failing(cache.ErrNotFound))).check(t, 0, cache.ErrNotFound)
		time.Sleep(time.Minute - 1500*time.Microsecond)
		r := <-ask(t.Context(), c, "k", nil) // nil would crash if called
		r.check(t, 0, cache.ErrNotFound)
		var remembered *cache.CachedError
		if !errors.As(r.err, &remembered) || !remembered.Rejected() || remembered.RetryAfter() != 1500*time.Microsecond {
			t.Errorf("error %#v, want a CachedError with 1.5ms left", r.err)
		}
		if got, want := r.err.Error(), `cache: remembered error, retry after 2ms: "cache: not found"`; got != want {
			t.Errorf("text %q, want %q", got, want)
		}
		checkGet(t, c, "k", 0)
		checkKeys(t, c)
		if n := c.Len(); n != 0 {
			t.Errorf("Len() = %d, want 0", n)
		}
		if c.Delete("k") { // it had no value, and the error is gone all the same
			t.Error("Delete = true, want false")
		}
		(<-ask(t.Context(), c, "k", sleeper(1))).check(t, 1, nil)
		if got := c.Stats(); got.ErrorHits != 1 || got.Loads != 3 {
			t.Errorf("Stats = %+v, want 1 error hit and 3 loads", got)
		}
	})
}

func TestWhatEndsARememberedError(t *testing.T) {
	for name, end := range map[string]func(*cache.Cache[string, int]){
		"Set":    func(c *cache.Cache[string, int]) { c.Set("k", 1); c.Delete("k") },
		"Delete": func(c *cache.Cache[string, int]) { c.Delete("k") },
		"Clear":  func(c *cache.Cache[string, int]) { c.Clear() },
		"time":   func(*cache.Cache[string, int]) { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return time.Hour }})
				(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 0, io.EOF)
				end(c)
				(<-ask(t.Context(), c, "k", sleeper(2))).check(t, 2, nil)
				if n := c.Remembered(); n != 0 {
					t.Errorf("%d errors kept, want 0", n)
				}
			})
		})
	}
}

func TestRememberedErrorsAreBounded(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Capacity: 4, ErrorTTL: func(error) time.Duration { return cache.NoExpiry }})
	c.Set("a", 1)
	for i := range 100 {
		c.GetOrLoad(t.Context(), fmt.Sprint("absent", i), failing(cache.ErrNotFound))
	}
	if n := c.Remembered(); n != 4 {
		t.Errorf("%d errors kept, want 4", n)
	}
	checkKeys(t, c, "a") // none of which flushed a value
	_, err := c.GetOrLoad(t.Context(), "absent99", nil)
	if got, want := err.(*cache.CachedError).Left, cache.NoExpiry; got != want {
		t.Errorf("Left = %v, want NoExpiry", got)
	}
	_ = err.Error() // the rounding must not overflow
}

// While an error is remembered, the stale value answers without a load.
func TestStaleValueBeforeRememberedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{
			Capacity: 4, TTL: time.Minute, StaleIfError: time.Hour,
			ErrorTTL: func(error) time.Duration { return time.Minute },
		})
		c.Set("k", 1)
		time.Sleep(time.Minute)
		(<-ask(t.Context(), c, "k", failing(io.EOF))).check(t, 1, nil)
		(<-ask(t.Context(), c, "k", nil)).check(t, 1, nil)
		if got := c.Stats(); got.Loads != 1 || got.StaleHits != 2 || got.ErrorHits != 0 {
			t.Errorf("Stats = %+v, want 1 load, 2 stale hits", got)
		}
	})
}

type after time.Duration

func (a after) RetryAfter() time.Duration { return time.Duration(a) }

func TestRetryAfter(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"nil", nil, 0},
		{"none", io.EOF, 0},
		{"itself", after(time.Second), time.Second},
		{"wrapped", fmt.Errorf("x: %w", after(time.Second)), time.Second},
		{"joined, first wins", errors.Join(io.EOF, fmt.Errorf("x: %w", after(2)), after(1)), 2},
		{"outer wins", &cache.CachedError{Err: after(1), Left: 2}, 2},
		{"negative", after(-1), 0},
		{"bounded", after(1000 * time.Hour), time.Hour},
		{"wrapped nothing", errors.Join(fmt.Errorf("%w", errors.New("x"))), 0},
	} {
		if got := cache.RetryAfter(tt.err); got != tt.want {
			t.Errorf("%s: RetryAfter = %v, want %v", tt.name, got, tt.want)
		}
	}
}

// A cyclic error wraps itself.
type cyclic struct{}

func (e *cyclic) Error() string { return "cyclic" }
func (e *cyclic) Unwrap() error { return e }

// The methods of a hostile error panic if it is a nil pointer.
type hostile struct{ text string }

func (e *hostile) Error() string             { return e.text }
func (e *hostile) Is(error) bool             { return e.text == "" }
func (e *hostile) RetryAfter() time.Duration { return time.Duration(len(e.text)) }
func (e *hostile) Unwrap() error             { return errors.New(e.text) }

// A broken error type neither hangs nor crashes a load.
func TestHostileErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		text string // of the CachedError
	}{
		{"cyclic", &cyclic{}, `cache: users: remembered error, retry after 1h0m0s: "cyclic"`},
		{"typed nil", (*hostile)(nil), `cache: users: remembered error, retry after 1h0m0s: "<nil>"`},
		{
			"splits a rune", errors.New(strings.Repeat("x", 63) + "é"),
			`cache: users: remembered error, retry after 1h0m0s: "` + strings.Repeat("x", 63) + `"…`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := cache.New(cache.Config[string, int]{Name: "users", Capacity: 4, ErrorTTL: func(err error) time.Duration {
					return max(cache.RetryAfter(err), time.Hour)
				}})
				if r := <-ask(t.Context(), c, "k", failing(tt.err)); r.err != tt.err {
					t.Errorf("error of type %T, want the loader's own", r.err)
				}
				r := <-ask(t.Context(), c, "k", unwanted(t))
				checkEqual(t, r.err.Error(), tt.text)
				if _, err := c.GetOrLoadMany(t.Context(), []string{"k"}, nil); err == nil {
					t.Error("GetOrLoadMany returns no error")
				}
			})
		})
	}
}

// An error that is remembered forever has no time to retry.
func TestErrorRememberedForever(t *testing.T) {
	e := &cache.CachedError{Err: io.EOF, Left: cache.NoExpiry}
	checkEqual(t, e.RetryAfter(), time.Duration(0))
	checkEqual(t, e.Error(), `cache: remembered error: "EOF"`)
}

func TestErrorsHaveTheName(t *testing.T) {
	c := cache.New(cache.Config[string, int]{Name: "the users", Capacity: 4})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.EOF)
	_, err := c.GetOrLoad(ctx, "k", unwanted(t))
	checkIs(t, err, context.Canceled, io.EOF)
	checkEqual(t, err.Error(), `cache: the users: wait: context canceled: EOF`)
	p := caught(t, func() {
		c.GetOrLoad(t.Context(), "k", func(context.Context, string) (int, error) { panic("x") })
	})
	checkEqual(t, p.LogValue().Group()[0].Value.String(), `cache: the users: load panicked: "x"`)
}

func TestLogValues(t *testing.T) {
	p := &cache.PanicError{Value: "x", Stack: []byte("main.go:1")}
	if diff := cmp.Diff("[msg=cache: load panicked: \"x\" stack=main.go:1]", p.LogValue().String()); diff != "" {
		t.Error(diff)
	}
	e := &cache.CachedError{Err: io.EOF, Left: time.Second}
	if diff := cmp.Diff("[msg=cache: remembered error, retry after 1s: \"EOF\" retry_after=1s]", e.LogValue().String()); diff != "" {
		t.Error(diff)
	}
}
