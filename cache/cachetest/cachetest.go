package cachetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// store is the type of the stores that Run tests.
type store = cache.Store[string, string]

// Run tests a [cache.Store] in one subtest per rule of its contract. It calls
// new once per subtest, for a store that must be empty. The test of expiry
// takes a second, the shortest lifetime that every store supports.
func Run(t *testing.T, new func(*testing.T) cache.Store[string, string]) {
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			if err := r.check(t.Context(), new(t)); err != nil {
				t.Errorf("%s:\n%v", r.text, err)
			}
		})
	}
}

// A rule is a part of the contract of a Store.
type rule struct {
	name, text string
	check      func(context.Context, store) error
}

// binary is a value that is no text.
const binary = "with\x00bytes\xff"

var rules = []rule{
	{"Absent", "Get of a key without a value returns an error that matches ErrNotFound", func(ctx context.Context, s store) error {
		return absent(ctx, s, "absent")
	}},
	{"Values", "Set stores values that are empty or not text", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", binary, time.Hour), set(ctx, s, "b", "", time.Hour),
			present(ctx, s, "a", binary), present(ctx, s, "b", ""))
	}},
	{"EmptyKey", "the empty string is a key", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "", "1", time.Hour), present(ctx, s, "", "1"),
			remove(ctx, s, ""), absent(ctx, s, ""))
	}},
	{"Overwrite", "Set replaces the value of a key", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", "1", cache.NoExpiry), set(ctx, s, "a", "2", cache.NoExpiry),
			present(ctx, s, "a", "2"))
	}},
	{"Delete", "Delete deletes the given keys, and accepts absent keys and no keys", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", "1", time.Hour), set(ctx, s, "b", "2", time.Hour), set(ctx, s, "c", "3", time.Hour),
			remove(ctx, s, "a", "absent", "b"), remove(ctx, s),
			absent(ctx, s, "a"), absent(ctx, s, "b"), present(ctx, s, "c", "3"))
	}},
	{"Expiry", "a value is absent after its lifetime", func(ctx context.Context, s store) error {
		err := errors.Join(
			set(ctx, s, "short", "1", time.Second), set(ctx, s, "long", "2", time.Hour), set(ctx, s, "forever", "3", cache.NoExpiry),
			present(ctx, s, "short", "1"))
		time.Sleep(time.Second + 50*time.Millisecond)
		return errors.Join(err, absent(ctx, s, "short"), present(ctx, s, "long", "2"), present(ctx, s, "forever", "3"))
	}},
	{"NegativeLifetime", "Set with a negative lifetime deletes the key", func(ctx context.Context, s store) error {
		return errors.Join(
			set(ctx, s, "a", "1", time.Hour), set(ctx, s, "a", "2", -1), absent(ctx, s, "a"),
			set(ctx, s, "b", "1", -time.Hour), absent(ctx, s, "b"))
	}},
}

func set(ctx context.Context, s store, k, v string, ttl time.Duration) error {
	if err := s.Set(ctx, k, v, ttl); err != nil {
		return fmt.Errorf("Set(%q, %q, %v) = %v, want no error", k, v, ttl, err)
	}
	return nil
}

func remove(ctx context.Context, s store, keys ...string) error {
	if err := s.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("Delete(%q) = %v, want no error", keys, err)
	}
	return nil
}

func present(ctx context.Context, s store, k, want string) error {
	if v, err := s.Get(ctx, k); v != want || err != nil {
		return fmt.Errorf("Get(%q) = %q, %v, want %q", k, v, err, want)
	}
	return nil
}

func absent(ctx context.Context, s store, k string) error {
	if v, err := s.Get(ctx, k); !errors.Is(err, cache.ErrNotFound) {
		return fmt.Errorf("Get(%q) = %q, %v, want ErrNotFound", k, v, err)
	}
	return nil
}
