package logscan_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan"
)

// gz returns the parts as gzip members.
func gz(parts ...[]byte) []byte {
	var b bytes.Buffer
	for _, p := range parts {
		w := gzip.NewWriter(&b)
		w.Write(p)
		w.Close()
	}
	return b.Bytes()
}

// bz2 is "one\ntwo\n" as bzip2(1) packs it.
const bz2 = "BZh91AY&SY\xa7\x14\x2b\x77\x00\x00\x02\xc1\x80\x00\x10\x02\x01\x84\x80\x20\x00\x21\x80\x0c\x02\x38\xf5\x1b\x8b\xb9\x22\x9c\x28\x48\x53\x8a\x15\xbb\x80"

// row is what tests look at in a record.
type row struct {
	Line    string
	Dropped int64
	Partial bool
}

// rows scans one stream and returns its records and errors.
func rows(s logscan.Scanner, r io.Reader) (got []row, errs []error) {
	for rec, err := range s.Records(context.Background(), logscan.Readers("in", r)) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		got = append(got, row{string(rec.Line), rec.Dropped, rec.Partial})
	}
	return got, errs
}

// whole makes rows of lines that are neither cut nor partial.
func whole(lines ...string) (rs []row) {
	for _, l := range lines {
		rs = append(rs, row{Line: l})
	}
	return rs
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s: got (+), want (-):\n%s", what, d)
	}
}

func TestTrap01_LastLineWithoutNewline(t *testing.T) {
	tests := []struct {
		name, in string
		want     []row
	}{
		{"empty", "", nil},
		{"newline", "\n", whole("")},
		{"two newlines", "\n\n", whole("", "")},
		{"terminated", "a\nb\n", whole("a", "b")},
		{"unterminated", "a\nb", []row{{Line: "a"}, {Line: "b", Partial: true}}},
		{"only unterminated", "a", []row{{Line: "a", Partial: true}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, errs := rows(logscan.Scanner{}, strings.NewReader(tt.in))
			check(t, "records", got, tt.want)
			check(t, "errors", len(errs), 0)
		})
	}
	// The shape of the samples people share: 2000 lines, the last unterminated.
	sample := strings.TrimSuffix(strings.Repeat("Dec 10 06:55:46 LabSZ sshd[24200]: Failed password\r\n", 2000), "\r\n")
	got, _ := rows(logscan.Scanner{}, strings.NewReader(sample))
	check(t, "lines of the sample", len(got), 2000)
}

func TestTrap02_CarriageReturn(t *testing.T) {
	tests := []struct {
		name, in string
		want     []row
	}{
		{"crlf", "a\r\nb\r\n", whole("a", "b")},
		{"two", "a\r\r\n", whole("a\r")},
		{"alone is data", "a\rb\n\rc\n", whole("a\rb", "\rc")},
		{"at the end", "a\r", []row{{Line: "a", Partial: true}}},
		{"not counted towards MaxLine", "abcd\r\nx\n", whole("abcd", "x")},
		{"dropped", "abcde\r\nx\n", []row{{Line: "abcd", Dropped: 1}, {Line: "x"}}},
		{"among the dropped", "abcd\rf\nx\n", []row{{Line: "abcd", Dropped: 2}, {Line: "x"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, _ := rows(logscan.Scanner{MaxLine: 4}, r)
				check(t, "records", got, tt.want)
			}
		})
	}
	// The "\r" is the last byte of a block, its newline the first of the next.
	for size := 65534; size <= 65538; size++ {
		line := strings.Repeat("x", size)
		got, _ := rows(logscan.Scanner{}, strings.NewReader(line+"\r\ny\n"))
		check(t, fmt.Sprint("line of ", size), got, whole(line, "y"))
	}
}

