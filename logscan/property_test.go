package logscan_test

import (
	"bytes"
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

// Oracle: bytes.Split, and the input itself, joined from the records.
func linesAreTheInput(scan scanner) gopter.Prop {
	return prop.ForAll(
		func(s string, seed int64, limit int) string {
			got, errs := scan(logscan.Scanner{MaxLine: limit}, logscan.Readers("", chunked(s, seed)))
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
		}, text(), gen.Int64(), gen.IntRange(1, 250))
}

func TestLinesAreTheInput(t *testing.T) {
	checkProperty(t, 200, linesAreTheInput(scanLines))
	checkBites(t, linesAreTheInput(func(s logscan.Scanner, in logscan.Inputs) ([]line, []error) {
		got, errs := scanLines(s, in)
		for i := range got {
			got[i].Partial = false
		}
		return got, errs
	}))
}

// Oracle: the rest of the first scan.
func resumeFromAnyNext(from func(off int64, in logscan.Inputs) logscan.Inputs) gopter.Prop {
	return prop.ForAll(
		func(s string, packed bool, limit int) string {
			stream := s
			if packed {
				stream = string(gz([]byte(s)))
			}
			sc := logscan.Scanner{MaxLine: limit}
			all, _ := scanLines(sc, logscan.Readers("", strings.NewReader(stream)))
			for i, l := range all {
				rest, errs := scanLines(sc, from(l.Next, logscan.Readers("", strings.NewReader(stream))))
				if d := cmp.Diff(append([]line(nil), all[i+1:]...), rest); d != "" || errs != nil {
					return fmt.Sprint("from ", l.Next, ": ", d, errs)
				}
			}
			return ""
		}, text(), gen.Bool(), gen.IntRange(1, 250))
}

func TestResumeFromAnyNext(t *testing.T) {
	checkProperty(t, 200, resumeFromAnyNext(at))
	checkBites(t, resumeFromAnyNext(func(off int64, in logscan.Inputs) logscan.Inputs { return at(max(off-1, 0), in) }))
}

// equivalent returns the regular expression of a pattern. Its pieces are texts
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

// comparePattern returns how a pattern differs from its regular expression on
// s. The pattern is the texts, with a field between any two.
func comparePattern(parser func(string) logscan.Parser, texts []string, s string) string {
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
	got, err := pairs(parser(pattern.String()), s)
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
func patternIsRegexp(parser func(string) logscan.Parser) gopter.Prop {
	atoms := gen.SliceOf(gen.OneConstOf("a", "b", "ab", "<", ">", " ", "é", "_")).Map(func(s []string) string { return strings.Join(s, "") })
	some := atoms.SuchThat(func(s string) bool { return s != "" })
	short := gen.OneConstOf("a", "b", "ab", "<", "> ", "aa")
	return prop.ForAll(
		func(first, last string, a, b string, s, filler string, fit bool) string {
			if fit { // a line with the texts in their order
				s = first + s + a + filler + b + s + last
			}
			return comparePattern(parser, []string{first, a, b, last}, s)
		}, gen.OneConstOf("", "a", "<"), gen.OneConstOf("", "b", "ab"), short, short, atoms, some, gen.Bool())
}

func TestPatternIsRegexp(t *testing.T) {
	checkProperty(t, 200, patternIsRegexp(logscan.MustPattern))
	checkBites(t, patternIsRegexp(func(p string) logscan.Parser { return forgetful(logscan.MustPattern(p), "f2") }))
}

// flatten is the oracle for JSON paths: encoding/json, and a map from path to
// value. base contains the length of the path above the last key.
func flatten(raw json.RawMessage, prefix string, into map[string]json.RawMessage, base map[string]int) {
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
			if strings.HasPrefix(p, path+".") && base[p] > len(prefix) {
				delete(into, p)
			}
		}
		into[path], base[path] = value, len(prefix)
		flatten(value, path+".", into, base)
	}
}

// compareJSON returns how JSON differs from encoding/json on s.
func compareJSON(parser func(...string) logscan.Parser, s string, paths []string) string {
	rec := &logscan.Record{Line: []byte(s)}
	err := parser(paths...).Parse(rec)
	ok := json.Valid([]byte(s)) && strings.HasPrefix(strings.TrimLeft(s, " \t\r\n"), "{")
	if (err == nil) != ok || err != nil && !errors.Is(err, logscan.ErrMalformed) {
		return fmt.Sprintf("%q: got %v, accepted by encoding/json: %v", s, err, ok)
	}
	if err != nil {
		return ""
	}
	want := map[string]json.RawMessage{}
	flatten(json.RawMessage(s), "", want, map[string]int{})
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
			continue // encoding/json has other names for invalid UTF-8
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
func jsonIsEncodingJSON(parser func(...string) logscan.Parser) gopter.Prop {
	// Objects with every kind of value, then an edit that may damage them.
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
	return prop.ForAll(
		func(s string, edit string, seed int64) string {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			at := r.IntN(len(s))
			for _, s := range []string{s, s[:at] + edit + s[at:], s[:at] + edit + s[at+1:], s[:at]} {
				for _, paths := range [][]string{nil, {"a"}, {"a.b", "b", "a"}, {"a.b.c", "c", "a.a.a", ""}} {
					if diff := compareJSON(parser, s, paths); diff != "" {
						return diff
					}
				}
			}
			return ""
		}, object(value), gen.OneConstOf("", ",", `"`, "}", "{", "[", "]", ":", "1", ".", "e", "\\", " ", "\x00", "n"), gen.Int64())
}

func TestJSONIsEncodingJSON(t *testing.T) {
	checkProperty(t, 200, jsonIsEncodingJSON(logscan.JSON))
	checkBites(t, jsonIsEncodingJSON(func(paths ...string) logscan.Parser { return forgetful(logscan.JSON(paths...), "b") }))
}

// Oracle: the records that the loop and the hook were called with.
func conservation(t *testing.T, stats func(*logscan.Counters) logscan.Stats) gopter.Prop {
	return prop.ForAll(
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
			st := stats(&counters)
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
		}, text(), gen.Int64(), gen.Bool(), gen.Bool(), gen.IntRange(1, 20))
}

func TestConservation(t *testing.T) {
	checkProperty(t, 200, conservation(t, (*logscan.Counters).Stats))
	checkBites(t, conservation(t, func(c *logscan.Counters) logscan.Stats {
		st := c.Stats()
		st.Records += st.Malformed
		return st
	}))
}
