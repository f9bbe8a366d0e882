package logscan_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/redoubt-go/redoubt/logscan"
)

func TestRangedTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	if err := os.WriteFile(path, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var sc logscan.Scanner
	files := sc.Records(t.Context(), logscan.Files(path))
	readers := sc.Records(t.Context(), logscan.Readers("r", strings.NewReader("a\nb\n")))
	count := func(seq func(func(*logscan.Record, error) bool)) (n, failed int) {
		for _, err := range seq {
			if err != nil {
				failed++
			} else {
				n++
			}
		}
		return n, failed
	}
	var got [][2]int
	for _, seq := range []func(func(*logscan.Record, error) bool){files, files, readers, readers} {
		n, failed := count(seq)
		got = append(got, [2]int{n, failed})
	}
	checkEqual(t, got, [][2]int{{2, 0}, {2, 0}, {2, 0}, {0, 1}})
}

func TestFileChangesSize(t *testing.T) {
	block := strings.Repeat(strings.Repeat("x", 99)+"\n", 3000) // several reads
	for _, change := range []string{"shrinks", "grows"} {
		path := filepath.Join(t.TempDir(), "a.log")
		if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
			t.Fatal(err)
		}
		n := 0
		for rec, err := range (logscan.Scanner{}).Records(t.Context(), logscan.Files(path)) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n > 1 {
				continue
			}
			if change == "shrinks" {
				err = os.Truncate(path, rec.Next)
			} else {
				err = os.WriteFile(path, []byte(block+block), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if grown := n == 6000; n < 1 || grown != (change == "grows") {
			t.Errorf("file that %s: %d records", change, n)
		}
	}
}

func TestInputErrors(t *testing.T) {
	fsys := fstest.MapFS{"a.log": {Data: []byte("a\n")}, "d/b.log": {Data: []byte("b\n")}, "e.log": {Data: []byte("e\n")}, "link": {Mode: fs.ModeSymlink, Data: []byte("a.log")}}
	var got []string
	var counters logscan.Counters
	sc := logscan.Scanner{Stats: &counters}
	for rec, err := range sc.Records(t.Context(), logscan.Walk(brokenFS{fsys}, nil)) {
		var in *logscan.InputError
		if errors.As(err, &in) {
			got = append(got, "error in "+in.Name)
			continue
		}
		got = append(got, rec.Source)
	}
	checkEqual(t, got, []string{"a.log", "error in d", "error in e.log"})
	checkEqual(t, counters.Stats(), logscan.Stats{Inputs: 3, Failed: 2, ReadBytes: 2, DecodedBytes: 2, Records: 1, Delivered: 1})

	for _, err := range sc.Records(t.Context(), logscan.Walk(fsys, func(p string) bool { return p == "nothing" })) {
		t.Error(err)
	}
	for _, err := range sc.Records(t.Context(), logscan.Files("no such file")) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want fs.ErrNotExist", err)
		}
	}
	for _, err := range sc.Records(t.Context(), logscan.Walk(os.DirFS("no such directory"), nil)) {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, want fs.ErrNotExist", err)
		}
	}
	for _, err := range sc.Records(t.Context(), func(yield func(logscan.Input, error) bool) {
		yield(logscan.Input{Name: strings.Repeat("n\n", 1000)}, io.ErrClosedPipe)
	}) {
		checkEqual(t, err.Error(), "logscan: \""+strings.Repeat(`n\n`, 32)+"\"…: at byte 0: io: read/write on closed pipe")
	}
}

// brokenFS cannot open the directory d and the file e.log.
type brokenFS struct{ fs.FS }

func (f brokenFS) Open(name string) (fs.File, error) {
	if name == "d" || name == "e.log" {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return f.FS.Open(name)
}
