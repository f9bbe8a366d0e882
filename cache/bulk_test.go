package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/cache"
)

// many is a bulk loader that knows the lengths of all keys except "none". It
// records the requested keys.
type many struct{ asked [][]string }

func (m *many) load(_ context.Context, keys []string) (map[string]int, error) {
	m.asked = append(m.asked, keys)
	time.Sleep(time.Second)
	lengths := map[string]int{"extra": 5}
	for _, k := range keys {
		if k != "none" {
			lengths[k] = len(k)
		}
	}
	return lengths, nil
}

func TestGetOrLoadMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		c.Set("set", 100)
		single := ask(t.Context(), c, "bbb", sleeper(200))
		var m many
		joiner := make(chan result, 1)
		go func() {
			time.Sleep(time.Millisecond)
			v, err := c.GetOrLoad(t.Context(), "none", nil)
			joiner <- result{v, err}
		}()
		got, err := c.GetOrLoadMany(t.Context(), []string{"a", "a", "none", "set", "bbb", "cc"}, m.load)
		if diff := cmp.Diff(map[string]int{"a": 1, "set": 100, "bbb": 200, "cc": 2}, got); diff != "" || err != nil {
			t.Errorf("GetOrLoadMany: error %v, values (-want +got):\n%s", err, diff)
		}
		if diff := cmp.Diff([][]string{{"a", "none", "cc"}}, m.asked); diff != "" {
			t.Errorf("asked for (-want +got):\n%s", diff)
		}
		(<-single).check(t, 200, nil)
		(<-joiner).check(t, 0, cache.ErrNotFound)
		checkGet(t, c, "extra", 5) // not asked for, kept
		checkGet(t, c, "cc", 2)
		if got := c.Stats(); got.Loads != 4 || got.NotFound != 1 || got.LoadErrors != 0 || got.LoadTime != 2*time.Second {
			t.Errorf("Stats = %+v, want 4 loads, 1 without a value, in 2 s", got)
		}
	})
}

func TestGetOrLoadManyErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 10, ErrorTTL: func(error) time.Duration { return time.Hour }})
		partial := func(context.Context, []string) (map[string]int, error) { return map[string]int{"a": 1}, io.EOF }
		other := ask(t.Context(), c, "other", func(context.Context, string) (int, error) {
			time.Sleep(time.Second)
			return 0, io.ErrNoProgress
		})
		got, err := c.GetOrLoadMany(t.Context(), []string{"a", "b", "c", "other"}, partial)
		if diff := cmp.Diff(map[string]int{"a": 1}, got); diff != "" || err.Error() != "cache: load \"b\", \"c\": \"EOF\"\ncache: load \"other\": \"multiple Read calls return no data or error\"" {
			t.Errorf("GetOrLoadMany: error %q, values (-want +got):\n%s", err, diff)
		}
		<-other
		_, err = c.GetOrLoadMany(t.Context(), []string{"b"}, nil) // remembered
		if cached := new(cache.CachedError); !errors.As(err, &cached) || !errors.Is(err, io.EOF) {
			t.Errorf("error %v, want a remembered EOF", err)
		}
		if n := c.Loading(); n != 0 {
			t.Errorf("%d flights left", n)
		}
	})
}

func TestGetOrLoadManyPanicAndGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		keys := []string{"a", "b"}
		p := caught(t, func() {
			c.GetOrLoadMany(t.Context(), keys, func(context.Context, []string) (map[string]int, error) { panic("bulk") })
		})
		if p.Value != "bulk" || c.Loading() != 0 {
			t.Errorf("panic value %v, %d flights left, want bulk and 0", p.Value, c.Loading())
		}
		// A call that joins a panicking load leaves its other loads. They end.
		ended := false
		go func() {
			caught(t, func() {
				c.GetOrLoad(t.Context(), "a", func(context.Context, string) (int, error) { time.Sleep(time.Second); panic("single") })
			})
		}()
		synctest.Wait()
		caught(t, func() {
			c.GetOrLoadMany(t.Context(), keys, func(ctx context.Context, _ []string) (map[string]int, error) {
				<-ctx.Done()
				ended = true
				return nil, ctx.Err()
			})
		})
		synctest.Wait()
		if !ended {
			t.Error("nobody waits for the load, and it goes on")
		}
		_, err := c.GetOrLoadMany(t.Context(), keys, func(context.Context, []string) (map[string]int, error) {
			runtime.Goexit()
			return nil, nil
		})
		if fmt.Sprint(err) != `cache: load "a", "b": "cache: loader called runtime.Goexit"` {
			t.Errorf("error %v, want one that names Goexit, once", err)
		}
	})
}

func TestGetOrLoadManyCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		c.Set("there", 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ended := false
		keys := []string{"there", "a", "b", "c"}
		wait := func(ctx context.Context, _ []string) (map[string]int, error) {
			<-ctx.Done()
			ended = true
			return nil, ctx.Err()
		}
		got, err := c.GetOrLoadMany(ctx, keys, wait)
		if text := `cache: load "a", "b", "c": "cache: wait: context deadline exceeded"`; len(got) != 1 || fmt.Sprint(err) != text || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetOrLoadMany = %v, %v, want what was there and %q", got, err, text)
		}
		synctest.Wait()
		if !ended || c.Loading() != 0 {
			t.Errorf("the load goes on, %d flights left", c.Loading())
		}
		got, err = c.GetOrLoadMany(ctx, keys, nil) // done before it began
		if len(got) != 1 || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("GetOrLoadMany = %v, %v, want what was there and the context's error", got, err)
		}
	})
}

// The first caller of a load leaves, but a second caller waits for one of its
// keys: the load continues.
func TestGetOrLoadManyJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		ctx, cancel := context.WithCancel(t.Context())
		var m many
		go c.GetOrLoadMany(ctx, []string{"a", "bb"}, m.load)
		synctest.Wait()
		joiner := ask(t.Context(), c, "bb", unwanted(t))
		cancel()
		(<-joiner).check(t, 2, nil)
		synctest.Wait()
		checkGet(t, c, "bb", 2)
		checkGet(t, c, "a", 1) // no caller waited for it, and it is kept
	})
}

func TestRecursionInBulk(t *testing.T) {
	c := newLRU(10)
	v, err := c.GetOrLoadMany(t.Context(), []string{"a", "b"}, func(ctx context.Context, _ []string) (map[string]int, error) {
		type id struct{}
		if ctx.Value(id{}) != nil {
			t.Error("the context has a value that nobody gave it")
		}
		inner, err := c.GetOrLoad(ctx, "c", func(ctx context.Context, _ string) (int, error) { return c.GetOrLoad(ctx, "b", nil) })
		return map[string]int{"a": inner}, err
	})
	if !errors.Is(err, cache.ErrRecursive) || v["a"] != 0 {
		t.Errorf("GetOrLoadMany = %v, %v, want ErrRecursive", v, err)
	}
}

// The keys of one load share its error. The keys whose wait ended share the
// error of the context. Each error is reported once.
func TestGetOrLoadManyReportsAnErrorOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newLRU(10)
		single := make([]<-chan result, 3)
		for i, k := range []string{"x", "y", "z"} {
			single[i] = ask(t.Context(), c, k, sleeper(1))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := c.GetOrLoadMany(ctx, []string{"a", "b", "x", "y", "z"}, func(context.Context, []string) (map[string]int, error) {
			return nil, io.EOF
		})
		checkEqual(t, err.Error(), `cache: load "a", "b": "EOF"`+"\n"+`cache: load "x", "y", "z": "cache: wait: context deadline exceeded"`)
		checkIs(t, err, io.EOF, context.DeadlineExceeded)
		for _, got := range single {
			(<-got).check(t, 1, nil)
		}

		uncomparable := errorList{io.EOF}
		_, err = c.GetOrLoadMany(t.Context(), []string{"a"}, func(context.Context, []string) (map[string]int, error) {
			return nil, uncomparable
		})
		checkEqual(t, err.Error(), `cache: load "a": "1 errors"`)
	})
}

