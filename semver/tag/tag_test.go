package tag_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/tag"
)

// Formats of the tests.
var (
	image   = tag.Format{Variant: "alpine*"}
	module  = tag.Format{Prefix: "contrib/redis/"}
	cluster = tag.Format{Vendors: []string{"eks", "gke", "k3s"}}
)

// TestHostileTagsAreCheap parses a tag in which every byte may begin the
// variant.
func TestHostileTagsAreCheap(t *testing.T) {
	f := tag.Format{Prefix: "v", Variant: "*alpine"}
	_, err := f.Parse("v1" + strings.Repeat("-", 1<<24))
	if e, ok := errors.AsType[*semver.ParseError](err); !ok || e.Err != semver.ErrTooLong || e.Offset != 513 {
		t.Errorf("got %v", err)
	}
	if _, err := f.Parse("v1" + strings.Repeat("-", 506) + "alpine"); !errors.Is(err, semver.ErrTooLong) {
		t.Errorf("got %v", err)
	}
	if got, err := f.Parse("v1-" + strings.Repeat("a", 503) + "alpine"); err != nil || got.Numbers != 1 {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestParse(t *testing.T) {
	for _, row := range []struct {
		format          tag.Format
		text            string
		version         string // "" for an error
		numbers         int
		variant, reason string
	}{
		{tag.Format{}, "1.2.3", "1.2.3", 3, "", ""},
		{tag.Format{}, "v1.2.3-rc.1", "1.2.3-rc.1", 3, "", ""},
		{tag.Format{}, "V1.2", "1.2.0", 2, "", ""},
		{tag.Format{}, "7", "7.0.0", 1, "", ""},
		{tag.Format{}, "1.2.3_b7", "1.2.3+b7", 3, "", ""},
		{tag.Format{}, "v1.30.4-rc1_k3s1", "1.30.4-rc1+k3s1", 3, "", ""},
		{tag.Format{}, "1.27rc1", "1.27.0-rc.1", 2, "", ""},
		{tag.Format{}, "3.14.0a2", "3.14.0-a.2", 3, "", ""},
		{tag.Format{}, "17beta1", "17.0.0-beta.1", 1, "", ""},
		{tag.Format{}, "1.27beta", "1.27.0-beta", 2, "", ""},
		{tag.Format{}, "20-alpine", "20.0.0-alpine", 1, "", ""},
		{tag.Format{}, "latest", "", 0, "", "syntax error at byte 0"},
		{tag.Format{}, "1.2.3.4", "", 0, "", "syntax error at byte 5"},
		{tag.Format{}, "", "", 0, "", "syntax error at byte 0"},
		{tag.Format{}, "v", "", 0, "", "syntax error"},
		{image, "20-alpine3.19", "20.0.0", 1, "alpine3.19", ""},
		{image, "1.27.0-rc.1-alpine", "1.27.0-rc.1", 3, "alpine", ""},
		{image, "1.27rc1-alpine3.20", "1.27.0-rc.1", 2, "alpine3.20", ""},
		{image, "1.27.0", "", 0, "", "other prefix or variant"},
		{image, "1.27.0-bookworm", "", 0, "", "other prefix or variant"},
		{tag.Format{Variant: "*"}, "18-bookworm-slim", "18.0.0", 1, "bookworm-slim", ""},
		{module, "contrib/redis/v0.1.0", "0.1.0", 3, "", ""},
		{module, "contrib/nats/v0.1.0", "", 0, "", "other prefix or variant"},
		{module, "v0.1.0", "", 0, "", "other prefix or variant"},
		{module, "contrib/redis/v0.1.x", "", 0, "", "at byte 19"},
		{cluster, "v1.34.1-eks-3025e55", "1.34.1+eks-3025e55", 3, "", ""},
		{cluster, "v1.31.2-gke.1384000", "1.31.2+gke.1384000", 3, "", ""},
		{cluster, "v1.30.4-k3s1", "1.30.4+k3s1", 3, "", ""},
		{cluster, "v1.30.4_k3s1", "1.30.4+k3s1", 3, "", ""},
		{cluster, "v1.30.4-eks.1_b", "1.30.4+eks.1.b", 3, "", ""},
		{cluster, "v1.30.4-rc.1", "1.30.4-rc.1", 3, "", ""},
		{cluster, "v1.30.4-ekstra", "1.30.4-ekstra", 3, "", ""},
		{tag.Format{Variant: "["}, "1.2.3", "", 0, "", "want a pattern"},
	} {
		got, err := row.format.Parse(row.text)
		if row.version == "" {
			if err == nil || !strings.Contains(err.Error(), row.reason) {
				t.Errorf("Parse(%q) = %v, %v, want %q", row.text, got, err, row.reason)
			}
			continue
		}
		want := tag.Tag{Text: row.text, Version: semver.MustParse(row.version), Numbers: row.numbers, Variant: row.variant}
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %#v, %v, want %#v", row.text, got, err, want)
		}
	}
	_, err := module.Parse("v0.1.0")
	if !errors.Is(err, tag.ErrFormat) || !strings.HasPrefix(err.Error(), "tag: ") {
		t.Errorf("got %v, want ErrFormat", err)
	}
}

func TestLatestBreaksTies(t *testing.T) {
	for _, row := range []struct {
		format tag.Format
		tags   string
		rule   semver.Rule
		want   string
	}{
		{tag.Format{}, "1.27 1.27.0 1", nil, "1.27.0"},
		{tag.Format{}, "v1.27.0 1.27.0", nil, "v1.27.0"},
		{tag.Format{}, "1.9.0 1.10.0 latest 1.10.0-rc.1", nil, "1.10.0"},
		{tag.Format{}, "2.0.0-rc.1 1.10.0", semver.Stable, "1.10.0"},
		{tag.Format{}, "latest edge", nil, ""},
		{image, "20-alpine3.9 20-alpine3.19 21", nil, "20-alpine3.9"},
		{cluster, "v1.34.1-eks-3025e55 v1.34.0-eks-1 v1.33.9", semver.In(semver.MustParseRange(">=1.34.1")), "v1.34.1-eks-3025e55"},
		{cluster, "v1.31.2-gke.900 v1.31.2-gke.1384", nil, "v1.31.2-gke.1384"},
	} {
		for range 2 {
			tags := strings.Fields(row.tags)
			got, ok := row.format.Latest(slices.Values(tags), row.rule)
			if got.Text != row.want || ok != (row.want != "") {
				t.Errorf("latest of %s: got %q, %v, want %q", row.tags, got, ok, row.want)
			}
			slices.Reverse(tags)
			row.tags = strings.Join(tags, " ")
		}
	}
}

// TestCoerce checks answers of the npm package semver 7.8.6, coerce with and
// without includePrerelease.
func TestCoerce(t *testing.T) {
	for _, row := range [][3]string{
		{"v3.4 replaces 3.3.1", "3.4.0", "3.4.0"},
		{"1.2.3.4", "1.2.3", "1.2.3"},
		{"12345678901234567.1", "1.0.0", "1.0.0"},
		{"01.2.3", "", ""},
		{"a1.2.3-rc.1+b x", "1.2.3", "1.2.3-rc.1+b"},
		{"1.2-rc.1", "1.2.0", "1.2.0-rc.1"},
		{"1.2.3-rc.01", "1.2.3", "1.2.3-rc"},
		{"1.2.3-", "1.2.3", "1.2.3"},
		{"1.2.3+", "1.2.3", "1.2.3"},
		{"1.2.3-a..b", "1.2.3", "1.2.3-a"},
		{"1.2.3-é", "1.2.3", "1.2.3"},
		{"1.2.3-rc1.", "1.2.3", "1.2.3-rc1"},
		{"10", "10.0.0", "10.0.0"},
		{"1-2-3", "1.0.0", "1.0.0-2-3"},
		{"1.99999999999999999.3", "1.0.0", "1.0.0"},
		{"1.2.3-rc.1_b", "1.2.3", "1.2.3-rc.1"},
		{"1.2.3-01a.", "1.2.3", "1.2.3-01a"},
		{"1.2.3+b+c", "1.2.3", "1.2.3+b"},
		{"no version", "", ""},
		{strings.Repeat("x", 9000) + "1", "", ""},
	} {
		v, ok := tag.Coerce(row[0])
		w, ok2 := tag.CoerceFull(row[0])
		if ok != (row[1] != "") || ok2 != ok || ok && (v.String() != row[1] || w.String() != row[2]) {
			t.Errorf("%.20q: got %s, %v and %s, %v, want %q", row[0], v, ok, w, ok2, row[1:])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("", "", "", "v1.2.3")
	f.Add("contrib/redis/", "", "", "contrib/redis/v0.1.0")
	f.Add("", "alpine*", "", "20-alpine3.19")
	f.Add("", "", "eks", "v1.34.1-eks-3025e55_b")
	f.Fuzz(func(t *testing.T, prefix, variant, vendor, text string) {
		format := tag.Format{Prefix: prefix, Variant: variant, Vendors: []string{vendor}}
		got, err := format.Parse(text)
		if e, ok := errors.AsType[*semver.ParseError](err); ok && (e.Offset < 0 || e.Offset > len(text)) {
			t.Errorf("%q: %#v", text, e)
		}
		if err != nil {
			return
		}
		if got.Text != text || !semver.Valid(got.Version.String()) || got.Numbers < 1 || got.Numbers > 3 {
			t.Errorf("%q: %#v", text, got)
		}
		if got.Compare(got) != 0 {
			t.Errorf("%q is not equal to itself", text)
		}
	})
}
