package logscan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

// text is streams made of what lines are made of, long runs included.
func text() gopter.Gen {
	long := strings.Repeat("0123456789", 20)
	atom := gen.OneConstOf("a", "b", "\n", "\n", "\r", "\r\n", "\x00", "\xff", "\xc3", "é", "\xef\xbb\xbf", long, "")
	return gen.SliceOf(atom).Map(func(s []string) string { return strings.Join(s, "") })
}

// chunked is r cut into reads of random size, some of them empty.
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

// line is a record as the model and the scanner have it.
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

func property(t *testing.T, name string, p gopter.Prop) {
	params := gopter.DefaultTestParameters()
	params.MinSuccessfulTests = 200
	props := gopter.NewProperties(params)
	props.Property(name, p)
	props.TestingRun(t)
}

// Oracle: bytes.Split; and the input itself, put together from the records.
func TestP1_LinesAreTheInput(t *testing.T) {
	property(t, "records and terminators are the input", prop.ForAll(
		func(s string, seed int64, limit int) string {
			got, errs := scanLines(logscan.Scanner{MaxLine: limit}, logscan.Readers("", chunked(s, seed)))
			if errs != nil {
				return fmt.Sprint(errs)
			}
			joined := ""
			if len(s) >= 3 {
				joined = s[:3-len(strings.TrimPrefix(s[:3], "\xef\xbb\xbf"))]
			}
			for _, l := range got {
				end := l.Offset + int64(len(l.Line)) + l.Dropped
				joined += l.Line + s[end-l.Dropped:end] + s[end:l.Next]
				if term := s[end:l.Next]; strings.Trim(term, "\r\n") != "" || len(term) > 2 {
					return fmt.Sprintf("terminator %q", term)
				}
			}
			if joined != s {
				return fmt.Sprintf("joined %q", joined)
			}
			return cmp.Diff(model(s, limit), got)
		}, text(), gen.Int64(), gen.IntRange(1, 250)))
}

// Oracle: the rest of the first scan.
func TestP3_ResumeFromAnyNext(t *testing.T) {
	property(t, "a scan from Next is the rest", prop.ForAll(
		func(s string, packed bool, limit int) string {
			stream := s
			if packed {
				stream = string(gz([]byte(s)))
			}
			sc := logscan.Scanner{MaxLine: limit}
			all, _ := scanLines(sc, logscan.Readers("", strings.NewReader(stream)))
			for i, l := range all {
				rest, errs := scanLines(sc, at(l.Next, logscan.Readers("", strings.NewReader(stream))))
				if d := cmp.Diff(append([]line(nil), all[i+1:]...), rest); d != "" || errs != nil {
					return fmt.Sprint("from ", l.Next, ": ", d, errs)
				}
			}
			return ""
		}, text(), gen.Bool(), gen.IntRange(1, 250)))
}

// equivalent is the regular expression a pattern stands for: its pieces are texts
// and, at odd places, fields.
func equivalent(pieces []string) *regexp.Regexp {
	re := `(?s)\A`
	for i, p := range pieces {
		if i%2 == 0 {
			re += regexp.QuoteMeta(p)
		} else {
			re += `(.*?)`
		}
	}
	return regexp.MustCompile(re + `\z`)
}

// comparePattern returns how the pattern of the texts, with a field between any two,
// differs from its regular expression on s.
func comparePattern(texts []string, s string) string {
	var pieces []string
	var pattern strings.Builder
	for i, text := range texts {
		if i > 0 {
			pieces = append(pieces, "")
			fmt.Fprintf(&pattern, "<f%d>", i)
		}
		pieces = append(pieces, text)
		pattern.WriteString(strings.ReplaceAll(text, "<", "<<"))
	}
	got, err := pairs(logscan.MustPattern(pattern.String()), s)
	m := equivalent(pieces).FindStringSubmatch(s)
	if (err == nil) != (m != nil) {
		return fmt.Sprintf("%s on %q: got %v, regexp %q", pattern.String(), s, err, m)
	}
	var want [][2]string
	for i := 1; i < len(m); i++ {
		want = append(want, [2]string{fmt.Sprint("f", i), m[i]})
	}
	return cmp.Diff(want, got)
}

// Oracle: package regexp.
func TestP6_PatternIsRegexp(t *testing.T) {
	atoms := gen.SliceOf(gen.OneConstOf("a", "b", "ab", "<", ">", " ", "é", "_")).Map(func(s []string) string { return strings.Join(s, "") })
	some := atoms.SuchThat(func(s string) bool { return s != "" })
	short := gen.OneConstOf("a", "b", "ab", "<", "> ", "aa")
	property(t, "a pattern is its regular expression", prop.ForAll(
		func(first, last string, a, b string, s, filler string, fit bool) string {
			if fit { // a line that has the texts in their order
				s = first + s + a + filler + b + s + last
			}
			return comparePattern([]string{first, a, b, last}, s)
		}, gen.OneConstOf("", "a", "<"), gen.OneConstOf("", "b", "ab"), short, short, atoms, some, gen.Bool()))
}

// flatten is the oracle for JSON paths: encoding/json for everything about
// JSON, and a map from path to value.
func flatten(raw json.RawMessage, prefix string, into map[string]json.RawMessage) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if tok, err := dec.Token(); err != nil || tok != json.Delim('{') {
		return
	}
	for dec.More() {
		tok, _ := dec.Token()
		var value json.RawMessage
		if dec.Decode(&value) != nil {
			return
		}
		path := prefix + tok.(string)
		for p := range into {
			if strings.HasPrefix(p, path+".") {
				delete(into, p)
			}
		}
		into[path] = value
		flatten(value, path+".", into)
	}
}

