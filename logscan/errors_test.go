package logscan_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

// cyclic wraps itself: errors.Is and errors.As never return.
type cyclic struct{}

func (cyclic) Error() string   { return "cyclic" }
func (c cyclic) Unwrap() error { return c }

// panicking has methods that panic.
type panicking struct{}

func (*panicking) Error() string { panic("Error") }
func (*panicking) Unwrap() error { panic("Unwrap") }
func (*panicking) Is(error) bool { panic("Is") }
func (*panicking) As(any) bool   { panic("As") }

// An error returned by the hook ends the scan and is its last error. That holds
// for every error and for every function that scans.
func TestHookErrorEndsTheScan(t *testing.T) {
	var typedNil *panicking
	for name, stop := range map[string]error{
		"plain": errors.New("stop"), "cyclic": cyclic{}, "panicking": &panicking{}, "typed nil": typedNil,
		"InputError": &logscan.InputError{Name: "hook", Err: io.EOF}, "wrapped InputError": fmt.Errorf("stop: %w", &logscan.InputError{Err: io.EOF}),
	} {
		t.Run(name, func(t *testing.T) {
			sc := logscan.Scanner{Parser: logscan.JSON(), Workers: 2, Chunk: 4, Malformed: func(*logscan.Record, error) error { return stop }}
			in := func() logscan.Inputs { return memInputs("{}\nx\n{}\ny\n", "z\n") }
			last := func(seq iter.Seq2[*logscan.Record, error]) (n int, last error) {
				for _, err := range seq {
					if err != nil {
						n, last = n+1, err
					}
				}
				return n, last
			}
			if n, err := last(sc.Records(t.Context(), in())); err != stop || n != 1 {
				t.Errorf("Records: got %d errors, want only the hook's", n)
			}
			mapped := logscan.Map(t.Context(), sc, in(), func(r *logscan.Record) (*logscan.Record, bool) { return nil, true })
			if n, err := last(mapped); err != stop || n != 1 {
				t.Errorf("Map: got %d errors, want only the hook's", n)
			}
			if _, err := logscan.Reduce(t.Context(), sc, in(), newKept); err != stop {
				t.Error("Reduce: got another error, want the hook's")
			}
		})
	}
}

// Reduce keeps the first 100 errors of inputs, and the records of all others.
func TestReduceBoundsItsErrors(t *testing.T) {
	in := func(yield func(logscan.Input, error) bool) {
		for i := range 150 {
			if !yield(logscan.Input{Name: fmt.Sprint(i)}, io.ErrClosedPipe) {
				return
			}
		}
		memInputs("a\n")(yield)
	}
	total, err := logscan.Reduce(t.Context(), logscan.Scanner{}, in, newKept)
	checkEqual(t, len(total.lines), 1)
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 100 {
		t.Fatalf("got %v, want 100 errors", err)
	}
	var last *logscan.InputError
	if errors.As(joined.Unwrap()[99], &last); last == nil || last.Name != "99" {
		t.Errorf("got %v as the last error, want the error of input 99", last)
	}
}

// picky refuses every merge.
type picky struct{ kept }

var errPicky = errors.New("will not merge")

func (*picky) Merge(*picky) error { return errPicky }

func TestReduceReturnsTheErrorOfMerge(t *testing.T) {
	_, err := logscan.Reduce(t.Context(), logscan.Scanner{}, memInputs("a\n", "b\n"), func() *picky { return new(picky) })
	checkIs(t, err, errPicky)
}

// A nil *InputError in place of an input has neither a name nor an offset.
func TestTypedNilInputError(t *testing.T) {
	in := func(yield func(logscan.Input, error) bool) {
		var none *logscan.InputError
		yield(logscan.Input{Name: "a.log"}, none)
	}
	for _, err := range (logscan.Scanner{}).Records(t.Context(), in) {
		checkEqual(t, err.Error(), `logscan: "a.log": at byte 0: <nil>`)
	}
}

