package logscan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestJoinTraces(t *testing.T) {
	records := []string{
		"2026-03-01 ERROR order failed\njava.lang.IllegalStateException: no stock\n\tat shop.Stock.take(Stock.java:7)\nCaused by: java.io.IOException: gone\n\t... 12 more",
		"2026-03-01 INFO ok",
		"2026-03-01 ERROR worker\nTraceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    f()\nKeyError: 'x'\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"a.py\", line 3, in <module>\nValueError: bad",
		"2026/03/01 starting\npanic: runtime error: index out of range\n\ngoroutine 1 [running]:\nmain.f(0x1)\n\t/src/main.go:7 +0x1d\nmain.main()\n\t/src/main.go:3 +0x2\nexit status 2",
		"plain Error in the middle: (x)",
		"request(ok) done",
	}
	got := joinedBy(t, logscan.JoinTraces(), strings.Join(records, "\n")+"\n")
	checkEqual(t, fmt.Sprintf("%q", got), fmt.Sprintf("%q", records))
}
