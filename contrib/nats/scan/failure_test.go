package scan_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

// An outcome is the result of Run.
type outcome[A any] struct {
	a   A
	err error
}

// goRun starts Run.
func goRun[A scan.Accumulator[A]](ctx context.Context, js jetstream.JetStream, j scan.Job[A], in logscan.Inputs) <-chan outcome[A] {
	ended := make(chan outcome[A], 1)
	go func() {
		a, err := j.Run(ctx, js, in)
		ended <- outcome[A]{a, err}
	}()
	return ended
}

// await waits for a value.
func await[T any](t testing.TB, what string, ch <-chan T) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(within):
		t.Fatalf("no %s after %v", what, within)
		panic("unreachable")
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(within); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s after %v", what, within)
		}
	}
}

// openAfter opens a file after a channel is closed.
func openAfter(ctx context.Context, ch <-chan struct{}, name string) (io.ReadCloser, error) {
	select {
	case <-ch:
		return os.Open(name)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A worker that loses its connection answers when another worker has done its
// task, and the coordinator has merged and removed that answer.
func TestLateAnswerIsIgnored(t *testing.T) {
	ctx := deadline(t)
	server := natstest.Start(t, natstest.Config{})
	proxy := natstest.NewProxy(t, server.Addr)
	js := natstest.JetStream(t, server.Client(t))
	cut := natstest.JetStream(t, natstest.Connect(t, proxy.URL(), nats.IgnoreDiscoveredServers()))
	_, paths := logs(t, 1000, 1000, 1000)

	var zero atomic.Int32 // notes of task 0
	sub, err := js.Conn().Subscribe("scan.late.note", func(m *nats.Msg) {
		if num, _ := binary.Uvarint(m.Data); num == 0 {
			zero.Add(1)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()

	j := job("late", newText)
	j.Ahead, j.AckWait = 8, time.Second
	begun, release, last := make(chan struct{}, 10), make(chan struct{}), make(chan struct{})
	paused := j
	paused.Open = func(ctx context.Context, name string) (io.ReadCloser, error) {
		begun <- struct{}{}
		return openAfter(ctx, release, name)
	}
	work(t, cut, paused, 1)
	merged := make(chan int, 10)
	coordinator := j
	coordinator.OnEvent = func(_ context.Context, e scan.Event) {
		if e.Kind == scan.KindMerged {
			merged <- e.Merged
		}
	}
	ended := goRun(ctx, js, coordinator, logscan.Files(paths...))
	await(t, "task of the worker that pauses", begun)
	proxy.SetCut(true)
	j.Open = func(ctx context.Context, name string) (io.ReadCloser, error) {
		if name == paths[2] {
			return openAfter(ctx, last, name)
		}
		return os.Open(name)
	}
	work(t, js, j, 2)
	await(t, "first merge", merged)
	await(t, "second merge", merged)
	proxy.SetCut(false)
	close(release)
	eventually(t, "answered twice", func() bool { return zero.Load() == 2 })
	stream, err := js.Stream(ctx, "scan-late")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "removed", func() bool {
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter("scan.late.done.>"))
		return err == nil && len(info.State.Subjects) == 0
	})
	close(last)
	got := await(t, "answer", ended)
	if got.err != nil {
		t.Fatal(got.err)
	}
	checkForm(t, form(t, got.a), local(t, j, logscan.Files(paths...)))
}

// A coordinator whose connection is cut continues when it is back.
func TestCutCoordinatorContinues(t *testing.T) {
	ctx := deadline(t)
	server := natstest.Start(t, natstest.Config{})
	proxy := natstest.NewProxy(t, server.Addr)
	js := natstest.JetStream(t, natstest.Connect(t, proxy.URL(), nats.IgnoreDiscoveredServers()))
	_, paths := logs(t, 100_000)
	j := job("cut", newText)
	j.Ahead = 2
	worker := j
	work(t, natstest.JetStream(t, server.Client(t)), worker, 1)
	first, unavailable := make(chan struct{}), make(chan error, 100)
	j.OnEvent = func(_ context.Context, e scan.Event) {
		switch {
		case e.Kind == scan.KindUnavailable:
			unavailable <- e.Err
		case e.Kind == scan.KindMerged && e.Merged == 1:
			proxy.SetCut(true)
			close(first)
		}
	}
	ended := goRun(ctx, js, j, logscan.Files(paths...))
	await(t, "merge", first)
	if err := await(t, "event", unavailable); err == nil {
		t.Error("no error in the event")
	}
	proxy.SetCut(false)
	got := await(t, "answer", ended)
	if got.err != nil {
		t.Fatal(got.err)
	}
	checkForm(t, form(t, got.a), local(t, j, logscan.Files(paths...)))
}

// A task that takes longer than AckWait stays with its worker, which sends
// signs of life.
func TestLongTaskIsKept(t *testing.T) {
	_, paths := logs(t, 1000)
	js := start(t)
	j := job("long", newText)
	j.AckWait = 3 * time.Second
	var opened atomic.Int32
	worker := j
	worker.Open = func(ctx context.Context, name string) (io.ReadCloser, error) {
		opened.Add(1)
		after := make(chan struct{})
		time.AfterFunc(2*j.AckWait, func() { close(after) })
		return openAfter(ctx, after, name)
	}
	work(t, js, worker, 2)
	if _, err := j.Run(deadline(t), js, logscan.Files(paths...)); err != nil {
		t.Fatal(err)
	}
	checkEqual(t, opened.Load(), int32(1))
}

// A worker that ends in any way gives its task back at once: the scan does not
// wait for AckWait.
func TestTaskOfAnEndedWorkerIsGivenBack(t *testing.T) {
	_, paths := logs(t, 1000)
	js := start(t)
	for _, test := range []struct {
		name string
		end  func(ctx context.Context) error
	}{
		{"panic", func(context.Context) error { panic("in the parser") }},
		{"exit", func(context.Context) error { runtime.Goexit(); return nil }},
		{"context", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer checkNoLeak(t)
			ctx := deadline(t)
			j := job(test.name, newText)
			j.AckWait = time.Hour
			ended := goRun(ctx, js, j, logscan.Files(paths...))
			ill := j
			workCtx, cancel := context.WithCancel(ctx)
			defer cancel()
			ill.Open = func(ctx context.Context, _ string) (io.ReadCloser, error) {
				time.AfterFunc(10*time.Millisecond, cancel)
				return nil, test.end(ctx)
			}
			gone := make(chan any, 1)
			go func() {
				defer func() { gone <- recover() }()
				checkIs(t, ill.Work(workCtx, js), context.Canceled)
			}()
			v := await(t, "end of the worker", gone)
			if want := map[bool]any{true: "in the parser"}[test.name == "panic"]; v != want {
				t.Errorf("got panic %v, want %v", v, want)
			}
			work(t, js, j, 1)
			got := await(t, "answer", ended)
			if got.err != nil {
				t.Fatal(got.err)
			}
			checkForm(t, form(t, got.a), local(t, j, logscan.Files(paths...)))
		})
	}
}

// An input that fails every time is reported with its name and its part. The
// records before the failure count, as in Reduce.
func TestFailedTaskIsReported(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	dir, paths := logs(t, 25_000, 25_000)
	torn := dir + "/torn.log.gz"
	gz := gzipped(strings.Repeat("line\n", 10_000))
	if err := os.WriteFile(torn, gz[:len(gz)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	paths = append(paths, torn, dir+"/missing.log")
	j := job("failed", newText)
	j.MaxAttempts, j.AckWait = 3, time.Second
	var mu sync.Mutex
	attempts := map[string]int{}
	worker := j
	worker.OnEvent = func(_ context.Context, e scan.Event) {
		mu.Lock()
		defer mu.Unlock()
		if e.Kind == scan.KindAttempt {
			attempts[e.Input]++
		}
	}
	failures := 0
	j.OnEvent = func(_ context.Context, e scan.Event) {
		if e.Kind == scan.KindFailed && e.Err != nil {
			failures++
		}
	}
	work(t, js, worker, 2)
	got, err := j.Run(ctx, js, logscan.Files(paths...))
	want, localErr := logscan.Reduce(ctx, j.Scanner, logscan.Files(paths...), j.New)
	checkForm(t, form(t, got), form(t, want))
	var errs []*scan.TaskError
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		failed, _ := errors.AsType[*scan.TaskError](err)
		if errs = append(errs, failed); failed != nil {
			failed.Text = ""
		}
	}
	checkEqual(t, errs, []*scan.TaskError{{Name: torn, Attempts: 3}, {Name: dir + "/missing.log", Attempts: 3}})
	checkEqual(t, len(localErr.(interface{ Unwrap() []error }).Unwrap()), len(errs))
	checkEqual(t, failures, 2)
	mu.Lock()
	defer mu.Unlock()
	checkEqual(t, attempts, map[string]int{torn: 2, dir + "/missing.log": 2})
}

// Errors that another attempt cannot mend are not repeated.
func TestHopelessTaskIsNotRepeated(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	dir, _ := logs(t, 10)
	if err := os.WriteFile(dir+"/a.zip", []byte("PK\x03\x04 and more"), 0o600); err != nil {
		t.Fatal(err)
	}
	j := job("hopeless", newText)
	work(t, js, j, 1)
	_, err := j.Run(ctx, js, logscan.Files(dir+"/a.zip"))
	failed, ok := errors.AsType[*scan.TaskError](err)
	if !ok || failed.Attempts != 1 || !strings.Contains(failed.Text, "unsupported format") {
		t.Errorf("got %+v", failed)
	}
}

// Inputs that cannot be listed are reported in their place, also after the
// coordinator has begun again.
func TestErrorsOfInputsAreReported(t *testing.T) {
	js := start(t)
	_, paths := logs(t, 1000, 1000)
	in := func(yield func(logscan.Input, error) bool) {
		long := logscan.Input{Name: strings.Repeat("n", 5000)}
		if !yield(logscan.Input{Name: "dir"}, errors.New("no such folder")) || !yield(long, nil) {
			return
		}
		for input, err := range logscan.Files(paths...) {
			if !yield(input, err) {
				return
			}
		}
	}
	j := job("listed", newText)
	j.Ahead = 1
	ctx, cancel := context.WithCancel(deadline(t))
	j.OnEvent = func(_ context.Context, e scan.Event) {
		if e.Kind == scan.KindMerged {
			cancel()
		}
	}
	work(t, js, j, 1)
	_, err := j.Run(ctx, js, in)
	checkIs(t, err, context.Canceled)
	j.OnEvent = nil
	got, err := j.Run(deadline(t), js, in)
	checkForm(t, form(t, got), local(t, j, logscan.Files(paths...)))
	want := "scan: \"dir\": bytes 0 to the end: failed after 0 attempts: no such folder\n" +
		"scan: \"" + strings.Repeat("n", 64) + "\"…: bytes 0 to the end: failed after 0 attempts: the name has 5000 bytes, at most 4096"
	checkEqual(t, fmt.Sprint(err), want)
}

// An input that the coordinator cannot open or read at first has the same tasks
// as any other. Otherwise a Run that continues would find other tasks, and a
// compressed input that is divided loses records.
func TestProbesAreRepeated(t *testing.T) {
	dir, paths := logs(t, 35_000)
	noise := make([]byte, 30_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise)
	packed := filepath.Join(dir, "packed.gz")
	if err := os.WriteFile(packed, gzipped(hex.Dump(noise)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		path  string
		open  error
		tasks int
	}{
		"not opened":     {paths[0], errors.New("busy"), 4},
		"not read":       {paths[0], nil, 4},
		"compressed":     {packed, nil, 1},
		"does not exist": {filepath.Join(dir, "absent"), fs.ErrNotExist, 1},
	} {
		t.Run(name, func(t *testing.T) {
			js := start(t)
			j := job("probes", newText)
			j.MaxAttempts = 1
			work(t, js, j, 1)
			opened, tasks := 0, 0
			j.Open = func(ctx context.Context, name string) (io.ReadCloser, error) {
				opened++
				f, err := openFile(ctx, name)
				switch {
				case opened > 1 || err != nil:
					return f, err
				case tt.open != nil:
					return nil, errors.Join(tt.open, f.Close())
				}
				return unreadable{f.(*os.File)}, nil
			}
			j.OnEvent = func(_ context.Context, e scan.Event) { tasks = e.Listed }
			in := func(yield func(logscan.Input, error) bool) { yield(logscan.Input{Name: tt.path}, nil) }
			got, err := j.Run(deadline(t), js, in)
			checkEqual(t, tasks, tt.tasks)
			if errors.Is(tt.open, fs.ErrNotExist) {
				checkEqual(t, opened, 1)
				return
			}
			if err != nil {
				t.Error(err)
			}
			checkForm(t, form(t, got), local(t, j, logscan.Files(tt.path)))
		})
	}
}

// An unreadable file has a size and no bytes.
type unreadable struct{ *os.File }

func (unreadable) Read([]byte) (int, error) { return 0, errors.New("connection reset") }

// The first 100 failures are kept.
func TestFailuresAreBounded(t *testing.T) {
	ctx := deadline(t)
	in := func(yield func(logscan.Input, error) bool) {
		for range 103 {
			if !yield(logscan.Input{Name: "dir"}, errors.New("denied")) {
				return
			}
		}
	}
	_, err := job("bounded", newText).Run(ctx, start(t), in)
	errs := err.(interface{ Unwrap() []error }).Unwrap()
	checkEqual(t, len(errs), 101)
	checkEqual(t, errs[100].Error(), "scan: bounded: 3 further tasks failed")
}

// The leader of the stream is killed during a scan, and comes back.
func TestScanSurvivesTheLeader(t *testing.T) {
	ctx := deadline(t)
	c := natstest.StartCluster(t, 3, natstest.Config{})
	client := func() jetstream.JetStream { return natstest.JetStream(t, natstest.Connect(t, c.URLs())) }
	_, paths := logs(t, 300_000)
	j := job("leader", newText)
	j.Replicas, j.Ahead, j.MaxAttempts = 3, 8, 100
	j.Open = func(_ context.Context, name string) (io.ReadCloser, error) {
		time.Sleep(20 * time.Millisecond)
		return os.Open(name)
	}
	third := make(chan struct{})
	coordinator := j
	coordinator.OnEvent = func(_ context.Context, e scan.Event) {
		if e.Kind == scan.KindMerged && e.Merged == 10 {
			close(third)
		}
	}
	work(t, client(), j, 2)
	js := client()
	ended := goRun(ctx, js, coordinator, logscan.Files(paths...))
	await(t, "third of the scan", third)
	leader := c.Leader(t, client(), "scan-leader")
	c.Kill(leader)
	time.Sleep(500 * time.Millisecond)
	c.Restart(leader)
	got := await(t, "answer", ended)
	if got.err != nil {
		t.Fatal(got.err)
	}
	checkForm(t, form(t, got.a), local(t, j, logscan.Files(paths...)))
}

// subjects returns the subjects of a stream that match a filter.
func subjects(t *testing.T, js jetstream.JetStream, name, filter string) (found []string) {
	s, err := js.Stream(deadline(t), name)
	if err != nil {
		return nil
	}
	info, err := s.Info(deadline(t), jetstream.WithSubjectFilter(filter))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(info.State.Subjects))
}

// Tasks and parts of answers that the servers have lost are queued again. A
// message of another program is removed.
func TestLostMessagesAreRepeated(t *testing.T) {
	ctx := deadline(t)
	js := natstest.JetStream(t, natstest.Start(t, natstest.Config{Lines: "max_payload: 16KB"}).Client(t))
	_, paths := logs(t, 100_000)
	in := logscan.Files(paths...)
	j := job("lost", newText)
	j.Task, j.AckWait = 50_000, time.Second
	purge := func(subject string) {
		s, err := js.Stream(ctx, "scan-lost")
		if err == nil {
			err = s.Purge(ctx, jetstream.WithPurgeSubject(subject))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	runCtx, cancel := context.WithCancel(ctx)
	ended := goRun(runCtx, js, j, in)
	eventually(t, "queued", func() bool { return len(subjects(t, js, "scan-lost", "scan.lost.task.>")) == 2 })
	cancel()
	<-ended
	stop := work(t, js, j, 1)
	done := func() []string { return subjects(t, js, "scan-lost", "scan.lost.done.>") }
	heads := func(all []string) (n int) {
		for _, subject := range all {
			if strings.HasSuffix(subject, ".head") {
				n++
			}
		}
		return n
	}
	eventually(t, "answered", func() bool { return heads(done()) == 2 })
	stop()
	for _, subject := range done() {
		if !strings.HasSuffix(subject, ".head") {
			purge(subject)
			break
		}
	}
	ended = goRun(ctx, js, j, append2(in, paths[0]))
	eventually(t, "queued", func() bool { return len(subjects(t, js, "scan-lost", "scan.lost.task.>")) >= 3 })
	for _, subject := range subjects(t, js, "scan-lost", "scan.lost.task.>") {
		purge(subject)
	}
	if _, err := js.Publish(ctx, "scan.lost.task.0.0", []byte("junk")); err != nil {
		t.Fatal(err)
	}
	work(t, js, j, 1)
	got := await(t, "answer", ended)
	if got.err != nil {
		t.Fatal(got.err)
	}
	checkForm(t, form(t, got.a), local(t, j, append2(in, paths[0])))
}

// append2 returns inputs and a file after them.
func append2(in logscan.Inputs, path string) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		for input, err := range in {
			if !yield(input, err) {
				return
			}
		}
		logscan.Files(path)(yield)
	}
}

// A Run whose stream is deleted ends with an error.
func TestDeletedStreamEndsRun(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	_, paths := logs(t, 1000)
	j := job("deleted", newText)
	ended := goRun(ctx, js, j, logscan.Files(paths...))
	eventually(t, "begun", func() bool { return js.DeleteStream(ctx, "scan-deleted") == nil })
	got := await(t, "end of Run", ended)
	checkIs(t, got.err, jetstream.ErrStreamNotFound)
}

// A connection that is closed ends Run and Work.
func TestClosedConnection(t *testing.T) {
	ctx := deadline(t)
	server := natstest.Start(t, natstest.Config{})
	_, paths := logs(t, 1000)
	j := job("closed", newText)
	js := natstest.JetStream(t, server.Client(t))
	ended := goRun(ctx, js, j, logscan.Files(paths...))
	eventually(t, "begun", func() bool { _, err := js.Consumer(ctx, "scan-closed", "workers"); return err == nil })
	other := natstest.JetStream(t, server.Client(t))
	worked := make(chan error, 1)
	waits := make(chan struct{}, 1)
	j.Open = func(ctx context.Context, _ string) (io.ReadCloser, error) {
		waits <- struct{}{}
		return nil, errors.New("not now")
	}
	go func() { worked <- j.Work(ctx, other) }()
	await(t, "task", waits)
	js.Conn().Close()
	other.Conn().Close()
	checkIs(t, await(t, "end of Run", ended).err, nats.ErrConnectionClosed)
	checkIs(t, await(t, "end of Work", worked), nats.ErrConnectionClosed)
}
