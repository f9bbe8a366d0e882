package follow_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/follow"
)

// logFile writes a log for the examples.
func logFile(text string) (path string, cleanup func()) {
	dir, err := os.MkdirTemp("", "follow")
	if err != nil {
		panic(err)
	}
	path = filepath.Join(dir, "app.log")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		panic(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func Example() {
	path, cleanup := logFile("{\"level\":\"INFO\"}\n{\"level\":\"ERROR\"}\n")
	defer cleanup()
	ctx, cancel := context.WithCancel(context.Background())
	handle := func(rec follow.Record) {
		fmt.Println(rec.Num, string(rec.Get("level")))
		if rec.Num == 2 {
			cancel()
		}
	}
	err := func() error {
		parser := logscan.JSON("level")
		f := follow.Follower{Path: path, Scanner: logscan.Scanner{Parser: parser}}
		for rec, err := range f.Records(ctx) {
			if err != nil {
				return err
			}
			handle(rec)
		}
		return nil
	}()
	fmt.Println(errors.Is(err, context.Canceled))
	// Output:
	// 1 INFO
	// 2 ERROR
	// true
}

// A restarted program continues after the last record that it handled, also if
// the log was rotated. The checkpoint may lie beside the log.
func ExampleFollower() {
	path, cleanup := logFile("one\ntwo\nthree\n")
	defer cleanup()
	state := path + "-checkpoint"
	run := func(n int) {
		f := follow.Follower{Path: path}
		if c, err := follow.LoadCheckpoint(state); err == nil {
			f.From = &c
		}
		for rec, err := range f.Records(context.Background()) {
			if err != nil {
				fmt.Println(err)
				return
			}
			fmt.Println(string(rec.Line))
			if err := follow.SaveCheckpoint(state, rec.Checkpoint()); err != nil {
				fmt.Println(err)
			}
			if n--; n == 0 {
				return
			}
		}
	}
	run(2)
	if err := os.Rename(path, path+".1"); err != nil {
		panic(err)
	}
	if err := os.WriteFile(path, []byte("four\n"), 0o600); err != nil {
		panic(err)
	}
	run(2)
	// Output:
	// one
	// two
	// three
	// four
}

func ExampleRecord() {
	path, cleanup := logFile("one\ntwo\n")
	defer cleanup()
	for rec := range (follow.Follower{Path: path}).Records(context.Background()) {
		fmt.Println(string(rec.Line), rec.Checkpoint().Offset())
		break
	}
	// Output:
	// one 4
}

func ExampleCheckpoint() {
	var c follow.Checkpoint
	err := c.UnmarshalText([]byte("follow-checkpoint v2 w4:2c8b08da5ce60398e1f19af0e5dccc74:0:0:0:00000000000000000000000000000000"))
	fmt.Println(c.Offset(), err)
	fmt.Println(c.UnmarshalText([]byte("v2 4")))
	// Output:
	// 4 <nil>
	// follow: not a checkpoint
}

func ExampleSaveCheckpoint() {
	fmt.Println(follow.SaveCheckpoint(filepath.Join("no", "such", "dir"), follow.Checkpoint{}) != nil)
	// Output:
	// true
}

func ExampleLoadCheckpoint() {
	_, err := follow.LoadCheckpoint("missing")
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output:
	// true
}

func ExampleGapError() {
	fmt.Println(&follow.GapError{Path: "app.log", Offset: 4096, Lost: -1, Reason: "truncated"})
	fmt.Println(&follow.GapError{Path: "app.log", Offset: 4096, Lost: 100, Reason: "truncated"})
	// Output:
	// follow: "app.log": gap at byte 4096: truncated
	// follow: "app.log": gap at byte 4096: truncated, 100 bytes lost
}

func ExampleDir() {
	path, cleanup := logFile("one\n")
	defer cleanup()
	dir, state := filepath.Dir(path), filepath.Join(filepath.Dir(path), "state")
	ctx, cancel := context.WithCancel(context.Background())
	handle := func(rec follow.Record) {
		fmt.Println(filepath.Base(rec.Source), string(rec.Line))
		cancel()
	}
	d := follow.Dir{Match: []string{dir}, State: state}
	for rec, err := range d.Records(ctx) {
		if err != nil {
			break
		}
		handle(rec)
	}
	// Output:
	// app.log one
}

// The numbers of a loop, and its events.
func ExampleCounters() {
	path, cleanup := logFile("one\ntwo\n")
	defer cleanup()
	counters := &follow.Counters{Name: "app"}
	f := follow.Follower{Path: path, StopAtEOF: true, Stats: counters}
	for range f.Records(context.Background()) {
	}
	st := counters.Stats()
	fmt.Println(st.Name, st.Files, st.ReadBytes, st.LagBytes, st.Gaps)
	// Output:
	// app 1 8 0 0
}

func ExampleEvent() {
	path, cleanup := logFile("one\n")
	defer cleanup()
	f := follow.Follower{Name: "app", Path: path, StopAtEOF: true}
	f.OnEvent = func(_ context.Context, e follow.Event) { fmt.Println(e.Kind, e.Name, e.Offset) }
	for range f.Records(context.Background()) {
	}
	// Output:
	// opened app 0
	// caught up app 4
}

func ExampleKind() {
	fmt.Println(follow.KindGap, follow.Kind(99))
	// Output:
	// gap Kind(99)
}
