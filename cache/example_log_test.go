package cache_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/redoubt-go/redoubt/cache"
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
	rates := cache.Memoize(cache.Config[string, float64]{
		Name: "rates", Capacity: 200, OnEvent: cache.Log[string, float64](logger),
	}, func(context.Context, string) (float64, error) { return 0, errors.New("no route to host") })
	rates.Get(context.Background(), "EUR")
	// Output:
	// level=WARN msg="cache load failed" kind="load failed" name=rates key=EUR err="no route to host"
}
