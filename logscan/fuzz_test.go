package logscan_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/redoubt-go/redoubt/logscan"
)

// Oracle: the model of property_test.go.
func FuzzLines(f *testing.F) {
	f.Add("a\nb\r\n\nlast\r", int64(1), 3)
	f.Add("\xef\xbb\xbf\xef\xbb\xbf\n\r\r\n\x00", int64(2), 1)
	f.Add(strings.Repeat("x", 300)+"\r\ny", int64(3), 299)
	f.Fuzz(func(t *testing.T, s string, seed int64, limit int) {
		if limit <= 0 || len(s) > 3 && s[1:4] == "\x2a\x4d\x18" {
			t.Skip("not text, or no limit")
		}
		for _, magic := range []string{
			"\x1f\x8b", "\x1f\x9d", "BZh", "\xfd7z", "\x28\xb5", "\x04\x22\x4d\x18", "\x5d\x00\x00\x00",
			"x\x01", "x\x9c", "x\xda", "PK\x03\x04", "7z\xbc\xaf", "\xff\xfe", "\xfe\xff",
		} {
			if strings.HasPrefix(s, magic) {
				t.Skip("not text")
			}
		}
		got, errs := scanLines(logscan.Scanner{MaxLine: limit}, logscan.Readers("", chunked(s, seed)))
		checkEqual(t, got, model(s, limit))
		checkEqual(t, len(errs), 0)
	})
}

// Oracle: encoding/json.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"level":"\u0045RROR","message":{"text":"a"},"n":-1.5e+3}`, `{"a":{"b":1},"a.b":2,"a":{"c":3}}`, `{"a":[1,{"b":[]}],}`,
		`{"a":"\ud83d\ude00\ud83d"} `, `{"v":1.0.1}`, `{}{}`, "{\"\xff\":\"\x00\"}", `[]`, `{"a.b":{"c":null}`,
	} {
		f.Add(s, "a.b")
	}
	f.Fuzz(func(t *testing.T, s, path string) {
		for _, paths := range [][]string{nil, {path}, {"a", "a.b", "a.b.c", path}} {
			if diff := compareJSON(logscan.JSON, s, paths); diff != "" {
				t.Error(diff)
			}
		}
	})
}

// Oracle: package regexp. Patterns drawn at random must not panic.
func FuzzPattern(f *testing.F) {
	f.Add("[", "] ", "", "[ERROR] disk [sda] full", "[<level>] <message>")
	f.Add("", "ab", "b", "aabb", "<a<")
	f.Add("<", ">", ">>", "<34>>>", "<<<<_>>")
	f.Fuzz(func(t *testing.T, first, middle, last, s, pattern string) {
		if p, err := logscan.Pattern(pattern); err == nil {
			rec := &logscan.Record{Line: []byte(s)}
			if p.Parse(rec) == nil && !strings.Contains(pattern, "<_>") {
				n := 0
				for range rec.Fields() {
					n++
				}
				if n == 0 {
					t.Errorf("%q on %q: no fields", pattern, s)
				}
			}
		}
		// A regular expression cannot express invalid UTF-8, and its U+FFFD
		// matches it.
		for _, text := range []string{first, middle, last} {
			if !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
				t.Skip()
			}
		}
		if middle == "" {
			t.Skip("two fields with nothing between them")
		}
		if diff := comparePattern(logscan.MustPattern, []string{first, middle, last}, s); diff != "" {
			t.Error(diff)
		}
	})
}

// Oracle: compress/gzip in its multistream mode, where it has no error.
func FuzzGzip(f *testing.F) {
	whole := gz([]byte("one\ntw"), nil, []byte("o\nthree"))
	f.Add(whole)
	f.Add(append(whole, 0, 0, 0))
	f.Add(append(whole, "garbage"...))
	f.Add(whole[:len(whole)-3])
	f.Add([]byte(bz2))
	f.Fuzz(func(t *testing.T, in []byte) {
		const limit = 1 << 20
		got, errs := rows(logscan.Scanner{MaxDecoded: limit}, bytes.NewReader(in))
		if len(errs) > 1 {
			t.Errorf("errors: got %v, want one at most", errs)
		}
		size := 0
		for _, r := range got {
			size += len(r.Line) + int(r.Dropped)
		}
		if len(in) > 2 && in[0] == 0x1f && in[1] == 0x8b && size > limit {
			t.Errorf("got %d bytes, the limit is %d", size, limit)
		}
		zr, err := gzip.NewReader(bytes.NewReader(in))
		if err != nil {
			return
		}
		want, err := io.ReadAll(io.LimitReader(zr, limit+1))
		if err != nil || len(want) > limit || len(errs) > 0 && errors.Is(errs[0], logscan.ErrLimit) {
			return
		}
		var plain []row
		for _, l := range model(string(want), 256<<10) {
			plain = append(plain, row{l.Line, l.Dropped, l.Partial})
		}
		if errs != nil || !cmp.Equal(plain, got) {
			t.Errorf("got %d records, errors %v, want %d records", len(got), errs, len(plain))
		}
	})
}
