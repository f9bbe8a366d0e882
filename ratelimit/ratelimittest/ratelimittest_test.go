package ratelimittest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimittest"
)

func newStore(t *testing.T, limit ratelimit.Limit) ratelimit.Store {
	config := ratelimit.KeyedConfig{Limit: limit}
	return ratelimit.Local(ratelimit.NewKeyed[string](config))
}

func TestStore(t *testing.T) {
	ratelimittest.Run(t, newStore)
}

func ExampleRun() {
	// In a file of tests, this is func TestStore.
	test := func(t *testing.T) { ratelimittest.Run(t, newStore) }
	fmt.Printf("%T\n", test)
	// Output: func(*testing.T)
}

// take is the TakeKey of a Store that has a correct Store s.
type take func(s ratelimit.Store, ctx context.Context, key string, n int64) (ratelimit.Decision, error)

// broken is a correct Store with one fault.
type broken struct {
	ratelimit.Store
	take take
}

func (b broken) TakeKey(ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
	return b.take(b.Store, ctx, key, n)
}

// Each fault breaks a rule.
func TestRunFindsFaults(t *testing.T) {
	charging := func(k *ratelimit.Keyed[string]) take {
		return func(s ratelimit.Store, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d, err := s.TakeKey(ctx, key, n)
			if !d.OK && n > 1 {
				k.Charge(key, 1)
			}
			return d, err
		}
	}
	tests := []struct {
		name, rule, want string
		take             take
	}{
		{"one key for all", "keys", "shares the limit", func(s ratelimit.Store, ctx context.Context, _ string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(ctx, "", n)
		}},
		{"keys in lower case", "keys", `key "A"`, func(s ratelimit.Store, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(ctx, strings.ToLower(key), n)
		}},
		{"keys cut to 64 bytes", "keys", "shares the limit", func(s ratelimit.Store, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(ctx, key[:min(len(key), 64)], n)
		}},
		{"ignores the context", "done context", "want context.Canceled", func(s ratelimit.Store, _ context.Context, key string, n int64) (ratelimit.Decision, error) {
			return s.TakeKey(context.Background(), key, n)
		}},
		{"no limit", "burst", "sixth event", func(_ ratelimit.Store, _ context.Context, _ string, n int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{OK: true, N: n}, nil
		}},
		{"no Limit in decisions", "burst", "Limit is ", func(s ratelimit.Store, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d, err := s.TakeKey(ctx, key, n)
			d.Limit = ratelimit.PerSecond(1)
			return d, err
		}},
		{"no ResetAfter", "burst", "ResetAfter is 0s", func(s ratelimit.Store, ctx context.Context, key string, n int64) (ratelimit.Decision, error) {
			d, err := s.TakeKey(ctx, key, n)
			d.ResetAfter = 0
			return d, err
		}},
		{"refusals of several events cost one", "refusals", "must not delay", nil},
		{"fails", "burst", "down", func(ratelimit.Store, context.Context, string, int64) (ratelimit.Decision, error) {
			return ratelimit.Decision{}, errors.New("down")
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			found := ratelimittest.Problems(func(limit ratelimit.Limit) ratelimit.Store {
				k := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: limit})
				if tt.take == nil {
					return broken{ratelimit.Local(k), charging(k)}
				}
				return broken{ratelimit.Local(k), tt.take}
			})
			if got := strings.Join(found[tt.rule], "\n"); !strings.Contains(got, tt.want) {
				t.Errorf("rule %q reports %q, want %q in it", tt.rule, got, tt.want)
			}
		})
	}
}