func TestTrap03_BytesAsTheyAre(t *testing.T) {
	in := "a\x00b\n\xff\xfe\n\xe2\x82\n\x1b[31m\n\xef\xbb\xbfx\n"
	got, _ := rows(logscan.Scanner{}, strings.NewReader(in))
	check(t, "records", got, whole("a\x00b", "\xff\xfe", "\xe2\x82", "\x1b[31m", "\xef\xbb\xbfx"))

	type at struct {
		Line         string
		Offset, Next int64
	}
	for _, in := range []string{"\xef\xbb\xbfa\nb", string(gz([]byte("\xef\xbb\xbfa\nb")))} {
		var ats []at
		for rec := range logscan.Lines(iotest.OneByteReader(strings.NewReader(in))) {
			ats = append(ats, at{string(rec.Line), rec.Offset, rec.Next})
		}
		check(t, "after a byte order mark", ats, []at{{"a", 3, 5}, {"b", 5, 6}})
	}
	for _, in := range []string{"\xef", "\xef\xbb", "\xef\xbb\xbf"} {
		var n int
		for range logscan.Lines(strings.NewReader(in)) {
			n++
		}
		check(t, fmt.Sprintf("records of %q", in), n == 1, len(in) < 3)
	}
}

func TestTrap04_MaxLine(t *testing.T) {
	for _, size := range []int{1, 7, 65534, 65535, 65536, 65537, 256 << 10} {
		for _, n := range []int{size - 1, size, size + 1, size + 2, 3 * size} {
			for _, term := range []string{"\n", "\r\n", ""} {
				kept := min(n, size)
				want := []row{{strings.Repeat("x", kept), int64(n - kept), term == ""}}
				in := strings.Repeat("x", n) + term
				if term != "" {
					in += "next\n"
					want = append(want, row{"next"[:min(4, size)], int64(4 - min(4, size)), false})
				} else if n == 0 {
					want = nil
				}
				got, errs := rows(logscan.Scanner{MaxLine: size}, strings.NewReader(in))
				if !cmp.Equal(got, want) || errs != nil {
					t.Errorf("MaxLine %d, line of %d ended by %q: got %d records, errors %v", size, n, term, len(got), errs)
				}
			}
		}
	}
	got, _ := rows(logscan.Scanner{MaxLine: -1}, strings.NewReader(strings.Repeat("x", 256<<10+1)))
	check(t, "dropped with a negative MaxLine", got[0].Dropped, int64(1))
}

// onesReader gives n bytes of one line.
type onesReader struct{ n int64 }

func (r *onesReader) Read(p []byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.n)]
	p[0] = '1'
	for i := 1; i < len(p); i *= 2 {
		copy(p[i:], p[:i])
	}
	r.n -= int64(len(p))
	return len(p), nil
}

func TestTrap04_BombHeap(t *testing.T) {
	const size = 256 << 20
	var before, after runtime.MemStats
	var kept, dropped int64
	runtime.ReadMemStats(&before)
	for rec := range logscan.Lines(&onesReader{size}) {
		kept, dropped = int64(len(rec.Line)), rec.Dropped
	}
	runtime.ReadMemStats(&after)
	check(t, "bytes kept and dropped", []int64{kept, dropped}, []int64{256 << 10, size - 256<<10})
	// All that was allocated, collected or not, is more than the heap ever held.
	if got := after.TotalAlloc - before.TotalAlloc; got >= 8<<20 {
		t.Errorf("scan of a line of %d bytes allocated %d bytes, want less than 8 MiB", size, got)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestTrap05_OffsetAndNext(t *testing.T) {
	in := "ab\r\n\nlonger than six\r\nx\ry\nend\r"
	type at struct{ Offset, Next, Num int64 }
	var got []at
	for rec := range (logscan.Scanner{MaxLine: 6}).Records(t.Context(), logscan.Readers("", strings.NewReader(in))) {
		got = append(got, at{rec.Offset, rec.Next, rec.Num})
	}
	check(t, "offsets", got, []at{{0, 4, 1}, {4, 5, 2}, {5, 22, 3}, {22, 26, 4}, {26, 30, 5}})
}

// at makes the inputs begin at an offset.
func at(off int64, in logscan.Inputs) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		for input, err := range in {
			input.Offset = off
			if !yield(input, err) {
				return
			}
		}
	}
}

