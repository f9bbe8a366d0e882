package logscan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

// kept is an accumulator that keeps all it sees, so that order shows.
type kept struct{ lines []line }

func (k *kept) Add(r *logscan.Record) {
	k.lines = append(k.lines, line{string(r.Line), r.Offset, r.Next, r.Dropped, r.Partial})
}
func (k *kept) Merge(other *kept) { k.lines = append(k.lines, other.lines...) }
func newKept() *kept              { return new(kept) }

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

// parallelCase compares Reduce and Map with Records, and the counters too.
func parallelCase(s logscan.Scanner, texts ...string) string {
	var seq, par, mapped logscan.Counters
	s.Stats = &seq
	want, _ := scanLines(s, memInputs(texts...))
	s.Stats = &par
	got, err := logscan.Reduce(context.Background(), s, memInputs(texts...), newKept)
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
	a, b := seq.Stats(), par.Stats()
	a.ReadBytes, b.ReadBytes, a.DecodedBytes, b.DecodedBytes = 0, 0, 0, 0 // the ends of chunks are read twice
	return cmp.Diff(want, got.lines) + cmp.Diff(want, lines) + cmp.Diff(a, b)
}

// Oracle: Scanner.Records.
func TestP2_ParallelIsSequential(t *testing.T) {
	property(t, "Reduce and Map are Records", prop.ForAll(
		func(a, b string, workers, chunk, limit int, join, require bool) string {
			s := logscan.Scanner{Workers: workers, Chunk: chunk, MaxLine: limit}
			if join {
				s.Join = &logscan.Joiner{Start: func(l []byte) bool { return len(l) > 0 && l[0] == 'a' }, MaxLines: 3}
			}
			if require {
				s.Require = []string{"a", "b0"}
			}
			return parallelCase(s, a, b)
		}, text(), text(), gen.IntRange(1, 4), gen.IntRange(1, 60), gen.IntRange(1, 250), gen.Bool(), gen.Bool()))
}

func TestTrap12_ChunkCuts(t *testing.T) {
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
					if diff := parallelCase(s, text); diff != "" {
						t.Fatalf("%s, chunks of %d, requiring %q: %s", name, chunk, require, diff)
					}
				}
			}
		}
	}
}

func TestTrap13_FileShrinksUnderReduce(t *testing.T) {
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
	check(t, "records", len(got.lines), 2)
}

// Memory is bounded while the first chunk is slow: the others wait.
func TestTrap14_SlowFirstInput(t *testing.T) {
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
		check(t, "inputs", opened, 100)
	})
}

func TestTrap07_ParallelLeft(t *testing.T) {
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
		check(t, "open", open, 0)
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
	check(t, "records", len(got.lines), 4)
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
	check(t, "records", len(got.lines), 2)
	if !errors.Is(err, logscan.ErrUnsupported) {
		t.Errorf("got %v, want ErrUnsupported", err)
	}
}

// What a function of the user's does to its goroutine reaches the caller, and no goroutine is left.
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

func TestTrap19_JoinerEndsAtEOF(t *testing.T) {
	sc := logscan.Scanner{Join: &logscan.Joiner{}}
	in := logscan.Readers("", strings.NewReader("a\n b\n"), strings.NewReader(" c\nd\n\n e"))
	got, _ := scanLines(sc, in)
	check(t, "records", got, []line{
		{Line: "a\n b", Next: 5}, {Line: " c", Next: 3}, {Line: "d\n\n e", Offset: 3, Next: 8, Partial: true},
	})
	sc.MaxLine, sc.Join.MaxLines = 4, 3
	got, _ = scanLines(sc, logscan.Readers("", strings.NewReader("a\n 12345\n b\n c\n")))
	check(t, "bounded records", got, []line{{Line: "a\n 1", Next: 12, Dropped: 7}, {Line: " c", Offset: 12, Next: 15}})
	// A scan that is cancelled keeps what it holds: it is read again from Next.
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
	check(t, "errors", errs, 1)
}

