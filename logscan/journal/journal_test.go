package journal_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
	"github.com/redoubt-go/redoubt/logscan/journal"
)

// entry returns an entry of the export format. A value with a newline is
// binary, as journald writes it.
func entry(fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		name, value := fields[i], fields[i+1]
		if strings.ContainsAny(value, "\n\xff") {
			b.WriteString(name + "\n" + string(binary.LittleEndian.AppendUint64(nil, uint64(len(value)))) + value + "\n")
			continue
		}
		b.WriteString(name + "=" + value + "\n")
	}
	return b.String() + "\n"
}

func scan(t *testing.T, text string) (got []string, errs []error) {
	t.Helper()
	s := logscan.Scanner{Decoders: []logscan.Decoder{journal.Export()}, Parser: journal.Parser("_COMM")}
	for rec, err := range s.Records(t.Context(), logscan.Readers("j", strings.NewReader(text))) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		line := rec.Time().Format(time.RFC3339Nano)
		for k, v := range rec.Fields() {
			line += fmt.Sprintf(" %s=%q", k, v)
		}
		got = append(got, line)
	}
	return got, errs
}

const stamp = "1772366400000000" // 2026-03-01T12:00:00Z

func TestExport(t *testing.T) {
	text := entry("__CURSOR", "s=1", "__REALTIME_TIMESTAMP", stamp, "MESSAGE", "Failed password for root from 203.0.113.7 port 22 ssh2",
		"SYSLOG_IDENTIFIER", "sshd", "_PID", "7", "_HOSTNAME", "web1", "PRIORITY", "6", "_SYSTEMD_UNIT", "ssh.service", "_UID", "0", "_COMM", "sshd", "_BOOT_ID", "x") +
		entry("__CURSOR", "s=2", "__REALTIME_TIMESTAMP", stamp, "MESSAGE", "two\nlines \xff=") +
		entry("__CURSOR", "s=3", "__REALTIME_TIMESTAMP", stamp, "MESSAGE", strings.Repeat("x\n", 1<<20), "_PID", "8") +
		entry("__CURSOR", "s=3", "__REALTIME_TIMESTAMP", stamp, "MESSAGE", strings.Repeat("x", 3<<20), "_PID", "9") +
		entry("__CURSOR", "s=4", "MESSAGE", "no time") + "\n\n" +
		entry("__CURSOR", "s=5", "__REALTIME_TIMESTAMP", stamp)
	got, errs := scan(t, text)
	want := []string{
		`2026-03-01T12:00:00Z _COMM="sshd" message="Failed password for root from 203.0.113.7 port 22 ssh2" app="sshd" pid="7" host="web1" priority="6" unit="ssh.service" uid="0" cursor="s=1"`,
		"2026-03-01T12:00:00Z message=\"two\\nlines \ufffd=\" cursor=\"s=2\"",
		`2026-03-01T12:00:00Z pid="8" cursor="s=3" cut="true"`,
		`2026-03-01T12:00:00Z pid="9" cursor="s=3" cut="true"`,
		`2026-03-01T12:00:00Z cursor="s=5"`,
	}
	if len(errs) > 0 || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q, %v\nwant %q", got, errs, want)
	}
}

func TestDamagedExport(t *testing.T) {
	good := entry("__CURSOR", "s=1", "__REALTIME_TIMESTAMP", stamp, "MESSAGE", "a\nb")
	for n := len("__CURSOR="); n < len(good); n++ {
		got, errs := scan(t, good+good[:n])
		if len(got) != 1 || len(errs) != 1 {
			t.Errorf("cut after %d bytes: got %q, %v", n, got, errs)
		}
	}
	for _, bad := range []string{"__CURSOR=a\nlower=x\n\n", "__CURSOR=a\n=x\n\n", "__CURSOR=a\nX\n" + strings.Repeat("\xff", 8) + "\n", "__CURSOR=a\nX\n\x01\x00\x00\x00\x00\x00\x00\x00ab\n"} {
		if got, errs := scan(t, bad); len(got) > 0 || len(errs) != 1 {
			t.Errorf("%q: got %q, %v, want an error", bad, got, errs)
		}
	}
}

// A program in place of journalctl shows how it was called.
func TestJournalctl(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the program is a shell script")
	}
	script := filepath.Join(t.TempDir(), "journalctl")
	write := func(body string) {
		if err := os.WriteFile(script, []byte("#!/bin/sh\n"+body), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s := logscan.Scanner{Decoders: []logscan.Decoder{journal.Export()}, Parser: logscan.Chain(journal.Parser(), detect.SSHAuth())}
	c := journal.Config{Command: script, After: "s=9", Match: []string{"_COMM=sshd"}, Directory: "/x"}

	write(`printf '__CURSOR=s=1\n__REALTIME_TIMESTAMP=` + stamp + `\nMESSAGE=Failed password for root from 203.0.113.7 port 22 ssh2\n\n'
case "$*" in "--output=export --no-pager --quiet --all --after-cursor=s=9 --directory=/x -- _COMM=sshd") ;; *) echo "called with $*" >&2; exit 3;; esac`)
	n := 0
	for rec, err := range s.Records(t.Context(), journal.Journalctl(c)) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; string(rec.Get("addr")) != "203.0.113.7" {
			t.Errorf("the address is %q", rec.Get("addr"))
		}
	}
	if n != 1 {
		t.Errorf("%d records, want 1", n)
	}

	write(`echo 'no journal here' >&2; exit 1`)
	var in *logscan.InputError
	for _, err := range s.Records(t.Context(), journal.Journalctl(c)) {
		if !errors.As(err, &in) || !strings.Contains(err.Error(), "no journal here") {
			t.Errorf("got %v", err)
		}
	}

	write(`printf '__CURSOR=s=1\n__REALTIME_TIMESTAMP=` + stamp + `\nMESSAGE=Failed password for root from 203.0.113.7 port 22 ssh2\n\n'; exec sleep 1000`)
	c.Follow = true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, err := range s.Records(ctx, journal.Journalctl(c)) {
		if err == nil {
			cancel()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	}

	c.Match = []string{"sshd"}
	for _, err := range s.Records(t.Context(), journal.Journalctl(c)) {
		if err == nil || !strings.Contains(err.Error(), `Match[0] is "sshd", want FIELD=VALUE`) {
			t.Errorf("got %v", err)
		}
	}
}

func FuzzExport(f *testing.F) {
	f.Add(entry("__CURSOR", "s=1", "__REALTIME_TIMESTAMP", stamp, "MESSAGE", "a\nb"))
	f.Fuzz(func(t *testing.T, text string) {
		r, err := journal.Export().New(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, io.LimitReader(r, 1<<22)); err != nil && err == io.EOF {
			t.Error(err)
		}
	})
}
