package logscan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestReorder(t *testing.T) {
	base := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := parserFunc(func(r *logscan.Record) error {
		if r.Line[0] != '-' {
			r.SetTime(base.Add(time.Duration(r.Line[0]-'0') * time.Second))
		}
		return nil
	})
	run := func(log string, most int) (got []string) {
		in := logscan.Readers("", strings.NewReader(strings.ReplaceAll(log, " ", "\n")))
		for r := range logscan.Reorder((logscan.Scanner{Parser: p}).Records(t.Context(), in), 2*time.Second, most) {
			got = append(got, string(r.Line))
		}
		return got
	}
	checkEqual(t, strings.Join(run("2 1 3b 3a - 4", 0), " "), "1 2 3b 3a - 4")
	checkEqual(t, strings.Join(run("1 5 2 6", 0), " "), "1 2 5 6")
	checkEqual(t, strings.Join(run("4 3 2 1", 2), " "), "2 1 3 4")
}
