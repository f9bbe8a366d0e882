package audit_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/audit"
)

func TestChecks(t *testing.T) {
	length := audit.Length(2, 3)
	between := audit.Between(1.0, 2.0)
	nan := between(0 / func() float64 { return 0 }())
	for name, err := range map[string]error{
		"runes": length("äöü"), "min": length("ab"), "invalid UTF-8": length("\xff\xfe"),
		"low": between(1), "high": between(2),
		"match": audit.Match(regexp.MustCompile("^a"))("ab"), "one of": audit.OneOf(1, 2)(2),
		"every": audit.All(length, audit.OneOf("ab"))("ab"), "every of nothing": audit.All[int]()(1),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{
		"too many runes": length("äöüß"), "too few": length("ä"),
		"below": between(0.999), "above": between(2.001), "NaN": nan,
		"no match": audit.Match(regexp.MustCompile("^a"))("ba"), "none of": audit.OneOf(1, 2)(3),
		"every": audit.All(length, audit.OneOf("ab"))("cd"),
	} {
		if !errors.Is(err, audit.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	e := audit.Event{Reason: "a\xffb"}
	if got := string(e.AppendJSON(nil)); !strings.Contains(got, `a\ufffdb`) {
		t.Errorf("invalid UTF-8 written as %s", got)
	}
}
