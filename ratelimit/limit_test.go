package ratelimit_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/ratelimit"
)

func TestLimitText(t *testing.T) {
	tests := []struct {
		limit ratelimit.Limit
		text  string
		also  []string // other texts of the same limit
	}{
		{ratelimit.PerSecond(100), "100/s", []string{"100/1s", "100/s burst 100", "0100/1000ms"}},
		{ratelimit.PerSecond(100).WithBurst(20), "100/s burst 20", []string{"100/1s burst 20"}},
		{ratelimit.PerMinute(60), "60/m", []string{"60/1m", "60/60s"}},
		{ratelimit.PerHour(10_000), "10000/h", []string{"10000/1h0m0s"}},
		{ratelimit.Per(3, 24*time.Hour), "3/24h", nil},
		{ratelimit.Per(3, 10*time.Minute), "3/10m", []string{"3/600s"}},
		{ratelimit.Per(3, time.Hour+10*time.Minute), "3/1h10m", nil},
		{ratelimit.Per(3, 10*time.Second), "3/10s", nil},
		{ratelimit.Per(3, 1500*time.Millisecond), "3/1.5s", nil},
		{ratelimit.Per(3, 1), "3/ns", nil},
		{ratelimit.Per(5, 90*time.Second), "5/1m30s", nil},
		{ratelimit.Every(time.Millisecond), "1/ms", []string{"1/1ms", "1/1000us"}},
		{ratelimit.Every(250 * time.Microsecond), "1/250µs", []string{"1/250us"}},
		{ratelimit.PerSecond(0).WithBurst(3), "0/s burst 3", nil},
		{ratelimit.PerSecond(3).WithBurst(ratelimit.NoBurst), "3/s burst 0", nil},
		{ratelimit.Inf(), "inf", []string{"9223372036854775807/s"}},
		{ratelimit.Per(math.MaxInt64-1, math.MaxInt64), "9223372036854775806/2562047h47m16.854775807s", nil},
	}
	for _, tt := range tests {
		if got := tt.limit.String(); got != tt.text {
			t.Errorf("got text %q, want %q", got, tt.text)
		}
		for _, text := range append(tt.also, tt.text) {
			if got, err := ratelimit.ParseLimit(text); got != tt.limit || err != nil {
				t.Errorf("ParseLimit(%q) = %+v, %v, want %+v", text, got, err, tt.limit)
			}
		}
	}
}

func TestParseLimitErrors(t *testing.T) {
	const count, form, period = "whole number", `want the form`, "period"
	tests := []struct{ text, part string }{
		{"", form},
		{"100", form},
		{"/s", count},
		{"-1/s", count},
		{"+1/s", count},
		{"1.5/s", count},
		{"1_000/s", count},
		{" 1/s", count},
		{"9223372036854775808/s", count},
		{"1/", period},
		{"1/d", period},
		{"1/0s", "Per is 0s, want more than 0"},
		{"1/-1s", "Per is -1s, want more than 0"},
		{"0/s", "N and Burst are 0"},
		{"1/s burst", period},
		{"1/s burst ", count},
		{"1/s burst -1", count},
		{"1/s burst 1 burst 2", count},
		{"1/s  burst 1", period},
		{"Inf", form},
		{strings.Repeat("1", 200) + "/s", "longer than 128 bytes"},
	}
	for _, tt := range tests {
		got, err := ratelimit.ParseLimit(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.part) || len(err.Error()) > 200 {
			t.Errorf("ParseLimit(%q): error %v, want one with %q", tt.text, err, tt.part)
		}
		if got != (ratelimit.Limit{}) {
			t.Errorf("ParseLimit(%q) = %+v with an error, want zero", tt.text, got)
		}
	}
}

func TestLimitJSON(t *testing.T) {
	type config struct{ API ratelimit.Limit }
	want := config{ratelimit.PerSecond(5).WithBurst(9)}
	text, err := json.Marshal(want)
	if string(text) != `{"API":"5/s burst 9"}` || err != nil {
		t.Errorf("Marshal = %s, %v", text, err)
	}
	got := config{}
	if err := json.Unmarshal(text, &got); err != nil || got != want {
		t.Errorf("Unmarshal = %+v, %v, want %+v", got, err, want)
	}
	if err := json.Unmarshal([]byte(`{"API":"5/x"}`), &got); err == nil || got != want {
		t.Errorf("Unmarshal of nonsense = %+v, %v, want an error and no change", got, err)
	}
	for _, bad := range []ratelimit.Limit{{}, {N: -1, Per: 1}, {N: 1, Per: 1, Burst: -2}, {N: math.MaxInt64}} {
		if text, err := bad.MarshalText(); err == nil {
			t.Errorf("MarshalText of %+v = %q, want an error", bad, text)
		}
	}
}