func TestTrap05_OffsetBeyondEnd(t *testing.T) {
	for rec, err := range (logscan.Scanner{}).Records(t.Context(), at(9, logscan.Readers("cut.log", strings.NewReader("short\n")))) {
		var in *logscan.InputError
		if rec != nil || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &in) || in.Offset != 6 {
			t.Errorf("got %v, %v, want io.ErrUnexpectedEOF at byte 6", rec, err)
		}
	}
}

func TestTrap06_Readers(t *testing.T) {
	const in = "one\ntwo\nthree"
	want := append(whole("one", "two"), row{Line: "three", Partial: true})
	broken := errors.New("broken")
	tests := []struct {
		name string
		r    io.Reader
		err  error
	}{
		{"one byte", iotest.OneByteReader(strings.NewReader(in)), nil},
		{"half", iotest.HalfReader(strings.NewReader(in)), nil},
		{"data with EOF", iotest.DataErrReader(strings.NewReader(in)), nil},
		{"error after data", io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken)), broken},
		{"error with data", iotest.DataErrReader(io.MultiReader(strings.NewReader(in), iotest.ErrReader(broken))), broken},
		{"error only once", iotest.TimeoutReader(io.MultiReader(strings.NewReader(in), strings.NewReader("never read\n"))), iotest.ErrTimeout},
		{"some empty reads", io.MultiReader(&emptyReads{50}, strings.NewReader(in)), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, errs := rows(logscan.Scanner{}, tt.r)
			check(t, "records", got, want)
			if tt.err == nil && len(errs) > 0 || tt.err != nil && (len(errs) != 1 || !errors.Is(errs[0], tt.err)) {
				t.Errorf("errors: got %v, want %v once", errs, tt.err)
			}
		})
	}
	// The error comes while more of a magic is looked for, and never again.
	got, errs := rows(logscan.Scanner{}, &brokenOnce{"B", broken})
	check(t, "records before an error at the first look", got, []row{{Line: "B", Partial: true}})
	if len(errs) != 1 || !errors.Is(errs[0], broken) {
		t.Errorf("error at the first look: got %v, want %v", errs, broken)
	}
	_, errs = rows(logscan.Scanner{}, &emptyReads{1 << 30})
	if len(errs) != 1 || !errors.Is(errs[0], io.ErrNoProgress) {
		t.Errorf("only empty reads: got %v, want io.ErrNoProgress", errs)
	}
}

// brokenOnce gives text and err at once, and after that the end.
type brokenOnce struct {
	text string
	err  error
}

func (r *brokenOnce) Read(p []byte) (int, error) {
	n, err := copy(p, r.text), r.err
	*r = brokenOnce{"", io.EOF}
	return n, err
}

// emptyReads gives (0, nil) n times, then the end.
type emptyReads struct{ n int }

func (r *emptyReads) Read([]byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	r.n--
	return 0, nil
}

// tracked is inputs that count what is open.
func tracked(open *int, texts ...string) logscan.Inputs {
	return func(yield func(logscan.Input, error) bool) {
		for i, text := range texts {
			in := logscan.Input{Name: fmt.Sprint(i), Open: func(context.Context) (io.ReadCloser, error) {
				*open++
				return struct {
					io.Reader
					io.Closer
				}{strings.NewReader(text), closerFunc(func() error { *open--; return nil })}, nil
			}}
			if !yield(in, nil) {
				return
			}
		}
	}
}

type closerFunc func() error

func (f closerFunc) Close() error { return f() }

func TestTrap07_LoopLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
		var open int
		var sc logscan.Scanner
		in := tracked(&open, "a\nb\n", "c\n")
		for range sc.Records(t.Context(), in) {
			check(t, "open in the loop", open, 1)
			break
		}
		check(t, "open after break", open, 0)
		func() {
			defer func() { check(t, "panic", recover(), any("boom")) }()
			for range sc.Records(t.Context(), in) {
				panic("boom")
			}
		}()
		check(t, "open after a panic", open, 0)
		done := make(chan bool)
		go func() {
			defer close(done)
			for range sc.Records(t.Context(), in) {
				runtime.Goexit()
			}
		}()
		<-done
		check(t, "open after Goexit", open, 0)
	})
}

