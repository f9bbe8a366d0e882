package scan_test

import (
	"bytes"
	"context"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
	"github.com/redoubt-go/redoubt/logscan/sketch"
)

// The answer is that of Reduce, byte by byte, for any number of workers.
func TestAnswerIsThatOfReduce(t *testing.T) {
	dir, paths := logs(t, 123_456, 0, 9_999, 10_000, 10_001, 70_000)
	var packed strings.Builder
	for random := rand.New(rand.NewPCG(1, 2)); packed.Len() < 100_000; {
		fmt.Fprintln(&packed, random.Uint64())
	}
	gz := gzipped(packed.String())
	if len(gz) < 3*10_000 {
		t.Fatalf("only %d bytes are compressed", len(gz))
	}
	if err := os.WriteFile(dir+"/a.log.gz", gz, 0o600); err != nil {
		t.Fatal(err)
	}
	in := logscan.Files(append(paths, dir+"/a.log.gz")...)
	js := start(t)
	for _, workers := range []int{1, 2, 4} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			defer checkNoLeak(t)
			ctx := deadline(t)
			j := job("all", newText)
			stop := work(t, js, j, workers)
			defer stop()
			got, err := j.Run(ctx, js, in)
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, form(t, got), local(t, j, in))
		})
	}
}

// If a chunk is a task, the answer is that of Reduce also for accumulators
// whose result depends on the order and the grouping of its merges.
func TestSumsAreAddedInTheOrderOfReduce(t *testing.T) {
	_, paths := logs(t, 200_000, 30_000)
	js := start(t)
	j := job("sums", newSum)
	j.Scanner.Chunk = 10_000
	want := local(t, j, logscan.Files(paths...))
	other := j
	other.Scanner.Chunk = 20_000
	if bytes.Equal(want, local(t, other, logscan.Files(paths...))) {
		t.Fatal("the sum does not depend on its grouping")
	}
	work(t, js, j, 3)
	got, err := j.Run(deadline(t), js, logscan.Files(paths...))
	if err != nil {
		t.Fatal(err)
	}
	checkForm(t, form(t, got), want)
}

// A sketches is an accumulator of the sketches whose merge equals adding.
type sketches struct {
	counts   *sketch.Counts
	distinct *sketch.Distinct
	quantile *sketch.Quantile
}

func newSketches() *sketches {
	return &sketches{sketch.NewCounts(5000), sketch.NewDistinct(7), sketch.NewQuantile()}
}

func (s *sketches) Add(r *logscan.Record) {
	s.counts.Add(r.Line[:min(len(r.Line), 4)], 1)
	s.distinct.Add(r.Line)
	s.quantile.Add(float64(len(r.Line)))
}

func (s *sketches) Merge(o *sketches) error {
	return errors.Join(s.counts.Merge(o.counts), s.distinct.Merge(o.distinct), s.quantile.Merge(o.quantile))
}

func (s *sketches) MarshalBinary() ([]byte, error) {
	var forms [3][]byte
	for i, m := range []encoding.BinaryMarshaler{s.counts, s.distinct, s.quantile} {
		forms[i], _ = m.MarshalBinary()
	}
	return json.Marshal(forms)
}

func (s *sketches) UnmarshalBinary(b []byte) error {
	var forms [3][]byte
	err := json.Unmarshal(b, &forms)
	for i, m := range []encoding.BinaryUnmarshaler{s.counts, s.distinct, s.quantile} {
		err = errors.Join(err, m.UnmarshalBinary(forms[i]))
	}
	return err
}

// Sketches have the same bytes as after Reduce, with few and with many keys.
func TestSketchesAreThoseOfReduce(t *testing.T) {
	js := start(t)
	for _, size := range []int{30_000, 900_000} {
		_, paths := logs(t, size)
		j := job(fmt.Sprint("sketches", size), newSketches)
		work(t, js, j, 3)
		got, err := j.Run(deadline(t), js, logscan.Files(paths...))
		if err != nil {
			t.Fatal(err)
		}
		checkForm(t, form(t, got), local(t, j, logscan.Files(paths...)))
		if n := got.distinct.Estimate(); size > 500_000 && n < 10_000 {
			t.Errorf("only %d keys", n)
		}
	}
}

// A stream hides all methods of a file but Read and Close.
type stream struct{ io.ReadCloser }

