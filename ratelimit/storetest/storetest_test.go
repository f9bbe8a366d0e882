package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/storetest"
)

func ExampleTestStore() {
	err := storetest.TestStore(func(limit ratelimit.Limit) (ratelimit.Store, error) {
		return ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit})), nil
	})
	fmt.Println(err)
	// Output: <nil>
}

// A broken store is a good one with one thing wrong.
type broken struct {
	ratelimit.Store
	take func(ratelimit.Store, context.Context, string, int64) (ratelimit.Decision, error)
}

func (b broken) TakeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	return b.take(b.Store, ctx, key, n)
}

func TestFindsWhatIsWrong(t *testing.T) {
	type store = ratelimit.Store
	tests := []struct {
		name, want string
		take       func(store, context.Context, string, int64) (ratelimit.Decision, error)
	}{
		{"one key for all", "shares the limit", func(s store, ctx context.Context, _ string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(ctx, "", n)
		}},
		{"ignores the context", "want context.Canceled", func(s store, _ context.Context, key string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(context.Background(), key, n)
		}},
		{"no limit", "sixth event", func(_ store, _ context.Context, _ string, n int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{OK: true, N: n}, nil
		}},
		{"fails", "down", func(store, context.Context, string, int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, errors.New("down")
		}},
		{"credits", "share", func(s store, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(ctx, strings.ToLower(key), n)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := storetest.TestStore(func(limit ratelimit.Limit) (ratelimit.Store, error) {
				return broken{ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit})), tt.take}, nil
			})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q in it", err, tt.want)
			}
		})
	}
	err := storetest.TestStore(func(ratelimit.Limit) (ratelimit.Store, error) { return nil, errors.New("no server") })
	if err == nil || !strings.Contains(err.Error(), "no server") {
		t.Errorf("got %v, want the error of open", err)
	}
}
