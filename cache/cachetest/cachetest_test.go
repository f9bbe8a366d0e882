package cachetest_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/cache/cachetest"
)

// A store is a Store on top of a Cache, which a test can break.
type store struct {
	cache   *cache.Cache[string, string]
	mistake string
}

func newStore(mistake string) *store {
	return &store{cache.New(cache.Config[string, string]{Capacity: 100}), mistake}
}

func (s *store) Get(_ context.Context, k string) (string, error) {
	v, ok := s.cache.Get(k)
	switch {
	case !ok && s.mistake == "no error":
		return "", nil
	case !ok:
		return "", cache.ErrNotFound
	case s.mistake == "trims":
		return strings.TrimSpace(strings.ToValidUTF8(v, "")), nil
	}
	return v, nil
}

func (s *store) Set(_ context.Context, k, v string, ttl time.Duration) error {
	switch {
	case s.mistake == "never expires" && ttl > 0:
		ttl = cache.NoExpiry
	case s.mistake == "negative is forever" && ttl < 0:
		ttl = cache.NoExpiry
	case s.mistake == "negative is ignored" && ttl < 0:
		return nil
	case s.mistake == "first wins" && ttl > 0:
		s.cache.GetOrSet(k, v)
		return nil
	case s.mistake == "no empty keys" && k == "":
		return fmt.Errorf("empty key")
	}
	s.cache.SetTTL(k, v, ttl)
	return nil
}

func (s *store) Delete(_ context.Context, keys ...string) error {
	for _, k := range keys {
		if !s.cache.Delete(k) && s.mistake == "delete of absent" {
			return cache.ErrNotFound
		}
		if s.mistake == "deletes one" {
			break
		}
	}
	return nil
}

// Each mistake of a store breaks the rules that it should, and no others.
func TestMistakesAreFound(t *testing.T) {
	for mistake, want := range map[string][]string{
		"":                    nil,
		"no error":            {"Absent", "Delete", "EmptyKey", "Expiry", "NegativeLifetime"},
		"trims":               {"Values"},
		"never expires":       {"Expiry"},
		"negative is forever": {"NegativeLifetime"},
		"negative is ignored": {"NegativeLifetime"},
		"first wins":          {"Expiry", "Overwrite"},
		"no empty keys":       {"EmptyKey"},
		"delete of absent":    {"Delete"},
		"deletes one":         {"Delete"},
	} {
		synctest.Test(t, func(t *testing.T) {
			broken := cachetest.Broken(t.Context(), func() cache.Store[string, string] { return newStore(mistake) })
			if diff := cmp.Diff(want, slices.Sorted(maps.Keys(broken))); diff != "" {
				t.Errorf("mistake %q: broken rules (-want +got):\n%s", mistake, diff)
			}
		})
	}
}

func TestErrorText(t *testing.T) {
	broken := cachetest.Broken(t.Context(), func() cache.Store[string, string] { return newStore("negative is ignored") })
	want := `Get("a") = "1", <nil>, want ErrNotFound`
	if got := fmt.Sprint(broken["NegativeLifetime"]); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRun(t *testing.T) {
	t.Parallel() // it sleeps for a second
	cachetest.Run(t, func(*testing.T) cache.Store[string, string] { return newStore("") })
}
