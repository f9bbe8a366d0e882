package follow_test

import (
	"context"
	"log/slog"
	"os"

	"github.com/redoubt-go/redoubt/logscan/follow"
)

func ExampleLog() {
	path, cleanup := logFile("a line\n")
	defer cleanup()

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "path" || a.Key == "source" {
				return slog.Attr{}
			}
			return a
		},
	}))
	f := follow.Follower{Name: "app", Path: path, StopAtEOF: true, OnEvent: follow.Log(logger)}
	for range f.Records(context.Background()) {
	}
	// Output:
	// level=INFO msg="log opened" kind=opened name=app offset=0
}
