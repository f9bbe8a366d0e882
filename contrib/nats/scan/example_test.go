package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// exampleTB is the part of a test that package natstest needs.
type exampleTB struct {
	testing.TB
	dir      string
	cleanups []func()
}

func (e *exampleTB) Helper()                   {}
func (e *exampleTB) Cleanup(f func())          { e.cleanups = append(e.cleanups, f) }
func (e *exampleTB) TempDir() string           { return e.dir }
func (e *exampleTB) Logf(string, ...any)       {}
func (e *exampleTB) Fatal(args ...any)         { panic(fmt.Sprint(args...)) }
func (e *exampleTB) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (e *exampleTB) Skipf(f string, a ...any)  { panic(fmt.Sprintf(f, a...)) }

// exampleServer starts a server for an example.
func exampleServer() (js jetstream.JetStream, stop func()) {
	dir, err := os.MkdirTemp("", "scan")
	if err != nil {
		panic(err)
	}
	tb := &exampleTB{dir: dir}
	js = natstest.JetStream(tb, natstest.Start(tb, natstest.Config{}).Client(tb))
	return js, func() {
		for _, f := range slices.Backward(tb.cleanups) {
			f()
		}
		os.RemoveAll(dir)
	}
}

// goWork runs a worker, and closes the channel after its end.
func goWork(ctx context.Context, work func(context.Context, jetstream.JetStream) error, js jetstream.JetStream) <-chan struct{} {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := work(ctx, js); err != nil {
			fmt.Println(err)
		}
	}()
	return ended
}

// A levels counts the levels of a log. Its binary form is that of the sketch.
type levels struct{ *sketch.Counts }

func newLevels() *levels { return &levels{sketch.NewCounts(100)} }

func (l *levels) Add(r *logscan.Record) { l.Counts.Add(r.Get("level"), 1) }

func (l *levels) Merge(o *levels) error { return l.Counts.Merge(o.Counts) }

// The folder that all machines have mounted, or of which each has a copy.
var logFolder = fstest.MapFS{
	"app.log":   {Data: []byte(`{"level":"INFO"}` + "\n" + `{"level":"ERROR"}` + "\n")},
	"app.log.1": {Data: []byte(`{"level":"INFO"}` + "\n" + `{"level":"INFO"}` + "\n")},
}

// A scan of a folder by a coordinator and two workers.
func Example() {
	js, stop := exampleServer()
	defer stop()
	ctx, logs := context.Background(), fs.FS(logFolder)
	open := func(_ context.Context, name string) (io.ReadCloser, error) { return logs.Open(name) }

	job := scan.Job[*levels]{
		Name:    "levels-2026-11",
		Program: "levels/1",
		Scanner: logscan.Scanner{Parser: logscan.JSON("level")},
		Open:    open,
		New:     newLevels,
	}
	job.OnEvent = func(_ context.Context, e scan.Event) {
		if e.Kind == scan.KindMerged {
			fmt.Println(e.Merged, "of", e.Listed, "tasks")
		}
	}
	var workers sync.WaitGroup
	for range 2 { // in other processes, on other machines
		workers.Go(func() {
			err := job.Work(ctx, js)
			if err != nil {
				fmt.Println(err)
			}
		})
	}
	total, err := job.Run(ctx, js, logscan.Walk(logs, nil))
	if err != nil {
		fmt.Println(err)
		return
	}
	workers.Wait() // they end with the scan
	for _, item := range total.Items() {
		fmt.Println(item.Key, item.Count)
	}
	// Output:
	// 1 of 2 tasks
	// 2 of 2 tasks
	// INFO 3
	// ERROR 1
}

// A web is an accumulator of two sketches.
type web struct {
	Routes *sketch.TopK
	Time   *sketch.Quantile
}

func newWeb() *web { return &web{sketch.NewTopK(100), sketch.NewQuantile()} }

func (w *web) Add(r *logscan.Record) {
	w.Routes.Add(r.Get("route"), 1)
	if ms, ok := r.Float("ms"); ok {
		w.Time.Add(ms)
	}
}

