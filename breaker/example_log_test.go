package breaker_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/redoubt-go/redoubt/breaker"
)

func ExampleLog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	b := breaker.New(breaker.Config{Name: "billing", Consecutive: 1, Jitter: -1, OnEvent: breaker.Log(logger)})
	b.Do(context.Background(), func(context.Context) error { return errors.New("connection refused") })
	// Output:
	// level=WARN msg="circuit breaker open" kind=transition name=billing from=closed to=open reason="consecutive failures" calls=1 failures=1 open_for=4s error="connection refused"
}
