package ledger_test

import (
	"errors"
	"testing"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

func TestEventLogValue(t *testing.T) {
	e := ledger.Event{Kind: ledger.EventKindUnanchored, Name: "billing", Err: errors.New("down")}
	if got, want := e.LogValue().String(), `[kind=unanchored name=billing error="down"]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e.Dropped = 3
	if got, want := e.LogValue().String(), `[kind=unanchored name=billing error="down" dropped=3]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := ledger.EventKind(7).String(); got != "EventKind(7)" {
		t.Errorf("got %s", got)
	}
}
