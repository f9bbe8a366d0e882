package logscan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

// kept is an accumulator that keeps all lines, so that their order shows.
type kept struct{ lines []line }

func (k *kept) Add(r *logscan.Record) {
	k.lines = append(k.lines, line{string(r.Line), r.Offset, r.Next, r.Dropped, r.Partial})
}

func (k *kept) Merge(other *kept) error {
	k.lines = append(k.lines, other.lines...)
	return nil
}
func newKept() *kept { return new(kept) }

// mem is a file in memory that can be divided.
type mem struct {
	*bytes.Reader
	size int64
}

func (m mem) Close() error               { return nil }
func (m mem) Stat() (fs.FileInfo, error) { return memInfo{size: m.size}, nil }

type memInfo struct {
	fs.FileInfo
	size int64
}

func (i memInfo) Size() int64     { return i.size }
func (memInfo) Mode() fs.FileMode { return 0 }

func memInputs(texts ...string) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		for i, s := range texts {
			open := func(context.Context) (io.ReadCloser, error) {
				return mem{bytes.NewReader([]byte(s)), int64(len(s))}, nil
			}
			if !yield(logscan.Input{Name: fmt.Sprint(i), Open: open}, nil) {
				return
			}
		}
	}
}

// reduce returns all records of Reduce.
func reduce(s logscan.Scanner, in logscan.Inputs) ([]line, error) {
	got, err := logscan.Reduce(context.Background(), s, in, newKept)
	return got.lines, err
}

// parallelCase compares Reduce and Map with Records, and their counters.
func parallelCase(reduce func(logscan.Scanner, logscan.Inputs) ([]line, error), s logscan.Scanner, texts ...string) string {
	var seq, par, mapped logscan.Counters
	s.Stats = &seq
	want, _ := scanLines(s, memInputs(texts...))
	s.Stats = &par
	got, err := reduce(s, memInputs(texts...))
	if err != nil {
		return err.Error()
	}
	s.Stats = &mapped
	var lines []line
	for l, err := range logscan.Map(context.Background(), s, memInputs(texts...), func(r *logscan.Record) (line, bool) {
		return line{string(r.Line), r.Offset, r.Next, r.Dropped, r.Partial}, true
	}) {
		if err != nil {
			return err.Error()
		}
		lines = append(lines, l)
	}
	return cmp.Diff(want, got) + cmp.Diff(want, lines) + cmp.Diff(seq.Stats(), par.Stats()) + cmp.Diff(seq.Stats(), mapped.Stats())
}

// Oracle: Scanner.Records.
func parallelIsSequential(reduce func(logscan.Scanner, logscan.Inputs) ([]line, error)) gopter.Prop {
	return prop.ForAll(
		func(a, b string, workers, chunk, limit, join int, require bool) string {
			s := logscan.Scanner{Workers: workers, Chunk: chunk, MaxLine: limit, Join: joinerOf(join)}
			if require {
				s.Require = []string{"a", "b0"}
			}
			return parallelCase(reduce, s, a, b)
		}, text(), text(), gen.IntRange(1, 4), gen.IntRange(1, 60), gen.IntRange(1, 250), gen.IntRange(0, 7), gen.Bool())
}

// joinerOf returns one of eight Joiners, or nil.
func joinerOf(n int) *logscan.Joiner {
	if n == 0 {
		return nil
	}
	j := &logscan.Joiner{MaxLines: n%3 - 1}
	if n&1 != 0 {
		j.Start = func(l []byte) bool { return len(l) > 0 && l[0] == 'a' }
	}
	if n&2 != 0 {
		j.More = func(l []byte) bool { return len(l)%2 == 1 }
	}
	return j
}

// Oracle: a scan of the whole input.
func partsAreTheWhole(scan func(logscan.Scanner, logscan.Inputs) ([]line, []error)) gopter.Prop {
	return prop.ForAll(
		func(text string, limit, size, join int, packed bool) string {
			stream := []byte(text)
			if packed {
				stream = gz(stream)
			}
			s := logscan.Scanner{MaxLine: limit, Join: joinerOf(join)}
			open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(stream)), nil }
			want, _ := scanLines(s, one(logscan.Input{Open: open}))
			var got []line
			for at := 0; at < len(text); at += size {
				part, errs := scan(s, one(logscan.Input{Open: open, Offset: int64(at), Within: true, End: int64(at + size)}))
				if errs != nil {
					return fmt.Sprint(errs)
				}
				got = append(got, part...)
			}
			return cmp.Diff(want, got)
		}, text(), gen.IntRange(1, 250), gen.IntRange(1, 60), gen.IntRange(0, 7), gen.Bool())
}

