// Package metricstest has a value of each type with statistics, for the tests
// of the modules that export metrics.
package metricstest

import (
	"context"
	"io"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
)

// A grpcServer has the statistics of a Server of contrib/grpc, which the
// root module does not require.
type grpcServer struct{}

func (grpcServer) Stats() (s struct {
	Name                                                string
	Calls, Limited, Full, Late, Unrecorded, StoreErrors uint64
},
) {
	return s
}

// A redisLimiter and a redisCache have the statistics of a Limiter and a Cache
// of contrib/redis.
type (
	redisLimiter struct{}
	redisCache   struct{}
)

func (redisLimiter) Stats() (s struct {
	Name                                                                           string
	Allowed, Refused, Leased, Denied, Alone, RoundTrips, Errors, Returned, Outages uint64
	Down                                                                           int
},
) {
	return s
}

func (redisCache) Stats() (s struct {
	Name                                  string
	Hits, Absent, Misses, Errors, Outages uint64
	Down                                  int
},
) {
	return s
}

// Things returns a value of each type with statistics. They are closed at the
// end of the test.
func Things(t testing.TB) map[string]any {
	t.Helper()
	buffer := audit.NewBuffer(audit.BufferConfig{Next: audit.JSON(io.Discard)})
	led, err := ledger.Open(context.Background(), t.TempDir(), ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]any{
		"breaker":  breaker.New(breaker.Config{}),
		"group":    breaker.NewGroup(breaker.GroupConfig[string]{}),
		"throttle": breaker.NewThrottle(breaker.ThrottleConfig{}),
		"limiter":  ratelimit.New(ratelimit.PerSecond(7)),
		"keyed":    ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1)}),
		"bulkhead": bulkhead.New(bulkhead.Config{}),
		"cache":    cache.New(cache.Config[string, int]{Capacity: 10}),
		"memo":     cache.Memoize(cache.Config[string, int]{Capacity: 10}, func(context.Context, string) (int, error) { return 1, nil }),
		"log":      audit.New(audit.Config{Sink: buffer}),
		"buffer":   buffer,
		"ledger":   led,
		"logscan":  &logscan.Counters{},
		"grpc":     grpcServer{},
		"redis":    redisLimiter{},
		"second":   redisCache{},
	}
	for _, x := range all {
		if c, ok := x.(io.Closer); ok {
			t.Cleanup(func() { c.Close() })
		}
	}
	return all
}
