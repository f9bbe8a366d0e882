package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redoubt-go/redoubt/audit"
	"github.com/redoubt-go/redoubt/audit/ledger"
)

// followed returns the numbers and the last cursor of the next n records.
func followed(t *testing.T, fsys fs.FS, from ledger.Cursor, n int) (seqs []uint64, last ledger.Cursor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for r, err := range ledger.Follow(ctx, fsys, from) {
		must(t, err)
		if seqs, last = append(seqs, r.Seq), r.Next; len(seqs) == n {
			break
		}
	}
	return seqs, last
}

func followError(t *testing.T, fsys fs.FS, from ledger.Cursor) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, err := range ledger.Follow(ctx, fsys, from) {
		if err != nil {
			return err
		}
	}
	return nil
}

// A follower continues at every cursor, across segments, with and without
// stored hashes, and ends with the context.
func TestFollowContinues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := grown(t, signer(t, origin, 1), 300)
		var all []uint64
		for r, err := range ledger.Events(os.DirFS(dir), 0) {
			must(t, err)
			all = append(all, r.Seq)
		}
		for range 2 {
			var got []uint64
			var from ledger.Cursor
			for len(got) < len(all) {
				var part []uint64
				part, from = followed(t, os.DirFS(dir), from, min(37, len(all)-len(got)))
				got = append(got, part...)
				text, _ := from.MarshalText()
				from = ledger.Cursor{}
				must(t, from.UnmarshalText(text))
			}
			checkEqual(t, got, all)
			checkIs(t, followError(t, os.DirFS(dir), from), context.DeadlineExceeded)
			must(t, os.WriteFile(filepath.Join(dir, hashes), bytes.Repeat([]byte{1}, 700), 0o600))
		}
	})
}

// New events are returned at once if a later line shows that they are durable,
// otherwise after a second. Lines that were taken back are not returned.
func TestFollowKeepsBackTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		c := never
		c.Sync = ledger.SyncAlways
		l := open(t, dir, c)
		write(t, l, "a")
		name := filepath.Join(dir, segment)
		before, err := os.ReadFile(name)
		must(t, err)
		write(t, l, "taken back")
		long, err := os.ReadFile(name)
		must(t, err)
		must(t, l.Close())
		start := time.Now()
		got := make(chan string)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(got)
			for r, err := range ledger.Follow(ctx, os.DirFS(dir), ledger.Cursor{}) {
				if err != nil {
					return
				}
				got <- r.Event.ID
			}
		}()
		checkEqual(t, <-got, "a") // the line after it has the mark
		if d := time.Since(start); d > 0 {
			t.Errorf("after %v", d)
		}
		time.Sleep(500 * time.Millisecond)
		must(t, os.WriteFile(name, before, 0o600))
		l = open(t, dir, c)
		write(t, l, "b")
		checkEqual(t, <-got, "b")
		if d := time.Since(start); d < 1500*time.Millisecond || d > 2*time.Second {
			t.Errorf("after %v", d)
		}
		must(t, l.Close())
		// The log of the cursor is another log now.
		must(t, os.WriteFile(name, long, 0o600))
		_, cur := followed(t, os.DirFS(dir), ledger.Cursor{}, 2)
		must(t, os.WriteFile(name, before, 0o600))
		checkIs(t, followError(t, os.DirFS(dir), cur), ledger.ErrTampered)
		l = open(t, dir, c)
		write(t, l, "c", "d")
		must(t, l.Close())
		checkIs(t, followError(t, os.DirFS(dir), cur), ledger.ErrTampered)
		cur.Prev = ledger.Hash{}
		if seqs, _ := followed(t, os.DirFS(dir), cur, 1); seqs[0] != cur.Next {
			t.Errorf("%d with a cursor without a hash", seqs[0])
		}
		cancel()
		<-got
	})
}

// A line that was changed in the middle of the log ends Follow, also if no mark
// shows which lines are on the disk.
func TestFollowChangedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := sample(t, 20)
		lines[9] = forge(lines[9])
		checkIs(t, followError(t, fsOf(join(lines)), ledger.Cursor{}), ledger.ErrTampered)
		good := sample(t, 20)
		if seqs, _ := followed(t, fsOf(join(good)), ledger.Cursor{Next: 5}, 10); seqs[0] != 5 {
			t.Errorf("from %d", seqs[0])
		}
	})
}

