package logscan_test

import (
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan"
)

func TestLastLineWithoutNewline(t *testing.T) {
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
			checkEqual(t, got, tt.want)
			checkEqual(t, len(errs), 0)
		})
	}
	// The form of widely used samples: 2000 lines, and the last line
	// unterminated.
	sample := strings.TrimSuffix(strings.Repeat("Dec 10 06:55:46 LabSZ sshd[24200]: Failed password\r\n", 2000), "\r\n")
	got, _ := rows(logscan.Scanner{}, strings.NewReader(sample))
	checkEqual(t, len(got), 2000)
}

func TestCarriageReturn(t *testing.T) {
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
				checkEqual(t, got, tt.want)
			}
		})
	}
	// The "\r" is the last byte of a block, and its newline the first of the
	// next.
	for size := 65534; size <= 65538; size++ {
		line := strings.Repeat("x", size)
		got, _ := rows(logscan.Scanner{}, strings.NewReader(line+"\r\ny\n"))
		checkEqual(t, got, whole(line, "y"))
	}
}

func TestBytesAsTheyAre(t *testing.T) {
	in := "a\x00b\n\xff\xfe\n\xe2\x82\n\x1b[31m\n\xef\xbb\xbfx\n"
	got, _ := rows(logscan.Scanner{}, strings.NewReader(in))
	checkEqual(t, got, whole("a\x00b", "\xff\xfe", "\xe2\x82", "\x1b[31m", "\xef\xbb\xbfx"))

	type at struct {
		Line         string
		Offset, Next int64
	}
	for _, in := range []string{"\xef\xbb\xbfa\nb", string(gz([]byte("\xef\xbb\xbfa\nb")))} {
		var ats []at
		for rec := range logscan.Lines(iotest.OneByteReader(strings.NewReader(in))) {
			ats = append(ats, at{string(rec.Line), rec.Offset, rec.Next})
		}
		checkEqual(t, ats, []at{{"a", 3, 5}, {"b", 5, 6}})
	}
	for _, in := range []string{"\xef", "\xef\xbb", "\xef\xbb\xbf"} {
		var n int
		for range logscan.Lines(strings.NewReader(in)) {
			n++
		}
		if got, want := n == 1, len(in) < 3; got != want {
			t.Errorf("%q: got %d records", in, n)
		}
	}
}

func TestMaxLine(t *testing.T) {
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
	got, _ := rows(logscan.Scanner{}, strings.NewReader(strings.Repeat("x", 256<<10+1)))
	checkEqual(t, got[0].Dropped, int64(1))
}

// onesReader returns n bytes of a single line.
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

func TestBombHeap(t *testing.T) {
	const size = 256 << 20
	var before, after runtime.MemStats
	var kept, dropped int64
	runtime.ReadMemStats(&before)
	for rec := range logscan.Lines(&onesReader{size}) {
		kept, dropped = int64(len(rec.Line)), rec.Dropped
	}
	runtime.ReadMemStats(&after)
	checkEqual(t, []int64{kept, dropped}, []int64{256 << 10, size - 256<<10})
	// The sum of all allocations is more than the heap ever held.
	if got := after.TotalAlloc - before.TotalAlloc; got >= 8<<20 {
		t.Errorf("scan of a line of %d bytes allocated %d bytes, want less than 8 MiB", size, got)
	}
}

func TestOffsetAndNext(t *testing.T) {
	in := "ab\r\n\nlonger than six\r\nx\ry\nend\r"
	type at struct{ Offset, Next, Num int64 }
	var got []at
	for rec := range (logscan.Scanner{MaxLine: 6}).Records(t.Context(), logscan.Readers("", strings.NewReader(in))) {
		got = append(got, at{rec.Offset, rec.Next, rec.Num})
	}
	checkEqual(t, got, []at{{0, 4, 1}, {4, 5, 2}, {5, 22, 3}, {22, 26, 4}, {26, 30, 5}})
}

func TestOffsetBeyondEnd(t *testing.T) {
	for rec, err := range (logscan.Scanner{}).Records(t.Context(), at(9, logscan.Readers("cut.log", strings.NewReader("short\n")))) {
		var in *logscan.InputError
		if rec != nil || !errors.Is(err, io.ErrUnexpectedEOF) || !errors.As(err, &in) || in.Offset != 6 {
			t.Errorf("got %v, %v, want io.ErrUnexpectedEOF at byte 6", rec, err)
		}
	}
}

func TestReaders(t *testing.T) {
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
			checkEqual(t, got, want)
			if tt.err == nil && len(errs) > 0 || tt.err != nil && (len(errs) != 1 || !errors.Is(errs[0], tt.err)) {
				t.Errorf("errors: got %v, want %v once", errs, tt.err)
			}
		})
	}
	// The error comes only once, while the scan looks for more of a magic.
	got, errs := rows(logscan.Scanner{}, &brokenOnce{"B", broken})
	checkEqual(t, got, []row{{Line: "B", Partial: true}})
	if len(errs) != 1 || !errors.Is(errs[0], broken) {
		t.Errorf("error at the first look: got %v, want %v", errs, broken)
	}
	_, errs = rows(logscan.Scanner{}, &emptyReads{1 << 30})
	if len(errs) != 1 || !errors.Is(errs[0], io.ErrNoProgress) {
		t.Errorf("only empty reads: got %v, want io.ErrNoProgress", errs)
	}
}

// brokenOnce returns text and err at once, and then io.EOF.
type brokenOnce struct {
	text string
	err  error
}

func (r *brokenOnce) Read(p []byte) (int, error) {
	n, err := copy(p, r.text), r.err
	*r = brokenOnce{"", io.EOF}
	return n, err
}

// emptyReads returns (0, nil) n times, and then io.EOF.
type emptyReads struct{ n int }

func (r *emptyReads) Read([]byte) (int, error) {
	if r.n == 0 {
		return 0, io.EOF
	}
	r.n--
	return 0, nil
}
