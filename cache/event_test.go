package cache_test

import (
	"context"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/cache"
)

func TestEventsMayCallBack(t *testing.T) {
	var l log
	var c *cache.Cache[string, int]
	c = cache.New(cache.Config[string, int]{Capacity: 2, Eviction: cache.LRU, OnEvent: func(ctx context.Context, e event) {
		l.add(ctx, e)
		if v, ok := c.Peek(e.Key); ok && v == e.Value {
			t.Errorf("%v is still there when it is reported", e)
		}
		if e.Cause == cache.CauseEvicted && e.Value == 1 {
			c.Set("z", 26) // evicts b
		}
	}})
	c.Set("a", 1)
	c.Set("b", 2)
	c.Set("c", 3)
	l.check(t, departed("a", 1, cache.CauseEvicted), departed("b", 2, cache.CauseEvicted))
	checkKeys(t, c, "c", "z")
	c.Clear()
	l.check(t, departed("c", 3, cache.CauseDeleted), departed("z", 26, cache.CauseDeleted))
}

func TestEventOfALoadHasItsContext(t *testing.T) {
	type id struct{}
	var got any
	c := cache.New(cache.Config[string, int]{Capacity: 1, OnEvent: func(ctx context.Context, _ event) { got = ctx.Value(id{}) }})
	c.Set("a", 1)
	ctx := context.WithValue(t.Context(), id{}, 7)
	c.GetOrLoad(ctx, "b", func(context.Context, string) (int, error) { return 2, nil })
	if got != 7 { // written by the loader's goroutine, before GetOrLoad returned
		t.Errorf("the hook's context has the value %v, want 7", got)
	}
}

func TestEvent_LogValue(t *testing.T) {
	var b strings.Builder
	logger := slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == slog.LevelKey {
			return slog.Attr{}
		}
		return a
	}}))
	logger.Info("gone", "event", cache.Event[string, string]{Cause: cache.CauseEvicted, Key: strings.Repeat("é", 40) + "\n", Value: "secret"})
	logger.Info("gone", "event", departed("k", 1, 9))
	logger.Info("failed", "event", event{Kind: cache.KindLoadFailed, Name: "users", Key: "k", Err: io.EOF})
	logger.Info("odd", "event", event{Kind: 9, Key: "k"})
	want := "msg=gone event.kind=left event.key=" + strings.Repeat("é", 32) + "… event.cause=evicted\n" +
		"msg=gone event.kind=left event.key=k event.cause=Cause(9)\n" +
		"msg=failed event.kind=\"load failed\" event.name=users event.key=k event.err=EOF\n" +
		"msg=odd event.kind=Kind(9) event.key=k\n"
	if got := b.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestEventHasTheName(t *testing.T) {
	var got []event
	c := cache.New(cache.Config[string, int]{
		Name: "users", Capacity: 1,
		OnEvent: func(_ context.Context, e event) { got = append(got, e) },
	})
	c.Set("a", 1)
	c.Delete("a")
	want := event{Cause: cache.CauseDeleted, Name: "users", Key: "a", Value: 1}
	checkEqual(t, got, []event{want})
	checkEqual(t, want.LogValue().String(), "[kind=left name=users key=a cause=deleted]")
}

func TestUnknownCause(t *testing.T) {
	checkEqual(t, cache.Cause(7).String(), "Cause(7)")
}

// A hook that panics is called with the other events of the same call, up to a
// bound.
func TestHookThatPanics(t *testing.T) {
	for _, tt := range []struct {
		entries, panics, want int
	}{{10, 1, 10}, {10, 10, 10}, {200, 200, 64}, {200, 3, 200}} {
		calls := 0
		c := cache.New(cache.Config[int, int]{Capacity: 1000, OnEvent: func(context.Context, pairEvent) {
			if calls++; calls <= tt.panics {
				panic(calls)
			}
		}})
		for k := range tt.entries {
			c.Set(k, k)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was lost")
				}
			}()
			c.Clear()
		}()
		if calls != tt.want {
			t.Errorf("%d of %d calls, %d of which panicked, want %d", calls, tt.entries, tt.panics, tt.want)
		}
		c.Set(1, 1) // no lock is held
	}
}

func TestHookThatExits(t *testing.T) {
	calls := 0
	c := cache.New(cache.Config[int, int]{Capacity: 10, OnEvent: func(context.Context, pairEvent) {
		if calls++; calls == 1 {
			runtime.Goexit()
		}
	}})
	for k := range 10 {
		c.Set(k, k)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Clear()
	}()
	<-done
	checkEqual(t, calls, 10)
}