func TestPartsAreTheWhole(t *testing.T) {
	checkProperty(t, 200, partsAreTheWhole(scanLines))
	checkBites(t, partsAreTheWhole(func(s logscan.Scanner, in logscan.Inputs) ([]line, []error) {
		lines, errs := scanLines(s, in)
		return lines[min(len(lines), 1):], errs
	}))
}

func TestParallelIsSequential(t *testing.T) {
	checkProperty(t, 200, parallelIsSequential(reduce))
	checkBites(t, parallelIsSequential(func(s logscan.Scanner, in logscan.Inputs) ([]line, error) {
		lines, err := reduce(s, in)
		return lines[:max(len(lines)-1, 0)], err
	}))
}

func TestChunkCuts(t *testing.T) {
	long := strings.Repeat("x", 100)
	texts := map[string]string{
		"line at the cut": "abc\ndef\nghi\n", "longer than chunks": long + "\n" + long + "\nz", "crlf": "a\r\nb\r\n\r\nc\r",
		"empty": "", "newlines": "\n\n\n\n", "byte order mark": "\xef\xbb\xbfab\ncd\n",
		"empty lines after a byte order mark": "\xef\xbb\xbf\n\n\na\n", "stack": "a\n x\n y\nb\n z\n", "no start": " x\n y\n",
	}
	for name, text := range texts {
		for chunk := 1; chunk <= len(text)+1; chunk++ {
			for _, join := range []*logscan.Joiner{nil, {}} {
				for _, require := range [][]string{nil, {"a"}} {
					s := logscan.Scanner{Workers: 3, Chunk: chunk, Join: join, Require: require}
					if diff := parallelCase(reduce, s, text); diff != "" {
						t.Fatalf("%s, chunks of %d, requiring %q: %s", name, chunk, require, diff)
					}
				}
			}
		}
	}
}

func TestFileShrinksUnderReduce(t *testing.T) {
	in := func(yield func(logscan.Input, error) bool) {
		yield(logscan.Input{Name: "a.log", Open: func(context.Context) (io.ReadCloser, error) {
			return mem{bytes.NewReader([]byte("one\ntwo\n")), 12}, nil
		}}, nil)
	}
	got, err := logscan.Reduce(t.Context(), logscan.Scanner{}, in, newKept)
	var bad *logscan.InputError
	if !errors.As(err, &bad) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v, want an InputError with ErrUnexpectedEOF", err)
	}
	checkEqual(t, len(got.lines), 2)
}

// While the first chunk is slow, the others wait, and memory is bounded.
func TestSlowFirstInput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		opened := 0
		in := func(yield func(logscan.Input, error) bool) {
			for i := range 100 {
				opened = i + 1
				r := readerFunc(func([]byte) (int, error) {
					if i == 0 {
						<-release
					}
					return 0, io.EOF
				})
				if !yield(logscan.Input{Name: fmt.Sprint(i), Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(r), nil }}, nil) {
					return
				}
			}
		}
		go func() {
			synctest.Wait()
			if opened > 20 {
				t.Errorf("got %d inputs open while the first is read, want a few", opened)
			}
			close(release)
		}()
		logscan.Reduce(t.Context(), logscan.Scanner{Workers: 2}, in, newKept)
		checkEqual(t, opened, 100)
	})
}

func TestParallelLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails when a goroutine is left
		var open int
		texts := slices.Repeat([]string{"a\nb\n"}, 50)
		sc := logscan.Scanner{Workers: 4}
		for range logscan.Map(t.Context(), sc, memInputs(texts...), func(r *logscan.Record) (int, bool) { return 0, true }) {
			break
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		boom := errors.New("boom")
		var last error
		n := 0
		for _, err := range logscan.Map(ctx, sc, tracked(&open, "a\nb\n"), func(r *logscan.Record) (int, bool) { return 0, true }) {
			cancel(boom)
			last, n = err, n+1
		}
		if !errors.Is(last, context.Canceled) && n > 2 || last != nil && !errors.Is(last, boom) {
			t.Errorf("last: got %v after %d", last, n)
		}
		checkEqual(t, open, 0)
		_, err := logscan.Reduce(ctx, sc, memInputs("a\n"), newKept)
		if !errors.Is(err, context.Canceled) || !errors.Is(err, boom) {
			t.Errorf("got %v, want both Canceled and the cause", err)
		}
	})
}

