package main

import (
	"compress/gzip"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/detect"
)

// command runs the program at the time of the bubble it is called in.
func command(ctx context.Context, args ...string) (status int, stdout, stderr string) {
	var out, errs strings.Builder
	status = run(ctx, args, &out, &errs)
	return status, out.String(), errs.String()
}

// table returns the closing table without its head, single-spaced.
func table(stdout string) []string {
	_, rows, _ := strings.Cut(stdout, "WHY\n")
	rows, _, _ = strings.Cut(rows, "\n\n")
	return strings.Split(regexp.MustCompile(` +`).ReplaceAllString(rows, " "), "\n")
}

// Whatever the seed, those who attack are found and nobody else is, not even
// who is named by an attacker.
func TestMadeUpLog(t *testing.T) {
	for _, seed := range []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} {
		synctest.Test(t, func(t *testing.T) {
			status, stdout, stderr := command(t.Context(), "-seed", seed)
			if status != 0 || stderr != "" {
				t.Errorf("seed %s: status %d: %s", seed, status, stderr)
			}
			got := table(stdout)
			for i, want := range []string{
				`^203\.0\.113\.9/32 90 8\d 1 20 min [67] failed logins$`,
				`^2001:db8:bad:1::/64 30 19 1 (over|0 min) 11 user names$`,
				`^198\.51\.100\.23/32 12 0 1 34 min let in as "deploy" after 12 failures$`,
				`^203\.0\.113\.77/32 8 2 1 over 6 failed logins$`,
			} {
				if i >= len(got) || !regexp.MustCompile(want).MatchString(got[i]) || len(got) != 4 {
					t.Fatalf("seed %s: row %d is not %s:\n%s", seed, i, want, stdout)
				}
			}
			if !strings.Contains(stdout, "374 of them about logins, 0 too far") && seed == "1" || !strings.Contains(stdout, "ledger: 5 records") {
				t.Errorf("seed %s: want all logins counted and 4 decisions on record:\n%s", seed, stdout)
			}
		})
	}
}

// A compressed log gives what the same log gives, and bans are known again when
// the ledger is.
func TestFileAndLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		plain, packed, bans := filepath.Join(dir, "auth.log"), filepath.Join(dir, "auth.log.1"), filepath.Join(dir, "bans")
		text := sample(time.Now(), 1)
		write(t, plain, text)
		f, err := os.Create(packed)
		if err != nil {
			t.Fatal(err)
		}
		z := gzip.NewWriter(f)
		_, err = z.Write([]byte(text))
		if err := errors.Join(err, z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		_, want, _ := command(t.Context(), "-f", plain)
		status, got, stderr := command(t.Context(), "-f", packed, "-ledger", bans)
		if strings.Join(table(got), "\n") != strings.Join(table(want), "\n") || status != 0 {
			t.Errorf("compressed, status %d: %s\n%s\nplain:\n%s", status, stderr, got, want)
		}
		write(t, plain, "")
		if _, got, _ = command(t.Context(), "-f", plain, "-ledger", bans); !strings.HasPrefix(got, "bans of earlier runs that are still in force: 2\nno new bans\n") {
			t.Errorf("after a restart:\n%s", got)
		}
		time.Sleep(2 * time.Hour)
		if _, got, _ = command(t.Context(), "-f", plain, "-ledger", bans); !strings.HasPrefix(got, "no new bans\n") {
			t.Errorf("after a restart when all bans are over:\n%s", got)
		}
	})
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A log that is followed over a restart and a rotation gives the decisions that
// it gives when it is read as a whole.
func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		log, state, bans := filepath.Join(dir, "auth.log"), filepath.Join(dir, "place"), filepath.Join(dir, "bans")
		lines := strings.SplitAfter(sample(time.Now(), 1), "\n")
		_, whole, _ := command(t.Context())

		followed := func(then func()) string {
			ctx, interrupt := context.WithCancel(t.Context())
			var stdout, stderr string
			ended := make(chan int, 1)
			go func() {
				var status int
				status, stdout, stderr = command(ctx, "-f", log, "-follow", "-state", state, "-ledger", bans)
				ended <- status
			}()
			time.Sleep(5 * time.Second)
			then()
			time.Sleep(5 * time.Second)
			interrupt()
			if status := <-ended; status != 0 {
				t.Errorf("status %d: %s", status, stderr)
			}
			return stdout
		}
		third := len(lines) / 3
		first := followed(func() { write(t, log, strings.Join(lines[:third], "")) }) // it did not exist before
		second := followed(func() {
			if err := os.Rename(log, log+".1"); err != nil {
				t.Fatal(err)
			}
			write(t, log, strings.Join(lines[third:], ""))
		})
		decisions := regexp.MustCompile(`(?m)^.* is banned for .*$`)
		got := append(decisions.FindAllString(first, -1), decisions.FindAllString(second, -1)...)
		if want := decisions.FindAllString(whole, -1); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("in two runs:\n%s\nin one:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		n := 0
		for rec, err := range ledger.Events(os.DirFS(bans), 0) {
			if n++; err != nil || rec.Event.Action != "network.ban" {
				t.Errorf("on record: %v, %v", rec.Event, err)
			}
		}
		if n != len(got) {
			t.Errorf("%d decisions on record, want %d", n, len(got))
		}
	})
}

