package logscan_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/leanovate/gopter"
	"github.com/leanovate/gopter/gen"
	"github.com/leanovate/gopter/prop"
	"github.com/redoubt-go/redoubt/logscan"
)

// Oracle: package regexp alone.
func prefilter(parser func(*regexp.Regexp) logscan.Parser) gopter.Prop {
	exprs := []string{
		`(?P<a>ERROR|WARN) x`, `(?i)(?P<a>kiss)`, `(?:ab)?(?P<a>c)`, `.*(?P<a>d)`, `(?P<a>)`, `\Qa.b\E(?P<a>.)`, `(?i:k)x(?P<a>y)`, `(?P<a>ab+){2,}`, `^(?P<a>a|bc)$`,
		`(?P<a>\x{FFFD})b`, `(?P<a>s)(?i:S)`, `(?P<a>foo|far)`, "(?P<a>a\nb)", `(?P<a>[ab]c)`, `(?s)(?P<a>a.*b)`,
	}
	return prop.ForAll(
		func(seed int64, malformed bool) string {
			r := rand.New(rand.NewPCG(uint64(seed), 2))
			atoms := []string{"ERROR", "WARN", " x", "k", "K", "\u212a", "\u017f", "i", "s", "S", "ab", "c", "d", "a.b", "\xff", "\ufffd", "b", "foo", "ar", "a", "\n", "\n", "xy", "x"}
			var b strings.Builder
			for range r.IntN(40) {
				b.WriteString(atoms[r.IntN(len(atoms))])
			}
			re := regexp.MustCompile(exprs[r.IntN(len(exprs))])
			var counters logscan.Counters
			sc := logscan.Scanner{Parser: parser(re), Stats: &counters}
			if malformed {
				sc.Malformed = func(*logscan.Record, error) error { return nil }
			}
			var got, want []string
			for rec := range sc.Records(context.Background(), logscan.Readers("", strings.NewReader(b.String()))) {
				got = append(got, fmt.Sprintf("%d %q", rec.Num, rec.Get("a")))
			}
			lines := 0
			for rec := range logscan.Lines(strings.NewReader(b.String())) {
				lines++
				if m := re.FindSubmatch(rec.Line); m != nil {
					want = append(want, fmt.Sprintf("%d %q", rec.Num, m[1]))
				}
			}
			st := counters.Stats()
			if int(st.Records) != lines || int(st.Malformed) != lines-len(want) {
				return fmt.Sprintf("%v: %+v of %d lines", re, st, lines)
			}
			return cmp.Diff(want, got)
		}, gen.Int64(), gen.Bool())
}

func TestPrefilterLosesNothing(t *testing.T) {
	checkProperty(t, 200, prefilter(logscan.Regexp))
	checkBites(t, prefilter(func(re *regexp.Regexp) logscan.Parser { return forgetful(logscan.Regexp(re), "a") }))
}

func TestCaseFolding(t *testing.T) {
	for expr, lines := range map[string][]string{
		`(?i)(?P<a>kelvin)`: {"KELVIN", "\u212aelvin"}, `(?i)(?P<a>session)`: {"\u017fe\u017fsion", "SESSION"}, `(?P<a>x?)`: {"", "abc"}, `(?P<a>a)|b`: {"b"},
	} {
		p := logscan.Regexp(regexp.MustCompile(expr))
		for _, line := range lines {
			if err := p.Parse(&logscan.Record{Line: []byte(line)}); err != nil {
				t.Errorf("%s on %q: got %v, want a match", expr, line, err)
			}
		}
	}
}

// Oracle: strings.Contains in the loop.
func requireProp(require ...string) gopter.Prop {
	return prop.ForAll(
		func(s string, seed int64, limit int) string {
			var counters logscan.Counters
			got, _ := scanLines(logscan.Scanner{Require: require, MaxLine: limit, Stats: &counters}, logscan.Readers("", chunked(s, seed)))
			var want []line
			all := model(s, limit)
			for _, l := range all {
				if strings.Contains(l.Line, "ab") || strings.Contains(l.Line, "é") || strings.Contains(l.Line, "\x00") {
					want = append(want, l)
				}
			}
			if st := counters.Stats(); int(st.Records) != len(all) || int(st.Prefiltered) != len(all)-len(want) || int(st.Delivered) != len(want) {
				return fmt.Sprintf("%+v, %d of %d", st, len(want), len(all))
			}
			return cmp.Diff(want, got)
		}, text(), gen.Int64(), gen.IntRange(1, 250))
}

func TestRequireIsATestInTheLoop(t *testing.T) {
	checkProperty(t, 200, requireProp("ab", "é", "\x00"))
	checkBites(t, requireProp("ab", "é"))
}

// Oracle: bytes.Index. Texts of few different bytes have many near misses.
func indexIsBytesIndex(index func(data, text []byte) int) string {
	rng := rand.New(rand.NewPCG(1, 2))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = "AAAAAAab 1[\xff"[rng.IntN(12)]
		}
		return b
	}
	for range 20000 {
		data, text := random(rng.IntN(200)), random(rng.IntN(9))
		if rng.IntN(2) == 0 && len(data) > 20 {
			copy(data[len(data)-len(text)-rng.IntN(10):], text)
		}
		if got, want := index(data, text), bytes.Index(data, text); got != want {
			return fmt.Sprintf("%q in %q: got %d, want %d", text, data, got, want)
		}
	}
	return ""
}

func TestIndexIsBytesIndex(t *testing.T) {
	checkEqual(t, indexIsBytesIndex(logscan.Index), "")
	if indexIsBytesIndex(bytes.LastIndex) == "" {
		t.Error("a broken implementation passes")
	}
}