func TestReduceErrors(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "a.log")
	if err := os.WriteFile(good, []byte("a\nb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := logscan.Reduce(t.Context(), logscan.Scanner{}, logscan.Files(good, "missing", dir, good), newKept)
	checkEqual(t, len(got.lines), 4)
	if !errors.Is(err, fs.ErrNotExist) || len(strings.Split(err.Error(), "\n")) != 2 {
		t.Errorf("got %v, want two errors", err)
	}
	stop := errors.New("stop")
	sc := logscan.Scanner{Parser: logscan.JSON(), Malformed: func(*logscan.Record, error) error { return stop }}
	if _, err := logscan.Reduce(t.Context(), sc, memInputs("{}\nx\n"), newKept); err != stop {
		t.Errorf("got %v, want the hook's error", err)
	}
	fsys := fstest.MapFS{"a.gz": {Data: gz([]byte("one\ntwo\n"))}, "b.xz": {Data: []byte("\xfd7zXZ\x00\x00")}}
	got, err = logscan.Reduce(t.Context(), logscan.Scanner{}, logscan.Walk(fsys, nil), newKept)
	checkEqual(t, len(got.lines), 2)
	if !errors.Is(err, logscan.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

// A panic or Goexit in a function of the user reaches the caller, and no
// goroutine is left.
func TestCrashesReachTheCaller(t *testing.T) {
	boom := errors.New("boom")
	crashes := map[string]func(){"panic": func() { panic(boom) }, "Goexit": runtime.Goexit}
	for name, crash := range crashes {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var returned bool
				var got any
				done := make(chan struct{})
				go func() {
					defer close(done)
					defer func() { got = recover() }()
					text := strings.Repeat("line\n", 10_000)
					sc := logscan.Scanner{Chunk: 1000, Workers: 4}
					for range logscan.Map(t.Context(), sc, memInputs(text), func(*logscan.Record) (int, bool) {
						crash()
						return 0, true
					}) {
					}
					returned = true
				}()
				<-done
				if want := name == "panic"; returned || (got == boom) != want {
					t.Errorf("returned %t and recovered %v", returned, got)
				}
			})
		})
	}
}

func TestJoinerEndsAtEOF(t *testing.T) {
	sc := logscan.Scanner{Join: &logscan.Joiner{}}
	in := logscan.Readers("", strings.NewReader("a\n b\n"), strings.NewReader(" c\nd\n\n e"))
	got, _ := scanLines(sc, in)
	checkEqual(t, got, []line{
		{Line: "a\n b", Next: 5}, {Line: " c", Next: 3}, {Line: "d\n\n e", Offset: 3, Next: 8, Partial: true},
	})
	sc.MaxLine, sc.Join.MaxLines = 4, 3
	got, _ = scanLines(sc, logscan.Readers("", strings.NewReader("a\n 12345\n b\n c\n")))
	checkEqual(t, got, []line{{Line: "a\n 1", Next: 12, Dropped: 7}, {Line: " c", Offset: 12, Next: 15}})
	// A scan that is canceled does not deliver the record it holds. A later
	// scan reads it again, from Next.
	ctx, cancel := context.WithCancel(t.Context())
	r := readerFunc(func(p []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		cancel()
		return copy(p, "a\n b\nc\n"), nil
	})
	var errs int
	for rec, err := range sc.Records(ctx, logscan.Readers("", r)) {
		if err == nil {
			t.Errorf("got %q after the context has ended", rec.Line)
		}
		errs++
	}
	checkEqual(t, errs, 1)
}

// endless is a reader of n bytes of log lines.
type endless struct {
	n     int64
	block []byte
	peak  uint64
	reads int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	if e.reads++; e.reads%512 == 0 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		e.peak = max(e.peak, m.HeapAlloc)
	}
	n := copy(p, e.block)
	e.n -= int64(n)
	return n, nil
}

// The peak of the heap does not depend on the size of the input. 64 MiB and 1
// GiB of lines are compared.
func TestEqualPeakHeap(t *testing.T) {
	if raceEnabled || testing.Short() {
		t.Skip("slow under the race detector")
	}
	block := []byte(strings.Repeat(strings.Repeat("x", 1023)+"\n", 64))
	peak := func(size int64) uint64 {
		runtime.GC()
		e := &endless{n: size, block: block}
		for range logscan.Lines(e) {
		}
		return e.peak
	}
	small, large := peak(64<<20), peak(1<<30)
	if large > small+1<<20 {
		t.Errorf("got a peak of %d bytes for 1 GiB, want %d as for 64 MiB", large, small)
	}
}

