package ledger_test

import (
	"context"
	"errors"
	"log/slog"
	"os"

	"github.com/redoubt-go/redoubt/audit/ledger"
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
	report := ledger.Log(logger) // the OnEvent of a Config
	report(context.Background(), ledger.Event{Kind: ledger.EventKindUnanchored, Name: "billing", Err: errors.New("no answer")})
	// Output:
	// level=ERROR msg="fault of the ledger" kind=unanchored name=billing error="\"no answer\""
}
