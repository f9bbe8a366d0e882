package breakerhttp

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/redoubt-go/redoubt/internal/errtree"
)

// Refuse answers the caller of a server whose own call was refused. It writes a
// response to w if the tree of err contains a refusal, such as a
// *breaker.OpenError: an error with a method Rejected() bool that returns true.
// The response has status 503 and a problem document (RFC 9457), without any
// text of err. It has Retry-After if the error has a method RetryAfter()
// time.Duration that returns more than 0. The pause is rounded up to seconds.
//
// Refuse reports whether it wrote the response. Otherwise it leaves w alone. Do
// not call it after the response has begun.
func Refuse(w http.ResponseWriter, err error) bool {
	refusal, _ := errtree.Find[interface {
		error
		Rejected() bool
	}](err)
	signs := errtree.Read(refusal) // and not of a retry around it, which does not wait so long
	if !signs.Rejected {
		return false
	}
	h := w.Header()
	for _, name := range [...]string{"Content-Length", "Content-Encoding", "Etag", "Last-Modified", "Retry-After"} {
		h.Del(name) // of the response that did not come about
	}
	if d := signs.RetryAfter; d > 0 && (signs.Retryable || !signs.HasRetryable) {
		seconds := int64(d / time.Second)
		if d%time.Second > 0 {
			seconds++
		}
		h.Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	// A write that fails means that the client has gone.
	_, _ = io.WriteString(w, `{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",`+
		`"title":"Service unavailable","status":503}`+"\n")
	return true
}
