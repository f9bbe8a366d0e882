package ledger_test

import (
	"context"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit/ledger"
)

func TestClassify(t *testing.T) {
	const none = -1
	for _, c := range []struct {
		name       string
		seq        uint64 // of the line; the last record in sequence is 4
		after      int64
		follows    bool
		confirmed  bool
		wantResult string
	}{
		{"the next record", 5, 6, true, true, "in sequence"},
		{"the next record at the end", 5, none, true, false, "in sequence"},
		{"the next record with a broken link", 5, 6, false, true, "in sequence"},
		{"an old record before the next", 2, 5, false, false, "not in place"},
		{"a later record before the next", 9, 5, false, false, "not in place"},
		{"a copy of the last record before the next", 4, 5, false, false, "not in place"},
		{"the last record, after a forged copy of it", 4, 5, false, true, "supersedes"},
		{"the next record with another number", 9, 6, true, false, "renumbered"},
		{"another record in place of the next", 9, 6, false, false, "replacement"},
		{"a record is missing", 6, 7, false, true, "after a gap"},
		{"records are missing at the end", 9, none, false, false, "after a gap"},
		{"an old record at the end", 2, none, false, false, "not in place"},
		{"a later record that nothing follows", 9, 3, false, false, "not in place"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := ledger.Classify(4, c.seq, c.after, c.follows, c.confirmed); got != c.wantResult {
				t.Errorf("got %s, want %s", got, c.wantResult)
			}
		})
	}
}

func TestVerifyConfig(t *testing.T) {
	c := ledger.VerifyConfig{Keys: make([]*ledger.Verifier, 65)}
	err := c.Validate()
	checkIs(t, err, ledger.ErrFormat)
	if got := strings.Count(err.Error(), "ledger: Keys"); got != 66 {
		t.Errorf("%d problems, want 66", got)
	}
	_, err = ledger.Verify(context.Background(), fsOf(nil), c)
	checkIs(t, err, ledger.ErrFormat)
}

func TestKindString(t *testing.T) {
	if got := ledger.KindForked.String(); got != "forked" {
		t.Errorf("got %s", got)
	}
	if got := ledger.Kind(9).String(); got != "Kind(9)" {
		t.Errorf("got %s", got)
	}
}
