package ledger_test

import (
	"os"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/audittest"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// Oracle: the conformance test.
func TestSinkConforms(t *testing.T) {
	audittest.Run(t, func(t *testing.T) audittest.Subject {
		dir := t.TempDir()
		return audittest.Subject{Sink: open(t, dir, never), Stored: func() (events []audit.Event, err error) {
			for r, err := range ledger.Events(os.DirFS(dir), 0) {
				if err != nil {
					return events, err
				}
				events = append(events, r.Event)
			}
			return events, nil
		}}
	})
}
