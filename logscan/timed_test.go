package logscan_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestTimed(t *testing.T) {
	p := logscan.Timed(logscan.JSON("ts", "a"), "ts", logscan.TimeParser{})
	for line, want := range map[string]string{
		`{"ts":"2026-03-01T12:00:00Z","a":1}`: `2026-03-01T12:00:00Z ts="2026-03-01T12:00:00Z" a="1"`,
		`{"ts":1767225600.5}`:                 `2026-01-01T00:00:00.5Z ts="1767225600.5"`,
		`{"a":1}`:                             ` a="1"`, `{"ts":"soon"}`: "error", `x`: "error",
	} {
		if got := fieldsOf(p, line); got != want {
			t.Errorf("%s: got %s, want %s", line, got, want)
		}
	}
}
