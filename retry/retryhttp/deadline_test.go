package retryhttp_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

func TestTimeoutHeader(t *testing.T) {
	tests := []struct {
		name     string
		deadline time.Duration // of the context, 0 for none
		attempt  time.Duration
		want     []string
	}{
		{"none", 0, 0, []string{"", ""}},
		{"deadline", 10 * time.Second, 0, []string{"10000", "9000"}},
		{"attempt", 0, 3 * time.Second, []string{"3000", "3000"}},
		{"the shorter one", 3500 * time.Millisecond, 3 * time.Second, []string{"3000", "2500"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var seen []string
				tr := &retryhttp.Transport{
					Policy:        retry.Policy{MaxAttempts: 2, Backoff: retry.Constant(time.Second), AttemptTimeout: tt.attempt},
					TimeoutHeader: retryhttp.TimeoutHeader,
					Base: tripper(func(r *http.Request) (*http.Response, error) {
						seen = append(seen, r.Header.Get(retryhttp.TimeoutHeader))
						return response(503, http.NoBody), nil
					}),
				}
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://example.com/", nil)
				if _, err := tr.RoundTrip(req); err != nil {
					t.Fatal(err)
				}
				if len(seen) != 2 || seen[0] != tt.want[0] || seen[1] != tt.want[1] {
					t.Errorf("headers = %q, want %q", seen, tt.want)
				}
				if req.Header.Get(retryhttp.TimeoutHeader) != "" {
					t.Error("the request was changed")
				}
			})
		})
	}
}

func TestDeadline(t *testing.T) {
	const s = time.Second
	long := 100 * 365 * 24 * time.Hour
	tests := []struct {
		name     string
		deadline retryhttp.Deadline
		header   string
		want     time.Duration // of the context, 0 for no deadline
		status   int
	}{
		{"no header", retryhttp.Deadline{}, "", 0, 200},
		{"no header, Max", retryhttp.Deadline{Max: s}, "", s, 200},
		{"client's time", retryhttp.Deadline{}, "1500", 1500 * time.Millisecond, 200},
		{"Max", retryhttp.Deadline{Max: s}, "1500", s, 200},
		{"Margin", retryhttp.Deadline{Margin: s}, "1500", s / 2, 200},
		{"too little", retryhttp.Deadline{Margin: s, Min: s}, "1500", 0, 504},
		{"just enough", retryhttp.Deadline{Margin: s, Min: s / 2}, "1500", s / 2, 200},
		{"nothing left", retryhttp.Deadline{}, "0", 0, 504},
		{"less than the margin", retryhttp.Deadline{Margin: s}, "999", 0, 504},
		{"huge", retryhttp.Deadline{}, "9223372036854775807", long, 200},
		{"too large a number", retryhttp.Deadline{}, "99999999999999999999", 0, 200},
		{"negative", retryhttp.Deadline{}, "-5", 0, 200},
		{"words", retryhttp.Deadline{Max: s}, "soon", s, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				called := false
				h := tt.deadline.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					called = true
					end, ok := r.Context().Deadline()
					if got := time.Until(end); ok != (tt.want > 0) || ok && got != tt.want {
						t.Errorf("deadline in %v, %t, want %v", got, ok, tt.want)
					}
				}))
				r := httptest.NewRequest("GET", "/", nil)
				if tt.header != "" {
					r.Header.Set(retryhttp.TimeoutHeader, tt.header)
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				if w.Code != tt.status || called != (tt.status == 200) {
					t.Errorf("status = %d, handler called: %t, want %d", w.Code, called, tt.status)
				}
			})
		})
	}
	if err := (retryhttp.Deadline{Min: 2 * s, Max: s}).Validate(); err == nil {
		t.Error("Min above Max is valid")
	}
	if err := (retryhttp.Deadline{}).Validate(); err != nil {
		t.Errorf("the zero value is not valid: %v", err)
	}
}

func TestEventsNameTheRequest(t *testing.T) {
	var ops []string
	tr := &retryhttp.Transport{Policy: quick(2), Base: tripper(func(*http.Request) (*http.Response, error) { return response(503, http.NoBody), nil })}
	tr.Policy.OnEvent = func(_ context.Context, e retry.Event) { ops = append(ops, e.Op) }
	req, _ := http.NewRequestWithContext(t.Context(), "", "http://user:secret@example.com/a%20b?token=secret", nil)
	tr.RoundTrip(req)
	if len(ops) != 2 || ops[0] != "GET example.com/a%20b" {
		t.Errorf("operations = %q, want two of \"GET example.com/a%%20b\"", ops)
	}
}