func TestTrap07_ContextEnds(t *testing.T) {
	var open, records int
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	var errs []error
	var counters logscan.Counters
	sc := logscan.Scanner{Stats: &counters}
	for _, err := range sc.Records(ctx, tracked(&open, "a\nb\n", "c\n")) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		records++
		cancel(cause)
	}
	check(t, "records, open", []int{records, open}, []int{1, 0})
	if len(errs) != 1 || !errors.Is(errs[0], context.Canceled) || !errors.Is(errs[0], cause) {
		t.Errorf("errors: got %v, want one that matches context.Canceled and the cause", errs)
	}
	before := counters.Stats()
	for rec, err := range sc.Records(ctx, tracked(&open, "a\n")) {
		if rec != nil || !errors.Is(err, context.Canceled) || !errors.Is(err, cause) {
			t.Errorf("with a context that is done: got %v, %v", rec, err)
		}
	}
	check(t, "counted with a context that is done", counters.Stats(), before)
}

func TestTrap07_ContextEndsBetweenInputs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	opened, failed := 0, 0
	in := logscan.Input{Open: func(context.Context) (io.ReadCloser, error) {
		opened++
		cancel()
		return io.NopCloser(strings.NewReader("")), nil
	}}
	for _, err := range (logscan.Scanner{}).Records(ctx, func(yield func(logscan.Input, error) bool) {
		for yield(in, nil) {
		}
	}) {
		if errors.Is(err, context.Canceled) {
			failed++
		}
	}
	check(t, "inputs opened, errors", []int{opened, failed}, []int{1, 1})
}

func TestTrap07_RangedTwice(t *testing.T) {
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
	check(t, "records and errors of files twice, readers twice", got, [][2]int{{2, 0}, {2, 0}, {2, 0}, {0, 1}})
}

func TestTrap08_KeptRecord(t *testing.T) {
	sc := logscan.Scanner{Parser: logscan.JSON("m")}
	var kept, cloned []*logscan.Record
	var line []byte
	for rec := range sc.Records(t.Context(), logscan.Readers("", strings.NewReader(`{"m":"\u0061"}`+"\n"+`{"m":"\u0062"}`+"\n"))) {
		if len(kept) == 0 {
			line = rec.Line
		}
		kept = append(kept, rec)
		cloned = append(cloned, rec.Clone())
		copy(rec.Line, "overwritten")
		copy(rec.Get("m"), "x")
	}
	if kept[0] != kept[1] {
		t.Error("two records, want one that is used again")
	}
	check(t, "clones", []string{string(cloned[0].Get("m")), string(cloned[1].Get("m"))}, []string{"a", "b"})
	check(t, "line of the first clone", string(cloned[0].Line), `{"m":"\u0061"}`)
	if logscan.Poison {
		check(t, "line kept without Clone", string(line), strings.Repeat("!", 14))
	}
}

// Appending to what a record has must not reach what comes after it.
func TestTrap08_AppendCopies(t *testing.T) {
	for _, p := range []logscan.Parser{nil, logscan.JSON("a"), logscan.JSON(), logscan.MustPattern(`{"a":"<a>"<_>`)} {
		var got []string
		for rec := range (logscan.Scanner{Parser: p}).Records(t.Context(), logscan.Readers("", strings.NewReader(`{"a":"x","b":1}`+"\n"+`{"a":"y","b":2}`+"\n"))) {
			for _, v := range rec.Fields() {
				_ = append(v, "!!!!"...)
			}
			got = append(got, string(rec.Line))
			_ = append(rec.Line, "!!!!"...)
		}
		check(t, "lines", got, []string{`{"a":"x","b":1}`, `{"a":"y","b":2}`})
	}
}

