package follow_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// Real files and a writer that rotates at random: every line comes once.
func TestRealRotation(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "app.log")
	const lines = 3000
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	begun := make(chan bool) // a file that is rotated before it is seen is not followed
	go func() {
		r := rand.New(rand.NewPCG(1, 1))
		f, _ := os.Create(name)
		for i := range lines {
			if i == 1 {
				<-begun
			}
			fmt.Fprintf(f, "line-%d\n", i)
			if r.IntN(300) == 0 {
				os.Rename(name, fmt.Sprintf("%s.%d", name, i))
				fmt.Fprintf(f, "late-%d\n", i)
				f.Close()
				f, _ = os.Create(name)
			}
			if r.IntN(100) == 0 {
				time.Sleep(5 * time.Millisecond)
			}
		}
		fmt.Fprintln(f, "end")
		f.Close()
	}()
	var got []string
	for rec, err := range (follow.Follower{Path: name, Poll: 2 * time.Millisecond, Linger: 20 * time.Millisecond}).Records(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		line := string(rec.Line)
		if line == "end" {
			break
		}
		if strings.HasPrefix(line, "line") {
			if len(got) == 0 {
				close(begun)
			}
			got = append(got, line)
		}
	}
	var want []string
	for i := range lines {
		want = append(want, fmt.Sprintf("line-%d", i))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %d lines, want %d: %s", len(got), lines, cmp.Diff(want, got))
	}
}

// Real files that are copied and cut, each time after another line was read.
func TestRealCopyTruncate(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.log")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	const cuts = 10
	seen := make(chan bool, 100)
	go func() {
		f, _ := os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		defer f.Close()
		for i := range cuts {
			fmt.Fprintf(f, "read-%d\n", i)
			<-seen
			fmt.Fprintf(f, "line-%d\n", i)
			text, _ := os.ReadFile(name)
			os.WriteFile(fmt.Sprintf("%s.%d", name, i), text, 0o600)
			f.Truncate(0)
		}
		fmt.Fprintln(f, "end")
	}()
	var got, want []string
	gaps := 0
	for rec, err := range (follow.Follower{Path: name, Poll: time.Millisecond}).Records(ctx) {
		var gap *follow.GapError
		if errors.As(err, &gap) {
			gaps++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if string(rec.Line) == "end" {
			break
		}
		if got = append(got, string(rec.Line)); strings.HasPrefix(got[len(got)-1], "read") {
			seen <- true
		}
	}
	for i := range cuts {
		want = append(want, fmt.Sprintf("read-%d", i), fmt.Sprintf("line-%d", i))
	}
	if diff := cmp.Diff(want, got); diff != "" || gaps != cuts {
		t.Errorf("got %d gaps, want %d: %s", gaps, cuts, diff)
	}
}

// The numbers of files distinguish files with the same bytes up to the place.
func TestRealResume(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.log")
	write := func(text string) {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := func(f follow.Follower) (line string, c follow.Checkpoint) {
		for rec, err := range f.Records(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			return string(rec.Line), rec.Checkpoint()
		}
		return "", c
	}
	write("head\nold\n")
	_, c := first(follow.Follower{Path: name})
	if text, _ := c.MarshalText(); bytes.Contains(text, []byte(":0:0:")) {
		t.Skipf("no numbers here: %s", text)
	}
	if err := os.Rename(name, name+".1"); err != nil {
		t.Fatal(err)
	}
	write("head\nnew\n")
	if got, _ := first(follow.Follower{Path: name, From: &c}); got != "old" {
		t.Errorf("got %q, want the rest of the renamed file", got)
	}
}
