package main_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	main "github.com/redoubt-go/redoubt/logscan/cmd/logscan"
)

// logs makes a folder with logs and makes it the working directory.
func logs(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	var access, app, auth strings.Builder
	for i := range 60 {
		fmt.Fprintf(&access, "192.0.2.%d - - [01/Mar/2026:12:%02d:00 +0000] \"GET /p%d HTTP/1.1\" %d %d\n", i%3, i, i%4, []int{200, 200, 500}[i%3], 100*i)
		fmt.Fprintf(&app, `{"time":"2026-03-01T12:%02d:00Z","level":%q,"route":"/r%d","latency_ms":%d,"took":"%dms","user":{"id":%d}}`+"\n", i, []string{"INFO", "ERROR"}[i%2], i%2, i, i, i%5)
		fmt.Fprintf(&auth, "Mar  1 12:00:%02d web1 sshd[%d]: Failed password for invalid user u%d from 203.0.113.%d port 22 ssh2\n", i, i, i, i%2)
	}
	write(t, "access.log", access.String())
	write(t, "app.json", app.String())
	write(t, "auth.log", auth.String())
	write(t, "plain.txt", "first line\nsecond \x1b[31mline\n")
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte(access.String()))
	w.Close()
	write(t, "access.log.1.gz", packed.String())
	write(t, "sub/more.log", access.String())
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// execute runs the command.
func execute(t *testing.T, stdin string, args ...string) (status int, out, stderr string) {
	t.Helper()
	var o, e bytes.Buffer
	status = main.Run(t.Context(), args, strings.NewReader(stdin), &o, &e)
	return status, o.String(), e.String()
}

