package retryhttp

import (
	"math"
	"net/http"
	"strings"
	"time"
)

// RetryAfter returns the pause that the Retry-After header in h asks for (RFC
// 9110, section 10.2.3): a number of seconds, or a date in any of the three
// forms of HTTP, less the time in the Date header or else now. It is never
// negative: a date that has passed gives 0, and a number that is too large
// gives the largest Duration. Of several lines the first valid one counts.
// Without a valid one the answer is false.
//
// The Date header goes before now because a server's clock agrees with itself,
// not with its client's.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	for _, line := range h["Retry-After"] {
		line = strings.Trim(line, " \t")
		if d, ok := seconds(line); ok {
			return d, true
		}
		if t, err := http.ParseTime(line); err == nil {
			if date, err := http.ParseTime(h.Get("Date")); err == nil {
				now = date
			}
			return max(t.Sub(now), 0), true
		}
	}
	return 0, false
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