// compareJSON returns how JSON differs from encoding/json on s.
func compareJSON(s string, paths []string) string {
	rec := &logscan.Record{Line: []byte(s)}
	err := logscan.JSON(paths...).Parse(rec)
	ok := json.Valid([]byte(s)) && strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{")
	if (err == nil) != ok || err != nil && !errors.Is(err, logscan.ErrMalformed) {
		return fmt.Sprintf("%q: got %v, accepted by encoding/json: %v", s, err, ok)
	}
	if err != nil {
		return ""
	}
	want := map[string]json.RawMessage{}
	flatten(json.RawMessage(s), "", want)
	if len(paths) == 0 {
		want = map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(s), &want); err != nil {
			return err.Error()
		}
		for k := range want {
			paths = append(paths, k)
		}
	}
	for _, path := range paths {
		got, found := rec.Lookup(path)
		raw, expected := want[path]
		if !utf8.ValidString(s) && !expected {
			continue // encoding/json has other names for what is no UTF-8
		}
		value := string(raw)
		if strings.HasPrefix(value, `"`) {
			if err := json.Unmarshal(raw, &value); err != nil {
				return err.Error()
			}
			got = []byte(string([]rune(string(got)))) // as encoding/json does
		}
		if found != expected && utf8.ValidString(path) && !strings.ContainsRune(path, utf8.RuneError) {
			return fmt.Sprintf("%q: %q found: %v, want %v", s, path, found, expected)
		}
		if found && string(got) != value {
			return fmt.Sprintf("%q: %q is %q, want %q", s, path, got, value)
		}
	}
	return ""
}

// Oracle: encoding/json.
func TestP7_JSONIsEncodingJSON(t *testing.T) {
	// Objects of every kind of value, then one edit that may spoil them.
	scalar := gen.OneConstOf(`1`, `-0.5e3`, `01`, `"x"`, `"\u00e9\n"`, `"\ud83d\ude00"`, `"\ud83d"`, `true`, `null`, `[1,"a",{}]`, `{}`, `[]`, "\"\xff\"")
	key := gen.OneConstOf("a", "b", "a.b", `\u0061`, "c", "")
	object := func(value gopter.Gen) gopter.Gen {
		return gen.SliceOf(gopter.CombineGens(key, value)).Map(func(ms [][]any) string {
			var members []string
			for _, m := range ms {
				members = append(members, fmt.Sprintf(`"%v": %v`, m...))
			}
			return "{" + strings.Join(members, ",") + "}"
		})
	}
	value := gen.OneGenOf(scalar, scalar, object(gen.OneGenOf(scalar, object(scalar))))
	property(t, "JSON is encoding/json", prop.ForAll(
		func(s string, edit string, seed int64) string {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			at := r.IntN(len(s))
			for _, s := range []string{s, s[:at] + edit + s[at:], s[:at] + edit + s[at+1:], s[:at]} {
				for _, paths := range [][]string{nil, {"a"}, {"a.b", "b", "a"}, {"a.b.c", "c", "a.a.a", ""}} {
					if diff := compareJSON(s, paths); diff != "" {
						return diff
					}
				}
			}
			return ""
		}, object(value), gen.OneConstOf("", ",", `"`, "}", "{", "[", "]", ":", "1", ".", "e", "\\", " ", "\x00", "n"), gen.Int64()))
}

// Oracle: what the loop and the hook have seen.
func TestP11_Conservation(t *testing.T) {
	property(t, "Records = Delivered + Prefiltered + Malformed, always", prop.ForAll(
		func(s string, seed int64, fail, require bool, leave int) string {
			var counters logscan.Counters
			var seen, refused, failed, inputs uint64
			sc := logscan.Scanner{
				Parser: logscan.MustPattern("a<x>"), MaxLine: 100, Stats: &counters,
				Malformed: func(*logscan.Record, error) error { refused++; return nil },
			}
			if require {
				sc.Require = []string{"b", "é"}
			}
			torn := io.MultiReader(chunked(s, seed), readerFunc(func([]byte) (int, error) {
				if st := counters.Stats(); st.Records != st.Delivered+st.Prefiltered+st.Malformed {
					t.Errorf("while reading: %+v", st)
				}
				if fail {
					return 0, io.ErrClosedPipe
				}
				return 0, io.EOF
			}))
			left := false
			for _, err := range sc.Records(t.Context(), logscan.Readers("x", torn, strings.NewReader("abc\nxyz"))) {
				if err != nil {
					failed++
				} else if seen++; seen == uint64(leave) {
					left = true
					break
				}
			}
			st := counters.Stats()
			inputs = 2
			if left {
				inputs = st.Inputs
			}
			want := logscan.Stats{
				Inputs: inputs, Failed: failed, Records: seen + refused + st.Prefiltered, Delivered: seen, Prefiltered: st.Prefiltered, Malformed: refused,
				ReadBytes: st.ReadBytes, DecodedBytes: st.ReadBytes, Cut: st.Cut, CutBytes: st.CutBytes,
			}
			if !left && st.ReadBytes != uint64(len(s)+7) {
				return fmt.Sprintf("%d bytes read, want %d", st.ReadBytes, len(s)+7)
			}
			return cmp.Diff(want, st)
		}, text(), gen.Int64(), gen.Bool(), gen.Bool(), gen.IntRange(1, 20)))
}
