package breakerhttp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/breaker"
	"github.com/redoubt-go/redoubt/breaker/breakerhttp"
)

// A refusal is an error of a guard.
type refusal struct {
	rejected  bool
	after     time.Duration
	retryable bool
}

func (refusal) Error() string               { return "secret" }
func (e refusal) Rejected() bool            { return e.rejected }
func (e refusal) RetryAfter() time.Duration { return e.after }
func (e refusal) Retryable() bool           { return e.retryable }

// A gaveUp is the error of a retry that does not wait for a refusal.
type gaveUp struct{ error }

func (gaveUp) Retryable() bool { return false }
func (g gaveUp) Unwrap() error { return g.error }

func TestRefuse(t *testing.T) {
	tests := []struct {
		name  string
		err   error
		after string // Retry-After, or "" for none
		want  bool
	}{
		{"nil", nil, "", false},
		{"failure", errors.New("down"), "", false},
		{"failure with a pause", refusal{false, time.Second, true}, "", false},
		{"refusal", refusal{true, 3 * time.Second, true}, "3", true},
		{"rounded up", refusal{true, 1, true}, "1", true},
		{"rounded up again", refusal{true, 2*time.Second + 1, true}, "3", true},
		{"no pause known", refusal{true, 0, true}, "", true},
		{"negative", refusal{true, -time.Second, true}, "", true},
		{"never", refusal{true, time.Second, false}, "", true},
		{"largest", refusal{true, math.MaxInt64, true}, "9223372037", true},
		{"wrapped", fmt.Errorf("handler: %w", errors.Join(io.EOF, refusal{true, time.Second, true})), "1", true},
		{"given up by a retry", gaveUp{refusal{true, 3 * time.Second, true}}, "3", true},
		{"throttled", &breaker.ThrottleError{}, "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			w.Header().Set("Content-Length", "7")
			w.Header().Set("Retry-After", "7")
			got := breakerhttp.Refuse(w, tt.err)
			checkEqual(t, got, tt.want)
			if !got {
				checkEqual(t, w.Header(), http.Header{"Content-Length": {"7"}, "Retry-After": {"7"}})
				checkEqual(t, w.Body.Len(), 0)
				return
			}
			want := http.Header{"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}}
			if tt.after != "" {
				want.Set("Retry-After", tt.after)
			}
			checkEqual(t, w.Header(), want)
			var doc map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil || w.Code != 503 {
				t.Errorf("status %d, document %q: %v", w.Code, w.Body, err)
			}
			checkEqual(t, doc, map[string]any{
				"type":  "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
				"title": "Service unavailable", "status": 503.0,
			})
		})
	}
}

// TestRefusalsPassOn shows that the refusal of one process opens no breaker of
// the process that calls it for longer than its own does.
func TestRefusalsPassOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := breaker.New(config())
		inner.Trip(20*time.Second, nil)
		outer := breaker.New(config())
		rt := guarded(outer, trip(func(req *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			_, err := guarded(inner, status(200)).RoundTrip(req)
			if !breakerhttp.Refuse(w, err) {
				w.WriteHeader(200)
			}
			return w.Result(), nil
		}))
		for range 4 {
			exchange(rt, request(t, "http://h"))
		}
		_, err := exchange(rt, request(t, "http://h"))
		var e *breaker.OpenError
		if !errors.As(err, &e) || e.RetryAfter() != 20*time.Second {
			t.Errorf("error %v, want to retry when the inner breaker does", err)
		}
	})
}