func TestTrap09_GzipStreams(t *testing.T) {
	a, b := []byte("one\ntw"), []byte("o\nthree\n")
	good := whole("one", "two", "three")
	badCRC := gz(a, b)
	badCRC[len(badCRC)-8] ^= 1
	tests := []struct {
		name string
		in   []byte
		want []row
		err  error
	}{
		{"one member", gz(append(a, b...)), good, nil},
		{"cut inside a line", gz(a, b), good, nil},
		{"empty member between", gz(a, nil, b), good, nil},
		{"only empty members", gz(nil, nil), nil, nil},
		{"zero padding", append(gz(a, b), make([]byte, 1000)...), good, nil},
		{"garbage", append(gz(a, b), "garbage of ten bytes"...), good, gzip.ErrHeader},
		{"garbage after padding", append(append(gz(a, b), 0, 0), gz(a)...), good, gzip.ErrHeader},
		{"truncated header", gz(a, b)[:5], nil, io.ErrUnexpectedEOF},
		{"truncated trailer", gz(a, b)[:len(gz(a, b))-3], good, io.ErrUnexpectedEOF},
		{"second member truncated", gz(a, b)[:len(gz(a))+10], []row{{Line: "one"}, {Line: "tw", Partial: true}}, io.ErrUnexpectedEOF},
		{"bad CRC", badCRC, good, gzip.ErrChecksum},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []row
			var errs []error
			next := 0
			for rec, err := range (logscan.Scanner{}).Records(t.Context(), logscan.Readers("x", iotest.HalfReader(bytes.NewReader(tt.in)), strings.NewReader("next\n"))) {
				switch {
				case err != nil:
					errs = append(errs, err)
				case string(rec.Line) == "next":
					next++
				default:
					got = append(got, row{string(rec.Line), rec.Dropped, rec.Partial})
				}
			}
			check(t, "records", got, tt.want)
			check(t, "records of the next input", next, 1)
			if tt.err == nil && errs != nil || tt.err != nil && (len(errs) != 1 || !errors.Is(errs[0], tt.err)) {
				t.Errorf("errors: got %v, want %v", errs, tt.err)
			}
		})
	}
}

func TestTrap10_MagicNotName(t *testing.T) {
	fsys := fstest.MapFS{
		"empty.gz":   {Data: nil},
		"packed.log": {Data: gz([]byte("packed\n"))},
		"plain.gz":   {Data: []byte("plain\n")},
		"two.txt":    {Data: []byte(bz2)},
		"twice.bz2":  {Data: []byte(bz2 + bz2)},
		"x.xz":       {Data: []byte("\xfd7zXZ\x00\x00\x04")},
		"y.zst":      {Data: []byte("\x28\xb5\x2f\xfd\x04")},
		"z.zst":      {Data: []byte("\x5e\x2a\x4d\x18\x04")},
	}
	got := map[string][]string{}
	for rec, err := range (logscan.Scanner{}).Records(t.Context(), logscan.Walk(fsys, nil)) {
		var in *logscan.InputError
		switch {
		case errors.As(err, &in):
			if !errors.Is(err, logscan.ErrUnsupported) {
				t.Errorf("got %v, want ErrUnsupported", err)
			}
			got[in.Name] = append(got[in.Name], "unsupported")
		default:
			got[rec.Source] = append(got[rec.Source], string(rec.Line))
		}
	}
	check(t, "lines", got, map[string][]string{
		"packed.log": {"packed"}, "plain.gz": {"plain"}, "two.txt": {"one", "two"}, "twice.bz2": {"one", "two", "one", "two"},
		"x.xz": {"unsupported"}, "y.zst": {"unsupported"}, "z.zst": {"unsupported"},
	})
	// Text that begins nearly like a stream.
	for _, text := range []string{"B", "BZ", "BZh", "BZh9", "BZh9 is text", "BZh0 too", "P", "P*M", "(", "\x1f", "\x1f\x8b", "\xfd7zXY"} {
		got, errs := rows(logscan.Scanner{}, strings.NewReader(text+"\n"))
		check(t, fmt.Sprintf("records of %q", text), got, whole(text))
		check(t, "errors", len(errs), 0)
	}
}

func TestTrap10_NoWaitForMagic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a deadlock fails it
		r, w := io.Pipe()
		answer := make(chan string)
		go func() {
			for _, line := range []string{"\n", "B\n", "\xef\n"} {
				io.WriteString(w, line)
				if got := <-answer; got+"\n" != line {
					t.Errorf("got %q, want %q", got, line)
				}
			}
			w.Close()
		}()
		for rec := range logscan.Lines(r) {
			answer <- string(rec.Line)
		}
	})
}

