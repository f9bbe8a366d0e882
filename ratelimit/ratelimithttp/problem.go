package ratelimithttp

import (
	"io"
	"net/http"
	"strconv"
)

// problem answers with a problem document (RFC 9457). The policy is quoted, or
// empty.
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
