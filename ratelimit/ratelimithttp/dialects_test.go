package ratelimithttp_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

// The forms of fields that servers send, as their documentation shows them.
func TestDialects(t *testing.T) {
	now := time.Unix(1700000000, 0).UTC()
	date := now.Format(http.TimeFormat)
	for _, tt := range []struct {
		name   string
		header string
		want   []ratelimithttp.Quota
	}{
		{"draft 10", `RateLimit-Policy: "burst";q=100;w=60,"daily";q=1000;w=86400|RateLimit: "burst";r=50;t=30`, []ratelimithttp.Quota{
			{Name: "burst", Limit: 100, Window: time.Minute, Remaining: 50, Reset: 30 * time.Second},
			{Name: "daily", Limit: 1000, Window: 24 * time.Hour, Remaining: -1, Reset: -1},
		}},
		{"draft 7", `RateLimit: limit=100, remaining=50, reset=5|RateLimit-Policy: 10;w=1;comment="x", 100;w=60`, []ratelimithttp.Quota{
			{Limit: 100, Window: time.Minute, Remaining: 50, Reset: 5 * time.Second},
		}},
		{"draft 6", `RateLimit-Limit: 10|RateLimit-Policy: 10;w=1, 50;w=60|RateLimit-Remaining: 9|RateLimit-Reset: 50`, []ratelimithttp.Quota{
			{Limit: 10, Window: time.Second, Remaining: 9, Reset: 50 * time.Second},
		}},
		{"draft 3", `RateLimit-Limit: 10, 10;w=1, 50;w=60, 1000;w=3600|RateLimit-Remaining: 9|RateLimit-Reset: 50`, []ratelimithttp.Quota{
			{Limit: 10, Window: time.Second, Remaining: 9, Reset: 50 * time.Second},
		}},
		{"Envoy", `X-RateLimit-Limit: 10, 10;w=1;name="per-ip", 1000;w=3600|X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1`, []ratelimithttp.Quota{
			{Name: "per-ip", Limit: 10, Window: time.Second, Remaining: 0, Reset: time.Second},
		}},
		{"GitHub", `Date: ` + date + `|X-RateLimit-Limit: 5000|X-RateLimit-Remaining: 4987|X-RateLimit-Used: 13|X-RateLimit-Reset: 1700000600|X-RateLimit-Resource: core`, []ratelimithttp.Quota{
			{Limit: 5000, Remaining: 4987, Reset: 10 * time.Minute},
		}},
		{"milliseconds", `Date: ` + date + `|X-Rate-Limit-Limit: 5|X-Rate-Limit-Remaining: 4|X-Rate-Limit-Reset: 1700000001500`, []ratelimithttp.Quota{
			{Limit: 5, Remaining: 4, Reset: 1500 * time.Millisecond},
		}},
		{"a date", `Date: ` + date + `|X-RateLimit-Remaining: 4|X-RateLimit-Reset: ` + now.Add(time.Minute).Format(http.TimeFormat), []ratelimithttp.Quota{
			{Limit: -1, Remaining: 4, Reset: time.Minute},
		}},
		{"Reddit", `X-RateLimit-Remaining: 597.0|X-RateLimit-Used: 3|X-RateLimit-Reset: 123`, []ratelimithttp.Quota{
			{Limit: -1, Remaining: 597, Reset: 123 * time.Second},
		}},
		{"Discord", `X-RateLimit-Limit: 5|X-RateLimit-Remaining: 0|X-RateLimit-Reset: 1470173023.123|X-RateLimit-Reset-After: 0.25|X-RateLimit-Bucket: abcd`, []ratelimithttp.Quota{
			{Limit: 5, Remaining: 0, Reset: 250 * time.Millisecond},
		}},
		{"Kong", `X-RateLimit-Limit-Minute: 10|X-RateLimit-Remaining-Minute: 4|X-RateLimit-Limit-Hour: 100|X-RateLimit-Remaining-Hour: 94`, []ratelimithttp.Quota{
			{Name: "hour", Limit: 100, Window: time.Hour, Remaining: 94, Reset: -1},
			{Name: "minute", Limit: 10, Window: time.Minute, Remaining: 4, Reset: -1},
		}},
		{"OpenAI", `x-ratelimit-limit-requests: 60|x-ratelimit-limit-tokens: 150000|x-ratelimit-remaining-requests: 59|x-ratelimit-remaining-tokens: 149984|x-ratelimit-reset-requests: 1s|x-ratelimit-reset-tokens: 6m0s`, []ratelimithttp.Quota{
			{Name: "requests", Limit: 60, Window: time.Minute, Burst: 60, Remaining: 59, Reset: time.Second},
			{Name: "tokens", Unit: "tokens", Limit: 150000, Window: 937*time.Hour + 30*time.Minute, Burst: 150000, Remaining: 149984, Reset: 22500 * time.Millisecond},
		}},
		{"OpenAI, a day", `x-ratelimit-limit-requests: 10000|x-ratelimit-remaining-requests: 9999|x-ratelimit-reset-requests: 8.64s`, []ratelimithttp.Quota{
			{Name: "requests", Limit: 10000, Window: 24 * time.Hour, Burst: 10000, Remaining: 9999, Reset: 8640 * time.Millisecond},
		}},
		{"nothing used", `x-ratelimit-limit-requests: 60|x-ratelimit-remaining-requests: 60|x-ratelimit-reset-requests: 0s`, []ratelimithttp.Quota{
			{Name: "requests", Limit: 60, Remaining: 60, Reset: 0},
		}},
		{"Anthropic", `Date: ` + date + `|anthropic-ratelimit-requests-limit: 50|anthropic-ratelimit-requests-remaining: 0|anthropic-ratelimit-requests-reset: ` +
			now.Add(time.Minute).Format(time.RFC3339) + `|anthropic-ratelimit-input-tokens-limit: 1000|anthropic-ratelimit-input-tokens-remaining: 0|anthropic-ratelimit-input-tokens-reset: ` +
			now.Add(10*time.Second).Format(time.RFC3339), []ratelimithttp.Quota{
			{Name: "input-tokens", Unit: "tokens", Limit: 1000, Window: 10 * time.Second, Burst: 1000, Remaining: 0, Reset: 10 * time.Millisecond},
			{Name: "requests", Limit: 50, Window: time.Minute, Burst: 50, Remaining: 0, Reset: 1200 * time.Millisecond},
		}},
		{"nothing", `Content-Type: text/plain|X-RateLimit-Bucket: abcd|RateLimit-Reset: 5`, nil},
		{"the draft comes first", `RateLimit: "a";r=5|X-RateLimit-Remaining: 4`, []ratelimithttp.Quota{{Name: "a", Limit: -1, Remaining: 5, Reset: -1}}},
		{"a malformed field is ignored", `RateLimit: a;r=5|X-RateLimit-Remaining: 4`, []ratelimithttp.Quota{{Limit: -1, Remaining: 4, Reset: -1}}},
	} {
		got, err := ratelimithttp.ParseAny(header(tt.header))
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%s (-want +got):\n%s%v", tt.name, diff, err)
		}
	}
}