// An input that is divided between scans delivers each record once, in Records,
// Reduce and Map, with and without a Joiner.
func TestDividedInput(t *testing.T) {
	text := "\ufeffone\n two\nthree\r\n\nfour " + strings.Repeat("x", 300) + "\n  five\nsix"
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	opens := map[string]func(context.Context) (io.ReadCloser, error){
		"file":   func(context.Context) (io.ReadCloser, error) { return os.Open(path) },
		"stream": func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil },
	}
	for name, open := range opens {
		for _, join := range []*logscan.Joiner{nil, {}} {
			for _, require := range [][]string{nil, {"o", "i"}} {
				s := logscan.Scanner{Join: join, Require: require, Chunk: 7, Workers: 2}
				want := scanAll(t, s, logscan.Input{Open: open})
				for size := int64(1); size < int64(len(text))+2; size += 13 {
					var records, mapped []string
					for at := int64(0); at < int64(len(text)); at += size {
						in := logscan.Input{Open: open, Offset: at, Within: true, End: at + size}
						records = append(records, scanAll(t, s, in)...)
						lines := logscan.Map(t.Context(), s, one(in), func(r *logscan.Record) (string, bool) { return string(r.Line), true })
						for line, err := range lines {
							if err != nil {
								t.Fatal(err)
							}
							mapped = append(mapped, line)
						}
					}
					if d := cmp.Diff(want, records); d != "" {
						t.Errorf("%s, join %v, require %v, size %d:\n%s", name, join != nil, require, size, d)
					}
					if d := cmp.Diff(want, mapped); d != "" {
						t.Errorf("%s, join %v, require %v, size %d, Map:\n%s", name, join != nil, require, size, d)
					}
				}
			}
		}
	}
}

func one(in logscan.Input) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) { yield(in, nil) }
}

func scanAll(t *testing.T, s logscan.Scanner, in logscan.Input) (got []string) {
	t.Helper()
	for rec, err := range s.Records(t.Context(), one(in)) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec.Line))
	}
	return got
}

// Inputs that take long to open are opened side by side, and read in order.
func TestInputsAreOpenedInParallel(t *testing.T) {
	for workers, want := range map[int]time.Duration{1: 2 * time.Second, 8: 300 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			in := func(yield func(logscan.Input, error) bool) {
				for i := range 40 {
					open := func(context.Context) (io.ReadCloser, error) {
						time.Sleep(50 * time.Millisecond)
						return io.NopCloser(strings.NewReader(fmt.Sprintln(i))), nil
					}
					if !yield(logscan.Input{Open: open}, nil) {
						return
					}
				}
			}
			next := 0
			for n, err := range logscan.Map(t.Context(), logscan.Scanner{Workers: workers}, in, func(r *logscan.Record) (string, bool) { return string(r.Line), true }) {
				if err != nil || n != fmt.Sprint(next) {
					t.Fatalf("got %q, %v, want %d", n, err, next)
				}
				next++
			}
			checkEqual(t, next, 40)
			if took := time.Since(begin); took > want {
				t.Errorf("with %d workers: %v, want at most %v", workers, took, want)
			}
		})
	}
}

// An error of Malformed ends the scan, also if it looks like an error of an
// input.
func TestErrorOfMalformedEndsMap(t *testing.T) {
	stop := &logscan.InputError{Name: "mine", Err: errors.New("stop")}
	s := logscan.Scanner{Parser: logscan.JSON("a"), Malformed: func(*logscan.Record, error) error { return stop }, Chunk: 4}
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("x\nx\nx\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var errs []error
	for _, err := range logscan.Map(t.Context(), s, logscan.Files(path, path), func(*logscan.Record) (int, bool) { return 0, true }) {
		errs = append(errs, err)
	}
	checkEqual(t, len(errs), 1)
	checkIs(t, errs[0], stop)
}

// The largest values of all fields are no overflow.
func TestLargestChunk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := logscan.Input{Offset: 4, End: math.MaxInt64, Open: func(context.Context) (io.ReadCloser, error) { return os.Open(path) }}
	for line, err := range logscan.Map(t.Context(), logscan.Scanner{Chunk: math.MaxInt}, one(in), func(r *logscan.Record) (string, bool) { return string(r.Line), true }) {
		if err != nil || line != "two" {
			t.Errorf("got %q, %v", line, err)
		}
	}
}

// A seeked is an input that counts the bytes that are read from it.
type seeked struct {
	io.ReadSeeker
	read int
}

func (s *seeked) Read(p []byte) (int, error) {
	n, err := s.ReadSeeker.Read(p)
	s.read += n
	return n, err
}

func (s *seeked) Close() error { return nil }

func TestReduceSeeksToOffset(t *testing.T) {
	text := strings.Repeat("a\n", 1<<20) + "b\n"
	src := &seeked{ReadSeeker: strings.NewReader(text)}
	in := func(yield func(logscan.Input, error) bool) {
		open := func(context.Context) (io.ReadCloser, error) { return src, nil }
		yield(logscan.Input{Name: "in", Offset: 2 << 20, Within: true, Open: open}, nil)
	}
	fn := func(r *logscan.Record) (string, bool) { return string(r.Line), true }
	var got []string
	for line, err := range logscan.Map(t.Context(), logscan.Scanner{}, in, fn) {
		if err != nil {
			t.Error(err)
		}
		got = append(got, line)
	}
	checkEqual(t, got, []string{"b"})
	if src.read > 1<<18 {
		t.Errorf("%d bytes of %d were read, want few", src.read, len(text))
	}
}
