package semver_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/redoubt-go/redoubt/internal/quote"
	"github.com/redoubt-go/redoubt/semver"
)

func TestErrorsQuoteAndCut(t *testing.T) {
	hostile := "1.2.3\n\x1b[31mERROR all is lost" + strings.Repeat("A", 200)
	_, version := semver.Parse(hostile)
	_, ranges := semver.ParseRange(hostile)
	var v semver.Version
	for _, err := range []error{version, ranges, v.Scan(hostile), v.UnmarshalBinary([]byte(hostile))} {
		if s := err.Error(); strings.ContainsAny(s, "\n\x1b") || strings.Count(s, "A") > 64 {
			t.Errorf("error with hostile text: %q", s)
		}
	}
	long := semver.MustParse("1.2.3-" + strings.Repeat("A", 200))
	for _, rule := range []semver.Rule{semver.In(semver.Releases()), semver.Stable, semver.NoDowngrade(semver.New(9, 0, 0)), semver.NotIn(semver.Exactly(long))} {
		if s := rule(long).Error(); strings.Count(s, "A") > 128 {
			t.Errorf("error with a long version: %q", s)
		}
	}
}

func TestLogValues(t *testing.T) {
	_, err := semver.Parse("1.2")
	parse, _ := errors.AsType[*semver.ParseError](err)
	violation, _ := errors.AsType[*semver.Violation](semver.Stable(semver.MustParse("1.0.0-rc")))
	for want, v := range map[string]slog.LogValuer{
		"1.2.3": semver.New(1, 2, 3),
		"[kind=version input=1.2 offset=3 err=syntax error]":         parse,
		"[version=1.0.0-rc rule=stable err=pre-release not allowed]": violation,
	} {
		if got := v.LogValue().String(); got != want {
			t.Errorf("LogValue() = %s, want %s", got, want)
		}
	}
}

func TestErrorsMarkCutTextAndSplitNoCharacter(t *testing.T) {
	long := ">=1.0.0 " + strings.Repeat(" ", 52) + "!=1.2.3-aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	r, err := semver.ParseRange(long)
	if err != nil {
		t.Fatal(err)
	}
	text := r.Check(semver.Version{}).Error()
	if want := quote.Text(long); !strings.HasSuffix(want, `"…`) || !strings.Contains(text, want) {
		t.Errorf("got %s, want %s in it", text, want)
	}
	_, err = semver.Parse(strings.Repeat("é", 100))
	if text := err.Error(); !strings.Contains(text, `é"…: `) || !utf8.ValidString(text) {
		t.Errorf("got %s", text)
	}
}
