package redoubtredis_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	redoubtredis "github.com/redoubt-go/redoubt/contrib/redis"
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
	report := redoubtredis.Log(logger) // the OnEvent of a Config
	report(context.Background(), redoubtredis.Event{Name: "limits", Err: errors.New("connection refused")})
	// Output:
	// level=ERROR msg="redis does not answer" kind=outage name=limits error="\"connection refused\""
}
