package logscan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/logscan"
)

// pairs parses line and returns its fields in order, or the error.
func pairs(p logscan.Parser, line string) ([][2]string, error) {
	rec := &logscan.Record{Line: []byte(line)}
	if err := p.Parse(rec); err != nil {
		return nil, err
	}
	var got [][2]string
	for k, v := range rec.Fields() {
		got = append(got, [2]string{k, string(v)})
	}
	return got, nil
}

func TestJSONValues(t *testing.T) {
	tests := []struct {
		name, line string
		paths      []string
		want       [][2]string
	}{
		{"top level", `{"a":"x","b":1,"c":null,"d":true,"e":[1, 2],"f":{"g":1}}`, nil, [][2]string{{"a", "x"}, {"b", "1"}, {"c", "null"}, {"d", "true"}, {"e", "[1, 2]"}, {"f", `{"g":1}`}}},
		{"order of paths", `{"a":1,"b":2}`, []string{"b", "x", "a"}, [][2]string{{"b", "2"}, {"a", "1"}}},
		{"white space", " { \"a\" :\t-0.5e+7 , \"b\" : { } } \r", []string{"a", "b"}, [][2]string{{"a", "-0.5e+7"}, {"b", "{ }"}}},
		{"escapes", `{"level":"\u0045RROR","m":"\"\\\/\b\f\n\r\té"}`, nil, [][2]string{{"level", "ERROR"}, {"m", "\"\\/\b\f\n\r\té"}}},
		{"surrogates", `{"m":"\ud83d\ude00 \ud83d \ude00 \ud83dA"}`, nil, [][2]string{{"m", "😀 � � �A"}}},
		{"bytes", "{\"m\":\"a\xffb\x7f\"}", nil, [][2]string{{"m", "a\xffb\x7f"}}},
		{"escaped key", `{"\u006d":1}`, []string{"m"}, [][2]string{{"m", "1"}}},
		{"nested", `{"message":{"text":"x","n":[{"text":"no"}]},"text":"no"}`, []string{"message", "message.text", "message.n"}, [][2]string{{"message", `{"text":"x","n":[{"text":"no"}]}`}, {"message.text", "x"}, {"message.n", `[{"text":"no"}]`}}},
		{"dots in keys", `{"a.b":1,"c":{"d.e":2},"f.g":{"h":3}}`, []string{"a.b", "c.d.e", "f.g.h"}, [][2]string{{"a.b", "1"}, {"c.d.e", "2"}, {"f.g.h", "3"}}},
		{"same key elsewhere", `{"b":{"x":1}}`, []string{"b.x", "c", "a.x"}, [][2]string{{"b.x", "1"}}},
		{"last wins", `{"a":1,"a":"2"}`, []string{"a"}, [][2]string{{"a", "2"}}},
		{"last object wins", `{"a":{"b":1},"a":{"c":2}}`, []string{"a.b", "a.c"}, [][2]string{{"a.c", "2"}}},
		{"last wins by type", `{"a":{"b":1},"a":2}`, []string{"a.b"}, nil},
		{"empty", `{}`, []string{"a"}, nil},
		{"empty value and key", `{"":""}`, nil, [][2]string{{"", ""}}},
		{"numeric level", `{"level":40}`, []string{"level"}, [][2]string{{"level", "40"}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pairs(logscan.JSON(tt.paths...), tt.line)
			if err != nil {
				t.Fatal(err)
			}
			checkEqual(t, got, tt.want)
		})
	}
}