// Inputs need not be files, nor have a known size.
func TestOtherOpeners(t *testing.T) {
	text := strings.Repeat("a line\n", 10_000)
	js := start(t)
	for _, test := range []struct {
		name  string
		tasks int
		open  func() io.ReadCloser
	}{
		{"seeks", 7, func() io.ReadCloser {
			return scan.Ranged(int64(len(text)), func(offset, end int64) (io.ReadCloser, error) {
				return io.NopCloser(strings.NewReader(text[offset:end])), nil
			})
		}},
		{"stream", 1, func() io.ReadCloser { return stream{io.NopCloser(strings.NewReader(text))} }},
		{"gzip", 1, func() io.ReadCloser {
			f, _ := fstest.MapFS{"a": {Data: gzipped(text)}}.Open("a")
			return f
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			j := job(test.name, newText)
			j.Open = func(context.Context, string) (io.ReadCloser, error) { return test.open(), nil }
			tasks := 0
			j.OnEvent = func(_ context.Context, e scan.Event) { tasks = max(tasks, e.Listed) }
			worker := j
			worker.OnEvent = nil
			work(t, js, worker, 2)
			got, err := j.Run(deadline(t), js, func(yield func(logscan.Input, error) bool) { yield(logscan.Input{Name: "in"}, nil) })
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, form(t, got), []byte(text))
			checkEqual(t, tasks, test.tasks)
		})
	}
}

// Offset, Within and End of an input mean the same as in Reduce.
func TestBoundsOfInputs(t *testing.T) {
	_, paths := logs(t, 100_000)
	js := start(t)
	for i, edit := range []func(*logscan.Input){
		func(in *logscan.Input) { in.Offset, in.Within = 12_345, true },
		func(in *logscan.Input) { in.End = 54_321 },
		func(in *logscan.Input) { in.Offset, in.Within, in.End = 30_000, true, 50_001 },
		func(in *logscan.Input) { in.End = 1 << 40 },
		func(in *logscan.Input) { in.End = 5000 },
	} {
		in := func(yield func(logscan.Input, error) bool) {
			for input, err := range logscan.Files(paths...) {
				edit(&input)
				yield(input, err)
			}
		}
		j := job(fmt.Sprint("bounds", i), newText)
		work(t, js, j, 2)
		got, err := j.Run(deadline(t), js, in)
		if err != nil {
			t.Fatal(err)
		}
		checkForm(t, form(t, got), local(t, j, in))
	}
}

// A file that grows is scanned up to the size that it had. A file that has
// become shorter is an error.
func TestChangingFiles(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	_, paths := logs(t, 25_000, 25_000)
	want, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	j := job("changing", newText)
	j.MaxAttempts, j.AckWait = 1, time.Second
	ended := goRun(ctx, js, j, logscan.Files(paths...))
	eventually(t, "queued", func() bool {
		s, err := js.Stream(ctx, "scan-changing")
		return err == nil && s.CachedInfo().State.Msgs == 8
	})
	if err := os.WriteFile(paths[0], append(bytes.Clone(want), "more\nand more\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(paths[1], 22_000); err != nil {
		t.Fatal(err)
	}
	work(t, js, j, 1)
	got := await(t, "answer", ended)
	checkForm(t, form(t, got.a), append(want, '\n'))
	if errs := got.err.(interface{ Unwrap() []error }).Unwrap(); len(errs) != 3 || !strings.Contains(errs[0].Error(), "the input has 22000 bytes and had 25000") {
		t.Errorf("got %v", errs)
	}
}

// Times without a year mean the same in all attempts: an input without a time
// of its own has the time of the beginning of the scan.
func TestYearsAreThoseOfTheScan(t *testing.T) {
	js := start(t)
	j := job("years", newYears)
	j.Scanner.Parser = logscan.Syslog(logscan.TimeParser{})
	j.Open = func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("Feb 29 12:00:00 host app: x\n")), nil
	}
	in := func(yield func(logscan.Input, error) bool) {
		old := logscan.Input{Name: "old", ModTime: time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)}
		_ = yield(old, nil) && yield(logscan.Input{Name: "new"}, nil)
	}
	begin(t, js, "years", scan.Spec(j.Program, time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)))
	work(t, js, j, 1)
	got, err := j.Run(deadline(t), js, in)
	if err != nil {
		t.Fatal(err)
	}
	checkEqual(t, string(form(t, got)), "2008 2016 ")
}

// Results that are larger than a message travel in parts, also checkpoints.
func TestLargeResults(t *testing.T) {
	server := natstest.Start(t, natstest.Config{Lines: "max_payload: 16KB"})
	js := natstest.JetStream(t, server.Client(t))
	_, paths := logs(t, 1_000_000)
	in := logscan.Files(paths...)
	j := job("large", newText)
	j.Task, j.Ahead = 100_000, 8
	work(t, js, j, 2)
	interrupted(t, js, j, in, 5)
	s, err := js.Stream(deadline(t), "scan-large")
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(deadline(t), jetstream.WithSubjectFilter("scan.large.state.>"))
	if err != nil {
		t.Fatal(err)
	}
	// Every part of the checkpoint, at most 500 KB, and none of an earlier one.
	if n := len(info.State.Subjects); n < 20 || n > 60 {
		t.Errorf("%d messages of checkpoints", n)
	}
	got, err := j.Run(deadline(t), js, in)
	if err != nil {
		t.Fatal(err)
	}
	checkForm(t, form(t, got), local(t, j, in))
}

