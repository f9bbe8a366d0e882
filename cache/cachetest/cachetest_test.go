package cachetest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/cache/cachetest"
)

// A store is a Store made of a Cache, which a test can break.
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
	switch s.mistake {
	case "for ever":
		ttl = cache.NoExpiry
	case "first wins":
		s.cache.GetOrSet(k, v)
		return nil
	case "no empty keys":
		if k == "" {
			return fmt.Errorf("empty key")
		}
	}
	s.cache.SetTTL(k, v, ttl)
	return nil
}

func (s *store) Delete(_ context.Context, keys ...string) error {
	for _, k := range keys {
		if !s.cache.Delete(k) && s.mistake == "delete of absent" {
			return cache.ErrNotFound
		}
	}
	return nil
}

func TestTestStore(t *testing.T) {
	for mistake, want := range map[string]string{
		"":                 "<nil>",
		"no error":         `cachetest: Get("absent") = "", <nil>, want ErrNotFound`,
		"trims":            `cachetest: Get("b") = `,
		"for ever":         `cachetest: Get("short") = "1", <nil>, want ErrNotFound`,
		"first wins":       `cachetest: Get("a") = "1", <nil>, want "2"`,
		"no empty keys":    `cachetest: Set("", "", 1h0m0s) = empty key, want no error`,
		"delete of absent": `cachetest: Delete(["a" "absent"]) = cache: not found, want no error`,
	} {
		synctest.Test(t, func(t *testing.T) {
			got := fmt.Sprint(cachetest.TestStore(t.Context(), newStore(mistake)))
			if !strings.HasPrefix(got, want) {
				t.Errorf("mistake %q: got %s, want %s", mistake, got, want)
			}
		})
	}
}
