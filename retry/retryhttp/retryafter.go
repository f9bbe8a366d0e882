package retryhttp

import (
	"net/http"
	"time"

	"github.com/redoubt-go/redoubt/internal/retryafter"
)

// RetryAfter returns the pause that the Retry-After field in h asks for (RFC
// 9110, section 10.2.3): a number of seconds, or a date in any of the three
// forms of HTTP. A date is compared with the Date field of h, or with now if
// there is none. The Age of a cached response is subtracted.
//
// The pause is never negative. A number that is too large results in the
// largest Duration. If there are several lines, the first valid line counts. If
// no line is valid, RetryAfter returns false.
func RetryAfter(h http.Header, now time.Time) (time.Duration, bool) {
	return retryafter.Parse(h, now)
}
