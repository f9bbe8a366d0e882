package ratelimithttp_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/ratelimit"
)

// checkEqual reports how got differs from want.
func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// oneKey is the key of all requests.
func oneKey(*http.Request) (string, bool) { return "all", true }

func local(l ratelimit.Limit) ratelimit.Store {
	return ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: l}))
}

func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w
}
