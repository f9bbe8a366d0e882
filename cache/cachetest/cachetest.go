package cachetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// TestStore checks that s, which must be empty, keeps the contract of [cache.Store]: absent keys, overwriting, expiry,
// deletion, and values that are empty or no text. It takes a second, the shortest lifetime every store has. It
// returns all that is wrong, joined, or nil.
func TestStore(ctx context.Context, s cache.Store[string, string]) error {
	t := &tester{ctx: ctx, store: s}
	t.absent("absent")

	t.set("a", "1", cache.NoExpiry)
	t.set("a", "2", cache.NoExpiry)
	t.set("b", "with\x00bytes\xff", time.Hour)
	t.set("", "", time.Hour)
	t.present("a", "2")
	t.present("b", "with\x00bytes\xff")
	t.present("", "")

	t.delete("a", "absent")
	t.delete()
	t.absent("a")
	t.present("b", "with\x00bytes\xff")

	t.set("short", "1", time.Second)
	t.present("short", "1")
	time.Sleep(time.Second + 50*time.Millisecond)
	t.absent("short")

	t.delete("b", "")
	t.absent("b")
	t.absent("")
	return errors.Join(t.errs...)
}

type tester struct {
	ctx   context.Context
	store cache.Store[string, string]
	errs  []error
}

func (t *tester) errorf(format string, args ...any) {
	t.errs = append(t.errs, fmt.Errorf("cachetest: "+format, args...))
}

func (t *tester) set(k, v string, ttl time.Duration) {
	if err := t.store.Set(t.ctx, k, v, ttl); err != nil {
		t.errorf("Set(%q, %q, %v) = %v, want no error", k, v, ttl, err)
	}
}

func (t *tester) delete(keys ...string) {
	if err := t.store.Delete(t.ctx, keys...); err != nil {
		t.errorf("Delete(%q) = %v, want no error", keys, err)
	}
}

func (t *tester) present(k, want string) {
	if v, err := t.store.Get(t.ctx, k); v != want || err != nil {
		t.errorf("Get(%q) = %q, %v, want %q", k, v, err, want)
	}
}

func (t *tester) absent(k string) {
	if v, err := t.store.Get(t.ctx, k); !errors.Is(err, cache.ErrNotFound) {
		t.errorf("Get(%q) = %q, %v, want ErrNotFound", k, v, err)
	}
}
