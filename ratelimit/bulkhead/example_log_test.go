package bulkhead_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/redoubt-go/redoubt/ratelimit/bulkhead"
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
	places := bulkhead.New(bulkhead.Config{Name: "reports", Limit: 1, MaxQueue: -1, OnEvent: bulkhead.Log(logger)})
	places.TryAcquire()
	places.Acquire(context.Background())
	// Output:
	// level=WARN msg="bulkhead full" kind=refused name=reports limit=1 old=1 reason="queue full"
}