// What cannot be recorded does not happen.
func TestNoBanWithoutRecord(t *testing.T) {
	full := errors.New("disk full")
	o, err := parse(nil, &strings.Builder{})
	if err != nil {
		t.Fatal(err)
	}
	w := newWatcher(o, audit.SinkFunc(func(context.Context, []*audit.Event) error { return full }), &strings.Builder{})
	sc := logscan.Scanner{Parser: logscan.Chain(logscan.Syslog(logscan.TimeParser{}), detect.SSHAuth())}
	err = w.read(audit.WithActor(t.Context(), audit.Actor{ID: "test"}), sc)
	if !errors.Is(err, full) || len(w.offenders) > 0 {
		t.Errorf("got %v and %d bans, want an error and none", err, len(w.offenders))
	}
	if !w.logins.Allow(netip.MustParsePrefix("203.0.113.77/32")) {
		t.Error("banned without a record")
	}
}

func TestCommandLine(t *testing.T) {
	dir := t.TempDir()
	file, forged := filepath.Join(dir, "auth.log"), filepath.Join(dir, "forged")
	write(t, file, "")
	if status, _, stderr := command(t.Context(), "-ledger", forged); status != 0 {
		t.Fatal(stderr)
	}
	segment := filepath.Join(forged, "00000000000000000000.jsonl")
	text, err := os.ReadFile(segment)
	if err != nil {
		t.Fatal(err)
	}
	write(t, segment, strings.Replace(string(text), "203.0.113.9", "203.0.113.8", 1))
	for _, tt := range []struct {
		name   string
		args   []string
		status int
		want   string
	}{
		{"flag", []string{"-nothing"}, 2, "see -help"},
		{"argument", []string{"please"}, 2, `unexpected argument "please"`},
		{"follow nothing", []string{"-follow"}, 2, "-follow needs -f"},
		{"state without follow", []string{"-f", file, "-state", "x"}, 2, "-state needs -follow"},
		{"limit and time", []string{"-limit", "0", "-per", "0"}, 2, "Limit is 0, want 1 to 65536, or AnyEvent; detect: Per is 0s, want at least 1ns"},
		{"ban", []string{"-ban", "0s"}, 2, "-ban 0s"},
		{"no such file", []string{"-f", "none"}, 1, "no such file"},
		{"folder", []string{"-f", dir}, 1, "is a directory"},
		{"ledger in a file", []string{"-ledger", file}, 1, "not a directory"},
		{"forged ledger", []string{"-ledger", forged}, 1, "altered"},
		{"state that is none", []string{"-f", file, "-follow", "-state", segment}, 1, "not a checkpoint"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, _, stderr := command(t.Context(), tt.args...)
			if status != tt.status || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("status %d, want %d and one line with %q: %s", status, tt.status, tt.want, stderr)
			}
		})
	}
	if status, stdout, _ := command(t.Context(), "-help"); status != 0 || !strings.Contains(stdout, "-follow") {
		t.Errorf("-help: status %d, %s", status, stdout)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("Ctrl-C"))
	if status, _, stderr := command(ctx); status != 1 || !strings.Contains(stderr, "Ctrl-C") || strings.Count(stderr, "\n") != 1 {
		t.Errorf("interrupted: status %d, %s", status, stderr)
	}
}