func TestJSONMalformed(t *testing.T) {
	tests := []struct{ name, line, text string }{
		{"empty line", "", "not an object"},
		{"array", "[1]", "not an object"},
		{"null", "null", "not an object"},
		{"truncated", `{"a":1`, "unexpected end of line"},
		{"truncated key", `{"a`, "unexpected end of line"},
		{"truncated before colon", `{"a"`, "unexpected end of line"},
		{"truncated after colon", `{"a":`, "unexpected end of line"},
		{"truncated after comma", `{"a":1,`, "unexpected end of line"},
		{"truncated inside", `{"a":{"b":[1,`, "unexpected end of line"},
		{"trailing comma", `{"a":1,}`, "syntax error"},
		{"trailing comma inside", `{"a":[1,]}`, "syntax error"},
		{"wrong end", `{"a":[1}}`, "syntax error"},
		{"two dots", `{"v":1.0.1}`, "syntax error"},
		{"leading zero", `{"v":01}`, "syntax error"},
		{"no fraction", `{"v":1.}`, "syntax error"},
		{"no exponent", `{"v":1e}`, "syntax error"},
		{"plus", `{"v":+1}`, "syntax error"},
		{"word", `{"v":nul}`, "syntax error"},
		{"two documents", `{"a":1}{"a":2}`, "text after the object"},
		{"garbage", `{"a":1} x`, "text after the object"},
		{"NUL after", "{\"a\":1}\x00", "text after the object"},
		{"control character", "{\"a\":\"\t\"}", "invalid string"},
		{"escape", `{"a":"\x41"}`, "invalid string"},
		{"short escape", `{"a":"\u12"}`, "invalid string"},
		{"key", `{a:1}`, "syntax error"},
		{"fault where nothing is wanted", `{"level":"x","z":{"y":[tru]}}`, "syntax error"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, p := range []logscan.Parser{logscan.JSON(), logscan.JSON("level"), logscan.JSON("a.b")} {
				_, err := pairs(p, tt.line)
				if !errors.Is(err, logscan.ErrMalformed) || !strings.HasSuffix(err.Error(), tt.text) {
					t.Errorf("got %v, want ErrMalformed, %s", err, tt.text)
				}
			}
		})
	}
}

