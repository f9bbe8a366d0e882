package logscan_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestCEF(t *testing.T) {
	for line, want := range map[string]string{
		`CEF:0|Acme|Fire\|wall|1.0|100|port \\ scan|5|src=203.0.113.7 msg=a b\=c d act=drop`: ` vendor="Acme" product="Fire|wall" version="1.0" signature="100" name="port \\ scan" severity="5" src="203.0.113.7" msg="a b=c d" act="drop"`,
		`CEF:1|a|b|c|d|e|f|`:        ` vendor="a" product="b" version="c" signature="d" name="e" severity="f"`,
		`CEF:0|a|b|c|d|e|f|x= y=\n`: ` vendor="a" product="b" version="c" signature="d" name="e" severity="f" x="" y="\n"`,
		`CEF:0|a|b|c|d|e`:           "error", `CEF:2|a|b|c|d|e|f|`: "error", `x`: "error", `CEF:0|a|b|c|d|e|f|x`: "error", `CEF:0|a|b|c|d|e|f|=1`: "error", `CEF:0|a|b|c|d|e|f|a=b=c`: "error",
	} {
		if got := fieldsOf(logscan.CEF(), line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}