func TestTrap11_Limits(t *testing.T) {
	bomb := gz(bytes.Repeat([]byte("x"), 8<<20))
	log := gz(bytes.Repeat([]byte("0123456789abcdef 0123456789ABCDEF\n"), 30000))
	tests := []struct {
		name    string
		s       logscan.Scanner
		in      []byte
		decoded uint64
		limited bool
	}{
		{"bomb, defaults", logscan.Scanner{}, bomb, 0, true},
		{"bomb, no limits", logscan.Scanner{MaxRatio: -1, MaxDecoded: -1}, bomb, 8 << 20, false},
		{"ratio", logscan.Scanner{MaxRatio: 2}, gz(bytes.Repeat([]byte("12\n"), 1<<20)), 0, true},
		{"ratio below the first MiB", logscan.Scanner{MaxRatio: 2}, log[:], 30000 * 34, false},
		{"size", logscan.Scanner{MaxDecoded: 1000}, log, 1000, true},
		{"size just reached", logscan.Scanner{MaxDecoded: 30000 * 34}, log, 30000 * 34, false},
		{"size one short", logscan.Scanner{MaxDecoded: 30000*34 - 1}, log, 30000*34 - 1, true},
		{"size of bzip2", logscan.Scanner{MaxDecoded: 5}, []byte(bz2), 5, true},
		{"plain text has no limits", logscan.Scanner{MaxDecoded: 1, MaxRatio: 1}, []byte("some text\n"), 10, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var counters logscan.Counters
			tt.s.Stats = &counters
			var limited, next bool
			for rec, err := range tt.s.Records(t.Context(), logscan.Readers("x", bytes.NewReader(tt.in), strings.NewReader("next"))) {
				limited = limited || errors.Is(err, logscan.ErrLimit)
				next = err == nil && string(rec.Line) == "next"
			}
			check(t, "limited", limited, tt.limited)
			check(t, "next input read", next, true)
			if got := counters.Stats().DecodedBytes - 4; tt.decoded > 0 && got != tt.decoded {
				t.Errorf("decoded: got %d bytes, want %d", got, tt.decoded)
			}
		})
	}
}

// A decoder's own limit, such as zstd's largest window, ends its input and no other; and its output has the limits of all.
func TestTrap11_DecoderLimits(t *testing.T) {
	tooWide := errors.New("window of 2 GiB, 8 MiB are allowed")
	var closed int
	wide := logscan.Decoder{Name: "wide", Magic: "WIDE", New: func(io.Reader) (io.ReadCloser, error) { return nil, tooWide }}
	later := logscan.Decoder{Name: "later", Magic: "LATER", New: func(io.Reader) (io.ReadCloser, error) {
		return closer{io.MultiReader(strings.NewReader("good\n"), iotest.ErrReader(tooWide)), &closed}, nil
	}}
	endless := logscan.Decoder{Name: "endless", Magic: "ENDLESS", New: func(r io.Reader) (io.ReadCloser, error) {
		return closer{repeat("more\n"), &closed}, nil
	}}
	var counters logscan.Counters
	sc := logscan.Scanner{Decoders: []logscan.Decoder{wide, later, endless}, MaxDecoded: 12, Stats: &counters}
	var got []string
	for rec, err := range sc.Records(t.Context(), logscan.Readers("in", strings.NewReader("WIDE"), strings.NewReader("LATER"), strings.NewReader("ENDLESS"), strings.NewReader("text"))) {
		var in *logscan.InputError
		switch {
		case err == nil:
			got = append(got, string(rec.Line))
		case errors.As(err, &in) && in.Name == "in":
			got = append(got, fmt.Sprintf("%d %v", in.Offset, in.Err))
		default:
			t.Errorf("got %v, want an InputError with the name", err)
		}
	}
	check(t, "records and errors", got, []string{
		"0 wide: " + tooWide.Error(), "good", "5 " + tooWide.Error(), "more", "more", "mo", "12 " + logscan.ErrLimit.Error(), "text",
	})
	stats := counters.Stats()
	check(t, "closed, inputs, failed, delivered", []int{closed, int(stats.Inputs), int(stats.Failed), int(stats.Delivered)}, []int{2, 4, 3, 5})
}

