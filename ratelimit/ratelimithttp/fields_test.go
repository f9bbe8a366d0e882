package ratelimithttp_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

func TestFields(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type fields struct {
			Code              int
			Policy, Limit     []string
			RetryAfter, Media string
		}
		see := func(h http.Handler) fields {
			w := get(h)
			return fields{w.Code, w.Header()["Ratelimit-Policy"], w.Header()["Ratelimit"], w.Header().Get("Retry-After"), w.Header().Get("Content-Type")}
		}
		upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "x") })
		h := ratelimithttp.Middleware(ratelimithttp.Config{
			Store: local(ratelimit.Per(10, 100*time.Millisecond).WithBurst(1)), Key: oneKey, Name: `a"b\`,
		})(upstream)
		policy := []string{`"a\"b\\";q=100;w=1`}
		want := []fields{
			{200, policy, []string{`"a\"b\\";r=0;t=1;redoubt-burst=1`}, "", "x"},
			{429, policy, []string{`"a\"b\\";r=0;t=1;redoubt-burst=1`}, "1", "application/problem+json"},
		}
		checkEqual(t, []fields{see(h), see(h)}, want)
		for _, tt := range []struct {
			limit ratelimit.Limit
			want  string
		}{
			{ratelimit.Per(3, 1500*time.Millisecond), "q=4;w=2"},
			{ratelimit.PerHour(1 << 60), "q=999999999999999;w=3600"},
			{ratelimit.PerSecond(0).WithBurst(3), "q=3"},
			{ratelimit.Every(700 * time.Millisecond), "q=10;w=7"},
			{ratelimit.Every(90*time.Minute + 1), "q=1;w=5401"},
			{ratelimit.Per(1, 1<<63-1), "q=1;w=9223372037"},
		} {
			got := see(ratelimithttp.Middleware(ratelimithttp.Config{Store: local(tt.limit), Key: oneKey})(upstream)).Policy[0]
			if got != `"default";`+tt.want {
				t.Errorf("%v: policy %s, want %s", tt.limit, got, tt.want)
			}
		}
		hour := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.Every(90*time.Minute + 1)), Key: oneKey})(h)
		get(hour)
		if got := see(hour); got.RetryAfter != "5401" || got.Limit[0] != `"default";r=0;t=5401;redoubt-burst=1` {
			t.Errorf("got %+v, want a retry after 5401", got)
		}
		big := ratelimithttp.Middleware(ratelimithttp.Config{
			Store: local(ratelimit.PerHour(5)), Key: oneKey, Cost: func(*http.Request) int64 { return 6 },
		})(h)
		if got := see(big); got.Code != 429 || got.RetryAfter != "" {
			t.Errorf("more than the burst: %+v, want 429 without Retry-After", got)
		}
	})
}

func TestFieldsAreAppended(t *testing.T) {
	inner := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(5)), Key: oneKey, Name: "inner"})
	outer := ratelimithttp.Middleware(ratelimithttp.Config{Store: local(ratelimit.PerHour(9)), Key: oneKey, Name: "outer"})
	w := get(outer(inner(http.NotFoundHandler())))
	got, err := ratelimithttp.ParseRateLimit(w.Header())
	want := []ratelimithttp.Quota{
		{Name: "outer", Limit: 9, Window: time.Hour, Burst: 9, Remaining: 8, Reset: 400 * time.Second},
		{Name: "inner", Limit: 5, Window: time.Hour, Burst: 5, Remaining: 4, Reset: 720 * time.Second},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("quotas (-want +got):\n%s%v", diff, err)
	}
}

// The parameter t is the time until more quota is available: the next event of
// a token bucket, or the reset of a quota that comes back at once.
func TestTimeUntilMore(t *testing.T) {
	minute, hour := ratelimit.PerMinute(60), ratelimit.PerHour(5)
	for _, tt := range []struct {
		name string
		d    ratelimit.Decision
		want string
	}{
		{"whole", ratelimit.Decision{OK: true, Limit: minute, Remaining: 60}, `r=60;redoubt-burst=60`},
		{"the first event", ratelimit.Decision{OK: true, Limit: minute, Remaining: 59, ResetAfter: time.Second}, `r=59;t=1;redoubt-burst=60`},
		{"the last event", ratelimit.Decision{OK: true, Limit: minute, ResetAfter: time.Minute}, `r=0;t=1;redoubt-burst=60`},
		{"part of an event", ratelimit.Decision{OK: true, Limit: hour, Remaining: 2, ResetAfter: 24*time.Minute + 500*time.Second}, `r=2;t=500;redoubt-burst=5`},
		{"in debt", ratelimit.Decision{OK: true, Limit: minute, ResetAfter: 2 * time.Minute}, `r=0;t=61;redoubt-burst=60`},
		{"refused", ratelimit.Decision{Limit: hour, N: 3, Remaining: 1, ResetAfter: 40 * time.Minute, Retryable: true, RetryAfter: 24 * time.Minute}, `r=1;t=1440;redoubt-burst=5`},
		{"at once", ratelimit.Decision{OK: true, Limit: hour, Remaining: 0, ResetAfter: 50 * time.Minute, AtOnce: true}, `r=0;t=3000`},
		{"never", ratelimit.Decision{OK: true, Limit: ratelimit.PerSecond(0).WithBurst(5), Remaining: 4}, `r=4`},
	} {
		h := http.Header{}
		ratelimithttp.AddFields(h, tt.d)
		if got := h.Get("RateLimit"); got != `"default";`+tt.want {
			t.Errorf("%s: RateLimit: %s, want %s", tt.name, got, tt.want)
		}
	}
	h := http.Header{}
	ratelimithttp.AddFields(h, ratelimit.Decision{OK: true, Limit: ratelimit.Inf(), Remaining: 1 << 60})
	checkEqual(t, h, http.Header{})
}

// several is a Store with two limits for each key.
type several struct {
	limiter *ratelimit.Limiter
}

func (s several) TakeKey(_ context.Context, _ string, n int64) (ratelimit.Decision, error) {
	return s.limiter.Take(n), nil
}

func (s several) Limits() []ratelimit.Limit { return s.limiter.Config().Limits }

// RateLimit-Policy contains all limits under their names, in every response.
func TestPoliciesAreConstant(t *testing.T) {
	store := several{ratelimit.New(ratelimit.PerSecond(2), ratelimit.PerHour(3).WithName("hour"))}
	h := ratelimithttp.Middleware(ratelimithttp.Config{Store: store, Key: oneKey, Name: "api"})(http.NotFoundHandler())
	var states []string
	for range 4 {
		w := get(h)
		checkEqual(t, w.Header()["Ratelimit-Policy"], []string{`"2/s";q=2;w=1, "hour";q=3;w=3600`})
		states = append(states, strings.Split(w.Header().Get("RateLimit"), ";")[0])
		if w.Code == 429 && !strings.Contains(w.Body.String(), `"violated-policies":["2/s"]`) {
			t.Errorf("body %s", w.Body)
		}
	}
	checkEqual(t, states, []string{`"2/s"`, `"2/s"`, `"2/s"`, `"2/s"`})
	names := ratelimithttp.Middleware(ratelimithttp.Config{
		Store: local(ratelimit.PerHour(3).WithName("Ω\"\\" + strings.Repeat("x", 100))), Key: oneKey,
	})(http.NotFoundHandler())
	quotas, err := ratelimithttp.ParseRateLimit(get(names).Header())
	if err != nil || len(quotas) != 1 || !strings.HasPrefix(quotas[0].Name, `?"\xxx`) || len(quotas[0].Name) > 64 {
		t.Errorf("a name that no String can contain: %v, %v", quotas, err)
	}
}