// Strings are read eight bytes at a time: try every byte in every place.
func TestJSONStringBytes(t *testing.T) {
	for size := range 20 {
		for at := range size {
			for c := range 256 {
				b := bytes.Repeat([]byte("x"), size)
				b[at] = byte(c)
				if diff := compareJSON(logscan.JSON, `{"a":"`+string(b)+`"}`, []string{"a"}); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
}

func TestJSONNesting(t *testing.T) {
	for _, depth := range []int{1, 63, 64, 65, 128, 9999, 10000} {
		for _, kind := range []struct{ open, close string }{{"[", "]"}, {`{"a":`, "}"}} {
			inner := strings.Repeat(kind.open, depth-1)
			line := `{"x":` + inner + "1" + strings.Repeat(kind.close, depth-1) + "}"
			for _, line := range []string{line, strings.Replace(line, kind.open, kind.open+kind.open, 1) + kind.close, line[:len(line)-1]} {
				for _, p := range []logscan.Parser{logscan.JSON("x"), logscan.JSON("x.a.a")} {
					_, err := pairs(p, line)
					if want := json.Valid([]byte(line)); (err == nil) != want {
						t.Errorf("depth %d of %s: got %v, accepted by encoding/json: %v", depth, kind.open, err, want)
					}
				}
			}
		}
	}
}

func TestPattern(t *testing.T) {
	tests := []struct {
		name, pattern, line string
		want                [][2]string // nil: no match
	}{
		{"level", "[<level>] <message>", "[ERROR] disk [sda] full", [][2]string{{"level", "ERROR"}, {"message", "disk [sda] full"}}},
		{"shortest", "<a>-<b>", "1-2-3", [][2]string{{"a", "1"}, {"b", "2-3"}}},
		{"last text ends the line", "<a>-<b>!", "1-2!-3!", [][2]string{{"a", "1"}, {"b", "2!-3"}}},
		{"empty fields", "<a>-<b>", "-", [][2]string{{"a", ""}, {"b", ""}}},
		{"skipped", "<_> <_> <c>", "a b c d", [][2]string{{"c", "c d"}}},
		{"bracket", "<<<pri>>: <<<<<m>", "<34>: <<x", [][2]string{{"pri", "34"}, {"m", "x"}}},
		{"anchored at the start", "[<level>] <m>", " [E] x", nil},
		{"anchored at the end", "<m>.", "x", nil},
		{"texts may not overlap", "a<m>a", "a", nil},
		{"text missing", "<a>: <b>", "x:y", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pairs(logscan.MustPattern(tt.pattern), tt.line)
			if (err != nil) != (tt.want == nil) || err != nil && !errors.Is(err, logscan.ErrMalformed) {
				t.Errorf("error: got %v", err)
			}
			checkEqual(t, got, tt.want)
		})
	}
}

func TestPatternErrors(t *testing.T) {
	tests := []struct{ pattern, text string }{
		{"", `logscan: pattern "": no field`},
		{"text", `logscan: pattern "text": no field`},
		{"<a", `logscan: pattern "<a": "<a" is not closed`},
		{"<a <b>", `logscan: pattern "<a <b>": "<a <b>" is not closed`},
		{"<>", `logscan: pattern "<>": field name "" is empty or used twice`},
		{"<a> <a>", `logscan: pattern "<a> <a>": field name "a" is empty or used twice`},
		{"<a><b>", `logscan: pattern "<a><b>": nothing between <a> and the next field`},
	}
	for _, tt := range tests {
		p, err := logscan.Pattern(tt.pattern)
		if p != nil || err == nil || err.Error() != tt.text {
			t.Errorf("Pattern(%q): got %v, %v, want %s", tt.pattern, p, err, tt.text)
		}
		func() {
			defer func() {
				if got, _ := recover().(error); got == nil || got.Error() != tt.text {
					t.Errorf("MustPattern(%q): panic %v, want %s", tt.pattern, got, tt.text)
				}
			}()
			logscan.MustPattern(tt.pattern)
		}()
	}
}

// A parser outside the package sets fields. The last value of a name counts.
func TestSet(t *testing.T) {
	rec := &logscan.Record{Line: []byte("k=v")}
	rec.Set("k", rec.Line[:1])
	rec.Set("k", rec.Line[2:])
	rec.Set("gone", rec.Line)
	rec.Set("gone", nil)
	if v, ok := rec.Lookup("k"); string(v) != "v" || !ok || !rec.Is("k", "v") || rec.Is("k", "") {
		t.Errorf("k: got %q, %v, want v", v, ok)
	}
	for _, key := range []string{"gone", "never"} {
		if v, ok := rec.Lookup(key); v != nil || ok || rec.Is(key, "") {
			t.Errorf("%s: got %q, %v, want none", key, v, ok)
		}
	}
	var names []string
	for name := range rec.Fields() {
		names = append(names, name)
	}
	checkEqual(t, names, []string{"k", "k"})
}

// A record interns only some names. Others, and long names, are fields all the
// same.
func TestManyNames(t *testing.T) {
	var line strings.Builder
	for i := range 600 {
		line.WriteString(`,"` + strings.Repeat("n", i) + `":` + strings.Repeat("1", i+1))
	}
	got, err := pairs(logscan.JSON(), "{"+line.String()[1:]+"}")
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range got {
		if len(p[0]) != i || len(p[1]) != i+1 {
			t.Errorf("field %d: got name of %d and value of %d bytes", i, len(p[0]), len(p[1]))
		}
	}
	checkEqual(t, len(got), 600)
}

// A key with a dot is no part of the object with the name before the dot.
func TestJSONKeepsDottedKeys(t *testing.T) {
	for line, want := range map[string]string{
		`{"log.level":"Error","message":"m","log":{"logger":"x"}}`: "Error",
		`{"log":{"level":"a"},"log.level":"b","log":{"x":1}}`:      "b",
		`{"log":{"level":"a"},"log":{"x":1}}`:                      "",
		`{"log":{"level":"a"},"log":1}`:                            "",
	} {
		r := &logscan.Record{Line: []byte(line)}
		if err := logscan.JSON("log.level").Parse(r); err != nil || string(r.Get("log.level")) != want {
			t.Errorf("%s: got %q, %v, want %q", line, r.Get("log.level"), err, want)
		}
	}
}

// Oracle: log/slog, whose TextHandler writes the lines.
func TestLogfmtReadsSlog(t *testing.T) {
	values := []string{
		"", "a", "a b", "a=b", `"`, `\`, "\a\b\f\n\r\t\v", "\x00\x1b[31m\x7f", "\xff\xfe", "é", "\U000e0001", "\u2028", "😀 \x1b", "'", " ", "\x80",
	}
	for _, key := range []string{"k", "a key", `k"`, "k=", "k\x1b"} {
		for _, value := range values {
			var line bytes.Buffer
			slog.New(slog.NewTextHandler(&line, nil)).Info("m", key, value)
			r := &logscan.Record{Line: bytes.TrimSuffix(line.Bytes(), []byte("\n"))}
			if err := logscan.Logfmt().Parse(r); err != nil || string(r.Get(key)) != value {
				t.Errorf("%s: %q is %q, %v, want %q", line.Bytes(), key, r.Get(key), err, value)
			}
		}
	}
	for _, line := range []string{`a="\q"`, `a="\x4"`, `a="\U00110000"`, `a="\"`, `"a`} {
		if err := logscan.Logfmt().Parse(&logscan.Record{Line: []byte(line)}); err == nil {
			t.Errorf("%s is accepted", line)
		}
	}
}