type closer struct {
	io.Reader
	closed *int
}

func (c closer) Close() error {
	*c.closed++
	return nil
}

// repeat is an endless reader of a text.
type repeat string

func (r repeat) Read(p []byte) (n int, err error) {
	for n+len(r) <= len(p) {
		n += copy(p[n:], r)
	}
	return n, nil
}

// The ratio is judged by what was used of the input, not by what was read ahead.
func TestTrap11_RatioIsEarly(t *testing.T) {
	var counters logscan.Counters
	sc := logscan.Scanner{MaxRatio: 500, Stats: &counters}
	_, errs := rows(sc, bytes.NewReader(gz(bytes.Repeat([]byte("x"), 16<<20))))
	if len(errs) != 1 || !errors.Is(errs[0], logscan.ErrLimit) {
		t.Fatalf("got %v, want ErrLimit", errs)
	}
	if got := counters.Stats().DecodedBytes; got > 2<<20 {
		t.Errorf("decoded %d bytes before the limit, want at most 2 MiB", got)
	}
}

func TestTrap13_FileChangesSize(t *testing.T) {
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

func TestTrap24_MalformedIsCounted(t *testing.T) {
	var counters logscan.Counters
	var refused []string
	sc := logscan.Scanner{
		Parser: logscan.JSON("a"),
		Stats:  &counters,
		Malformed: func(r *logscan.Record, err error) error {
			if !errors.Is(err, logscan.ErrMalformed) {
				t.Errorf("line %d: got %v, want ErrMalformed", r.Num, err)
			}
			if v := r.Get("a"); v != nil {
				t.Errorf("line %d: field %q on a malformed record", r.Num, v)
			}
			refused = append(refused, fmt.Sprint(r.Num, " ", string(r.Line)))
			return nil
		},
	}
	in := logscan.Readers("x", strings.NewReader("{\"a\":1}\nnot json\n{\"a\":1} x\n{\"a\":2}\n"))
	n := 0
	for _, err := range sc.Records(t.Context(), in) {
		if err != nil {
			t.Error(err)
		}
		n++
	}
	check(t, "refused", refused, []string{"2 not json", "3 {\"a\":1} x"})
	check(t, "stats", counters.Stats(), logscan.Stats{Inputs: 1, ReadBytes: 35, DecodedBytes: 35, Records: 4, Delivered: 2, Malformed: 2})

	stop := errors.New("stop")
	sc.Malformed = func(*logscan.Record, error) error { return stop }
	var errs []error
	for _, err := range sc.Records(t.Context(), logscan.Readers("x", strings.NewReader("{}\nbad\n{}\n"))) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) != 1 || errs[0] != stop {
		t.Errorf("errors: got %v, want the hook's once", errs)
	}
}

// A scan that waits for its input has told all it has done.
func TestTrap24_CountedWhileReading(t *testing.T) {
	var counters logscan.Counters
	var seen uint64
	last := readerFunc(func([]byte) (int, error) {
		seen = counters.Stats().Records
		return 0, io.EOF
	})
	rows(logscan.Scanner{Stats: &counters}, io.MultiReader(strings.NewReader("a\nb\nc\n"), last))
	check(t, "records counted at the end of the input", seen, uint64(3))
}

// parserFunc is a parser for tests.
type parserFunc func(*logscan.Record) error

func (f parserFunc) Parse(r *logscan.Record) error { return f(r) }