// endless is n bytes of log lines.
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

// The peak of the heap does not depend on the size of the input: 64 MiB and 1
// GiB, in blocks of lines; nothing else in the code knows the size.
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

// Oracle: a stable sort.
func TestP10_MergeIsStableSort(t *testing.T) {
	property(t, "Merge is a stable sort", prop.ForAll(
		func(a, b, c []uint8) string {
			var seqs []func(func(*logscan.Record, error) bool)
			var want []string
			for i, keys := range [][]uint8{a, b, c} {
				slices.Sort(keys)
				var log strings.Builder
				for _, k := range keys {
					fmt.Fprintf(&log, "%03d %d\n", k, i)
					want = append(want, fmt.Sprintf("%03d %d", k, i))
				}
				seqs = append(seqs, logscan.Lines(strings.NewReader(log.String())))
			}
			slices.SortStableFunc(want, func(a, b string) int { return strings.Compare(a[:3], b[:3]) })
			var got []string
			for r := range logscan.Merge(func(a, b *logscan.Record) int { return bytes.Compare(a.Line[:3], b.Line[:3]) }, seqs[0], seqs[1], seqs[2]) {
				got = append(got, string(r.Line))
			}
			return cmp.Diff(want, got)
		}, gen.SliceOf(gen.UInt8()), gen.SliceOf(gen.UInt8()), gen.SliceOf(gen.UInt8())))
}

func TestTrap35_MergeStopsItsInputs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var open int
		sc := logscan.Scanner{}
		a, b := sc.Records(t.Context(), tracked(&open, "a\nc\n")), sc.Records(t.Context(), tracked(&open, "a\nb\n"))
		broken := sc.Records(t.Context(), logscan.Files("missing"))
		var errs int
		for _, err := range logscan.Merge(func(a, b *logscan.Record) int { return bytes.Compare(a.Line, b.Line) }, a, broken, b) {
			if err != nil {
				errs++
				continue
			}
			break
		}
		check(t, "open, errors", []int{open, errs}, []int{0, 1})
	})
}

// spoken is a sequence of texts, told at times since its beginning. It heeds its
// context, and counts those that have not ended.
func spoken(running *atomic.Int32, at map[time.Duration]string, end time.Duration) func(context.Context) iter.Seq2[string, error] {
	return func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			running.Add(1)
			defer running.Add(-1)
			begin := time.Now()
			for _, d := range append(slices.Sorted(maps.Keys(at)), end) {
				select {
				case <-time.After(time.Until(begin.Add(d))):
				case <-ctx.Done():
					yield("", ctx.Err())
					return
				}
				if text, ok := at[d]; ok && !yield(text, nil) {
					return
				}
			}
		}
	}
}

func TestTrap35_SilentInputIsNotWaitedForLong(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name string
		wait time.Duration
		want string
	}{
		// b is silent until 20 s; what a tells is held up by a second in all, not each time.
		{"a second", 0, "1@1s 3@3s 4@4s 2@20s 5@21s"},
		{"long enough", 30 * s, "1@20s 2@20s 3@50s 4@50s 5@50s"},
		{"not at all", -1, "1@500ms 3@3s 4@4s 2@20s 5@21s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running atomic.Int32
				a := spoken(&running, map[time.Duration]string{s / 2: "1", 3 * s: "3", 4 * s: "4", 21 * s: "5"}, 22*s)
				b := spoken(&running, map[time.Duration]string{20 * s: "2"}, 60*s)
				begin := time.Now()
				var got []string
				for v, err := range logscan.MergeLive(t.Context(), tt.wait, strings.Compare, a, b) {
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, fmt.Sprintf("%s@%v", v, time.Since(begin)))
				}
				check(t, "told", strings.Join(got, " "), tt.want)
				check(t, "running", running.Load(), int32(0))
			})
		})
	}
}

