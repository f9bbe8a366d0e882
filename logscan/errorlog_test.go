package logscan_test

import (
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestErrorLog(t *testing.T) {
	p := logscan.ErrorLog(logscan.TimeParser{})
	for line, want := range map[string]string{
		"[Wed Oct 11 14:32:52.123456 2000] [core:error] [pid 35708:tid 4328636416] [client 203.0.113.7:53] File does not exist: /x": `2000-10-11T14:32:52.123456Z module="core" level="error" pid="35708" tid="4328636416" addr="203.0.113.7" message="File does not exist: /x"`,
		"[Wed Oct 11 14:32:52 2000] [:error] [pid 7] [client 2001:db8::7:53] a [client 1.1.1.1] b":                                  `2000-10-11T14:32:52Z level="error" pid="7" addr="2001:db8::7" message="a [client 1.1.1.1] b"`,
		"[Wed Oct 11 14:32:52 2000] [error] [client 2001:db8::7] denied":                                                            `2000-10-11T14:32:52Z level="error" addr="2001:db8::7" message="denied"`,
		"[Wed Oct 11 14:32:52 2000] [notice] caught SIGTERM":                                                                        `2000-10-11T14:32:52Z level="notice" message="caught SIGTERM"`,
		"2026/03/01 12:00:00 [error] 7#8: *9 open() failed, client: 203.0.113.7, server: _, request: \"GET / HTTP/1.1\"":            `2026-03-01T12:00:00Z level="error" pid="7" tid="8" message="*9 open() failed, client: 203.0.113.7, server: _, request: \"GET / HTTP/1.1\"" addr="203.0.113.7"`,
		"2026/03/01 12:00:00 [error] 7#8: *9 a, client: 1.1.1.1, client: 203.0.113.7, server: _":                                    `2026-03-01T12:00:00Z level="error" pid="7" tid="8" message="*9 a, client: 1.1.1.1, client: 203.0.113.7, server: _"`,
		"2026/03/01 12:00:00 [notice] 7#8: signal process started":                                                                  `2026-03-01T12:00:00Z level="notice" pid="7" tid="8" message="signal process started"`,
		"": "error", "[x] y": "error", "2026/03/01 12:00:00 x": "error", "[Wed Oct 11 14:32:52 2000]": "error", "2026/03/01 12:00:00 [error] x": "error",
	} {
		if got := fieldsOf(p, line); got != want {
			t.Errorf("%s:\n got %s\nwant %s", line, got, want)
		}
	}
}
