package ledger_test

import (
	"context"
	"os"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// The ledger keeps the contract of a sink. Oracle: the conformance kit.
func TestSinkConforms(t *testing.T) {
	err := audittest.TestSink(func() (audit.Sink, func() ([]audit.Event, error), error) {
		dir := t.TempDir()
		l, err := ledger.Open(context.Background(), dir, ledger.Config{Sync: ledger.SyncNever})
		stored := func() (events []audit.Event, err error) {
			for r, err := range ledger.Events(os.DirFS(dir)) {
				if err != nil {
					return events, err
				}
				events = append(events, r.Event)
			}
			return events, nil
		}
		return l, stored, err
	})
	if err != nil {
		t.Error(err)
	}
}
