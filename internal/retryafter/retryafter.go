// Package retryafter reads the Retry-After field of an HTTP response.
package retryafter

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// Parse returns the pause in the Retry-After field of h (RFC 9110, section
// 10.2.3). The field is a number of seconds, or a date in one of the three
// forms of HTTP. The pause counts from the arrival of the response:
//
//   - The Age of a cached response is subtracted.
//   - A date is compared with the Date field, because the clock of a server
//     agrees with itself. Without a Date it is compared with now.
//
// The pause is never negative. A number that is too large gives the largest
// Duration. The first valid line of the field counts. Without a valid line
// Parse returns 0 and false.
func Parse(h http.Header, now time.Time) (time.Duration, bool) {
	for _, line := range h["Retry-After"] {
		line = strings.Trim(line, " \t")
		if d, ok := seconds(line); ok {
			return max(d-age(h), 0), true
		}
		if t, err := http.ParseTime(line); err == nil {
			if date, err := http.ParseTime(h.Get("Date")); err == nil {
				now = date.Add(age(h))
			}
			return max(t.Sub(now), 0), true
		}
	}
	return 0, false
}

// age returns the Age field (RFC 9111, section 5.1), 0 if it is absent or
// malformed.
func age(h http.Header) time.Duration {
	d, _ := seconds(strings.Trim(h.Get("Age"), " \t"))
	return d
}

// seconds reads s as 1*DIGIT, saturating.
func seconds(s string) (time.Duration, bool) {
	const most = math.MaxInt64 / int64(time.Second)
	var n int64
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int64(c-'0'), most+1)
	}
	if n > most {
		return math.MaxInt64, s != ""
	}
	return time.Duration(n) * time.Second, s != ""
}
