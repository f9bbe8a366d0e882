package cache_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/cache"
)

func TestLoadWithinALoad(t *testing.T) {
	var fib *cache.Memo[int, int64]
	fib = cache.Memoize(cache.Config[int, int64]{Capacity: 100}, func(ctx context.Context, n int) (int64, error) {
		if n < 2 {
			return int64(n), nil
		}
		a, errA := fib.Get(ctx, n-1)
		b, errB := fib.Get(ctx, n-2)
		return a + b, errors.Join(errA, errB)
	})
	if v, err := fib.Get(t.Context(), 80); v != 23416728348467685 || err != nil {
		t.Errorf("fib(80) = %v, %v", v, err)
	}
	if got := fib.Stats().Loads; got != 81 {
		t.Errorf("%d loads, want 81", got)
	}
}

func TestMemo(t *testing.T) {
	calls := 0
	m := cache.Memoize(cache.Config[string, string]{Capacity: 2}, func(_ context.Context, k string) (string, error) {
		calls++
		return strings.ToUpper(k), nil
	})
	var get func(context.Context, string) (string, error) = m.Get
	for range 2 {
		if v, err := get(t.Context(), "a"); v != "A" || err != nil {
			t.Errorf("Get = %v, %v, want A", v, err)
		}
	}
	if !m.Forget("a") || m.Forget("a") {
		t.Error("Forget twice, want true and then false")
	}
	get(t.Context(), "a")
	m.Clear()
	if n := m.Cache().Len(); n != 0 {
		t.Errorf("Len() = %d after Clear, want 0", n)
	}
	get(t.Context(), "a")
	if calls != 3 || m.Stats().Loads != 3 {
		t.Errorf("%d calls, %+v, want 3", calls, m.Stats())
	}
}
