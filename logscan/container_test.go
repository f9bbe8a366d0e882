package logscan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestContainerLog(t *testing.T) {
	id := strings.Repeat("0123456789abcdef", 4)
	for _, row := range [][2]string{
		{"2026-03-01T12:00:00.123456789Z stdout F hello world", `2026-03-01T12:00:00.123456789Z message="hello world" stream="stdout"`},
		{"2026-03-01T12:00:00+01:00 stderr F ", `2026-03-01T11:00:00Z message="" stream="stderr"`},
		{"2026-03-01T12:00:00Z stdout P:x one \n2026-03-01T12:00:01Z stdout P two \n2026-03-01T12:00:02Z stdout F three", `2026-03-01T12:00:00Z message="one two three" stream="stdout"`},
		{`{"log":"hello \"world\"\n","stream":"stdout","time":"2026-03-01T12:00:00Z"}`, `2026-03-01T12:00:00Z message="hello \"world\"" stream="stdout"`},
		{"{\"log\":\"one \\t\",\"stream\":\"stdout\",\"time\":\"2026-03-01T12:00:00Z\"}\n{\"log\":\"two\\n\",\"stream\":\"stdout\",\"time\":\"2026-03-01T12:00:01Z\"}", `2026-03-01T12:00:01Z message="one \ttwo" stream="stdout"`},
		{"2026-03-01T12:00:00Z stdin F x", "error"},
		{"x", "error"},
		{"", "error"},
		{`{"log":"a"}`, "error"},
		{`{"x":1}`, "error"},
		{"soon stdout F x", "error"},
		{"2026-03-01T12:00:00Z stdout P a\nb", "error"},
	} {
		line, want := row[0], row[1]
		if got := fieldsOf(logscan.ContainerLog(), line); got != want {
			t.Errorf("%q:\n got %s\nwant %s", line, got, want)
		}
	}
	for path, want := range map[string]string{
		"/var/log/containers/web-7d_shop_nginx-" + id + ".log":          "shop web-7d nginx true",
		"/var/log/containers/web-7d_shop_side-car-" + id + ".log":       "shop web-7d side-car true",
		"/var/log/pods/shop_web-7d_1b2c/nginx/0.log":                    "shop web-7d nginx true",
		"/var/log/pods/shop_web-7d_1b2c/nginx/0.log.20260301-120000.gz": "shop web-7d nginx true",
		"/var/log/syslog": "   false", "a_b_c.log": "a b c false", "": "   false", "/x/y.log": "   false",
	} {
		ns, pod, container, ok := logscan.Container(path)
		if !ok {
			ns, pod, container = "", "", ""
			want = "   false"
		}
		if got := fmt.Sprint(ns, " ", pod, " ", container, " ", ok); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
}

func TestJoinParts(t *testing.T) {
	text := "t stdout P a\nt stdout P b\nt stdout F c\nt stderr F d\nt stdout P e\nt stdout F f\n" +
		`{"log":"x\\n","stream":"stdout"}` + "\n" + `{"log":"y\n","stream":"stdout"}` + "\nt stdout P last\n"
	got := joinedBy(t, logscan.JoinParts(), text)
	want := []string{
		"t stdout P a\nt stdout P b\nt stdout F c", "t stderr F d", "t stdout P e\nt stdout F f",
		`{"log":"x\\n","stream":"stdout"}` + "\n" + `{"log":"y\n","stream":"stdout"}`, "t stdout P last",
	}
	checkEqual(t, fmt.Sprintf("%q", got), fmt.Sprintf("%q", want))
}