func TestInputErrorText(t *testing.T) {
	long := strings.Repeat("é", 40) // 80 bytes: the cut must not split a character
	for _, tt := range []struct {
		name string
		err  logscan.InputError
		want string
	}{
		{"long name", logscan.InputError{Name: "x" + long, Err: io.EOF}, `logscan: "x` + long[:62] + `"…: at byte 0: EOF`},
		{"escapes", logscan.InputError{Name: "a\x1b\n", Err: io.EOF}, `logscan: "a\x1b\n": at byte 0: EOF`},
		{"no name", logscan.InputError{Offset: 7, Err: io.EOF}, "logscan: at byte 7: EOF"},
		{"one prefix", logscan.InputError{Name: "a", Err: logscan.ErrLimit}, `logscan: "a": at byte 0: decoded size over the limit`},
		{"no cause", logscan.InputError{Name: "a"}, `logscan: "a": at byte 0: <nil>`},
		{"cyclic", logscan.InputError{Name: "a", Err: cyclic{}}, `logscan: "a": at byte 0: cyclic`},
		{"panics", logscan.InputError{Name: "a", Err: &panicking{}}, `logscan: "a": at byte 0: %!v(PANIC=Error method: Error)`},
	} {
		t.Run(tt.name, func(t *testing.T) { checkEqual(t, tt.err.Error(), tt.want) })
	}
	checkEqual(t, (&logscan.InputError{Name: "x" + long}).LogValue().Group()[0].Value.String(), "x"+long[:62]+"…")
}

// The error of a context that is done is the same in all functions.
func TestContextError(t *testing.T) {
	cause := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	check := func(err error) {
		t.Helper()
		checkIs(t, err, context.Canceled, cause)
		if err != nil {
			checkEqual(t, err.Error(), "logscan: context canceled: shutting down")
		}
	}
	for _, err := range (logscan.Scanner{}).Records(ctx, memInputs("a\n")) {
		check(err)
	}
	_, err := logscan.Reduce(ctx, logscan.Scanner{}, memInputs("a\n"), newKept)
	check(err)
	for _, err := range logscan.Map(ctx, logscan.Scanner{}, memInputs("a\n"), func(*logscan.Record) (int, bool) { return 0, true }) {
		check(err)
	}
	for _, err := range logscan.MergeLive(ctx, 0, func(a, b int) int { return 0 }, func(context.Context) iter.Seq2[int, error] {
		return func(func(int, error) bool) {}
	}) {
		check(err)
	}
}

func TestValidate(t *testing.T) {
	unpack := func(r io.Reader) (io.ReadCloser, error) { return io.NopCloser(r), nil }
	for _, tt := range []struct {
		name string
		s    logscan.Scanner
		want string
	}{
		{"zero value", logscan.Scanner{}, ""},
		{"unlimited", logscan.Scanner{MaxDecoded: -1, MaxRatio: -1, Chunk: -1, Join: &logscan.Joiner{MaxLines: -1}}, ""},
		{
			"all at once",
			logscan.Scanner{Workers: -2, MaxLine: -1, Decoders: []logscan.Decoder{{Magic: "M", New: unpack}, {}}},
			"logscan: Workers is -2, want at least 0 (GOMAXPROCS)\nlogscan: MaxLine is -1, want at least 0 (256 KiB)\n" +
				"logscan: Decoders[1].Magic is \"\", want at least 1 byte and no newline\nlogscan: Decoders[1].New is missing",
		},
		{"newline in a magic", logscan.Scanner{Decoders: []logscan.Decoder{{Magic: "a\nb", New: unpack}}}, `logscan: Decoders[0].Magic is "a\nb", want at least 1 byte and no newline`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := ""
			if err := tt.s.Validate(); err != nil {
				got = err.Error()
			}
			checkEqual(t, got, tt.want)
			if got == "" {
				return
			}
			n := 0
			for rec, err := range tt.s.Records(t.Context(), memInputs("a\n", "b\n")) {
				n++
				checkEqual(t, rec == nil, true)
				checkEqual(t, err.Error(), tt.want)
			}
			for _, err := range logscan.Map(t.Context(), tt.s, memInputs("a\n", "b\n"), func(*logscan.Record) (int, bool) { return 0, true }) {
				n++
				checkEqual(t, err.Error(), tt.want)
			}
			checkEqual(t, n, 2)
			total, err := logscan.Reduce(t.Context(), tt.s, memInputs("a\n", "b\n"), newKept)
			checkEqual(t, err.Error(), tt.want)
			checkEqual(t, len(total.lines), 0)
		})
	}
}
