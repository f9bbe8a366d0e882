package ratelimit_test

import (
	"log/slog"
	"os"

	"github.com/redoubt-go/redoubt/ratelimit"
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
	logins := ratelimit.NewKeyed[string](ratelimit.KeyedConfig{
		Name: "logins", Limit: ratelimit.PerMinute(1), OnEvent: ratelimit.Log(logger),
	})
	logins.Allow("alice")
	logins.Allow("alice")
	// Output:
	// level=INFO msg="rate limit exceeded" kind=refused name=logins limit=1/m n=1 ok=false
}
