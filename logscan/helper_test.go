package logscan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/redoubt-go/redoubt/logscan"
)

func checkEqual(t *testing.T, got, want any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got (+), want (-):\n%s", d)
	}
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

func checkProperty(t *testing.T, runs int, p gopter.Prop) {
	t.Helper()
	params := gopter.DefaultTestParameters()
	params.MinSuccessfulTests = runs
	if result := p.Check(params); !result.Passed() {
		t.Errorf("after %d runs: %+v", result.Succeeded, result)
	}
}

// checkBites reports a property that a broken implementation passes.
func checkBites(t *testing.T, broken gopter.Prop) {
	t.Helper()
	params := gopter.DefaultTestParameters()
	params.MinSuccessfulTests = 200
	params.MaxShrinkCount = 1
	if broken.Check(params).Passed() {
		t.Error("a broken implementation passes")
	}
}

// forgetful is p without the field name.
func forgetful(p logscan.Parser, name string) logscan.Parser {
	return parserFunc(func(r *logscan.Record) error {
		err := p.Parse(r)
		r.Set(name, nil)
		return err
	})
}

// row is the part of a record that most tests compare.
type row struct {
	Line    string
	Dropped int64
	Partial bool
}

// rows scans a stream and returns its records and errors.
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

// whole returns rows of lines that are neither cut nor partial.
func whole(lines ...string) (rs []row) {
	for _, l := range lines {
		rs = append(rs, row{Line: l})
	}
	return rs
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// at returns the inputs with an offset.
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

// tracked returns inputs that count how many of them are open.
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

// parserFunc is a parser for tests.
type parserFunc func(*logscan.Record) error

func (f parserFunc) Parse(r *logscan.Record) error { return f(r) }

// text generates streams of terminators, odd bytes and long runs.
func text() gopter.Gen {
	long := strings.Repeat("0123456789", 20)
	atom := gen.OneConstOf("a", "b", "\n", "\n", "\r", "\r\n", "\x00", "\xff", "\xc3", "é", "\xef\xbb\xbf", long, "")
	return gen.SliceOf(atom).Map(func(s []string) string { return strings.Join(s, "") })
}

// chunked returns a reader of s with reads of random size, some of them empty.
func chunked(s string, seed int64) io.Reader {
	r := rand.New(rand.NewPCG(uint64(seed), 1))
	return readerFunc(func(p []byte) (int, error) {
		if r.IntN(8) == 0 {
			return 0, nil
		}
		if s == "" {
			return 0, io.EOF
		}
		n := copy(p[:min(len(p), 1+r.IntN(40))], s)
		s = s[n:]
		return n, nil
	})
}

// line is a record as the model and the scanner describe it.
type line struct {
	Line         string
	Offset, Next int64
	Dropped      int64
	Partial      bool
}

// model is the oracle for lines: bytes.Split and the rules of the package.
func model(s string, limit int) (want []line) {
	off := int64(0)
	if rest, ok := strings.CutPrefix(s, "\xef\xbb\xbf"); ok {
		s, off = rest, 3
	}
	parts := bytes.Split([]byte(s), []byte("\n"))
	for i, p := range parts {
		last := i == len(parts)-1
		if last && len(p) == 0 {
			break
		}
		l := line{Offset: off, Next: off + int64(len(p)) + 1, Partial: last}
		if last {
			l.Next--
		}
		off = l.Next
		p = bytes.TrimSuffix(p, []byte("\r"))
		l.Line = string(p[:min(limit, len(p))])
		l.Dropped = int64(len(p) - len(l.Line))
		want = append(want, l)
	}
	return want
}

// scanner is scanLines, or a broken function that a property must reject.
type scanner func(logscan.Scanner, logscan.Inputs) ([]line, []error)

func scanLines(s logscan.Scanner, in logscan.Inputs) (got []line, errs []error) {
	for rec, err := range s.Records(context.Background(), in) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		got = append(got, line{string(rec.Line), rec.Offset, rec.Next, rec.Dropped, rec.Partial})
	}
	return got, errs
}

// fieldsOf parses a line and returns its time and its fields as text.
func fieldsOf(p logscan.Parser, line string) string {
	r := &logscan.Record{Line: []byte(line)}
	if err := p.Parse(r); err != nil {
		return "error"
	}
	var b strings.Builder
	if !r.Time().IsZero() {
		b.WriteString(r.Time().UTC().Format(time.RFC3339Nano))
	}
	for k, v := range r.Fields() {
		fmt.Fprintf(&b, " %s=%q", k, v)
	}
	return b.String()
}

// joinedBy returns the records of a text, by Records and by Map in small parts.
func joinedBy(t *testing.T, j *logscan.Joiner, text string) (got []string) {
	t.Helper()
	for rec, err := range (logscan.Scanner{Join: j}).Records(t.Context(), logscan.Readers("", strings.NewReader(text))) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(rec.Line))
	}
	for _, chunk := range []int{1, 7, 64} {
		var parts []string
		for line, err := range logscan.Map(t.Context(), logscan.Scanner{Join: j, Chunk: chunk, Workers: 3}, memInputs(text), func(r *logscan.Record) (string, bool) { return string(r.Line), true }) {
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, line)
		}
		if fmt.Sprintf("%q", parts) != fmt.Sprintf("%q", got) {
			t.Errorf("chunks of %d:\n got %q\nwant %q", chunk, parts, got)
		}
	}
	return got
}
