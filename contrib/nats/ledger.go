package redoubtnats

import (
	"context"
	"os"

	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/internal/ctxerr"
)

// LedgerRecent returns the [ReaderConfig.Recent] of a ledger in a directory.
func LedgerRecent(led *ledger.Ledger, dir string) func(context.Context, int) ([]string, error) {
	return func(ctx context.Context, n int) ([]string, error) {
		size := led.Head().Size
		from := size - min(size, uint64(max(n, 0)))
		var ids []string
		for r, err := range ledger.Events(os.DirFS(dir), from) {
			if err != nil {
				return nil, err
			}
			if ctx.Err() != nil {
				return nil, ctxerr.New(ctx, "nats: last IDs of the ledger")
			}
			ids = append(ids, r.Event.ID)
		}
		return ids, nil
	}
}