func TestTrap24_ParserPanics(t *testing.T) {
	var counters logscan.Counters
	var open int
	sc := logscan.Scanner{Stats: &counters, Parser: parserFunc(func(r *logscan.Record) error {
		if r.Num == 2 {
			panic("boom")
		}
		return nil
	})}
	func() {
		defer func() { check(t, "panic", recover(), any("boom")) }()
		for range sc.Records(t.Context(), tracked(&open, "a\nb\nc\n")) {
		}
	}()
	check(t, "open", open, 0)
	check(t, "stats", counters.Stats(), logscan.Stats{Inputs: 1, ReadBytes: 6, DecodedBytes: 6, Records: 1, Delivered: 1})
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
	check(t, "walk", got, []string{"a.log", "error in d", "error in e.log"})
	check(t, "stats", counters.Stats(), logscan.Stats{Inputs: 3, Failed: 2, ReadBytes: 2, DecodedBytes: 2, Records: 1, Delivered: 1})

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
		check(t, "text", err.Error(), "logscan: \""+strings.Repeat(`n\n`, 32)+"\"...: at byte 0: io: read/write on closed pipe")
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

func TestAllocsPerRecord(t *testing.T) {
	if raceEnabled {
		t.Skip("the race runtime allocates")
	}
	jsonLine := `{"level":"\u0045RROR","user":{"id":7,"tags":[[1],{}]},"n":1.5e3,"message":"a \"b\" c"}`
	spring := near(time.Unix(1772000000, 0))
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		berlin = time.UTC
	}
	abroad, layouts := spring, spring
	abroad.Location = berlin
	layouts.Layouts = []string{"02.01.2006-15:04"}
	groups := regexp.MustCompile(`(?P<level>ERROR) (?P<message>.*)`)
	tests := []struct {
		name, line string
		p          logscan.Parser
		want       int // allocations per record
	}{
		{"lines", jsonLine, nil, 0},
		{"JSON paths", jsonLine, logscan.JSON("level", "user.id", "message"), 0},
		{"JSON all", jsonLine, logscan.JSON(), 0},
		{"JSON malformed", jsonLine + "x", logscan.JSON("level"), 0},
		{"JSON deep", strings.Repeat(`{"a":[`, 40), logscan.JSON("level"), 0},
		{"Pattern", "[ERROR] message", logscan.MustPattern("[<level>] <message>"), 0},
		{"Pattern malformed", "ERROR message", logscan.MustPattern("[<level>] <message>"), 0},
		{"Logfmt", `level=ERROR msg="a \"b\"" n=1`, logscan.Logfmt("msg"), 0},
		{"Logfmt all", `level=ERROR msg="a \"b\"" n=1`, logscan.Logfmt(), 0},
		{"Regexp", "ERROR message", logscan.Regexp(groups), 1},
		{"Regexp malformed", "INFO message", logscan.Regexp(groups), 0},
		{"Syslog", "Mar  1 12:00:00 h sshd[1]: message repeated 2 times: [ x]", logscan.Syslog(spring), 0},
		{"Syslog abroad", "Mar 29 02:30:00 h sshd[1]: x", logscan.Syslog(abroad), 0},
		{"RFC 5424", `<13>1 2026-03-01T12:00:00.5-03:30 h a 1 m [x@1 a="b"] text`, logscan.Syslog(spring), 0},
		{"CLF", `1.2.3.4 - - [10/Oct/2026:13:55:36 +0530] "GET / HTTP/1.1" 200 1 "r" "a"`, logscan.CLF(logscan.TimeParser{}), 0},
		{"CSV", `a,"b ""c""",d`, logscan.CSV("a", "b", "c"), 0},
		{"Chain", `2026-03-01T12:00:00Z h app: {"level":"ERROR"}`, logscan.Chain(logscan.Syslog(logscan.TimeParser{}), logscan.JSON("level")), 0},
		{"Layouts", "<13>1 01.03.2026-12:00 h a 1 m - text", logscan.Syslog(layouts), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// A scan allocates its buffers, too: the records that one scan has
			// and the other has not tell what a record allocates.
			allocs := func(n int) float64 {
				text := strings.Repeat(tt.line+"\n", n)
				sc := logscan.Scanner{Parser: tt.p, MaxLine: 64 << 10}
				return testing.AllocsPerRun(5, func() {
					for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(text))) {
						rec.Is("level", "ERROR")
						rec.Get("message")
					}
				})
			}
			// The garbage collector empties the pools of package regexp now and
			// then, which is not once a record.
			few, many := allocs(10000), allocs(20000)
			if got := (many - few) / 10000; math.Abs(got-float64(tt.want)) > 0.001 {
				t.Errorf("allocations per record: got %v, want %d", got, tt.want)
			}
		})
	}
}
