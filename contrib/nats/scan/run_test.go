package scan_test

import (
	"fmt"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestAnswerIsThatOfReduce(t *testing.T) {
	_, paths := logs(t, 123_456, 0, 9_999, 10_000, 10_001, 70_000)
	js := start(t)
	for _, workers := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			ctx := deadline(t)
			j := job("all", newText)
			work(t, js, j, workers)
			got, err := j.Run(ctx, js, logscan.Files(paths...))
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, form(t, got), local(t, j, logscan.Files(paths...)))
		})
	}
}