// header parses fields that are separated by bars.
func header(text string) http.Header {
	h := http.Header{}
	for _, line := range strings.Split(text, "|") {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestMalformedDialects(t *testing.T) {
	for _, text := range []string{
		`RateLimit-Limit: x`, `RateLimit-Limit: -5`, `RateLimit-Limit: 5, `, `RateLimit-Limit: 5.5`, `RateLimit-Limit: 5;w=0|RateLimit-Remaining: 1`,
		`RateLimit: limit=5, remaining=x`, `RateLimit: limit=-1`, `RateLimit: limit=5,`, `RateLimit: limit=5;=, reset=1`, `RateLimit: limit=5, reset`,
		`RateLimit-Remaining: -1`, `RateLimit-Remaining: +1`, `RateLimit-Remaining: 1.2.3`, `RateLimit-Remaining: 1e3`, `RateLimit-Remaining: .5`, `RateLimit-Remaining: Inf`,
		`RateLimit-Remaining: 1|RateLimit-Reset: soon`, `X-RateLimit-Remaining: 0|X-RateLimit-Reset: -5`, `X-RateLimit-Remaining: 0|X-RateLimit-Reset: -5s`,
		`X-RateLimit-Remaining: 0|X-RateLimit-Reset: NaN`, `X-RateLimit-Remaining: ` + strings.Repeat("9", 5000), `X-RateLimit-Remaining: 111111111111111111111`,
		`Anthropic-RateLimit-Requests-Remaining: x`, `Anthropic-RateLimit-Requests-Remaining: 0|Anthropic-RateLimit-Requests-Reset: 2025-13-01T00:00:00Z`,
	} {
		if got, err := ratelimithttp.ParseAny(header(text)); err == nil || got != nil || len(err.Error()) > 400 {
			t.Errorf("%.80s: %v, %v, want an error", text, got, err)
		}
	}
}

// FuzzDialects holds every parser to its promises about values and bounds.
func FuzzDialects(f *testing.F) {
	f.Add("X-RateLimit-Remaining: 1|X-RateLimit-Limit: 5;w=1|X-RateLimit-Reset: 1700000000")
	f.Add("RateLimit: limit=1, remaining=2|RateLimit-Policy: 1;w=5")
	f.Add("Anthropic-RateLimit-A-Tokens-Limit: 5|Anthropic-RateLimit-A-Tokens-Remaining: 0|Anthropic-RateLimit-A-Tokens-Reset: 2025-01-01T00:00:00Z")
	f.Add("X-RateLimit-Limit-Requests: 5|X-RateLimit-Remaining-Requests: 4|X-RateLimit-Reset-Requests: 99h")
	f.Fuzz(func(t *testing.T, text string) {
		h := header(text)
		for name, parse := range map[string]func(http.Header) ([]ratelimithttp.Quota, error){
			"old": ratelimithttp.ParseOldRateLimit, "x": ratelimithttp.ParseXRateLimit, "anthropic": ratelimithttp.ParseAnthropic, "any": ratelimithttp.ParseAny,
		} {
			quotas, err := parse(h)
			if err != nil && (quotas != nil || len(err.Error()) > 500) {
				t.Errorf("%s: %d quotas with an error of %d bytes", name, len(quotas), len(err.Error()))
			}
			for _, q := range quotas {
				if q.Burst < 0 || q.Limit < -1 || q.Remaining < -1 || q.Reset < -1 || q.Window < 0 {
					t.Errorf("%s: %+v", name, q)
				}
			}
		}
		rt := &ratelimithttp.Transport{MaxWait: -1, Base: answers(func(n int) (int, http.Header) { return 429, h })}
		for range 3 {
			_ = send(rt, "http://a.example")
		}
	})
}