// An errorList cannot be compared.
type errorList []error

func (l errorList) Error() string { return fmt.Sprint(len(l), " errors") }

func TestGetOrLoadManyRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(cache.Config[string, int]{Capacity: 10, Refresh: time.Minute})
		for _, k := range []string{"a", "bb"} {
			c.Set(k, 100)
		}
		time.Sleep(time.Minute)
		c.Set("fresh", 7)
		var m many
		keys := []string{"a", "bb", "fresh", "none"}
		for range 3 {
			got, err := c.GetOrLoadMany(t.Context(), keys[:3], m.load)
			checkEqual(t, got, map[string]int{"a": 100, "bb": 100, "fresh": 7})
			checkIs(t, err, nil)
		}
		time.Sleep(time.Minute - time.Second)
		synctest.Wait()
		checkEqual(t, m.asked, [][]string{{"a", "bb"}}) // one call, in the background
		checkGet(t, c, "a", 1)
		checkGet(t, c, "bb", 2)
		memo := cache.Memoize(cache.Config[string, int]{Capacity: 10, Refresh: time.Minute}, sleeper(3))
		memo.Cache().Set("a", 1)
		time.Sleep(time.Minute)
		got, err := memo.GetMany(t.Context(), []string{"a", "b"})
		checkEqual(t, got, map[string]int{"a": 1, "b": 3})
		checkIs(t, err, nil)
		synctest.Wait()
		checkGet(t, memo.Cache(), "a", 3)
	})
}

func TestGetMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := cache.Memoize(cache.Config[string, int]{Name: "lengths", Capacity: 10}, func(_ context.Context, k string) (int, error) {
			time.Sleep(time.Second)
			switch k {
			case "none":
				return 0, cache.ErrNotFound
			case "bad", "worse":
				return 0, io.EOF
			}
			return len(k), nil
		})
		start := time.Now()
		got, err := m.GetMany(t.Context(), []string{"a", "none", "bb", "bad", "worse"})
		checkEqual(t, got, map[string]int{"a": 1, "bb": 2})
		checkEqual(t, err.Error(), "cache: lengths: load \"bad\": \"EOF\"\ncache: lengths: load \"worse\": \"EOF\"")
		checkEqual(t, time.Since(start), time.Second) // at the same time
		var some *cache.KeysError[string]
		if !errors.As(err, &some) || len(some.Keys) != 1 || some.Keys[0] != "bad" {
			t.Errorf("error %#v, want the key", some)
		}

		var calls many
		many := cache.MemoizeMany(cache.Config[string, int]{Capacity: 10}, calls.load)
		got, err = many.GetMany(t.Context(), []string{"a", "none", "bb"})
		checkEqual(t, got, map[string]int{"a": 1, "bb": 2})
		checkIs(t, err, nil)
		v, err := many.Get(t.Context(), "ccc")
		result{v, err}.check(t, 3, nil)
		v, err = many.Get(t.Context(), "none")
		result{v, err}.check(t, 0, cache.ErrNotFound)
		checkEqual(t, calls.asked, [][]string{{"a", "none", "bb"}, {"ccc"}, {"none"}})
		failing := cache.MemoizeMany(cache.Config[string, int]{Capacity: 10}, func(context.Context, []string) (map[string]int, error) { return nil, io.EOF })
		v, err = failing.Get(t.Context(), "a")
		result{v, err}.check(t, 0, io.EOF)
	})
}

func TestKeysError(t *testing.T) {
	e := &cache.KeysError[int]{Name: "users", Keys: []int{1, 2, 3, 4, 5}, Err: io.EOF}
	checkEqual(t, e.Error(), `cache: users: load "1", "2", "3" and 2 more: "EOF"`)
	checkEqual(t, e.LogValue().String(), `[msg=cache: users: load "1", "2", "3" and 2 more: "EOF" keys=5]`)
	checkIs(t, e, io.EOF)
}
