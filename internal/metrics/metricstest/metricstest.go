// Package metricstest contains a value of each type with statistics, for the
// tests of the modules that export metrics.
package metricstest

import (
	"context"
	"io"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/audit/ledger/witness"
	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/cache"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/follow"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
	"github.com/redoubt-go/redoubt/retry"
)

// GRPC are the statistics of a Server of contrib/grpc, which the root module
// does not require.
type GRPC struct {
	Name                                                string
	Calls, Limited, Full, Late, Unrecorded, StoreErrors uint64
}

// Redis are the statistics of a Limiter of contrib/redis.
type Redis struct {
	Name                                                                           string
	Allowed, Refused, Leased, Denied, Alone, RoundTrips, Errors, Returned, Outages uint64
	Down                                                                           int
}

// RedisCache are the statistics of a Cache of contrib/redis.
type RedisCache struct {
	Name                                  string
	Hits, Absent, Misses, Errors, Outages uint64
	Down                                  int
}

// NATSWorker are the statistics of a Worker of contrib/nats.
type NATSWorker struct {
	Name                         string
	Handled, Retried, Dead, Held uint64
}

// NATSReader are the statistics of a Reader of contrib/nats.
type NATSReader struct {
	Name                                   string
	Written, Duplicates, Malformed, Errors uint64
}

// NATSSink are the statistics of a Sink of contrib/nats.
type NATSSink struct {
	Name                                                 string
	Stored, Failed, Uncertain, Duplicates, Resent, Moves uint64
	Pending                                              int
}

// NATSForgetter are the statistics of a Forgetter of contrib/nats.
type NATSForgetter struct {
	Name                              string
	Sent, Received, Malformed, Clears uint64
}

// NATSShipper are the statistics of a Shipper of contrib/nats/fleet.
type NATSShipper struct {
	Name                                                                                    string
	Stored, StoredBytes, Duplicates, Repeated, Cut, CutBytes, Dropped, Blocked, InputErrors uint64
	InFlight, InFlightBytes                                                                 int64
}

// NATSConsumer are the statistics of a Consumer of contrib/nats/fleet.
type NATSConsumer struct {
	Name                                                                                                        string
	Handled, HandledBytes, Malformed, Foreign, Acquired, Released, Lost, Failed, Gaps, Snapshots, SnapshotBytes uint64
	Members, Partitions, Unread                                                                                 int64
}

// Of returns a function that returns s: an object with fixed statistics.
func Of[S any](s S) func() S { return func() S { return s } }

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
		"breaker":       breaker.New(breaker.Config{}),
		"group":         breaker.NewGroup(breaker.GroupConfig[string]{}),
		"pool":          breaker.NewPool(breaker.PoolConfig[string]{Endpoints: []string{"a", "b"}}),
		"throttle":      breaker.NewThrottle(breaker.ThrottleConfig{}),
		"budget":        &retry.TokenBudget{},
		"limiter":       ratelimit.New(ratelimit.PerHour(7)),
		"keyed":         ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerHour(1)}),
		"window":        ratelimit.NewWindow(ratelimit.PerHour(5)),
		"counter":       ratelimit.NewCounter(ratelimit.PerHour(5)),
		"bulkhead":      bulkhead.New(bulkhead.Config{}),
		"cache":         cache.New(cache.Config[string, int]{Capacity: 10}),
		"memo":          cache.Memoize(cache.Config[string, int]{Capacity: 10}, func(context.Context, string) (int, error) { return 1, nil }),
		"log":           audit.New(audit.Config{Sink: buffer}),
		"buffer":        buffer,
		"ledger":        led,
		"witness":       new(witness.Client),
		"logscan":       &logscan.Counters{},
		"detect":        Of(detect.Stats{}),
		"follow":        &follow.Counters{},
		"grpc":          Of(GRPC{}),
		"redis":         Of(Redis{}),
		"second":        Of(RedisCache{}),
		"natsworker":    Of(NATSWorker{}),
		"natsreader":    Of(NATSReader{}),
		"natssink":      Of(NATSSink{}),
		"natsforgetter": Of(NATSForgetter{}),
		"natsshipper":   Of(NATSShipper{}),
		"natsconsumer":  Of(NATSConsumer{}),
	}
	for _, x := range all {
		if c, ok := x.(io.Closer); ok {
			t.Cleanup(func() { c.Close() })
		}
	}
	return all
}

// StatsOf returns the type of the statistics of x.
func StatsOf(x any) reflect.Type {
	v := reflect.ValueOf(x)
	if v.Kind() != reflect.Func {
		v = v.MethodByName("Stats")
	}
	return v.Type().Out(0)
}

// Filled returns a function for each type of statistics: its fields are 1, 2
// and so on, durations in seconds, and the state of a breaker is open. The
// keys are names of Things.
func Filled(t testing.TB) map[string]any {
	t.Helper()
	all, things, seen := map[string]any{}, Things(t), map[reflect.Type]bool{}
	for _, name := range slices.Sorted(maps.Keys(things)) {
		s := StatsOf(things[name])
		if seen[s] {
			continue
		}
		seen[s] = true
		v := reflect.New(s).Elem()
		for i := range v.NumField() {
			Fill(v.Field(i), i)
		}
		fn := reflect.FuncOf(nil, []reflect.Type{s}, false)
		all[name] = reflect.MakeFunc(fn, func([]reflect.Value) []reflect.Value { return []reflect.Value{v} }).Interface()
	}
	return all
}

// Fill sets a field of statistics to a value that shows n.
func Fill(f reflect.Value, n int) {
	switch {
	case f.Type() == reflect.TypeFor[breaker.State]():
		f.Set(reflect.ValueOf(breaker.StateOpen))
	case f.Type() == reflect.TypeFor[time.Duration]():
		f.SetInt(int64(n) * int64(time.Second))
	case f.Kind() == reflect.Bool:
		f.SetBool(true)
	case f.CanUint():
		f.SetUint(uint64(n))
	case f.CanInt():
		f.SetInt(int64(n))
	case f.CanFloat():
		f.SetFloat(float64(n))
	}
}
