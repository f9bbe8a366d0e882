package scan_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

// interrupted runs a scan until a number of tasks are merged.
func interrupted[A scan.Accumulator[A]](t *testing.T, js jetstream.JetStream, j scan.Job[A], in logscan.Inputs, merged int) {
	t.Helper()
	ctx, cancel := context.WithCancel(deadline(t))
	defer cancel()
	j.OnEvent = func(_ context.Context, e scan.Event) {
		if e.Kind == scan.KindMerged && e.Merged >= merged {
			cancel()
		}
	}
	_, err := j.Run(ctx, js, in)
	checkIs(t, err, context.Canceled)
}

// A coordinator that begins again merges every task once, wherever it was
// interrupted.
func TestRunContinues(t *testing.T) {
	js := start(t)
	_, paths := logs(t, 123_456, 45_000)
	in := logscan.Files(paths...)
	for _, ahead := range []int{1, 8, 1000} {
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			defer checkNoLeak(t)
			j := job("continued", newText)
			j.Ahead = ahead
			stop := work(t, js, j, 2)
			defer stop()
			for _, merged := range []int{1, 4, 9, 16} {
				interrupted(t, js, j, in, merged)
			}
			resumed := 0
			j.OnEvent = func(_ context.Context, e scan.Event) {
				if e.Kind == scan.KindResumed {
					resumed++
				}
			}
			got, err := j.Run(deadline(t), js, in)
			if err != nil {
				t.Fatal(err)
			}
			checkForm(t, form(t, got), local(t, j, in))
			checkEqual(t, resumed, 1)
		})
	}
}

// A Run of other inputs, of another size of tasks or of another program does
// not continue a scan, and does not disturb it.
func TestOtherScanIsRefused(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	_, paths := logs(t, 50_000, 50_000, 50_000)
	in := logscan.Files(paths[:2]...)
	j := job("refused", newText)
	j.Ahead = 8
	stop := work(t, js, j, 1)
	interrupted(t, js, j, in, 6) // the checkpoint is after 5, the tasks of the first input
	stop()
	for _, test := range []struct {
		name string
		edit func(*scan.Job[*text])
		in   logscan.Inputs
		want error
	}{
		{"fewer inputs", func(*scan.Job[*text]) {}, logscan.Files(), scan.ErrChanged},
		{"other inputs", func(*scan.Job[*text]) {}, logscan.Files(paths[1], paths[0]), scan.ErrChanged},
		{"another first input", func(*scan.Job[*text]) {}, logscan.Files(paths[2], paths[1]), scan.ErrChanged},
		{"other tasks", func(j *scan.Job[*text]) { j.Task = 7000 }, in, scan.ErrChanged},
		{"other program", func(j *scan.Job[*text]) { j.Program = "test/2" }, in, scan.ErrVersion},
	} {
		other := j
		test.edit(&other)
		if _, err := other.Run(ctx, js, test.in); err == nil {
			t.Errorf("%s: no error", test.name)
		} else {
			checkIs(t, err, test.want)
		}
	}
	other := j
	other.Program = "test/2"
	err := other.Work(ctx, js)
	checkIs(t, err, scan.ErrVersion)
	checkEqual(t, fmt.Sprint(err), `scan: refused: scan: other version: the scan is of program "test/1", this program is "test/2"`)

	work(t, js, j, 1)
	got, err := j.Run(ctx, js, in)
	if err != nil {
		t.Fatal(err)
	}
	checkForm(t, form(t, got), local(t, j, in))
}

// Inputs that change after their tasks were queued are noticed.
func TestChangedQueueIsRefused(t *testing.T) {
	js := start(t)
	_, paths := logs(t, 20_000, 20_000)
	j := job("changed", newText)
	ctx, cancel := context.WithCancel(deadline(t))
	ended := goRun(ctx, js, j, logscan.Files(paths...))
	stream := func() jetstream.Stream {
		s, err := js.Stream(deadline(t), "scan-changed")
		if err != nil {
			return nil
		}
		return s
	}
	eventually(t, "queued", func() bool {
		s := stream()
		return s != nil && s.CachedInfo().State.Msgs == 6 // the job, a checkpoint and four tasks
	})
	cancel()
	checkIs(t, await(t, "end", ended).err, context.Canceled)
	work(t, js, j, 1)
	_, err := j.Run(deadline(t), js, logscan.Files(paths[1], paths[0]))
	checkIs(t, err, scan.ErrChanged)
}

// Of two coordinators, the second finishes the scan.
func TestSecondRunReplacesTheFirst(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	_, paths := logs(t, 100_000)
	in := logscan.Files(paths...)
	for _, ahead := range []int{8, 1000} { // a checkpoint after each task, and at the end
		t.Run(fmt.Sprint(ahead), func(t *testing.T) {
			j := job(fmt.Sprint("twice", ahead), newText)
			j.Ahead = ahead
			one := goRun(ctx, js, j, in)
			eventually(t, "begun", func() bool { _, err := js.Consumer(ctx, "scan-"+j.Name, "workers"); return err == nil })
			resumed := make(chan struct{})
			second := j
			second.OnEvent = func(_ context.Context, e scan.Event) {
				if e.Kind == scan.KindResumed {
					close(resumed)
				}
			}
			two := goRun(ctx, js, second, in)
			await(t, "second coordinator", resumed)
			work(t, js, j, 2)
			err := await(t, "end of the first", one).err
			if !errors.Is(err, scan.ErrReplaced) && !errors.Is(err, jetstream.ErrStreamNotFound) { // the second has ended
				t.Errorf("got %v", err)
			}
			got := await(t, "answer", two)
			if got.err != nil {
				t.Fatal(got.err)
			}
			checkForm(t, form(t, got.a), local(t, j, in))
		})
	}
}

// begin stores the beginning of a scan.
func begin(t *testing.T, js jetstream.JetStream, name string, spec []byte) {
	t.Helper()
	_, err := js.CreateStream(deadline(t), jetstream.StreamConfig{
		Name: "scan-" + name, Retention: jetstream.WorkQueuePolicy, MaxMsgsPerSubject: 1,
		Subjects: []string{"scan." + name + ".job", "scan." + name + ".task.>", "scan." + name + ".done.>", "scan." + name + ".state.>"},
	})
	if err == nil {
		_, err = js.Publish(deadline(t), "scan."+name+".job", spec)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A message of a later format is refused by workers and coordinators.
func TestLaterFormatIsRefused(t *testing.T) {
	ctx := deadline(t)
	js := start(t)
	j := job("later", newText)
	begin(t, js, "later", []byte("J\x02..."))
	_, err := j.Run(ctx, js, logscan.Files())
	checkIs(t, err, scan.ErrVersion)
	if want := "message of format 2, this program has format 1"; !strings.Contains(fmt.Sprint(err), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
