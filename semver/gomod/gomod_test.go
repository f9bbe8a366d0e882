package gomod_test

import (
	"errors"
	"go/version"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redoubt-go/redoubt/semver"
	"github.com/redoubt-go/redoubt/semver/gomod"
)

func TestPseudo(t *testing.T) {
	at := time.Date(2019, 11, 9, 2, 19, 31, 0, time.UTC)
	const tail = "20191109021931-daa7c04131f5"
	for text, base := range map[string]string{
		"v0.0.0-" + tail:                      "0.0.0",
		"v3.0.0-" + tail:                      "0.0.0",
		"v1.2.4-0." + tail:                    "1.2.3",
		"v1.2.3-pre.0." + tail:                "1.2.3-pre",
		"v1.2.3-pre.0.0." + tail:              "1.2.3-pre.0",
		"v2.0.4-0." + tail + "+incompatible":  "2.0.3+incompatible",
		"v1.2.10-0." + tail:                   "1.2.9",
		"v1.2.18446744073709551616-0." + tail: "1.2.18446744073709551615",
	} {
		v, err := semver.AllowV.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := gomod.ParsePseudo(v)
		want := gomod.Pseudo{Base: semver.MustParse(base), HasBase: base != "0.0.0", Time: at, Rev: "daa7c04131f5"}
		if !ok || got != want {
			t.Errorf("%s: got %v, %v, want %v", text, got, ok, want)
		}
		if back, err := got.Version(v.Major()); err != nil || back != v {
			t.Errorf("%s: made again: %s, %v", text, back, err)
		}
	}
	for _, text := range []string{
		"2.0.0+incompatible", "1.2.3", "1.2.3-rc.1", "1.2.3-rc-1", "1.0.0-0." + tail, "1.2.0-0." + tail, "1.2.3-" + tail,
		"0.0.0-20191309021931-daa7c04131f5", "0.0.0-2019110902193-daa7c04131f5", "1.2.4-1." + tail, "0.0.0-20191109021931-",
		"0.0.0-20191109021931-a.b", "2.0.0-" + tail + "+incompatible",
	} {
		v, err := semver.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := gomod.ParsePseudo(v); ok {
			t.Errorf("%s: got %v, want no pseudo-version", text, got)
		}
	}
	sorted := []string{"1.2.3", "1.2.4-0." + tail, "1.2.4-alpha", "1.2.4"}
	if !slices.IsSortedFunc(sorted, semver.CompareStrings) {
		t.Errorf("%q is not sorted", sorted)
	}
}

func TestPseudoVersionRefuses(t *testing.T) {
	at := time.Date(2019, 11, 9, 2, 19, 31, 0, time.UTC)
	for _, p := range []gomod.Pseudo{
		{Time: at},
		{Time: at, Rev: "a.b"},
		{Time: at, Rev: "é"},
		{Rev: "daa7c04131f5"},
		{Time: at.AddDate(9000, 0, 0), Rev: "daa7c04131f5"},
		{Time: at, Rev: strings.Repeat("a", 300)},
	} {
		if v, err := p.Version(1); err == nil {
			t.Errorf("%v makes %s", p, v)
		}
	}
}

// TestToolchains compares with go/version, which takes the same names.
func TestToolchains(t *testing.T) {
	var names []string
	for _, number := range []string{"1", "1.4", "1.20", "1.21", "1.26", "2", "2.0", "2.25", "1.026", "", "x"} {
		for _, rest := range []string{
			"", ".0", ".1", ".10", "rc1", "rc2", "rc10", "beta1", "alpha2", "rc", "rc01", "rc1x", ".0rc1", ".", "..1", ".1.1",
			"-acme", "-", ".1-acme", "rc1-acme.2", "+b", " ", "\n",
		} {
			names = append(names, "go"+number+rest)
		}
	}
	for _, a := range names {
		v, err := gomod.ParseToolchain(a)
		short, err2 := gomod.ParseToolchain(strings.TrimPrefix(a, "go"))
		suffix := strings.HasSuffix(a, "-")
		if want := version.IsValid(a) && !suffix; (err == nil) != want || (err2 == nil) != want || v != short {
			t.Errorf("%q: got %s, %v, want it valid: %v", a, v, err, want)
			continue
		}
		if err != nil {
			continue
		}
		if name, ok := gomod.ToolchainName(v); !ok || version.Compare(name, a) != 0 {
			t.Errorf("%q: the name of %s is %q, %v", a, v, name, ok)
		}
		for _, b := range names {
			w, err := gomod.ParseToolchain(b)
			if err != nil {
				continue
			}
			if got, want := v.Compare(w), version.Compare(a, b); got != want {
				t.Errorf("%s against %s: got %d, go/version says %d", a, b, got, want)
			}
		}
	}
	for _, s := range []string{"1.26.0-rc.x", "1.26.1-rc.1", "1.26.0-1"} {
		if name, ok := gomod.ToolchainName(semver.MustParse(s)); ok {
			t.Errorf("%s has the name %q", s, name)
		}
	}
}

func TestRetract(t *testing.T) {
	for text, want := range map[string]semver.Range{
		"v1.2.3":               semver.Exactly(semver.New(1, 2, 3)),
		"[v1.0.0, v1.1.0]":     semver.Closed(semver.New(1, 0, 0), semver.New(1, 1, 0)),
		" [ v1.0.0,v1.0.0 ] ":  semver.Exactly(semver.New(1, 0, 0)),
		"[v1.0.0-rc.1,v1.0.0]": semver.Closed(semver.MustParse("1.0.0-rc.1"), semver.New(1, 0, 0)),
	} {
		got, err := gomod.ParseRetract(text)
		if err != nil || !got.Equal(want) {
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "[", "]", "[]", "v1", "[v1.0.0]", "v1.0.0, v1.1.0", "[v1.1.0, v1.0.0]", "[v1.0.0, v1.1.0", "[v1.0.0,,v1.1.0]",
		"[v1.0.0, v1.1.0, v1.2.0]", "v1.0.0]", strings.Repeat("v", 2000),
	} {
		r, err := gomod.ParseRetract(text)
		if e, ok := errors.AsType[*semver.ParseError](err); !ok || e.Offset < 0 || e.Offset > len(text) || !r.IsEmpty() {
			t.Errorf("%.20q: got %s, %v", text, r, err)
		}
	}
}
