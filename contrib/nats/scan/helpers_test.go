package scan_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/redoubt-go/redoubt/contrib/nats/natstest"
	"github.com/redoubt-go/redoubt/contrib/nats/scan"
	"github.com/redoubt-go/redoubt/logscan"
)

func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", show(got), show(want))
	}
}

// show returns v, or the value that v points to.
func show(v any) any {
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer && !p.IsNil() {
		return p.Elem().Interface()
	}
	return v
}

// checkIs reports the targets that err does not match.
func checkIs(t *testing.T, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("got %v, want an error that matches %v", err, target)
		}
	}
}

// A text is an accumulator that keeps all lines. It is equal to another only if
// every record is in it once and in order.
type text struct{ bytes.Buffer }

func newText() *text { return new(text) }

func (x *text) Add(r *logscan.Record) {
	x.Write(r.Line)
	x.WriteByte('\n')
}

func (x *text) Merge(o *text) error {
	x.Write(o.Bytes())
	return nil
}

func (x *text) MarshalBinary() ([]byte, error) { return bytes.Clone(x.Bytes()), nil }

func (x *text) UnmarshalBinary(b []byte) error {
	x.Reset()
	x.Write(b)
	return nil
}

// A sum is an accumulator of numbers whose result depends on the order and the
// grouping of its additions.
type sum struct{ v float64 }

func newSum() *sum { return new(sum) }

func (s *sum) Add(r *logscan.Record) { s.v += 1 / float64(1+len(r.Line)) * float64(1+r.Offset%977) }

func (s *sum) Merge(o *sum) error {
	s.v += o.v
	return nil
}

func (s *sum) MarshalBinary() ([]byte, error) {
	return fmt.Appendf(nil, "%x", math.Float64bits(s.v)), nil
}

func (s *sum) UnmarshalBinary(b []byte) error {
	var bits uint64
	_, err := fmt.Sscanf(string(b), "%x", &bits)
	s.v = math.Float64frombits(bits)
	return err
}

// logs writes files with a number of bytes each, of lines of different lengths,
// into a folder.
func logs(t testing.TB, sizes ...int) (dir string, paths []string) {
	t.Helper()
	dir = t.TempDir()
	for i, size := range sizes {
		var b bytes.Buffer
		for n := 0; b.Len() < size; n++ {
			fmt.Fprintf(&b, "%d.%d %s\n", i, n, strings.Repeat("x", n*n%71))
		}
		path := filepath.Join(dir, fmt.Sprintf("app.%02d.log", i))
		if err := os.WriteFile(path, b.Bytes()[:size], 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return dir, paths
}

func openFile(_ context.Context, name string) (io.ReadCloser, error) { return os.Open(name) }

// job returns a Job with short times for tests.
func job[A scan.Accumulator[A]](name string, newA func() A) scan.Job[A] {
	return scan.Job[A]{
		Name: name, Program: "test/1", New: newA, Open: openFile,
		Task: 10_000, AckWait: 2 * time.Second,
	}
}

// start starts a server for the test.
func start(t testing.TB) jetstream.JetStream {
	t.Helper()
	return natstest.JetStream(t, natstest.Start(t, natstest.Config{}).Client(t))
}

// within is the time that any scan of the tests may take on a loaded machine.
const within = 2 * time.Minute

func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	t.Cleanup(cancel)
	return ctx
}

// work starts n workers, which end with the test.
func work[A scan.Accumulator[A]](t testing.TB, js jetstream.JetStream, j scan.Job[A], n int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, n)
	for range n {
		go func() { ended <- j.Work(ctx, js) }()
	}
	stop = func() {
		cancel()
		for ; n > 0; n-- {
			if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("Work: %v", err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// local returns the answer of logscan.Reduce.
func local[A scan.Accumulator[A]](t testing.TB, j scan.Job[A], in logscan.Inputs) []byte {
	t.Helper()
	a, err := logscan.Reduce(context.Background(), j.Scanner, in, j.New)
	if err != nil {
		t.Fatal(err)
	}
	return form(t, a)
}

func form[A scan.Accumulator[A]](t testing.TB, a A) []byte {
	t.Helper()
	b, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// checkForm compares forms without printing them.
func checkForm(t testing.TB, got, want []byte) {
	t.Helper()
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("got %d bytes, want %d, different from byte %d on", len(got), len(want), i)
	}
}

func gzipped(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

// A years is an accumulator of the years of records.
type years struct{ text }

func newYears() *years { return new(years) }

func (y *years) Add(r *logscan.Record) { fmt.Fprintf(y, "%d ", r.Time().Year()) }

func (y *years) Merge(o *years) error { return y.text.Merge(&o.text) }
