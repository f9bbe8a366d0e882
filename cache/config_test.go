package cache_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/redoubt-go/redoubt/cache"
)

func TestConfig_Validate(t *testing.T) {
	type config = cache.Config[string, int]
	for _, tt := range []struct {
		name   string
		config config
		want   string
	}{
		{"zero", config{}, "cache: Capacity is 0, want at least 1"},
		{"least", config{Capacity: 1}, ""},
		{"negative TTL", config{Capacity: 1, TTL: -1}, "cache: TTL is -1ns, want 0 (no expiry) or more"},
		{"NaN", config{Capacity: 1, Jitter: math.NaN()}, "cache: Jitter is NaN, want 0 to 0.5"},
		{"weights", config{MaxWeight: 1, Weigh: func(string, int) uint32 { return 1 }}, ""},
		{"MaxWeight alone", config{Capacity: 1, MaxWeight: 9}, "cache: MaxWeight is 9, want 0 without Weigh"},
		{
			"all at once",
			config{Capacity: -1, Eviction: 9, TTL: -1, IdleTTL: -1, Jitter: 0.6, Refresh: -1, StaleIfError: -1, Weigh: func(string, int) uint32 { return 1 }},
			"cache: Capacity is -1, want 0 (no limit) or more\n" +
				"cache: MaxWeight is 0, want 1 to 1<<63-1 with Weigh\n" +
				"cache: Eviction is Eviction(9), want Adaptive or LRU\n" +
				"cache: TTL is -1ns, want 0 (no expiry) or more\n" +
				"cache: IdleTTL is -1ns, want 0 (no limit) or more\n" +
				"cache: Jitter is 0.6, want 0 to 0.5\n" +
				"cache: Refresh is -1ns, want 0 (off) or more\n" +
				"cache: StaleIfError is -1ns, want 0 (off) or more",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Validate()
			if got := fmt.Sprint(err); err == nil && tt.want != "" || err != nil && got != tt.want {
				t.Errorf("Validate() = %q, want %q", got, tt.want)
			}
			defer func() {
				if got, want := fmt.Sprint(recover()), fmt.Sprint(err); got != want {
					t.Errorf("New panicked with %q, want %q", got, want)
				}
			}()
			cache.New(tt.config)
		})
	}
}