func TestTrap35_LiveMergeEnds(t *testing.T) {
	never := map[time.Duration]string{time.Hour: "late"}
	now := map[time.Duration]string{0: "now"}
	t.Run("loop left", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			for v := range logscan.MergeLive(t.Context(), -1, strings.Compare, spoken(&running, never, time.Hour), spoken(&running, now, time.Hour)) {
				check(t, "first", v, "now")
				break
			}
			check(t, "running", running.Load(), int32(0))
		})
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			cause := errors.New("shut down")
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Minute, func() { cancel(cause) })
			var errs []error
			for _, err := range logscan.MergeLive(ctx, 0, strings.Compare, spoken(&running, never, time.Hour), spoken(&running, never, time.Hour)) {
				errs = append(errs, err)
			}
			if len(errs) != 1 || !errors.Is(errs[0], cause) || !errors.Is(errs[0], context.Canceled) {
				t.Errorf("got %v, want one error that is both canceled and %v", errs, cause)
			}
			check(t, "running", running.Load(), int32(0))
		})
	})
	t.Run("panic", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var running atomic.Int32
			defer func() {
				check(t, "panic", recover(), any("broken"))
				check(t, "running", running.Load(), int32(0))
			}()
			broken := func(context.Context) iter.Seq2[string, error] {
				return func(func(string, error) bool) { panic("broken") }
			}
			for range logscan.MergeLive(t.Context(), 0, strings.Compare, spoken(&running, never, time.Hour), broken) {
			}
		})
	})
	t.Run("errors", func(t *testing.T) {
		bad := errors.New("bad")
		failing := func(context.Context) iter.Seq2[string, error] {
			return func(yield func(string, error) bool) { _ = yield("", bad) && yield("a", nil) && yield("", bad) }
		}
		var got []string
		for v, err := range logscan.MergeLive(t.Context(), 0, strings.Compare, failing) {
			got = append(got, fmt.Sprint(v, err))
		}
		check(t, "told", got, []string{"bad", "a<nil>", "bad"})
	})
}

// Oracle: Merge, which is held against a stable sort.
func TestP10_LiveMergeIsMerge(t *testing.T) {
	property(t, "MergeLive of sequences that are never silent is Merge", prop.ForAll(
		func(lists [][]int) string {
			var seqs []iter.Seq2[int, error]
			var lives []func(context.Context) iter.Seq2[int, error]
			for i, list := range lists {
				slices.Sort(list)
				seq := func(yield func(int, error) bool) {
					for _, v := range list {
						if !yield(10*v+i, nil) {
							return
						}
					}
				}
				seqs = append(seqs, seq)
				lives = append(lives, func(context.Context) iter.Seq2[int, error] { return seq })
			}
			tens := func(a, b int) int { return a/10 - b/10 }
			var got, want []int
			for v := range logscan.MergeLive(t.Context(), time.Hour, tens, lives...) {
				got = append(got, v)
			}
			for v := range logscan.Merge(tens, seqs...) {
				want = append(want, v)
			}
			return cmp.Diff(want, got)
		}, gen.SliceOfN(5, gen.SliceOf(gen.IntRange(0, 50)))))
}

func TestReorder(t *testing.T) {
	base := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := parserFunc(func(r *logscan.Record) error {
		if r.Line[0] != '-' {
			r.SetTime(base.Add(time.Duration(r.Line[0]-'0') * time.Second))
		}
		return nil
	})
	run := func(log string, most int) (got []string) {
		in := logscan.Readers("", strings.NewReader(strings.ReplaceAll(log, " ", "\n")))
		for r := range logscan.Reorder((logscan.Scanner{Parser: p}).Records(t.Context(), in), 2*time.Second, most) {
			got = append(got, string(r.Line))
		}
		return got
	}
	check(t, "in slack", strings.Join(run("2 1 3b 3a - 4", 0), " "), "1 2 3b 3a - 4")
	check(t, "too late", strings.Join(run("1 5 2 6", 0), " "), "1 2 5 6")
	check(t, "bounded", strings.Join(run("4 3 2 1", 2), " "), "2 1 3 4")
}