// The last line is read again before it is returned.
func TestFollowReplacedLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir, never)
		write(t, l, "a")
		must(t, l.Close())
		lines := split(read(t, dir))
		go func() {
			time.Sleep(550 * time.Millisecond)
			lines[1] = forge(lines[1]) // as long as before
			_ = os.WriteFile(filepath.Join(dir, segment), join(lines), 0o600)
		}()
		for r, err := range ledger.Follow(t.Context(), os.DirFS(dir), ledger.Cursor{}) {
			must(t, err)
			checkEqual(t, r.Event.Outcome, audit.Failure)
			checkIs(t, followError(t, os.DirFS(dir), ledger.Cursor{Next: 2, Prev: ledger.Hash{1}}), ledger.ErrTampered)
			break
		}
	})
}

// A log that is cut before the place of the follower is reported.
func TestFollowCutLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := open(t, dir, never)
		write(t, l, "a", "b")
		must(t, l.Close())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var last error
		for r, err := range ledger.Follow(ctx, os.DirFS(dir), ledger.Cursor{}) {
			if last = err; err == nil && r.Event.ID == "b" {
				must(t, os.WriteFile(filepath.Join(dir, segment), join(split(read(t, dir))[:2]), 0o600))
			}
		}
		checkIs(t, last, ledger.ErrTampered)
	})
}

func TestFollowRefuses(t *testing.T) {
	checkIs(t, followError(t, os.DirFS(t.TempDir()), ledger.Cursor{}), fs.ErrNotExist)
	dir := grown(t, signer(t, origin, 1), 300)
	names, _ := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	_, cur := followed(t, os.DirFS(dir), ledger.Cursor{}, 3)
	must(t, os.Remove(names[0]))
	checkIs(t, followError(t, os.DirFS(dir), cur), fs.ErrNotExist)
	if seqs, _ := followed(t, os.DirFS(dir), ledger.Cursor{}, 1); seqs[0] < 3 {
		t.Errorf("%d is pruned", seqs[0])
	}
	for _, text := range []string{"", "1", "1:", "01:" + (ledger.Hash{}).String(), "1:x", "-1:" + (ledger.Hash{}).String()} {
		var c ledger.Cursor
		checkIs(t, c.UnmarshalText([]byte(text)), ledger.ErrFormat)
	}
}

// A shipper that is killed at any time loses and repeats nothing. It writes
// each event with its cursor in a line, and continues behind the last complete
// line. Oracle: the events of the log.
func TestShipperKilled(t *testing.T) {
	if dir := os.Getenv("LEDGER_TEST_SHIP"); dir != "" {
		ship(dir, os.Getenv("LEDGER_TEST_TO"))
		return
	}
	kills, records := 8, 6000
	if *long {
		kills, records = 1000, 200_000
	}
	dir, to := t.TempDir(), filepath.Join(t.TempDir(), "shipped")
	c := never
	c.MaxSize = 100_000
	l := open(t, dir, c)
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := range records {
			if err := l.WriteEvents(context.Background(), []*audit.Event{event(fmt.Sprint(i))}); err != nil {
				t.Error(err)
				return
			}
			if i%(records/kills+1) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
	}()
	for i := range kills + 1 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestShipperKilled$")
		cmd.Env = append(os.Environ(), "LEDGER_TEST_SHIP="+dir, "LEDGER_TEST_TO="+to)
		must(t, cmd.Start())
		wait := time.Duration(20+i*7%60) * time.Millisecond
		if i == kills {
			<-finished
			for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
				if data, _ := os.ReadFile(to); bytes.Count(data, []byte("\n")) >= records {
					break
				}
			}
		}
		time.Sleep(wait)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	must(t, l.Close())
	data, err := os.ReadFile(to)
	must(t, err)
	for i, line := range bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")) {
		if _, id, _ := bytes.Cut(line, []byte(" ")); string(id) != fmt.Sprint(i) {
			t.Fatalf("line %d: %s", i, line)
		}
	}
	if n := bytes.Count(data, []byte("\n")); n != records {
		t.Errorf("%d of %d records", n, records)
	}
}

// ship appends "CURSOR ID" lines.
func ship(dir, to string) {
	f, err := os.OpenFile(to, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	data, _ := os.ReadFile(to)
	data = data[:bytes.LastIndexByte(data, '\n')+1] // without a line that the kill has cut
	if err := f.Truncate(int64(len(data))); err != nil {
		panic(err)
	}
	var from ledger.Cursor
	if len(data) > 0 {
		last := data[bytes.LastIndexByte(data[:len(data)-1], '\n')+1:]
		text, _, _ := bytes.Cut(last, []byte(" "))
		if err := from.UnmarshalText(text); err != nil {
			panic(err)
		}
	}
	for r, err := range ledger.Follow(context.Background(), os.DirFS(dir), from) {
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			panic(err)
		}
		text, _ := r.Next.MarshalText()
		if _, err := fmt.Fprintf(f, "%s %s\n", text, r.Event.ID); err != nil {
			panic(err)
		}
	}
}
