package follow_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// toEOF returns the lines of a follower that stops at the end.
func toEOF(t *testing.T, f follow.Follower) (got []string) {
	t.Helper()
	f.StopAtEOF = true
	for rec, err := range f.Records(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec.Line))
	}
	return got
}

func gzipFile(t *testing.T, name, text string) {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(text))
	w.Close()
	put(t, name, b.String())
}

// A loop can begin at a time, also in files that are rotated and packed, and at
// the end of a packed file.
func TestBeginInPackedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	const old, mid, now = "2026-11-29T01:00:00Z a\n", "2026-11-29T02:00:00Z b\n2026-11-29T03:00:00Z c\n", "2026-11-29T04:00:00Z d\n"
	gzipFile(t, path+".2.gz", old)
	gzipFile(t, path+".1.gz", mid)
	put(t, path, now)
	at := func(hour int) time.Time { return time.Date(2026, 11, 29, hour, 0, 0, 0, time.UTC) }
	for i, name := range []string{path + ".2.gz", path + ".1.gz", path} {
		hour := []int{1, 3, 4}[i]
		if err := os.Chtimes(name, at(hour), at(hour)); err != nil {
			t.Fatal(err)
		}
	}
	timed := parserFunc(func(r *logscan.Record) error {
		when, err := time.Parse(time.RFC3339, string(r.Line[:20]))
		r.SetTime(when)
		return err
	})
	checkEqual(t, toEOF(t, follow.Follower{Path: path, Scanner: logscan.Scanner{Parser: timed}, Since: at(3)}),
		[]string{"2026-11-29T03:00:00Z c", "2026-11-29T04:00:00Z d"})
	checkEqual(t, toEOF(t, follow.Follower{Path: path + ".1.gz", AtEnd: true}), []string(nil))
	checkEqual(t, toEOF(t, follow.Follower{Path: path + ".2.gz"}), []string{"2026-11-29T01:00:00Z a"})
	checkEqual(t, toEOF(t, follow.Follower{Path: path, AtEnd: true}), []string(nil))
}

type parserFunc func(*logscan.Record) error

func (f parserFunc) Parse(r *logscan.Record) error { return f(r) }

// A record has the same ID before and after a rotation and a restart.
func TestIDIsStable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	put(t, path, "one\ntwo\nthree\n")
	ids := map[string]string{}
	var c follow.Checkpoint
	for rec := range (follow.Follower{Path: path, StopAtEOF: true}).Records(t.Context()) {
		if ids[string(rec.Line)] = rec.ID(); string(rec.Line) == "one" {
			c = rec.Checkpoint()
		}
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	put(t, path, "one\n")
	n := 0
	for rec := range (follow.Follower{Path: path, StopAtEOF: true, From: &c}).Records(t.Context()) {
		if n++; n <= 2 {
			checkEqual(t, rec.ID(), ids[string(rec.Line)])
		} else if rec.ID() == ids["one"] {
			t.Errorf("got the ID %s for records of two files", rec.ID())
		}
	}
	checkEqual(t, n, 3)
}

// A checkpoint contains some of the rotated files. The others are known by
// their times.
func TestManyRotatedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.log")
	for i := range 100 {
		name := fmt.Sprintf("%s-2026%04d", path, i)
		put(t, name, fmt.Sprintf("old %d\n", i))
		at := time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	put(t, path, "a\n")
	var c follow.Checkpoint
	for rec := range (follow.Follower{Path: path, StopAtEOF: true}).Records(t.Context()) {
		checkEqual(t, string(rec.Line), "a")
		c = rec.Checkpoint()
	}
	put(t, path, "b\n")
	if err := os.Rename(path, path+"-20260100"); err != nil {
		t.Fatal(err)
	}
	put(t, path, "c\n")
	checkEqual(t, toEOF(t, follow.Follower{Path: path, From: &c}), []string{"b", "c"})
	text, _ := c.MarshalText()
	checkEqual(t, strings.Count(string(text), " "), 1+64)
	checkEqual(t, c.UnmarshalText(text), nil)
}