// A huge is an accumulator whose binary form is too large.
type huge struct{ text }

func newHuge() *huge { return new(huge) }

func (h *huge) Merge(o *huge) error { return h.text.Merge(&o.text) }

func (h *huge) MarshalBinary() ([]byte, error) {
	if h.Len() == 0 {
		return nil, nil
	}
	return make([]byte, 64<<20+1), nil
}

// A result that is too large fails at once, with the size that is allowed.
func TestTooLargeResult(t *testing.T) {
	_, paths := logs(t, 1000)
	js := start(t)
	j := job("huge", newHuge)
	work(t, js, j, 1)
	_, err := j.Run(deadline(t), js, logscan.Files(paths...))
	failed, _ := errors.AsType[*scan.TaskError](err)
	if failed == nil {
		t.Fatalf("got %v", err)
	}
	checkEqual(t, failed, &scan.TaskError{
		Name: paths[0], Attempts: 1,
		Text: "the accumulator has 67108865 bytes in its binary form, at most 67108864 are allowed",
	})
}

// A growing is an accumulator that is small in a task and large after a merge.
type growing struct{ mib int }

func newGrowing() *growing { return new(growing) }

func (g *growing) Add(*logscan.Record) { g.mib = 40 }

func (g *growing) Merge(o *growing) error {
	g.mib += o.mib
	return nil
}

func (g *growing) MarshalBinary() ([]byte, error) { return make([]byte, g.mib<<20), nil }

func (g *growing) UnmarshalBinary(b []byte) error {
	g.mib = len(b) >> 20
	return nil
}

// An answer that grows too large for a checkpoint ends Run.
func TestTooLargeAnswer(t *testing.T) {
	_, paths := logs(t, 1000, 1000)
	js := start(t)
	j := job("growing", newGrowing)
	j.Ahead = 1
	work(t, js, j, 1)
	_, err := j.Run(deadline(t), js, logscan.Files(paths...))
	want := "scan: growing: checkpoint: the accumulator has 83886080 bytes in its binary form, at most 67108864 are allowed"
	checkEqual(t, fmt.Sprint(err), want)
}

// The server of the Debian package serves scans.
func TestDebianServer(t *testing.T) {
	server := natstest.Start(t, natstest.Config{Program: natstest.Installed(t), Lines: "max_payload: 16KB"})
	js := natstest.JetStream(t, server.Client(t))
	_, paths := logs(t, 300_000)
	in := logscan.Files(paths...)
	j := job("debian", newText)
	j.Task, j.Ahead = 30_000, 8
	work(t, js, j, 2)
	interrupted(t, js, j, in, 5)
	got, err := j.Run(deadline(t), js, in)
	if err != nil {
		t.Fatal(err)
	}
	checkForm(t, form(t, got), local(t, j, in))
}

func TestValidate(t *testing.T) {
	var empty scan.Job[*text]
	empty.Name, empty.Ahead, empty.AckWait, empty.MaxAttempts, empty.Replicas = "a.b", -1, -1, -1, -1
	empty.Scanner.Workers = -1
	checkEqual(t, fmt.Sprint(empty.Validate()), strings.Join([]string{
		`scan: Name is "a.b", want 1 to 64 letters, digits, - and _`,
		"scan: Program has 0 bytes, want 1 to 4096",
		"scan: Open is missing",
		"scan: New is missing",
		"scan: Ahead is -1, want at least 0 (1000)",
		"scan: AckWait is -1ns, want at least 0 (30s)",
		"scan: MaxAttempts is -1, want at least 0 (8)",
		"scan: Replicas is -1, want at least 0 (1)",
		"logscan: Workers is -1, want at least 0 (GOMAXPROCS)",
	}, "\n"))
	_, err := empty.Run(t.Context(), nil, nil)
	checkEqual(t, fmt.Sprint(err), fmt.Sprint(empty.Validate()))
	checkEqual(t, fmt.Sprint(empty.Work(t.Context(), nil)), fmt.Sprint(empty.Validate()))
	checkEqual(t, job("A-z_09", newText).Validate(), nil)
}

func TestTexts(t *testing.T) {
	checkEqual(t, fmt.Sprint(scan.KindResumed, scan.KindUnavailable, scan.Kind(7)), "resumed unavailable Kind(7)")
	e := &scan.TaskError{Name: "a", Offset: 10, End: 20, Attempts: 3, Text: "broken"}
	checkEqual(t, e.Error(), `scan: "a": bytes 10 to 20: failed after 3 attempts: broken`)
	checkEqual(t, e.LogValue().String(), "[name=a offset=10 end=20 attempts=3 text=broken]")
	event := scan.Event{Kind: scan.KindFailed, Name: "j", Err: e}
	if got := event.LogValue().String(); !strings.Contains(got, "kind=failed name=j") || !strings.Contains(got, "err=") {
		t.Error(got)
	}
}
