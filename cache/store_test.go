package cache_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/cache"
)

// A secondLevel is a Store in memory that a test can break.
type secondLevel struct {
	values map[string]int
	broken error
	ttl    time.Duration // of the last Set
}

func (s *secondLevel) Get(_ context.Context, k string) (int, error) {
	v, ok := s.values[k]
	switch {
	case s.broken != nil:
		return 0, s.broken
	case !ok:
		return 0, cache.ErrNotFound
	}
	return v, nil
}

func (s *secondLevel) Set(_ context.Context, k string, v int, ttl time.Duration) error {
	if s.broken == nil {
		s.values[k], s.ttl = v, ttl
	}
	return s.broken
}

func (s *secondLevel) Delete(_ context.Context, keys ...string) error {
	for _, k := range keys {
		delete(s.values, k)
	}
	return s.broken
}

func TestThrough(t *testing.T) {
	s := &secondLevel{values: map[string]int{"stored": 1}}
	loads := 0
	var failure error
	load := cache.Through(s, time.Minute, func(context.Context, string) (int, error) { loads++; return 2, failure })
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
		{"failed load", nil, io.EOF, "x", 2, io.EOF, 3, false},
		{"both", io.ErrClosedPipe, io.EOF, "x", 2, io.EOF, 4, false},
	} {
		s.broken, failure = tt.broken, tt.fails
		v, err := load(t.Context(), tt.key)
		if v != tt.want || !errors.Is(err, tt.wantErr) || loads != tt.wantLoads {
			t.Errorf("%s: %v, %v after %d loads, want %v, %v after %d", tt.name, v, err, loads, tt.want, tt.wantErr, tt.wantLoads)
		}
		if _, stored := s.values[tt.key]; stored != tt.wantStoredThen {
			t.Errorf("%s: stored %v, want %v", tt.name, stored, tt.wantStoredThen)
		}
	}
	if s.ttl != time.Minute {
		t.Errorf("stored for %v, want a minute", s.ttl)
	}
}

// A value that a load found in the second level before a Delete does not come
// back into the first level.
func TestThrough_NoStaleFill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &secondLevel{values: map[string]int{"k": 1}}
		c := newLRU(4)
		slow := func(ctx context.Context, k string) (int, error) {
			v, err := s.Get(ctx, k)
			time.Sleep(time.Second)
			return v, err
		}
		got := ask(t.Context(), c, "k", slow)
		s.Delete(t.Context(), "k")
		c.Delete("k")
		(<-got).check(t, 1, nil)
		checkGet(t, c, "k", 0)
	})
}
