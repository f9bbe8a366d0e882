package ratelimithttp_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/redoubt-go/redoubt/ratelimit"
	"github.com/redoubt-go/redoubt/ratelimit/ratelimithttp"
)

func ExampleLog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "error" {
				return slog.Attr{}
			}
			return a
		},
	}))
	limit := ratelimithttp.Middleware(ratelimithttp.Config{
		Name:    "logins",
		Store:   ratelimit.Local(ratelimit.NewKeyed[string](ratelimit.KeyedConfig{Limit: ratelimit.PerMinute(1)})),
		Key:     ratelimithttp.ByIP(ratelimithttp.ClientIP()),
		OnEvent: ratelimithttp.Log(logger),
	})
	routes := http.NewServeMux()
	routes.Handle("POST /login", limit(mux))
	for range 2 {
		routes.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/login", nil))
	}
	// Output:
	// level=INFO msg="request over the limit" kind=refused name=logins method=POST route="POST /login"
}
