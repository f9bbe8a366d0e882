package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// A secondLevel is a Store in memory that a test can break. Its lease is the
// number of deletions.
type secondLevel struct {
	mu        sync.Mutex
	records   map[string]cache.Record[int]
	deletions int
	broken    error
	ttl       time.Duration // of the last Set
}

func (s *secondLevel) Get(_ context.Context, k string) (cache.Record[int], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.records[k]
	if r.Lease = ""; !r.Found {
		r.Lease = fmt.Sprint(s.deletions)
	}
	return r, s.broken
}

func (s *secondLevel) Set(_ context.Context, k string, r cache.Record[int]) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil && (r.Lease == "" || r.Lease == fmt.Sprint(s.deletions)) {
		s.records[k], s.ttl = r, r.TTL
	}
	return s.broken
}

func (s *secondLevel) Delete(_ context.Context, keys ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.deletions++
		for _, k := range keys {
			delete(s.records, k)
		}
	}
	return s.broken
}

func found(v int, ttl time.Duration) cache.Record[int] {
	return cache.Record[int]{Found: true, Value: v, TTL: ttl}
}

func TestTier_Through(t *testing.T) {
	s := &secondLevel{records: map[string]cache.Record[int]{"stored": found(1, cache.NoExpiry)}}
	loads := 0
	var failure error
	tier := cache.Tier[string, int]{Store: s, TTL: time.Minute, AbsentTTL: time.Second}
	load := tier.Through(func(context.Context, string) (int, error) { loads++; return 2, failure })
	for _, tt := range []struct {
		name           string
		broken, fails  error
		key            string
		want           int
		wantErr        error
		wantLoads      int
		wantStoredThen bool
	}{
		{"in the store", nil, nil, "stored", 1, nil, 0, true},
		{"loaded", nil, nil, "k", 2, nil, 1, true},
		{"in the store then", nil, nil, "k", 2, nil, 1, true},
		{"broken store", io.ErrClosedPipe, nil, "stored", 2, nil, 2, true},
		{"broken, then not stored", io.ErrClosedPipe, nil, "new", 2, nil, 3, false},
		{"failed load", nil, io.EOF, "x", 2, io.EOF, 4, false},
		{"both", io.ErrClosedPipe, io.EOF, "x", 2, io.EOF, 5, false},
		{"absent", nil, cache.ErrNotFound, "none", 2, cache.ErrNotFound, 6, true},
		{"absent in the store", nil, nil, "none", 0, cache.ErrNotFound, 6, true},
	} {
		s.broken, failure = tt.broken, tt.fails
		v, err := load(t.Context(), tt.key)
		if v != tt.want || !errors.Is(err, tt.wantErr) || loads != tt.wantLoads {
			t.Errorf("%s: %v, %v after %d loads, want %v, %v after %d", tt.name, v, err, loads, tt.want, tt.wantErr, tt.wantLoads)
		}
		if stored := s.records[tt.key].Found; stored != tt.wantStoredThen {
			t.Errorf("%s: stored %v, want %v", tt.name, stored, tt.wantStoredThen)
		}
	}
	if got := s.records["k"].TTL; got != time.Minute {
		t.Errorf("stored for %v, want a minute", got)
	}
	if got := s.records["none"].TTL; got != time.Second {
		t.Errorf("absence stored for %v, want a second", got)
	}
	(cache.Tier[string, int]{Store: s}).Through(func(context.Context, string) (int, error) { return 3, nil })(t.Context(), "long")
	if s.ttl != cache.NoExpiry {
		t.Errorf("without TTL stored for %v, want NoExpiry", s.ttl)
	}
}

// A value from the store does not outlive its record.
func TestAgesOfBothLevelsDoNotAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &secondLevel{records: map[string]cache.Record[int]{"k": found(1, time.Second)}}
		m := cache.Memoize(cache.Config[string, int]{Capacity: 4, TTL: time.Minute}, cache.Tier[string, int]{Store: s}.Through(failing(io.EOF)))
		v, err := m.Get(t.Context(), "k")
		result{v, err}.check(t, 1, nil)
		time.Sleep(time.Second)
		checkGet(t, m.Cache(), "k", 0)
	})
}

// A load that read the origin before a Delete stores its result in neither
// level, whichever level the Delete reaches first.
func TestTier_NoStaleFill(t *testing.T) {
	for name, forget := range map[string]func(context.Context, cache.Tier[string, int], *cache.Cache[string, int]) error{
		"Tier.Delete": func(ctx context.Context, tier cache.Tier[string, int], c *cache.Cache[string, int]) error {
			return tier.Delete(ctx, c, "k")
		},
		"by another process": func(ctx context.Context, tier cache.Tier[string, int], _ *cache.Cache[string, int]) error {
			return tier.Store.Delete(ctx, "k")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &secondLevel{records: map[string]cache.Record[int]{}}
				c := newLRU(4)
				var origin atomic.Int64
				origin.Store(1)
				tier := cache.Tier[string, int]{Store: s}
				load := tier.Through(func(context.Context, string) (int, error) {
					v := origin.Load()
					time.Sleep(time.Second)
					return int(v), nil
				})
				got := ask(t.Context(), c, "k", load)
				origin.Store(2)
				checkIs(t, forget(t.Context(), tier, c), nil)
				(<-got).check(t, 1, nil)
				if s.records["k"].Found {
					t.Error("the value from before the Delete is in the second level")
				}
				if name == "Tier.Delete" {
					checkGet(t, c, "k", 0)
				}
			})
		})
	}
	s := &secondLevel{broken: io.ErrClosedPipe}
	c := newLRU(4)
	c.Set("k", 1)
	checkIs(t, cache.Tier[string, int]{Store: s}.Delete(t.Context(), c, "k"), io.ErrClosedPipe)
	checkGet(t, c, "k", 0)
}
