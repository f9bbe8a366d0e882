package redoubtredis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
	"github.com/redoubt-go/redoubt/internal/metrics"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// contrib/otel and contrib/prometheus export the statistics of a Limiter and a
// Cache.
func TestMetrics(t *testing.T) {
	_, client := mini(t)
	l := newLimiter(t, redoubtredis.Config{Client: client, Limits: limits(ratelimit.PerHour(1))})
	for range 3 {
		take(t, l, "k", 1)
	}
	down := redoubtredis.New(redoubtredis.Config{Client: lost{}, Limits: limits(ratelimit.PerHour(1)), Outage: redoubtredis.OutageRefuse})
	for range 4 {
		take(t, down, "k", 1)
	}
	c := redoubtredis.NewCache(raw(client, "c"))
	r, err := c.Get(t.Context(), "a")
	if r.Absent, r.TTL = true, time.Hour; err != nil || c.Set(t.Context(), "a", r) != nil || c.Set(t.Context(), "b", record("1", time.Hour)) != nil {
		t.Fatal(r, err)
	}
	for range 2 {
		_, _ = c.Get(context.Background(), "a")
		_, _ = c.Get(context.Background(), "a")
		_, _ = c.Get(context.Background(), "b")
	}
	for want, x := range map[string]any{
		"[decisions[1 1 0 1 0] round_trips[2] errors[0] returned[0] outages[0] down[0]]": l,
		"[decisions[0 0 0 0 4] round_trips[3] errors[3] returned[0] outages[1] down[1]]": down,
		"[lookups[2 4 1] errors[0] outages[0] down[0]]":                                  c,
	} {
		source, err := metrics.SourceOf(x)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		of := make([][]float64, len(source.Metrics))
		for i, v := range source.Read(nil) {
			m := source.Series[i].Metric
			of[m] = append(of[m], v)
		}
		for i, values := range of {
			name := source.Metrics[i].Name
			got = append(got, fmt.Sprint(name[strings.LastIndex(name, ".")+1:], values))
		}
		if fmt.Sprint(got) != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}
