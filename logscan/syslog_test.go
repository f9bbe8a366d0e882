package logscan_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

// A line of syslog that begins with a number has no time.
func TestNumberIsNoTime(t *testing.T) {
	for _, line := range []string{"12 packets dropped on eth0", "130324 17:56:13 [Warning] Access denied", "20222 a b: c"} {
		if got := fieldsOf(logscan.Syslog(logscan.TimeParser{}), line); got != "error" {
			t.Errorf("%s: got %s", line, got)
		}
	}
	checkEqual(t, fieldsOf(logscan.Syslog(logscan.TimeParser{}), "20220827142201 host app: text"), `2022-08-27T14:22:01Z host="host" app="app" message="text"`)
}
