package retryhttp_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
	"github.com/redoubt-go/redoubt/retry/retryhttp"
)

func TestCheck(t *testing.T) {
	for code, want := range map[int]struct{ ok, retryable, answered bool }{
		200: {ok: true}, 204: {ok: true}, 299: {ok: true},
		304: {}, 199: {}, 300: {}, 400: {}, 401: {}, 501: {},
		404: {answered: true}, 409: {answered: true}, 422: {answered: true},
		408: {retryable: true}, 429: {retryable: true}, 503: {retryable: true},
	} {
		err := retryhttp.Check(&http.Response{StatusCode: code, Header: http.Header{"Retry-After": {"7"}}})
		if (err == nil) != want.ok {
			t.Errorf("%d: got %v", code, err)
		}
		if want.ok {
			continue
		}
		e, ok := errors.AsType[*retryhttp.StatusError](err)
		if !ok || e.StatusCode != code || e.RetryAfter() != 7*time.Second || e.Header.Get("Retry-After") != "7" {
			t.Errorf("%d: got %#v", code, err)
			continue
		}
		if retry.Retryable(err) != want.retryable || e.Answered() != want.answered {
			t.Errorf("%d: retryable %v, answered %v, want %+v", code, retry.Retryable(err), e.Answered(), want)
		}
	}
}