func (w *web) Merge(o *web) error {
	return errors.Join(w.Routes.Merge(o.Routes), w.Time.Merge(o.Time))
}

// A webForm is the binary form of a web: JSON of the forms of its sketches.
type webForm struct{ Routes, Time []byte }

func (w *web) MarshalBinary() ([]byte, error) {
	routes, _ := w.Routes.MarshalBinary() // the errors of sketches are nil
	times, _ := w.Time.MarshalBinary()
	return json.Marshal(webForm{routes, times})
}

func (w *web) UnmarshalBinary(b []byte) error {
	var f webForm
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	return errors.Join(w.Routes.UnmarshalBinary(f.Routes), w.Time.UnmarshalBinary(f.Time))
}

// An accumulator of several sketches needs a binary form of its own.
func ExampleAccumulator() {
	js, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	files := fstest.MapFS{"app.log": {Data: []byte("route=/a ms=10\nroute=/b ms=30\nroute=/a ms=20\n")}}
	job := scan.Job[*web]{
		Name:    "web",
		Program: "web/1",
		Scanner: logscan.Scanner{Parser: logscan.Logfmt("route", "ms")},
		Open:    func(_ context.Context, name string) (io.ReadCloser, error) { return files.Open(name) },
		New:     newWeb,
	}
	worker := goWork(ctx, job.Work, js)
	total, err := job.Run(ctx, js, logscan.Walk(files, nil))
	<-worker
	fmt.Println(total.Routes.Items()[0].Key, total.Time.Count(), err)
	// Output: /a 3 <nil>
}

// A worker that serves one scan after another until its process is told to end.
func ExampleJob_Work() {
	js, stop := exampleServer()
	defer stop()
	ctx, cancel := context.WithCancel(context.Background())
	files := fstest.MapFS{"app.log": {Data: []byte("level=INFO\n")}}
	job := scan.Job[*levels]{
		Name:    "levels",
		Program: "levels/1",
		Scanner: logscan.Scanner{Parser: logscan.Logfmt("level")},
		Open:    func(_ context.Context, name string) (io.ReadCloser, error) { return files.Open(name) },
		New:     newLevels,
	}
	ended := make(chan error)
	go func() {
		for {
			if err := job.Work(ctx, js); err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 2 {
		total, err := job.Run(ctx, js, logscan.Walk(files, nil))
		fmt.Println(total.Items(), err)
	}
	cancel()
	fmt.Println(<-ended)
	// Output:
	// [{INFO 1 0}] <nil>
	// [{INFO 1 0}] <nil>
	// scan: levels: context canceled
}

// A part of an input that cannot be scanned does not end the scan.
func ExampleTaskError() {
	js, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	files := fstest.MapFS{
		"app.log":    {Data: []byte("level=INFO\n")},
		"app.log.gz": {Data: []byte("\x1f\x8b\x08 is no gzip")},
	}
	job := scan.Job[*levels]{
		Name:        "levels",
		Program:     "levels/1",
		Scanner:     logscan.Scanner{Parser: logscan.Logfmt("level")},
		Open:        func(_ context.Context, name string) (io.ReadCloser, error) { return files.Open(name) },
		New:         newLevels,
		MaxAttempts: 2,
		AckWait:     time.Second,
	}
	worker := goWork(ctx, job.Work, js)
	total, err := job.Run(ctx, js, logscan.Walk(files, nil))
	<-worker
	fmt.Println(total.Items())
	if failed, ok := errors.AsType[*scan.TaskError](err); ok {
		fmt.Println(failed.Name, "failed after", failed.Attempts, "attempts")
	}
	// Output:
	// [{INFO 1 0}]
	// app.log.gz failed after 2 attempts
}

// The events of a coordinator and its workers in a log.
func ExampleEvent() {
	e := scan.Event{Kind: scan.KindMerged, Name: "levels", Input: "app.log", Merged: 3, Listed: 8, Bytes: 3 << 20}
	fmt.Println(e.Kind, e.LogValue())
	// Output: merged [kind=merged name=levels input=app.log offset=0 merged=3 listed=8 bytes=3145728]
}