func TestCommands(t *testing.T) {
	logs(t)
	for _, test := range []struct {
		args   string
		status int
		out    string
		stderr string // a part
	}{
		{"top -by addr access.log", 0, "20  192.0.2.0\n20  192.0.2.1\n20  192.0.2.2\n", ""},
		{"top -by addr -n 1 access.log access.log.1.gz sub", 0, "60  192.0.2.0\n", ""},
		{"top access.log -by path -where status=500 -n 2", 0, "5  /p0\n5  /p1\n", ""},
		{"top -by status -json access.log", 0, `{"status":"200","count":40,"at_most_too_high":0}` + "\n" + `{"status":"500","count":20,"at_most_too_high":0}` + "\n", ""},
		{"top -by none access.log", 1, "", `none of 60 records has the field "none"`},
		{"top access.log", 2, "", "top needs -by FIELD"},
		{"top -by addr -n 0 access.log", 2, "", "-n is 0, want at least 1"},
		{"count access.log", 0, "60\n", ""},
		{"count -json access.log", 0, `{"count":60}` + "\n", ""},
		{"count -where status>=500 access.log", 0, "20\n", ""},
		{"count -where status!=200 -where bytes<1000 access.log", 0, "3\n", ""},
		{"count -where path~^/p[01]$ access.log", 0, "30\n", ""},
		{"count -where path!~p access.log", 1, "0\n", ""},
		{"count -where user.id=3 app.json", 0, "12\n", ""},
		{"count -where took>50ms app.json", 0, "9\n", ""},
		{"count -where none=1 app.json", 1, "0\n", ""},
		{"count -by level app.json", 0, "30  ERROR\n30  INFO\n", ""},
		{"count -by hour app.json", 0, "60  2026-03-01T12Z\n", ""},
		{"count -by minute -where latency_ms<3 app.json", 0, "1  2026-03-01T12:00Z\n1  2026-03-01T12:01Z\n1  2026-03-01T12:02Z\n", ""},
		{"count -by day -tz Asia/Tokyo auth.log", 0, "", ""},
		{"count -since 2026-03-01T12:30:00Z -until 2026-03-01T12:40:00Z app.json", 0, "10\n", ""},
		{"count -by source access.log sub", 0, "60  access.log\n60  sub/more.log\n", ""},
		{"count nothere access.log", 2, "60\n", "nothere"},
		{"quantile latency_ms -by route -p 0,50,100 app.json", 0, "count    p0    p50   p100  route\n   30     0  27.94  58.56  /r0\n   30  0.99  29.08  58.56  /r1\n", ""},
		{"quantile none app.json", 1, "", "none of 60 records"},
		{"quantile", 2, "", "quantile needs a FIELD"},
		{"quantile latency_ms -p 101 app.json", 2, "", "-p contains \"101\""},
		{"where -- access.log", 2, "", "where needs a condition"},
		{"where level=ERROR latency_ms>57 app.json", 0, `{"time":"2026-03-01T12:59:00Z","level":"ERROR","route":"/r1","latency_ms":59,"took":"59ms","user":{"id":4}}` + "\n", ""},
		{"where second plain.txt", 0, "second \x1b[31mline\n", ""},
		{"where nowhere -- plain.txt", 1, "", ""},
		{"where -json second plain.txt", 0, `{"line":"second \u001b[31mline"}` + "\n", ""},
		{"where -json status=500 bytes=200 -- access.log", 0, `{"time":"2026-03-01T12:02:00Z","addr":"192.0.2.2","request":"GET /p2 HTTP/1.1","method":"GET","path":"/p2","proto":"HTTP/1.1","status":"500","bytes":"200"}` + "\n", ""},
		{"where path~( access.log", 2, "", "missing closing )"},
		{"where bytes>many access.log", 2, "", `"many" is no number and no duration`},
		{"top -by line plain.txt", 0, "1  first line\n1  \"second \\x1b[31mline\"\n", ""},
		{"count -f frob app.json", 2, "", "-f is \"frob\""},
		{"count -f json access.log", 1, "0\n", ""},
		{"top -f <when>/Mar/<rest> -by none access.log", 1, "", "none of"},
		{"count -tz Nowhere app.json", 2, "", "-tz is \"Nowhere\""},
		{"count -since soon app.json", 2, "", "want a time such as"},
		{"frob", 2, "", "no command \"frob\""},
		{"", 2, "", "usage: logscan"},
		{"help", 0, "", ""},
		{"count -nosuchflag", 2, "", "flag provided but not defined"},
		{"detect -limit 5 -per 1h auth.log -json -where user!=x", 0, "", ""},
		{"detect -limit -7 auth.log", 2, "", "Limit is -7"},
		{"detect -by addr -limit 19 -per 2h access.log", 0, "", ""},
		{"detect access.log", 1, "", ""},
		{"fields nothere", 2, "", "nothere"},
	} {
		t.Run(test.args, func(t *testing.T) {
			status, out, stderr := execute(t, "", strings.Fields(test.args)...)
			if status != test.status {
				t.Errorf("the status is %d, want %d: %s%s", status, test.status, out, stderr)
			}
			if test.out != "" && out != test.out {
				t.Errorf("printed\n%swant\n%s", out, test.out)
			}
			if !strings.Contains(stderr, test.stderr) || test.stderr == "" && stderr != "" {
				t.Errorf("the error is %q, want %q", stderr, test.stderr)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	logs(t)
	status, out, _ := execute(t, "", "detect", "auth.log")
	want := "203.0.113.0  6 events from "
	if status != 0 || !strings.HasPrefix(out, want) || strings.Count(out, "6 events") != 2 || !strings.Contains(out, "Failed password for invalid user u10 from 203.0.113.0") {
		t.Errorf("status %d:\n%s", status, out)
	}
	text, err := os.ReadFile("auth.log")
	if err != nil {
		t.Fatal(err)
	}
	status, out, _ = execute(t, string(text), "detect", "-json")
	if status != 0 || !strings.Contains(out, `{"addr":"203.0.113.0","count":6,`) {
		t.Errorf("status %d:\n%s", status, out)
	}
}

func TestFields(t *testing.T) {
	logs(t)
	_, out, stderr := execute(t, "", "fields", "app.json", "access.log")
	for _, want := range []string{"60  level  INFO", "60  addr  192.0.2.0", `60  user  {"id":0}`} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if stderr != "120 records, 120 with a time\n" {
		t.Errorf("the error is %q", stderr)
	}
}

// Every format is recognized, also in a file with several.
func TestFormats(t *testing.T) {
	lines := []string{
		`{"message":"x","a":1}`,
		"2026-03-01T12:00:00Z stdout F hello",
		`192.0.2.1 - - [01/Mar/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 1`,
		"Mar  1 12:00:00 web1 cron[1]: job",
		"[Sun Mar 01 12:00:00 2026] [core:error] [pid 1] text",
		"2026/03/01 12:00:00 [error] 7#8: text",
		"CEF:0|a|b|c|d|e|f|src=1.2.3.4",
		"level=info msg=hello",
		"just some text",
	}
	status, out, _ := execute(t, strings.Join(lines, "\n"), "where", "-json", "-until", "2027-01-01T00:00:00Z")
	if status != 0 || strings.Count(out, "\n") != len(lines) {
		t.Fatalf("status %d:\n%s", status, out)
	}
	got := strings.Split(out, "\n")
	for i, want := range []string{`"a":"1"`, `"stream":"stdout"`, `"addr":"192.0.2.1"`, `"app":"cron"`, `"level":"error"`, `"tid":"8"`, `"src":"1.2.3.4"`, `"msg":"hello"`, `"line":"just some text"`} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%s has no %s", got[i], want)
		}
	}
	export := "__CURSOR=s\n__REALTIME_TIMESTAMP=1772366400000000\nMESSAGE=Failed password for root from 203.0.113.7 port 22 ssh2\n\n"
	if _, out, _ := execute(t, strings.Repeat(export, 7), "detect"); !strings.Contains(out, "203.0.113.7  6 events") {
		t.Errorf("printed %s", out)
	}
	if _, out, _ := execute(t, `{"Records":[{"a":1},{"a":2}]}`, "count", "-by", "a"); out != "1  1\n1  2\n" {
		t.Errorf("printed %s", out)
	}
}

func TestProgramsUnpack(t *testing.T) {
	logs(t)
	for name, suffix := range map[string]string{"zstd": ".zst", "xz": ".xz"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Logf("no %s here", name)
			continue
		}
		if out, err := exec.Command(path, "-k", "access.log").CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if _, out, stderr := execute(t, "", "count", "access.log"+suffix); out != "60\n" {
			t.Errorf("%s: %s%s", name, out, stderr)
		}
		packed, err := os.ReadFile("access.log" + suffix)
		if err != nil {
			t.Fatal(err)
		}
		write(t, "cut"+suffix, string(packed[:len(packed)-9]))
		if status, _, stderr := execute(t, "", "count", "cut"+suffix); status != 2 || stderr == "" {
			t.Errorf("a cut file of %s: status %d, %q", name, status, stderr)
		}
	}
}

func TestFollow(t *testing.T) {
	logs(t)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	out := make(lineWriter, 10)
	done := make(chan int)
	go func() {
		done <- main.Run(ctx, strings.Fields("where -follow level=ERROR -- app.json"), strings.NewReader(""), out, out)
	}()
	line := `{"level":"ERROR","n":7}` + "\n"
	f, err := os.OpenFile("app.json", os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for got := ""; got != line; { // it may begin to follow a little later
		if _, err := f.WriteString(`{"level":"INFO"}` + "\n" + line); err != nil {
			t.Fatal(err)
		}
		select {
		case got = <-out:
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatal("nothing is printed")
		}
	}
	cancel()
	if status := <-done; status != 0 {
		t.Errorf("the status is %d, want 0", status)
	}
	if status, _, stderr := execute(t, "", "where", "-follow", "x"); status != 2 || !strings.Contains(stderr, "-follow needs one file") {
		t.Errorf("status %d, %q", status, stderr)
	}
}

// A lineWriter sends what is written.
type lineWriter chan string

func (w lineWriter) Write(b []byte) (int, error) {
	select {
	case w <- string(b):
	default:
	}
	return len(b), nil
}
