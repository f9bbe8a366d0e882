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

// A store is a Store on top of a Cache, which a test can break. A lease is the
// number of deletions before it.
type store struct {
	cache     *cache.Cache[string, record]
	deletions map[string]int
	mistake   string
}

type record = cache.Record[string]

func newStore(mistake string) *store {
	return &store{cache.New(cache.Config[string, record]{Capacity: 100}), map[string]int{}, mistake}
}

func (s *store) Get(_ context.Context, k string) (record, error) {
	e, ok := s.cache.Entry(k)
	r := e.Value
	r.TTL, r.Lease = cache.NoExpiry, ""
	switch {
	case !ok && s.mistake == "an error":
		return record{}, cache.ErrNotFound
	case !ok:
		if s.mistake == "one lease" {
			s.deletions[k]++
		}
		return record{Lease: fmt.Sprint(s.deletions[k])}, nil
	case s.mistake == "trims":
		r.Value = strings.TrimSpace(strings.ToValidUTF8(r.Value, ""))
	}
	if !e.Expires.IsZero() && s.mistake != "no lifetime" {
		r.TTL = time.Until(e.Expires)
	}
	return r, nil
}

func (s *store) Set(_ context.Context, k string, r record) error {
	ttl := r.TTL
	if r.Lease != "" && r.Lease != fmt.Sprint(s.deletions[k]) && s.mistake != "no leases" {
		return nil
	}
	if s.mistake == "nothing is absent" {
		r.Absent = false
	}
	switch {
	case s.mistake == "never expires" && ttl > 0:
		ttl = cache.NoExpiry
	case s.mistake == "negative is forever" && ttl <= 0:
		ttl = cache.NoExpiry
	case s.mistake == "negative is ignored" && ttl <= 0:
		return nil
	case s.mistake == "first wins" && ttl > 0:
		s.cache.GetOrSet(k, r)
		return nil
	case s.mistake == "no empty keys" && k == "":
		return fmt.Errorf("empty key")
	}
	s.cache.SetTTL(k, r, ttl)
	return nil
}

func (s *store) Delete(_ context.Context, keys ...string) error {
	for _, k := range keys {
		had := s.cache.Delete(k)
		if had || s.mistake != "leases of records" {
			s.deletions[k]++
		}
		if !had && s.mistake == "delete of absent" {
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
		"an error":            {"Delete", "EmptyKey", "Expiry", "Lease", "LeaseAfterDelete", "LeaseEnds", "LeaseIsOver", "Missing", "NoLifetime", "TwoLeases"},
		"trims":               {"Values"},
		"nothing is absent":   {"Absent"},
		"no lifetime":         {"Lifetime"},
		"never expires":       {"Expiry", "Lifetime"},
		"negative is forever": {"NoLifetime"},
		"negative is ignored": {"NoLifetime"},
		"first wins":          {"Absent", "Expiry", "Lifetime", "Overwrite"},
		"no empty keys":       {"EmptyKey"},
		"delete of absent":    {"Delete", "LeaseAfterDelete", "LeaseEnds", "LeaseIsOver"},
		"deletes one":         {"Delete"},
		"no leases":           {"LeaseEnds", "LeaseIsOver"},
		"leases of records":   {"LeaseEnds", "LeaseIsOver"},
		"one lease":           {"TwoLeases"},
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
	var broken map[string]error
	synctest.Test(t, func(t *testing.T) {
		broken = cachetest.Broken(t.Context(), func() cache.Store[string, string] { return newStore("no leases") })
	})
	want := `Get("a") = {Found:true Absent:false Value:leased TTL:1h0m0s Lease:}, <nil>, want "new"`
	if got := fmt.Sprint(broken["LeaseIsOver"]); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRun(t *testing.T) {
	t.Parallel() // it sleeps for a second
	cachetest.Run(t, func(*testing.T) cache.Store[string, string] { return newStore("") })
}