func TestLimitedError(t *testing.T) {
	five := ratelimit.PerSecond(5)
	tests := []struct {
		name               string
		err                ratelimit.LimitedError
		text               string
		tooLarge, deadline bool
		retry              time.Duration
	}{
		{
			"limited",
			ratelimit.LimitedError{Decision: ratelimit.Decision{N: 1, Limit: five, RetryAfter: 3*time.Millisecond + 1, Retryable: true}},
			"ratelimit: limited to 5/s, retry after 4ms", false, false, 3*time.Millisecond + 1,
		},
		{
			"late",
			ratelimit.LimitedError{Decision: ratelimit.Decision{N: 1, Limit: five.WithName("api"), RetryAfter: 3 * time.Second, Retryable: true}, Late: true},
			"ratelimit: api: limited to 5/s, retry after 3s, past the deadline", false, true, 3 * time.Second,
		},
		{
			"too large",
			ratelimit.LimitedError{Decision: ratelimit.Decision{N: 6, Limit: five}},
			"ratelimit: 6 events exceed the burst of 5/s", true, false, 0,
		},
		{
			"forever",
			ratelimit.LimitedError{Decision: ratelimit.Decision{N: 1, Limit: ratelimit.PerSecond(0).WithBurst(2)}},
			"ratelimit: limited to 0/s burst 2, no retry can succeed", false, false, 0,
		},
		{
			"negative",
			ratelimit.LimitedError{Decision: ratelimit.Decision{N: -1, Limit: five}},
			"ratelimit: -1 events asked for, want at least 0", false, false, 0,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := fmt.Errorf("api: %w", &tt.err)
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("got text %q, want %q", got, tt.text)
			}
			type matches struct{ Limited, TooLarge, Deadline, Cancelled bool }
			got := matches{
				errors.Is(err, ratelimit.ErrLimited), errors.Is(err, ratelimit.ErrTooLarge),
				errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
			}
			checkEqual(t, got, matches{true, tt.tooLarge, tt.deadline, false})
			if tt.err.RetryAfter() != tt.retry || tt.err.Retryable() != (tt.retry > 0) || !tt.err.Rejected() {
				t.Errorf("got retry after %v, retryable %v, want %v", tt.err.RetryAfter(), tt.err.Retryable(), tt.retry)
			}
		})
	}
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	log.Warn("refused", "err", &tests[0].err)
	want := "level=WARN msg=refused err.name=\"\" err.limit=5/s err.n=1 err.retry_after=3.000001ms err.retryable=true err.late=false\n"
	checkEqual(t, out.String(), want)
}

func TestLimitValidate(t *testing.T) {
	for _, tt := range []struct {
		limit ratelimit.Limit
		want  string
	}{
		{ratelimit.Limit{N: 5, Per: time.Second}, "<nil>"},
		{ratelimit.PerSecond(0).WithBurst(3), "<nil>"},
		{ratelimit.PerSecond(0).WithBurst(ratelimit.NoBurst), "<nil>"},
		{ratelimit.Inf(), "<nil>"},
		{ratelimit.PerSecond(0), "ratelimit: limit: N and Burst are 0, want more, or the Burst NoBurst to admit nothing"},
		{ratelimit.Every(0), "ratelimit: limit: Per is 0s, want more than 0"},
		{ratelimit.Rate(math.NaN(), 1), "ratelimit: limit: N is -1, want at least 0"},
		{
			ratelimit.Limit{N: -1, Per: -1, Burst: -2, Name: "a%d\nb"},
			`ratelimit: limit: "a%d\nb": N is -1, want at least 0` + "\n" + `ratelimit: limit: "a%d\nb": Per is -1ns, want more than 0` +
				"\n" + `ratelimit: limit: "a%d\nb": Burst is -2, want at least 0, or NoBurst`,
		},
	} {
		checkEqual(t, fmt.Sprint(tt.limit.Validate()), tt.want)
	}
	checkPanics(t, "ratelimit: no limit, want at least 1", func() { ratelimit.New() })
	checkPanics(t, ratelimit.Limit{}.Validate().Error(), func() { ratelimit.New(ratelimit.PerHour(1), ratelimit.Limit{}) })
	checkPanics(t, `ratelimit: limit "x": want the form "100/s burst 20"`, func() { ratelimit.MustParseLimit("x") })
}

// A literal without Burst is the limit that the constructor of the same rate
// returns.
func TestBurstLeftOut(t *testing.T) {
	literal := ratelimit.Limit{N: 7, Per: time.Minute}
	checkEqual(t, literal.String(), "7/m")
	checkEqual(t, ratelimit.New(literal).Config().Limits, []ratelimit.Limit{ratelimit.PerMinute(7)})
	if d := ratelimit.New(literal).Take(8); d.Limit != ratelimit.PerMinute(7) || !errors.Is(d.Err(), ratelimit.ErrTooLarge) {
		t.Errorf("Take(8) of 7: %+v, want more than the burst", d)
	}
}

func TestRate(t *testing.T) {
	for _, tt := range []struct {
		perSecond float64
		want      string
	}{
		{0, "0/s burst 3"},
		{1, "1/s burst 3"},
		{0.5, "1/2s burst 3"},
		{2.5, "5/2s burst 3"},
		{1.0 / 3, "333333333/277777h46m40s burst 3"},
		{1e9 + 0.5, "1000000000/s burst 3"},
		{1e300, "4611686018427387904/s burst 3"},
		{math.Inf(1), "inf"},
	} {
		limit := ratelimit.Rate(tt.perSecond, 3)
		if err := limit.Validate(); err != nil {
			t.Errorf("Rate(%v): %v", tt.perSecond, err)
		}
		checkEqual(t, limit.String(), tt.want)
	}
}
