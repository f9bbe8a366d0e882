package ratelimithttp

import (
	"io"
	"net/http"
	"strconv"

	"github.com/redoubt-go/redoubt/internal/errtree"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// WriteError answers a request that was refused with err by a problem document
// (RFC 9457), and sets Retry-After if another try can succeed. The status is
// 429 for a *[ratelimit.LimitedError], and otherwise 503. The answer contains
// nothing of the text of err apart from the name of the limit.
func WriteError(w http.ResponseWriter, err error) {
	setRetryAfter(w.Header(), err)
	if limited, ok := errtree.Find[*ratelimit.LimitedError](err); ok {
		name := limited.Decision.Limit.Name
		if name == "" {
			name = defaultName
		}
		problem(w, http.StatusTooManyRequests, "quota-exceeded", "Quota exceeded", quoted(name))
		return
	}
	problem(w, http.StatusServiceUnavailable, "temporary-reduced-capacity", "Temporary reduced capacity", "")
}

// defaultName is the name of a policy whose limit has no name.
const defaultName = "default"

// refuse answers a request by answer, or by WriteError if answer is nil.
func refuse(w http.ResponseWriter, r *http.Request, err error, answer func(http.ResponseWriter, *http.Request, error)) {
	if answer == nil {
		WriteError(w, err)
		return
	}
	setRetryAfter(w.Header(), err)
	answer(w, r, err)
}

// setRetryAfter sets Retry-After for a refusal: at least 1 second, unless no
// try can succeed. An error that is not a refusal has no Retry-After.
func setRetryAfter(h http.Header, err error) {
	refusal, _ := errtree.Find[interface {
		error
		Rejected() bool
	}](err)
	s := errtree.Read(refusal) // and not of a retry around it, which does not wait so long
	if s.Rejected && (s.Retryable || !s.HasRetryable) {
		h.Set("Retry-After", strconv.FormatInt(max(1, seconds(s.RetryAfter)), 10))
	}
}

// problem answers with a problem document. The policy is quoted, or empty.
func problem(w http.ResponseWriter, status int, kind, title, policy string) {
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	violated := ""
	if policy != "" {
		violated = `,"violated-policies":[` + policy + `]`
	}
	_, _ = io.WriteString(w, `{"type":"https://iana.org/assignments/http-problem-types#`+kind+`","title":"`+title+
		`","status":`+strconv.Itoa(status)+violated+"}\n") // the client may be gone
}
