package retryhttp_test

import (
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

var now = time.Date(2026, time.March, 4, 12, 0, 0, 0, time.UTC)

func TestRetryAfter(t *testing.T) {
	const skewed = "Wed, 04 Mar 2026 10:00:00 GMT" // two hours behind us
	tests := []struct {
		name  string
		lines []string
		date  string
		want  time.Duration
		ok    bool
	}{
		{"none", nil, "", 0, false},
		{"seconds", []string{"120"}, "", 2 * time.Minute, true},
		{"zero", []string{"0"}, "", 0, true},
		{"leading zeros", []string{"007"}, "", 7 * time.Second, true},
		{"white space", []string{" \t30 "}, "", 30 * time.Second, true},
		{"plus", []string{"+3"}, "", 0, false},
		{"minus", []string{"-1"}, "", 0, false},
		{"fraction", []string{"1.5"}, "", 0, false},
		{"empty", []string{""}, "", 0, false},
		{"words", []string{"soon"}, "", 0, false},
		{"other digits", []string{"٣"}, "", 0, false},
		{"inner space", []string{"1 2"}, "", 0, false},
		{"largest that fits", []string{"9223372036"}, "", 9223372036 * time.Second, true},
		{"one more", []string{"9223372037"}, "", math.MaxInt64, true},
		{"large", []string{"99999999999"}, "", math.MaxInt64, true},
		{"2^63-1", []string{"9223372036854775807"}, "", math.MaxInt64, true},
		{"2^64", []string{"18446744073709551616"}, "", math.MaxInt64, true},
		{"many digits", []string{strings.Repeat("9", 1000)}, "", math.MaxInt64, true},
		{"IMF-fixdate", []string{"Wed, 04 Mar 2026 12:00:30 GMT"}, "", 30 * time.Second, true},
		{"RFC 850", []string{"Wednesday, 04-Mar-26 12:00:30 GMT"}, "", 30 * time.Second, true},
		{"asctime", []string{"Wed Mar  4 12:00:30 2026"}, "", 30 * time.Second, true},
		{"past", []string{"Wed, 04 Mar 2026 11:59:00 GMT"}, "", 0, true},
		{"far future", []string{"Wed, 04 Mar 9026 12:00:00 GMT"}, "", math.MaxInt64, true},
		{"by the server's clock", []string{"Wed, 04 Mar 2026 10:00:30 GMT"}, skewed, 30 * time.Second, true},
		{"bad Date", []string{"Wed, 04 Mar 2026 12:00:30 GMT"}, "today", 30 * time.Second, true},
		{"seconds need no clock", []string{"5"}, skewed, 5 * time.Second, true},
		{"first valid line", []string{"soon", "9", "7"}, "", 9 * time.Second, true},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": tt.lines}
		if tt.date != "" {
			h.Set("Date", tt.date)
		}
		got, ok := retryhttp.RetryAfter(h, now)
		if got != tt.want || ok != tt.ok {
			t.Errorf("%s: RetryAfter = %v, %t, want %v, %t", tt.name, got, ok, tt.want, tt.ok)
		}
	}
}

// FuzzRetryAfter: never negative; dates as http.ParseTime reads them, numbers
// as a naive reader does.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120", "")
	f.Add(" 9223372037 ", "")
	f.Add("Wed, 04 Mar 2026 12:00:30 GMT", "Wed, 04 Mar 2026 10:00:00 GMT")
	f.Add("Wednesday, 04-Mar-26 12:00:30 GMT", "x")
	f.Add("+1", "")
	f.Fuzz(func(t *testing.T, line, date string) {
		h := http.Header{"Retry-After": {line}, "Date": {date}}
		got, ok := retryhttp.RetryAfter(h, now)
		if got < 0 || !ok && got != 0 {
			t.Fatalf("RetryAfter = %v, %t", got, ok)
		}
		trimmed := strings.Trim(line, " \t")
		if at, err := http.ParseTime(trimmed); err == nil {
			from := now
			if d, err := http.ParseTime(date); err == nil {
				from = d
			}
			if want := max(at.Sub(from), 0); got != want || !ok {
				t.Errorf("date %q: RetryAfter = %v, %t, want %v, true", line, got, ok, want)
			}
			return
		}
		digits := trimmed != "" && strings.Trim(trimmed, "0123456789") == ""
		if ok != digits {
			t.Errorf("%q: RetryAfter valid = %t, want %t", line, ok, digits)
		}
		if digits && len(trimmed) < 9 && got != naiveSeconds(trimmed) {
			t.Errorf("%q: RetryAfter = %v, want %v", line, got, naiveSeconds(trimmed))
		}
	})
}

func naiveSeconds(s string) time.Duration {
	d, err := time.ParseDuration(s + "s")
	if err != nil {
		return -1
	}
	return d
}
