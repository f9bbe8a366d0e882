package retry_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/retry"
)

func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []string
		policy := constant(time.Second, 3)
		policy.OnEvent = func(_ context.Context, e retry.Event) {
			got = append(got, fmt.Sprint(e.Kind, e.Attempt, e.Err, e.Delay, e.Elapsed, e.Reason))
		}
		retry.Do(t.Context(), policy, failing(nil).call)
		retry.Do(t.Context(), policy, failing(errBoom, nil).call)
		retry.Do(t.Context(), policy, failing(errBoom, errEarly, errBoom).call)
		want := []string{
			"retry 1 boom 1s 0s <nil>",
			"done 2 <nil> 0s 1s <nil>",
			"retry 1 boom 1s 0s <nil>",
			"retry 2 early 1s 1s <nil>",
			"done 3 boom 0s 2s retry: exhausted",
		}
		checkEqual(t, got, want)
	})
}

// logger returns a logger without times, and a function for its lines.
func logger() (*slog.Logger, func() []string) {
	var out bytes.Buffer
	l := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	return l, func() []string { return strings.Split(strings.TrimSpace(out.String()), "\n") }
}

func TestLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		l, lines := logger()
		policy := constant(time.Second, 2)
		policy.OnEvent = retry.Log(l)
		retry.Do(t.Context(), policy, failing(errBoom, nil).call)
		retry.Do(t.Context(), policy, failing(retry.Permanent(errBoom)).call)
		h := retry.Hedge[int]{Delay: -1, OnEvent: retry.Log(l)}
		h.Do(t.Context(), failing(errBoom, nil).call)
		want := []string{
			`level=WARN msg="attempt failed, will retry" kind=retry attempt=1 elapsed=0s delay=1s error=boom`,
			`level=INFO msg="succeeded after retry" kind=done attempt=2 elapsed=1s`,
			`level=ERROR msg="gave up" kind=done attempt=1 elapsed=0s reason="retry: not retryable" error=boom`,
			`level=INFO msg=hedged kind=hedged attempt=2 elapsed=0s error=boom`,
			`level=INFO msg="succeeded after retry" kind=done attempt=2 elapsed=0s`,
		}
		checkEqual(t, lines(), want)
	})
}

func TestLogDefault(t *testing.T) {
	l, lines := logger()
	old := slog.Default()
	defer slog.SetDefault(old)
	hook := retry.Log(nil)
	slog.SetDefault(l)
	hook(t.Context(), retry.Event{Kind: retry.KindRetry, Attempt: 1})
	want := []string{`level=WARN msg="attempt failed, will retry" kind=retry attempt=1 elapsed=0s delay=0s`}
	checkEqual(t, lines(), want)
}
